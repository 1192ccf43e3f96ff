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
WHOLE, HUNDREDTHS, PERCENT = Scale(digits=0), Scale(digits=2), Scale("%", 100, 1)
MILLISECONDS, WATTS, JOULES = Scale("ms", digits=2), Scale("W", digits=1), Scale("J", digits=3)

_counted = partial(Quantity, group="counted", topic="count", type=int)
_elements = partial(_counted, unit="elements", scale=ELEMENTS)
_buffered = partial(_counted, unit="bytes", scale=MEGABYTES)


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
_images = partial(_measured, topic="time", unit="images/s", scale=HUNDREDTHS, is_more_better=True)
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
        "its lower bound",
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
        "outputs of batch norms",
        "Elements of every batch normalisation's output.",
        scale=MILLIONS,
        is_profiled=False,
    ),
    _buffered(
        "activation_peak_bytes",
        "peak of activations",
        "The most that live tensors hold at once in a forward pass of the batch, in fp32, without "
        "parameters and input.",
        is_leading=True,
        explains=5,
    ),
    _other(
        "activation_peak_at",
        "where activations peak",
        "The operator at which activations are at their peak.",
        type=str,
    ),
    _buffered(
        "activation_total_bytes",
        "sum of activations",
        "All that operators write, which Huang et al. call total memory.",
    ),
    _buffered(
        "bytes_all",
        "read and written by all operators",
        "Inputs, weights and outputs of every operator; views count as none.",
        is_profiled=False,
    ),
    _buffered(
        "train_memory_bytes",
        "training memory, predicted",
        "The least that a training step with momentum needs.",
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
        "Multiply-accumulates of all that is computed: `macs`, attention, other products and "
        "recurrent layers.",
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
        "Multiply-accumulates of scaled dot products, including what masks leave out.",
    ),
    _other(
        "attention_masks",
        "attention under masks",
        "What masks leave out of attention: `causal_macs`, multiply-adds, by causal ones, and what "
        "is not known in `unknown_calls`.",
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
        "calls that multiply",
        "Calls of convolutions, linear layers and other products in one forward pass.",
        unit="count",
        scale=WHOLE,
    ),
    _time(
        "cold_ms",
        "first forward",
        "The first forward pass in its form, before any warm-up; where weights are drawn, the pass "
        "that calibrates them has run before it.",
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
        "forward, 95 % from",
        "Lower end of the 95 % confidence interval of latency_ms.",
        is_profiled=False,
    ),
    _time(
        "latency_ms_ci95_hi",
        "forward, 95 % to",
        "Upper end of the 95 % confidence interval of latency_ms.",
        is_profiled=False,
    ),
    *(
        _time(
            f"latency_ms_p{percent}",
            f"forward, {percent} % within",
            f"The time within which {percent} % of the calls of latency_ms were done; of too few "
            "samples, and of samples of several calls, none.",
            is_profiled=False,
        )
        for percent in (90, 95, 99)
    ),
    _time(
        "gpu_ms",
        "forward, between events",
        "One forward pass between two events on the card; gaps between its kernels are in it.",
    ),
    _time(
        "gpu_busy_ms",
        "forward, the card at work",
        "The union of the kernels' intervals of a forward pass, in separate passes under a "
        "profiler.",
    ),
    _time(
        "graph_latency_ms",
        "forward as a CUDA graph",
        "One forward pass replayed as a CUDA graph, whose kernels are launched as one.",
    ),
    _time("postprocess_ms", "postprocess", "Decoding and suppression, until detections are ready."),
    _time("total_ms", "both", "Forward and postprocess of the same call: what a user waits for."),
    _time(
        "latency_ms_p50",
        "forward, 50 % within",
        "The median of the calls of latency_ms in one process: that figure itself.",
        is_profiled=False,
        is_later=True,
    ),
    _whole(
        "total_ms_ci95_lo",
        "both, 95 % from",
        "Lower end of the 95 % confidence interval of total_ms.",
    ),
    _whole(
        "total_ms_ci95_hi",
        "both, 95 % to",
        "Upper end of the 95 % confidence interval of total_ms.",
    ),
    *(
        _whole(
            f"total_ms_p{percent}",
            f"both, {percent} % within",
            f"The time within which {percent} % of the calls of total_ms were done.",
        )
        for percent in (50, 90, 95, 99)
    ),
    _images(
        "fps",
        "images/s, forward",
        "Images of a batch over latency_ms.",
        trained="images/s, training",
        rule=Rule(
            ("batch", "latency_ms"), lambda batch, ms: 1e3 * batch / ms, "batch / latency_ms"
        ),
        time="latency_ms",
    ),
    _images(
        "fps_total",
        "images/s, both",
        "Images of a batch over total_ms.",
        rule=Rule(("batch", "total_ms"), lambda batch, ms: 1e3 * batch / ms, "batch / total_ms"),
        time="total_ms",
    ),
    _images(
        "throughput_img_s",
        "images/s, back to back",
        "Throughput of calls that do not wait for one another: all images over the whole time.",
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
        "FLOP/s, two a multiply-add",
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
        "forward, the backbone's part",
        "The backbone's part of a forward pass, timed in separate passes.",
    ),
    _time("heads_ms", "forward, all else", "A forward pass without the backbone's part."),
    _time(
        "copy_ms", "copy of a batch to the card", "The copy of a batch from the host to the card."
    ),
    _time(
        "roofline_bound_ms",
        "roofline bound, layers",
        "The least time of all convolutions, linear layers and products, one after the other.",
        topic="roofline",
    ),
    _time(
        "roofline_bound_all_ms",
        "roofline bound, all",
        "The same with the bytes of all other operators.",
        topic="roofline",
    ),
    _measured(
        "roofline_attainable",
        "layers' bound / forward",
        "The share of a forward pass that its layers need at least.",
        topic="roofline",
        unit="1",
        is_more_better=True,
        scale=PERCENT,
        alone="layers' roofline bound / forward",
        rule=Rule(
            ("roofline_bound_ms", "latency_ms"),
            lambda bound_ms, ms: bound_ms / ms,
            "roofline_bound_ms / latency_ms",
            is_of_inference=True,
        ),
    ),
    _energy(
        "energy_per_image_j",
        "energy an image",
        "Joules per image under load, by the energy counter or the integral of power.",
        trained="energy an image, training",
        is_leading=True,
    ),
    _energy(
        "energy_total_per_image_j",
        "energy an image, with postprocessing",
        "Joules per image over forward passes and postprocessing, run in turn.",
    ),
    _energy(
        "energy_net_per_image_j",
        "energy above idle",
        "Joules per image above what the device draws at idle.",
        trained="energy above idle, training",
    ),
    _energy(
        "energy_eq2_per_image_j",
        "energy by VoVNet's Eq. 2",
        "Mean power of a run of inference over its images a second.",
    ),
    _text("energy_source", "energy source", "What energy_per_image_j was measured with."),
    _images(
        "energy_throughput_img_s",
        "images/s while energy was measured",
        "Throughput while energy was measured.",
        topic="energy",
        scale=Scale("images/s", digits=2),
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
    _check(
        "energy_counter_j", "energy by the counter", "Joules of the load by the energy counter."
    ),
    _check("energy_integrated_j", "energy, integrated", "Joules of the load by integrated power."),
    _check(
        "energy_counter_ratio",
        "counter's energy / integrated",
        "The counter's joules over the integrated ones.",
        unit="ratio",
        scale=Scale(),
    ),
    _memory(
        "mem_params_bytes",
        "parameters in memory",
        "Bytes of the parameters as they are held.",
        topic="note",
        is_profiled=False,
    ),
    _memory(
        "mem_buffers_bytes",
        "buffers in memory",
        "Bytes of the buffers as they are held.",
        topic="note",
        is_profiled=False,
    ),
    _memory(
        "mem_alloc_peak_bytes",
        "allocator's peak",
        "Peak of the memory allocated by torch's allocator.",
        topic="allocator",
    ),
    _memory(
        "mem_act_peak_bytes",
        "its peak above weights and input",
        "The allocator's peak above what was allocated before.",
        topic="allocator",
        alone="allocator's peak above weights and input",
    ),
    _memory(
        "mem_reserved_peak_bytes",
        "allocator's reserve",
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
        "host memory, peak",
        "The peak of the process's resident memory.",
        topic="host memory",
        is_leading=True,
    ),
    _engine(
        "engine_error",
        "engine's error",
        "The worst over output tensors of max|a - b| / max|b|, where b is what eager gives in "
        "fp32 on the same random input, and a what the engine gives.",
        scale=Scale(digits=5),
        alone="engine's error against eager",
    ),
    _engine(
        "engine_matched",
        "boxes as eager's",
        "The share of detections that are eager's too, on the same random input: of one label, at "
        "an IoU of at least 0.9 or with edges within 0.05 pixels, with scores within 0.01. Of "
        "detections that tie with the last one kept, those do not count that either side had.",
        is_more_better=True,
    ),
    _engine(
        "engine_error_images",
        "engine's error on pictures",
        "engine_error on the pictures that were given.",
        scale=Scale(digits=5),
        alone="engine's error against eager on pictures",
    ),
    _engine(
        "engine_matched_images",
        "boxes as eager's on pictures",
        "engine_matched on the pictures that were given.",
        is_more_better=True,
    ),
    _seconds(
        "engine_prepare_s",
        "preparation of the file",
        "Seconds of exporting the network and of making the engine's own file of it.",
    ),
    _seconds(
        "engine_compile_s",
        "compilation in the engine",
        "Seconds from the file to a network that the engine is ready to run.",
    ),
    _engine(
        "engine_file_bytes",
        "size of the file",
        "Bytes of the file that the engine runs.",
        unit="bytes",
        type=int,
        scale=MEGABYTES,
        alone="size of the engine's file",
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
    "Counted on the CPU, on random numbers: the network does not run by shapes alone, and what it "
    "computes may depend on its data."
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
            f"Attention is counted in full; causal masks leave {causal:,} multiply-adds out."
        )
    if unknown := masks.get("unknown_calls"):
        remarks.append(
            f"Attention is counted in full; what masks leave out in {unknown} calls is not known."
        )
    return remarks
