"""The figures of the default table: what a network costs, how long it takes, how accurate it is,
and whether another one is better at both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from archbench.papers import beside
from archbench.quantities import QUANTITIES
from archbench.quantity import Scale
from archbench.report.data.accuracies import Accuracies
from archbench.report.data.configurations import Configuration, Estimate
from archbench.report.data.frontier import frontier
from archbench.report.data.names import in_order, short_name
from archbench.report.data.narrowing import called_alike
from archbench.report.data.rounding import rounded
from archbench.report.data.statistics import Interval
from archbench.report.data.ties import Ranges, differ
from archbench.report.tables.table import MISSING, Column, Table
from archbench.spec import Spec

OPERATIONS = ("paper_flops", "flops", "macs")
"""What a paper may mean by its FLOPs, as our words."""
FLAWED, TIED, ON_FRONTIER = "*", "=", "F"
AXES = ("total_ms", "accuracy")
LEAST_NAME_WIDTH = 22


@dataclass(frozen=True)
class Figure:
    """A figure of the table: its heading, its word, and whether a paper's stands below ours."""

    heading: str
    word: str
    is_quoted: bool = True

    def word_for(self, spec: Spec) -> str:
        """The word for it beside what a paper prints of a network; empty where that is none."""
        if self.word == "params":
            return parameters(spec)
        return operations(spec) if self.word == "flops" else self.word


FIGURES = (
    Figure("params\n(M)", "params"),
    Figure("multiply-\nadds (G)", "macs", is_quoted=False),
    Figure("FLOPs,\npaper's\nway (G)", "flops"),
    Figure("MAC\n(Eq. 1)\n(M)", "mac_eq1"),
    Figure("forward\n(ms)", "latency_ms"),
    Figure("total\n(ms)", "total_ms", is_quoted=False),
    Figure("fps", "fps"),
)
COLUMNS = [*(Column(figure.heading) for figure in FIGURES), Column("AP"), Column("")]
PARAMS, _, FLOPS, MAC, FORWARD, WHOLE, FPS, ACCURACY, FRONTIER = range(len(COLUMNS))
FIRST_LEFT_OUT = {
    FLOPS: "FLOPs as the paper counts",
    MAC: "MAC (Eq. 1)",
    FPS: "throughput",
}
"""What a narrow table leaves out, in this order, in words."""
NOTES = {
    FLAWED: "*: flagged as flawed, so its rank is uncertain.",
    TIED: "=: total time indistinguishable from that of the line above.",
    ON_FRONTIER: "F: on the frontier: no other network here is faster and more accurate.",
}


@dataclass(frozen=True)
class Decided:
    """The configurations of one table in their order, with what sets them against each other."""

    configurations: Sequence[Configuration]
    ranges: Ranges
    tied: frozenset[int]
    """Places of those that cannot be told from the one before."""
    best: frozenset[int]
    """Places of those on the frontier."""


def by_whole_time(configurations: Iterable[Configuration]) -> list[Configuration]:
    """Order the configurations of each setup by total time, inference before training, small
    batches before large ones; by name where there is no time.
    """
    configurations = list(configurations)
    setups = {
        setup: place
        for place, setup in enumerate(dict.fromkeys(each.setup for each in configurations))
    }

    def key(configuration: Configuration) -> tuple[int, bool, int, float, list[tuple[int, str]]]:
        spec = configuration.spec
        whole = whole_time(configuration)
        time = whole.value if whole else inf
        setup = setups[configuration.setup]
        return setup, spec.mode == "train", spec.batch, time, in_order(short_name(spec))

    return sorted(configurations, key=key)


def whole_time(configuration: Configuration) -> Estimate | None:
    """The time that a user waits for: the forward pass alone where nothing is postprocessed."""
    return configuration.estimate(whole_word(configuration))


def whole_word(configuration: Configuration) -> str:
    """The word of that time."""
    return "total_ms" if configuration.estimate("total_ms") else "latency_ms"


def decided(configurations: Sequence[Configuration], dataset: str, *, is_ranked: bool) -> Decided:
    """Set the configurations of a table against each other; those that are not ranked by total time
    are in no order in which neighbours could be tied.
    """
    ranges = Ranges(configurations, Accuracies(dataset))
    tied = {
        place
        for place, (before, each) in enumerate(pairwise(configurations), start=1)
        if is_ranked and _is_tied(ranges, before, each)
    }
    return Decided(
        configurations, ranges, frozenset(tied), frozenset(_best(configurations, ranges))
    )


def our_figures(place: int, among: Decided) -> list[str]:
    """Our cells of one configuration, by its place."""
    configuration = among.configurations[place]
    spec = configuration.spec
    words = [figure.word_for(spec) for figure in FIGURES]
    cells = [shown(word, configuration, among.ranges) if word else "" for word in words]
    if place in among.tied:
        time = FORWARD if whole_word(configuration) == "latency_ms" else WHOLE
        cells[time] += TIED
    published = among.ranges.figure(configuration, "accuracy")
    cells.append(accuracy_text(published.value) if published else MISSING)
    return [*cells, ON_FRONTIER if place in among.best else ""]


def accuracy_text(value: float) -> str:
    """An accuracy, %, as papers print it: to a tenth, or finer where it is known finer."""
    return f"{value:.1f}" if round(value, 1) == value else f"{value:.10g}"


def paper_figures(spec: Spec) -> list[str]:
    """The cells of the paper that has a network; empty where none has."""
    named, _ = beside(spec)
    words = [figure.word_for(spec) if figure.is_quoted else "" for figure in FIGURES] + ["", ""]
    figures = [QUANTITIES[word].quote(named[word]) if word in named else "" for word in words]
    return figures if any(figures) else []


