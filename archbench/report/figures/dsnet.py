"""DSNet's Table 9 as a figure: what a training step costs in memory and time."""

from __future__ import annotations

from collections.abc import Mapping

from archbench.papers.suites import Member, suite
from archbench.report.figures.contract import Axis, Key, Made, Mark, Origin, Panel, Plot, plot_or_missing
from archbench.report.figures.material import NOTHING, Found, Material, Value, bars_remark, flags_remark, left_out, measured, value_of

TABLE = "dsnet/table9"
OURS = {"train_memory_mb": ("mem_device_delta_bytes", 1e-6), "train_step_s": ("latency_ms", 1e-3)}
"""Our column behind each of the paper's metrics, and what brings it to the paper's unit."""
AXES = {"train_memory_mb": Axis("device memory in use", "MB"), "train_step_s": Axis("a training step", "s")}
TITLES = {"train_memory_mb": "(a) memory", "train_step_s": "(b) time"}


def training_cost(material: Material) -> Made:
    """Make Table 9 as bars, a panel for memory and one for time; both sources together as ratios to the first network of both."""
    members = suite(TABLE).members
    specs = [member.spec for member in members if member.spec]
    found = measured(material, specs, "latency_ms") if material.wants_ours else NOTHING
    sources: dict[Origin, Mapping[str, Mapping[str, Value]]] = {}
    if found:
        sources["ours"] = {metric: _ours(members, found, metric) for metric in OURS}
    if material.wants_paper and (found or material.source == "paper"):
        sources["paper"] = {metric: _published(members, metric) for metric in OURS}
    base = _base(sources) if len(sources) > 1 else ""
    panels = tuple(_panel(sources, metric, base) for metric in OURS)
    remarks = ["ImageNet, 224x224, batch 32 a card, SGD with momentum."]
    if "paper" in sources:
        remarks.append("The paper's figures are of its own cards.")
    if found:
        values = [value for values in sources["ours"].values() for value in values.values()]
        absent = [member.label for member in members if member.spec not in found.of]
        remarks += [*bars_remark(values, found), *left_out(found), *flags_remark(found, [word for word, _ in OURS.values()])]
        remarks += [f"No record: {', '.join(absent)}."] if absent else []
    where = f"measured on {found.where}" if found else "as published"
    key = Key(("network",))
    plot = Plot("training-cost", "Cost of a training step, after DSNet's Table 9", where, panels, tuple(remarks), key)
    return plot_or_missing(plot, lambda: f"no measured training step of its networks; archbench sweep {TABLE} makes them")


def _ours(members: tuple[Member, ...], found: Found, metric: str) -> dict[str, Value]:
    word, scale = OURS[metric]
    return {
        member.label: value_of(found.of[member.spec], word, scale=scale) for member in members if member.spec and member.spec in found.of
    }


def _published(members: tuple[Member, ...], metric: str) -> dict[str, Value]:
    return {member.label: Value(figure.value) for member in members for figure in member.figures if figure.metric == metric}


def _base(sources: Mapping[Origin, Mapping[str, Mapping[str, Value]]]) -> str:
    """The first network that all sources have every figure of."""
    every = [values for source in sources.values() for values in source.values()]
    return next((label for label in every[0] if all(label in values and values[label].value for values in every)), "")


def _panel(sources: Mapping[Origin, Mapping[str, Mapping[str, Value]]], metric: str, base: str) -> Panel:
    marks = []
    for origin, values in sources.items():
        unit = values[metric][base].value if base else 1.0
        assert unit
        for label, value in values[metric].items():
            if value.value is not None:
                interval = (value.interval[0] / unit, value.interval[1] / unit) if value.interval else None
                marks.append(
                    Mark(label, label, value.value / unit, y_interval=interval, colour="network", form="bar", origin=origin)
                )  # fmt: skip
    axis = Axis(f"{AXES[metric].words}, times {base}'s") if base else AXES[metric]
    empty = "; ".join(value.reason for values in sources.values() for value in values[metric].values() if value.reason)
    return Panel(TITLES[metric], Axis(""), axis, tuple(marks), empty=empty)
