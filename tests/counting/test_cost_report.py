"""A report as text and as a data frame."""

from __future__ import annotations

from torch import nn

import archbench
from archbench.quantities import COUNTED_FOR_REAL


def test_a_report_prints_as_a_table() -> None:
    text = str(archbench.count(nn.Conv2d(3, 8, 3), (1, 3, 8, 8)))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["parameters", "224"]
    assert ["multiply-adds", "7.776", "K"] in lines
    assert ["peak", "activation", "memory", "1.536", "KB"] in lines
    assert "all multiply-adds" not in text


def test_what_is_more_than_the_papers_count_is_said() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    lines = str(archbench.count(layer, (1, 5, 8))).splitlines()
    assert any(line.split() == ["all", "multiply-adds", "2.960", "K"] for line in lines)
    assert any(line.split() == ["of", "attention", "400"] for line in lines)


def test_a_report_of_a_real_pass_says_so() -> None:
    layer = nn.Linear(3, 2)
    by_shapes, for_real = (archbench.count(layer, (1, 3), device=on) for on in ("auto", "cpu"))
    assert (by_shapes.counted_on, for_real.counted_on) == ("meta", "cpu")
    assert str(for_real).splitlines() == [*str(by_shapes).splitlines(), COUNTED_FOR_REAL]


def test_what_is_not_counted_is_named() -> None:
    text = str(archbench.count(nn.Bilinear(3, 3, 2), ((2, 3), (2, 3))))
    assert "not counted, no rule: aten::_trilinear (1 calls)" in text


def test_calls_as_a_data_frame() -> None:
    frame = archbench.cost("resnet18").to_frame()
    assert frame["macs"].sum() == archbench.cost("resnet18").macs
    assert list(frame.columns)[:2] == ["path", "op"]
    assert set(frame["kind"]) == {"convolution", "linear"}
