"""Which candidates may stand in one figure: those of one place and call, and of one data set,
unless the group tells them apart; and what is said of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from archbench.report.data.comparable import COUNTED_ONLY
from archbench.report.figures.material import bars_remark
from archbench.report.figures.tradeoff.candidates import Candidate
from archbench.settings import SETTINGS

TELL_SETUPS = (
    "device",
    "threads",
    *(name for name, declared in SETTINGS.items() if declared.stands_alone),
)
"""Groups that tell where and how figures were measured, so that they may stand in one figure."""
TELL_CALLS = ("batch", "mode")
"""Groups that tell how networks were called, so that several calls may stand in one figure."""
TELL_DATASETS = ("published_dataset", "dataset")
"""Groups that tell the data set of an accuracy, so that several may stand in one figure."""


@dataclass(frozen=True)
class Shown:
    """The candidates that stand in one figure, where their values are from, and what must be said
    of those that do not.
    """

    where: str
    candidates: Sequence[Candidate]
    remarks: Sequence[str] = ()

    def saying(self, remarks: Sequence[str]) -> Shown:
        """Give it with other remarks."""
        return replace(self, remarks=remarks)


def of_one_call(candidates: Sequence[Candidate], group: str, eager: Collection[str]) -> Shown:
    """Take the candidates of one setup, one of the `eager` ones if any is, that were called alike,
    unless the group tells them apart.
    """
    setups = Counter(candidate.setup for candidate in candidates)
    setup = max(setups, key=lambda name: (name != COUNTED_ONLY, name in eager, setups[name]))
    kept = _of_setup(candidates, setup, group)
    there = {candidate.setup for candidate in kept}
    where = f"measured on {'; '.join(name for name in setups if name in there)}"
    others = {name: count for name, count in setups.items() if name not in there}
    asked = "engine" if _engines(candidates) > 1 and group != "engine" else "device"
    remarks = _left_out("from other devices or settings", others, asked)
    if group not in TELL_CALLS:
        (call, _), *rest = Counter(candidate.call for candidate in kept).most_common()
        kept = [candidate for candidate in kept if candidate.call == call]
        where += f", {call}"
        remarks += _left_out("other batches or modes", dict(rest), "batch")
    bars = bars_remark(value for each in kept for value in (each.x, each.y))
    return Shown(where, kept, [*bars, *remarks])


def of_one_dataset(shown: Shown, group: str) -> Shown:
    """Take the candidates whose accuracies are of the data set that most of them are of, and say
    which it is.
    """
    counts = Counter(candidate.dataset for candidate in shown.candidates if candidate.dataset)
    if not counts or group in TELL_DATASETS:
        return shown
    (dataset, _), *others = counts.most_common()
    asked = TELL_DATASETS[0] if group != "source" else TELL_DATASETS[1]
    remark = [
        f"Accuracies are of {dataset}.",
        *_left_out("of other data sets", dict(others), asked),
    ]
    kept = [each for each in shown.candidates if each.dataset in ("", dataset)]
    return Shown(shown.where, kept, [*shown.remarks, " ".join(remark)])


def proposals_remark(candidates: Sequence[Candidate]) -> list[str]:
    """A remark on networks that differ in the number of regions which their second stage sees."""
    counts = Counter(candidate.proposals for candidate in candidates)
    if len(counts) < 2:
        return []
    numbers = sorted(filter(None, counts), key=float)
    told = ", ".join(f"{number} ({counts[number]})" for number in numbers)
    return [f"Numbers of proposals differ: {told}; the others use their detectors' defaults."]


def _of_setup(candidates: Sequence[Candidate], setup: str, group: str) -> list[Candidate]:
    """Those of a setup; under a group that tells setups those of one engine too, or where engines
    are asked for, of one precision.
    """
    if group not in TELL_SETUPS:
        return [candidate for candidate in candidates if candidate.setup == setup]
    apart = attrgetter("precision" if group == "engine" else "engine")
    usual = next(apart(candidate) for candidate in candidates if candidate.setup == setup)
    return [candidate for candidate in candidates if apart(candidate) == usual]


def _engines(candidates: Sequence[Candidate]) -> int:
    return len({candidate.engine for candidate in candidates})


def _left_out(why: str, counts: dict[str, int], group: str) -> list[str]:
    """What is not shown, and by which group it would be."""
    if not counts:
        return []
    listed = "; ".join(f"{count} of {name}" for name, count in counts.items())
    return [f"Left out, {why}: {listed}; --group {group} shows them together."]
