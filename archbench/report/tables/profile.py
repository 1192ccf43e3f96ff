"""One record as the page that `archbench profile` prints."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from archbench.papers import beside, rule_notes
from archbench.papers.pairs import approximations, default_form
from archbench.quantities import COUNTED_FOR_REAL, count_remarks, profiled
from archbench.quantity import Quantity
from archbench.reasons import Flag, Reason
from archbench.records import Metric, Record
from archbench.records.conditions import Roofs
from archbench.report.data.comparable import where
from archbench.report.data.configurations import REPEATABLE
from archbench.report.data.statistics import apart
from archbench.report.tables.table import MISSING, NOTE_WIDTH, Column, Table
from archbench.report.tables.words import counted
from archbench.spec import Spec

BACKBONE = "backbone."
UNTOLD = (Reason.IN_TORCH, Reason.NO_PICTURES)
"""Reasons for figures that nobody misses: of other engines, of what was not given."""
COUNT_COLUMNS = (Column("params\n(K)"), Column("multiply-\nadds (M)"), Column("MAC\n(Eq. 1)\n(K)"))
BOUND_COLUMNS = (
    Column("multiply-\nadds (M)"),
    Column("roofline\nbound (ms)"),
    Column("bound\nby", "left"),
)


class CountedCall(Protocol):
    """A row of a cost report, as `--layers` shows it."""

    path: str
    op: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int
    out_shape: tuple[int, ...]
    params: int
    macs: int
    mac_eq1: int | None


class LayerBound(Protocol):
    """The least time of a layer, seconds, and whether operations (compute) or bytes (memory) set
    it.
    """

    @property
    def seconds(self) -> float: ...
    @property
    def by(self) -> str: ...


@dataclass(frozen=True)
class Paper:
    """What a paper printed of the network: figures by our words, where they stand, and what to know
    of them.
    """

    figures: Mapping[str, float]
    source: str
    notes: Sequence[str] = ()

    def among(self, words: Mapping[str, Quantity]) -> Paper:
        """The same for a table of some words, without a source where it has none of them."""
        figures = {name: figure for name, figure in self.figures.items() if name in words}
        return Paper(figures, self.source if figures else "", self.notes if figures else ())

    def beside(self, row: Quantity) -> list[str]:
        """The cell to set beside a figure; no cell at all where the paper has none for the
        table.
        """
        return (
            [row.quote(self.figures[row.name]) if row.name in self.figures else ""]
            if self.source
            else []
        )

    @property
    def column(self) -> list[Column]:
        """The column of those cells."""
        return [Column(self.source)] if self.source else []


def paper_for(spec: Spec) -> Paper:
    """The paper's row that is set beside a spec."""
    return Paper(*beside(spec), rule_notes(spec))


def counted_table(record: Record, paper: Paper) -> Table:
    """What was counted, of one image, with the paper's figures beside it where there are some."""
    counts, shown = record.counts, profiled("counted")
    paper = paper.among(shown)
    computes_more = counts.get("macs_all") not in (None, counts.get("macs"))
    rows = [
        [row.heading, row.show(counts[name]), row.scale.unit, *paper.beside(row)]
        for name, row in shown.items()
        if counts.get(name) is not None
        and (name != "paper_flops" or name in paper.figures)
        and (not row.is_extra or (computes_more and counts[name]))
    ]
    notes = [*count_remarks(counts), *record.conditions.get("count_notes", ())]
    if record.conditions.get("counted_on", "meta") != "meta":
        notes.append(COUNTED_FOR_REAL)
    if record.spec.batch != 1:
        notes.append(f"Memory covers the whole batch of {record.spec.batch}.")
    if record.spec.mode == "train":
        notes.append(
            "Counts cover the forward pass only. Training memory covers a whole step: parameters, "
            "gradients, momentum and the activations live at its peak, in fp32, without kernel "
            "workspaces."
        )
    form = default_form(record.spec)
    if form:
        notes.append(
            f"The papers print no figures for this pair. {record.spec.detector} in its default "
            "form: "
            f"{form}."
        )
    notes += [*approximations(record.spec), *paper.notes]
    columns = [
        Column("counted, per image", "left"),
        Column("value"),
        Column("unit", "left"),
        *paper.column,
    ]
    return Table(columns, rows, title=str(record.spec), notes=notes)


