"""Records as one HTML page that needs nothing else: tables, a plot of any two columns, the papers'
tables, claims, figures.

Every text of a record is escaped where it becomes HTML. The page's policy lets it load nothing and
run no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from string import Template
from typing import Any

from archbench.papers.claims import claims_of
from archbench.papers.suites import ALL, Suite, suites
from archbench.records import Record
from archbench.report.data import claims
from archbench.report.data.comparable import COUNTED_ONLY, WORDS, places
from archbench.report.page.sheet import COMMAND, Sheet, SheetColumn, decimals_of, sheet
from archbench.report.tables import reproduce
from archbench.report.tables.table import Column, Table

TEMPLATE, STYLE, SCRIPT = "page.html", "page.css", "page.js"
VERDICTS = ("holds", "fails", "undecided")
SETTINGS = {
    "precision": "precision",
    "memory_format": "memory format",
    "target": "interval aimed at, half of it over the median",
    "n_min": "samples at least",
    "t_min_s": "timed at least (s)",
    "budget_s": "timed at most (s)",
    "energy_s": "power averaged over (s)",
    "seed": "seed",
    "weights": "weights loaded from",
    "images": "pictures from",
    **{
        key: WORDS[key]
        for key in ("fold_bn", "compile", "cuda_graph", "deterministic", "cudnn_benchmark")
    },
    "allow_shared": "shared cards allowed",
}
CONDITIONS = {"inputs": "inputs", "postprocess_load": "postprocessed"}
MANY = 6
"""Different values of a setting or a sensor that are named one by one."""
FACETS = ("device", "precision", "backbone", "detector", "input", "batch", "mode", "status")
"""Columns that the page offers to filter by."""


@dataclass(frozen=True)
class Picture:
    """A figure that could be drawn: its SVG element and what its caption says."""

    name: str
    title: str
    svg: str
    words: Sequence[str]


@dataclass(frozen=True)
class Contents:
    """What a page is made of. `missing` are the figures that cannot be drawn, by name with the
    reason; `made` says when, in words.
    """

    records: Sequence[Record]
    pictures: Sequence[Picture]
    missing: Mapping[str, str]
    made: str
    version: str
    plotly_js: str


def page(contents: Contents) -> str:
    """Give the whole page as text."""
    made = sheet(contents.records)
    script = _file(SCRIPT)
    parts = {
        "policy": _policy([contents.plotly_js, script]),
        "style": _file(STYLE),
        "script": script,
        "plotly": contents.plotly_js,
        "about": _about(contents),
        "devices": _devices(contents.records),
        "table": _records_table(made),
        "data": _data(made),
        "papers": _papers(contents.records),
        "claims": _claims(contents.records),
        "figures": _figures(contents),
        "version": html.escape(contents.version),
    }
    return Template(_file(TEMPLATE)).substitute(parts)


def json_in_script(data: Any) -> str:
    """Write data as JSON that stays what it is inside a script element: no character in it can end
    the element.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _file(name: str) -> str:
    return files("archbench.report.page").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Iterable[str]) -> str:
    """The page's content security policy: nothing is fetched, and no script runs but these."""
    hashes = (
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    )
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: "
        "blob:; base-uri 'none'; form-action 'none'"
    )


def _about(contents: Contents) -> str:
    records = contents.records
    failed = sum(record.status != "ok" for record in records)
    networks, devices = (
        len({record.spec for record in records}),
        [place for place in places(records) if place != COUNTED_ONLY],
    )
    told = f"{_counted(len(records), 'record')} of {_counted(networks, 'network')}"
    told += (
        f", measured on {devices[0]}"
        if len(devices) == 1
        else f", measured under {len(devices)} conditions"
        if devices
        else ""
    )
    told += f"; {failed} did not end well" if failed else ""
    return (
        f"<p>{html.escape(told)}. Made {html.escape(contents.made)} by archbench "
        f"{html.escape(contents.version)}.</p>"
    )


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _devices(records: Sequence[Record]) -> str:
    """A card for each place: how it was measured there, and the fingerprint of the machine."""
    return "\n".join(_device(place, found) for place, found in places(records).items())


def _device(place: str, records: Sequence[Record]) -> str:
    days = sorted({record.time_utc[:10] for record in records})
    ended = Counter(record.status for record in records)
    protocol = [
        ("records", ", ".join(f"{count:,} {status}" for status, count in ended.items())),
        ("made", f"{days[0]} to {days[-1]}" if len(days) > 1 else days[0]),
    ]
    settings = [record.settings.to_dict() for record in records if record.settings]
    protocol += [
        (words, _distinct(one[name] for one in settings))
        for name, words in SETTINGS.items()
        if settings
    ]
    protocol += [
        (words, found)
        for name, words in CONDITIONS.items()
        if (
            found := _distinct(
                record.conditions[name] for record in records if name in record.conditions
            )
        )
    ]
    names = dict.fromkeys(name for record in records for name in record.environment)
    fingerprint = [
        (name.replace("_", " "), _distinct(record.environment.get(name) for record in records))
        for name in names
    ]
    sides = _facts("protocol", protocol) + (
        _facts("environment", fingerprint) if fingerprint else ""
    )
    summary = f"{html.escape(place)} <small>{_counted(len(records), 'record')}</small>"
    return f'<details><summary>{summary}</summary>\n<div class="sides">{sides}</div></details>'


def _facts(title: str, rows: Iterable[tuple[str, str]]) -> str:
    table = Table([Column(title, "left"), Column("", "left")], [list(row) for row in rows])
    return f'<div class="scroll">{table.html()}</div>'


