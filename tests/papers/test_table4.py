"""VoVNet's Table 4, whole: our counts print as the paper's parameters, and its FLOPs come out by
its own rule.
"""

from __future__ import annotations

import pytest

from archbench.api import cost_spec
from archbench.papers import figures

ROWS = {
    (figure.label, figure.metric): figure
    for figure in figures()
    if (figure.paper, figure.table) == ("vovnet", "4") and figure.metric in ("params_m", "gmacs")
}
LABELS = sorted({label for label, _ in ROWS})


def test_the_table_has_six_rows() -> None:
    assert len(LABELS) == 6


@pytest.mark.parametrize("label", LABELS)
def test_parameters_print_as_published_and_flops_are_within_a_fifth_of_a_percent(
    label: str,
) -> None:
    report = cost_spec(ROWS[label, "params_m"].spec())
    assert f"{report.params / 1e6:.2f}" == f"{ROWS[label, 'params_m'].value:.2f}"
    assert report.paper_flops / 1e9 == pytest.approx(ROWS[label, "gmacs"].value, rel=0.002)
