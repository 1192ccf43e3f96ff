"""Where a record was made and under what conditions: the types of what stands there.

These are plain dictionaries in which any key may be missing, since the job ended before it or an
earlier version did not write it. Keys of other versions stay where they are. Torch-free.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

MOST = 1e30
"""A number beyond which nothing is that a machine has or does."""
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Real = Annotated[float, Meta(ge=-MOST, le=MOST)]
Number = Whole | Real
"""A number that tables, plots and JSON can hold."""
Seconds = Annotated[float, Meta(ge=0, le=MOST)]
Positive = Annotated[float, Meta(gt=0, le=MOST)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Environment(TypedDict, total=False):
    """What of the machine, the device and their software bears on a measurement."""

    host: str
    """A hash that tells machines apart."""
    archbench: str
    commit: str | None
    python: str
    os: str
    cpu: str
    cores: Count
    """Physical cores that the process may use."""
    affinity: list[Count]
    governor: str | None
    container: bool
    virtual_machine: bool
    variables: dict[str, str]
    device: str
    """As torch names it: cpu, cuda:0."""
    device_name: str
    torch: str
    threads: Count
    machine: str
    cpu_capability: str
    mkldnn: bool
    nms: str
    deterministic: bool
    uuid: str | None
    compute_capability: str
    device_memory_bytes: Count
    cuda: str | None
    cudnn: Count | None
    driver: str | None
    power_limit_w: Number | None
    default_power_limit_w: Number | None
    application_clock_mhz: Whole | None
    application_memory_clock_mhz: Whole | None
    ecc: bool | None
    l2_bytes: Count
    mig: bool | None
    persistence: Whole | None
    compute_mode: Whole | None
    vbios: str | None
    fp32_precision_matmul: str
    fp32_precision_conv: str
    cudnn_benchmark: bool
    engine_versions: dict[str, str]
    """Of an engine other than torch: what ran the network."""
    graph_file: str
    """The file of an ONNX graph or of an exported program."""
    code_allowed: bool
    """Whether code in that file was let run."""
    plugin_files: list[str]
    """The files of plug-ins that a network is from."""
    network_hash: str
    """Of a graph and its weights, or of the code of plug-ins: of which file the network is, where
    its name does not tell.
    """
    module: str
    """The class of a module that was handed over in Python."""
    module_travelled_as: str
    """How it came to the process that measured it: export or source."""
    libraries: dict[str, str]
    """Of a network of a library's: its version, and those of what it stands on."""
    code_file: str
    """Of a user's own network: where its file was."""
    code_unhashed: list[str]
    """The modules beside that file that were loaded and are not in the hash of its code."""


class HostLoad(TypedDict, total=False):
    """How busy a host is: the load average of a minute, percent of 10 s in which something waited
    for a CPU, and how often this process has lost its own.
    """

    load_1min: Number | None
    cpu_pressure_avg10: Number | None
    involuntary_switches: Count


class Scene(TypedDict):
    """What is postprocessed: boxes of a synthetic scene before and after."""

    distribution: str
    candidates: Count
    above_threshold: Count
    kept: Number


class Roofs(TypedDict):
    """A device's peaks in a precision: operations and bytes a second, bytes of an element, and the
    probes that they stand on.
    """

    flops_per_s: Positive
    flops_per_s_median: Positive
    flops_probe: str
    bytes_per_s: Positive
    bytes_per_s_median: Positive
    bytes_probe: str
    element_bytes: Annotated[int, Meta(gt=0, le=64)]
    cached: bool
    """Whether an earlier job had measured them."""
    probes: list[dict[str, Any]]
    skipped: list[str]
    flags: list[str]
    time_utc: str


class Energy(TypedDict, total=False):
    """How energy was measured: of its many notes those that are read."""

    meter: str
    message: str
    window_s: Positive
    systematic_pct: Number | None


class Conditions(TypedDict, total=False):
    """What bore on one job besides its settings."""

    host_before: HostLoad
    host_after: HostLoad
    cpu_stolen_share: Number | None
    start_temperature_c: Number | None
    """Of a card, before the job had a context there."""
    card: dict[str, Any]
    """The card around and between what was timed: ranges of its clocks, temperatures and use, and
    the share of the looks at which each reason of its clocks held.
    """
    count_notes: list[str]
    """What else is to be known of the count of a graph."""
    seen_size: str | None
    """Of a network from elsewhere: what its first convolution saw, as WIDTHxHEIGHT."""
    counted_on: str
    """The device on which a network from elsewhere was counted: meta, by shapes, or cpu."""
    inputs: str
    weights: str
    """Of a network that brings its own: that they are; of one from elsewhere, what kept those that
    were drawn from being calibrated as all are.
    """
    options: dict[str, Any]
    """Every option of a user's own network, by its signature; text for what is no plain value."""
    plugins: list[str]
    """The files of plug-ins that a network is from, as they are written from the working folder."""
    caches: str
    """What a timed call finds there: warm, or emptied before each call."""
    loss: str
    engine: dict[str, str]
    """What an engine says of how it runs the network: threads, spinning, precision."""
    calibration: str
    """What a network was quantised on."""
    folded_norms: str
    postprocess_load: Scene
    energy: Energy
    roofline: Roofs
    order: Count
    """The job's number in its sweep's order, which `order_seed` draws."""
    order_seed: Whole
    busy_cards_beside: Count


class Spread(TypedDict, total=False):
    """How samples lie about their median, or over what a figure is a mean: what is read of it."""

    n: Count
    median: Number | None
    ci95: tuple[Number, Number] | None
    p90: Number | None
    p95: Number | None
    p99: Number | None
    calls_per_sample: Count
    elapsed_s: Number
    stop_reason: Literal["converged", "interrupted", "budget", "n_max"]
