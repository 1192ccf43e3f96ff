"""The data of figures, as files hold them; `synthetic.py` says what they are made of and writes
them anew.
"""

from __future__ import annotations

import csv
import io

import pytest
from synthetic import GOLDEN, as_csv, cases

from archbench.report.figures.contract import CSV_COLUMNS

PLOTS = cases()


@pytest.mark.parametrize("case", PLOTS)
def test_the_data_of_a_figure_are_its_file_s(case: str) -> None:
    assert as_csv(PLOTS[case]) == (GOLDEN / f"{case}.csv").read_text(encoding="utf-8")


def test_every_file_has_its_figure() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == PLOTS.keys()


@pytest.mark.parametrize("case", PLOTS)
def test_the_csv_has_the_same_columns_whatever_the_figure(case: str) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(PLOTS[case]))))
    assert rows[0] == list(CSV_COLUMNS)
    assert all(len(row) == len(CSV_COLUMNS) for row in rows)
