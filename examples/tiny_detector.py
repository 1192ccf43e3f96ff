"""A whole network of one's own, run as it is: a detector without anchors at stride 8.

archbench profile examples/tiny_detector.py:TinyDetector --size 320 --classes 20
"""

from torch import Tensor, nn


def block(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class TinyDetector(nn.Module):
    def __init__(self, width: float = 1.0, num_classes: int = 80) -> None:
        super().__init__()
        channels = [round(width * c) for c in (32, 64, 128)]
        self.body = nn.Sequential(*map(block, [3, *channels], channels))
        self.boxes_head = nn.Conv2d(channels[-1], 4, 1)
        self.scores_head = nn.Conv2d(channels[-1], num_classes, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.body(images)
        return {"boxes": self.boxes_head(features), "scores": self.scores_head(features)}
