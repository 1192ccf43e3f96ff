"""What passes between networks and their callers: stages, prepared pictures, detections,
classifiers.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone, Classifier, Detections, Preparation, Resize, Stage

STEPS = {
    "first": nn.Conv2d(3, 4, 3, stride=2, padding=1),
    "inner": nn.ReLU(),
    "second": nn.Conv2d(4, 6, 3, stride=2, padding=1),
}
STAGES = (Stage("first", 4, 2), Stage("second", 6, 4))


def test_a_level_is_the_power_of_its_stride() -> None:
    assert [Stage("x", 1, stride).level for stride in (1, 2, 8, 32, 64)] == [
        "c0",
        "c1",
        "c3",
        "c5",
        "c6",
    ]


def test_taps_are_levels_or_names_of_steps() -> None:
    backbone = Backbone(STEPS, STAGES, taps=("c2", "inner"))
    maps = backbone(torch.randn(2, 3, 8, 8))
    assert [tuple(m.shape) for m in maps] == [(2, 6, 2, 2), (2, 4, 4, 4)]
    assert backbone.taps == ("second", "inner")
    assert backbone.tapped == (STAGES[1],)


def test_without_taps_the_last_map_is_given_and_with_taps_later_steps_are_not_kept() -> None:
    assert Backbone(STEPS, STAGES)(torch.randn(1, 3, 8, 8))[0].shape == (1, 6, 2, 2)
    tapped = Backbone(STEPS, STAGES, taps=("inner",))
    assert list(dict(tapped.named_children())) == ["first", "inner"]
    assert tapped.stages == STAGES[:1]


def test_the_deepest_map_of_a_level_stands_for_it() -> None:
    steps = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(4, 5, 1)}
    assert Backbone(steps, [Stage("a", 4, 1), Stage("b", 5, 1)], taps=["c0"]).taps == ("b",)


@pytest.mark.parametrize("form", ["linear", "conv"])
def test_a_classifier_pools_and_gives_one_logit_a_class(form: str) -> None:
    torch.manual_seed(0)
    classifier = Classifier(Backbone(STEPS, STAGES), classes=5, form=form)  # type: ignore[arg-type]
    x = torch.randn(2, 3, 8, 8)
    pooled = classifier.backbone(x)[0].mean((2, 3))
    expected = pooled @ classifier.last.weight.flatten(1).T + classifier.last.bias
    torch.testing.assert_close(classifier(x), expected)


def test_inner_points_are_tapped_like_stages() -> None:
    inner = Stage("inner", 4, 2)
    backbone = Backbone(STEPS, STAGES, taps=("inner", "c2"), inner=(inner,))
    assert backbone.tapped == (inner, STAGES[1])
    assert Backbone(STEPS, STAGES, taps=("c1",), inner=(inner,)).tapped == (STAGES[0],)


def test_a_backbone_is_cut_before_its_last_stage() -> None:
    backbone = Backbone(STEPS, STAGES, norm=None)
    backbone.preparation = Preparation(order="bgr")
    split = backbone.split()
    images = torch.randn(2, 3, 8, 8)
    (features,) = split.trunk(images)
    torch.testing.assert_close(split.tail(features), backbone(images)[0])
    assert (list(dict(split.trunk.named_children())), list(dict(split.tail.named_children()))) == (
        ["first"],
        ["inner", "second"],
    )
    assert (split.trunk.stages, split.trunk.norm, split.trunk.preparation) == (
        STAGES[:1],
        None,
        backbone.preparation,
    )
    assert (split.channels, split.vectors) == (6, False)


def test_region_pooling_may_take_a_step_s_place() -> None:
    split = Backbone(STEPS, STAGES, tail="second").split()
    assert list(dict(split.tail.named_children())) == ["second"]


def test_one_stage_cannot_be_cut() -> None:
    with pytest.raises(UsageError, match="maps of at least two sizes"):
        Backbone(STEPS, STAGES, taps=("c1",)).split()


@pytest.mark.parametrize(("dilated", "dilation"), [(False, 1), (True, 4)])
def test_crops_are_not_dilated_unless_asked(dilated: bool, dilation: int) -> None:
    steps = {
        "first": nn.Conv2d(3, 4, 1),
        "second": nn.Sequential(nn.Conv2d(4, 4, (3, 5), padding=(4, 8), dilation=4)),
    }
    stages = [Stage("first", 4, 1), Stage("second", 4, 1)]
    split = Backbone(steps, stages, tail="second").split(dilated=dilated)
    conv = split.tail.second[0]
    assert conv.dilation == (dilation, dilation)
    assert split.tail(torch.randn(1, 4, 14, 14)).shape == (1, 4, 14, 14)


def test_a_picture_is_scaled_to_the_input_and_back() -> None:
    prepared = Preparation()(torch.zeros(3, 50, 200, dtype=torch.uint8), (100, 100))
    assert (tuple(prepared.image.shape), prepared.scale) == ((3, 100, 100), (2.0, 0.5))
    found = Detections(
        torch.tensor([[10.0, 20.0, 30.0, 40.0]]), torch.ones(1), torch.zeros(1, dtype=torch.long)
    ).on_picture(prepared)
    assert found.boxes.tolist() == [[20.0, 10.0, 60.0, 20.0]]
    assert len(found) == 1


def test_a_picture_that_is_fitted_keeps_its_aspect_and_is_filled_up() -> None:
    picture = torch.full((3, 50, 200), 255, dtype=torch.uint8)
    prepared = Preparation(mean=(0, 0, 0), std=(1, 1, 1), resize="fit")(picture, (100, 80))
    wanted = torch.zeros(3, 80, 100)
    wanted[:, :25] = 1
    torch.testing.assert_close(prepared.image, wanted)
    assert (prepared.scale, prepared.offset, prepared.picture) == ((2.0, 2.0), (0, 0), (200, 50))


def test_a_picture_that_is_cropped_keeps_its_aspect_and_its_middle() -> None:
    picture = torch.zeros(3, 50, 200, dtype=torch.uint8)
    picture[:, :, 75:125] = 255
    prepared = Preparation(mean=(0, 0, 0), std=(1, 1, 1), resize="crop")(picture, (50, 50))
    torch.testing.assert_close(prepared.image, torch.ones(3, 50, 50))
    assert (prepared.scale, prepared.offset) == ((1.0, 1.0), (75, 0))
    found = Detections(
        torch.tensor([[0.0, 0.0, 50.0, 50.0]]), torch.ones(1), torch.zeros(1, dtype=torch.long)
    ).on_picture(prepared)
    assert found.boxes.tolist() == [[75.0, 0.0, 125.0, 50.0]]


def test_boxes_in_what_was_filled_up_end_at_the_picture() -> None:
    prepared = Preparation(resize="fit")(torch.zeros(3, 50, 200, dtype=torch.uint8), (100, 100))
    found = Detections(
        torch.tensor([[-3.0, 20.0, 50.0, 100.0]]), torch.ones(1), torch.zeros(1, dtype=torch.long)
    ).on_picture(prepared)
    assert found.boxes.tolist() == [[0.0, 40.0, 100.0, 50.0]]


@pytest.mark.parametrize("resize", ["warp", "fit", "crop"])
def test_masks_come_back_to_the_picture_where_they_were(resize: Resize) -> None:
    """The picture's bright part, as a mask of the input, covers that part on the picture."""
    picture = torch.zeros(3, 60, 120, dtype=torch.uint8)
    picture[:, 20:40, 50:70] = 255
    prepared = Preparation(mean=(0, 0, 0), std=(1, 1, 1), resize=resize)(picture, (90, 90))
    found = Detections(
        torch.zeros(1, 4),
        torch.ones(1),
        torch.zeros(1, dtype=torch.long),
        masks=prepared.image[:1] > 0.5,
    )
    back = found.on_picture(prepared).masks
    assert back is not None
    assert back.shape == (1, 60, 120)
    assert (back[0] != (picture[0] > 0)).float().mean() < 0.02


