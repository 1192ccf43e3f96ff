"""What an engine declares, and what it can be asked for."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from archbench.spec import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Run: TypeAlias = "Callable[[Tensor], list[Tensor]]"
"""Runs a network on images [B, 3, H, W] of its device; gives its outputs in the file's order, which
the next call may overwrite.
"""


class UnsupportedError(Exception):
    """An engine cannot hold a network; the message names the operator."""

    @classmethod
    def check(cls, error: Exception, engine: str, *patterns: str) -> None:
        """Raise it where an engine's error says that it does not have an operator, which the first
        group of a pattern finds.
        """
        for pattern in patterns:
            if found := re.search(pattern, str(error)):
                raise cls(f"{engine} has no operator {found[1].strip()}") from error


@dataclass(frozen=True)
class Package:
    """A distribution that an engine needs, and the least version of it that fits."""

    name: str
    least: str
    below: str = ""
    """The first version that no longer fits; empty where all do."""
    also: tuple[str, ...] = ()
    """Other distributions of the same, such as one for cards."""

    def version(self) -> str | None:
        """The version that is installed, by its metadata; None where none is."""
        return next(filter(None, map(_version, (self.name, *self.also))), None)


EXPORTERS = (Package("onnx", "1.23"), Package("onnxscript", "0.5"))
"""What torch exports to ONNX with."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One way to run networks. What needs the engine's library or torch loads it when called."""

    name: str
    summary: str
    """What it is, in a few words."""
    extra: str = ""
    """The extra of archbench that installs it; empty where archbench itself does."""
    runtimes: tuple[Package, ...] = ()
    """What runs the network: its versions keep records apart."""
    makers: tuple[Package, ...] = ()
    """What makes the file that it runs."""
    quantisers: tuple[Package, ...] = ()
    """What int8 takes besides."""
    on_cpu: tuple[str, ...]
    """Its precisions on a CPU."""
    on_cuda: tuple[str, ...]
    """Its precisions on a CUDA device."""
    honours: frozenset[str] = frozenset()
    """Which of the settings that some engine ignores it does not ignore."""
    trains: bool = False
    """Whether it runs training steps."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Its precisions on one device or another."""
        return tuple(dict.fromkeys((*self.on_cpu, *self.on_cuda)))

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'archbench[{self.extra}]'" if self.extra else "pip install torch"

    def why_not(self, precision: str = "fp32") -> str:
        """Say in a line why it cannot be used here in a precision, and what installs it; empty
        where it can.
        """
        quantisers = self.quantisers if precision == "int8" else ()
        return why_not((*self.runtimes, *self.makers, *quantisers), self.install)

    def versions(self) -> Mapping[str, str]:
        """Give the versions of what runs the network, as far as it is installed."""
        found = {package.name: package.version() for package in self.runtimes}
        return {name: version for name, version in found.items() if version}

    def check_precision(self, precision: str, device: str) -> None:
        """Raise UsageError for a precision that it does not have on a device: cpu, cuda, or auto
        for one of them.
        """
        choices = {"cpu": self.on_cpu, "cuda": self.on_cuda}.get(device, self.precisions)
        if not choices:
            other = "cpu" if self.on_cpu else "cuda"
            raise UsageError(f"engine {self.name} runs on --device {other} only, not on {device}")
        if precision not in choices:
            where = "" if device == "auto" else f" on {device}"
            raise UsageError(
                f"invalid precision {precision!r} for engine {self.name}{where} "
                f"(choose from {', '.join(choices)})"
            )


def why_not(packages: Iterable[Package], install: str) -> str:
    """Say in a line which of some packages cannot be used here and why, and the command that
    installs it; empty where all can.
    """
    for package in packages:
        version = package.version()
        if version is None:
            return f"{package.name} is not installed: {install}"
        if _numbers(version) < _numbers(package.least):
            needed = f"{package.least} or newer is needed"
            return f"{package.name} {version} is too old ({needed}): {install}"
        if package.below and _numbers(version) >= _numbers(package.below):
            needed = f"older than {package.below} is needed"
            return f"{package.name} {version} is too new ({needed}): {install}"
    return ""


def _version(distribution: str) -> str | None:
    """The version of a distribution that is installed, by its metadata; None where it is not."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the head of a version."""
    head = re.match(r"[0-9]+(\.[0-9]+){0,3}", version)
    return tuple(map(int, head[0].split("."))) if head else ()


@dataclass(frozen=True)
class How:
    """How a file is to be run."""

    precision: str
    threads: int
    device: torch.device
    spin: bool = False
    """Whether threads keep their cores busy between calls."""


@dataclass(frozen=True)
class Loaded:
    """A network that an engine is ready to run, and what it says of how it will."""

    run: Run
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FileEngine(Engine, ABC):
    """An engine that runs an exported ONNX file, or one that it makes of that."""

    makers: tuple[Package, ...] = EXPORTERS
    plain: frozenset[str] = frozenset()
    """Operators of ours that are exported as plain ones, since it lacks what ONNX has for them."""

    def converts(self, precision: str) -> bool:
        """Whether it runs another file than the exported one in a precision."""
        return False

    def convert(
        self, exported: Path, folder: Path, precision: str, examples: Sequence[Tensor]
    ) -> Path:
        """Make the file of such a precision in a folder out of the exported one, calibrated on
        batches of images where it is of integers; give where it begins.
        """
        raise NotImplementedError

    @abstractmethod
    def load(self, path: Path, how: How) -> Loaded:
        """Have a file ready to be run; raises UnsupportedError where it cannot hold the network."""
