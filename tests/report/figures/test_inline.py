"""Figures that stand in a page."""

from __future__ import annotations

import re
from pathlib import Path

from archbench.report.figures.contract import Axis, Mark, Panel, Plot
from archbench.report.figures.inline import inline_svg

EVIL = "--><script>alert(1)</script> $\\frac{1"


def drawn(name: str) -> str:
    marks = (Mark(EVIL, 1.0, 2.0, is_named=True), Mark("b", 2.0, 3.0, colour=EVIL))
    return inline_svg(Plot(name, EVIL, EVIL, (Panel(EVIL, Axis(EVIL), Axis("y"), marks),)))


def test_identifiers_are_of_one_figure_alone() -> None:
    one, other = drawn("one"), drawn("other")
    assert set(re.findall(r'\bid="([^"]+)"', one)).isdisjoint(re.findall(r'\bid="([^"]+)"', other))
    referred = re.findall(r'href="#([^"]+)"', one) + re.findall(r"url\(#([^)]+)\)", one)
    assert referred
    assert set(referred) <= set(re.findall(r'\bid="([^"]+)"', one))


def test_markup_and_mathematics_in_names_are_letters() -> None:
    text = drawn("one")
    assert "<script" not in text
    assert "<!--" not in text
    assert "<style" not in text


def test_it_is_the_drawing_alone_and_says_what_it_is(tmp_path: Path) -> None:
    root = drawn("one").partition(">")[0]
    assert root.startswith("<svg")
    assert 'role="img"' in root
    assert "aria-label=" in root
    assert "width=" not in root