def measured_table(record: Record, paper: Paper) -> Table:
    """What was measured: medians with their intervals, the paper's figures beside them, and reasons
    for what is missing.
    """
    rows, shown = [], profiled("measured")
    paper = paper.among(shown)
    missing: dict[Reason, list[str]] = {}
    for name, row in shown.items():
        metric = record.metrics.get(name)
        if metric is None:
            continue
        if metric.value is None:
            assert metric.reason
            if metric.reason in UNTOLD:
                continue
            missing.setdefault(metric.reason, []).append(row.heading)
            continue
        heading = row.trained if metric.protocol == "train" and row.trained else row.heading
        cells = [heading, row.show(metric.value), _interval(metric), row.scale.unit]
        rows.append([*cells, *paper.beside(row)])
    notes = [f"{reason.text} ({reason}): {'; '.join(names)}" for reason, names in missing.items()]
    notes += [*_conditions(record), *_energy(record)]
    if paper.figures:
        notes.append(f"{paper.source}: the paper's figures, measured on its own device")
    columns = [
        Column("measured", "left"),
        Column("median"),
        Column("95 % interval"),
        Column("unit", "left"),
        *paper.column,
    ]
    return Table(columns, rows, title=f"{where(record)}, batch {record.spec.batch}", notes=notes)


def repeats_note(medians_ms: Sequence[float], what: str = "forward") -> str:
    """In words, how far the medians of several processes lie apart, of `what` time."""
    ranked = sorted(medians_ms)
    share = apart(ranked)
    span = f"{ranked[0]:,.2f} to {ranked[-1]:,.2f} ms, {100 * share:.1f} % apart"
    text = f"{len(ranked)} processes: {what} {span}; the tables show the median one."
    return (
        text
        if share <= REPEATABLE
        else f"{text} not_repeatable: more than {100 * REPEATABLE:.0f} %"
    )


def layers_table(
    calls: Sequence[CountedCall],
    bounds: Sequence[LayerBound] = (),
    *,
    batch: int = 1,
    width: int | None = NOTE_WIDTH,
) -> Table:
    """A row for each convolution and linear layer, in the order of their calls; the JSON has every
    column of every layer.

    With bounds, the least time of each for so large a batch takes the place of its parameters and
    its memory access cost.
    """
    figures = (
        [_bound_cells(call, bound) for call, bound in zip(calls, bounds, strict=True)]
        if bounds
        else list(map(_count_cells, calls))
    )
    columns = [
        Column("operator", "left"),
        Column("output"),
        *(BOUND_COLUMNS if bounds else COUNT_COLUMNS),
    ]
    rows = [
        [_operator(call), "x".join(map(str, _shape(call))), *cells]
        for call, cells in zip(calls, figures, strict=True)
    ]
    taken = sum(2 + each for each in Table(columns, rows).widths())
    left = width - taken if width else sys.maxsize
    lines = []
    for call, row in zip(calls, rows, strict=True):
        first, *rest = _wrap(call.path.removeprefix(BACKBONE), left)
        lines += [[first, *row], *([f"  {part}", *[""] * len(row)] for part in rest)]
    notes = [f"{counted(len(rows), 'call')}, per image"]
    if any(call.path.startswith(BACKBONE) for call in calls):
        notes.append(f"Names of backbone layers omit {BACKBONE!r}.")
    if bounds:
        notes.append(_bounds_note(bounds, batch))
    return Table([Column("layer", "left"), *columns], lines, notes=notes)


def _count_cells(call: CountedCall) -> list[str]:
    return [_scaled(call.params, 1e3), _scaled(call.macs, 1e6), _scaled(call.mac_eq1, 1e3)]


def _bound_cells(call: CountedCall, bound: LayerBound) -> list[str]:
    return [_scaled(call.macs, 1e6), f"{1e3 * bound.seconds:,.3f}", bound.by]


def _bounds_note(bounds: Sequence[LayerBound], batch: int) -> str:
    """In words, how the bounds of the layers add up."""
    total = sum(bound.seconds for bound in bounds)
    parts = []
    for roof in ("compute", "memory"):
        own = [bound.seconds for bound in bounds if bound.by == roof]
        parts.append(f"{sum(own) * 1e3:,.2f} ms of {len(own)} bound by {roof}")
    images = f" Bounds are for the whole batch of {batch}." if batch != 1 else ""
    return f"Bounds add up to {total * 1e3:,.2f} ms: {' and '.join(parts)}.{images}"


def _shape(call: CountedCall) -> tuple[int, ...]:
    """The output's shape, without the batch where that is one image."""
    return call.out_shape[1:] if call.out_shape[:1] == (1,) else call.out_shape


def _wrap(path: str, width: int) -> list[str]:
    """Break a module's path after its dots into lines; all but the first leave room to stand
    indented.
    """
    lines = textwrap.wrap(
        path.replace(".", ". "), width, subsequent_indent="  ", break_long_words=False
    )
    return [line.strip().replace(". ", ".") for line in lines] or [""]


