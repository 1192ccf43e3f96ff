"""CSPNet's Figure 1: what partial stages do to computation, memory traffic, speed and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archbench.papers.member import Member
from archbench.papers.suites import suite
from archbench.report.data.configurations import Configuration
from archbench.report.figures.contract import Axis, Key, Mark, Missing, Origin, Panel, Plot, Plots
from archbench.report.figures.cspnet.members import BFLOPS, of_member
from archbench.report.figures.material import (
    NOTHING,
    Material,
    Selection,
    Value,
    bars_remark,
    flags_remark,
    left_out,
    measured,
    value_of,
)
from archbench.spec import Spec

OfMember = Callable[[Member], Value]
Pairs = Mapping[str, tuple[Member, Member]]
"""A plain network and the same with partial stages, by the former's label."""
PLAIN, PARTIAL = "plain", "cross stage partial"
NO_SPEED = "the paper prints no speed of classifiers; archbench sweep cspnet/table3 measures it"


def csp_overview(material: Material) -> Plots:
    """Make Figure 1: a panel of bars for each of the four quantities, a pair a category."""
    pairs = _pairs()
    specs = [member.spec for pair in pairs.values() for member in pair if member.spec]
    sources = _Sources(
        measured(material, specs, "fps") if material.wants_ours else NOTHING,
        {spec: material.counted[spec] for spec in specs if spec in material.counted}
        if material.wants_ours
        else {},
        material.wants_paper,
    )
    if not sources.counted and not material.wants_paper:
        why = "no record of its networks; archbench sweep cspnet/table3 measures them"
        return [Missing("csp-overview", why)]
    return [
        Plot(
            "csp-overview",
            "Networks with partial stages, after CSPNet's Figure 1",
            sources.where,
            _panels(pairs, sources),
            tuple(_remarks(pairs, sources)),
            Key((PLAIN, PARTIAL), "stages"),
        )
    ]


@dataclass(frozen=True)
class _Sources:
    """Where the values of the figure come from."""

    selection: Selection
    counted: Mapping[Spec, Configuration]
    wants_paper: bool

    @property
    def where(self) -> str:
        if not self.counted:
            return "as published"
        return f"counted; speed measured on {self.selection.setup}" if self.selection else "counted"

    def values(self, word: str, scale: float, metric: str) -> dict[Origin, OfMember]:
        """A counted figure of a row, ours and the paper's as far as they are wanted."""
        values: dict[Origin, OfMember] = {}
        if self.counted:
            values["ours"] = lambda member: of_member(self.counted, member, word, scale)
        if self.wants_paper:
            values["paper"] = lambda member: _published(member, metric)
        return values


def _panels(pairs: Pairs, sources: _Sources) -> tuple[Panel, ...]:
    traffic = Axis("CIO with pooling", "M elements")
    speed: dict[Origin, OfMember] = {
        "ours": lambda member: of_member(sources.selection.of, member, "fps")
    }
    accuracy: dict[Origin, OfMember] = {"paper": lambda member: _published(member, "top1")}
    return (
        _bars("(a) computation", BFLOPS, pairs, sources.values("flops", 1e-9, "bflops")),
        _bars("(b) memory traffic", traffic, pairs, sources.values("cio_pool", 1e-6, "cio_m")),
        _bars("(c) speed", Axis("inference speed", "images/s"), pairs, speed, NO_SPEED),
        _bars("(d) accuracy, as published", Axis("top-1, ImageNet", "%"), pairs, accuracy),
    )


def _remarks(pairs: Pairs, sources: _Sources) -> list[str]:
    if not sources.counted:
        return ["Quoted from CSPNet, Table 3; traffic, of one pair, from section 4.5."]
    return [
        "Accuracy quoted from CSPNet, Table 3.",
        "Ours of (a) and (b) are counted.",
        *_unbuilt(pairs),
        *_measuring_remarks(sources.selection, "fps"),
    ]


def _pairs() -> Pairs:
    """Networks of Table 3 beside the same with partial stages, by the former's label."""
    rows = {
        member.backbone: member
        for member in suite("cspnet/table3").members
        if not member.figures[0].is_procedure
    }
    pairs = {}
    for backbone, member in rows.items():
        plain = backbone.replace("csp-", "", 1)
        partner = rows.get(plain) or rows.get(f"{plain}-darknet")
        if backbone != plain and partner:
            pairs[partner.label] = (partner, member)
    return pairs


def _bars(
    title: str,
    axis: Axis,
    pairs: Pairs,
    values: Mapping[Origin, OfMember],
    empty: str = "no figure",
) -> Panel:
    """Bars of one quantity, a category a pair."""
    marks = []
    for label, pair in pairs.items():
        for member, stages in zip(pair, (PLAIN, PARTIAL), strict=True):
            for origin, value in values.items():
                if (height := value(member)).value is not None:
                    mark = Mark(
                        member.label,
                        label,
                        height.value,
                        y_interval=height.interval,
                        colour=stages,
                        form="bar",
                        origin=origin,
                    )
                    marks.append(mark)
    return Panel(title, Axis(""), axis, tuple(marks), empty=empty)


def _published(member: Member, metric: str) -> Value:
    """A figure of the row, or of the same network in section 4.5."""
    others = (
        figure
        for row in suite("cspnet/section4.5").members
        if row.backbone == member.backbone
        for figure in row.figures
    )
    return Value(
        next(
            (figure.value for figure in (*member.figures, *others) if figure.metric == metric), None
        )
    )


def _unbuilt(pairs: Pairs) -> list[str]:
    absent = [member.label for pair in pairs.values() for member in pair if not member.spec]
    return [f"Not built: {', '.join(absent)}."] if absent else []


def _measuring_remarks(selection: Selection, word: str) -> list[str]:
    if not selection:
        return []
    return [
        *bars_remark(value_of(each, word) for each in selection.of.values()),
        *left_out(selection),
        *flags_remark(selection, [word]),
    ]
