"""The project's words for people: reasons, and the papers' metrics."""

from __future__ import annotations

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
