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
from archbench.quantities import COUNTED, FIGURES, MEASURED, QUANTITIES
from archbench.records import Record
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
PERCENTILES = (90, 95, 99)
"""Percentiles of a forward pass that are columns, percent."""
QUOTED = {f"published_{metric.column}": metric for metric in metrics().values()}
COLUMNS: dict[str, type] = {
    **ASKED,
    **{row.name: row.type for row in (*COUNTED.values(), *MEASURED.values())},
    **SOURCES,
    **{
        name: QUANTITIES[metric.ours].type if metric.ours else float
        for name, metric in QUOTED.items()
    },
}


def rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give each record as a row with every column: medians of what was measured, one paper's row in
    our units beside it.
    """
    return [_row(record) for record in records]


def rows_with_published(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give the rows with two more keys: `missing` (figure: why there is none) and `published`,
    every figure of every table.
    """
    return [
        _row(record)
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


def merged(configuration: Configuration) -> dict[str, Any]:
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
    return _row(configuration.newest) | values | {"flags": flags}


def _row(record: Record) -> dict[str, Any]:
    spec, settings, environment = record.spec, record.settings, record.environment
    latency, energy = (record.metrics.get(name) for name in ("latency_ms", "energy_per_image_j"))
    spread = (latency.spread if latency else None) or {}
    interval = spread.get("ci95")
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
        "latency_ms_ci95_lo": interval[0] if interval else None,
        "latency_ms_ci95_hi": interval[1] if interval else None,
        **{f"latency_ms_p{percent}": _percentile(spread, percent) for percent in PERCENTILES},
        "energy_source": (energy.source if energy else "") or None,
        "flags": ";".join(flags_of(record)) or None,
    }
    fields = {name: recorded(record, name) for name in FIGURES} | fields | _published(spec)
    return {name: _typed(kind, fields.get(name)) for name, kind in COLUMNS.items()}


def _percentile(spread: Mapping[str, Any], percent: int) -> float | None:
    """A percentile of calls, which samples that average several do not tell."""
    return spread.get(f"p{percent}") if spread.get("calls_per_sample", 1) == 1 else None


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
