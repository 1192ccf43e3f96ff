"""VGG-16 (Simonyan and Zisserman, configuration D), with the forms of its fully connected layers
that detectors use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone, Preparation, Stage
from archbench.zoo.layers import ConvNorm, ConvNormReLU

LAYERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
FC_SIDE = 7
# The convolutional fc6 and fc7 have a quarter of the 4096 channels: weiliu89/caffe, branch ssd.
FC_CONV = 1024
FC_LINEAR = 4096

FC = Literal["none", "linear", "conv", "conv-s2", "conv-d3"]
FC_CONVS: dict[FC, tuple[int, bool]] = {
    "conv": (6, False),
    "conv-s2": (3, True),
    "conv-d3": (3, False),
}
"""For each convolutional form: the dilation of fc6, and whether pool5 halves the map or keeps it
(3x3, stride 1).
"""


class LinearReLU(nn.Sequential):
    """A linear layer and a ReLU on vectors; a map is brought to 7x7 and flattened first."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 4:
            # Inputs that are not the paper's 224x224: torchvision does the same.
            if x.shape[-2:] != (FC_SIDE, FC_SIDE):
                x = F.adaptive_avg_pool2d(x, FC_SIDE)
            x = x.flatten(1)
        return super().forward(x)


class _Steps(dict[str, nn.Module]):
    """Steps; a convolution and its ReLU are two where `taps` ask for the map between them
    (conv4_3_linear).
    """

    def __init__(self, taps: Sequence[str] | None) -> None:
        super().__init__()
        self.taps = taps or ()
        self.inner: list[Stage] = []

    def convolve(
        self, name: str, c_in: int, c_out: int, kernel: int = 3, *, dilation: int = 1, stride: int
    ) -> None:
        """Add a convolution with bias and its ReLU; `stride` is the map's."""
        linear = f"{name}_linear"
        if linear in self.taps:
            self[linear] = ConvNorm(c_in, c_out, kernel, dilation=dilation, norm=None)
            self[name] = nn.ReLU()
            self.inner.append(Stage(linear, c_out, stride))
        else:
            self[name] = ConvNormReLU(c_in, c_out, kernel, dilation=dilation, norm=None)


def vgg16(*, fc: FC, pool_ceil: bool, taps: Sequence[str] | None = None) -> Backbone:
    """Build VGG-16 up to conv5_3 or, by `fc`, to fc7. Every convolution is 3x3 with bias and ReLU,
    pools are 2x2/2.

    A map of level c0 to c4 is the last convolution of its block, after its ReLU. A convolutional
    fc7 is c4 in its place where pool5 keeps the map, c5 where it halves it. The map before a ReLU
    may be tapped as, for example, conv4_3_linear.
    """
    steps = _Steps(taps)
    stages = []
    channels = 3
    for block, widths in enumerate(LAYERS, start=1):
        if block > 1:
            steps[f"pool{block - 1}"] = nn.MaxPool2d(2, 2, ceil_mode=pool_ceil)
        for layer, width in enumerate(widths, start=1):
            steps.convolve(f"conv{block}_{layer}", channels, width, stride=1 << (block - 1))
            channels = width
        stages.append(Stage(f"conv{block}_{len(widths)}", channels, stride=1 << (block - 1)))
    if fc == "linear":
        steps["pool5"] = nn.MaxPool2d(2, 2)
        # The dropout behind fc6 and fc7 is left out.
        steps["fc6"] = LinearReLU(
            nn.Linear(channels * FC_SIDE**2, FC_LINEAR), nn.ReLU(inplace=True)
        )
        steps["fc7"] = LinearReLU(nn.Linear(FC_LINEAR, FC_LINEAR), nn.ReLU(inplace=True))
        stages.append(Stage("fc7", FC_LINEAR, stride=0))
    elif fc != "none":
        dilation, halves = FC_CONVS[fc]
        steps["pool5"] = nn.MaxPool2d(2, 2) if halves else nn.MaxPool2d(3, 1, 1)
        stride = 32 if halves else 16
        steps.convolve("fc6", channels, FC_CONV, dilation=dilation, stride=stride)
        steps.convolve("fc7", FC_CONV, FC_CONV, 1, stride=stride)
        stages.append(Stage("fc7", FC_CONV, stride))
    backbone = Backbone(
        steps,
        stages,
        taps=taps,
        norm=None,
        inner=steps.inner,
        # Pooled regions are the size that linear layers read, so that pool5 is left out there.
        tail={"none": None, "linear": "fc6"}.get(fc, "pool5"),
    )
    backbone.preparation = Preparation(
        order="bgr", scale=255, mean=(103.939, 116.779, 123.68), std=(1, 1, 1)
    )
    return backbone
