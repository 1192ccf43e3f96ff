"""ResNet (He et al., Tables 1 and 6) and ResNeXt (Xie et al.), with the stride layouts of the
frameworks that trained them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone, Preparation, Stage
from archbench.zoo.layers import ConvNorm, ConvNormReLU, Norm, ceil_pool, chain

STEM = 64
EXPANSION = 4

StrideOn = Literal["3x3", "1x1", "3x3-last"]
Join = Callable[[Sequence[Any]], nn.Module]

PREPARATIONS: dict[StrideOn, Preparation] = {
    "3x3": Preparation(),
    "1x1": Preparation(order="bgr", scale=255, mean=(103.939, 116.779, 123.68), std=(1, 1, 1)),
    "3x3-last": Preparation(scale=255, mean=(123.68, 116.779, 103.939), std=(1, 1, 1)),
}
"""What the framework behind each stride layout does to pictures: torchvision, Caffe, TensorFlow's
slim.
"""


@dataclass(frozen=True)
class Shape:
    """What distinguishes one block from another: channels, stride, dilation of its 3x3."""

    c_in: int
    middle: int
    c_out: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    norm: Norm = "bn"


class Residual(nn.Module):
    """A branch and a shortcut, summed, then ReLU. The shortcut is a projection where `projected`,
    else the (subsampled) input.
    """

    def __init__(self, branch: nn.Module, shape: Shape, *, projected: bool) -> None:
        super().__init__()
        self.channels = shape.c_out
        self.branch = branch
        self.shortcut: nn.Module = nn.Identity()
        if projected:
            self.shortcut = ConvNorm(
                shape.c_in, shape.c_out, 1, stride=shape.stride, norm=shape.norm
            )
        elif shape.stride > 1:
            # Only under "3x3-last": slim pools 1x1 where a strided block keeps its channels.
            self.shortcut = nn.MaxPool2d(1, shape.stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x), inplace=True)


class ZeroPad(nn.Module):
    """Subsample a map and give it `extra` channels more, of zeros: a shortcut without parameters
    (He et al., option A).
    """

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def basic(shape: Shape, *, projected: bool = True) -> Residual:
    """The block of ResNet-18 and -34: two 3x3; where the shape changes a projection, or zeros in
    its place.
    """
    norm, dilation = shape.norm, shape.dilation
    branch = chain(
        ConvNormReLU(shape.c_in, shape.c_out, 3, stride=shape.stride, dilation=dilation, norm=norm),
        ConvNorm(shape.c_out, shape.c_out, 3, dilation=dilation, norm=norm),
    )
    changes = shape.c_in != shape.c_out or shape.stride > 1
    block = Residual(branch, shape, projected=changes and projected)
    if changes and not projected:
        block.shortcut = ZeroPad(shape.c_out - shape.c_in, shape.stride)
    return block


def bottleneck_parts(
    shape: Shape, *, stride_on: StrideOn
) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential]:
    """The 1x1, the 3x3 and the 1x1 of a bottleneck."""
    # He et al.'s Caffe networks stride on the 1x1; fb.resnet.torch and torchvision on the 3x3.
    on_1x1, on_3x3 = (shape.stride, 1) if stride_on == "1x1" else (1, shape.stride)
    middle, norm = shape.middle, shape.norm
    return (
        ConvNormReLU(shape.c_in, middle, 1, stride=on_1x1, norm=norm),
        ConvNormReLU(
            middle,
            middle,
            3,
            stride=on_3x3,
            dilation=shape.dilation,
            groups=shape.groups,
            norm=norm,
        ),
        ConvNorm(middle, shape.c_out, 1, norm=norm),
    )


def bottleneck(shape: Shape, *, stride_on: StrideOn) -> Residual:
    """The block of the deeper networks: 1x1, 3x3, 1x1; a projection in the first block of a
    stage.
    """
    return Residual(
        chain(*bottleneck_parts(shape, stride_on=stride_on)),
        shape,
        projected=shape.c_in != shape.c_out,
    )


def in_sequence(blocks: Sequence[nn.Module]) -> nn.Module:
    """A stage of blocks that each read the one before."""
    return nn.Sequential(*blocks)


@dataclass(frozen=True)
class Trunk:
    """What ResNets share beyond their block: stem, width, normalisation and where resolution is
    lost.
    """

    stem: Literal["imagenet", "cifar"] = "imagenet"
    width: float = 1.0
    norm: Norm = "bn"
    stem_pool: Literal["pad", "ceil"] = "pad"
    output_stride: int = 32
    first: int = STEM
    """Channels of the stem, before `width`; stages of basic blocks count theirs from it."""

    def build(
        self,
        make: Callable[[Shape], nn.Module],
        blocks: Sequence[int],
        shape: Callable[[int], tuple[int, int]],
        *,
        stride_on: StrideOn = "3x3",
        groups: int = 1,
        join: Join = in_sequence,
        taps: Sequence[str] | None = None,
    ) -> Backbone:
        """Chain the stem and the stages; `shape` gives a stage's middle and output width by its
        index, `join` makes a stage of its blocks.
        """
        channels = round(self.first * self.width)
        if self.stem == "cifar":
            steps: dict[str, nn.Module] = {"stem": ConvNormReLU(3, channels, 3, norm=self.norm)}
        else:
            # No bias, which the Caffe file of ResNet-50 has (KaimingHe/deep-residual-networks).
            steps = {"stem": ConvNormReLU(3, channels, 7, stride=2, norm=self.norm)}
            steps["pool"] = ceil_pool() if self.stem_pool == "ceil" else nn.MaxPool2d(3, 2, 1)
        stride = 1 if self.stem == "cifar" else 4
        dilation = 1
        stages = []
        for index, count in enumerate(blocks):
            middle, c_out = shape(index)
            layers = []
            for i in range(count):
                shrinks = (
                    i == count - 1 and index < len(blocks) - 1
                    if stride_on == "3x3-last"
                    else i == 0 and index > 0
                )
                # A stride that is left out becomes dilation, from the next 3x3 on.
                skipped = shrinks and stride >= self.output_stride
                before, dilation = dilation, dilation * 2 if skipped else dilation
                own = dilation if stride_on == "1x1" else before
                step = 2 if shrinks and not skipped else 1
                layers.append(make(Shape(channels, middle, c_out, step, own, groups, self.norm)))
                stride, channels = stride * step, c_out
            steps[f"stage{index + 2}"] = join(layers)
            stages.append(Stage(f"stage{index + 2}", c_out, stride))
        # Under output_stride the last stage has the stride of the one before it.
        return Backbone(steps, stages, taps=taps, norm=self.norm, tail=stages[-1].name)


def basic_resnet(
    *,
    blocks: Sequence[int],
    projected: bool = True,
    taps: Sequence[str] | None = None,
    **trunk: object,
) -> Backbone:
    """Build a ResNet of basic blocks: stage s has 2^s times the stem's channels. Without
    `projected` its shortcuts have no parameters.
    """
    shared = Trunk(**trunk)  # type: ignore[arg-type]

    def shape(index: int) -> tuple[int, int]:
        width = round((shared.first << index) * shared.width)
        return width, width

    return shared.build(partial(basic, projected=projected), blocks, shape, taps=taps)


def bottleneck_resnet(
    *,
    blocks: Sequence[int],
    groups: int = 1,
    middle: int = STEM,
    middle_width: float = 1.0,
    stride_on: StrideOn = "3x3",
    make: Callable[..., nn.Module] = bottleneck,
    join: Join = in_sequence,
    taps: Sequence[str] | None = None,
    **trunk: object,
) -> Backbone:
    """Build a ResNet of bottlenecks or a ResNeXt: stage s has `middle` * 2^s channels in the middle
    and 256 * 2^s out.

    `make` builds a block of its shape and the layout of strides, `join` a stage of its blocks.
    """
    shared = Trunk(**trunk)  # type: ignore[arg-type]

    def shape(index: int) -> tuple[int, int]:
        return (
            round((middle << index) * shared.width * middle_width),
            round((STEM * EXPANSION << index) * shared.width),
        )

    block = partial(make, stride_on=stride_on)
    backbone = shared.build(
        block, blocks, shape, stride_on=stride_on, groups=groups, join=join, taps=taps
    )
    backbone.preparation = PREPARATIONS[stride_on]
    return backbone
