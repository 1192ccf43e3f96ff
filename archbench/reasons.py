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
    OOM = Ended("oom", "memory was not enough", is_finished=True)
    TIMEOUT = Ended("timeout", "it was not done by its deadline", is_finished=True)
    ERROR = Ended("error", "it failed", is_finished=True)
    SKIPPED = Ended("skipped", "it was not begun")
    INTERRUPTED = Ended("interrupted", "it was ended early on request")


class Reason(_Code):
    """Why a job did not end well, or why a figure is missing."""

    cause: str
    is_retried: bool
    loses_place: bool

    # Of jobs
    DEADLINE = Because("deadline", "not done by its deadline", "a longer --deadline")
    INTERRUPTED = Because("interrupted", "the job was ended early on request")
    OUT_OF_MEMORY = Because("out_of_memory", "memory was not enough", "a smaller --batch or --size")
    REFUSED = Because("refused", "it cannot be what was asked for")
    NO_RESULT = Because("no_result", "the worker ended without a result")
    KILLED = Because("killed", "the worker was killed from outside")
    CPU_LIMIT = Because(
        "cpu_limit", "the limit of processor time was reached", "a larger one: ulimit -t"
    )
    TEMPORARY_FULL = Because(
        "temporary_full", "the folder of temporary files is full", "another one: TMPDIR"
    )
    GPU_BUSY = Because("gpu_busy", "others used the card", "--allow-shared", is_retried=True)
    GPU_LOST = Because(
        "gpu_lost",
        "the card was lost: it fell off its bus or needs a reset",
        "restart the machine; check its power and cooling",
        "a card is lost: off its bus, or in need of a reset",
        is_retried=True,
        loses_place=True,
    )
    UNSUPPORTED = Because("unsupported", "the engine cannot hold the network")
    NODE_LOST = Because("node_lost", "the cluster lost the node or its process", loses_place=True)

    # Of figures, by what was asked for and how far the job came
    CPU_DEVICE = Because("cpu_device", "no figure of a CPU device")
    NO_POSTPROCESS = Because("no_postprocess", "nothing to postprocess")
    POST_IN_FORWARD = Because(
        "post_in_forward", "its forward pass gives final detections: the total is that of both"
    )
    NO_PARTS = Because("no_parts", "no parts to tell apart")
    ONE_GRAPH = Because("one_graph", "compiled or captured as a whole")
    GRAPH_POOL = Because(
        "graph_pool", "the memory of a CUDA graph is a pool of its own, taken before the calls"
    )
    NOT_CAPTURABLE = Because(
        "not_capturable", "a CUDA graph cannot hold a network that waits for its own results"
    )
    NO_KERNELS_SEEN = Because(
        "no_kernels_seen",
        "torch's profiler saw no kernel",
        "end other profilers of the card",
    )
    IN_TORCH = Because("in_torch", "of engines that run a prepared file")
    IN_ENGINE = Because("in_engine", "the engine holds it in a form of its own")
    NO_EAGER = Because("no_eager", "a graph has no eager form to be held against")
    NO_PICTURES = Because("no_pictures", "no pictures were given", "--images")
    NOT_FINITE = Because("not_finite", "numbers that are not finite, or nothing in common")
    NO_DETECTIONS = Because("no_detections", "neither eager nor the engine detected anything")
    NO_PEAK_PROBED = Because("no_peak_probed", "of precisions in which torch measures the peaks")
    NO_INFERENCE = Because("no_inference", "of inference, not of training steps")
    TRAINING = Because("training", "no figure of a training step")
    FUSED = Because("fused", "of operators by themselves, not fused")
    WARM_CACHES = Because("warm_caches", "of calls one after another, which find the caches warm")
    NOT_REACHED = Because("not_reached", "the job ended before it")

    # Of figures, by the records and rows that there are
    UNREADABLE = Because("unreadable", "what the record holds of it is no value")
    NOT_ASKED_FOR = Because("not_asked_for", "not asked for")
    NOT_COUNTED = Because("not_counted", "no record has the counts")
    NOT_MEASURED = Because("not_measured", "no record of it")
    NOT_BUILT = Because("not_built", "the zoo does not build it")
    PROCEDURE = Because("procedure", "of several passes an image")
    NEEDS_CUDA_DEVICE = Because("needs_cuda_device", "needs a CUDA device")
    NEEDS_CPU_DEVICE = Because("needs_cpu_device", "needs records of a CPU")

    # Of figures, by what the machine tells
    NO_PEAK_FROM_KERNEL = Because(
        "no_peak_from_kernel",
        "the kernel keeps no peak here",
        "use Linux; in a container, one that leaves /proc writable",
        "the kernel keeps no peak that can be reset (/proc/self/clear_refs)",
    )
    RAPL_ABSENT = Because(
        "rapl_absent",
        "this machine shows no energy counters of its CPU",
        "measure on the machine itself, under Linux with the module intel_rapl_msr",
        "the kernel shows no energy counters, as in most virtual machines",
    )
    RAPL_NO_PERMISSION = Because(
        "rapl_no_permission",
        "the CPU's energy counters are for root only here",
        "sudo chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj",
        "only root may read the energy counters",
    )
    NVML_BINDING_MISSING = Because(
        "nvml_binding_missing",
        "nvidia-ml-py, NVIDIA's binding, is not installed",
        "pip install nvidia-ml-py",
        "the driver cannot be asked",
    )
    NVML_LIBRARY_MISSING = Because(
        "nvml_library_missing",
        "NVIDIA's library libnvidia-ml is not there or does not load",
        "with an NVIDIA card, install its driver; in a container, start it with --gpus all",
        "there is no NVIDIA driver here",
    )
    NVML_TRANSIENT = Because(
        "nvml_transient",
        "the driver did not answer, nor when asked three times again",
        "see whether nvidia-smi does; restart the machine if not",
        "the NVIDIA driver does not answer",
    )
    NO_CARD = Because(
        "no_card",
        "the driver shows no card",
        "see whether nvidia-smi lists one; in a container, start it with --gpus all",
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
        "NVIDIA's driver and library are of different versions: restart the machine",
        "restart the machine",
        "the NVIDIA driver was updated and its old version still runs",
    )
    DRIVER_TOO_OLD = Because(
        "driver_too_old",
        "NVIDIA's driver is too old for it",
        "install a newer one",
        "the NVIDIA driver is too old to be asked",
    )
    NO_PERMISSION = Because(
        "no_permission",
        "the driver does not permit to ask",
        "ask for access to /dev/nvidia*",
        "the NVIDIA driver refuses this user",
    )
    NOT_SUPPORTED = Because(
        "not_supported",
        "the device does not offer it",
        "time and memory do not need it",
        "the card has no power sensor that its driver would read",
    )
    NOT_TOLD_BY_PROCESS = Because("not_told_by_process", "the driver does not tell it by process")
    MIG = Because(
        "mig",
        "the card is cut into slices (MIG) and tells the power of the whole alone",
        "use a card that is not cut",
        "the card is cut into slices (MIG) and its power is that of all of them",
    )

    # Of figures, by what the sensors gave
    CONTENDED = Because(
        "contended", "another process was on the card (--allow-shared measures all the same)"
    )
    WINDOW_TOO_SHORT = Because("window_too_short", "too few seconds of load to tell")
    WINDOW_NOT_COVERED = Because(
        "window_not_covered", "samples do not reach both ends of the seconds that count"
    )
    SAMPLER_STARVED = Because("sampler_starved", "samples were too far apart")
    NO_VALID_SAMPLES = Because("no_valid_samples", "the sensor gave no power above zero")
    COUNTER_STUCK = Because("counter_stuck", "the energy counter hardly moved")
    COUNTER_RESET = Because("counter_reset", "the energy counter went backwards")
    IDLE_NOT_QUIET = Because(
        "idle_not_quiet", "the device was not at rest when idle power was measured"
    )

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        return cls._read(Because(value, value)) if isinstance(value, str) else None


