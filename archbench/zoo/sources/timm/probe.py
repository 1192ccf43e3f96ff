"""What maps a network gives for images of a size, by shape, and the next size that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from archbench.shapes import map_sizes
from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.contracts import Stage
from archbench.zoo.sources.timm.maps import PLAIN_STRIDE, ChannelsFirst
from archbench.zoo.sources.timm.network import Network, Size, indices_of, stages_of

STEPS = (32, 64, 96, 128, 160, 192, 224, 256, 384)
"""Multiples that a network's sides may have to be."""


@dataclass(frozen=True)
class Probe:
    """A network's maps for images of a size, found by shape."""

    stages: tuple[Stage, ...]
    indices: tuple[int, ...]
    """Those by which timm knows them."""
    maps: tuple[Size, ...]
    size: Size
    is_chain: bool
    """Whether each of its parts gives one tensor, as the steps of a chain do."""

    @classmethod
    def of(cls, network: Network, size: Size) -> Probe:
        """Find them; raises whatever the network raises for such images."""
        with torch.device("meta"):
            features = network.features(size).eval()
        given: list[object] = []
        for part in features.children():
            part.register_forward_hook(lambda *call: given.append(call[-1]))
        sizes = map_sizes(ChannelsFirst(features), size)
        is_chain = all(isinstance(each, torch.Tensor) for each in given)
        return cls(stages_of(features), indices_of(features), tuple(sizes), size, is_chain)

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
                raise UsageError(f"it has no {tap}; {self._offered()}")
        return [found[tap] for tap in taps]

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

    def _offered(self) -> str:
        if {stage.stride for stage in self.stages} == {PLAIN_STRIDE}:
            return (
                f"all its maps are at stride {PLAIN_STRIDE}: --option pyramid=simple makes others"
            )
        stages = (f"{s.level} ({s.name}, stride {s.stride})" for s in self.stages)
        return f"it offers {', '.join(stages)}"


def probed(
    network: Network, size: Size, taps: Sequence[str], *, is_whole: bool = False
) -> tuple[Probe, list[int]]:
    """Find a network's maps and which are tapped.

    Raises UsageError, which names the next size that does, where it does not take one.
    """
    try:
        probe = Probe.of(network, size)
        places = probe.places(taps)
        problem = probe.misfit(places, is_whole=is_whole)
        if not problem:
            return probe, places
    except (UsageError, TypeError):
        raise
    except Exception as error:  # Networks of timm raise anything.
        problem = first_line(error) or f"timm raises {type(error).__name__}"
    width, height = size
    larger = _next_size(network, size, taps, is_whole=is_whole)
    takes = f"; it takes {larger[0]}x{larger[1]}" if larger else ""
    raise UsageError(f"it does not take {width}x{height} ({problem}){takes}")


def _next_size(network: Network, size: Size, taps: Sequence[str], *, is_whole: bool) -> Size | None:
    """The next size above one that a network takes, of those that are tried."""
    width, height = size
    sizes = {(-(-width // step) * step, -(-height // step) * step) for step in STEPS}
    for tried in sorted(sizes - {size}):
        try:
            probe = Probe.of(network, tried)
            if not probe.misfit(probe.places(taps), is_whole=is_whole):
                return tried
        except Exception:  # As above: this one is not taken either.
            continue
    return None