def shown(word: str, configuration: Configuration, ranges: Ranges) -> str:
    """A figure in the unit that people read, with no more digits than are known of it, marked where
    it has a flaw.
    """
    estimate, row = configuration.estimate(word), QUANTITIES[word]
    if estimate is None:
        return MISSING
    if estimate.is_counted:
        return row.show(estimate.value)
    factor, interval = row.scale.factor, _known_range(word, configuration, ranges)
    scaled = (interval[0] * factor, interval[1] * factor) if interval else None
    return _marked(rounded(estimate.value * factor, scaled, row.scale), estimate)


def shown_in_base_units(word: str, configuration: Configuration, ranges: Ranges) -> str:
    """A measured figure in its column's unit, with no more digits than are known of it, marked
    where it has a flaw; empty where its range does not say how many.
    """
    estimate = configuration.estimate(word) if word in QUANTITIES else None
    interval = _known_range(word, configuration, ranges) if estimate else None
    if estimate is None or estimate.is_counted or interval is None or interval[0] == interval[1]:
        return ""
    return _marked(rounded(estimate.value, interval, Scale()), estimate)


def _known_range(word: str, configuration: Configuration, ranges: Ranges) -> Interval | None:
    """The range that says how many digits of a figure are known: that of repeats where it has a
    flaw, else its own.
    """
    estimate = configuration.estimate(word)
    known = ranges.widened(configuration, word) if estimate and estimate.flaws else estimate
    return known.interval if known else None


def _marked(text: str, estimate: Estimate) -> str:
    return f"{text}{FLAWED if estimate.flaws else ''}"


def fitting(rows: Sequence[Sequence[str]], width: int | None) -> tuple[list[int], list[str]]:
    """Say which columns a table of these rows has, those that no row fills left out, and in words
    which it has no room for.
    """
    kept = [
        index
        for index in range(len(COLUMNS))
        if index == PARAMS or any(row[index] not in ("", MISSING) for row in rows)
    ]
    left_out = []
    for index, words in FIRST_LEFT_OUT.items():
        if width is None or _taken(kept, rows) + LEAST_NAME_WIDTH <= width:
            break
        if index in kept:
            kept.remove(index)
            left_out.append(words)
    return kept, left_out


def headed(kept: Sequence[int], dataset: str) -> list[Column]:
    """The columns of a table, accuracy called as its data set calls it."""
    return [Column(metric_of(dataset)) if index == ACCURACY else COLUMNS[index] for index in kept]


def mark_notes(rows: Iterable[Sequence[str]], dataset: str) -> list[str]:
    """What the marks in a table mean, and of which data set its accuracies are."""
    rows = list(rows)
    is_there = {
        FLAWED: any(FLAWED in cell for row in rows for cell in row),
        TIED: any(TIED in cell for row in rows for cell in row),
        ON_FRONTIER: any(row[FRONTIER] for row in rows),
    }
    notes = [note for mark, note in NOTES.items() if is_there[mark]]
    has_accuracy = any(row[ACCURACY] not in ("", MISSING) for row in rows)
    return [*notes, *([accuracy_note(dataset)] if has_accuracy else [])]


def flaw_note(rows: Iterable[Sequence[str]]) -> list[str]:
    """What the mark of a flaw means, where a table has it."""
    return [NOTES[FLAWED]] if any(cell.endswith(FLAWED) for row in rows for cell in row) else []


def accuracy_note(dataset: str) -> str:
    """Whose accuracies stand in a table."""
    return f"{metric_of(dataset)}: as published, on {dataset} only (choose with --dataset)."


def metric_of(dataset: str) -> str:
    """What a data set's accuracy is called: VOC's is mAP, all others' AP."""
    return "mAP" if dataset.startswith("voc") else "AP"


def operations(spec: Spec) -> str:
    """Our word for what the paper calls FLOPs; empty where it gives none."""
    named, _ = beside(spec)
    return next((word for word in OPERATIONS if word in named), "")


def parameters(spec: Spec) -> str:
    """Our word for what the paper calls parameters."""
    named, _ = beside(spec)
    return "paper_params" if "paper_params" in named else "params"


def _is_tied(ranges: Ranges, left: Configuration, right: Configuration) -> bool:
    """Whether two are called alike and take times that cannot be told apart."""
    calls = {(each.spec.batch, each.spec.mode) for each in (left, right)}
    times = [ranges.figure(each, whole_word(each)) for each in (left, right)]
    if len(calls) > 1 or times[0] is None or times[1] is None:
        return False
    return not differ(times[0], times[1])


def _best(configurations: Sequence[Configuration], ranges: Ranges) -> set[int]:
    """The places of those that are on the frontier of those called alike."""
    best: set[int] = set()
    places = {id(each): place for place, each in enumerate(configurations)}
    for group in called_alike(configurations):
        figures = [{axis: ranges.figure(each, axis) for axis in AXES} for each in group]
        found = frontier(figures, AXES)
        best |= {places[id(each)] for each, is_best in zip(group, found, strict=True) if is_best}
    return best


def _taken(kept: Sequence[int], rows: Sequence[Sequence[str]]) -> int:
    """The characters that columns take beside a name."""
    columns = [COLUMNS[index] for index in kept]
    widths = Table(columns, [[row[index] for index in kept] for row in rows]).widths()
    return sum(2 + width for width in widths)