class Flag(_Code):
    """What warns of a figure without taking it back."""

    is_flaw: bool
    disturbs: bool

    CI_NOT_MET = Warns(
        "ci_not_met",
        "the interval is wider than asked",
        "give it more time (--budget) or quiet the machine",
        is_flaw=True,
    )
    NOT_REPEATABLE = Warns("not_repeatable", "the medians of several processes lie far apart")
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
        "the host gave more than 2 % of this virtual machine's processor time to others",
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
        "see that nobody does",
    )
    DRAWS_DISPLAY = Warns(
        "draws_display",
        "the card drew a display as well: what that takes is in the figures",
        "a card without a display",
    )
    LAUNCH_BOUND = Warns(
        "launch_bound",
        "the card was at work in less than 80 % of a call: the time is that of launching operators "
        "one by one, and ranks networks by their number",
        "--cuda-graph or a larger batch shows the card's own speed, as graph_latency_ms does",
    )
    CODE_UNHASHED = Warns(
        "code_unhashed",
        "the network loaded modules of yours that its hash does not cover: other code would be "
        "taken for the same network",
        "import them by name",
    )
    LOAD_RANDOM = Warns(
        "load_random",
        "detections were made of random numbers: how many there are, and what they take, is no "
        "trained network's",
        "--weights and --images",
    )
    ENGINE_DIFFERS = Warns(
        "engine_differs",
        "the engine computes something else than eager does in fp32: a number is off by more than "
        "a thousandth of the largest, or fewer than 99 % of the detections are the same",
        is_flaw=True,
    )
    LOSS_NOT_FINITE = Warns("loss_not_finite", "the loss was no number any more")
    POWER_CAPPED = Warns(
        "power_capped",
        "the card held its clocks down to stay within its power limit, as heavy load makes it",
    )
    THROTTLED = Warns(
        "throttled",
        "heat or the supply held the card's clocks down, not to be compared",
        "let it cool; check its power and cooling",
        is_flaw=True,
    )
    CLOCK_DRIFT = Warns(
        "clock_drift",
        "the card's clock moved by more than 5 %",
        "lock its clocks: archbench doctor says how",
    )
    HOT_START = Warns("hot_start", "the card was still warming up")
    POLL_RATE_REDUCED = Warns(
        "poll_rate_reduced", "the power sensor failed too often and was asked less often"
    )
    SAMPLER_GAP = Warns("sampler_gap", "samples of power were far apart somewhere")
    COUNTER_POWER_DISAGREE = Warns(
        "counter_power_disagree",
        "the energy counter and the sensor are more than 5 % apart: energy_source says whose the "
        "figure is",
    )

    @classmethod
    def _missing_(cls, value: object) -> Flag | None:
        return cls._read(Warns(value, "")) if isinstance(value, str) else None
