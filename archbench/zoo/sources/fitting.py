"""Which maps a library's network gives for images of a size, and the next size that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.contracts import Stage

Size = tuple[int, int]
STEPS = (32, 64, 96, 128, 160, 192, 224, 256, 384)
"""Multiples that a network's sides may have to be."""


@dataclass(frozen=True)
class Fit:
    """A network's maps for images of a size, found by shape: width and height of each."""

    stages: tuple[Stage, ...]
    maps: tuple[Size, ...]
    size: Size

    def places(self, taps: Sequence[str]) -> list[int]:
        """Find which maps are tapped, by level or name, for none the last; raises UsageError where
        one is not there.
        """
        if not taps:
            return [len(self.stages) - 1]
        found = {stage.name: place for place, stage in enumerate(self.stages)}
        found |= {s.level: p for p, s in enumerate(self.stages) if s.stride.bit_count() == 1}
        for tap in taps:
            if tap not in found:
                raise UsageError(f"it has no {tap}; {self.offered()}")
        return [found[tap] for tap in taps]

    def offered(self) -> str:
        """Say which maps there are."""
        stages = (
            f"{stage.level} ({stage.name}, stride {stage.stride})"
            if stage.stride.bit_count() == 1
            else f"{stage.name} (stride {stage.stride})"
            for stage in self.stages
        )
        return f"it offers {', '.join(stages)}"

    def misfit(self, places: Sequence[int], *, is_whole: bool = False) -> str:
        """Say which map is not as large as its stride makes it; empty where all are.

        Pixels that are left at an edge may lack a cell, unless `is_whole`.
        """
        for place in places:
            stride, (width, height) = self.stages[place].stride, self.maps[place]
            for cells, side in zip((width, height), self.size, strict=True):
                most = -(-side // stride)
                if not (most if is_whole else side // stride) <= cells <= most:
                    return f"its map at stride {stride} is {width}x{height} there"
        return ""


F = TypeVar("F", bound=Fit)


@dataclass(frozen=True)
class Asked:
    """What is asked of a network: maps for images of a size, its own input if that does not do."""

    size: Size
    taps: Sequence[str]
    own: Size
    is_whole: bool = False
    """Whether no pixels may be left at an edge."""


def fitted(of: Callable[[Size], F], asked: Asked) -> tuple[F, list[int]]:
    """Find a network's maps, by what finds them for a size, and which are tapped.

    Raises UsageError where it has no such maps, and where it does not take the size, with the next
    one that it does.
    """
    try:
        fit = of(asked.size)
        places = fit.places(asked.taps)
        problem = fit.misfit(places, is_whole=asked.is_whole)
        if not problem:
            return fit, places
    except (UsageError, TypeError):
        raise
    except Exception as error:  # Networks of libraries raise anything.
        problem = first_line(error) or f"it raises {type(error).__name__}"
    width, height = asked.size
    other = _other_size(of, asked)
    takes = f"; it takes {other[0]}x{other[1]}" if other else ""
    raise UsageError(f"it does not take {width}x{height} ({problem}){takes}")


def _other_size(of: Callable[[Size], F], asked: Asked) -> Size | None:
    """The next size above one that a network takes, of those that are tried, or its own input.

    Raises UsageError where it has no such maps at any.
    """
    width, height = asked.size
    sizes = {(-(-width // step) * step, -(-height // step) * step) for step in STEPS}
    for tried in (*sorted(sizes - {asked.size}), asked.own):
        try:
            fit = of(tried)
        except Exception:  # As above: this one is not taken either.
            continue
        if not fit.misfit(fit.places(asked.taps), is_whole=asked.is_whole):
            return tried
    return None
