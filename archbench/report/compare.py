"""Records as rows: what was asked, counted and measured, and what a paper printed of the same network.

`rows` are the stable interface (CSV, JSON, a data frame): every row has every column of `COLUMNS`, in the project's words, and
what is missing is None. `tables` are for people.
"""

from __future__ import annotations

import csv
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from archbench.papers import Published, beside, figures_for, metrics, row_for, rule_notes, value_in_our_units
from archbench.papers.pairs import approximations
from archbench.records import Record
from archbench.report.tables import Column, Table
from archbench.report.words import COUNTED, MEASURED
from archbench.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

ASKED = {
    "record_id": str, "time_utc": str, "status": str, "reason": str, "message": str, "backbone": str, "detector": str, "input": str,
    "classes": int, "options": str, "batch": int, "mode": str, "device": str, "threads": int, "precision": str, "memory_format": str,
}  # fmt: skip
COUNTS = {
    "params": int, "paper_params": int, "macs": int, "flops": int, "paper_flops": int, "mac_eq1": int, "mac_bound": float, "cio": int,
    "cio_pool": int, "bn_elements": int, "activation_peak_bytes": int, "activation_total_bytes": int, "boxes": int,
}  # fmt: skip
MEASURES = {
    "latency_ms": float, "latency_ms_ci95_lo": float, "latency_ms_ci95_hi": float, "gpu_ms": float, "postprocess_ms": float,
    "total_ms": float, "fps": float, "fps_total": float, "throughput_img_s": float, "gmacs_per_s": float, "flops_per_s": float,
    "backbone_ms": float, "heads_ms": float, "copy_ms": float,
    "energy_per_image_j": float, "energy_net_per_image_j": float, "energy_eq2_per_image_j": float,
    "mem_params_bytes": int, "mem_buffers_bytes": int, "mem_alloc_peak_bytes": int, "mem_act_peak_bytes": int,
    "mem_reserved_peak_bytes": int, "mem_device_delta_bytes": int, "mem_host_peak_bytes": int, "flags": str,
}  # fmt: skip
SOURCES = {"published_source": str, "published_label": str, "published_dataset": str}
QUOTED = {f"published_{metric.column}": (COUNTS | MEASURES).get(metric.ours, float) for metric in metrics().values()}
COLUMNS: dict[str, type] = {**ASKED, **COUNTS, **MEASURES, **SOURCES, **QUOTED}

OPERATIONS = ("paper_flops", "flops", "macs")
"""What a paper may mean by its FLOPs, as our words."""

WIDTH = 80
LEAST_NAME_WIDTH = 20
NAMES = Column("network: our figures\n  paper/table: its own", "left")
SHOWN = COUNTED | MEASURED
NO_BREAK = "\N{NO-BREAK SPACE}"
QUOTED_NOTE = "A line that names a paper's table quotes it: its figures are of the paper's own device. fps: images/s."
TABLES_NOTE = "Each table is of one device, precision and memory format: times are not to be compared from table to table."
FIGURES = [
    Column(heading)
    for heading in ("params\n(M)", "multiply-\nadds (G)", "FLOPs,\npaper's\nway (G)", "MAC\n(Eq. 1)\n(M)", "latency\n(ms)", "fps")
]


def rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give each record as a row with every column: medians of what was measured, one paper's row in our units beside it."""
    return [_row(record) for record in records]


def rows_with_published(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give the rows with two more keys: `missing` (figure: why there is none) and `published`, every figure of every table."""
    return [
        _row(record)
        | {
            "missing": {name: metric.reason for name, metric in record.measured.items() if metric.value is None},
            "published": [_quotation(figure) for figure in figures_for(record.spec)],
        }
        for record in records
    ]


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Give the rows as a data frame: whole numbers are Int64, numbers float64 and text string, empty columns too."""
    import pandas as pd

    dtypes = {str: "string", int: "Int64", float: "float64"}
    table = pd.DataFrame(rows(records), columns=list(COLUMNS))
    return table.astype({name: dtypes[kind] for name, kind in COLUMNS.items()})


def write_csv(records: Iterable[Record], file: TextIO) -> None:
    """Write the rows as CSV, a heading even where there is no record; what is missing is empty."""
    writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(records))


