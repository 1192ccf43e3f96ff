"""Darknet's own classification networks, after AlexeyAB/darknet's cfg files.

Darknet-19 (Redmon and Farhadi, YOLO9000, Table 6), Darknet Reference, which small detectors stand
on, and DarkNet53 (Redmon and Farhadi, YOLOv3, Table 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from archbench.zoo.contracts import DARKNET, Backbone, Stage
from archbench.zoo.layers import Leaky, Shortcut, ceil_pool, chain, conv_leaky

STEM = 32
WIDTH = 64
"""Channels of DarkNet53's first stage; every further one has twice as many."""


class KeepingPool(nn.MaxPool2d):
    """Darknet's 2x2 max pool at stride 1, which keeps the size: its windows reach over the lower
    and the right edge.
    """

    def __init__(self) -> None:
        super().__init__(2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        # Torch pads all sides alike: the windows over the upper and the left edge are dropped.
        return super().forward(x)[..., 1:, 1:]


def _steps(stages: Sequence[Sequence[int]]) -> tuple[dict[str, nn.Module], list[Stage]]:
    """Chain convolutions with the channels given, 3x3 and 1x1 in turn, and a max pool between
    stages.
    """
    steps: dict[str, nn.Module] = {}
    ends = []
    channels = 3
    for index, widths in enumerate(stages, start=1):
        if index > 1:
            # Darknet pads a pool by its size less one where the cfg file says nothing.
            steps[f"pool{index - 1}"] = ceil_pool(2)
        inputs = [channels, *widths[:-1]]
        layers = (
            conv_leaky(c_in, c_out, 1 if i % 2 else 3)
            for i, (c_in, c_out) in enumerate(zip(inputs, widths, strict=True))
        )
        steps[f"stage{index}"] = chain(*layers)
        channels = widths[-1]
        ends.append(Stage(f"stage{index}", channels, stride=1 << (index - 1)))
    return steps, ends


def darknet(
    *,
    stages: Sequence[Sequence[int]],
    pools_scores: bool = False,
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build a network of `stages`, given as the channels of their convolutions, with a max pool
    between them.

    3x3 and 1x1 alternate within a stage. Pools round the size up. With `pools_scores` the
    classifier's 1x1 comes before the global pool.
    """
    backbone = Backbone(*_steps(stages), taps=taps)
    backbone.preparation = DARKNET
    backbone.pools_scores = pools_scores
    return backbone


def reference(
    *,
    widths: Sequence[int],
    tail: Literal["classifier", "tiny", "prn"],
    taps: Sequence[str] | None = None,
) -> Backbone:
    """Build Darknet Reference from the channels of its convolutions; `tail` says what follows the
    last but one.

    A classifier has another pool and a 3x3. Under detectors that pool keeps the size
    (yolov3-tiny.cfg); in yolov3-tiny-prn.cfg the 3x3 keeps the channels too, and the map before the
    pool is added to its output.
    """
    if tail == "classifier":
        return darknet(stages=[[width] for width in widths], taps=taps)
    *trunk, last = widths
    steps, ends = _steps([[width] for width in trunk])
    c_in, c_out = trunk[-1], trunk[-1] if tail == "prn" else last
    convolved = chain(KeepingPool(), conv_leaky(c_in, c_out, 3))
    name = f"stage{len(widths)}"
    steps[name] = Shortcut(convolved, Leaky(inplace=True)) if tail == "prn" else convolved
    backbone = Backbone(steps, [*ends, Stage(name, c_out, ends[-1].stride)], taps=taps)
    backbone.preparation = DARKNET
    return backbone


def residual(width: int, middle: int) -> Shortcut:
    """DarkNet53's block: a 1x1 to `middle` channels and a 3x3, added to their input."""
    # Unlike a ResNet's, both convolutions are activated and the sum is not (darknet53.cfg).
    return Shortcut(chain(conv_leaky(width, middle, 1), conv_leaky(middle, width, 3)))


def darknet53(*, blocks: Sequence[int], taps: Sequence[str] | None = None) -> Backbone:
    """Build DarkNet53 from the residual blocks of its stages, each behind a strided 3x3 that
    doubles the channels.
    """
    steps: dict[str, nn.Module] = {"stem": conv_leaky(3, STEM, 3)}
    stages = []
    channels = STEM
    for index, count in enumerate(blocks):
        width = WIDTH << index
        steps[f"stage{index + 1}"] = chain(
            conv_leaky(channels, width, 3, stride=2),
            *(residual(width, width // 2) for _ in range(count)),
        )
        stages.append(Stage(f"stage{index + 1}", width, stride=2 << index))
        channels = width
    backbone = Backbone(steps, stages, taps=taps)
    backbone.preparation = DARKNET
    return backbone
