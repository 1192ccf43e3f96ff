"""SSD in Huang et al.'s form: maps, boxes, postprocessing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

import archbench
from archbench.shapes import map_sizes
from archbench.zoo.contracts import Detector
from archbench.zoo.detectors.ssd_huang import SSD
from archbench.zoo.ops.boxes import to_centres


@cache
def network(
    backbone: str = "mobilenet", size: tuple[int, int] = (300, 300), device: str = "cpu"
) -> SSD:
    torch.manual_seed(0)
    built = archbench.build(backbone, "ssd-huang", size=size, device=device)
    assert isinstance(built, SSD)
    return built


@pytest.mark.parametrize(
    ("backbone", "size", "options", "sides"),
    [
        ("vgg16", 300, {}, [38, 19, 10, 5, 3, 2, 1]),
        ("vgg16", 600, {}, [75, 38, 19, 10, 5, 3, 2]),
        ("resnet101-slim", 300, {}, [19, 10, 5, 3, 2, 1]),
        ("resnet101-slim", 600, {}, [38, 19, 10, 5, 3, 2]),
        ("resnet101-slim", 300, {"output_stride": 8}, [38, 19, 10, 5, 3, 2]),
        ("resnet101-slim", 600, {"output_stride": 8}, [75, 38, 19, 10, 5, 3]),
        ("inception-v2", 300, {}, [19, 10, 5, 3, 2, 1]),
        ("inception-v2", 600, {}, [38, 19, 10, 5, 3, 2]),
        ("inception-resnet-v2", 300, {}, [19, 10, 5, 3, 2]),
        ("inception-resnet-v2", 600, {}, [38, 19, 10, 5, 3]),
        ("mobilenet", 300, {}, [19, 10, 5, 3, 2, 1]),
        ("mobilenet", 600, {}, [38, 19, 10, 5, 3, 2]),
    ],
)
def test_maps_have_the_published_sides(
    backbone: str, size: int, options: dict[str, int], sides: list[int]
) -> None:
    detector = archbench.build(backbone, "ssd-huang", size=size, device="meta", **options)
    assert isinstance(detector, SSD)
    assert map_sizes(detector.features, (size, size)) == [(side, side) for side in sides]
    assert detector.boxes == 3 * sides[0] ** 2 + 6 * sum(side**2 for side in sides[1:])


def test_boxes_grow_from_map_to_map() -> None:
    """Scales 0.2 to 0.95 over six maps: the first map has sides of 0.1 and 0.2, a later one 0.35
    and so on.
    """
    boxes = to_centres(network().priors.boxes)
    centre, sides = boxes.split(2, dim=1)
    first, second, last = sides[:3] / 300, sides[1083 : 1083 + 6] / 300, sides[-6:] / 300
    torch.testing.assert_close(
        first,
        torch.tensor([[0.1, 0.1], [0.2 * 2**0.5, 0.2 / 2**0.5], [0.2 / 2**0.5, 0.2 * 2**0.5]]),
    )
    torch.testing.assert_close(
        second.prod(dim=1).sqrt(), torch.tensor([0.35] * 5 + [(0.35 * 0.5) ** 0.5])
    )
    torch.testing.assert_close(
        (second[:, 0] / second[:, 1]), torch.tensor([1, 2, 1 / 2, 3, 1 / 3, 1])
    )
    torch.testing.assert_close(last.prod(dim=1).sqrt(), torch.tensor([0.95] * 5 + [0.95**0.5]))
    torch.testing.assert_close(centre[0], torch.tensor([300 / 19 / 2] * 2))
    torch.testing.assert_close(centre[-1], torch.tensor([150.0, 150.0]))


def test_boxes_of_an_oblong_input_are_measured_by_its_shorter_side() -> None:
    sides = to_centres(network(size=(600, 300)).priors.boxes)[:, 2:]
    torch.testing.assert_close(sides[0], torch.tensor([30.0, 30.0]))


@pytest.mark.parametrize("backbone", ["mobilenet", "resnet18"])
def test_a_picture_goes_all_the_way_through(picture: Tensor, backbone: str) -> None:
    detector = network(backbone)
    prepared = detector.prepare(picture)
    with torch.inference_mode():
        raw = detector(prepared.image[None])
        assert (raw.offsets.shape, raw.logits.shape) == ((1, 1917, 4), (1, 1917, 91))
        assert all(values.isfinite().all() for values in raw)
        (found,) = detector.postprocess(raw)
    assert 0 < len(found) <= 100
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= 300) & (y1 >= 0) & (y1 <= y2) & (y2 <= 300)).all()
    assert ((found.scores > 0) & (found.scores <= 1)).all()
    assert ((found.labels >= 0) & (found.labels < 90)).all()
    assert (found.on_picture(prepared).boxes <= torch.tensor([427, 240, 427, 240])).all()


def test_images_of_a_batch_do_not_see_each_other(sees_alone: Callable[[Detector], None]) -> None:
    sees_alone(network())


def test_the_synthetic_scene_comes_back_as_its_scores() -> None:
    detector = network()
    with torch.inference_mode():
        raw = detector(torch.zeros(2, 3, 300, 300))
        made, holds = detector.synthesize(raw, torch.Generator().manual_seed(0))
        found = detector.postprocess(made)
    assert (holds["candidates"], holds["above_threshold"]) == (1917 * 90, 1917 * 90)
    assert all(len(one) == 100 for one in found)
    assert all(0.3 < one.scores[0] <= 0.9001 for one in found)
    assert not torch.equal(found[0].scores, found[1].scores)
