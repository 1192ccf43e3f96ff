"""Throughput and latency over the batch and over the input, a line a network, with its knee."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from archbench.quantities import QUANTITIES
from archbench.report.data.configurations import Configuration, measured_setups
from archbench.report.data.names import short_name, short_names
from archbench.report.figures.contract import Axis, Key, Mark, Missing, Panel, Plot, Plots
from archbench.report.figures.material import (
    Material,
    Selection,
    Value,
    bars_remark,
    flags_remark,
    groups_of,
    left_out,
    value_of,
)
from archbench.spec import Spec

SHARE = 0.9
"""The share of the best rate that the knee reaches."""
KNEE, OTHERS = "knee", "measured"
WHY = (
    "no network was measured at several batches or inputs; archbench profile resnet50 --batch "
    "1,2,4,8 measures one"
)


@dataclass(frozen=True)
class Variable:
    """What differs along a line: a spec without it, its value, and the work that a network does of
    each image.
    """

    name: str
    axis: Axis
    without: Callable[[Spec], Spec]
    value: Callable[[Spec], float]
    work: Callable[[Spec], int]


def _area(spec: Spec) -> int:
    return spec.width * spec.height


BATCH = Variable(
    "batch",
    Axis("batch", "images", is_log=True),
    without=lambda spec: replace(spec, batch=1),
    value=lambda spec: spec.batch,
    work=lambda spec: 1,
)
INPUT = Variable(
    "input",
    Axis("input, side of a square of equal area", "pixels"),
    without=lambda spec: replace(spec, width=1, height=1),
    value=lambda spec: sqrt(_area(spec)),
    work=_area,
)
VARIABLES = (BATCH, INPUT)
FIGURES = ("fps", "latency_ms")
Curves = Mapping[Spec, Sequence[Configuration]]


def curve(material: Material) -> Plots:
    """Draw what a call and a second do over the batch, over the input, or over both."""
    setups = {
        setup: {variable: _curves(there, variable) for variable in VARIABLES}
        for setup, there in measured_setups(material.configurations).items()
    }
    drawn = {setup: curves for setup, curves in setups.items() if any(curves.values())}
    if not drawn:
        return [Missing("curve", WHY)]
    # Setups come with the largest first; `max` keeps it of several alike.
    setup = max(drawn, key=lambda name: len(_points(drawn[name])))
    of_setup = drawn[setup]
    others = {name: len(_points(curves)) for name, curves in drawn.items() if name != setup}
    points = _points(of_setup)
    selection = Selection(setup, {each.spec: each for each in points}, others)
    names = short_names((key for curves in of_setup.values() for key in curves), _name)
    groups = groups_of(names.values())
    panels = [
        _panel(of_setup[variable], variable, word, names, groups)
        for variable in VARIABLES
        if of_setup[variable]
        for word in FIGURES
    ]
    lettered = (
        replace(panel, title=f"({letter}) {panel.title}")
        for letter, panel in zip("abcd", panels, strict=False)
    )
    over = [variable.name for variable in VARIABLES if of_setup[variable]]
    return [
        Plot(
            "curve",
            f"Throughput and time over {' and '.join(over)}",
            f"measured on {setup}",
            tuple(lettered),
            tuple(_remarks(selection)),
            Key(tuple(dict.fromkeys(groups.values())), "network"),
            Key((OTHERS, KNEE), "point"),
        )
    ]


def _curves(configurations: Sequence[Configuration], variable: Variable) -> Curves:
    """The networks that were measured at several values of a variable, all else alike, by it."""
    alike: dict[Spec, list[Configuration]] = {}
    for each in configurations:
        if all(each.estimate(word) for word in FIGURES):
            alike.setdefault(variable.without(each.spec), []).append(each)
    return {
        key: sorted(found, key=lambda each: variable.value(each.spec))
        for key, found in alike.items()
        if len({variable.value(each.spec) for each in found}) > 1
    }


def _points(curves: Mapping[Variable, Curves]) -> list[Configuration]:
    """Every configuration of curves, once."""
    found = (each for of in curves.values() for line in of.values() for each in line)
    return list({each.spec: each for each in found}.values())


def _panel(
    curves: Curves,
    variable: Variable,
    word: str,
    names: Mapping[Spec, str],
    groups: Mapping[str, str],
) -> Panel:
    row = QUANTITIES[word]
    marks = [
        Mark(
            names[key],
            variable.value(each.spec),
            value.value,
            y_interval=value.interval,
            colour=groups[names[key]],
            shape=KNEE if each is knee_of(line, variable) else OTHERS,
            line=names[key],
        )
        for key, line in curves.items()
        for each in line
        for value in [value_of(each, word, scale=row.scale.factor)]
        if value.value is not None
    ]
    return Panel(
        f"{row.title}, by {variable.name}",
        variable.axis,
        Axis(row.title, row.scale.unit, is_log=variable.axis.is_log),
        tuple(marks),
    )


def knee_of(line: Sequence[Configuration], variable: Variable) -> Configuration:
    """The first point of a line that does nine tenths of the most work a second of any of them."""
    rates = [variable.work(each.spec) * (value_of(each, "fps").value or 0.0) for each in line]
    return next(each for each, rate in zip(line, rates, strict=True) if rate >= SHARE * max(rates))


def _name(key: Spec) -> str:
    """A network's name without what differs along its line."""
    if key.width > 1:
        return short_name(key)
    network = f"{key.backbone} + {key.detector}" if key.detector else key.backbone
    batch = f"batch {key.batch}" if key.batch > 1 else ""
    mode = key.mode if key.mode != "infer" else ""
    return ", ".join(filter(None, (network, key.options_text, batch, mode)))


def _remarks(selection: Selection) -> list[str]:
    values: list[Value] = [
        value_of(each, word) for each in selection.of.values() for word in FIGURES
    ]
    return [
        f"Forward pass only (protocol model). Knee: the smallest batch with {100 * SHARE:.0f} % "
        "of the highest throughput on its line, in images/s; for inputs, in pixels/s. If it is "
        "the last point, a larger one may do better.",
        *bars_remark(values),
        *left_out(selection),
        *flags_remark(selection, FIGURES),
    ]
