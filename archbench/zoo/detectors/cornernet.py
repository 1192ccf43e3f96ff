"""CornerNet (Law and Deng, CornerNet: Detecting Objects as Paired Keypoints), after
princeton-vl/CornerNet.

Corner pooling leads to heatmaps of top-left and of bottom-right corners; corners of one class
whose embeddings are alike make a box. Every stack of the backbone has heads; only the last stack's
run at test time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone, Detections, Detector
from archbench.zoo.detectors.base.keypoints import PEAKS, PREPARATION, RARE, predictor
from archbench.zoo.layers import ConvNorm, ConvNormReLU, Norm
from archbench.zoo.ops import load
from archbench.zoo.ops.boxes import scale
from archbench.zoo.ops.load import Objects, heatmap, to_cells
from archbench.zoo.ops.nms import Selection, Soft
from archbench.zoo.ops.peaks import Peaks, find_peaks

POOLED, WIDTH = 128, 256
"""Channels of the pooled maps, and of the map before the predictors."""
ALIKE = 0.5
"""The largest difference of the embeddings of one box's corners."""
# Of 100 x 100 pairs; the paper does not say how many go on.
PAIRS = 1000
SELECTION = Selection(score=0, iou=0.5, per_image=100, clip_first=True, soft=Soft(sigma=0.5))

Corner = Literal["top left", "bottom right"]


class Corners(NamedTuple):
    """Predictions for one kind of corner: heatmap logits [B, classes, H, W], embeddings [B, 1, H,
    W], offsets in cells [B, 2, H, W].
    """

    heat: Tensor
    embeddings: Tensor
    offsets: Tensor


class Predictions(NamedTuple):
    """Raw predictions of one stack."""

    top_left: Corners
    bottom_right: Corners


def corner_pool(x: Tensor, dim: Literal[2, 3], corner: Corner) -> Tensor:
    """Take for each cell of [B, C, H, W] the maximum of it and all beyond it in its column (dim 2)
    or row (dim 3).

    An object lies below and to the right of its top left corner, so these cells count; for a bottom
    right corner those above and to the left (section 3.4).
    """
    if corner == "bottom right":
        return x.cummax(dim).values
    return x.flip(dim).cummax(dim).values.flip(dim)


class CornerHead(nn.Module):
    """Corner pooling beside a shortcut, and three predictions (Figure 7)."""

    def __init__(self, c_in: int, classes: int, corner: Corner, *, norm: Norm) -> None:
        super().__init__()
        self.corner = corner
        self.column, self.row = (ConvNormReLU(c_in, POOLED, 3, norm=norm) for _ in range(2))
        self.pooled = ConvNorm(POOLED, WIDTH, 3, norm=norm)
        self.shortcut = ConvNorm(c_in, WIDTH, 1, norm=norm)
        self.out = ConvNormReLU(WIDTH, WIDTH, 3, norm=norm)
        self.heat = predictor(WIDTH, WIDTH, classes, bias=RARE)
        self.embeddings = predictor(WIDTH, WIDTH, 1)
        self.offsets = predictor(WIDTH, WIDTH, 2)

    def forward(self, x: Tensor) -> Corners:
        pooled = corner_pool(self.column(x), 2, self.corner) + corner_pool(
            self.row(x), 3, self.corner
        )
        x = self.out(F.relu(self.pooled(pooled) + self.shortcut(x), inplace=True))
        return Corners(self.heat(x), self.embeddings(x), self.offsets(x))


class StackHeads(nn.Module):
    """The heads of one stack."""

    def __init__(self, c_in: int, classes: int, *, norm: Norm) -> None:
        super().__init__()
        self.top_left = CornerHead(c_in, classes, "top left", norm=norm)
        self.bottom_right = CornerHead(c_in, classes, "bottom right", norm=norm)

    def forward(self, x: Tensor) -> Predictions:
        return Predictions(self.top_left(x), self.bottom_right(x))