def _distinct(values: Iterable[Any]) -> str:
    """The different values among some, in words."""
    told = list(dict.fromkeys(map(_plain, values)))
    return "; ".join(told[:MANY]) + (
        f"; and {len(told) - MANY} other values" if len(told) > MANY else ""
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return (
            ", ".join(f"{key.replace('_', ' ')} {_plain(part)}" for key, part in value.items())
            or "none"
        )
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    return "none" if value is None else str(value)


def _records_table(made: Sheet) -> str:
    """The columns that are shown first as a plain table, for where no script runs."""
    shown = made.shown
    heads = "".join(
        f'<th scope="col" class="{_side(column)}">{_heading(column)}</th>' for column in shown
    )
    lines = []
    for index, name in enumerate(made.names):
        cells = "".join(_records_cell(column, index) for column in shown)
        lines.append(f'<tr><th scope="row" class="left">{html.escape(name)}</th>{cells}</tr>')
    body = "\n".join(lines)
    head = f'<thead><tr><th scope="col" class="left">network</th>{heads}</tr></thead>'
    return f'<table class="records">{head}\n<tbody>\n{body}\n</tbody></table>'


def _side(column: SheetColumn) -> str:
    return "right" if column.is_number else "command" if column.name == COMMAND else "left"


def _heading(column: SheetColumn) -> str:
    unit = f' <span class="unit">({html.escape(column.unit)})</span>' if column.unit else ""
    return html.escape(column.heading) + unit


def _records_cell(column: SheetColumn, index: int) -> str:
    text = html.escape(column.texts[index])
    if column.name == COMMAND:
        return f'<td class="command"><code>{text}</code></td>'
    span = (
        f' title="95 % interval: {html.escape(column.spans[index])}"' if column.spans[index] else ""
    )
    return f'<td class="{_side(column)}{_padding(column, index)}"{span}>{text}</td>'


def _padding(column: SheetColumn, index: int) -> str:
    """The class that lines a number's point up with those of its column: what it lacks behind it,
    and whether the point too.
    """
    if not column.is_number or not column.decimals:
        return ""
    own = decimals_of(column.texts[index])
    lacking = column.decimals - own
    return f" pad{lacking}{'' if own else 'p'}" if lacking else ""


def _data(made: Sheet) -> str:
    return json_in_script(
        {
            "names": list(made.names),
            "columns": [column.to_dict() for column in made.columns],
            "shown": [column.name for column in made.shown],
            "facets": FACETS,
        }
    )


def _papers(records: Sequence[Record]) -> str:
    """The papers' tables that have a figure of ours, each once: a figure's networks may be those of
    a table.
    """
    recorded = {record.spec for record in records if record.status == "ok"}
    known = {
        frozenset(figure for member in suite.members for figure in member.figures): suite
        for suite in suites()
        if suite.name != ALL
    }
    there = list(
        filter(
            None,
            (_paper(suite, records) for suite in known.values() if recorded & set(suite.specs)),
        )
    )
    return (
        "\n".join(there) or "<p>No record is of a network that a paper's table has figures of.</p>"
    )


def _paper(suite: Suite, records: Sequence[Record]) -> str:
    made = reproduce.reproduce(suite, records)
    ours = sum(any(cell.ours is not None for cell in line.cells.values()) for line in made.lines)
    if not ours:
        return ""
    first, *others = reproduce.tables(made, width=None)
    tables = "\n".join(
        f'<div class="scroll">{table.html()}</div>' for table in (replace(first, title=""), *others)
    )
    title = html.escape(first.title)
    return (
        f"<details><summary>{title} <small>{ours} of {_counted(len(made.lines), 'row')} "
        f"ours</small></summary>\n{tables}</details>"
    )


def _claims(records: Sequence[Record]) -> str:
    """The claims that our figures decide, a table a paper, and apart from them those without a
    figure of ours.
    """
    chosen = claims_of(None)
    figures = claims.Figures(records, chosen)
    verdicts = [claims.judge(claim, figures) for claim in chosen]
    decided = [verdict for verdict in verdicts if verdict.outcome in VERDICTS]
    others = [verdict for verdict in verdicts if verdict.outcome not in VERDICTS]
    counts = Counter(verdict.outcome for verdict in verdicts)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    drawn = [
        f"<p>{len(verdicts)} claims of the papers on cost: {html.escape(told)}.</p>",
        *_claims_tables(decided),
    ]
    if "not counted" in counts:
        drawn.append(
            "<p class=note>Counts that no record has are made by archbench claims, not by this "
            "page.</p>"
        )
    if others:
        inside = "\n".join(_claims_tables(others))
        drawn.append(
            f"<details><summary>{_counted(len(others), 'claim')} without a verdict, and "
            f"why</summary>\n{inside}</details>"
        )
    return "\n".join(drawn)


def _claims_tables(verdicts: Sequence[claims.Verdict]) -> list[str]:
    return [
        f'<div class="scroll">{table.html(VERDICTS)}</div>'
        for table in claims.tables(verdicts, width=None)
    ]


def _figures(contents: Contents) -> str:
    drawn = [_picture(picture) for picture in contents.pictures]
    if contents.missing:
        rows = "\n".join(
            f"<dt>{html.escape(name)}</dt><dd>{html.escape(why)}</dd>"
            for name, why in contents.missing.items()
        )
        count = _counted(len(contents.missing), "figure")
        drawn.append(
            f"<details><summary>{count} not drawn, and why</summary>\n<dl>\n{rows}\n</dl></details>"
        )
    return "\n".join(drawn)


def _picture(picture: Picture) -> str:
    words = html.escape(" ".join(picture.words))
    return (
        f"<figure>{picture.svg}<figcaption><b>{html.escape(picture.title)}</b> "
        f"{words}</figcaption></figure>"
    )
