"""What two-stage detectors count, by their proposals, detections and batch."""

from __future__ import annotations

import pytest

import archbench


@pytest.mark.parametrize(
    ("backbone", "detector", "size"),
    [
        ("mobilenet", "faster-rcnn", 300),
        ("resnet18", "faster-rcnn-c4", 320),
        ("resnet18-gn", "faster-rcnn-fpn", 320),
        ("vgg16", "faster-rcnn", 300),
    ],
)
def test_counts_are_exact_functions_of_the_proposals(
    backbone: str, detector: str, size: int
) -> None:
    one, ten, many = (
        archbench.cost(backbone, detector, size=size, proposals=count) for count in (1, 10, 300)
    )
    assert one.params == ten.params == many.params
    for count in ("macs", "cio", "mac_eq1", "cio_pool"):
        first, second, last = (getattr(report, count) for report in (one, ten, many))
        assert (second - first) * 299 == (last - first) * 9
        assert last > second > first or (backbone, count) in (
            ("vgg16", "cio"),
            ("vgg16", "mac_eq1"),
        )


@pytest.mark.parametrize(
    ("backbone", "detector"), [("mobilenet", "rfcn"), ("resnet18", "rfcn-caffe")]
)
def test_no_count_of_rfcn_depends_on_the_proposals(backbone: str, detector: str) -> None:
    few, many = (
        archbench.cost(backbone, detector, size=300, proposals=count) for count in (1, 300)
    )
    assert few.calls == many.calls
    assert few.cio_pool == many.cio_pool


def test_masks_are_counted_for_every_detection() -> None:
    few, many = (
        archbench.cost("resnet18", "mask-rcnn-fpn", size=320, detections=count)
        for count in (1, 101)
    )
    each = (many.macs - few.macs) / 100
    convolutions = 4 * 14 * 14 * 256 * 256 * 9
    assert each == convolutions + 14 * 14 * 256 * 256 * 4 + 28 * 28 * 256 * 81


def test_a_batch_counts_as_one_image() -> None:
    one, two = (
        archbench.cost("mobilenet", "faster-rcnn", size=300, batch=batch, proposals=20)
        for batch in (1, 2)
    )
    assert (one.macs, one.mac_eq1, one.cio, one.cio_pool) == (
        two.macs,
        two.mac_eq1,
        two.cio,
        two.cio_pool,
    )
