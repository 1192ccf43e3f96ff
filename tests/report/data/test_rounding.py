"""How many digits of a figure are shown."""

from __future__ import annotations

import pytest

from archbench.report.data.rounding import decimals_for


@pytest.mark.parametrize(
    ("half_width", "decimals"),
    [
        (35.0, 0),
        (9.65, 0),
        (3.6, 0),
        (3.5, 1),
        (1.0, 1),
        (0.5, 1),
        (0.354, 2),
        (0.356, 1),
        (0.0996, 2),
        (0.031, 3),
        (1e4, 0),
    ],
)
def test_decimals_follow_the_uncertainty(half_width: float, decimals: int) -> None:
    assert decimals_for(half_width) == decimals
