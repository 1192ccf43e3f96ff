"""What passes between networks and their callers: stages, prepared pictures, detections, classifiers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archbench.spec import UsageError
from archbench.zoo.contracts import Backbone, Classifier, Detections, Preparation, Stage

STEPS = {"first": nn.Conv2d(3, 4, 3, stride=2, padding=1), "inner": nn.ReLU(), "second": nn.Conv2d(4, 6, 3, stride=2, padding=1)}
STAGES = (Stage("first", 4, 2), Stage("second", 6, 4))


def test_a_level_is_the_power_of_its_stride() -> None:
    assert [Stage("x", 1, stride).level for stride in (1, 2, 8, 32, 64)] == ["c0", "c1", "c3", "c5", "c6"]


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


def test_a_picture_is_scaled_to_the_input_and_back() -> None:
    prepared = Preparation()(torch.zeros(3, 50, 200, dtype=torch.uint8), (100, 100))
    assert (tuple(prepared.image.shape), prepared.scale) == ((3, 100, 100), (2.0, 0.5))
    found = Detections(torch.tensor([[10.0, 20.0, 30.0, 40.0]]), torch.ones(1), torch.zeros(1, dtype=torch.long)).on_picture(prepared)
    assert found.boxes.tolist() == [[20.0, 10.0, 60.0, 20.0]]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("preparation", "expected"),
    [
        (Preparation(order="rgb", scale=1.0, mean=(0, 0, 0), std=(1, 1, 1)), (51 / 255, 102 / 255, 1.0)),
        (Preparation(order="bgr", scale=255, mean=(104, 117, 123), std=(1, 1, 1)), (255 - 104, 102 - 117, 51 - 123)),
        (Preparation(order="rgb", scale=1.0, mean=(0.2, 0.4, 0.0), std=(1, 1, 0.5)), (0.0, 0.0, 2.0)),
    ],
)
def test_channels_are_ordered_scaled_and_shifted(preparation: Preparation, expected: tuple[float, float, float]) -> None:
    picture = torch.tensor([51, 102, 255], dtype=torch.uint8).reshape(3, 1, 1).expand(3, 7, 5)
    image = preparation(picture, (4, 6)).image
    torch.testing.assert_close(image, torch.tensor(expected).reshape(3, 1, 1).expand(3, 6, 4).float())


@pytest.mark.parametrize("picture", [torch.zeros(3, 4, 4), torch.zeros(4, 4, 3, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.uint8)])
def test_another_picture_is_a_usage_error(picture: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="uint8"):
        Preparation()(picture, (4, 4))
