"""Figures of our own: networks below their device's roofs, and what explains their time and
energy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from archbench.quantities import QUANTITIES
from archbench.records.conditions import Roofs
from archbench.report.data.configurations import Configuration, measured_setups
from archbench.report.data.explains import (
    EXPLAINED,
    EXPLAINING,
    LEAST_NETWORKS,
    Explanation,
    considered,
    explanations,
)
from archbench.report.data.names import short_names
from archbench.report.figures.contract import Axis, Guide, Key, Mark, Missing, Panel, Plot, Plots
from archbench.report.figures.material import (
    Material,
    Selection,
    bars_remark,
    flags_remark,
    groups_of,
    left_out,
    value_of,
)
from archbench.report.tables.words import counted

FEW = 24
"""Points of a panel up to which each is named."""
COUNTED_BYTES = 4
"""An element's bytes in a cost report."""
LETTERS = "abcdefghijklmnop"


def roofline(material: Material) -> Plots:
    """Draw networks below the roofs of their device: what they reach over how much they compute for
    each byte moved.
    """
    there = [
        configuration
        for configuration in material.configurations
        if _intensity(configuration) is not None and configuration.estimate("flops_per_s")
    ]
    setups = measured_setups(there)
    if not setups:
        why = (
            "no record has its device's peaks; to create some: archbench sweep vovnet/table4 "
            "--roofline"
        )
        return [Missing("roofline", why)]
    (setup, chosen), *others = setups.items()
    selection = Selection(
        setup,
        {configuration.spec: configuration for configuration in chosen},
        {name: len(group) for name, group in others},
    )
    kinds = groups_of(_kind(configuration) for configuration in chosen)
    marks = _below_roofs(chosen, kinds)
    roofs = _roofs_of(chosen[-1])
    assert roofs
    panel = Panel(
        "",
        Axis("operations per byte moved", "FLOP/B", is_log=True),
        Axis("operations per second", "1e9/s", is_log=True),
        tuple(marks),
        guides=_roofs(roofs, [float(mark.x) for mark in marks]),
    )
    title, key = "Networks under their device's roofline", _key(kinds)
    where, remarks = f"measured on {setup}", tuple(_roofline_remarks(selection))
    return [Plot("roofline", title, where, (panel,), remarks, key, key, columns=1)]


def _below_roofs(chosen: Sequence[Configuration], kinds: Mapping[str, str]) -> list[Mark]:
    """A point for each network: what it reaches at its operations a byte."""
    named = short_names(configuration.spec for configuration in chosen)
    marks = []
    for configuration in chosen:
        rate, at = value_of(configuration, "flops_per_s", scale=1e-9), _intensity(configuration)
        assert rate.value is not None
        assert at is not None
        kind = kinds[_kind(configuration)]
        marks.append(
            Mark(
                named[configuration.spec],
                at,
                rate.value,
                y_interval=rate.interval,
                colour=kind,
                shape=kind,
                is_named=len(chosen) <= FEW,
            )
        )
    return marks


def _roofline_remarks(selection: Selection) -> list[str]:
    rates = (value_of(configuration, "flops_per_s") for configuration in selection.of.values())
    return [
        "Roofs: the device's peaks in separate probes; bytes: inputs, weights and outputs of every "
        "operator. A network's time is that of its forward pass (protocol model).",
        *bars_remark(rates),
        *left_out(selection),
        *flags_remark(selection, ["flops_per_s"]),
    ]


def _key(kinds: Mapping[str, str]) -> Key:
    return Key(tuple(dict.fromkeys(kinds.values())), "detector")


def explains(material: Material) -> Plots:
    """Draw each counted figure against time and energy, with the rank correlation."""
    groups = _alike(material.configurations)
    large = [key for key, group in groups.items() if len(group) >= LEAST_NETWORKS]
    if not large:
        why = (
            f"it needs {LEAST_NETWORKS} networks measured on one device; archbench sweep "
            "vovnet/table4 measures six"
        )
        return [Missing("explains", why)]
    largest = max(large, key=lambda key: (groups[key][0].is_eager, len(groups[key])))
    setup, mode, batch = largest
    chosen = groups[largest]
    without_flaws = explanations(chosen)
    with_flawed = not without_flaws
    explained = {
        explanation.measured: explanation
        for explanation in without_flaws or explanations(chosen, with_flawed=True)
    }
    kinds = groups_of(_kind(configuration) for configuration in chosen)
    panels = tuple(_explained(chosen, explained, kinds, with_flawed=with_flawed))
    others = sum(map(len, groups.values())) - len(chosen)
    about = tuple(_explains_remarks(chosen, explained, others, with_flawed=with_flawed))
    call = "training steps" if mode == "train" else f"batch {batch}"
    title, where = "What explains time and energy", f"measured on {setup}, {call}"
    key, columns = _key(kinds), len(EXPLAINING)
    return [Plot("explains", title, where, panels, about, key, key, columns, is_matrix=True)]


def _alike(
    configurations: Sequence[Configuration],
) -> dict[tuple[str, str, int], list[Configuration]]:
    """The configurations that have all that explains and a time, by setup, mode and batch."""
    groups: dict[tuple[str, str, int], list[Configuration]] = {}
    for setup, measured in measured_setups(configurations).items():
        for configuration in measured:
            if all(configuration.estimate(word) for word in (*EXPLAINING, "latency_ms")):
                group = setup, configuration.spec.mode, configuration.spec.batch
                groups.setdefault(group, []).append(configuration)
    return groups


