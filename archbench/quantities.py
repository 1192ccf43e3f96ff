"""Every figure of a record, one row each: what it is called, what it means, how it is shown.

Whatever lists figures reads these rows: the columns of CSV and JSON, tables, axes, the page, the
units of what is measured. A figure with a rule follows from others: a record that lacks it, such as
one of an earlier version, has it by that rule, and a stored value always wins. Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from archbench.quantity import TOPICS, Group, Quantity, Rule, Scale, Topic

MILLIONS, BILLIONS = Scale("M", 1e-6, 2), Scale("G", 1e-9, 3)
ELEMENTS = Scale("M elements", 1e-6, 2)
MEGABYTES = Scale("MB", 1e-6, 1)
WHOLE, RATE, PERCENT = Scale(digits=0), Scale("images/s", digits=2), Scale("%", 100, 1)
MILLISECONDS, WATTS, JOULES = Scale("ms", digits=2), Scale("W", digits=1), Scale("J", digits=3)

_counted = partial(Quantity, group="counted", topic="count", type=int)
_elements = partial(_counted, unit="elements", scale=ELEMENTS)
_buffered = partial(_counted, unit="bytes", scale=MEGABYTES, is_of_batch=True)


def _kind(name: str, what: str, meaning: str) -> Quantity:
    return _counted(
        name,
        f"of {what}",
        meaning,
        unit="multiply-adds",
        scale=BILLIONS,
        alone=f"multiply-adds of {what}",
        is_extra=True,
    )


_other = partial(_counted, is_column=False, is_profiled=False)
_measured = partial(Quantity, group="measured")
_time = partial(_measured, topic="time", unit="ms", scale=MILLISECONDS)
_images = partial(_measured, topic="time", unit="images/s", scale=RATE, is_more_better=True)
_whole = partial(_time, is_profiled=False, is_later=True)
_memory = partial(_measured, topic="device memory", unit="bytes", type=int, scale=MEGABYTES)
_power = partial(_measured, topic="power", unit="W", scale=WATTS)
_energy = partial(_measured, topic="energy", unit="J", scale=JOULES)
_engine = partial(_measured, topic="engine", unit="1", scale=PERCENT)
_seconds = partial(_engine, unit="s", scale=Scale("s", digits=1))
_check = partial(_energy, scale=Scale("J", digits=1), is_profiled=False)
_text = partial(_measured, topic="note", type=str, is_profiled=False)

ROWS: tuple[Quantity, ...] = (
    _counted(
        "params",
        "parameters",
        "Learnable scalars, without buffers.",
        unit="count",
        scale=MILLIONS,
        is_leading=True,
        explains=2,
    ),
    _counted(
        "paper_params",
        "parameters as the paper counts",
        "Parameters by the rule of the paper whose figure stands beside the network.",
        unit="count",
        scale=MILLIONS,
    ),
    _other(
        "param_kinds",
        "parameters by kind",
        "Convolution and linear weights, biases, scalars and buffers of normalisations.",
        type=dict,
    ),
    _counted(
        "macs",
        "multiply-adds",
        "Multiply-accumulates of convolutions and linear layers, one image, no bias adds.",
        unit="multiply-adds",
        scale=BILLIONS,
        is_leading=True,
    ),
    _counted(
        "flops",
        "FLOPs (2 x multiply-adds)",
        "Two operations per multiply-accumulate of `macs`.",
        unit="operations",
        scale=BILLIONS,
        rule=Rule(("macs",), lambda macs: 2 * macs),
    ),
    _counted(
        "paper_flops",
        "FLOPs as VoVNet counts them",
        "Multiply-accumulates plus one operation per element of every batch norm's output.",
        unit="operations",
        scale=BILLIONS,
        rule=Rule(("macs", "bn_elements"), lambda macs, outputs: macs + outputs),
    ),
    _elements(
        "mac_eq1",
        "MAC (Eq. 1)",
        "Memory access cost by VoVNet's Eq. 1, summed over convolution calls.",
        is_leading=True,
        explains=3,
    ),
    _elements(
        "mac_bound",
        "lower bound of Eq. 1",
        "The least memory access cost that the same multiply-accumulates allow.",
        type=float,
        alone="lower bound of MAC (Eq. 1)",
    ),
    _elements(
        "cio",
        "CIO",
        "HarDNet's input and output of convolutions, summed over their calls.",
        explains=4,
    ),
    _elements("cio_pool", "CIO with pooling", "CIO with the inputs and outputs of pooling."),
    _elements(
        "bn_elements",
        "batch norm outputs",
        "Elements of every batch normalisation's output.",
        scale=MILLIONS,
        is_profiled=False,
    ),
    _buffered(
        "activation_peak_bytes",
        "peak activation memory",
        "The largest sum of live tensors during a forward pass of the batch, without parameters "
        "and input, in the network's precision: fp32 unless a module of your own has another.",
        is_leading=True,
        explains=5,
    ),
    _other(
        "activation_peak_at",
        "operator at peak activation memory",
        "The operator at which activation memory peaks.",
        type=str,
    ),
    _buffered(
        "activation_total_bytes",
        "total activation memory",
        "The sum of all operator outputs that are new tensors, which Huang et al. call total "
        "memory.",
    ),
    _buffered(
        "bytes_all",
        "bytes read and written",
        "Inputs, weights and outputs of every operator; views count as none.",
        is_profiled=False,
    ),
    _buffered(
        "train_memory_bytes",
        "training memory, predicted",
        "The least memory that a training step with momentum needs.",
    ),
    _counted(
        "boxes",
        "default boxes",
        "Default boxes of the dense stage, one image.",
        unit="count",
        scale=WHOLE,
    ),
    _other(
        "uncounted",
        "operators without a rule",
        "Operators that multiply matrices or convolve and have no rule, with their calls.",
        type=list,
    ),
    _counted(
        "macs_all",
        "all multiply-adds",
        "All multiply-accumulates: `macs`, attention, other matrix products and recurrent layers.",
        unit="multiply-adds",
        scale=BILLIONS,
        is_extra=True,
        rule=Rule(("macs", "uncounted"), lambda macs, uncounted: None if uncounted else macs),
        explains=1,
    ),
    _kind("macs_convolution", "convolutions", "Multiply-accumulates of convolutions."),
    _kind(
        "macs_linear",
        "linear layers",
        "Multiply-accumulates of linear layers, and of products with a parameter or a buffer.",
    ),
    _kind(
        "macs_attention",
        "attention",
        "Multiply-accumulates of scaled dot-product attention, masked positions included.",
    ),
    _other(
        "attention_masks",
        "masked attention",
        "What masks remove from attention: `causal_macs` by causal masks, in multiply-adds; "
        "`unknown_calls` have masks of unknown effect.",
        type=dict,
    ),
    _kind("macs_other", "other products", "Multiply-accumulates of products of activations."),
    _kind("macs_recurrent", "recurrent layers", "Multiply-accumulates of recurrent layers."),
    _other(
        "macs_depthwise",
        "multiply-adds of depthwise convolutions",
        "Multiply-accumulates of convolutions with as many groups as input channels.",
        unit="multiply-adds",
        scale=BILLIONS,
    ),
    _other(
        "call_count",
        "calls with multiply-adds",
        "Calls to convolutions, linear layers and other products in one forward pass.",
        unit="count",
        scale=WHOLE,
    ),
    _time(
        "cold_ms",
        "first forward pass",
        "The first forward pass in its final form, before any warm-up. Random weights were "
        "calibrated by an earlier pass.",
        is_column=False,
        is_profiled=False,
    ),
    _time(
        "latency_ms",
        "forward",
        "One forward pass, images ready on the device, until its raw outputs are ready.",
        trained="training step",
        is_leading=True,
    ),
    _time(
        "latency_ms_ci95_lo",
        "forward, 95 % CI from",
        "Lower end of the 95 % confidence interval of latency_ms.",
        is_profiled=False,
    ),
    _time(
        "latency_ms_ci95_hi",
        "forward, 95 % CI to",
        "Upper end of the 95 % confidence interval of latency_ms.",
        is_profiled=False,
    ),
    *(
        _time(
            f"latency_ms_p{percent}",
            f"forward, {percent}th percentile",
            f"The {percent}th percentile of single calls of latency_ms; empty where there are too "
            "few samples, or where a sample averages several calls.",
            is_profiled=False,
        )
        for percent in (90, 95, 99)
    ),
    _time(
        "gpu_ms",
        "forward, CUDA events",
        "One forward pass between two CUDA events, gaps between its kernels included.",
    ),
    _time(
        "gpu_busy_ms",
        "forward, GPU busy",
        "The time in which at least one kernel of a forward pass ran, from separate passes under a "
        "profiler.",
    ),
    _time(
        "graph_latency_ms",
        "forward as a CUDA graph",
        "One forward pass replayed as a CUDA graph, which launches all kernels at once.",
    ),
    _time(
        "postprocess_ms", "postprocessing", "Decoding and suppression, until detections are ready."
    ),
    _time(
        "total_ms",
        "forward + postprocessing",
        "The forward pass and postprocessing of the same call: what a user waits for.",
        alone="total time",
    ),
    _time(
        "latency_ms_p50",
        "forward, median",
        "The median call of latency_ms in one process: that figure itself.",
        is_profiled=False,
        is_later=True,
    ),
    _whole(
        "total_ms_ci95_lo",
        "total time, 95 % CI from",
        "Lower end of the 95 % confidence interval of total_ms.",
    ),
    _whole(
        "total_ms_ci95_hi",
        "total time, 95 % CI to",
        "Upper end of the 95 % confidence interval of total_ms.",
    ),
    *(
        _whole(
            f"total_ms_p{percent}",
            "total time, median" if percent == 50 else f"total time, {percent}th percentile",
            f"The {percent}th percentile of single calls of total_ms.",
        )
        for percent in (50, 90, 95, 99)
    ),
    _images(
        "fps",
        "throughput, forward",
        "Batch size divided by latency_ms.",
        trained="throughput, training",
        rule=Rule(
            ("batch", "latency_ms"), lambda batch, ms: 1e3 * batch / ms, "batch / latency_ms"
        ),
        time="latency_ms",
    ),
    _images(
        "fps_total",
        "throughput, end to end",
        "Batch size divided by total_ms.",
        rule=Rule(("batch", "total_ms"), lambda batch, ms: 1e3 * batch / ms, "batch / total_ms"),
        time="total_ms",
    ),
    _images(
        "throughput_img_s",
        "throughput, back to back",
        "Throughput of calls issued back to back: all images divided by the elapsed time.",
    ),
    _measured(
        "gmacs_per_s",
        "FLOP/s as the paper counts",
        "Multiply-accumulates per second of the forward pass: the papers' computation efficiency.",
        topic="rate",
        unit="1e9/s",
        is_more_better=True,
        scale=Scale("G", digits=1),
        rule=Rule(
            ("macs", "fps"), lambda macs, fps: macs * fps / 1e9, "macs * fps", is_of_inference=True
        ),
        time="latency_ms",
    ),
    _measured(
        "flops_per_s",
        "FLOP/s, two per multiply-add",
        "Operations per second of the forward pass, two per multiply-accumulate of `macs_all`.",
        topic="rate",
        unit="1/s",
        is_more_better=True,
        scale=Scale("G", 1e-9, 1),
        rule=Rule(
            ("macs_all", "fps"),
            lambda macs, fps: 2 * macs * fps,
            "2 * macs_all * fps",
            is_of_inference=True,
        ),
        time="latency_ms",
        is_profiled=False,
    ),
    _time(
        "backbone_ms",
        "forward, backbone",
        "The backbone's share of a forward pass, timed in separate passes.",
    ),
    _time("heads_ms", "forward, rest", "The rest of a forward pass: neck and heads."),
    _time("copy_ms", "host-to-device copy", "Copying a batch from the host to the card."),
    _time(
        "roofline_bound_ms",
        "roofline bound, layers",
        "The sum of the least times of all convolutions, linear layers and products.",
        topic="roofline",
    ),
    _time(
        "roofline_bound_all_ms",
        "roofline bound, all operators",
        "The same plus the memory traffic of all other operators.",
        topic="roofline",
    ),
    _measured(
        "roofline_attainable",
        "roofline bound / forward",
        "The layers' roofline bound as a share of the forward pass.",
        topic="roofline",
        unit="1",
        is_more_better=True,
        scale=PERCENT,
        rule=Rule(
            ("roofline_bound_ms", "latency_ms"),
            lambda bound_ms, ms: bound_ms / ms,
            "roofline_bound_ms / latency_ms",
            is_of_inference=True,
        ),
    ),
    _energy(
        "energy_per_image_j",
        "energy per image",
        "Joules per image under load, by the energy counter or the integral of power.",
        trained="energy per image, training",
        is_leading=True,
    ),
    _energy(
        "energy_total_per_image_j",
        "energy per image, with postprocessing",
        "Joules per image for forward passes and postprocessing, run alternately.",
    ),
    _energy(
        "energy_net_per_image_j",
        "energy per image above idle",
        "Joules per image above the device's idle draw.",
        trained="energy per image above idle, training",
    ),
    _energy(
        "energy_eq2_per_image_j",
        "energy per image, VoVNet Eq. 2",
        "Mean power of an inference run divided by its throughput.",
    ),
    _text("energy_source", "energy source", "How energy_per_image_j was measured."),
    _images(
        "energy_throughput_img_s",
        "throughput during the energy run",
        "Throughput while energy was measured.",
        topic="energy",
        is_profiled=False,
    ),
    _power("power_mean_w", "mean power", "Mean power under load."),
    _power("power_idle_w", "idle power", "Idle power with the process on the device."),
    _power(
        "power_idle_no_context_w",
        "idle power, no process",
        "Idle power before the process is on the device.",
        is_profiled=False,
    ),
    _check("energy_counter_j", "energy, counter", "Joules of the load by the energy counter."),
    _check("energy_integrated_j", "energy, integrated", "Joules of the load by integrated power."),
    _check(
        "energy_counter_ratio",
        "energy, counter / integrated",
        "Counter energy divided by integrated energy.",
        unit="ratio",
        scale=Scale(),
    ),
    _memory(
        "mem_params_bytes",
        "parameters in memory",
        "Bytes of the parameters as stored.",
        topic="note",
        is_profiled=False,
    ),
    _memory(
        "mem_buffers_bytes",
        "buffers in memory",
        "Bytes of the buffers as stored.",
        topic="note",
        is_profiled=False,
    ),
    _memory(
        "mem_alloc_peak_bytes",
        "allocator peak",
        "Peak of the memory allocated by torch's allocator.",
        topic="allocator",
    ),
    _memory(
        "mem_act_peak_bytes",
        "allocator peak above weights and input",
        "The allocator's peak minus what was allocated before the call.",
        topic="allocator",
    ),
    _memory(
        "mem_reserved_peak_bytes",
        "allocator peak, reserved",
        "Peak of the memory reserved by torch's allocator.",
        topic="allocator",
    ),
    _memory(
        "mem_device_delta_bytes",
        "device memory in use",
        "Increase of the memory in use on the card, as nvidia-smi shows it.",
        is_leading=True,
    ),
    _memory(
        "mem_process_bytes",
        "device memory of the process",
        "Memory of the process on the card, as the driver reports it.",
    ),
    _memory(
        "mem_host_peak_bytes",
        "peak host memory",
        "Peak resident memory of the process.",
        topic="host memory",
        is_leading=True,
    ),
    _engine(
        "engine_error",
        "engine error",
        "The worst of max|a - b| / max|b| over all output tensors, where a is the engine's output "
        "and b that of eager in fp32, on the same random input.",
        scale=Scale(digits=5),
        alone="engine error against eager",
    ),
    _engine(
        "engine_matched",
        "boxes matching eager",
        "The share of detections that match eager's on the same random input: same label, IoU of "
        "at least 0.9 or edges within 0.05 pixels, and scores within 0.01. Detections that tie "
        "with the last one kept do not count if the other side had them too.",
        is_more_better=True,
    ),
    _engine(
        "engine_error_images",
        "engine error on pictures",
        "engine_error on the given pictures.",
        scale=Scale(digits=5),
        alone="engine error against eager on pictures",
    ),
    _engine(
        "engine_matched_images",
        "boxes matching eager on pictures",
        "engine_matched on the given pictures.",
        is_more_better=True,
    ),
    _seconds(
        "engine_prepare_s",
        "engine file preparation",
        "Seconds to export the network and convert it to the engine's own file.",
    ),
    _seconds(
        "engine_compile_s",
        "engine compilation",
        "Seconds from the file to a network that is ready to run.",
    ),
    _engine(
        "engine_file_bytes",
        "engine file size",
        "Bytes of the file that the engine runs.",
        unit="bytes",
        type=int,
        scale=MEGABYTES,
    ),
    _text("flags", "flags", "Quality flags of the record's figures.", is_leading=True),
)
"""Every figure, in the order of the stable columns."""

QUANTITIES: Mapping[str, Quantity] = MappingProxyType({row.name: row for row in ROWS})
"""The rows by their words."""
COUNTED: Mapping[str, Quantity] = MappingProxyType(
    {row.name: row for row in ROWS if row.group == "counted" and row.is_column}
)
MEASURED: Mapping[str, Quantity] = MappingProxyType(
    {
        row.name: row
        for row in sorted(ROWS, key=lambda row: row.is_later)
        if row.group == "measured" and row.is_column
    }
)
"""The stable columns of what is counted and of what is measured, later ones last."""
FIGURES: Mapping[str, Quantity] = MappingProxyType(
    {name: row for name, row in {**COUNTED, **MEASURED}.items() if row.is_number}
)
"""The stable columns of numbers."""
DERIVED: tuple[tuple[Quantity, Rule], ...] = tuple((row, row.rule) for row in ROWS if row.rule)
"""The figures that follow from others, each after those that it follows from."""


def profiled(group: Group) -> dict[str, Quantity]:
    """The figures of a group that have a line in `profile`'s table, in its order."""
    there = [row for row in ROWS if row.group == group and row.is_profiled]
    return {row.name: row for row in sorted(there, key=lambda row: TOPICS.index(row.topic))}


