"""Records as the tables that people read: a line a configuration, the figures of the paper that has
it below ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from archbench.papers import row_for, rule_notes
from archbench.papers.accuracies import DATASET
from archbench.papers.pairs import approximations
from archbench.quantities import QUANTITIES
from archbench.reasons import Status
from archbench.records import Record
from archbench.report.data.accuracies import Accuracies
from archbench.report.data.configurations import Configuration, configurations
from archbench.report.data.names import short_names, wrap_name
from archbench.report.data.rows import COLUMNS, merged
from archbench.report.data.selection import ordered
from archbench.report.data.statistics import apart
from archbench.report.data.ties import Ranges
from archbench.report.tables.deciding import (
    LEAST_NAME_WIDTH,
    by_whole_time,
    decided,
    fitting,
    flaw_note,
    headed,
    mark_notes,
    our_figures,
    paper_figures,
    shown_in_base_units,
)
from archbench.report.tables.launching import launch_notes
from archbench.report.tables.table import MISSING, Column, Table
from archbench.report.tables.words import heading, in_base_units
from archbench.settings import SETTINGS
from archbench.spec import Spec

WIDTH = 80
MANY = 8
"""Networks of which a note tells no more one by one."""
FEW = 3
"""Networks that a note names because they alone are otherwise."""
NAMES = Column("network: our figures\n  paper/table: its own", "left")
QUOTED_NOTE = (
    "A line that names a paper's table quotes the paper's figures, from its own device. fps: "
    "images/s."
)
*SHARED, LAST_SHARED = (declared.words for declared in SETTINGS.values() if declared.always_told)
TABLES_NOTE = (
    f"Each table is of one {', '.join(('device', *SHARED))} and {LAST_SHARED}: do not compare "
    "times across tables."
)
ENGINES_NOTE = (
    "Each engine has its own tables; archbench compare --across engine shows them side by side."
)


@dataclass(frozen=True)
class Layout:
    """How configurations are laid out: characters a line (None: names stay whole), order, a table
    for each value of a column, columns.
    """

    width: int | None = WIDTH
    sort: str | None = None
    """A column, a minus before it for the largest first; None: by total time."""
    group: str | None = None
    columns: Sequence[str] = field(default_factory=tuple)
    """Columns by their stable names, in base units; none: the usual figures with the papers' below
    them.
    """
    dataset: str = DATASET
    """That of the accuracies."""


def tables(records: Sequence[Record], layout: Layout | None = None) -> list[Table]:
    """Give the records as tables for people, one for each device and its settings, a paper's
    figures in the line below ours.

    Repeats of one configuration are one line. The last table bears the notes that all of them need.
    """
    layout = layout or Layout()
    shown = in_layout(configurations(records), layout)
    named = short_names(configuration.spec for configuration in shown)
    draw = _chosen_table if layout.columns else _table
    drawn = [
        table
        for title, group in grouped(shown, layout).items()
        for table in draw(title, group, named, layout)
    ]
    if drawn:
        notes = [] if layout.columns else _notes([configuration.spec for configuration in shown])
        drawn[-1] = replace(
            drawn[-1],
            notes=[
                *drawn[-1].notes,
                *notes,
                *([TABLES_NOTE] if len({each.setup for each in shown}) > 1 else []),
                *([ENGINES_NOTE] if len({each.engine for each in shown}) > 1 else []),
            ],
        )
    return drawn


def tabled(
    configurations: Iterable[Configuration], layout: Layout
) -> dict[str, list[Configuration]]:
    """Configurations as the tables of a layout show them, each table's in its order."""
    return grouped(in_layout(configurations, layout), layout)


def grouped(
    configurations: Iterable[Configuration], layout: Layout
) -> dict[str, list[Configuration]]:
    """Configurations by where they were measured and, if asked, by the value of a column, under a
    title for each.
    """
    groups: dict[str, list[Configuration]] = {}
    column = layout.group
    for configuration in configurations:
        value = merged(configuration, layout.dataset)[column] if column else None
        title = (
            f"{configuration.setup}, {column} {MISSING if value is None else value}"
            if column
            else configuration.setup
        )
        groups.setdefault(title, []).append(configuration)
    return groups


def flag_notes(configurations: Iterable[Configuration], named: Mapping[Spec, str]) -> list[str]:
    """What figures are flagged with, and of which networks."""
    flagged: dict[str, list[str]] = {}
    every = []
    for configuration in configurations:
        every.append(named[configuration.spec])
        for flag in configuration.flags:
            flagged.setdefault(flag, []).append(every[-1])
    return [f"{flag}: {_told(names, every)}" for flag, names in flagged.items() if flag]


def _told(some: Sequence[str], every: Sequence[str]) -> str:
    """Name some of all networks: many by the few that are not among them, or by their number."""
    if len(some) == len(every) > 1:
        return "all"
    names = list(dict.fromkeys(some))
    if len(names) <= MANY:
        return "; ".join(names)
    others = [name for name in dict.fromkeys(every) if name not in names]
    if 0 < len(others) <= FEW:
        return f"all but {'; '.join(others)}"
    return f"{len(some)} of {len(every)} (archbench compare --columns flags shows which)"


