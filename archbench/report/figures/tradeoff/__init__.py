"""Any two columns of the results against one another, coloured by a third; or two figures of the
papers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from archbench.quantities import MEASURED
from archbench.report.data.configurations import Configuration
from archbench.report.data.selection import column
from archbench.report.figures.columns import number, quoted
from archbench.report.figures.contract import Missing, Plots
from archbench.report.figures.material import Material, flags_said
from archbench.report.figures.tradeoff.alike import (
    Shown,
    of_one_call,
    of_one_dataset,
    proposals_remark,
)
from archbench.report.figures.tradeoff.candidates import call_of, of_configurations, of_papers
from archbench.report.figures.tradeoff.picture import NAME, figure_of
from archbench.spec import UsageError

COST, WHOLE = "macs", "total_ms"
"""What stands on the axes where nothing is asked for."""
PUBLISHED_AXES = ("fps", "ap")
PUBLISHED_GROUPS = ("source", "dataset")
NO_LOG = "none"
QUOTED = (
    "Quoted, each from its paper's own device: speeds of different tables are not to be compared."
)


def trade_off(material: Material) -> Plots:
    """Make the figure of two columns."""
    choice = material.choice
    if choice.log != NO_LOG and set(choice.log) - {"x", "y"}:
        raise UsageError(f"invalid --log {choice.log!r} (choose from x, y, xy, none)")
    return _published(material) if material.source == "paper" else _measured(material)


def _measured(material: Material) -> Plots:
    choice, configurations = material.choice, material.configurations
    words = number(choice.x or COST), number(choice.y or WHOLE)
    group = column(choice.group or "detector")
    candidates = of_configurations(configurations, words, group, is_whole=not choice.y)
    if not candidates:
        why = f"no record has both {words[0]} and {words[1]}; see archbench compare --csv"
        return [Missing(NAME, why)]
    if all(word not in MEASURED for word in words):
        once = {candidate.label: candidate for candidate in candidates}
        shown = Shown("counted", [*once.values()])
        lacking = []
    else:
        eager = {each.setup for each in configurations if each.is_eager}
        shown = of_one_call(candidates, group, eager)
        lacking = _lacking_remark(configurations, shown, words)
    shown = of_one_dataset(shown, group)
    remarks = [
        "Repeats of a configuration are one point.",
        *shown.remarks,
        *lacking,
        *_forward_remark(shown),
        *proposals_remark(shown.candidates),
        *flags_said(each.flags for each in shown.candidates),
    ]
    return [figure_of(material, words, group, shown.saying(remarks))]


def _lacking_remark(
    configurations: Sequence[Configuration], shown: Shown, words: tuple[str, str]
) -> list[str]:
    """A remark on what was measured and called like what is shown, and lacks one of the values."""
    with_both = Counter((each.setup, each.call) for each in shown.candidates)
    there = Counter((each.setup, call_of(each.spec)) for each in configurations)
    lacking = sum(there[key] - count for key, count in with_both.items())
    return [f"Left out, without {words[0]} or {words[1]}: {lacking}."] if lacking else []


def _forward_remark(shown: Shown) -> list[str]:
    """A remark on those whose total time is that of the forward pass."""
    count = sum(candidate.is_forward for candidate in shown.candidates)
    share = f"{count} of {len(shown.candidates)}"
    return [f"The forward pass alone, where nothing was postprocessed: {share}."] if count else []


def _published(material: Material) -> Plots:
    choice = material.choice
    group = choice.group or PUBLISHED_GROUPS[0]
    if group not in PUBLISHED_GROUPS:
        listed = ", ".join(PUBLISHED_GROUPS)
        raise UsageError(f"invalid --group {group} (published figures: choose from {listed})")
    x, y = choice.x or PUBLISHED_AXES[0], choice.y or PUBLISHED_AXES[1]
    words = quoted(x), quoted(y)
    candidates = of_papers(words, group)
    if not candidates:
        why = f"no row of the papers' tables has both {words[0]} and {words[1]}"
        return [Missing(NAME, f"{why}: choose other columns with --x and --y")]
    shown = of_one_dataset(Shown("as published", candidates), group)
    return [figure_of(material, words, group, shown.saying([QUOTED, *shown.remarks]))]
