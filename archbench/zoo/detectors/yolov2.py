"""YOLOv2 (Redmon and Farhadi, YOLO9000: Better, Faster, Stronger, section 2), as darknet's
yolov2-voc.cfg and yolov2.cfg have it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archbench.zoo.contracts import Backbone
from archbench.zoo.detectors.base.yolo import BOX, YOLO, levels
from archbench.zoo.layers import Norm, chain, conv_leaky

STRIDES = (16, 32)
WIDTH = 1024
PASSED = 64
"""Channels of the finer map before four of its cells become one."""
VOC_CLASSES = 20
VOC_ANCHORS = (
    (1.3221, 1.73145),
    (3.19275, 4.00944),
    (5.05587, 8.09892),
    (9.47112, 4.84053),
    (11.2364, 10.0071),
)
"""Width and height of the anchors, in cells (yolov2-voc.cfg)."""
COCO_ANCHORS = (
    (0.57273, 0.677385),
    (1.87446, 2.06253),
    (3.33843, 5.47434),
    (7.88282, 3.52778),
    (9.77052, 9.16828),
)
"""The same in yolov2.cfg."""
SCORE = 0.005
"""The threshold with which darknet evaluates (`detector valid`)."""


class Features(nn.Module):
    """The backbone's two maps joined at the coarser one's resolution, and the predictions on
    them.
    """

    def __init__(self, backbone: Backbone, outputs: int) -> None:
        super().__init__()
        norm: Norm = backbone.norm or "bn"
        passed, deep = (stage.channels for stage in backbone.tapped)
        self.backbone = backbone
        self.deep = chain(
            conv_leaky(deep, WIDTH, 3, norm=norm), conv_leaky(WIDTH, WIDTH, 3, norm=norm)
        )
        self.passed = conv_leaky(passed, PASSED, 1, norm=norm)
        self.joint = conv_leaky(4 * PASSED + WIDTH, WIDTH, 3, norm=norm)
        self.predictor = nn.Conv2d(WIDTH, outputs, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        fine, coarse = self.backbone(images)
        deep = self.deep(coarse)
        # Darknet's reorg orders the channels otherwise, so that its weights would not fit.
        x = self.joint(torch.cat([F.pixel_unshuffle(self.passed(fine), 2), deep], dim=1))
        return [self.predictor(x)]


def yolov2(backbone: Backbone, *, size: tuple[int, int], classes: int) -> YOLO:
    """Build YOLOv2 on any backbone that is tapped at strides 16 and 32; sides are multiples of 32.

    Anchors are those for VOC where there are 20 classes, else those for COCO.
    """
    cell = STRIDES[-1]
    anchors = [
        (cell * width, cell * height)
        for width, height in (VOC_ANCHORS if classes == VOC_CLASSES else COCO_ANCHORS)
    ]
    *_, coarse = levels(backbone, size, [[], anchors], STRIDES)
    features = Features(backbone, len(anchors) * (BOX + classes))
    preparation = replace(backbone.preparation, resize="warp")
    return YOLO(
        features,
        [coarse],
        size=size,
        classes=classes,
        preparation=preparation,
        score=SCORE,
        activation="softmax",
    )
