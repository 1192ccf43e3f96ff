"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["bn", "gn"] | None
Kernel = int | tuple[int, int]

GROUPS = 32
"""Groups of a group normalisation (Wu and He, Group Normalization)."""

Activation = Literal["relu", "leaky", "swish"]
Leaky = partial(nn.LeakyReLU, 0.1)
"""Darknet's leaky ReLU."""
ACTIVATIONS: dict[Activation, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": Leaky,
    "swish": nn.SiLU,
}


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """Make the normalisation layer of a network: batch norm, or group norm with 32 groups."""
    if norm == "gn":
        return nn.GroupNorm(GROUPS, channels)
    # Torch's epsilon, whatever framework a network comes from: no count or time depends on it.
    return nn.BatchNorm2d(channels)


def chain(*parts: nn.Module) -> nn.Sequential:
    """Chain modules, sequences among them laid end to end."""
    # A nested nn.Sequential would have its caller hold its input until its last layer is done.
    return nn.Sequential(
        *(
            layer
            for part in parts
            for layer in (part if isinstance(part, nn.Sequential) else [part])
        )
    )


class ConvNorm(nn.Sequential):
    """Convolve [B, c_in, H, W] to [B, c_out, H', W'] and normalise; without a norm there is a
    bias.

    `kernel` is a side or (height, width). An odd kernel is padded so that stride 1 keeps the size,
    unless `padding` says otherwise.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: Kernel = 1,
        *,
        stride: int = 1,
        padding: Kernel | None = None,
        dilation: int = 1,
        groups: int = 1,
        norm: Norm = "bn",
    ) -> None:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (
            (dilation * (sides[0] - 1) // 2, dilation * (sides[1] - 1) // 2)
            if padding is None
            else padding
        )
        conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias=norm is None)
        super().__init__(conv, *([normalisation(norm, c_out)] if norm else []))


class ConvNormReLU(nn.Sequential):
    """`ConvNorm` and a ReLU, or another `activation`."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: Kernel = 1,
        *,
        stride: int = 1,
        padding: Kernel | None = None,
        dilation: int = 1,
        groups: int = 1,
        norm: Norm = "bn",
        activation: Callable[..., nn.Module] = nn.ReLU,
    ) -> None:
        layer = ConvNorm(
            c_in,
            c_out,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            norm=norm,
        )
        super().__init__(*layer, activation(inplace=True))


def norm_relu_conv(c_in: int, c_out: int, kernel: int = 1, *, stride: int = 1) -> nn.Sequential:
    """Batch norm and ReLU before the convolution, which has no bias."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU(inplace=True), conv)


conv_leaky = partial(ConvNormReLU, activation=Leaky)
"""Darknet's convolution: normalised, with a leaky ReLU of slope 0.1."""


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """Bring a map to the size of another by its nearest cells."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


def add_common(x: Tensor, other: Tensor) -> Tensor:
    """Add to x [B, C, H, W] the first channels of another map, as many as both have: darknet's
    shortcut.

    A larger map, of multiples of H and W, rounded up, is subsampled; a smaller one is repeated.
    """
    # Not an error in darknet (src/blas.c, shortcut_cpu), which has no projections.
    rows, columns = (
        -(-theirs // own) for theirs, own in zip(other.shape[-2:], x.shape[-2:], strict=True)
    )
    if rows > 1 or columns > 1:
        other = other[..., ::rows, ::columns]
    elif other.shape[-2:] != x.shape[-2:]:
        other = upsample(other, x)
    c = min(x.shape[1], other.shape[1])
    total = x[:, :c] + other[:, :c]
    return torch.cat([total, x[:, c:]], dim=1) if c < x.shape[1] else total


class Shortcut(nn.Module):
    """Add a map to the output of a branch that reads it, as far as their channels go, then
    activate.
    """

    def __init__(self, branch: nn.Module, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(add_common(self.branch(x), x))
        return out


class Branches(nn.Module):
    """Run branches on the same map and concatenate their outputs."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class ResidualBottleneck(nn.Module):
    """The bottleneck of RefineDet's authors: 1x1, 3x3, 1x1 to `c_out` beside a projection, summed,
    ReLU.

    The stride sits on the first 1x1 and on the projection.
    """

    def __init__(
        self, c_in: int, width: int, c_out: int, *, stride: int = 1, norm: Norm = "bn"
    ) -> None:
        super().__init__()
        self.branch = chain(
            ConvNormReLU(c_in, width, 1, stride=stride, norm=norm),
            ConvNormReLU(width, width, 3, norm=norm),
            ConvNorm(width, c_out, 1, norm=norm),
        )
        self.projection = ConvNorm(c_in, c_out, 1, stride=stride, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.projection(x), inplace=True)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate in 0..1 that reads all channels' means (Hu et al.,
    Squeeze-and-Excitation Networks).

    The gate is two 1x1 convolutions with bias, to `hidden` channels and back.
    """

    def __init__(self, channels: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        # As in darknet and EfficientNet's code; the paper's linear layers would not count in CIO.
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            activation,
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class SpatialAttention(nn.Module):
    """Multiply a map by the sigmoid of its own normalised convolution (SAM: Qin et al., ThunderNet,
    section 3.3).
    """

    def __init__(self, channels: int, kernel: int, *, norm: Norm = "bn") -> None:
        super().__init__()
        self.gate = chain(ConvNorm(channels, channels, kernel, norm=norm), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class SPP(nn.Module):
    """Concatenate a map and its maxima over 13x13, 9x9 and 5x5 cells (darknet's yolov3-spp.cfg):
    four times the channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.MaxPool2d(side, 1, side // 2) for side in (13, 9, 5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([*(pool(x) for pool in self.pools), x], dim=1)


def maxout(x: Tensor, channels: int) -> Tensor:
    """Compress [B, n * channels, H, W] to the maxima over channels c, c + channels, c + 2 *
    channels ... (darknet's maxpool_depth).
    """
    return reduce(torch.maximum, x.split(channels, dim=1))


class L2Norm(nn.Module):
    """Divide each pixel's channel vector by its Euclidean norm and scale each channel by a
    learnable factor (ParseNet).
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * self.scale[:, None, None]


class FPN(nn.Module):
    """Give every map `width` channels and add the coarser maps to it (Lin et al., Feature Pyramid
    Networks, section 3).

    A lateral 1x1 and an output 3x3 a level, no ReLU; the nearest pixels of the sum above bring it
    to a map's size.
    """

    def __init__(self, channels: Sequence[int], width: int = 256, *, norm: Norm) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvNorm(c, width, 1, norm=norm) for c in channels)
        self.output = nn.ModuleList(ConvNorm(width, width, 3, norm=norm) for _ in channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        sums: list[Tensor] = []
        for lateral, m in zip(reversed(self.lateral), reversed(maps), strict=True):
            x = lateral(m)
            if sums:
                # To the map's own size, since maps of odd sides are not half of one another.
                x = x + upsample(sums[0], x)
            sums.insert(0, x)
        return [output(x) for output, x in zip(self.output, sums, strict=True)]


def ceil_pool(kernel: int = 3, stride: int = 2) -> nn.MaxPool2d:
    """Max pooling as Caffe does it: no padding, the size rounded up."""
    return nn.MaxPool2d(kernel, stride, ceil_mode=True)


def flatten_predictions(maps: Sequence[Tensor], values: int) -> Tensor:
    """Lay the predictions of all levels, each [B, A*values, H, W], end to end as [B, priors,
    values].

    The order is that of `ops.priors`: level, row, column, prior of the cell.
    """
    return torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, values) for m in maps], dim=1)