def repeats_note(
    configurations: Iterable[Configuration], named: Mapping[Spec, str], word: str = "latency_ms"
) -> list[str]:
    """Of how many processes a figure is the median, and their range, of many networks the widest;
    nothing where each is of one.
    """
    ranges: dict[int, list[tuple[float, str]]] = {}
    for configuration in configurations:
        estimate = configuration.estimate(word)
        if estimate and estimate.processes > 1 and estimate.interval:
            least, most = (QUANTITIES[word].show(bound) for bound in estimate.interval)
            text = f"{named[configuration.spec]} {least} to {most}"
            ranges.setdefault(estimate.processes, []).append((apart(estimate.interval), text))
    unit = QUANTITIES[word].scale.unit
    return [
        f"Medians of {count} processes, and their range in {unit}: "
        f"{'; '.join(text for _, text in texts)}"
        if len(texts) <= MANY
        else f"Medians of {count} processes; furthest apart, in {unit}: {max(texts)[1]}"
        for count, texts in ranges.items()
    ]


def in_layout(configurations: Iterable[Configuration], layout: Layout) -> list[Configuration]:
    """Order configurations as a layout asks for."""
    ranked = by_whole_time(configurations)
    return ordered(ranked, layout.sort, partial(merged, dataset=layout.dataset))


def _table(
    title: str, configurations: Sequence[Configuration], named: Mapping[Spec, str], layout: Layout
) -> list[Table]:
    among = decided(configurations, layout.dataset, is_ranked=not layout.sort)
    ours = [our_figures(place, among) for place in range(len(configurations))]
    papers = [paper_figures(configuration.spec) for configuration in configurations]
    every = [cells for cells in (*ours, *papers) if cells]
    kept, left_out = fitting(every, layout.width)

    def cut(cells: Sequence[str]) -> list[str]:
        return [cells[index] for index in kept] if cells else []

    columns = headed(kept, layout.dataset)
    left = name_width(columns, [cut(cells) for cells in every], layout.width)
    lines = [
        line
        for configuration, cells, quoted in zip(configurations, ours, papers, strict=True)
        for line in _lines(
            configuration, wrap_name(named[configuration.spec], left), cut(cells), cut(quoted)
        )
    ]
    notes = [
        *mark_notes(ours, layout.dataset),
        *(
            [f"No room for {', '.join(left_out)}: --columns and --markdown show them."]
            if left_out
            else []
        ),
        *_remarks(configurations, named),
    ]
    return [Table([NAMES, *columns], lines, title=title, notes=notes)]


def _remarks(configurations: Sequence[Configuration], named: Mapping[Spec, str]) -> list[str]:
    """How jobs ended, how far repeats lie apart, and what figures are flagged with."""
    return [
        *endings((configuration.newest for configuration in configurations), named),
        *repeats_note(configurations, named),
        *flag_notes(configurations, named),
        *launch_notes((named[each.spec], each) for each in configurations),
    ]


def _chosen_table(
    title: str, configurations: Sequence[Configuration], named: Mapping[Spec, str], layout: Layout
) -> list[Table]:
    """A table of chosen columns, in parts where they are too many for a line."""
    columns = [
        Column(heading(name), "left" if COLUMNS[name] is str else "right")
        for name in layout.columns
    ]
    ranges = Ranges(configurations, Accuracies(layout.dataset))
    rows = [merged(configuration, layout.dataset) for configuration in configurations]
    cells = [
        [
            shown_in_base_units(column, configuration, ranges) or in_base_units(row[column])
            for column in layout.columns
        ]
        for configuration, row in zip(configurations, rows, strict=True)
    ]
    left = name_width(columns, cells, layout.width)
    lines = [
        line
        for configuration, row in zip(configurations, cells, strict=True)
        for line in named_lines(wrap_name(named[configuration.spec], left), row)
    ]
    notes = [*flaw_note(cells), *_remarks(configurations, named)]
    whole = Table([Column("network", "left"), *columns], lines, title=title, notes=notes)
    return whole.split(layout.width) if layout.width else [whole]


def name_width(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> int:
    """The characters that are left for a network's name beside columns; `width` None: no end of
    them.
    """
    taken = sum(2 + width for width in Table(columns, rows).widths())
    return max(LEAST_NAME_WIDTH, width - taken) if width else sys.maxsize


def named_lines(name: Sequence[str], cells: Sequence[str]) -> list[list[str]]:
    """Cells beside the first line of a name, its other lines below."""
    return [[name[0], *cells], *([text, *[""] * len(cells)] for text in name[1:])]


def _lines(
    configuration: Configuration, name: Sequence[str], ours: Sequence[str], papers: Sequence[str]
) -> list[list[str]]:
    """The lines of one configuration: our figures beside its name, how it ended if not well, the
    paper's figures.
    """
    blank = [""] * len(ours)
    lines = named_lines(name, ours)
    if configuration.status != Status.OK:
        lines.append([f"  {configuration.status}", *blank])
    if papers:
        lines.append([f"  {row_for(configuration.spec)[0].source}", *papers])
    return lines


def endings(records: Iterable[Record], named: Mapping[Spec, str]) -> list[str]:
    """How each job ended that did not end well."""
    return [
        f"{named[record.spec]}: {ending(record)}"
        for record in records
        if record.status != Status.OK and record.reason
    ]


def ending(record: Record) -> str:
    """How a job ended, why and where, as far as its record tells."""
    cause = record.reason
    if cause is None:
        return record.status
    phase = f" in phase {cause.phase}" if cause.phase else ""
    message = f": {cause.message}" if cause.message else ""
    return f"{record.status} ({cause.code}){phase}{message}"


def _notes(specs: Iterable[Spec]) -> list[str]:
    """What a reader must know of the figures: whose they are, which are counted by another rule,
    which networks are approximate.
    """
    specs = list(specs)
    quoted = [spec for spec in specs if paper_figures(spec)]
    notes = [QUOTED_NOTE] if quoted else []
    notes += dict.fromkeys(note for spec in quoted for note in rule_notes(spec))
    return [*notes, *approximations(*specs)]
