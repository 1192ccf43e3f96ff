"""FractalNet (Larsson et al., FractalNet), after the authors' gustavla/fractalnet; dropout and
drop-path are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Stage
from archbench.zoo.layers import ConvNormReLU


class Fractal(nn.Module):
    """f_1 is a 3x3; f_(c+1)(x) the mean of a 3x3 of x and of f_c(f_c(x)) (section 2.1)."""

    def __init__(self, c_in: int, c_out: int, columns: int) -> None:
        super().__init__()
        self.conv = ConvNormReLU(c_in, c_out, 3)
        self.deeper = nn.Sequential(
            *(Fractal(c, c_out, columns - 1) for c in (c_in, c_out) if columns > 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        # Means of two, nested: three columns weigh 1/2, 1/4 and 1/4. gustavla/fractalnet joins all
        # columns at once, at a block's end behind their pools; the convolutions are the same.
        return (out + self.deeper(x)) / 2 if self.deeper else out


def fractalnet(
    *, widths: Sequence[int], columns: int, taps: Sequence[str] | None = None
) -> Backbone:
    """Build a block of so many `columns` for each width, a 2x2 max pool after each."""
    steps: dict[str, nn.Module] = {}
    stages = []
    channels = 3
    for index, width in enumerate(widths):
        steps[f"block{index + 1}"] = Fractal(channels, width, columns)
        steps[f"pool{index + 1}"] = nn.MaxPool2d(2)
        channels = width
        stages.append(Stage(f"block{index + 1}", width, 1 << index))
    stages.append(Stage(f"pool{len(widths)}", channels, 1 << len(widths)))
    return Backbone(steps, stages, taps=taps)
