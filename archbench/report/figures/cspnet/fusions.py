"""CSPNet's Figure 4: accuracy over computation of ways to fuse partial features."""

from __future__ import annotations

from collections.abc import Callable

from archbench.papers import Published
from archbench.papers.suites import suite
from archbench.report.figures.contract import Axis, Key, Mark, Missing, Origin, Panel, Plot, Plots
from archbench.report.figures.cspnet.members import BFLOPS, of_member
from archbench.report.figures.material import Material, Value

NORTH_WEST = "better \N{NORTH WEST ARROW}"
FUSIONS = (
    "PeleeNet",
    "SPeleeNet",
    "PeleeNeXt",
    "CSPPeleeNet",
    "CSP (fusion last)",
    "CSP (fusion first)",
)


def fusion(material: Material) -> Plots:
    """Make Figure 4: accuracy over BFLOPs of ways to fuse partial features, and of the pyramids of
    Table 2.
    """
    first = _over_bflops(material, "cspnet/table1", "top1", _strategy)
    second = _over_bflops(material, "cspnet/table2", "ap", lambda label: (label, "", "pyramids"))
    if not first and not second:
        return [
            Missing(
                "fusion",
                "no record of its networks; archbench sweep cspnet/table1 cspnet/table2 measures "
                "them",
            )
        ]
    panels = tuple(
        Panel(
            title,
            BFLOPS,
            accuracy,
            tuple(marks),
            better=NORTH_WEST,
            empty=f"no record; archbench sweep cspnet/{table} measures them",
        )
        for title, accuracy, marks, table in (
            ("(a) transitions of CSPPeleeNet, ImageNet", Axis("top-1", "%"), first, "table1"),
            ("(b) pyramids on CSPPeleeNet, COCO", Axis("AP, test-dev", "%"), second, "table2"),
        )
    )
    remarks = [
        "Accuracy quoted from CSPNet, Tables 1 and 2. Numbers beside points: the partial ratio."
    ]
    origins = {mark.origin for mark in (*first, *second)}
    where = "counted" if "ours" in origins else "as published"
    remarks += {
        "counted": ["BFLOPs are counted: 2 x multiply-adds."],
        "as published": ["BFLOPs as published."],
    }[where]
    remarks += ["Hollow: BFLOPs as published."] if len(origins) > 1 else []
    key = Key((*FUSIONS, "pyramids"))
    title = "Fusion of partial features, after CSPNet's Figure 4"
    return [Plot("fusion", title, where, panels, tuple(remarks), key, key)]


def _over_bflops(
    material: Material, table: str, accuracy: str, group: Callable[[str], tuple[str, str, str]]
) -> list[Mark]:
    """The rows of a table: published accuracy over BFLOPs, counted or published; `group` gives
    name, line and colour of a label.
    """
    marks = []
    for member in suite(table).members:
        figures = {figure.metric: figure for figure in member.figures}
        name, line, colour = group(member.label)
        ours = (
            of_member(material.counted, member, "flops", 1e-9)
            if material.wants_ours
            else Value(None)
        )
        papers = figures["bflops"].value if material.wants_paper else None
        for origin, bflops in (("ours", ours.value), ("paper", papers)):
            if bflops is not None:
                is_named = origin == "ours" or ours.value is None
                marks.append(
                    _fused(
                        figures[accuracy],
                        bflops,
                        (name, line, colour),
                        "paper" if origin == "paper" else "ours",
                        is_named=is_named,
                    )
                )
    return marks


def _fused(
    accuracy: Published,
    bflops: float,
    words: tuple[str, str, str],
    origin: Origin,
    *,
    is_named: bool,
) -> Mark:
    name, line, colour = words
    joined = f"{line}, {origin}" if line else ""
    return Mark(
        name,
        bflops,
        accuracy.value,
        colour=colour,
        shape=colour,
        line=joined,
        origin=origin,
        is_named=is_named,
    )


def _strategy(label: str) -> tuple[str, str, str]:
    """Name, line and colour of a row of Table 1: the last word of a partial network's label is its
    share.
    """
    words, _, share = label.rpartition(" ")
    return (
        (f"{words}, {share}" if share == "0.5" else share, words, words)
        if words in FUSIONS
        else (label, "", label)
    )
