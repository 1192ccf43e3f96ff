"""TTFNet (Liu et al., Training-Time-Friendly Network for Real-Time Object Detection), after
ZJULearning/ttfnet.

The map at stride 32 is doubled three times behind deformable convolutions, each time with a
shortcut from the backbone; an object is a peak of a heatmap, and its cell has the distances to the
four sides.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone, Detections, Detector, Preparation
from archbench.zoo.detectors.base.keypoints import PEAKS, RARE, draw_objects, predictor
from archbench.zoo.layers import ConvNormReLU, Norm, chain, normalisation
from archbench.zoo.ops import load
from archbench.zoo.ops.boxes import scale
from archbench.zoo.ops.deform import DeformConv
from archbench.zoo.ops.peaks import detect_peaks, find_peaks

WIDTHS = (256, 128, 64)
HEAT, HEAT_DEPTH = 128, 2
SIZE = 64
SCALE = 16
"""Pixels in a unit of the predicted distances."""
SCORE = 0.01


class Predictions(NamedTuple):
    """Raw predictions: heatmap logits [B, classes, H, W] and distances to the left, top, right and
    bottom [B, 4, H, W] in pixels.
    """

    heat: Tensor
    distances: Tensor


class Up(nn.Module):
    """Double a map behind a deformable convolution and add a finer one behind `depth` 3x3, the last
    without ReLU.
    """

    def __init__(self, c_in: int, c_fine: int, c_out: int, *, depth: int, norm: Norm) -> None:
        super().__init__()
        self.conv = chain(
            DeformConv(c_in, c_out), normalisation(norm, c_out), nn.ReLU(inplace=True)
        )
        convs = (ConvNormReLU(c_out if i else c_fine, c_out, 3, norm=None) for i in range(depth))
        self.shortcut = chain(*convs)[:-1]

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        x = F.interpolate(self.conv(x), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return x + self.shortcut(fine)


class TTFNet(Detector):
    """TTFNet on any backbone that is tapped at strides 4, 8, 16 and 32; `size_convs` counts the 3x3
    of the head for distances.

    `postprocess` gives boxes inside the image, the best 100 peaks, without suppression; labels from
    0 to classes - 1.
    """

    preparation = Preparation()
    boxes = None

    def __init__(
        self, backbone: Backbone, *, size: tuple[int, int], classes: int, size_convs: int
    ) -> None:
        super().__init__()
        self.size, self.classes = size, classes
        self.backbone = backbone
        *fine, c_in = (stage.channels for stage in backbone.tapped)
        norm: Norm = backbone.norm or "bn"
        self.ups = nn.ModuleList()
        for depth, (c_fine, width) in enumerate(zip(reversed(fine), WIDTHS, strict=True), start=1):
            self.ups.append(Up(c_in, c_fine, width, depth=depth, norm=norm))
            c_in = width
        self.heat = predictor(WIDTHS[-1], HEAT, classes, depth=HEAT_DEPTH, bias=RARE)
        self.distances = predictor(WIDTHS[-1], SIZE, 4, depth=size_convs)

    def forward(self, images: Tensor) -> Predictions:
        *fine, x = self.backbone(images)
        for up, m in zip(self.ups, reversed(fine), strict=True):
            x = up(x, m)
        return Predictions(self.heat(x), F.relu(self.distances(x)) * SCALE)

    def postprocess(self, raw: Predictions) -> list[Detections]:
        peaks = find_peaks(raw.heat, PEAKS)
        rows, columns = raw.heat.shape[-2:]
        centres = scale(peaks.places(), self.size[0] / columns, self.size[1] / rows)
        before, after = peaks.read(raw.distances).split(2, dim=-1)
        return detect_peaks(
            torch.cat([centres - before, centres + after], dim=-1), peaks, self.size, score=SCORE
        )

    def synthesize(
        self, raw: Predictions, generator: torch.Generator
    ) -> tuple[Predictions, dict[str, str | int]]:
        rows, columns = raw.heat.shape[-2:]
        step = torch.tensor(self.size) / torch.tensor([columns, rows])
        drawn = []
        for seen, cells, heat in draw_objects(raw.heat, size=self.size, generator=generator):
            distances = torch.rand((4, rows, columns), generator=generator) * min(self.size) / 4
            start, end = seen.boxes.split(2, dim=1)
            distances[:, cells[:, 1], cells[:, 0]] = torch.cat(
                [cells * step - start, end - cells * step], dim=1
            ).T
            drawn.append((heat, distances))
        heat, distances = (
            torch.stack(values).to(old)
            for values, old in zip(zip(*drawn, strict=True), raw, strict=True)
        )
        above = find_peaks(heat, PEAKS).scores > SCORE
        counts: dict[str, str | int] = {
            "distribution": load.NAME,
            "candidates": heat[0].numel(),
            "above_threshold": int(above.sum()) // len(heat),
        }
        return Predictions(heat, distances), counts
