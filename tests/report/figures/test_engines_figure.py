"""What the figure of engines shows, and what it says of what it leaves out. Times are made up."""

from __future__ import annotations

from dataclasses import replace

from synthetic import CPU, in_engine, made_up, of_engines

from archbench.papers.suites import suite
from archbench.records import Record
from archbench.report.figures.contract import Missing, Plot
from archbench.report.figures.engines import MOST_RATIO, by_engine
from archbench.report.figures.material import Choice, Material
from archbench.report.figures.tradeoff import trade_off

NETWORKS = suite("vovnet/table4").specs


def drawn(records: list[Record]) -> Plot:
    (plot,) = by_engine(Material(records))
    assert isinstance(plot, Plot)
    return plot


def test_a_caption_tells_what_is_meant_and_what_is_left_out() -> None:
    plot = drawn(of_engines())
    said = " ".join(plot.remarks)
    assert plot.where == "measured on Example GPU, contiguous"
    assert "For int8 only the time is meaningful" in said
    assert "Failed: densenet201 + refinedet320 in openvino (unsupported)." in said
    assert "Left out, engine_differs: vovnet39 + refinedet320 in onnxruntime." in said
    assert "Left out, measured in one engine only: 1 network." in said


def test_bars_have_the_intervals_of_their_records() -> None:
    bars = {mark.label: mark for mark in drawn(of_engines()).marks}
    eager = bars["resnet50-v1 + refinedet320: eager"]
    assert (eager.y, eager.y_interval) == (5.0, (4.5, 6.0))


def test_networks_are_in_the_order_of_their_slowest_engine_in_panels_of_like_times() -> None:
    records = [made_up(spec, 10**index) for index, spec in enumerate(NETWORKS[:4])]
    records += [in_engine(record, "openvino", 0.5) for record in records]
    panels = drawn(records[::-1]).panels
    assert len(panels) == 3
    for panel in panels:
        eager = [float(mark.y) for mark in panel.marks if mark.colour == "eager"]
        assert eager == sorted(eager)
        assert eager[-1] <= MOST_RATIO * eager[0]


def test_one_device_alone_is_drawn() -> None:
    records = of_engines()
    cpu = [
        replace(record, environment=CPU, record_id=f"{record.record_id} cpu") for record in records
    ]
    plot = drawn([*records, *cpu[:1], *cpu[6:7]])
    assert plot.where == "measured on Example GPU, contiguous"
    assert "Left out, from other devices or settings: 1 on Example CPU" in " ".join(plot.remarks)


def test_one_engine_is_no_figure() -> None:
    (missing,) = by_engine(Material([made_up(spec, 3) for spec in NETWORKS]))
    assert isinstance(missing, Missing)
    assert "archbench sweep vovnet/table4 --engine eager --engine onnxruntime" in missing.why


def traded(group: str) -> Plot:
    (plot,) = trade_off(Material(of_engines(), choice=Choice("params", "total_ms", group)))
    assert isinstance(plot, Plot)
    return plot


def test_points_of_two_engines_stand_in_one_figure_only_where_engines_are_asked_for() -> None:
    assert {mark.colour for mark in traded("engine").marks} == {"eager", "onnxruntime", "openvino"}
    assert len([*traded("engine").marks]) == 13
    for group in ("device", "precision", "detector"):
        assert len([*traded(group).marks]) == 6
    assert "--group engine shows them together" in " ".join(traded("device").remarks)
