"""CenterNet (Zhou et al., Objects as Points, appendix A), with the deconvolutions of its ResNets.

Three deconvolutions, each behind a deformable convolution, bring the map at stride 32 to stride 4;
an object is a peak of a heatmap. What the paper leaves open is as in xingyizhou/CenterNet.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from archbench.zoo.contracts import Backbone, Detections, Detector
from archbench.zoo.detectors.base.keypoints import PEAKS, PREPARATION, RARE, draw_objects, predictor
from archbench.zoo.layers import Norm, chain, normalisation
from archbench.zoo.ops import load
from archbench.zoo.ops.boxes import scale, to_corners
from archbench.zoo.ops.deform import DeformConv
from archbench.zoo.ops.peaks import detect_peaks, find_peaks

WIDTHS = (256, 128, 64)
PLAIN_WIDTHS = (256, 256, 256)
"""Channels of the deconvolutions; those without deformable convolutions do not narrow."""
# xingyizhou/CenterNet has 256 in the heads of its other backbones.
HEAD = 64


class Predictions(NamedTuple):
    """Raw predictions: heatmap logits [B, classes, H, W], widths and heights [B, 2, H, W] and
    centres' offsets [B, 2, H, W] in cells.
    """

    heat: Tensor
    sizes: Tensor
    offsets: Tensor


def neck(c_in: int, *, dcn: bool, norm: Norm) -> nn.Sequential:
    """Double a map three times."""
    layers: list[nn.Module] = []
    for width in WIDTHS if dcn else PLAIN_WIDTHS:
        if dcn:
            layers += [DeformConv(c_in, width), normalisation(norm, width), nn.ReLU(inplace=True)]
            c_in = width
        # Dense, where the deconvolutions of the paper's DLA are depthwise.
        layers += [
            nn.ConvTranspose2d(c_in, width, 4, 2, 1, bias=False),
            normalisation(norm, width),
            nn.ReLU(inplace=True),
        ]
        c_in = width
    return chain(*layers)


class CenterNet(Detector):
    """CenterNet on any backbone that is tapped at stride 32.

    `postprocess` gives boxes inside the image, the best 100 peaks, without suppression; labels from
    0 to classes - 1.
    """

    preparation = PREPARATION
    boxes = None

    def __init__(
        self, backbone: Backbone, *, size: tuple[int, int], classes: int, dcn: bool
    ) -> None:
        super().__init__()
        (tapped,) = backbone.tapped
        self.size, self.classes = size, classes
        self.backbone = backbone
        self.neck = neck(tapped.channels, dcn=dcn, norm=backbone.norm or "bn")
        width = (WIDTHS if dcn else PLAIN_WIDTHS)[-1]
        self.heat = predictor(width, HEAD, classes, bias=RARE)
        self.sizes, self.offsets = predictor(width, HEAD, 2), predictor(width, HEAD, 2)

    def forward(self, images: Tensor) -> Predictions:
        (x,) = self.backbone(images)
        x = self.neck(x)
        return Predictions(self.heat(x), self.sizes(x), self.offsets(x))

    def postprocess(self, raw: Predictions) -> list[Detections]:
        peaks = find_peaks(raw.heat, PEAKS)
        rows, columns = raw.heat.shape[-2:]
        centres = peaks.places() + peaks.read(raw.offsets)
        boxes = to_corners(torch.cat([centres, peaks.read(raw.sizes)], dim=-1))
        boxes = scale(boxes, self.size[0] / columns, self.size[1] / rows)
        return detect_peaks(boxes, peaks, self.size, score=0)

    def synthesize(
        self, raw: Predictions, generator: torch.Generator
    ) -> tuple[Predictions, dict[str, str | int]]:
        rows, columns = raw.heat.shape[-2:]
        step = torch.tensor(self.size) / torch.tensor([columns, rows])
        drawn = []
        for seen, cells, heat in draw_objects(raw.heat, size=self.size, generator=generator):
            sizes = (
                torch.rand((2, rows, columns), generator=generator)
                * torch.tensor([columns, rows])[:, None, None]
                / 2
            )
            offsets = torch.rand((2, rows, columns), generator=generator)
            start, end = (corner / step for corner in seen.boxes.split(2, dim=1))
            place = (slice(None), cells[:, 1], cells[:, 0])
            sizes[place], offsets[place] = (end - start).T, ((start + end) / 2 - cells).T
            drawn.append((heat, sizes, offsets))
        stacked = (
            torch.stack(values).to(old)
            for values, old in zip(zip(*drawn, strict=True), raw, strict=True)
        )
        peaks = min(PEAKS, raw.heat[0].numel())
        return Predictions(*stacked), {
            "distribution": load.NAME,
            "candidates": raw.heat[0].numel(),
            "above_threshold": peaks,
        }
