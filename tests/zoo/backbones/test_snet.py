"""SNet: units, widths, multiply-adds."""

from __future__ import annotations

import pytest
import torch

import archbench
from archbench.zoo.backbones.snet import Down, Unit, shuffle


def test_shuffling_takes_the_halves_in_turns() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1).expand(1, 6, 2, 3)
    assert shuffle(x)[0, :, 1, 2].tolist() == [0, 3, 1, 4, 2, 5]


def test_half_of_a_unit_s_channels_pass() -> None:
    torch.manual_seed(0)
    unit, x = Unit(8).eval(), torch.randn(1, 8, 5, 6)
    with torch.inference_mode():
        out = unit(x)
        torch.testing.assert_close(out[:, ::2], x[:, :4])
        torch.testing.assert_close(out[:, 1::2], unit.branch(x[:, 4:]))


def test_a_strided_unit_halves_and_splits_evenly() -> None:
    torch.manual_seed(0)
    unit, x = Down(6, 20).eval(), torch.randn(1, 6, 7, 8)
    with torch.inference_mode():
        out = unit(x)
        assert out.shape == (1, 20, 4, 4)
        torch.testing.assert_close(out[:, ::2], unit.left(x))


@pytest.mark.parametrize(
    ("name", "macs"), [("snet49", 51.2e6), ("snet146", 161.1e6), ("snet535", 535.35e6)]
)
def test_classifiers_have_about_the_multiply_adds_of_their_names(name: str, macs: float) -> None:
    report = archbench.cost(name)
    assert report.macs == pytest.approx(macs, rel=1e-3)
    depthwise = [call for call in report.calls if call.groups > 1]
    assert {call.kernel for call in depthwise} == {(5, 5)}
    assert len(depthwise) == 16 + 3