def _row(record: Record) -> dict[str, Any]:
    spec, settings, environment = record.spec, record.settings, record.environment
    latency = record.measured.get("latency_ms")
    interval = (latency.spread or {}).get("ci95") if latency else None
    found = {
        "record_id": record.record_id, "time_utc": record.time_utc, "status": record.status,
        "reason": record.reason.code if record.reason else None, "message": (record.reason.message if record.reason else "") or None,
        "backbone": spec.backbone, "detector": spec.detector, "input": spec.size, "classes": spec.classes,
        "options": spec.options_text or None, "batch": spec.batch, "mode": spec.mode, "device": environment.get("device_name"),
        "threads": environment.get("threads"), "precision": settings.precision if settings else None,
        "memory_format": settings.memory_format if settings else None,
        "latency_ms_ci95_lo": interval[0] if interval else None, "latency_ms_ci95_hi": interval[1] if interval else None,
        "flags": ";".join(_flags(record)) or None,
    }  # fmt: skip
    found = {name: record.value(name) for name in (*COUNTS, *MEASURES)} | found | _published(spec)
    return {name: _typed(kind, found.get(name)) for name, kind in COLUMNS.items()}


def _published(spec: Spec) -> dict[str, Any]:
    """The figures of the one row of one table that is set beside a spec."""
    row = row_for(spec)
    if not row:
        return {}
    named = {f"published_{word}": value for word, value in map(value_in_our_units, row)}
    return {"published_source": row[0].source, "published_label": row[0].label, "published_dataset": row[0].dataset or None, **named}


def _quotation(figure: Published) -> dict[str, Any]:
    word, value = value_in_our_units(figure)
    ours = metrics()[figure.metric].ours
    return {
        "source": figure.source, "label": figure.label, "dataset": figure.dataset or None, "metric": figure.metric,
        "value": figure.value, "column": word, "value_in_our_units": _typed((COUNTS | MEASURES).get(ours, float), value),
    }  # fmt: skip


def _typed(kind: type, value: Any) -> Any:
    """The value in its column's type: a whole number that was computed as a float is written as one."""
    return None if value is None else round(value) if kind is int else kind(value)


def _flags(record: Record) -> list[str]:
    return list(dict.fromkeys(flag for metric in record.measured.values() for flag in metric.flags))


def tables(records: Sequence[Record], *, width: int | None = WIDTH) -> list[Table]:
    """Give the records as tables for people, one for each device and its settings, a paper's figures in the line below ours.

    Names are broken so that the table is no wider than `width`; None leaves them whole. The last one bears the notes that all
    of them need.
    """
    names = _names([record.spec for record in records])
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(where(record), []).append(record)
    made = [_table(title, group, names, width) for title, group in groups.items()]
    if made:
        made[-1] = replace(made[-1], notes=[*made[-1].notes, *_notes(records, tables=len(made))])
    return made


def _table(title: str, records: Sequence[Record], names: Mapping[Spec, str], width: int | None) -> Table:
    both = [(_our_figures(record), _paper_figures(record)) for record in records]
    columns = zip(*(cells for figures in both for cells in figures if cells), strict=True)
    taken = sum(
        2 + max(len(text) for text in (*column.heading.split("\n"), *cells)) for column, cells in zip(FIGURES, columns, strict=True)
    )
    left = max(LEAST_NAME_WIDTH, width - taken) if width else sys.maxsize
    lines = [
        line
        for record, (ours, papers) in zip(records, both, strict=True)
        for line in _lines(record, _wrap(names[record.spec], left), ours, papers)
    ]
    return Table([NAMES, *FIGURES], lines, title=title, notes=[*_ends(records, names), *_flag_notes(records, names)])


def _lines(record: Record, name: Sequence[str], ours: Sequence[str], papers: Sequence[str]) -> list[list[str]]:
    """The lines of one record: our figures beside its name, how it ended if not well, the paper's figures."""
    blank = [""] * len(FIGURES)
    lines = [[name[0], *ours], *([text, *blank] for text in name[1:])]
    if record.status != "ok":
        lines.append([f"  {record.status}", *blank])
    if papers:
        lines.append([f"  {row_for(record.spec)[0].source}", *papers])
    return lines


