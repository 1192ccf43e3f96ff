"""The choice of a network, for people and as rows: the table of what is within the budget and on
the frontier, and sentences that say which one, why, and what is not known.
"""

from __future__ import annotations

from archbench.quantities import is_of_one_card
from archbench.report.data.choice import ACCURACY, BEYOND, PERHAPS, Candidate, Choice
from archbench.report.data.contenders import Contenders
from archbench.report.data.names import wrap_name
from archbench.report.tables.choice_words import (
    bound_text,
    heading_of,
    scale_of,
    span_text,
    text_of,
    value_text,
)
from archbench.report.tables.compare import name_width, named_lines
from archbench.report.tables.contenders import contender_tables, ruled_out
from archbench.report.tables.deciding import FLAWED, TIED
from archbench.report.tables.table import MISSING, Column, Table

WIDTH = 80
CHOSEN, ON_FRONTIER = "choice", "F"
NO_OTHER = "No unmeasured network with a known accuracy could win."


def tables(choice: Choice, found: Contenders, *, width: int | None = WIDTH) -> list[Table]:
    """Give the table for people, its notes the choice."""
    columns = [column for name in choice.asked.columns for column in _columns(choice, name)]
    columns += [Column("within", "left"), Column("", "left")]
    cells = [
        [
            *(cell for name in choice.asked.columns for cell in _cells(name, each)),
            each.within,
            _marks_of(choice, each),
        ]
        for each in choice.shown
    ]
    left = name_width(columns, cells, width)
    lines = [
        line
        for each, row in zip(choice.shown, cells, strict=True)
        for line in named_lines(wrap_name(each.name, left), row)
    ]
    notes = [*_marks(choice), *sentences(choice, found)]
    whole = Table(
        [Column("network", "left"), *columns], lines, title=f"{choice.setup}, batch 1", notes=notes
    )
    parts = whole.split(width) if width else [whole]
    return [*parts, *contender_tables(choice, found, width)]


def sentences(choice: Choice, found: Contenders) -> list[str]:
    """Say what is chosen and why, how far it is ahead, and what could still win."""
    return [
        *reason(choice),
        *margin(choice),
        *_left_out(choice),
        *ruled_out(found),
        *([] if found.found else [NO_OTHER]),
    ]


def reason(choice: Choice) -> list[str]:
    """Say which network is chosen and why, and how certain that is."""
    chosen, best = choice.chosen, choice.asked.best
    budget = " and ".join(bound_text(each, choice) for each in choice.asked.bounds) or "no budget"
    if chosen is None:
        return [f"No measured network is within the budget: {budget}."]
    said = [
        f"Choice: {chosen.name}, {heading_of(best, choice)} "
        f"{value_text(best, chosen)}: the best of {len(choice.within)} within {budget}."
    ]
    if choice.tied:
        names = "; ".join(f"{each.name} ({value_text(best, each)})" for each in choice.tied)
        said.append(f"A tie by {heading_of(best, choice)}: indistinguishable from {names}.")
    if chosen.within == PERHAPS:
        said.append("Possibly over budget: the range of a figure reaches beyond it.")
    if chosen.flaws:
        remedies = "; ".join(f"{flaw}: {flaw.text}" for flaw in chosen.flaws)
        said.append(f"Not a clear win: its figures are flagged: {remedies}.")
    return said


def margin(choice: Choice) -> list[str]:
    """Say how far the chosen network is ahead of the next one, and below its bounds."""
    chosen, best, next_one = choice.chosen, choice.asked.best, choice.runner_up
    if chosen is None:
        return []
    said = []
    if next_one:
        ours, theirs = chosen.figure(best).value, next_one.figure(best).value
        how = (
            f"{abs(ours - theirs):.3g} ahead of"
            if best == ACCURACY
            else f"{ours / theirs:.2f} times that of"
        )
        said.append(f"Margin: {how} {next_one.name} ({value_text(best, next_one)}).")
    said += [
        f"Limit {bound_text(bound, choice)}: measured {value_text(bound.column, chosen)}"
        f"{span_text(bound.column, chosen.figure(bound.column), ', from ')}."
        for bound in choice.asked.bounds
    ]
    return said


def _columns(choice: Choice, column: str) -> list[Column]:
    unit = scale_of(column).unit
    words = heading_of(column, choice).split(", ")
    heading = "\n".join([*words, *([f"({unit})"] if unit else [])])
    is_measured = any(not each.figure(column).is_counted for each in choice.shown)
    return [Column(heading), *([Column("range", "left")] if is_measured else [])]


def _cells(column: str, each: Candidate) -> list[str]:
    estimate = each.figure(column)
    text = text_of(column, estimate) + (FLAWED if estimate.flaws else "")
    return [text] if estimate.is_counted else [text, span_text(column, estimate) or MISSING]


def standing(choice: Choice, each: Candidate) -> str:
    if choice.chosen is each:
        return CHOSEN
    return "tied" if each in choice.tied else ""


def _marks_of(choice: Choice, each: Candidate) -> str:
    word = standing(choice, each)
    marks = [TIED if word == "tied" else word, ON_FRONTIER if each.is_on_frontier else ""]
    return " ".join(filter(None, marks))


def _marks(choice: Choice) -> list[str]:
    """What the marks in the table mean, and whose the accuracies are."""
    shown = choice.shown
    columns = ", ".join(heading_of(name, choice) for name in choice.asked.columns)
    notes = []
    if any(each.flaws for each in shown):
        notes.append(
            f"{FLAWED}: flagged as flawed; its range is at least that of repeats on the device."
        )
    if any(each.is_on_frontier for each in shown):
        notes.append(f"F: on the frontier: no other is better in {columns}.")
    if any(each.within == PERHAPS for each in shown):
        notes.append(f"{PERHAPS}: within the budget, but its range reaches beyond it.")
    if any(each.within == BEYOND for each in shown):
        notes.append(f"{BEYOND}: beyond the budget, shown because it is on the frontier.")
    if ACCURACY in choice.asked.columns:
        dataset, is_own = choice.accuracies.dataset, bool(choice.accuracies.own)
        whose = "from the file, else published" if is_own else "published"
        notes.append(f"{heading_of(ACCURACY, choice)}: {whose}, on {dataset} only.")
    return notes


def _of_card(column: str, choice: Choice) -> str:
    heading = heading_of(column, choice)
    return f"{heading} on the same card" if is_of_one_card(column) else heading


def _left_out(choice: Choice) -> list[str]:
    """What was measured and not chosen from, and why."""
    notes = []
    lacking = len(choice.measured) - len(choice.candidates)
    if lacking:
        names = " or ".join(_of_card(name, choice) for name in choice.asked.columns)
        networks = "network" if lacking == 1 else "networks"
        lack = "lacks" if lacking == 1 else "lack"
        notes.append(f"Left out: {lacking} {networks} measured here that {lack} {names}.")
    if choice.others:
        elsewhere = "; ".join(f"{count} on {setup}" for setup, count in choice.others.items())
        notes.append(
            f"Left out, measured on other devices, settings or versions: {elsewhere}. Choose with "
            "--device or --results."
        )
    return notes
