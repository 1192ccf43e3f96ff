"""Backbones out of what gives maps: turned to channels first, or made into a pyramid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone, Split, Stage
from archbench.zoo.layers import Norm

LEVELS = ("c2", "c3", "c4", "c5")
PLAIN_STRIDE = 16
"""What a cell of a plain transformer spans that a simple pyramid stands on."""


class TimmBackbone(Backbone):
    """A backbone of which timm gives the maps alone: `network` gives those of `stages`."""

    def __init__(
        self, network: nn.Module, stages: Sequence[Stage], taps: Sequence[str], norm: Norm
    ) -> None:
        nn.Module.__init__(self)
        self.network = network
        self.taps = tuple(taps)
        self.stages = tuple(stages)
        self.norm = norm
        self.classifier_head = None
        self._inner = ()

    def forward(self, images: Tensor, *, taps: Sequence[str] | None = None) -> list[Tensor]:
        """Give the tapped maps for images [B, 3, H, W], or only those of them asked for."""
        names = [stage.name for stage in self.stages]
        maps = dict(zip(names, self.network(images), strict=True))
        return [maps[tap] for tap in (self.taps if taps is None else taps)]

    def split(self, *, dilated: bool = False) -> Split:
        """Refuse to be cut: the order of what is in the network is not known."""
        raise UsageError(
            "its second stage runs the backbone's last part on crops, but timm does not offer this "
            "network as a chain of stages that can be split"
        )


class ChannelsFirst(nn.Module):
    """What gives maps, of which those with channels last are turned to [B, C, H, W]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.turns = is_channels_last(network)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network(images)
        return [m.permute(0, 3, 1, 2) for m in maps] if self.turns else maps


class SimplePyramid(nn.Module):
    """Maps at strides 4 to 32 out of one at 16 (Li et al., Exploring Plain Vision Transformer
    Backbones for Object Detection, section 3), without the convolutions that a detector's own neck
    has.
    """

    def __init__(self, features: nn.Module, channels: int, levels: Sequence[str]) -> None:
        super().__init__()
        self.features = features
        half, quarter = channels // 2, channels // 4
        makers = {
            "c2": lambda: nn.Sequential(
                nn.ConvTranspose2d(channels, half, 2, 2),
                nn.GroupNorm(1, half),
                nn.GELU(),
                nn.ConvTranspose2d(half, quarter, 2, 2),
            ),
            "c3": lambda: nn.ConvTranspose2d(channels, half, 2, 2),
            "c4": nn.Identity,
            "c5": lambda: nn.MaxPool2d(2),
        }
        widths = {"c2": quarter, "c3": half, "c4": channels, "c5": channels}
        self.scales = nn.ModuleDict({level: makers[level]() for level in levels})
        self.stages = [Stage(level, widths[level], 2 ** int(level[1])) for level in levels]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Give the maps of the levels for images [B, 3, H, W]."""
        (last,) = self.features(images)
        return [scale(last) for scale in self.scales.values()]


def is_channels_last(features: nn.Module) -> bool:
    """Whether timm gives its maps with channels last."""
    return str(getattr(features, "output_fmt", "NCHW")).upper().endswith("NHWC")
