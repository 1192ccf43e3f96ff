"""Have the file made that an engine runs, in a process of its own, unless it is kept from before.
Torch-free.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from archbench import __version__, child
from archbench.engines import engine_of
from archbench.engines.eager import TORCH
from archbench.engines.engine import FileEngine, Package
from archbench.engines.graphs import graph_hash
from archbench.engines.kept import Shelf, file_hash, open_shelf
from archbench.known import code_at_first, is_ours, libraries_of
from archbench.measure.job.folder import cannot_write, hand_over
from archbench.measure.job.pictures import find_pictures
from archbench.measure.machine.host import cpu_model
from archbench.settings import Settings
from archbench.spec import ONNX, Spec, UsageError

PREPARER = (*child.command("archbench.measure.job.preparer"),)
MODEL, COUNTED = "model.onnx", "counted.json"
"""Files of an exported network: itself, and its count."""
Key = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Places:
    """Where a prepared network is kept: the shelf, under which key the exported file, and under
    which the engine's own, where it runs another.
    """

    root: str
    exported: Key
    converted: Key | None

    @property
    def shelf(self) -> Shelf:
        """The shelf itself."""
        return Shelf(Path(self.root))

    def to_dict(self) -> dict[str, Any]:
        """Give them as plain data."""
        return vars(self)

    def are_filled(self) -> bool:
        """Whether all that a job needs is there and whole."""
        for key in filter(None, (self.exported, self.converted)):
            with self.shelf.hold(key) as kept:
                if kept is None:
                    return False
        return True


def needs_file(settings: Settings) -> bool:
    """Whether the engine of some settings runs a prepared file."""
    return isinstance(engine_of(settings), FileEngine)


def places_of(spec: Spec, settings: Settings, folder: Path) -> Places:
    """Say where the prepared network of a job is kept, or will be; what must not be kept for
    another job is kept in the job's own `folder`.
    """
    engine = engine_of(settings)
    assert isinstance(engine, FileEngine)
    exported: dict[str, Any] = {
        "archbench": __version__,
        "code": code_at_first(),
        "python": platform.python_version(),
        "machine": [platform.machine(), cpu_model()],
        "versions": _versions((TORCH, *engine.makers)),
        "libraries": libraries_of(spec),
        "spec": spec.to_dict(),
        "graph": graph_hash(Path(spec.backbone)) if spec.origin == ONNX else None,
        "weights": _hash(Path(settings.weights)) if settings.weights else None,
        "seed": settings.seed,
        "images": _hash_pictures(settings.images) if settings.images else None,
        "plain": [],
    }
    try:
        shelf = open_shelf(folder, is_lasting=is_ours(spec))
    except OSError as error:
        raise UsageError(cannot_write(error.strerror or str(error))) from None
    with shelf.hold(exported) as kept:
        if kept is None or engine.plain.intersection(kept.about["operators"]):
            exported["plain"] = sorted(engine.plain)
    converted = None
    if engine.converts(settings.precision):
        packages = (*engine.runtimes, *engine.quantisers)
        converted = {
            "exported": exported,
            "engine": engine.name,
            "precision": settings.precision,
            "versions": _versions(packages),
        }
    return Places(str(shelf.root), exported, converted)


def fill(
    places: Places, job: Mapping[str, Any], folder: Path, run: Callable[[list[str], Path], T]
) -> T | None:
    """Have what a job needs made in a process of its own, which `run` runs in a folder until it
    ends; gives what that gives, None where all was there.
    """
    if places.are_filled():
        return None
    own = folder / "prepare"
    own.mkdir()
    hand_over({**job, "prepared": places.to_dict()}, own)
    return run([*PREPARER, str(own)], own)


def _versions(packages: tuple[Package, ...]) -> dict[str, str | None]:
    """The versions of what has a part in a file."""
    return {package.name: package.version() for package in packages}


def _hash(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _hash_pictures(folder: str) -> list[str]:
    return [_hash(path) for path in find_pictures(Path(folder))]