def _explains_remarks(
    chosen: Sequence[Configuration],
    explained: Mapping[str, Explanation],
    others: int,
    *,
    with_flawed: bool,
) -> Iterator[str]:
    counts = " and ".join(str(explanation.n) for explanation in explained.values())
    yield (
        "Rho: Spearman's rank correlation, and its 95 % interval over resamples of "
        f"{counts} networks. Forward pass only (protocol model); axes are logarithmic."
    )
    yield (
        f"Inputs: {_inputs(chosen)}. The more inputs differ, the more strongly figures that grow "
        "with them correlate."
    )
    if with_flawed:
        yield "Flawed figures, such as ci_not_met, are included: too few others exist."
    else:
        yield "Flawed figures are left out."
    yield from bars_remark(
        value_of(each, word)
        for word in explained
        for each in considered(chosen, word, with_flawed=with_flawed)
    )
    if elsewhere := sum(explanation.of_other_cards for explanation in explained.values()):
        yield f"Left out, energies of other cards: {elsewhere}."
    if others:
        number = counted(others, "configuration")
        yield f"Left out, from other devices, settings, modes or batches: {number}."


def _explained(
    configurations: Sequence[Configuration],
    explained: Mapping[str, Explanation],
    kinds: Mapping[str, str],
    *,
    with_flawed: bool,
) -> list[Panel]:
    """A panel for each counted figure and each measured one that enough networks have."""
    named = short_names(configuration.spec for configuration in configurations)
    panels: list[Panel] = []
    for word in filter(explained.__contains__, EXPLAINED):
        y = QUANTITIES[word]
        there = considered(configurations, word, with_flawed=with_flawed)
        heights = [value_of(configuration, word, scale=y.scale.factor) for configuration in there]
        for name in EXPLAINING:
            x = QUANTITIES[name]
            marks = []
            for configuration, height in zip(there, heights, strict=True):
                at = value_of(configuration, name, scale=x.scale.factor)
                if at.value is not None and height.value is not None:
                    kind = kinds[_kind(configuration)]
                    mark = Mark(
                        named[configuration.spec],
                        at.value,
                        height.value,
                        y_interval=height.interval,
                        colour=kind,
                        shape=kind,
                    )
                    marks.append(mark)
            title = f"({LETTERS[len(panels)]}) {_rho(explained[word], name)}"
            across, up = (Axis(row.title, row.scale.unit, is_log=True) for row in (x, y))
            panels.append(Panel(title, across, up, tuple(marks)))
    return panels


def _kind(configuration: Configuration) -> str:
    return configuration.spec.detector or "classifier"


def _rho(explanation: Explanation, name: str) -> str:
    correlation = explanation.counted[name]
    if correlation.rho is None:
        return "rho: none"
    interval = (
        f" ({_hundredths(correlation.interval[0])} to {_hundredths(correlation.interval[1])})"
        if correlation.interval
        else ""
    )
    return f"rho {_hundredths(correlation.rho)}{interval}"


def _hundredths(value: float) -> str:
    """A correlation with two digits; next to none is 0.00, never -0.00."""
    return f"{round(value, 2) + 0.0:.2f}"


def _inputs(configurations: Sequence[Configuration]) -> str:
    counts: dict[str, int] = {}
    for configuration in configurations:
        counts[configuration.spec.size] = counts.get(configuration.spec.size, 0) + 1
    ranked = sorted(counts, key=lambda size: -counts[size])
    return ", ".join(f"{size} ({counts[size]})" for size in ranked[:4]) + (
        " and others" if len(ranked) > 4 else ""
    )


def _intensity(configuration: Configuration) -> float | None:
    """Operations for each byte that the forward pass moves, in the precision that it was measured
    in; None without roofs.
    """
    roofs, counts = _roofs_of(configuration), configuration.newest.counts
    if not roofs or not counts.get("bytes_all") or counts.get("macs_all") is None:
        return None
    return (
        2.0
        * counts["macs_all"]
        * configuration.spec.batch
        / (counts["bytes_all"] * roofs["element_bytes"] / COUNTED_BYTES)
    )


def _roofs_of(configuration: Configuration) -> Roofs | None:
    """The roofs that the newest record with some holds; nothing where none does."""
    return next(
        (
            record.conditions["roofline"]
            for record in reversed(configuration.records)
            if record.conditions.get("roofline")
        ),
        None,
    )


def _roofs(roofs: Roofs, intensities: Sequence[float]) -> tuple[Guide, ...]:
    """The two roofs over the range that the networks span, and the ridge between them."""
    compute, bandwidth = 1e-9 * roofs["flops_per_s"], 1e-9 * roofs["bytes_per_s"]
    ridge = compute / bandwidth
    low, high = min([*intensities, ridge]) / 2, max([*intensities, ridge]) * 2
    return (
        Guide(
            f"compute roof: {compute:,.0f}e9 FLOP/s",
            ((ridge, compute), (high, compute)),
            "compute",
            widens=True,
        ),
        Guide(
            f"memory roof: {bandwidth:,.0f}e9 B/s",
            ((low, low * bandwidth), (ridge, compute)),
            "memory",
            widens=True,
        ),
    )