class CornerNet(Detector):
    """CornerNet on stacked hourglasses, or on the map at stride 4 of any backbone as on a single
    stack.

    In training mode `forward` gives the predictions of all stacks, in evaluation mode those of the
    last. `postprocess` gives boxes inside the image, labels from 0 to classes - 1. Neither mirrored
    images nor several scales are tested.
    """

    preparation = PREPARATION
    boxes = None

    def __init__(self, backbone: Backbone, *, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.size, self.classes = size, classes
        self.backbone = backbone
        channels, norm = backbone.tapped[-1].channels, backbone.norm or "bn"
        self.heads = nn.ModuleList(StackHeads(channels, classes, norm=norm) for _ in backbone.taps)

    def forward(self, images: Tensor) -> Predictions | list[Predictions]:
        if not self.training:
            (last,) = self.backbone(images, taps=self.backbone.taps[-1:])
            predictions: Predictions = self.heads[-1](last)
            return predictions
        *halfway, last = self.backbone(images)
        outputs = [*(stack.made for stack in halfway), last]
        return [heads(x) for heads, x in zip(self.heads, outputs, strict=True)]

    def pairs(self, raw: Predictions) -> tuple[Tensor, Tensor, Tensor]:
        """The best pairs of corners, at most 1000: boxes [B, K, 4] in pixels, scores [B, K] (0: no
        pair), labels [B, K].
        """
        # Both corners as if of twice as many images: half the operators.
        both = Corners(*map(torch.cat, zip(*raw, strict=True)))
        peaks = find_peaks(both.heat, PEAKS)
        rows, columns = both.heat.shape[-2:]
        places = peaks.places() + peaks.read(both.offsets)
        places = scale(places, self.size[0] / columns, self.size[1] / rows)
        corners = [
            Peaks(scores, labels, cells, peaks.width)
            for scores, labels, cells in zip(
                *(values.chunk(2) for values in (peaks.scores, peaks.labels, peaks.cells)),
                strict=True,
            )
        ]
        embeddings = peaks.read(both.embeddings).chunk(2)
        boxes, scores = pair_corners(corners, places.chunk(2), embeddings)
        best, index = scores.topk(min(PAIRS, scores.shape[1]))
        labels = corners[0].labels.gather(1, index // corners[1].labels.shape[1])
        return boxes.gather(1, index[..., None].expand(-1, -1, 4)), best, labels

    def postprocess(self, raw: Predictions) -> list[Detections]:
        boxes, best, labels = self.pairs(raw)
        return SELECTION.of_labels(boxes, best, labels, self.size, self.classes)

    def synthesize(
        self, raw: Predictions, generator: torch.Generator
    ) -> tuple[Predictions, dict[str, str | int]]:
        """The scene as peaks at its objects' corners; an object's have one embedding, any other
        cell a random one.
        """
        first: list[Corners] = []
        second: list[Corners] = []
        cells = raw.top_left.heat.shape[3], raw.top_left.heat.shape[2]
        for _ in raw.top_left.heat:
            seen = load.objects(size=self.size, classes=self.classes, generator=generator)
            for points, kind in zip(seen.boxes.split(2, dim=1), (first, second), strict=True):
                kind.append(self._draw(points, seen, cells, generator))
        predictions = Predictions(_stacked(first, raw.top_left), _stacked(second, raw.bottom_right))
        _, best, _ = self.pairs(predictions)
        return predictions, {
            "distribution": load.NAME,
            "candidates": PEAKS**2,
            "above_threshold": int((best > 0).sum()) // len(best),
        }

    def _draw(
        self, points: Tensor, seen: Objects, cells: tuple[int, int], generator: torch.Generator
    ) -> Corners:
        """Draw predictions on maps of `cells` (columns, rows) for one image's objects with corners
        at points [N, 2].
        """
        columns, rows = cells
        heat = heatmap(
            points, seen, size=self.size, cells=cells, classes=self.classes, generator=generator
        )
        own = to_cells(points, size=self.size, cells=cells)
        embeddings = torch.rand((1, rows, columns), generator=generator) * len(points)
        offsets = torch.rand((2, rows, columns), generator=generator)
        place = (slice(None), own[:, 1], own[:, 0])
        embeddings[place] = torch.arange(len(points), dtype=embeddings.dtype)
        offsets[place] = (points / torch.tensor(self.size) * torch.tensor(cells) - own).T
        return Corners(heat.logit(eps=1e-6), embeddings, offsets)


def _stacked(images: list[Corners], like: Corners) -> Corners:
    return Corners(
        *(
            torch.stack(values).to(old)
            for values, old in zip(zip(*images, strict=True), like, strict=True)
        )
    )


def pair_corners(
    corners: Sequence[Peaks], places: Sequence[Tensor], embeddings: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Make a box of every top left and every bottom right corner: boxes [B, K * K, 4] and scores
    [B, K * K].

    The corners' places are [B, K, 2] in pixels, their embeddings [B, K, 1]. A score is the mean of
    the corners', or 0 where their classes differ, their embeddings differ by more than 0.5, or the
    box would be inside out.
    """
    first, second = corners
    (start, end), (left, right) = places, embeddings
    count = start.shape[1], end.shape[1]
    boxes = torch.cat(
        [start[:, :, None].expand(-1, -1, count[1], -1), end[:, None].expand(-1, count[0], -1, -1)],
        dim=-1,
    )
    fit = (first.labels[:, :, None] == second.labels[:, None]) & (
        (left - right.transpose(1, 2)).abs() <= ALIKE
    )
    fit &= (boxes[..., 2:] >= boxes[..., :2]).all(dim=-1)
    scores = (first.scores[:, :, None] + second.scores[:, None]) / 2 * fit
    return boxes.flatten(1, 2), scores.flatten(1)
