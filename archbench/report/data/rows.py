"""Records as rows: what was asked, counted and measured, and what a paper printed of the same
network.

Rows are the stable interface (CSV, JSON, a data frame): each has every column of `COLUMNS`, in the
project's words, and what is missing is None.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from archbench.escaping import csv_cell
from archbench.papers import Published, figures_for, metrics, row_for, value_in_our_units
from archbench.papers.accuracies import DATASET
from archbench.quantities import COUNTED, FIGURES, MEASURED, QUANTITIES
from archbench.records import Record
from archbench.report.data.accuracies import Accuracies
from archbench.report.data.comparable import version_of
from archbench.report.data.configurations import Configuration
from archbench.report.data.counts import recorded
from archbench.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

ASKED = {
    "record_id": str,
    "time_utc": str,
    "status": str,
    "reason": str,
    "message": str,
    "backbone": str,
    "detector": str,
    "input": str,
    "classes": int,
    "options": str,
    "batch": int,
    "mode": str,
    "device": str,
    "device_uuid": str,
    "threads": int,
    "precision": str,
    "memory_format": str,
}
SOURCES = {"published_source": str, "published_label": str, "published_dataset": str}
SPREADS = ("latency_ms", "total_ms")
"""Times whose intervals and percentiles are columns."""
PERCENTILES = (50, 90, 95, 99)
"""Those percentiles, percent."""
QUOTED = {f"published_{metric.column}": metric for metric in metrics().values()}
LATER = {row.name: row.type for row in MEASURED.values() if row.is_later}
ACCURACY = {"accuracy": float, "accuracy_dataset": str, "accuracy_source": str}
"""Of one data set alone, by the metric that is usual on it."""
ENGINE = {"engine": str, "engine_version": str}
"""What ran the network."""
COLUMNS: dict[str, type] = {
    **ASKED,
    **{row.name: row.type for row in (*COUNTED.values(), *MEASURED.values()) if not row.is_later},
    **SOURCES,
    **{
        name: QUANTITIES[metric.ours].type if metric.ours else float
        for name, metric in QUOTED.items()
    },
    **LATER,
    **ACCURACY,
    **ENGINE,
}
"""Every stable column with its type. New ones stand last, so that none changes its place."""


def rows(records: Iterable[Record], dataset: str = DATASET) -> list[dict[str, Any]]:
    """Give each record as a row with every column: medians of what was measured, one paper's row in
    our units beside it, and the published accuracy on a data set.
    """
    return [_row(record, dataset) for record in records]


def rows_with_published(records: Iterable[Record], dataset: str = DATASET) -> list[dict[str, Any]]:
    """Give the rows with two more keys: `missing` (figure: why there is none) and `published`,
    every figure of every table.
    """
    return [
        _row(record, dataset)
        | {
            "missing": {
                name: metric.reason
                for name, metric in record.metrics.items()
                if metric.value is None
            },
            "published": [_quotation(figure) for figure in figures_for(record.spec)],
        }
        for record in records
    ]


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Give the rows as a data frame: whole numbers are Int64, numbers float64 and text string,
    empty columns too.
    """
    import pandas as pd

    dtypes = {str: "string", int: "Int64", float: "float64"}
    table = pd.DataFrame(rows(records), columns=list(COLUMNS))
    return table.astype({name: dtypes[kind] for name, kind in COLUMNS.items()})


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], file: TextIO) -> None:
    """Write some columns of rows as CSV, a heading even where there is no row; what is missing is
    empty, and no text is taken for a formula.
    """
    writer = csv.DictWriter(file, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(row.get(name)) for name in columns} for row in rows)


def merged(configuration: Configuration, dataset: str = DATASET) -> dict[str, Any]:
    """Give the repeats of a configuration as one row: the newest record's, with the median of the
    processes' medians.
    """
    estimates = {name: configuration.estimate(name) for name in FIGURES}
    values = {
        name: _typed(COLUMNS[name], estimate.value)
        for name, estimate in estimates.items()
        if estimate
    }
    flags = ";".join(configuration.flags) or None
    return _row(configuration.newest, dataset) | values | {"flags": flags}


def _row(record: Record, dataset: str) -> dict[str, Any]:
    spec, settings, environment = record.spec, record.settings, record.environment
    energy = record.metrics.get("energy_per_image_j")
    fields = {
        "record_id": record.record_id,
        "time_utc": record.time_utc,
        "status": record.status,
        "reason": record.reason.code if record.reason else None,
        "message": (record.reason.message if record.reason else "") or None,
        "backbone": spec.backbone,
        "detector": spec.detector,
        "input": spec.size,
        "classes": spec.classes,
        "options": spec.options_text or None,
        "batch": spec.batch,
        "mode": spec.mode,
        "device": environment.get("device_name"),
        "device_uuid": environment.get("uuid"),
        "threads": environment.get("threads"),
        "precision": settings.precision if settings else None,
        "memory_format": settings.memory_format if settings else None,
        "engine": settings.engine if settings else None,
        "engine_version": version_of(environment) or None,
        "energy_source": (energy.source if energy else "") or None,
        "flags": ";".join(flags_of(record)) or None,
    }
    found: dict[str, Any] = {name: recorded(record, name) for name in FIGURES}
    found |= fields | _published(spec) | _accuracy(record, dataset)
    for time in SPREADS:
        found |= _spread(record, time)
    return {name: _typed(kind, found.get(name)) for name, kind in COLUMNS.items()}


def _spread(record: Record, time: str) -> dict[str, Any]:
    """The interval and the percentiles of a time."""
    metric = record.metrics.get(time)
    spread = (metric.spread if metric else None) or {}
    interval = spread.get("ci95") or (None, None)
    bounds = {f"{time}_ci95_lo": interval[0], f"{time}_ci95_hi": interval[1]}
    return bounds | {f"{time}_p{percent}": _percentile(spread, percent) for percent in PERCENTILES}


def _percentile(spread: Mapping[str, Any], percent: int) -> float | None:
    """A percentile of calls, which samples that average several do not tell."""
    word = "median" if percent == 50 else f"p{percent}"
    return spread.get(word) if spread.get("calls_per_sample", 1) == 1 else None


def _published(spec: Spec) -> dict[str, Any]:
    """The figures of the one row of one table that is set beside a spec."""
    row = row_for(spec)
    if not row:
        return {}
    named = {f"published_{word}": value for word, value in map(value_in_our_units, row)}
    return {
        "published_source": row[0].source,
        "published_label": row[0].label,
        "published_dataset": row[0].dataset or None,
        **named,
    }


def _accuracy(record: Record, dataset: str) -> dict[str, Any]:
    """The published accuracy of a record's network on a data set."""
    known = Accuracies(dataset).of_record(record)
    if known is None:
        return {}
    return {
        "accuracy": known.value,
        "accuracy_dataset": dataset,
        "accuracy_source": known.source,
    }


def _quotation(figure: Published) -> dict[str, Any]:
    word, value = value_in_our_units(figure)
    return {
        "source": figure.source,
        "label": figure.label,
        "dataset": figure.dataset or None,
        "metric": figure.metric,
        "value": figure.value,
        "column": word,
        "value_in_our_units": _typed(COLUMNS[f"published_{word}"], value),
    }


def _typed(kind: type, value: Any) -> Any:
    """The value in its column's type: a whole number that was computed as a float is written as
    one.
    """
    return None if value is None else round(value) if kind is int else kind(value)


def flags_of(record: Record) -> list[str]:
    """Every flag of a record's figures."""
    return list(dict.fromkeys(flag for metric in record.metrics.values() for flag in metric.flags))
