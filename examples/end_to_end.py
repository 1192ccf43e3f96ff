"""A whole network of one's own that gives final detections, so that its time is the total time.

archbench profile examples/end_to_end.py:EndToEnd --size 320 --option best=100
"""

from torch import Tensor, nn


def block(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class EndToEnd(nn.Module):
    outputs = "final"

    def __init__(self, classes: int = 80, best: int = 300) -> None:
        super().__init__()
        channels = (32, 64, 128)
        self.body = nn.Sequential(*map(block, (3, *channels), channels))
        self.boxes = nn.Conv2d(channels[-1], 4, 1)
        self.scores = nn.Conv2d(channels[-1], classes, 1)
        self.best = best

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        features = self.body(images)
        boxes = self.boxes(features).flatten(2)
        scores, found = self.scores(features).flatten(1).topk(self.best)
        labels, cells = found // boxes.shape[2], found % boxes.shape[2]
        kept = boxes.gather(2, cells[:, None].expand(-1, 4, -1)).transpose(1, 2)
        rows = zip(kept, scores, labels, strict=True)
        return [{"boxes": b, "scores": s, "labels": n} for b, s, n in rows]
