"""The stacked hourglass: levels, sizes, what a stack hands on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from archbench.zoo.backbones.hourglass import Halfway, Hourglass, hourglass
from archbench.zoo.contracts import Backbone


def small(taps: list[str] | None = None) -> Backbone:
    return hourglass(
        stem=6, channels=[8, 8, 12, 10], blocks=[1, 2, 1, 3], stacks=2, taps=taps
    ).eval()


def test_an_hourglass_by_hand() -> None:
    torch.manual_seed(0)
    glass = Hourglass([8, 12, 10], [2, 1, 3]).eval()
    assert [len(part) for part in (glass.upper, glass.down, glass.back)] == [2, 2, 2]
    inner = glass.inner
    assert isinstance(inner, Hourglass)
    assert [len(part) for part in (inner.upper, inner.down, inner.inner, inner.back)] == [
        1,
        1,
        3,
        1,
    ]
    x = torch.randn(1, 8, 12, 8)
    with torch.inference_mode():
        lower = glass.down(x)
        assert lower.shape == (1, 12, 6, 4)
        lower = inner.upper(lower) + F.interpolate(
            inner.back(inner.inner(inner.down(lower))), scale_factor=2
        )
        torch.testing.assert_close(
            glass(x), glass.upper(x) + F.interpolate(glass.back(lower), scale_factor=2)
        )


@pytest.mark.parametrize("size", [(64, 64), (47, 61), (9, 13)], ids=str)
def test_any_size_is_restored(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        (out,) = small()(torch.randn(1, 3, *size))
    assert out.shape == (1, 8, -(-size[0] // 4), -(-size[1] // 4))


def test_a_stack_hands_on_what_it_read_and_made() -> None:
    torch.manual_seed(0)
    backbone = small(["stack1", "stack2"])
    images = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        first, last = backbone(images)
        assert isinstance(first, Halfway)
        torch.testing.assert_close(first.read, backbone.stem(images))
        join = backbone.join1
        joined = join.block(F.relu(join.read(first.read) + join.made(first.made)))
        torch.testing.assert_close(last, backbone.stack2(joined))
        (alone,) = backbone(images, taps=["stack2"])
    torch.testing.assert_close(alone, last)
