"""CSPNet's figures: 1, networks with and without partial stages; 4 (and the fusion of Figure 6),
accuracy over BFLOPs; 7 and 8, layers.

BFLOPs are 2e9 multiply-adds. The accuracy is always the published one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from archbench.papers import Published
from archbench.papers.member import Member
from archbench.papers.suites import suite
from archbench.report.data.configurations import Configuration
from archbench.report.data.names import short_name
from archbench.report.figures.contract import (
    Axis,
    Guide,
    Key,
    Mark,
    Missing,
    Origin,
    Panel,
    Plot,
    Plots,
)
from archbench.report.figures.material import (
    NOTHING,
    Layer,
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

BFLOPS = Axis("computation", "BFLOPs")
OfMember = Callable[[Member], Value]
NORTH_WEST = "better \N{NORTH WEST ARROW}"
PLAIN, PARTIAL = "plain", "cross stage partial"
FUSIONS = (
    "PeleeNet",
    "SPeleeNet",
    "PeleeNeXt",
    "CSPPeleeNet",
    "CSP (fusion last)",
    "CSP (fusion first)",
)


def csp_overview(material: Material) -> Plots:
    """Make Figure 1: what partial stages do to computation, memory traffic, speed and accuracy of
    each network.
    """
    pairs = _pairs()
    specs = [member.spec for pair in pairs.values() for member in pair if member.spec]
    selection = measured(material, specs, "fps") if material.wants_ours else NOTHING
    counted = (
        {spec: material.counted[spec] for spec in specs if spec in material.counted}
        if material.wants_ours
        else {}
    )
    if not counted and not material.wants_paper:
        return [
            Missing(
                "csp-overview",
                "no record of its networks; archbench sweep cspnet/table3 makes them",
            )
        ]

    def values(word: str, scale: float, metric: str) -> dict[Origin, OfMember]:
        ours: dict[Origin, OfMember] = (
            {"ours": lambda member: _of(counted, member, word, scale)} if counted else {}
        )
        return ours | (
            {"paper": lambda member: _published(member, metric)} if material.wants_paper else {}
        )

    no_speed = "the paper prints no speed of classifiers; archbench sweep cspnet/table3 measures it"
    panels = (
        _bars("(a) computation", BFLOPS, pairs, values("flops", 1e-9, "bflops")),
        _bars(
            "(b) memory traffic",
            Axis("CIO with pooling", "M elements"),
            pairs,
            values("cio_pool", 1e-6, "cio_m"),
        ),
        _bars(
            "(c) speed",
            Axis("inference speed", "images/s"),
            pairs,
            {"ours": lambda member: _of(selection.of, member, "fps")},
            no_speed,
        ),
        _bars(
            "(d) accuracy, as published",
            Axis("top-1, ImageNet", "%"),
            pairs,
            {"paper": lambda member: _published(member, "top1")},
        ),
    )
    remarks = [
        "Accuracy quoted from CSPNet, Table 3."
        if counted
        else "Quoted from CSPNet, Table 3; traffic, of one pair, from section 4.5."
    ]
    if counted:
        remarks += [
            "Ours of (a) and (b) are counted.",
            *_unbuilt(pairs),
            *_measuring_remarks(selection, "fps"),
        ]
    where = (
        "as published"
        if not counted
        else f"counted; speed measured on {selection.setup}"
        if selection
        else "counted"
    )
    title = "Networks with partial stages, after CSPNet's Figure 1"
    return [
        Plot("csp-overview", title, where, panels, tuple(remarks), Key((PLAIN, PARTIAL), "stages"))
    ]


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
                "no record of its networks; archbench sweep cspnet/table1 cspnet/table2 makes them",
            )
        ]
    panels = tuple(
        Panel(
            title,
            BFLOPS,
            accuracy,
            tuple(marks),
            better=NORTH_WEST,
            empty=f"no record; archbench sweep cspnet/{table} makes them",
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


def layers(material: Material) -> Plots:
    """Make Figure 7: BFLOPs of each layer, and the largest of each network."""
    return _of_layers(
        material, "layers", "cspnet/figure7", "Computation of each layer", _computation
    )


def layer_io(material: Material) -> Plots:
    """Make Figure 8: input and output size of each layer, a panel a network."""
    return _of_layers(
        material, "layer-io", "cspnet/figure8", "Input and output size of each layer", _sizes
    )


def _pairs() -> dict[str, tuple[Member, Member]]:
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
    pairs: Mapping[str, tuple[Member, Member]],
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


def _of(
    configurations: Mapping[Spec, Configuration], member: Member, word: str, scale: float = 1.0
) -> Value:
    if member.spec is None or member.spec not in configurations:
        return Value(None)
    return value_of(configurations[member.spec], word, scale=scale)


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
        ours = _of(material.counted, member, "flops", 1e-9) if material.wants_ours else Value(None)
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


def _of_layers(
    material: Material,
    name: str,
    figure: str,
    title: str,
    panels: Callable[[Mapping[str, Sequence[Layer]]], tuple[Panel, ...]],
) -> Plots:
    """A figure of layers: of the networks that were asked for, or of the paper's that can be
    built.
    """
    members = suite(figure).members
    chosen = {short_name(spec): spec for spec in material.networks} or {
        member.label: member.spec for member in members if member.spec
    }
    if not chosen or material.layers is None:
        why = "; ".join(dict.fromkeys(member.why for member in members if member.why))
        return [
            Missing(
                name,
                f"none of its networks can be built yet ({why}); --network NAME shows any other",
            )
        ]
    counted = {label: material.layers(spec) for label, spec in chosen.items()}
    absent = (
        []
        if material.networks
        else [f"{member.label} ({member.why})" for member in members if not member.spec]
    )
    remarks = [
        "Layers are convolutions and linear layers in the order of their calls, one image; all is "
        "counted."
    ]
    remarks += [f"Not built: {'; '.join(absent)}."] if absent else []
    drawn = panels(counted)
    number = figure.removeprefix("cspnet/figure")
    after = "" if material.networks else f", after CSPNet's Figure {number}"
    where = "counted, " + ", ".join(dict.fromkeys(spec.size for spec in chosen.values()))
    key = Key((), "network") if name == "layers" else Key(("input", "output"), "size")
    return [Plot(name, f"{title}{after}", where, drawn, tuple(remarks), key, columns=1)]


def _computation(networks: Mapping[str, Sequence[Layer]]) -> tuple[Panel, ...]:
    marks, guides = [], []
    for label, calls in networks.items():
        bflops = [2e-9 * call.macs for call in calls]
        network = f"{label}, largest layer {max(bflops):.4g}"
        marks += [
            Mark(call.path, index, value, colour=network, line=network, form="step")
            for index, (call, value) in enumerate(zip(calls, bflops, strict=True), start=1)
        ]
        guides.append(Guide("", ((0, max(bflops)),), network, is_limit=True))
    return (Panel("", Axis("layer"), BFLOPS, tuple(marks), tuple(guides)),)


def _sizes(networks: Mapping[str, Sequence[Layer]]) -> tuple[Panel, ...]:
    panels = []
    for label, calls in networks.items():
        marks = [
            Mark(call.path, index, 1e-6 * prod(shape), colour=what, line=what, form="step")
            for what, shapes in (
                ("input", [call.in_shape for call in calls]),
                ("output", [call.out_shape for call in calls]),
            )
            for index, (call, shape) in enumerate(zip(calls, shapes, strict=True), start=1)
        ]
        sums = [
            sum(1e-6 * prod(shape) for shape in shapes)
            for shapes in zip(*((call.in_shape, call.out_shape) for call in calls), strict=True)
        ]
        title = f"{label}: {sums[0]:.2f} M elements in, {sums[1]:.2f} M out"
        panels.append(Panel(title, Axis("layer"), Axis("size", "M elements"), tuple(marks)))
    return tuple(panels)


def _unbuilt(pairs: Mapping[str, tuple[Member, Member]]) -> list[str]:
    absent = [member.label for pair in pairs.values() for member in pair if not member.spec]
    return [f"Not built: {', '.join(absent)}."] if absent else []


def _measuring_remarks(selection: Selection, word: str) -> list[str]:
    if not selection:
        return []
    return [
        *bars_remark(
            (value_of(configuration, word) for configuration in selection.of.values()), selection
        ),
        *left_out(selection),
        *flags_remark(selection, [word]),
    ]
