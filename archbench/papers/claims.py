"""What the papers claim of cost, in forms that figures can be put into. Torch-free.

`claims.csv` holds what VoVNet, CSPNet, DSNet and DSOD say of one network against another;
`huang_claims.toml` what Huang et al. say of their grid, and what each kind of claim computes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any, Literal, get_args

from archbench.papers.grid import Point, points
from archbench.papers.published import Published, figures, metrics, own_rule, read_table
from archbench.spec import Spec, UsageError
from archbench.spelling import fold
from archbench.zoo import catalogue

Device = Literal["any", "gpu", "cpu"]
Kind = Literal[
    "mean_ratio", "least_ratio", "group_ratio", "ordering", "share", "part_below", "correlation"
]
Direction = Literal["more", "less", "equal"]
Pair = tuple[Spec, Spec]

TOLERANCE = 0.05
"""How far from the reference a value may lie that is claimed to equal it, unless the claim says
otherwise.
"""
ALL = "every configuration"


@dataclass(frozen=True)
class Claim:
    """One claim: a value computed of a metric is more or less than a reference, or equal to it
    within a tolerance.

    `pairs` are what ratios are taken of (left / right); `groups` are the sets of networks that are
    set against one another, or the only one; `first` names the groups that are claimed to lie
    beyond the others. `why` says why none of it can be tested.
    """

    paper: str
    where: str
    text: str
    device: Device = "any"
    metric: str = ""
    kind: Kind = "mean_ratio"
    direction: Direction = "more"
    published: float | None = None
    reference: float = 1.0
    tolerance: float = TOLERANCE
    pairs: tuple[Pair, ...] = ()
    groups: Mapping[str, tuple[Spec, ...]] = field(default_factory=dict)
    paired: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    statistic: str = "mean"
    of: str = ""
    limit: float = 0.0
    formula: str = ""
    """The paper's own rule for the metric, where it has one (`papers.own_rule`)."""
    note: str = ""
    """What to know of how it is computed here."""
    why: str = ""
    kind_of_why: str = ""
    """The same in words that like claims share; empty where there are none."""

    @property
    def source(self) -> str:
        """Where it stands: vovnet/table4, or the paper and the words of the place."""
        return f"{self.paper}/{self.where.lower().replace(' ', '')}"

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Every network that it is of, once."""
        paired = [
            spec
            for pair in (*self.pairs, *chain.from_iterable(self.paired.values()))
            for spec in pair
        ]
        return tuple(
            dict.fromkeys([*paired, *(spec for group in self.groups.values() for spec in group)])
        )

    @property
    def words(self) -> tuple[str, ...]:
        """The figures that it asks for."""
        return tuple(filter(None, (self.metric, self.of)))

    @property
    def is_counted(self) -> bool:
        """Whether counts alone decide it."""
        return self.device == "any"


@cache
def claims() -> tuple[Claim, ...]:
    """Every claim, by paper in the order of the files."""
    text = (
        resources.files("archbench.papers")
        .joinpath("huang_claims.toml")
        .read_text(encoding="utf-8")
    )
    return (*map(_of_row, read_table("claims.csv")), *map(_of_form, tomllib.loads(text)["claims"]))


def claims_of(source: str | None) -> list[Claim]:
    """The claims of a paper (vovnet) or of a place in one (vovnet/table4), or all; raises
    UsageError where there are none.
    """
    if source is None:
        return list(claims())
    folded = fold(source)
    chosen = [claim for claim in claims() if folded in (fold(claim.paper), fold(claim.source))]
    if not chosen:
        papers = ", ".join(dict.fromkeys(claim.paper for claim in claims()))
        sources = ", ".join(
            dict.fromkeys(
                claim.source for claim in claims() if source.lower().startswith(claim.paper)
            )
        )
        raise UsageError(f"no claims from {source!r} (choose from {sources or papers})")
    return chosen


def _of_row(row: Mapping[str, str]) -> Claim:
    """A line of `claims.csv`: the left network against the right one."""
    published = {side: _published(row, side) for side in ("left", "right")}
    metric = metrics()[row["metric"]]
    rule = own_rule(published["left"]) if published["left"] else None
    claim = Claim(
        row["paper"],
        row["where"],
        row["claim"],
        _checked(Device, row["device"]),
        (rule.ours if rule else "") or metric.ours,
        direction=_checked(Direction, row["direction"]),
        published=float(row["published_ratio"]),
        formula=rule.formula if rule else "",
    )
    try:
        pair = (
            _network(row, "left", published["left"]),
            _network(row, "right", published["right"]),
        )
    except UsageError as error:
        return replace(claim, why=error.fact, kind_of_why=error.kind_of_fact)
    return replace(claim, pairs=(pair,))


def _published(row: Mapping[str, str], side: str) -> Published | None:
    """A published figure of one side of a claim, of its metric in its table if there is one, else
    of the same paper.
    """
    wanted = row["paper"], row[f"{side}_backbone"], row[f"{side}_detector"] or None
    candidates = [
        figure
        for figure in figures()
        if (figure.paper, figure.backbone, figure.detector) == wanted
        and figure.input in ("", row[f"{side}_input"])
    ]
    table = row["where"].removeprefix("Table ").lower()
    ranked = sorted(
        candidates, key=lambda figure: (figure.table != table, figure.metric != row["metric"])
    )
    return ranked[0] if ranked else None


def _network(row: Mapping[str, str], side: str, published: Published | None) -> Spec:
    """The network of one side, with the classes of the data set that the paper names and the batch
    that the claim does.
    """
    trains = row["mode"] == "train"
    batch = re.search(r"\(batch (\d+)\)", row["claim"])
    return catalogue.resolve(
        row[f"{side}_backbone"],
        row[f"{side}_detector"] or None,
        size=row[f"{side}_input"] or None,
        classes=published.classes if published else None,
        batch=int(batch[1]) if batch else 1,
        mode="train" if trains else "infer",
    ).spec


def _of_form(form: Mapping[str, Any]) -> Claim:
    """A table of `huang_claims.toml`."""
    claim = Claim("huang", form["where"], form["claim"])
    if "why" in form:
        return replace(claim, why=form["why"])
    plain = {
        key: form[key]
        for key in (
            "metric",
            "published",
            "reference",
            "tolerance",
            "statistic",
            "of",
            "limit",
            "note",
        )
        if key in form
    }
    claim = replace(
        claim,
        **plain,
        device=_checked(Device, form["device"]),
        kind=_checked(Kind, form["kind"]),
        direction=_checked(Direction, form["direction"]),
        first=tuple(form.get("first", ())),
    )
    chosen = _select(form.get("select", {}))
    if claim.kind in ("mean_ratio", "least_ratio"):
        return replace(claim, pairs=_pairs(chosen, form["vary"]))
    if claim.kind == "group_ratio":
        return replace(claim, groups={side: _side(form, side) for side in ("left", "right")})
    groups = _groups(chosen, form["by"]) if claim.kind == "ordering" else {ALL: chosen}
    if claim.statistic == "ratio":
        return replace(
            claim, paired={name: _pairs(group, form["vary"]) for name, group in groups.items()}
        )
    return replace(
        claim, groups={name: tuple(point.spec for point in group) for name, group in groups.items()}
    )


def _side(form: Mapping[str, Any], side: str) -> tuple[Spec, ...]:
    """One side of a ratio of groups: configurations of the grid, or a network."""
    if f"{side}_network" in form:
        return (catalogue.resolve(**form[f"{side}_network"]).spec,)
    return tuple(point.spec for point in _select(form[side]))


def _select(wanted: Mapping[str, Any]) -> list[Point]:
    """The configurations whose attributes have the wanted values."""
    values = {key: value if isinstance(value, list) else [value] for key, value in wanted.items()}
    return [
        point
        for point in points()
        if all(getattr(point, key) in allowed for key, allowed in values.items())
    ]


def _pairs(chosen: Iterable[Point], vary: Mapping[str, Sequence[Any]]) -> tuple[Pair, ...]:
    """The pairs of configurations that differ in one attribute alone."""
    ((name, (left, right)),) = vary.items()
    others = [key for key in Point.__dataclass_fields__ if key not in ("spec", name)]
    by_others: dict[tuple[Any, ...], dict[Any, Spec]] = {}
    for point in chosen:
        shared = tuple(getattr(point, key) for key in others)
        by_others.setdefault(shared, {})[getattr(point, name)] = point.spec
    return tuple(
        (specs[left], specs[right])
        for specs in by_others.values()
        if left in specs and right in specs
    )


def _groups(chosen: Iterable[Point], by: Sequence[str]) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    for point in chosen:
        groups.setdefault(" ".join(str(getattr(point, key)) for key in by), []).append(point)
    return groups


def _checked(choices: Any, word: str) -> Any:
    """A word of a data file that must be one of those of a type."""
    if word not in get_args(choices):
        raise ValueError(f"{word!r} is none of {', '.join(get_args(choices))}")
    return word
