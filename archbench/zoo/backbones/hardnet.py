"""HarDNet (Chao et al., HarDNet: A Low Memory Traffic Network), after the authors'
PingoLH/Pytorch-HarDNet.

With a bridge it is the trunk of their SSD, PingoLH/PytorchSSD-HarDNet: ReLU in place of ReLU6, and
the pool after the first block rounds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import ConvNorm, ConvNormReLU, chain

Activation = type[nn.ReLU | nn.ReLU6]


def harmonics(layer: int) -> int:
    """How many powers of two above 1 divide a layer's number."""
    return (layer & -layer).bit_length() - 1


def sources(layer: int) -> list[int]:
    """What a layer reads, nearest first: the layers 1, 2, 4, ... before it, as long as the distance
    divides its number.

    Layers are numbered from 1; 0 is the block's input.
    """
    return [layer - (1 << power) for power in range(harmonics(layer) + 1)]


def width(layer: int, growth: int, multiplier: float) -> int:
    """Channels of a layer: the growth rate times the multiplier for each harmonic, brought to an
    even number.
    """
    # The paper has k * m^n; the authors' code makes it even.
    return int(growth * multiplier ** harmonics(layer) + 1) // 2 * 2


def point_then_depth(c_in: int, c_out: int) -> nn.Sequential:
    """The layer of the DS variants: a 1x1 and a depthwise 3x3 without activation."""
    return chain(
        ConvNormReLU(c_in, c_out, 1, activation=nn.ReLU6), ConvNorm(c_out, c_out, 3, groups=c_out)
    )


class HarDBlock(nn.Module):
    """A harmonic dense block: layers that read some of those before; its output concatenates the
    odd ones and the last.
    """

    def __init__(
        self,
        c_in: int,
        growth: int,
        layers: int,
        *,
        multiplier: float,
        separable: bool = False,
        activation: Activation = nn.ReLU6,
    ) -> None:
        super().__init__()
        widths = [c_in, *(width(layer, growth, multiplier) for layer in range(1, layers + 1))]
        make = (
            point_then_depth
            if separable
            else partial(ConvNormReLU, kernel=3, activation=activation)
        )
        self.layers = nn.ModuleList(
            make(sum(widths[s] for s in sources(n)), widths[n]) for n in range(1, layers + 1)
        )
        self.kept = [n for n in range(1, layers + 1) if n % 2 or n == layers]
        self.channels = sum(widths[n] for n in self.kept)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for number, layer in enumerate(self.layers, start=1):
            read = [maps[source] for source in sources(number)]
            maps.append(layer(torch.cat(read, dim=1) if len(read) > 1 else read[0]))
        return torch.cat([maps[number] for number in self.kept], dim=1)


def bridge_of(channels: int, middle: int, dilation: int) -> nn.Sequential:
    """What follows the last block at stride 16 in the SSD: a pool that keeps the size, a 3x3 and a
    1x1.
    """
    return chain(
        nn.MaxPool2d(3, 1, 1),
        ConvNormReLU(channels, middle, 3, dilation=dilation),
        ConvNormReLU(middle, channels, 1),
    )


def hardnet(
    *,
    stem: tuple[int, int],
    multiplier: float,
    blocks: Sequence[tuple[int, int, int, int]],
    separable: bool = False,
    bridge: bool = False,
    bridged: tuple[int, int] = (0, 1),
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a HarDNet from its row: `blocks` give layers, growth rate, output channels and the
    stride of what follows.

    A block and its 1x1 are one step. `separable` makes the DS variant, which also halves maps by
    depthwise 3x3. `bridge` replaces the last block by a bridge; `bridged` has the width and the
    dilation of its 3x3.
    """
    # Conv-BN-ReLU in the paper and in the detectors' code, ReLU6 in that of the classifiers.
    activation: Activation = nn.ReLU if bridge else nn.ReLU6
    conv = partial(ConvNormReLU, activation=activation)

    def down(channels: int, pool: nn.MaxPool2d) -> nn.Module:
        return ConvNorm(channels, channels, 3, stride=2, groups=channels) if separable else pool

    first, channels = stem
    steps: dict[str, nn.Module] = {
        "stem": chain(conv(3, first, 3, stride=2), conv(first, channels, 1 if separable else 3)),
        "down0": down(channels, nn.MaxPool2d(3, 2, 1)),
    }
    deepest = {2: Stage("stem", channels, 2)}
    stride = 4
    kept = blocks[:-1] if bridge else blocks
    for index, (layers, growth, c_out, step) in enumerate(kept, start=1):
        block = HarDBlock(
            channels,
            growth,
            layers,
            multiplier=multiplier,
            separable=separable,
            activation=activation,
        )
        steps[f"block{index}"] = chain(block, conv(block.channels, c_out, 1))
        channels = c_out
        deepest[stride] = Stage(f"block{index}", channels, stride)
        if step > 1 and index < len(kept):
            steps[f"down{index}"] = down(
                channels, nn.MaxPool2d(2, 2, ceil_mode=bridge and index == 1)
            )
            stride *= step
    if bridge:
        steps["bridge"] = bridge_of(channels, *bridged)
        deepest[stride] = Stage("bridge", channels, stride)
    return Backbone(steps, list(deepest.values()), taps=taps)
