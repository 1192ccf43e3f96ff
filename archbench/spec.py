"""What is asked: which network (`Spec`) and how it is to be measured (`Settings`). Imports nothing
heavy.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict, dataclass, fields
from math import inf
from typing import Any, Literal, TypeAlias

OptionValue: TypeAlias = bool | int | float | str

DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?")
PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
MAX_SEED = 2**63
MAX_SIDE = 2**20
FLAGS = ("backbone", "detector", "size", "classes", "batch", "mode")
"""What a spec has besides options, so that no option has such a name."""
MEMORY_FORMATS = ("contiguous", "channels_last")
COMPILE_MODES = ("none", "default", "reduce-overhead", "max-autotune")
VALUED = {
    "device": "--device",
    "precision": "--precision",
    "memory_format": "--memory-format",
    "threads": "--threads",
    "seed": "--seed",
    "budget_s": "--budget",
    "deadline_s": "--deadline",
    "images": "--images",
    "weights": "--weights",
    "compile": "--compile",
}
"""Settings and the flags that take their values."""
SWITCHES = {
    "cudnn_benchmark": "--no-cudnn-benchmark",
    "fold_bn": "--fold-bn",
    "cuda_graph": "--cuda-graph",
    "deterministic": "--deterministic",
    "allow_shared": "--allow-shared",
    "roofline": "--roofline",
}
"""Settings and the flags that turn them from their defaults."""


class UsageError(ValueError):
    """Something the user asked for cannot be: one line that says what to do. The command line exits
    with 2.
    """


def parse_size(size: str | int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Read an input size: 320 (a square), "1344x800" (width x height) or (1344, 800), in pixels."""
    if size is None:
        return None
    if isinstance(size, str):
        match = re.fullmatch(r"(\d+)(?:[xX](\d+))?", size.strip())
        if not match:
            raise UsageError(f"size {size!r} is neither a side (320) nor WIDTHxHEIGHT (1344x800)")
        size = (int(match[1]), int(match[2] or match[1]))
    elif isinstance(size, int):
        size = (size, size)
    if len(size) != 2:
        raise UsageError(f"size {size} is not (width, height)")
    width, height = (int(side) for side in size)
    if width < 1 or height < 1:
        raise UsageError(f"size {width}x{height} has a side below 1 pixel")
    if max(width, height) > MAX_SIDE:
        raise UsageError(f"size {width}x{height} has a side above {MAX_SIDE:,} pixels")
    return width, height


def parse_value(text: str) -> OptionValue:
    """Read an option's value as a boolean, a whole number, a number or a word, whichever fits
    first.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for cast in (int, float):
        try:
            return cast(text)
        except ValueError:
            continue
    return text


def parse_options(texts: list[str]) -> dict[str, OptionValue]:
    """Read KEY=VALUE texts into options; the last of two values for one key holds."""
    options: dict[str, OptionValue] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not (key and equals and value.strip()):
            raise UsageError(f"option {text!r} is not of the form KEY=VALUE, such as stem=conv")
        if key in FLAGS:
            raise UsageError(f"{key} is no option of a network, it is given by itself: --{key}")
        options[key] = parse_value(value.strip())
    return options


def format_value(value: OptionValue) -> str:
    """Write an option's value as `parse_value` reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _classes(count: int) -> str:
    return "trunk alone" if not count else "1 class" if count == 1 else f"{count} classes"


