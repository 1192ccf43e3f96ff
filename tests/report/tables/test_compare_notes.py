"""The notes below the tables of `archbench compare`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from archbench.report.tables.compare import flag_notes


@pytest.mark.parametrize(
    ("flagged", "of", "told"),
    [
        (1, 1, "network 0"),
        (2, 2, "all"),
        (8, 20, "; ".join(f"network {n}" for n in range(8))),
        (9, 20, "9 of 20 (archbench compare --columns flags shows which)"),
        (18, 20, "all but network 18; network 19"),
        (20, 20, "all"),
    ],
)
def test_a_flag_is_told_of_many_networks_in_a_line(flagged: int, of: int, told: str) -> None:
    named = {n: f"network {n}" for n in range(of)}
    configurations = [
        SimpleNamespace(spec=n, flags=["ci_not_met"] if n < flagged else []) for n in range(of)
    ]
    assert flag_notes(configurations, named) == [f"ci_not_met: {told}"]