@pytest.mark.parametrize(
    ("preparation", "expected"),
    [
        (
            Preparation(order="rgb", scale=1.0, mean=(0, 0, 0), std=(1, 1, 1)),
            (51 / 255, 102 / 255, 1.0),
        ),
        (
            Preparation(order="bgr", scale=255, mean=(104, 117, 123), std=(1, 1, 1)),
            (255 - 104, 102 - 117, 51 - 123),
        ),
        (
            Preparation(order="rgb", scale=1.0, mean=(0.2, 0.4, 0.0), std=(1, 1, 0.5)),
            (0.0, 0.0, 2.0),
        ),
    ],
)
def test_channels_are_ordered_scaled_and_shifted(
    preparation: Preparation, expected: tuple[float, float, float]
) -> None:
    picture = torch.tensor([51, 102, 255], dtype=torch.uint8).reshape(3, 1, 1).expand(3, 7, 5)
    image = preparation(picture, (4, 6)).image
    torch.testing.assert_close(
        image, torch.tensor(expected).reshape(3, 1, 1).expand(3, 6, 4).float()
    )


@pytest.mark.parametrize(
    "picture",
    [
        torch.zeros(3, 4, 4),
        torch.zeros(4, 4, 3, dtype=torch.uint8),
        torch.zeros(4, 4, dtype=torch.uint8),
    ],
)
def test_another_picture_is_a_usage_error(picture: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="uint8"):
        Preparation()(picture, (4, 4))