@dataclass(frozen=True)
class Spec:
    """One network at one input, in normal form: two spellings of the same network give equal specs.

    `registry.resolve` makes specs. Sizes are pixels; `classes` counts foreground classes (0: the
    trunk alone); `options` holds those that differ from their defaults, sorted by key.
    """

    backbone: str
    detector: str | None
    width: int
    height: int
    classes: int
    batch: int = 1
    mode: Literal["infer", "train"] = "infer"
    options: tuple[tuple[str, OptionValue], ...] = ()

    @property
    def size(self) -> str:
        """The input as WIDTHxHEIGHT."""
        return f"{self.width}x{self.height}"

    @property
    def options_text(self) -> str:
        """The options as key=value;key=value, the form of the data files."""
        return ";".join(f"{key}={format_value(value)}" for key, value in self.options)

    def __str__(self) -> str:
        network = f"{self.backbone} + {self.detector}" if self.detector else self.backbone
        parts = [network, self.size, _classes(self.classes)]
        if self.options:
            parts.append(self.options_text)
        if self.batch != 1:
            parts.append(f"batch {self.batch}")
        if self.mode == "train":
            parts.append("training")
        return ", ".join(parts)

    def command(self) -> str:
        """The command line that profiles this spec."""
        words = ["archbench", "profile", self.backbone]
        if self.detector:
            words += ["--detector", self.detector]
        words += ["--size", self.size, "--classes", str(self.classes)]
        if self.batch != 1:
            words += ["--batch", str(self.batch)]
        if self.mode == "train":
            words.append("--train")
        for key, value in self.options:
            words += ["--option", f"{key}={format_value(value)}"]
        return shlex.join(words)

    def to_dict(self) -> dict[str, Any]:
        """Give the spec as plain data, the form that records hold."""
        return asdict(self) | {"options": dict(self.options)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Spec:
        """Read what `to_dict` wrote; raises KeyError or TypeError where it is something else."""
        return cls(**(data | {"options": tuple(sorted(data["options"].items()))}))


@dataclass(frozen=True)
class Settings:
    """How a spec is measured. Every field stands in the record; the defaults are the default
    protocol.
    """

    device: str = "auto"
    precision: str = "fp32"
    memory_format: str = "contiguous"
    threads: int | None = None
    """CPU threads; None: the physical cores that this process may use."""
    seed: int = 0
    cudnn_benchmark: bool = True
    target: float = 0.01
    """Half-width of the median's 95 % interval at which sampling stops, relative to the median."""
    n_min: int = 50
    n_max: int = 20_000
    t_min_s: float = 3.0
    budget_s: float = 30.0
    images: str | None = None
    """Folder of pictures to time on; None: random normal inputs."""
    weights: str | None = None
    """Checkpoint that is loaded; None: weights drawn from the seed and calibrated."""
    fold_bn: bool = False
    """Whether batch normalisations are folded into the convolutions before them."""
    compile: str = "none"
    """torch.compile's mode for the network without its postprocessing; none: eager."""
    cuda_graph: bool = False
    """Whether the network without its postprocessing is replayed as a CUDA graph."""
    deterministic: bool = False
    """Whether only deterministic algorithms are used; cuDNN then tries none out."""
    allow_shared: bool = False
    """Whether a card is measured, and flagged, although other processes use it."""
    energy_s: float = 10.0
    """Seconds of load over which power is averaged."""
    roofline: bool = False
    """Whether the device's peaks are measured and the time is set beside what they bound."""
    deadline_s: float | None = None
    """Seconds after which the whole job is ended; None: three times its budget and 600 s to start.
    """

    def __post_init__(self) -> None:
        if not DEVICES.fullmatch(self.device):
            raise UsageError(f"device {self.device!r} is none of auto, cpu, cuda, cuda:N")
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision {self.precision!r} is none of {', '.join(PRECISIONS)}")
        if self.memory_format not in MEMORY_FORMATS:
            raise UsageError(
                f"memory format {self.memory_format!r} is none of {', '.join(MEMORY_FORMATS)}"
            )
        if self.compile not in COMPILE_MODES:
            raise UsageError(f"compile mode {self.compile!r} is none of {', '.join(COMPILE_MODES)}")
        if self.cuda_graph and self.compile != "none":
            raise UsageError(
                "a network is compiled or replayed as a CUDA graph, not both (compile mode "
                "reduce-overhead does both)"
            )
        for name in ("threads", "n_min", "n_max", "budget_s", "target", "energy_s", "deadline_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise UsageError(f"{name} is {value}: it must be above 0 and finite")
        if not 0 <= self.seed < MAX_SEED:
            raise UsageError(f"seed is {self.seed}: it must be 0 or more and below 2**63")

    def check(self, spec: Spec) -> None:
        """Raise UsageError where a spec cannot be measured so."""
        for asked, what in (
            (self.fold_bn, "folded batch norms are"),
            (self.cuda_graph, "a CUDA graph is"),
        ):
            if asked and spec.mode == "train":
                raise UsageError(f"{what} for inference only, not for training steps")

    @property
    def deadline(self) -> float:
        """Seconds after which the supervisor ends the job."""
        return self.deadline_s if self.deadline_s is not None else 3 * self.budget_s + 600

    def flags(self) -> str:
        """The flags of `archbench profile` that make these settings, with a space before each."""
        quick = (self.target, self.n_min, self.t_min_s) == (
            QUICK.target,
            QUICK.n_min,
            QUICK.t_min_s,
        )
        usual = QUICK if quick else Settings()
        words = ["--quick"] if quick else []
        for name, flag in VALUED.items():
            if getattr(self, name) != getattr(usual, name):
                words += [flag, f"{getattr(self, name)}"]
        words += [
            flag for name, flag in SWITCHES.items() if getattr(self, name) != getattr(usual, name)
        ]
        return "".join(f" {shlex.quote(word)}" for word in words)

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as plain data, the form that records hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """Read what `to_dict` wrote, ignoring what this version does not know."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})


QUICK = Settings(target=0.02, n_min=20, t_min_s=0.5, budget_s=5.0, energy_s=5.0)
"""The quick protocol: a wider interval in a few seconds."""
