"""The libraries that networks come from, and how one is imported. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, util
from types import SimpleNamespace
from typing import Any

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.catalogue.entry import Entry, Option

UNKNOWN = "unknown"
NEEDS = ("torch", "torchvision", "timm", "transformers")
"""Packages whose versions decide whether a library can be imported."""
WEIGHTS = {
    "cache_dir",
    "checkpoint_path",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "use_pretrained_backbone",
    "weights",
    "weights_backbone",
}
"""Options by which libraries fetch or read weights."""
HUB = "huggingface_hub.constants"
SETTING = "HF_HUB_OFFLINE"
"""What the hub's client looks at, in this module, when it is about to ask."""


@dataclass(frozen=True)
class Library:
    """A library that networks come from: the name of its package, and what archbench says of it."""

    name: str
    source: str
    options: tuple[Option, ...] = ()

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'archbench[{self.name}]'"

    @property
    def version(self) -> str | None:
        """Its version; None where it is not installed."""
        return (version_of(self.name) or UNKNOWN) if util.find_spec(self.name) else None


LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "timm",
            "huggingface/pytorch-image-models",
            (
                Option(
                    "pyramid",
                    values=("none", "simple"),
                    default="none",
                    help="maps of a plain transformer, all of one stride, at four (ViTDet)",
                ),
                Option(
                    "fused",
                    values=(False, True),
                    default=False,
                    help="branches and norms that timm joins into one convolution before it runs",
                ),
            ),
        ),
        Library("torchvision", "pytorch/vision"),
        Library("transformers", "huggingface/transformers"),
    )
}


@contextmanager
def importable(entry: Entry) -> Iterator[None]:
    """Let a library's networks import what they need when they are made, and ask no hub for it."""
    hub = import_module(HUB) if util.find_spec(HUB.partition(".")[0]) else SimpleNamespace()
    before = getattr(hub, SETTING, False)
    setattr(hub, SETTING, True)
    try:
        yield
    finally:
        setattr(hub, SETTING, before)


def drawn(options: dict[str, Any]) -> dict[str, Any]:
    """Copy the options of a network whose weights are drawn; raises UsageError for those that
    would have a library fetch or read some.
    """
    for name in sorted(options.keys() & WEIGHTS):
        raise UsageError(f"it takes no option {name}: weights are random, or loaded with --weights")
    return dict(options)


def facts(entry: Entry) -> dict[str, Any]:
    """What an environment says of a library: its version and those of what it stands on."""
    return {"libraries": versions(entry.origin)}


def versions(origin: str) -> dict[str, str | None]:
    """The versions of an origin that is a library and of what it stands on, but for torch; empty
    for any other.
    """
    needed = [need for need in NEEDS if need != "torch" and util.find_spec(need)]
    return {need: version_of(need) for need in needed} if origin in LIBRARIES else {}


def load(name: str) -> Any:
    """Import a library; raises UsageError, in one line, where it is missing or broken."""
    library = LIBRARIES[name]
    if library.version is None:
        raise UsageError(f"{name} is not installed: {library.install}")
    try:
        return import_module(name)
    except Exception as error:  # A library that does not fit another raises anything.
        raise UsageError(f"{name} {library.version} cannot be imported{_cause(error)}") from error


def _cause(error: Exception) -> str:
    """Why a library cannot be imported: most often for want of torchvision's operators."""
    said = first_line(error)
    if "torchvision::" in said:
        return (
            f": torchvision {version_of('torchvision')} is built for another torch than "
            f"{version_of('torch')}; install the one that fits it ({said})"
        )
    return f": {type(error).__name__}: {said}"


def version_of(package: str) -> str | None:
    from importlib import metadata  # Reads mail headers: too much for a list that asks of none.

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
