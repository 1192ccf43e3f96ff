"""What maps a network of timm gives for images of a size, by shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from archbench.shapes import map_sizes
from archbench.zoo.sources.fitting import Asked, Fit, Size, fitted
from archbench.zoo.sources.timm.maps import PLAIN_STRIDE, ChannelsFirst
from archbench.zoo.sources.timm.network import Network, indices_of, stages_of


@dataclass(frozen=True)
class Probe(Fit):
    """A network's maps for images of a size."""

    indices: tuple[int, ...]
    """Those by which timm knows them."""
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
        return cls(stages_of(features), tuple(sizes), size, indices_of(features), is_chain)

    def offered(self) -> str:
        """Say which maps there are, and what makes others of a plain transformer's."""
        strides = {stage.stride for stage in self.stages}
        if len(strides) > 1 or len(self.stages) == 1:
            return super().offered()
        (stride,) = strides
        patches = f"--option patch_size={PLAIN_STRIDE} " * (stride != PLAIN_STRIDE)
        return f"all its maps are at stride {stride}: {patches}--option pyramid=simple makes others"


def probed(
    network: Network, size: Size, taps: Sequence[str], *, is_whole: bool = False
) -> tuple[Probe, list[int]]:
    """Find a network's maps and which are tapped; raises UsageError as `fitted` does."""
    asked = Asked(size, taps, network.size, is_whole)
    return fitted(lambda tried: Probe.of(network, tried), asked)
