"""The project's words for people: heading, unit and rounding of every figure, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from archbench.report.tables.table import MISSING


@dataclass(frozen=True)
class Word:
    """How a figure is shown: its heading, and the unit in which it is rendered (`scale` of it make
    the stored unit).
    """

    heading: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 0

    def show(self, value: float | None) -> str:
        """The figure in its rendered unit, without the unit."""
        return MISSING if value is None else f"{value * self.scale:,.{self.digits}f}"

    def quote(self, value: float) -> str:
        """A published figure in the same unit, with no more digits than were printed."""
        return f"{value * self.scale:.10g}"


def _millions(heading: str, unit: str = "M") -> Word:
    return Word(heading, unit, 1e-6, 2)


def _billions(heading: str) -> Word:
    return Word(heading, "G", 1e-9, 3)


def _megabytes(heading: str) -> Word:
    return Word(heading, "MB", 1e-6, 1)


COUNTED = {
    "params": _millions("parameters"),
    "paper_params": _millions("parameters as the paper counts"),
    "macs": _billions("multiply-adds"),
    "flops": _billions("FLOPs (2 x multiply-adds)"),
    "paper_flops": _billions("FLOPs as VoVNet counts them"),
    "mac_eq1": _millions("MAC (Eq. 1)", "M elements"),
    "mac_bound": _millions("its lower bound", "M elements"),
    "cio": _millions("CIO", "M elements"),
    "cio_pool": _millions("CIO with pooling", "M elements"),
    "activation_peak_bytes": _megabytes("peak of activations"),
    "activation_total_bytes": _megabytes("sum of activations"),
    "train_memory_bytes": _megabytes("training memory, predicted"),
    "boxes": Word("default boxes"),
}

MEASURED = {
    "latency_ms": Word("forward", "ms", digits=2),
    "gpu_ms": Word("forward, by the card's clock", "ms", digits=2),
    "postprocess_ms": Word("postprocess", "ms", digits=2),
    "total_ms": Word("both", "ms", digits=2),
    "fps": Word("images/s, forward", digits=2),
    "fps_total": Word("images/s, both", digits=2),
    "throughput_img_s": Word("images/s, back to back", digits=2),
    "backbone_ms": Word("forward, the backbone's part", "ms", digits=2),
    "heads_ms": Word("forward, all else", "ms", digits=2),
    "copy_ms": Word("copy of a batch to the card", "ms", digits=2),
    "roofline_bound_ms": Word("roofline bound, layers", "ms", digits=2),
    "roofline_bound_all_ms": Word("roofline bound, all", "ms", digits=2),
    "roofline_attainable": Word("layers' bound / forward", "%", 100, 1),
    "gmacs_per_s": Word("FLOP/s as the paper counts", "G", digits=1),
    "mem_device_delta_bytes": _megabytes("device memory in use"),
    "mem_process_bytes": _megabytes("device memory of the process"),
    "mem_alloc_peak_bytes": _megabytes("allocator's peak"),
    "mem_act_peak_bytes": _megabytes("its peak above weights and input"),
    "mem_reserved_peak_bytes": _megabytes("allocator's reserve"),
    "mem_host_peak_bytes": _megabytes("host memory, peak"),
    "power_mean_w": Word("mean power", "W", digits=1),
    "power_idle_w": Word("idle power", "W", digits=1),
    "energy_per_image_j": Word("energy an image", "J", digits=3),
    "energy_net_per_image_j": Word("energy above idle", "J", digits=3),
    "energy_eq2_per_image_j": Word("energy by VoVNet's Eq. 2", "J", digits=3),
}

REASONS = {
    "cpu_device": "no figure of a CPU device",
    "no_postprocess": "nothing to postprocess",
    "not_told_by_process": "the driver does not tell it by process",
    "no_parts": "no parts to tell apart",
    "one_graph": "compiled or captured as a whole",
    "no_inference": "of inference, not of training steps",
    "training": "no figure of a training step",
    "fused": "of operators by themselves, not fused",
    "no_peak_from_kernel": "the kernel keeps no peak here",
    "interrupted": "the job was ended early on request",
    "not_reached": "the job ended before it",
    "rapl_absent": "this machine shows no energy counters of its CPU",
    "rapl_no_permission": "the CPU's energy counters are for root only here",
    "nvml_binding_missing": "nvidia-ml-py, NVIDIA's binding, is not installed",
    "nvml_library_missing": "NVIDIA's library libnvidia-ml is not there or does not load",
    "nvml_transient": "the driver did not answer, nor when asked three times again",
    "driver_not_loaded": "NVIDIA's driver is not loaded",
    "driver_library_mismatch": "NVIDIA's driver and library are of different versions: restart "
    "the machine",
    "driver_too_old": "NVIDIA's driver is too old for it",
    "no_permission": "the driver does not permit to ask",
    "not_supported": "the device does not offer it",
    "gpu_lost": "the card was lost: it fell off its bus or needs a reset",
    "mig": "the card is cut into slices (MIG) and tells the power of the whole alone",
    "contended": "another process was on the card (--allow-shared measures all the same)",
    "window_too_short": "too few seconds of load to tell",
    "window_not_covered": "samples do not reach both ends of the seconds that count",
    "sampler_starved": "samples were too far apart",
    "no_valid_samples": "the sensor gave no power above zero",
    "counter_stuck": "the energy counter hardly moved",
    "counter_reset": "the energy counter went backwards",
    "idle_not_quiet": "the device was not at rest when idle power was measured",
}


def explain(reason: str) -> str:
    """A reason code in words, or itself."""
    return REASONS.get(reason, reason)


PUBLISHED = {
    "params": "params",
    "params_m": "params\n(M)",
    "gmacs": "FLOPs\n(G)",
    "bflops": "BFLOPs",
    "mac_eq1_m": "MAC\n(Eq. 1)\n(M)",
    "cio_m": "CIO\n(M)",
    "fps": "fps",
    "cpu_fps": "fps,\nCPU",
    "mobile_gpu_fps": "fps,\nmobile\nGPU",
    "gpu_ms": "time\n(ms)",
    "cpu_ms": "CPU\ntime\n(ms)",
    "memory_mb": "memory\n(MB)",
    "train_memory_mb": "training\nmemory\n(MB)",
    "train_step_s": "training\nstep (s)",
    "energy_j_per_image": "energy\n(J/image)",
    "gflops_per_s": "FLOP/s\n(G)",
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_s": "AP\nsmall",
    "ap_m": "AP\nmedium",
    "ap_l": "AP\nlarge",
    "ap_batch20": "AP,\nbatch 20",
    "ap_batch32": "AP,\nbatch 32",
    "map50": "mAP",
    "mask_ap": "mask\nAP",
    "mask_ap50": "mask\nAP50",
    "mask_ap75": "mask\nAP75",
    "top1": "top-1\n(%)",
    "top5": "top-5\n(%)",
    "error": "error\n(%)",
    "top1_error": "top-1\nerror",
    "top5_error": "top-5\nerror",
}
"""Headings of the papers' metrics, in the papers' units and words."""
