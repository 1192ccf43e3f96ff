"""The stand-ins for CSPNet's Reference networks: what the paper's totals force, and that they say
what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

import archbench
from archbench.counting.report import CostReport
from archbench.papers import figures
from archbench.zoo import catalogue

NAMES = ("csp-peleenet-reference", "csp-densenet-reference", "csp-densenet-b-reference")
TOTALS = [
    figure
    for figure in figures()
    if figure.backbone in NAMES
    and figure.metric in ("bflops", "params_m")
    and (figure.table, figure.detector) != ("5", None)
]
MISPRINT = 0.836
"""BFLOPs of CSPDenseNet Reference that Table 4 implies; Table 3 prints 0.886."""


@cache
def report(backbone: str, detector: str | None, side: int | None) -> CostReport:
    return archbench.cost(backbone, detector, size=side)


@pytest.mark.parametrize(
    "figure", TOTALS, ids=lambda figure: f"{figure.backbone} {figure.detector} {figure.metric}"
)
def test_totals_are_near_the_paper_s(figure) -> None:
    counted = report(
        figure.backbone,
        figure.detector,
        int(figure.input.partition("x")[0]) if figure.input else None,
    )
    if figure.metric == "bflops":
        printed = (
            MISPRINT
            if (figure.backbone, figure.detector) == ("csp-densenet-reference", None)
            else figure.value
        )
        assert counted.flops == pytest.approx(
            printed * 1e9, rel=0.02 if "efm" in (figure.detector or "") else 0.005
        )
    else:
        assert counted.param_kinds.conv_weights == pytest.approx(
            figure.value * 1e6, rel=0.02 if "efm" in (figure.detector or "") else 0.005
        )


def test_every_total_is_looked_at() -> None:
    assert len(TOTALS) == 16


@pytest.mark.parametrize("name", NAMES)
def test_it_says_that_it_is_a_stand_in_and_ends_in_512_channels(name: str) -> None:
    assert "stand-in" in catalogue.find("backbone", name).approximate
    stages = archbench.build(name, classes=0, device="meta").stages
    assert [(stage.channels, stage.level) for stage in stages] == [
        (64, "c2"),
        (128, "c3"),
        (256, "c4"),
        (512, "c5"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_for_real_and_images_do_not_see_each_other(
    runs: Callable[..., None], name: str
) -> None:
    runs(name)
