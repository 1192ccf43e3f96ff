"""DSNet's Table 9 as a figure: what a training step costs in memory and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from archbench.papers.member import Member
from archbench.papers.suites import suite
from archbench.report.figures.contract import (
    Axis,
    Key,
    Mark,
    Origin,
    Panel,
    Plot,
    Plots,
    plot_or_missing,
)
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
    why_missing,
)
from archbench.spec import Spec

TABLE = "dsnet/table9"
MEASURED, PREDICTED = "mem_device_delta_bytes", "train_memory_bytes"
"""Our columns of memory: what a card had in use, and in its absence what a step must hold at least.
"""
SCALES = {MEASURED: 1e-6, PREDICTED: 1e-6, "latency_ms": 1e-3}
"""What brings our columns to the paper's units."""
AXES = {
    MEASURED: Axis("device memory in use", "MB"),
    PREDICTED: Axis("training memory", "MB"),
    "latency_ms": Axis("training step", "s"),
}
TITLES = {"train_memory_mb": "(a) memory", "train_step_s": "(b) time"}


def training_cost(material: Material) -> Plots:
    """Make Table 9 as bars, a panel for memory and one for time; both sources together as ratios to
    the first network of both.
    """
    members = suite(TABLE).members
    specs, selection = _select(material, members)
    words = {"train_memory_mb": _memory(selection), "train_step_s": "latency_ms"}
    sources: dict[Origin, Mapping[str, Mapping[str, Value]]] = {}
    if selection:
        sources["ours"] = {metric: _ours(specs, selection, word) for metric, word in words.items()}
    if material.wants_paper:
        sources["paper"] = {metric: _published(members, metric) for metric in words}
    base = _base(sources) if len(sources) > 1 else ""
    panels = tuple(_panel(sources, metric, AXES[word], base) for metric, word in words.items())
    remarks = ["ImageNet, 224x224, SGD with momentum."]
    if "paper" in sources:
        remarks.append("The paper's figures are for batch 32 per card, on its own cards.")
    if selection:
        remarks.append(f"Ours are for batch {next(iter(selection.of)).batch}.")
        if PREDICTED in words.values():
            remarks.append(
                "Our memory is predicted, the least that a step needs: this device cannot measure "
                "it."
            )
        values = [value for values in sources["ours"].values() for value in values.values()]
        absent = [label for label, spec in specs.items() if spec not in selection.of]
        remarks += [
            *bars_remark(values),
            *left_out(selection),
            *flags_remark(selection, [*words.values()]),
        ]
        remarks += [f"No record: {', '.join(absent)}."] if absent else []
    where = f"measured on {selection.setup}" if selection else "as published"
    key = Key(("network",))
    plot = Plot(
        "training-cost",
        "Cost of a training step, after DSNet's Table 9",
        where,
        panels,
        tuple(remarks),
        key,
    )
    return plot_or_missing(
        plot,
        lambda: f"no measured training step of its networks; archbench sweep {TABLE} measures them",
    )


def _select(material: Material, members: Sequence[Member]) -> tuple[dict[str, Spec], Selection]:
    """The networks at the one batch that has the most records, the paper's where it has as many,
    and these records.
    """
    printed = {member.label: member.spec for member in members if member.spec}
    batches = [spec.batch for spec in printed.values()] + [
        configuration.spec.batch
        for configuration in material.configurations
        if configuration.spec.mode == "train"
    ]
    best, chosen = NOTHING, printed
    for batch in dict.fromkeys(batches if material.wants_ours else ()):
        specs = {label: replace(spec, batch=batch) for label, spec in printed.items()}
        selection = measured(material, specs.values(), "latency_ms")
        if len(selection.of) > len(best.of):
            best, chosen = selection, specs
    return chosen, best


def _memory(selection: Selection) -> str:
    """Our column of memory: what was measured, where anything was."""
    is_measured = not selection or any(
        configuration.estimate(MEASURED) for configuration in selection.of.values()
    )
    return MEASURED if is_measured else PREDICTED


def _ours(specs: Mapping[str, Spec], selection: Selection, word: str) -> dict[str, Value]:
    return {
        label: value_of(selection.of[spec], word, scale=SCALES[word])
        for label, spec in specs.items()
        if spec in selection.of
    }


def _published(members: Sequence[Member], metric: str) -> dict[str, Value]:
    return {
        member.label: Value(figure.value)
        for member in members
        for figure in member.figures
        if figure.metric == metric
    }


def _base(sources: Mapping[Origin, Mapping[str, Mapping[str, Value]]]) -> str:
    """The first network that all sources have every figure of."""
    every = [values for source in sources.values() for values in source.values()]
    return next(
        (
            label
            for label in every[0]
            if all(label in values and values[label].value for values in every)
        ),
        "",
    )


def _panel(
    sources: Mapping[Origin, Mapping[str, Mapping[str, Value]]], metric: str, axis: Axis, base: str
) -> Panel:
    marks = []
    for origin, values in sources.items():
        unit = values[metric][base].value if base else 1.0
        assert unit
        for label, value in values[metric].items():
            if value.value is not None:
                interval = (
                    (value.interval[0] / unit, value.interval[1] / unit) if value.interval else None
                )
                marks.append(
                    Mark(
                        label,
                        label,
                        value.value / unit,
                        y_interval=interval,
                        colour="network",
                        form="bar",
                        origin=origin,
                    )
                )
    if base:
        axis = Axis(f"{axis.words}, times {base}'s")
    empty = why_missing(value for values in sources.values() for value in values[metric].values())
    return Panel(TITLES[metric], Axis(""), axis, tuple(marks), empty=empty)