def is_of_one_card(word: str) -> bool:
    """Whether a figure holds for one card alone and not for all of its model."""
    return word in QUANTITIES and QUANTITIES[word].is_of_one_card


def is_of_batch(word: str) -> bool:
    """Whether a figure is counted of a whole batch and not of one image."""
    return word in QUANTITIES and QUANTITIES[word].is_of_batch


def time_of(word: str) -> str:
    """The time that a figure is computed from; empty for one that is computed from none."""
    return QUANTITIES[word].time if word in QUANTITIES else ""


def about(*topics: Topic) -> tuple[str, ...]:
    """The words of the measured figures that are about some topics."""
    return tuple(row.name for row in ROWS if row.topic in topics and row.is_number)


def explaining() -> tuple[str, ...]:
    """The words of the counts that are to explain time and energy."""
    return tuple(row.name for row in sorted(ROWS, key=lambda row: row.explains) if row.explains)


def completed(counted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give what was counted with all that follows from it by a rule and is not there."""
    known = counted
    for row, rule in DERIVED:
        if row.group == "counted" and row.name not in known:
            value = rule.value(known)
            known = known if value is None else {**known, row.name: value}
    return known


COUNTED_FOR_REAL = (
    "Counted by a real pass, not by shapes alone, so its counts may depend on the data."
)


def count_remarks(counted: Mapping[str, Any]) -> list[str]:
    """Say in sentences what counted figures leave out, and what they hold that is not computed."""
    remarks = [
        f"not counted, no rule: {name} ({calls} calls)"
        for name, calls in counted.get("uncounted", ())
    ]
    masks = counted.get("attention_masks") or {}
    if causal := masks.get("causal_macs"):
        remarks.append(
            f"Attention is counted in full; causal masks would save {causal:,} multiply-adds."
        )
    if unknown := masks.get("unknown_calls"):
        remarks.append(
            f"Attention is counted in full; what masks of {unknown} calls would save is unknown."
        )
    return remarks
