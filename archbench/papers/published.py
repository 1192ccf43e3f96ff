"""The figures that the papers printed, and the networks that they are of.

`published.csv` holds a figure a line, `metrics.csv` says beside which of our columns each metric is
set (published = ours x convert), `own_rules.csv` where a paper counts by a rule of its own. Figures
are quoted, never mixed with measured ones.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib import resources
from math import prod

from archbench.spec import Spec, UsageError, parse_options
from archbench.zoo import catalogue

CLASSES = {"coco": 80, "voc": 20, "imagenet": 1000, "cifar100": 100, "cifar10": 10}
"""Foreground classes of a data set, by the beginning of its name."""
HUANG_COCO_CLASSES = 90
PROCEDURE = re.compile(r"multi-?scale|\d+ crop|\w\++(?!\S)")
"""A label or data set that tells of more than one pass an image: multi-scale, (10 crop),
RefineDet512+.
"""


@dataclass(frozen=True)
class Published:
    """One figure of one network in one table, `value` in the paper's unit; a row of a table is all
    figures with one `row`.
    """

    paper: str
    table: str
    label: str
    backbone: str
    detector: str | None
    input: str
    options: str
    dataset: str
    metric: str
    value: float

    @property
    def source(self) -> str:
        """Where it stands, in one word: vovnet/table4, vovnet/section3.2, dsod/prose."""
        return f"{self.paper}/{'table' * self.table.isdigit()}{self.table.replace(' ', '')}"

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What the figures of one row have in common."""
        return self.paper, self.table, self.label, self.dataset

    @property
    def classes(self) -> int | None:
        """Foreground classes of the data set, 0 where the classifier is left out; None where the
        paper names none.
        """
        if (self.paper, self.table, self.metric) == ("huang", "2", "params"):
            return 0
        quoted_from_huang = (self.paper, self.detector) == (
            "vovnet",
            "faster-rcnn",
        )  # Table 6, "by G-RMI"
        if self.dataset.startswith("coco") and (self.paper == "huang" or quoted_from_huang):
            return HUANG_COCO_CLASSES
        return next(
            (count for name, count in CLASSES.items() if self.dataset.startswith(name)), None
        )

    @property
    def batch(self) -> int:
        """Images a call that a measured figure holds for."""
        match = re.search(r"-batch(\d+)", self.dataset)
        return int(match[1]) if match else 1

    @property
    def is_procedure(self) -> bool:
        """Whether the row describes more passes an image than one: its accuracy and speed are not
        the network's alone.
        """
        return bool(PROCEDURE.search(self.label) or PROCEDURE.search(self.dataset))

    def spec(self) -> Spec | None:
        """The network as a spec, batch and mode left at their defaults; None where the zoo does not
        build it.
        """
        return _resolved(self.backbone, self.detector, self.input, self.options, self.classes)

    def holds_for(self, spec: Spec) -> bool:
        """Whether the figure may stand beside one of `spec`, its network taken for granted: counts
        always may.
        """
        metric = metrics()[self.metric]
        if metric.is_counted:
            return True
        if self.is_procedure:
            return False
        if not metric.ours:
            return True
        return spec.batch == self.batch and spec.mode == (
            "train" if metric.protocol == "train" else "infer"
        )


@dataclass(frozen=True)
class MetricMap:
    """A published metric and our column beside it: published = ours x convert. `ours` is empty
    where it is quoted only.
    """

    published: str
    ours: str
    protocol: str
    convert: Decimal
    unit: str
    """The unit of what is quoted only."""
    note: str

    @property
    def column(self) -> str:
        """The word for the figure in our units: our column, marked where it is of a CPU; the metric
        itself where quoted only.
        """
        if not self.ours:
            return self.published
        return f"cpu_{self.ours}" if self.published.startswith("cpu_") else self.ours

    @property
    def is_counted(self) -> bool:
        """Whether our column is counted rather than measured."""
        return bool(self.ours) and not self.protocol


@dataclass(frozen=True)
class OwnRule:
    """A metric that a paper counts by a rule of its own: our column by that rule, if there is one,
    and the rule in words.

    `formula` gives the column out of a report's other counts, where the report does not have it:
    terms such as `0.5 norm_scalars`, `biases` or `128`, added and subtracted. `backbone` and
    `detector` are names with spaces between them; none of them: whatever they are.
    """

    paper: str
    table: str
    backbone: str
    detector: str
    metric: str
    ours: str
    formula: str
    note: str

    def holds_for(self, row: Published) -> bool:
        """Whether a figure is counted by this rule: of its paper and, where it names some, of its
        table and networks.
        """
        return (
            (self.paper, self.metric) == (row.paper, row.metric)
            and self.table in ("", row.table)
            and all(
                not names or network in names.split()
                for names, network in ((self.backbone, row.backbone), (self.detector, row.detector))
            )
        )

    def apply(self, counts: Mapping[str, int]) -> int:
        """Evaluate the formula."""
        return by_formula(self.formula, counts)


def by_formula(formula: str, counts: Mapping[str, int]) -> int:
    """Evaluate a rule's formula; raises KeyError or decimal.InvalidOperation where the counts lack
    what it names.
    """
    _, *parts = re.split(r"\s*([+-])\s*", f"+ {formula}")
    value = Decimal(0)
    for sign, term in zip(parts[::2], parts[1::2], strict=True):
        factors = (counts[word] if word in counts else Decimal(word) for word in term.split())
        value += prod(factors, start=Decimal(f"{sign}1"))
    return int(value)


