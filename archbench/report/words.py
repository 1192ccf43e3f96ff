"""The project's words for people: heading, unit and rounding of every figure, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from archbench.report.tables import MISSING


@dataclass(frozen=True)
class Word:
    """How a figure is shown: its heading, and the unit in which it is rendered (`scale` of it make the stored unit)."""

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
    "gmacs_per_s": Word("FLOP/s as the paper counts", "G", digits=1),
    "mem_device_delta_bytes": _megabytes("device memory in use"),
    "mem_alloc_peak_bytes": _megabytes("allocator's peak"),
    "mem_act_peak_bytes": _megabytes("its peak above weights and input"),
    "mem_reserved_peak_bytes": _megabytes("allocator's reserve"),
    "mem_host_peak_bytes": _megabytes("host memory, peak"),
    "energy_per_image_j": Word("energy an image", "J", digits=3),
    "energy_net_per_image_j": Word("energy above idle", "J", digits=3),
    "energy_eq2_per_image_j": Word("energy by VoVNet's Eq. 2", "J", digits=3),
}

REASONS = {
    "cpu_device": "no figure of a CPU device",
    "no_postprocess": "nothing to postprocess",
    "no_parts": "no parts to tell apart",
    "one_graph": "compiled or captured as a whole",
    "meter_not_implemented": "no power meter in this version",
    "no_peak_from_kernel": "the kernel keeps no peak here",
    "nvml_binding_missing": "nvidia-ml-py is not installed",
}


def explain(reason: str) -> str:
    """A reason code in words, or itself."""
    return REASONS.get(reason, reason)
