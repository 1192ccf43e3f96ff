"""The columns that a figure of any two may show: their words, units, and which way is better."""

from __future__ import annotations

from dataclasses import replace

from archbench.papers import metrics
from archbench.papers.accuracies import DATASET
from archbench.quantities import QUANTITIES
from archbench.quantity import Scale
from archbench.report.data.headings import PUBLISHED
from archbench.report.data.rows import COLUMNS
from archbench.report.data.selection import column
from archbench.report.tables.deciding import metric_of
from archbench.spec import UsageError

ACCURACY = "accuracy"
"""The column of the published accuracies of one data set."""
HEADINGS = {ACCURACY: f"published {metric_of(DATASET)}", "total_ms": "total time"}
"""Headings of columns whose own say too little on an axis."""


def number(name: str) -> str:
    """A column of numbers; raises UsageError for another."""
    known = column(name)
    if COLUMNS[known] is str:
        raise UsageError(
            f"column {known} is not numeric: --x and --y take numbers, --group takes any column"
        )
    return known


def quoted(name: str) -> str:
    """A column of the papers' figures, with or without `published_` before it."""
    return number(name if name.startswith("published_") else f"published_{name}")


def heading(name: str) -> str:
    """How a column is called; the papers' accuracies and speeds by their own names."""
    if name in HEADINGS:
        return HEADINGS[name]
    plain = name.removeprefix("published_")
    heading = QUANTITIES[plain].title if plain in QUANTITIES else plain.replace("_", " ")
    if name == plain:
        return heading
    return f"{' '.join(PUBLISHED.get(plain, heading).split())}, as published"


def scale_of(name: str) -> Scale:
    """How a column is shown; what a paper prints in its own unit says that unit itself."""
    if name == ACCURACY:
        return Scale("%")
    plain = name.removeprefix("published_")
    scale = QUANTITIES[plain].scale if plain in QUANTITIES else Scale()
    says_it = name != plain and plain in PUBLISHED and scale.factor == 1
    return replace(scale, unit="") if says_it else scale


def is_accuracy(name: str) -> bool:
    """Whether a column is a published accuracy, which is of a data set."""
    plain = name.removeprefix("published_")
    return any(each.unit == "%" and each.column == plain for each in metrics().values())


def is_quoted_speed(name: str) -> bool:
    """Whether a column is a time or a rate that a paper measured on its own device."""
    plain = name.removeprefix("published_")
    of_papers = (each for each in metrics().values() if each.column == plain)
    return name != plain and any(not each.is_counted and each.unit != "%" for each in of_papers)


def is_more_better(name: str) -> bool:
    """Whether of two values of a column the larger is the better."""
    plain = name.removeprefix("published_").removeprefix("cpu_").removeprefix("mobile_gpu_")
    if is_accuracy(name):
        return "error" not in plain
    return name == ACCURACY or (plain in QUANTITIES and QUANTITIES[plain].is_more_better)
