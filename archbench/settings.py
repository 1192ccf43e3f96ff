"""How a spec is measured (`Settings`). A field declares, once, all that follows from it: its flag
and help, its words in titles and on the page, whether it keeps records apart. Torch-free.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any

from archbench.engine_names import canonical, check_engine, mode_of, renewed
from archbench.escaping import storable
from archbench.setting import (
    Bearing,
    Setting,
    a_device,
    a_duration,
    a_fraction,
    a_seed,
    above_0,
    one_of,
    setting,
)
from archbench.spec import Spec, UsageError

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")
MEMORY_FORMATS = ("contiguous", "channels_last")


@dataclass(frozen=True)
class Settings:
    """How a spec is measured. Every field stands in the record; the defaults are the default
    protocol.
    """

    device: str = setting(
        "auto",
        Setting(
            words="device",
            bearing=Bearing.NOTHING,
            flag="--device",
            help="auto, cpu, cuda or cuda:N.",
            check=a_device,
            page=None,
        ),
    )
    engine: str = setting(
        "eager",
        Setting(
            words="engine",
            bearing=Bearing.FIGURE,
            flag="--engine",
            help="What runs the network: eager, compile, compile:MODE, onnxruntime, openvino or "
            "tensorrt (archbench list engines).",
            check=check_engine,
            stands_alone=True,
        ),
    )
    """What runs the network without its postprocessing: one of `ENGINE_NAMES`, or compile:MODE."""
    precision: str = setting(
        "fp32",
        Setting(
            words="precision",
            bearing=Bearing.FIGURE,
            flag="--precision",
            help="fp32 (IEEE), tf32, fp16, bf16 or int8.",
            check=one_of("precision", PRECISIONS),
            stands_alone=True,
            always_told=True,
        ),
    )
    memory_format: str = setting(
        "contiguous",
        Setting(
            words="memory format",
            bearing=Bearing.FIGURE,
            flag="--memory-format",
            help="contiguous or channels_last.",
            check=one_of("memory format", MEMORY_FORMATS),
            stands_alone=True,
            always_told=True,
        ),
    )
    threads: int | None = setting(
        None,
        Setting(
            words="threads",
            bearing=Bearing.JOB,  # The environment tells how many there were.
            flag="--threads",
            help="CPU threads. Default: the physical cores available to this process.",
            check=above_0,
            page=None,
        ),
    )
    """CPU threads; None: the physical cores that this process may use."""
    seed: int = setting(
        0,
        Setting(
            words="seed",
            bearing=Bearing.JOB,
            flag="--seed",
            help="Seed for weights and inputs.",
            check=a_seed,
        ),
    )
    cudnn_benchmark: bool = setting(
        True,
        Setting(
            words="cudnn.benchmark",
            bearing=Bearing.FIGURE,
            flag="--cudnn-benchmark",
            help="Let cuDNN benchmark its algorithms and pick the fastest.",
            cuda_only=True,
        ),
    )
    target: float = setting(
        0.01,
        Setting(
            words="target half-width of the interval, relative",
            bearing=Bearing.JOB,
            flag="--target",
            help="Stop timing once the 95 % confidence interval of the median is within this "
            "fraction of it, above and below.",
            check=a_fraction,
            quick=0.02,
        ),
    )
    """Half-width of the median's 95 % interval at which sampling stops, relative to the median."""
    n_min: int = setting(
        50,
        Setting(words="min samples", bearing=Bearing.JOB, flag=None, check=above_0, quick=20),
    )
    n_max: int = setting(
        20_000,
        Setting(words="max samples", bearing=Bearing.JOB, flag=None, check=above_0, page=None),
    )
    t_min_s: float = setting(
        3.0,
        Setting(
            words="min timing (s)",
            bearing=Bearing.JOB,
            flag=None,
            check=a_duration,
            quick=0.5,
        ),
    )
    budget_s: float = setting(
        30.0,
        Setting(
            words="max timing (s)",
            bearing=Bearing.JOB,
            flag="--budget",
            help="Maximum seconds of timing.",
            check=a_duration,
            quick=5.0,
        ),
    )
    images: str | None = setting(
        None,
        Setting(
            words="pictures",
            bearing=Bearing.FIGURE,
            flag="--images",
            help="Time on the pictures in a folder instead of random inputs.",
            metavar="DIR",
            page="pictures",
            is_path=True,
            of_one_network=True,
        ),
    )
    """Folder of pictures to time on; None: random normal inputs."""
    weights: str | None = setting(
        None,
        Setting(
            words="loaded weights",
            bearing=Bearing.FIGURE,
            flag="--weights",
            help="Checkpoint to load: PyTorch or safetensors, tensors only (no pickled code).",
            metavar="FILE",
            page="weights",
            is_path=True,
            of_one_network=True,
        ),
    )
    """Checkpoint that is loaded; None: weights drawn from the seed and calibrated."""
    fold_bn: bool = setting(
        False,
        Setting(
            words="batch norms folded",
            bearing=Bearing.FIGURE,
            flag="--fold-bn",
            help="Fold batch norms into the preceding convolutions.",
        ),
    )
    cuda_graph: bool = setting(
        False,
        Setting(
            words="CUDA graph",
            bearing=Bearing.FIGURE,
            flag="--cuda-graph",
            help="Replay the network as a CUDA graph.",
        ),
    )
    """Whether the network without its postprocessing is replayed as a CUDA graph."""
    deterministic: bool = setting(
        False,
        Setting(
            words="deterministic",
            bearing=Bearing.FIGURE,
            flag="--deterministic",
            help="Use deterministic algorithms only.",
        ),
    )
    """Whether only deterministic algorithms are used; cuDNN then tries none out."""
    spin: bool = setting(
        False,
        Setting(
            words="spinning threads",
            bearing=Bearing.FIGURE,
            flag="--spin",
            help="Let the engine's threads spin between calls.",
        ),
    )
    """Whether an engine's threads keep their cores busy between calls, where it has a choice."""
    flush_cache: bool = setting(
        False,
        Setting(
            words="caches flushed before each call",
            bearing=Bearing.FIGURE,
            flag="--flush-cache",
            help="Empty the caches before each timed call.",
        ),
    )
    """Whether a timed call finds nothing in the caches; otherwise they are warm from the last."""
    allow_shared: bool = setting(
        False,
        Setting(
            words="shared cards allowed",
            bearing=Bearing.JOB,
            flag="--allow-shared",
            help="Measure even if other processes use the card; flag the figures.",
        ),
    )
    energy_s: float = setting(
        10.0,
        Setting(
            words="energy run (s)",
            bearing=Bearing.JOB,
            flag=None,
            check=a_duration,
            quick=5.0,
        ),
    )
    total_s: float | None = setting(
        None,
        Setting(
            words="max after the first call (s)",
            bearing=Bearing.NOTHING,
            flag=None,
            check=a_duration,
            quick=30.0,
            page=None,
        ),
    )
    """Seconds that all phases after the first call may take together; None: no end."""
    roofline: bool = setting(
        False,
        Setting(
            words="roofline",
            bearing=Bearing.JOB,
            flag="--roofline",
            help="Measure the device's peaks (10 s, then cached) and how close the network comes.",
            page=None,
        ),
    )
    deadline_s: float | None = setting(
        None,
        Setting(
            words="deadline (s)",
            bearing=Bearing.NOTHING,
            flag="--deadline",
            help="End a job after this many seconds. Default: 3 x budget + 600.",
            check=a_duration,
            page=None,
        ),
    )
    """Seconds after which the whole job is ended; None: three times its budget and 600 s to start.
    """

    def __post_init__(self) -> None:
        for name, declared in SETTINGS.items():
            if declared.check:
                declared.check(name, getattr(self, name))
        object.__setattr__(self, "engine", canonical(self.engine))
        if self.cuda_graph and self.compile_mode:
            raise UsageError(
                "choose either --compile or --cuda-graph (compile mode reduce-overhead does both)"
            )

    def check(self, spec: Spec) -> None:
        """Raise UsageError where a spec cannot be measured so."""
        if spec.has_weights and (self.weights or self.fold_bn):
            flag = "leave out --weights" if self.weights else "leave out --fold-bn"
            raise UsageError(f"{spec.backbone} has its own weights: {flag}")
        if spec.mode == "train" and (self.fold_bn or self.cuda_graph):
            what = "folded batch norms are" if self.fold_bn else "a CUDA graph is"
            raise UsageError(f"{what} not available for training steps")

    @property
    def engine_name(self) -> str:
        """One of `ENGINE_NAMES`: the engine without its mode."""
        return self.engine.partition(":")[0]

    @property
    def compile_mode(self) -> str | None:
        """torch.compile's mode; None: the network is not compiled."""
        return mode_of(self.engine)

    @property
    def deadline(self) -> float:
        """Seconds after which the supervisor ends the job."""
        return self.deadline_s if self.deadline_s is not None else 3 * self.budget_s + 600

    @property
    def allowance_s(self) -> float | None:
        """`total_s`, or more where a longer budget was asked for."""
        return None if self.total_s is None else max(self.total_s, 3 * self.budget_s)

    def flags(self) -> str:
        """The flags of `archbench profile` that make these settings, with a space before each."""
        protocol = min((DEFAULT, QUICK), key=self._distance)
        words = ["--quick"] if protocol is QUICK else []
        for name in sorted(SETTINGS, key=lambda name: isinstance(getattr(DEFAULT, name), bool)):
            if getattr(self, name) != getattr(protocol, name):
                words += SETTINGS[name].arguments(getattr(self, name))
        return "".join(f" {shlex.quote(word)}" for word in words)

    def _distance(self, protocol: Settings) -> int:
        """In how many of what no flag gives these settings differ from a protocol's: none, unless
        their record is older than one of the fields.
        """
        of_none = [name for name, declared in SETTINGS.items() if declared.flag is None]
        return sum(getattr(self, name) != getattr(protocol, name) for name in of_none)

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as plain data, the form that records hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """Read what `to_dict` wrote, now or earlier, ignoring what this version does not know."""
        return cls(**{key: value for key, value in renewed(data).items() if key in SETTINGS})


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {field.name: field.metadata["setting"] for field in fields(Settings)}
)
"""What each field declares, by its name."""
DEFAULT = Settings()
"""The default protocol."""
QUICK = Settings(
    **{name: declared.quick for name, declared in SETTINGS.items() if declared.quick is not None}
)
"""The quick protocol: a wider interval in a few seconds."""


def same_job(settings: Settings, other: Settings) -> bool:
    """Whether a record with the one settings is a result of a job with the other."""
    return _are_same(settings, other, (Bearing.FIGURE, Bearing.JOB))


def same_figures(settings: Settings, other: Settings) -> bool:
    """Whether both define what is measured alike; how long it is measured may differ."""
    return _are_same(settings, other, (Bearing.FIGURE,))


def _are_same(settings: Settings, other: Settings, bearings: tuple[Bearing, ...]) -> bool:
    return all(
        storable(getattr(settings, name)) == storable(getattr(other, name))
        for name, declared in SETTINGS.items()
        if declared.bearing in bearings
    )