def _our_figures(record: Record) -> list[str]:
    words = (_parameters(record.spec), "macs", _operations(record.spec), "mac_eq1", "latency_ms", "fps")
    return [SHOWN[word].show(record.value(word)) if word else "" for word in words]


def _paper_figures(record: Record) -> list[str]:
    named, _ = beside(record.spec)
    words = (_parameters(record.spec), "", _operations(record.spec), "mac_eq1", "latency_ms", "fps")
    figures = [SHOWN[word].quote(named[word]) if word in named else "" for word in words]
    return figures if any(figures) else []


def _operations(spec: Spec) -> str:
    """Our word for what the paper calls FLOPs; empty where it gives none."""
    named, _ = beside(spec)
    return next((word for word in OPERATIONS if word in named), "")


def _parameters(spec: Spec) -> str:
    """Our word for what the paper calls parameters."""
    named, _ = beside(spec)
    return "paper_params" if "paper_params" in named else "params"


def where(record: Record) -> str:
    """Name the device and the settings that figures must share to stand in one table or figure."""
    if record.settings is None:
        return "counted, not measured"
    environment, settings = record.environment, record.settings
    device = environment.get("device_name") or f"device {settings.device}"
    threads = [f"{environment.get('threads')} threads"] if environment.get("device") == "cpu" else []
    variants = ["batch norms folded"] if settings.fold_bn else []
    variants += [f"compiled ({settings.compile})"] if settings.compile != "none" else []
    variants += ["CUDA graph"] if settings.cuda_graph else []
    variants += ["deterministic"] if settings.deterministic else []
    return ", ".join([device, *threads, settings.precision, settings.memory_format, *variants])


def _names(specs: Iterable[Spec]) -> dict[Spec, str]:
    """Short names, with the classes where they alone tell two networks apart."""
    distinct = dict.fromkeys(specs)
    alike = Counter(map(_short, distinct))
    return {spec: _short(spec) if alike[_short(spec)] == 1 else f"{_short(spec)}, {spec.classes} classes" for spec in distinct}


def _short(spec: Spec) -> str:
    """The network as papers write it, vovnet39 + refinedet320, or with its size where that cannot be joined to a name."""
    joined = spec.detector and spec.width == spec.height and not spec.detector[-1].isdigit()
    name = f"{spec.backbone} + {spec.detector}" if spec.detector else spec.backbone
    parts = [f"{name}{spec.width}" if joined else f"{name}, {spec.size}", *spec.options_text.split(";")]
    parts += ([f"batch {spec.batch}"] if spec.batch != 1 else []) + ([spec.mode] if spec.mode != "infer" else [])
    return ", ".join(filter(None, parts))


def _wrap(name: str, width: int) -> list[str]:
    """Break a name into lines: before a plus and after a comma only."""
    network, *parts = name.split(", ")
    glued = [network.replace(" + ", f" +{NO_BREAK}"), *(part.replace(" ", NO_BREAK) for part in parts)]
    lines = textwrap.wrap(", ".join(glued), width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    return [line.replace(NO_BREAK, " ") for line in lines]


def _ends(records: Sequence[Record], names: Mapping[Spec, str]) -> list[str]:
    """How each record ended that did not end well."""
    return [
        f"{names[record.spec]}: {record.status} ({record.reason.code}) in phase {record.reason.phase or '?'}: {record.reason.message}"
        for record in records
        if record.status != "ok" and record.reason
    ]


def _flag_notes(records: Sequence[Record], names: Mapping[Spec, str]) -> list[str]:
    flagged: dict[str, dict[str, None]] = {}
    for record in records:
        for flag in _flags(record):
            flagged.setdefault(flag, {})[names[record.spec]] = None
    return [f"{flag}: {'; '.join(who)}" for flag, who in flagged.items()]


def _notes(records: Sequence[Record], *, tables: int) -> list[str]:
    """What a reader must know of the figures: whose they are, which are counted by another rule or approximate, what not to compare."""
    quoted = [record.spec for record in records if _paper_figures(record)]
    notes = [QUOTED_NOTE] if quoted else []
    notes += dict.fromkeys(note for spec in quoted for note in rule_notes(spec))
    notes += dict.fromkeys(note for record in records for note in approximations(record.spec))
    return [*notes, TABLES_NOTE] if tables > 1 else notes
