"""RetinaNet (Lin et al., Focal Loss for Dense Object Detection, section 4).

A feature pyramid of five levels and two towers of convolutions that all levels share; every class
has a score of its own, without a background. What the paper leaves open is as in
facebookresearch/Detectron.
"""

from __future__ import annotations

import math
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone, Detections
from archbench.zoo.detectors.base.single_stage import Head, Predictions, SingleStage
from archbench.zoo.layers import FPN, ConvNormReLU, chain
from archbench.zoo.ops.boxes import SSD_VARIANCES, decode
from archbench.zoo.ops.nms import Selection, by_group_then_score, rank_in_group

WIDTH = 256
DEPTH = 4
"""3x3 convolutions of a tower before its last."""
STRIDES = (8, 16, 32, 64, 128)
ANCHOR = 4
"""Side of a level's smallest square anchor, in strides: 32 to 512 pixels."""
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
RATIOS = (0.5, 1.0, 2.0)
"""Height over width of an anchor."""
CANDIDATES = 1000
"""How many (anchor, class) pairs of a level, the best, come to the suppression."""
SELECTION = Selection(score=0.05, iou=0.5, per_image=100)
VARIANCES = (1.0, 1.0)


class Pyramid(nn.Module):
    """The backbone's maps at strides 8, 16 and 32 to five of 256 channels, at strides 8 to 128."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        channels = [stage.channels for stage in backbone.tapped]
        self.backbone = backbone
        self.fpn = FPN(channels, WIDTH, norm=None)
        # On C5 (section 4); torchvision's retinanet_resnet50_fpn reads P5.
        self.sixth = nn.Conv2d(channels[-1], WIDTH, 3, 2, 1)
        self.seventh = nn.Conv2d(WIDTH, WIDTH, 3, 2, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.backbone(images)
        sixth = self.sixth(maps[-1])
        return [*self.fpn(maps), sixth, self.seventh(F.relu(sixth))]


def tower(c_out: int) -> nn.Sequential:
    """Four 3x3 convolutions with ReLU and one to `c_out`."""
    return chain(
        *(ConvNormReLU(WIDTH, WIDTH, 3, norm=None) for _ in range(DEPTH)),
        nn.Conv2d(WIDTH, c_out, 3, padding=1),
    )


class RetinaNet(SingleStage):
    """RetinaNet on any backbone that is tapped at strides 8, 16 and 32; sides need no padding.

    Pyramid and towers have no normalisation, whatever the backbone has.
    """

    def __init__(self, backbone: Backbone, *, size: tuple[int, int], classes: int) -> None:
        if tuple(stage.stride for stage in backbone.tapped) != STRIDES[:3]:
            raise UsageError("it reads maps at strides 8, 16 and 32")
        anchors = [
            (ANCHOR * octave / math.sqrt(ratio), ANCHOR * octave * math.sqrt(ratio))
            for octave in OCTAVES
            for ratio in RATIOS
        ]
        shapes = [
            [(stride * width, stride * height) for width, height in anchors] for stride in STRIDES
        ]
        shared = Head(tower(4 * len(anchors)), tower(classes * len(anchors)))
        super().__init__(
            Pyramid(backbone),
            [shared] * len(STRIDES),
            shapes,
            size=size,
            classes=classes,
            preparation=backbone.preparation,
            selection=SELECTION,
            steps=STRIDES,
            activation="sigmoid",
            background=False,
        )
        self.ends = nn.Buffer(torch.tensor([*accumulate(self.levels)]), persistent=False)
        """The number of anchors up to the end of each level."""

    def decoded(self, raw: Predictions) -> tuple[Tensor, Tensor]:
        return decode(raw.offsets.float(), self.priors.boxes, VARIANCES), self.scores(raw)

    def postprocess(self, raw: Predictions) -> list[Detections]:
        boxes, scores = self.decoded(raw)
        return self.selection(boxes, self.candidates(scores), self.size)

    def candidates(self, scores: Tensor) -> Tensor:
        """Scores [B, N, classes] with all but each level's best 1000 above the threshold set to 0;
        the first of equal ones stay.
        """
        _, count, classes = scores.shape
        place = (scores > self.selection.score).flatten().nonzero().squeeze(1)
        score = scores.flatten()[place]
        image, anchor = place // (count * classes), place // classes % count
        level = image * len(self.levels) + torch.bucketize(anchor, self.ends, right=True)
        order = by_group_then_score(score, level)
        best = score[order].where(rank_in_group(level[order]) < CANDIDATES, 0)
        kept = torch.zeros_like(scores).flatten().scatter_(0, place[order], best)
        return kept.view_as(scores)

    def synthesize(
        self, raw: Predictions, generator: torch.Generator
    ) -> tuple[Predictions, dict[str, str | int]]:
        predictions, counts = super().synthesize(raw, generator)
        scale = (torch.tensor(SSD_VARIANCES) / torch.tensor(VARIANCES)).repeat_interleave(2)
        offsets = predictions.offsets * scale.to(predictions.offsets)
        return predictions._replace(offsets=offsets), counts
