"""Region pooling in plain torch: a box's part of a feature map at a fixed size, on every device,
without a loop over boxes.

What is sampled or averaged is a weighted sum of cells: a map is laid out as rows of channels, one a
cell, and `embedding_bag` sums the rows of all boxes in one pass, so that nothing of the size
samples x channels is ever held. A maximum over a rectangle is that of four windows whose sides are
powers of two, which are tabulated.

Boxes are [B, P, 4]: P for each image of the batch, and box p of image b is crop b * P + p.
Coordinates and weights are fp32, sums at least fp32, the output has the features' dtype and memory
format. Each paper's code says how cells past the map count; coordinates that are no number give 0.
There is no gradient.
"""

from archbench.zoo.ops.regions.crops import crop_and_resize, roi_align, roi_pool
from archbench.zoo.ops.regions.position_sensitive import (
    position_sensitive_align,
    position_sensitive_crop,
    position_sensitive_pool,
)


def _refuse(*_: object) -> None:
    raise RuntimeError("the operators that read its regions have no gradient here")


# Torch's own message would be about a formula that is not registered.
for _pooling in (
    crop_and_resize,
    roi_align,
    roi_pool,
    position_sensitive_crop,
    position_sensitive_align,
    position_sensitive_pool,
):
    _pooling.register_autograd(_refuse)

__all__ = [
    "crop_and_resize",
    "position_sensitive_align",
    "position_sensitive_crop",
    "position_sensitive_pool",
    "roi_align",
    "roi_pool",
]
