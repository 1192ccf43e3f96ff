"""CSPNet's Figures 7 and 8: what each layer of a network computes, reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from archbench.papers.suites import suite
from archbench.report.data.names import short_names
from archbench.report.figures.contract import Axis, Guide, Key, Mark, Missing, Panel, Plot, Plots
from archbench.report.figures.cspnet.members import BFLOPS
from archbench.report.figures.material import Layer, Material


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
    chosen = {label: spec for spec, label in short_names(material.networks).items()} or {
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
    drawn = {label: calls for label, calls in counted.items() if calls}
    without = ", ".join(label for label in counted if label not in drawn)
    if not drawn:
        return [Missing(name, f"{without}: no convolution or linear layer to show")]
    unbuilt = [f"{member.label} ({member.why})" for member in members if not member.spec]
    remarks = [
        "Layers are convolutions and linear layers in the order of their calls, one image; all is "
        "counted."
    ]
    remarks += [f"Left out, without such a layer: {without}."] if without else []
    remarks += [f"Not built: {'; '.join(unbuilt)}."] if unbuilt and not material.networks else []
    number = figure.removeprefix("cspnet/figure")
    after = "" if material.networks else f", after CSPNet's Figure {number}"
    where = "counted, " + ", ".join(dict.fromkeys(chosen[label].size for label in drawn))
    key = Key((), "network") if name == "layers" else Key(("input", "output"), "size")
    return [Plot(name, f"{title}{after}", where, panels(drawn), tuple(remarks), key, columns=1)]


def _computation(networks: Mapping[str, Sequence[Layer]]) -> tuple[Panel, ...]:
    marks, guides = [], []
    for label, calls in networks.items():
        bflops = [2e-9 * call.macs for call in calls]
        network = f"{label}, largest layer {max(bflops):.4g} BFLOPs"
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
