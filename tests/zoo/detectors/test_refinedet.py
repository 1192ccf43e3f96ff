"""RefineDet: priors, forward, postprocessing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

import archbench
from archbench.spec import UsageError
from archbench.zoo.contracts import Detections, Detector
from archbench.zoo.detectors.refinedet import Predictions, RefineDet
from archbench.zoo.ops.boxes import decode

ROOT2 = math.sqrt(2)


@cache
def network(backbone: str, size: tuple[int, int] = (320, 320), classes: int = 80) -> RefineDet:
    torch.manual_seed(0)
    built = archbench.build(backbone, "refinedet", size=size, classes=classes)
    assert isinstance(built, RefineDet)
    return built


@torch.inference_mode()
def loaded(detector: RefineDet, batch: int) -> tuple[Predictions, dict[str, str | int]]:
    """Raw predictions that hold the synthetic scene."""
    boxes = detector.boxes
    shapes = ((boxes, 4), (boxes, 2), (boxes, 4), (boxes, detector.classes + 1))
    raw = Predictions(*(torch.zeros(batch, *shape) for shape in shapes))
    return detector.synthesize(raw, torch.Generator().manual_seed(0))


def check(found: Detections, size: tuple[int, int], classes: int) -> None:
    width, height = size
    x1, y1, x2, y2 = found.boxes.unbind(dim=1)
    assert ((x1 >= 0) & (x1 <= x2) & (x2 <= width) & (y1 >= 0) & (y1 <= y2) & (y2 <= height)).all()
    assert ((found.scores > 0.01) & (found.scores <= 1)).all()
    assert (found.scores.diff() <= 0).all()
    assert ((found.labels >= 0) & (found.labels < classes)).all()
    assert len(found) <= 500


@pytest.mark.parametrize("backbone", ["vovnet27-slim", "vgg16"])
def test_a_picture_goes_all_the_way_through(picture: Tensor, backbone: str) -> None:
    detector = network(backbone)
    prepared = detector.prepare(picture)
    with torch.inference_mode():
        raw = detector(prepared.image[None])
        assert [tuple(values.shape) for values in raw] == [
            (1, 6375, 4),
            (1, 6375, 2),
            (1, 6375, 4),
            (1, 6375, 81),
        ]
        assert all(values.isfinite().all() for values in raw)
        (found,) = detector.postprocess(raw)
    check(found, (320, 320), 80)
    check(found.on_picture(prepared), (427, 240), 80)
    assert len(found) > 0


def test_pictures_are_bgr_less_the_mean() -> None:
    """Input: BGR minus (104, 117, 123), warped to a square (vovnet-refinedet.md 3.5)."""
    red = torch.tensor([200, 0, 0], dtype=torch.uint8).reshape(3, 1, 1).expand(3, 30, 60)
    prepared = network("vovnet27-slim").prepare(red)
    torch.testing.assert_close(
        prepared.image.mean(dim=(1, 2)), torch.tensor([-104.0, -117.0, 77.0])
    )
    assert (tuple(prepared.image.shape), prepared.scale) == ((3, 320, 320), (60 / 320, 30 / 320))


def test_images_of_a_batch_do_not_see_each_other(sees_alone: Callable[[Detector], None]) -> None:
    sees_alone(network("vovnet27-slim", (128, 128)))


def test_postprocessing_an_image_does_not_depend_on_its_batch() -> None:
    detector = network("vovnet27-slim")
    raw, _ = loaded(detector, batch=2)
    both = detector.postprocess(raw)
    for index, found in enumerate(both):
        (alone,) = detector.postprocess(Predictions(*(values[index : index + 1] for values in raw)))
        torch.testing.assert_close(
            (found.boxes, found.scores, found.labels), (alone.boxes, alone.scores, alone.labels)
        )
        check(found, (320, 320), 80)
        assert len(found) > 50


def test_the_synthetic_scene_says_what_it_holds() -> None:
    detector = network("vovnet27-slim")
    raw, holds = loaded(detector, batch=2)
    scores = raw.odm_logits.softmax(dim=-1)[..., 1:]
    assert holds["candidates"] == 6375 * 80
    assert holds["above_threshold"] == pytest.approx((scores > 0.01).sum().item() / 2, rel=0.01)


def test_an_input_need_not_be_square(picture: Tensor) -> None:
    detector = network("vovnet27-slim", (320, 384), 20)
    assert detector.boxes == 3 * (40 * 48 + 20 * 24 + 10 * 12 + 5 * 6)
    with torch.inference_mode():
        raw = detector(detector.prepare(picture).image[None])
        (found,) = detector.postprocess(raw)
    assert raw.odm_logits.shape == (1, detector.boxes, 21)
    check(found, (320, 384), 20)


@pytest.mark.parametrize(
    ("index", "centre", "width", "height"),
    [
        (0, (4, 4), 32, 32),
        (1, (4, 4), 32 * ROOT2, 32 / ROOT2),
        (2, (4, 4), 32 / ROOT2, 32 * ROOT2),
        (3 * (40 * 2 + 1), (12, 20), 32, 32),
        (4800 + 3 * 19 + 1, (312, 8), 64 * ROOT2, 64 / ROOT2),
        (4800 + 1200 + 3 * 10, (16, 48), 128, 128),
        (6374, (288, 288), 256 / ROOT2, 256 * ROOT2),
    ],
)
def test_priors(index: int, centre: tuple[float, float], width: float, height: float) -> None:
    """A square of four strides, then 2:1 and 1:2 of its area, not clipped (vovnet-refinedet.md
    3.4).
    """
    priors = network("vovnet27-slim").priors.boxes
    assert len(priors) == 6375
    x, y = centre
    expected = torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    torch.testing.assert_close(priors[index], expected)


def test_priors_do_not_depend_on_the_device_the_network_is_built_on() -> None:
    assert archbench.build("vovnet27-slim", "refinedet512", device="meta").boxes == 3 * (
        64**2 + 32**2 + 16**2 + 8**2
    )


@pytest.mark.parametrize(("objectness", "found"), [(0.0099, 0), (0.0101, 1), (0.9, 1)])
def test_priors_that_are_no_objects_are_background(objectness: float, found: int) -> None:
    detector = network("vovnet27-slim")
    raw = Predictions(
        torch.zeros(1, 6375, 4),
        torch.zeros(1, 6375, 2),
        torch.zeros(1, 6375, 4),
        torch.zeros(1, 6375, 81),
    )
    raw.odm_logits[..., 0] = 20.0
    raw.odm_logits[0, 2000, 7] = 30.0
    raw.arm_logits[0, 2000] = torch.tensor([1 - objectness, objectness]).log()
    (detections,) = detector.postprocess(raw)
    assert detections.labels.tolist() == [6] * found


def test_the_second_offsets_start_from_the_refined_prior() -> None:
    detector = network("vovnet27-slim")
    raw = Predictions(
        torch.zeros(1, 6375, 4),
        torch.zeros(1, 6375, 2),
        torch.zeros(1, 6375, 4),
        torch.zeros(1, 6375, 81),
    )
    index = 3 * (40 * 20 + 20)
    raw.odm_logits[..., 0] = 20.0
    raw.odm_logits[0, index, 1] = 30.0
    raw.arm_offsets[0, index] = torch.tensor([2.0, -1.0, 5 * math.log(2), 0.0])
    raw.odm_offsets[0, index] = torch.tensor([1.0, 1.0, 0.0, 5 * math.log(0.5)])
    (detections,) = detector.postprocess(raw)
    # Prior: 32 x 32 at (164, 164). Refined: centre + (0.1 * 2, 0.1 * -1) * 32, 64 x 32. Then:
    # centre + 0.1 * (64, 32), 64 x 16.
    x, y = 164 + 6.4 + 6.4, 164 - 3.2 + 3.2
    torch.testing.assert_close(detections.boxes, torch.tensor([[x - 32, y - 8, x + 32, y + 8]]))
    refined = decode(raw.arm_offsets, detector.priors.boxes)
    torch.testing.assert_close(decode(raw.odm_offsets, refined)[0, index], detections.boxes[0])


@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("resnet50", {"output_stride": 16}),
        ("resnet50-x0.25", {}),
        ("densenet40", {}),
        ("vgg16", {"fc": "none"}),
        ("vgg16", {"fc": "conv"}),
        ("vgg16", {"fc": "linear"}),
    ],
    ids=str,
)
def test_a_pair_that_cannot_be_says_why(backbone: str, options: dict[str, str | int]) -> None:
    with pytest.raises(UsageError, match=f"refinedet on {backbone}.* cannot be built: "):
        archbench.cost(backbone, "refinedet", **options)
