"""How jobs end and why, why a figure is missing, and what warns of one that is there. Each code of
a record stands here once: its words, what would help, and what follows from it. Torch-free.

Members are their codes, so that JSON holds these. `Reason` and `Flag` take codes that other
versions of archbench write, too: such a code is its own text, and nothing follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True)
class Words:
    """A code and what it says to people: what it means, and what would help, if anything would."""

    code: str
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Ended(Words):
    """The words of a status."""

    is_finished: bool = False
    """Whether the job has a result, be it that it cannot be done: `--resume` runs no other."""


@dataclass(frozen=True)
class Because(Words):
    """The words of a reason."""

    cause: str = ""
    """What is amiss on the machine, as `archbench doctor` says it; empty where it is not of one."""
    is_retried: bool = False
    """Whether the job is tried once more: the reason is the moment's, not the network's."""
    is_passing: bool = False
    """Whether the job is as good as not run: `--resume` runs it again."""
    loses_place: bool = False
    """Whether nothing more is run on that card or node."""


@dataclass(frozen=True)
class Warns(Words):
    """The words of a flag."""

    is_flaw: bool = False
    """Whether the figure is compared only where that is asked for."""
    disturbs: bool = False
    """Whether others kept the device from its peaks, so that these are not kept for later jobs."""


class _Code(StrEnum):
    """A code with its words."""

    text: str
    remedy: str

    def __new__(cls, words: Words | str) -> Self:
        # Called for members alone: Enum itself looks a bare code up.
        assert isinstance(words, Words)
        return cls._of(words)

    @classmethod
    def _of(cls, words: Words) -> Self:
        member = str.__new__(cls, words.code)
        member._value_ = words.code
        vars(member).update({name: value for name, value in vars(words).items() if name != "code"})
        return member

    @classmethod
    def _read(cls, words: Words) -> Self:
        """Make what stands for a code that is none of the members."""
        unknown = cls._of(words)
        unknown._name_ = words.code
        return unknown


class Status(_Code):
    """How a job ended."""

    is_finished: bool

    OK = Ended("ok", "it was measured, or counted, as asked", is_finished=True)
    OOM = Ended("oom", "it ran out of memory", is_finished=True)
    TIMEOUT = Ended("timeout", "it did not finish by its deadline", is_finished=True)
    ERROR = Ended("error", "it failed", is_finished=True)
    SKIPPED = Ended("skipped", "it was not started")
    INTERRUPTED = Ended("interrupted", "it was stopped early on request")


class Reason(_Code):
    """Why a job did not end well, or why a figure is missing."""

    cause: str
    is_retried: bool
    is_passing: bool
    loses_place: bool

    # Of jobs
    DEADLINE = Because("deadline", "it did not finish by its deadline", "set a longer --deadline")
    INTERRUPTED = Because("interrupted", "the job was stopped early on request")
    OUT_OF_MEMORY = Because(
        "out_of_memory", "it ran out of memory", "try a smaller --batch or --size"
    )
    REFUSED = Because("refused", "the request cannot be met")
    NO_RESULT = Because("no_result", "the worker ended without a result")
    KILLED = Because("killed", "the worker was killed from outside")
    CPU_LIMIT = Because("cpu_limit", "the limit on CPU time was reached", "raise it: ulimit -t")
    TEMPORARY_FULL = Because(
        "temporary_full",
        "the folder for temporary files is full",
        "point TMPDIR at another one",
        is_passing=True,
    )
    DISK_FULL = Because("disk_full", "a disk is full", "free some space on it", is_passing=True)
    GPU_BUSY = Because(
        "gpu_busy",
        "other processes used the card",
        "--allow-shared measures it anyway",
        is_retried=True,
    )
    GPU_LOST = Because(
        "gpu_lost",
        "the card was lost: it fell off its bus or needs a reset",
        "restart the machine; check its power and cooling",
        "a card is lost: off its bus, or in need of a reset",
        is_retried=True,
        is_passing=True,
        loses_place=True,
    )
    UNSUPPORTED = Because("unsupported", "the engine does not support the network")
    NODE_LOST = Because(
        "node_lost",
        "the cluster lost the node or its process",
        is_passing=True,
        loses_place=True,
    )

    # Of figures, by what was asked for and how far the job came
    CPU_DEVICE = Because("cpu_device", "not available on a CPU")
    NO_POSTPROCESS = Because("no_postprocess", "nothing to postprocess")
    POST_IN_FORWARD = Because(
        "post_in_forward",
        "the forward pass already returns final detections; the total covers both",
    )
    NO_PARTS = Because("no_parts", "the network has no separate parts")
    ONE_GRAPH = Because("one_graph", "compiled or captured as one graph")
    GRAPH_POOL = Because(
        "graph_pool", "a CUDA graph uses its own memory pool, allocated before the calls"
    )
    OWN_ALLOCATOR = Because(
        "own_allocator", "the engine allocates its memory itself, unseen by torch's allocator"
    )
    NOT_CAPTURABLE = Because(
        "not_capturable", "a CUDA graph cannot capture a network that waits for its own results"
    )
    NO_KERNELS_SEEN = Because(
        "no_kernels_seen",
        "torch's profiler saw no kernels",
        "stop other profilers that use the card",
    )
    IN_TORCH = Because("in_torch", "only for engines that run a prepared file")
    IN_ENGINE = Because("in_engine", "the engine stores it in its own format")
    NO_EAGER = Because("no_eager", "a graph has no eager version to compare with")
    NO_PICTURES = Because("no_pictures", "no pictures were given", "give a folder: --images")
    NOT_FINITE = Because("not_finite", "values are not finite, or outputs have little in common")
    NO_DETECTIONS = Because("no_detections", "neither eager nor the engine detected anything")
    NO_PEAK_PROBED = Because(
        "no_peak_probed", "only for precisions in which torch measures the peaks"
    )
    NO_INFERENCE = Because("no_inference", "only for inference, not for training steps")
    TRAINING = Because("training", "not available for training steps")
    FUSED = Because("fused", "only for separate operators, not fused ones")
    WARM_CACHES = Because("warm_caches", "only for back-to-back calls, which find the caches warm")
    NOT_REACHED = Because("not_reached", "the job ended before this step")

    # Of figures, by the records and rows that there are
    UNREADABLE = Because("unreadable", "the record holds no valid value")
    NOT_ASKED_FOR = Because("not_asked_for", "not asked for")
    NOT_COUNTED = Because("not_counted", "no record has the counts")
    NOT_MEASURED = Because("not_measured", "no record has the measurement")
    NOT_BUILT = Because("not_built", "the zoo does not build it")
    PROCEDURE = Because("procedure", "it takes several passes per image")
    NEEDS_CUDA_DEVICE = Because("needs_cuda_device", "needs a CUDA device")
    NEEDS_CPU_DEVICE = Because("needs_cpu_device", "needs records of a CPU")

    # Of figures, by what the machine tells
    NO_PEAK_FROM_KERNEL = Because(
        "no_peak_from_kernel",
        "the kernel keeps no resettable memory peak here",
        "use Linux; in a container, make /proc writable",
        "the kernel keeps no peak that can be reset (/proc/self/clear_refs)",
    )
    RAPL_ABSENT = Because(
        "rapl_absent",
        "this machine exposes no CPU energy counters",
        "measure on bare metal, under Linux with the module intel_rapl_msr",
        "the kernel exposes no energy counters, as in most virtual machines",
    )
    RAPL_NO_PERMISSION = Because(
        "rapl_no_permission",
        "only root may read the CPU's energy counters here",
        "sudo chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj",
        "only root may read the energy counters",
    )
    NVML_BINDING_MISSING = Because(
        "nvml_binding_missing",
        "nvidia-ml-py, NVIDIA's Python binding, is not installed",
        "pip install nvidia-ml-py",
        "the driver cannot be queried",
    )
    NVML_LIBRARY_MISSING = Because(
        "nvml_library_missing",
        "NVIDIA's library libnvidia-ml is missing or does not load",
        "if the machine has an NVIDIA card, install its driver; start containers with --gpus all",
        "there is no NVIDIA driver here",
    )
    NVML_TRANSIENT = Because(
        "nvml_transient",
        "the driver did not respond, even after three more tries",
        "check that nvidia-smi responds; if not, restart the machine",
        "the NVIDIA driver does not respond",
    )
    NO_CARD = Because(
        "no_card",
        "the driver shows no card",
        "check that nvidia-smi lists one; start containers with --gpus all",
        "the NVIDIA driver runs but shows no card",
    )
    DRIVER_NOT_LOADED = Because(
        "driver_not_loaded",
        "NVIDIA's driver is not loaded",
        "sudo modprobe nvidia, or restart the machine",
        "the NVIDIA driver is installed but not loaded",
    )
    DRIVER_LIBRARY_MISMATCH = Because(
        "driver_library_mismatch",
        "the versions of NVIDIA's driver and library do not match; restart the machine",
        "restart the machine",
        "the NVIDIA driver was updated, but the old version is still loaded",
    )
    DRIVER_TOO_OLD = Because(
        "driver_too_old",
        "NVIDIA's driver is too old to report it",
        "install a newer driver",
        "the NVIDIA driver is too old to be queried",
    )
    NO_PERMISSION = Because(
        "no_permission",
        "the driver denies access",
        "ask for access to /dev/nvidia*",
        "the NVIDIA driver denies this user access",
    )
    NOT_SUPPORTED = Because(
        "not_supported",
        "the device does not offer it",
        "nothing; time and memory are measured without it",
        "the card has no power sensor that its driver can read",
    )
    NOT_TOLD_BY_PROCESS = Because(
        "not_told_by_process", "the driver does not report it per process"
    )
    MIG = Because(
        "mig",
        "the card is partitioned (MIG) and reports power only as a whole",
        "use a card that is not partitioned",
        "the card is partitioned (MIG), and its power is that of all partitions",
    )

    # Of figures, by what the sensors gave
    CONTENDED = Because(
        "contended", "another process used the card (--allow-shared measures anyway)"
    )
    BUDGET = Because("budget", "the time that --quick allows was used up")
    WINDOW_TOO_SHORT = Because("window_too_short", "the load was too short to measure")
    WINDOW_NOT_COVERED = Because(
        "window_not_covered", "the samples do not cover the whole measurement window"
    )
    SAMPLER_STARVED = Because("sampler_starved", "samples were too far apart")
    NO_VALID_SAMPLES = Because("no_valid_samples", "the sensor reported no power above zero")
    COUNTER_STUCK = Because("counter_stuck", "the energy counter hardly moved")
    COUNTER_RESET = Because("counter_reset", "the energy counter went backwards")
    IDLE_NOT_QUIET = Because("idle_not_quiet", "the device was busy when idle power was measured")

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        return cls._read(Because(value, value)) if isinstance(value, str) else None


class Flag(_Code):
    """What warns of a figure without taking it back."""

    is_flaw: bool
    disturbs: bool

    CI_NOT_MET = Warns(
        "ci_not_met",
        "the confidence interval is wider than the target",
        "raise --budget, or stop other programs",
        is_flaw=True,
    )
    NOT_REPEATABLE = Warns("not_repeatable", "the medians of several processes differ widely")
    WARMUP_NOT_STEADY = Warns("warmup_not_steady", "times were still drifting when warm-up ended")
    CPU_CONTENDED = Warns(
        "cpu_contended",
        "other programs were using the CPU",
        "stop them, or wait",
        is_flaw=True,
        disturbs=True,
    )
    CPU_STOLEN = Warns(
        "cpu_stolen",
        "the host gave more than 2 % of this virtual machine's CPU time to others",
    )
    CONTENDED = Warns(
        "contended",
        "other programs were using the card",
        "nvidia-smi lists them: stop them, or wait",
        is_flaw=True,
        disturbs=True,
    )
    EXCLUSIVITY_UNKNOWN = Warns(
        "exclusivity_unknown",
        "the driver does not say whether other programs used the card",
        "make sure that none does",
    )
    DRAWS_DISPLAY = Warns(
        "draws_display",
        "the card also drew a display, and the figures include that work",
        "use a card without a display",
    )
    LAUNCH_BOUND = Warns(
        "launch_bound",
        "the card was busy for less than 80 % of a call: the time is that of launching operators "
        "one by one and ranks networks by their number of operators",
        "--cuda-graph or a larger batch shows the card's own speed, as graph_latency_ms does",
    )
    CODE_UNHASHED = Warns(
        "code_unhashed",
        "the network loaded modules of yours that its hash does not cover: changed code would "
        "pass for the same network",
        "import them by name",
    )
    LOAD_RANDOM = Warns(
        "load_random",
        "detections come from random numbers: their number and cost are not those of a trained "
        "network",
        "give --weights and --images",
    )
    ENGINE_DIFFERS = Warns(
        "engine_differs",
        "the engine's output differs from eager's in fp32: a value is off by more than a "
        "thousandth of the largest, or fewer than 99 % of the detections match",
        is_flaw=True,
    )
    LOSS_NOT_FINITE = Warns("loss_not_finite", "the loss was no longer finite")
    POWER_CAPPED = Warns(
        "power_capped",
        "the card lowered its clocks to stay within its power limit, as it does under heavy load",
    )
    THROTTLED = Warns(
        "throttled",
        "heat or the power supply lowered the card's clocks; do not compare these figures",
        "let the card cool; check its power and cooling",
        is_flaw=True,
    )
    CLOCK_DRIFT = Warns(
        "clock_drift",
        "the card's clock moved by more than 5 %",
        "lock its clocks: archbench doctor shows how",
    )
    HOT_START = Warns("hot_start", "the card was still warming up")
    POLL_RATE_REDUCED = Warns(
        "poll_rate_reduced", "the power sensor failed too often and was polled less often"
    )
    SAMPLER_GAP = Warns("sampler_gap", "there was a gap in the power samples")
    COUNTER_POWER_DISAGREE = Warns(
        "counter_power_disagree",
        "the energy counter and the power sensor differ by more than 5 %; energy_source names the "
        "one used",
    )

    @classmethod
    def _missing_(cls, value: object) -> Flag | None:
        return cls._read(Warns(value, "")) if isinstance(value, str) else None