@cache
def figures() -> tuple[Published, ...]:
    """Every published figure, in the order of the file."""
    rows = read_table("published.csv")
    return tuple(
        Published(**row | {"detector": row["detector"] or None, "value": float(row["value"])})  # type: ignore[arg-type]
        for row in rows
    )


@cache
def metrics() -> dict[str, MetricMap]:
    """The published metrics by name."""
    return {
        row["published"]: MetricMap(**row | {"convert": Decimal(row["convert"] or 1)})  # type: ignore[arg-type]
        for row in read_table("metrics.csv")
    }


@cache
def _own_rules() -> tuple[OwnRule, ...]:
    return tuple(OwnRule(**row) for row in read_table("own_rules.csv"))


def own_rule(row: Published) -> OwnRule | None:
    """The rule by which the paper counts this figure, where it is not ours."""
    return next((rule for rule in _own_rules() if rule.holds_for(row)), None)


def value_in_our_units(row: Published) -> tuple[str, float]:
    """The figure under our word and in our unit: 56.28 (params_m) is params, 56280000. Accuracy
    keeps its own.
    """
    metric = metrics()[row.metric]
    return metric.column, float(Decimal(repr(row.value)) / metric.convert)


def figures_for(spec: Spec) -> list[Published]:
    """Every published figure of a network, whatever the spec's batch and mode, in the order of the
    file.

    Of rows that describe more than one pass an image only the counts are the network's.
    """
    return list(_figures_for(replace(spec, batch=1, mode="infer")))


@cache
def row_for(spec: Spec) -> tuple[Published, ...]:
    """The figures of one row of one table to set beside a spec; empty where no paper has it.

    Of several rows the one with most figures that have a column of ours, then with most figures,
    then the first.
    """
    ranked = ranked_rows(spec)
    return ranked[0] if ranked else ()


@cache
def ranked_rows(spec: Spec) -> tuple[tuple[Published, ...], ...]:
    """The rows of the papers' tables whose figures may stand beside a spec, that of `row_for`
    first.
    """
    rows: dict[tuple[str, ...], list[Published]] = {}
    for figure in figures_for(spec):
        if figure.holds_for(spec):
            rows.setdefault(figure.row, []).append(figure)
    comparable = (
        sum(bool(metrics()[figure.metric].ours) for figure in row) for row in rows.values()
    )
    ranked = sorted(
        zip(comparable, rows.values(), strict=True), key=lambda pair: (-pair[0], -len(pair[1]))
    )
    return tuple(tuple(row) for _, row in ranked)


def beside(spec: Spec) -> tuple[dict[str, float], str]:
    """The figures of `row_for` by our words, in our units, and where they stand.

    A figure that the paper counts by its own rule comes under our word for that rule: VoVNet's
    FLOPs are paper_flops.
    """
    row = row_for(spec)
    named = {}
    for figure in row:
        word, value = value_in_our_units(figure)
        rule = own_rule(figure)
        named[rule.ours if rule and rule.ours else word] = value
    return named, row[0].source if row else ""


def paper_params(spec: Spec, counts: Mapping[str, int]) -> int | None:
    """Count parameters as the paper does whose row is set beside a spec, by a rule of its own; None
    where it has none.

    `counts` are a report's figures by name, the kinds of parameters among them.
    """
    rules = [rule for rule in map(own_rule, row_for(spec)) if rule and rule.ours == "paper_params"]
    return rules[0].apply(counts) if rules else None


def rule_notes(spec: Spec) -> list[str]:
    """In words, the rules of its own by which a paper counts figures of `row_for`."""
    return list(dict.fromkeys(rule.note for rule in map(own_rule, row_for(spec)) if rule))


def read_table(name: str) -> list[dict[str, str]]:
    """Read one of the papers' CSV files."""
    text = resources.files("archbench.papers").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def _resolved(
    backbone: str, detector: str | None, size: str, options: str, classes: int | None
) -> Spec | None:
    try:
        given = parse_options(options.split(";") if options else [])
        return catalogue.resolve(
            backbone, detector, size=size or None, classes=classes, options=given
        ).spec
    except UsageError:
        return None


@cache
def _figures_for(spec: Spec) -> tuple[Published, ...]:
    """Only names that share the spec's roots are resolved: a light command has no time for all of
    them.
    """
    if spec.origin:
        return ()
    base, head = root("backbone", spec.backbone), root("detector", spec.detector)
    return tuple(
        figure
        for figure in figures()
        if root("detector", figure.detector) == head
        and root("backbone", figure.backbone) == base
        and figure.spec() == spec
        and (metrics()[figure.metric].is_counted or not figure.is_procedure)
    )


@cache
def root(kind: catalogue.Kind, name: str | None) -> str | None:
    """The network that a name is an ending or a row of; an empty word where the zoo does not know
    it, None for no name.
    """
    if name is None:
        return None
    try:
        entry = (
            catalogue.find(kind, name) if kind == "backbone" else catalogue.find_detector(name)[0]
        )
    except UsageError:
        return ""
    return entry.same_as or entry.name