def _scaled(value: int | None, unit: float) -> str:
    return MISSING if value is None else f"{value / unit:,.1f}"


def _operator(call: CountedCall) -> str:
    """The kind of a layer in a few signs: 3x3/2 g32 is a convolution at stride 2 in 32 groups."""
    if not call.kernel:
        return call.op
    words = ["deconv"] if "transpose" in call.op else []
    stride = "" if set(call.stride) == {1} else "/" + "x".join(map(str, sorted(set(call.stride))))
    words.append("x".join(map(str, call.kernel)) + stride)
    return " ".join([*words, *([f"g{call.groups}"] if call.groups != 1 else [])])


def _interval(metric: Metric) -> str:
    bounds = (metric.spread or {}).get("ci95")
    if bounds:
        return f"{bounds[0]:,.2f} - {bounds[1]:,.2f}"
    return "too few samples" if metric.spread and "n" in metric.spread else ""


def _energy(record: Record) -> list[str]:
    """What energy was measured with, and what warns of it."""
    how = record.conditions.get("energy", {})
    energy = record.metrics.get("energy_per_image_j")
    notes = [f"energy: {how['message']}"] if how.get("message") else []
    if energy is None or energy.value is None:
        return notes
    ratio = record.value("energy_counter_ratio")
    agrees = (
        f", {100 * (ratio - 1):+.1f} % against the integral of its power"
        if ratio and "counter" in energy.source
        else ""
    )
    error = (
        f"; sensors of two cards may differ by {how['systematic_pct']:g} %"
        if how.get("systematic_pct")
        else ""
    )
    window = f" of {how['window_s']:.1f} s of load" if how.get("window_s") else ""
    notes.append(f"energy{window}: {energy.source}{agrees}{error}")
    return [*notes, *map(_warning, energy.flags)]


def _warning(flag: Flag) -> str:
    """A flag with what it means and what would help."""
    return ": ".join(filter(None, (flag, flag.text, flag.remedy)))


def _conditions(record: Record) -> list[str]:
    notes = []
    latency = record.metrics.get("latency_ms")
    if latency and latency.spread:
        told = {name: record.conditions.get(name) for name in ("inputs", "caches", "loss")}
        parts = [
            _sampled(latency.spread),
            *(f"{name}: {what}" for name, what in told.items() if what),
        ]
        notes += ["; ".join(filter(None, parts))] if any(parts) else []
        notes += map(_warning, latency.flags)
    if "weights" in record.conditions:
        notes.append(f"weights: {record.conditions['weights']}")
    notes += _roofline(record.conditions.get("roofline"))
    load = record.conditions.get("postprocess_load")
    if load:
        notes.append(
            f"postprocessing on {load['distribution']}: {load['candidates']:,} candidates, "
            f"{load['above_threshold']:,} above the threshold, "
            f"{load['kept']:,.0f} boxes kept"
        )
    return notes


def _sampled(spread: Mapping[str, Any]) -> str:
    """How many samples were taken, in which time, and why no more, as far as it is known."""
    count = f"{spread['n']} samples" if "n" in spread else ""
    time = f"in {spread['elapsed_s']:.1f} s" if "elapsed_s" in spread else ""
    why = f"stopped: {spread['stop_reason']}" if "stop_reason" in spread else ""
    return ", ".join(filter(None, (f"{count} {time}".strip(), why)))


def _roofline(peaks: Roofs | None) -> list[str]:
    """What the roofline stands on, and how to read it."""
    if not peaks:
        return []
    when = f"kept from {peaks['time_utc'][:10]}" if peaks["cached"] else "measured in this job"
    notes = [
        f"roofline: at best {peaks['flops_per_s'] / 1e9:,.1f} GFLOP/s ({peaks['flops_probe']}) and "
        f"{peaks['bytes_per_s'] / 1e9:,.1f} GB/s "
        f"({peaks['bytes_probe']}), {when}. A layer's bound is the longer of the times for its "
        "operations and for its bytes at these peaks; 'all' adds the bytes of all other "
        "operators. A share can exceed 100 %: fast algorithms multiply less, caches are faster "
        "than memory, and a probe may not reach the peak. See Rooflines in the documentation."
    ]
    if any(Flag(flag).disturbs for flag in peaks["flags"]):
        notes.append(
            "Other programs ran while the peaks were measured, so the bounds are too long. The "
            "peaks will be measured again next time."
        )
    return notes
