"""What figures show and leave out, and what they say where they cannot be drawn; the whole data are
in the golden files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from synthetic import Call, everything, layers, made_up, of_grid, of_suite

from archbench.papers.grid import points
from archbench.papers.suites import suite
from archbench.reasons import Flag
from archbench.records import Record
from archbench.report.figures.contract import Mark, Missing, Plot, Plots, frontier
from archbench.report.figures.drawing import draw
from archbench.report.figures.material import MOST_GROUPS, Choice, Material
from archbench.report.figures.registry import FIGURES, find, table
from archbench.report.figures.style import COLOURS, MARKERS
from archbench.settings import Settings
from archbench.spec import Spec, UsageError
from archbench.zoo import catalogue


def plot(name: str, material: Material) -> Plot:
    (made,) = find(name).make(material)
    assert isinstance(made, Plot)
    return made


def why(plots: Plots) -> str:
    (missing,) = plots
    assert isinstance(missing, Missing)
    return missing.why


def of_point(
    detector: str, backbone: str, size: int, proposals: int, ms: int, *, gpu: bool = True
) -> Record:
    found = next(
        point
        for point in points()
        if (point.detector, point.backbone, point.size, point.proposals)
        == (detector, backbone, size, proposals)
    )
    return made_up(found.spec, ms, gpu=gpu)


NO_ACCURACY = (
    "it needs the accuracy of all configurations, but the paper gives only five (Table 3), and "
    "archbench does not train networks"
)
NO_RECORD = {
    "speed-accuracy": "no record of its networks has these figures; archbench sweep huang/table3 "
    "measures them",
    "proposals": "no record of its networks has these figures; archbench sweep huang/figure6a "
    "measures them",
    "time": "no record of its networks has these figures; archbench sweep huang/figure7 "
    "measures them",
    "flops-time": "no record of its networks has these figures; archbench sweep huang/figure8a "
    "measures them",
    "memory": "no record of its networks has these figures; archbench sweep huang/figure9 "
    "measures them",
    "memory-time": "no record of its networks has these figures; archbench sweep huang/figure10a "
    "measures them",
    "csp-overview": "no record of its networks; archbench sweep cspnet/table3 measures them",
    "fusion": "no record of its networks; archbench sweep cspnet/table1 cspnet/table2 measures "
    "them",
    "training-cost": "no measured training step of its networks; archbench sweep dsnet/table9 "
    "measures them",
    "roofline": "no record has its device's peaks; to create some: archbench sweep vovnet/table4 "
    "--roofline",
    "explains": "it needs 3 networks measured on one device; archbench sweep vovnet/table4 "
    "measures six",
    "trade-off": "no record has both macs and total_ms; see archbench compare --csv",
}


@pytest.mark.parametrize("name", NO_RECORD)
def test_without_records_a_figure_names_the_command_that_makes_them(name: str) -> None:
    assert why(find(name).make(Material())) == NO_RECORD[name]


@pytest.mark.parametrize("name", ["extractor-accuracy", "object-size", "resolution", "overlap"])
def test_figures_of_unpublished_accuracies_are_refused(name: str) -> None:
    assert find(name).make(everything()) == [Missing(name, NO_ACCURACY)]


@pytest.mark.parametrize(
    "name", ["speed-accuracy", "proposals", "time", "flops-time", "memory", "memory-time"]
)
def test_huang_s_times_are_not_published(name: str) -> None:
    assert "the paper gives times and memory only as plots" in why(
        find(name).make(Material(source="paper"))
    )


@pytest.mark.parametrize("name", ["roofline", "explains"])
def test_our_own_figures_are_of_records_alone(name: str) -> None:
    assert (
        why(find(name).make(Material(source="paper")))
        == "it has no published version; without --source paper it is drawn from records"
    )


def test_why_is_one_line_for_every_figure() -> None:
    for source in ("records", "paper"):
        for figure in FIGURES:
            made = figure.make(Material(source=source))  # type: ignore[arg-type]
            assert all("\n" not in missing.why for missing in made if isinstance(missing, Missing))


def test_a_frontier_leaves_out_what_another_beats() -> None:
    marks = [Mark(str(x), x, y) for x, y in ((1, 10), (2, 9), (3, 30), (4, 30), (5, 31), (1, 8))]
    (guide,) = frontier(marks, "frontier")
    assert guide.points == ((1, 10), (3, 30), (5, 31))
    assert frontier(marks[:1], "frontier") == ()


def test_only_published_accuracies_are_points_and_the_rest_is_told() -> None:
    made = plot("speed-accuracy", Material(of_grid()))
    assert {mark.y for mark in made.marks} == {19.3, 22.0, 32.0, 30.4, 35.7}
    others = len(of_grid()) - 5
    assert (
        f"the paper prints none of the {others} other configurations measured here"
        in made.remarks[0]
    )


def test_proposals_are_of_the_resolution_that_has_most_and_rather_of_the_high_one() -> None:
    low = [
        of_point("faster-rcnn", "mobilenet", 300, count, 5 + index)
        for index, count in enumerate((10, 50, 300))
    ]
    made = plot("proposals", Material(low))
    assert made.panels[0].title == "(a) Faster R-CNN, 300x300"
    assert "The paper's figure is of 600x600." in made.remarks
    assert [(mark.x, mark.y) for mark in made.panels[0].marks] == [(10, 7), (50, 8), (300, 9)]
    assert len(made.panels) == 1, "R-FCN has no record"
    assert made.remarks[-1].startswith("Left out, (b) R-FCN")
    assert made.remarks[-1].endswith("archbench sweep huang/figure6b measures them.")
    high = [of_point("faster-rcnn", "mobilenet", 600, count, 20) for count in (10, 50, 300)]
    assert plot("proposals", Material([*low, *high])).panels[0].title == "(a) Faster R-CNN, 600x600"


def test_points_of_published_accuracy_are_looked_for_on_the_device_that_has_them() -> None:
    published = [record for record in of_grid() if record.spec in suite("huang/table3").specs]
    elsewhere = [
        record for record in of_grid(gpu=False) if record.spec not in suite("huang/table3").specs
    ]
    made = plot("speed-accuracy", Material([*elsewhere, *published]))
    assert made.where == "measured on Example GPU, fp32, contiguous"
    assert len(list(made.marks)) == 5
    assert "others" not in made.remarks[0]


def test_a_network_whose_parts_are_not_told_apart_is_one_bar() -> None:
    record = of_point("faster-rcnn", "mobilenet", 300, 300, 10)
    whole = replace(
        record,
        measured={
            name: metric
            for name, metric in record.measured.items()
            if name not in ("backbone_ms", "heads_ms")
        },
    )
    parts = [
        (mark.colour or mark.shape, mark.y)
        for mark in plot("time", Material([whole])).panels[0].marks
    ]
    assert parts == [("network as a whole", 10), ("postprocessing", 2), ("total", 12)]


def test_panels_of_times_far_apart_have_scales_of_their_own() -> None:
    def times(of_rfcn: int) -> Plot:
        records = [
            of_point("faster-rcnn", "mobilenet", 300, 300, 900),
            of_point("rfcn", "mobilenet", 300, 300, of_rfcn),
        ]
        return plot("time", Material(records))

    near, far = times(400), times(100)
    assert (near.has_one_scale, far.has_one_scale) == (True, False)
    own = "Each panel has its own scale."
    assert (own in near.remarks, own in far.remarks) == (False, True)


def test_a_panel_with_a_bar_cut_off_has_a_scale_of_its_own() -> None:
    """Panels of about the same height, one of them cut off at 1.4 times 402 ms."""
    records = [
        of_point("faster-rcnn", "mobilenet", 300, 300, 500),
        of_point("rfcn", "mobilenet", 300, 300, 400),
        of_point("rfcn", "resnet101-slim", 300, 300, 9000),
    ]
    made = plot("time", Material(records))
    assert [panel.cut for panel in made.panels] == [None, pytest.approx(1.4 * 402)]
    assert not made.has_one_scale
    assert "Each panel has its own scale." in made.remarks


def test_a_bar_that_dwarfs_the_others_is_cut_off_and_says_how_high_it_is() -> None:
    """Whole calls of 102 and 1002 ms: the second would leave the first a tenth of the panel."""
    records = [
        of_point("rfcn", "mobilenet", 300, 300, 100),
        of_point("rfcn", "resnet101-slim", 300, 300, 1000),
    ]
    made = plot("time", Material(records))
    (panel,) = made.panels
    assert panel.cut == pytest.approx(1.4 * 102)
    assert "An arrow gives the height of a bar that is cut off." in made.remarks
    assert "Each panel has its own scale." not in made.remarks, "there is one"
    (axes,) = draw(made).axes
    assert axes.get_ylim() == (0, panel.cut)
    assert [text.get_text() for text in axes.texts] == ["\N{UPWARDS ARROW} 1,002"]
    even = plot("time", Material([records[0], of_point("rfcn", "resnet101-slim", 300, 300, 300)]))
    assert even.panels[0].cut is None


def test_gpu_and_cpu_stand_in_panels_of_their_own() -> None:
    gpu, cpu = (
        of_point("faster-rcnn", "mobilenet", 300, 10, 10, gpu=is_gpu) for is_gpu in (True, False)
    )
    both, alone = plot("flops-time", Material([gpu, cpu])), plot("flops-time", Material([gpu]))
    assert [[mark.x for mark in panel.marks] for panel in both.panels] == [[12], [202]]
    assert (
        both.where
        == "measured on (a) Example GPU, fp32, contiguous; (b) Example CPU, 2 threads, fp32, "
        "contiguous"
    )
    assert [len(plot.panels) for plot in (both, alone)] == [2, 1]
    assert alone.remarks[-1].endswith(
        "no measured record of a CPU; archbench sweep huang/figure8b --device cpu measures them."
    )


@pytest.mark.parametrize("name", ["flops-time", "memory-time"])
def test_points_of_other_settings_are_told_of_a_panel(name: str) -> None:
    full = [of_point("rfcn", "mobilenet", 300, count, count) for count in (10, 100)]
    half = replace(full[0], settings=Settings(precision="fp16"), record_id="half")
    made = plot(
        name, Material([*full, half, of_point("rfcn", "mobilenet", 300, 10, 10, gpu=False)])
    )
    assert [remark for remark in made.remarks if "Left out" in remark] == [
        "(a) Left out, from other devices or settings: 1 on Example GPU, fp16, contiguous."
    ]


def test_a_caption_counts_the_flags_of_what_is_drawn() -> None:
    """A network whose record lacks the counted figure has a time, and no point."""
    records = [of_point("rfcn", "mobilenet", 300, count, count) for count in (10, 100, 300)]
    flagged = [
        replace(
            each,
            measured={"total_ms": replace(each.metrics["total_ms"], flags=(Flag.CI_NOT_MET,))},
        )
        for each in records
    ]
    flagged[0] = replace(flagged[0], counted={"params": 1})
    made = plot("memory-time", Material(flagged))
    assert len(list(made.marks)) == 2
    assert "(a) Flags: ci_not_met (2 of 2)." in made.remarks


def test_measured_memory_has_the_precision_and_the_flags_of_its_records() -> None:
    records = [
        replace(of_point("rfcn", "mobilenet", 300, count, 10), settings=Settings(precision="fp16"))
        for count in (10, 300)
    ]
    peak = replace(records[0].metrics["mem_alloc_peak_bytes"], flags=(Flag.CI_NOT_MET,))
    records[0] = replace(records[0], measured=records[0].measured | {"mem_alloc_peak_bytes": peak})
    made = plot("memory", Material([*records, of_point("rfcn", "mobilenet", 300, 10, 10)]))
    assert made.where == "counted; (b) measured on Example GPU, fp16, contiguous"
    assert made.remarks[0].startswith("300x300, batch 1. Bars: ")
    assert "(a) is counted, in fp32: the sum of all operator outputs" in made.remarks[0]
    assert made.remarks[1:3] == (
        "(b) Left out, from other devices or settings: 1 on Example GPU, fp32, contiguous.",
        "(b) Flags: ci_not_met (1 of 2).",
    )


def test_total_memory_is_counted_and_needs_no_device() -> None:
    made = plot(
        "memory",
        Material(
            [
                of_point("rfcn", "mobilenet", 300, count, ms, gpu=False)
                for count, ms in ((10, 4), (300, 10))
            ]
        ),
    )
    (bar,) = made.panels[0].marks
    assert (bar.label, bar.y, bar.y_interval) == (
        "R-FCN MobileNet, 2 configurations",
        70,
        (40, 100),
    )
    assert len(made.panels) == 1
    assert made.remarks[-1].endswith("on a GPU.")


def test_networks_of_partial_stages_stand_beside_those_they_are_made_of() -> None:
    made = plot("csp-overview", Material(source="paper"))
    assert [
        (mark.label, mark.x, mark.y) for mark in made.panels[0].marks if mark.x == "ResNeXt-50"
    ] == [
        ("ResNeXt-50", "ResNeXt-50", 10.11),
        ("CSPResNeXt-50", "ResNeXt-50", 7.93),
    ]
    assert [mark.y for mark in made.panels[1].marks] == [34.4, 32.6]
    assert any(
        remark.endswith(
            "the paper prints no speed of classifiers; archbench sweep cspnet/table3 measures it."
        )
        for remark in made.remarks
    )


def test_counted_computation_comes_from_records() -> None:
    made = plot("fusion", Material(of_suite("cspnet/table1")))
    assert next((mark.label, mark.x, mark.y, mark.origin) for mark in made.marks) == (
        "PeleeNet",
        6,
        70.7,
        "ours",
    )


def test_a_training_step_of_both_sources_is_a_ratio_to_the_first_network_of_both() -> None:
    spec = catalogue.resolve("resnet152", classes=1000, batch=32, mode="train").spec
    made = plot("training-cost", Material([made_up(spec, 500)], "both"))
    assert made.panels[1].y.label == "training step, times ResNet152's"
    assert {(mark.label, mark.origin): mark.y for mark in made.panels[1].marks}[
        "ResNet50", "paper"
    ] == pytest.approx(0.31 / 0.63)


def test_training_steps_are_shown_at_the_batch_of_most_records() -> None:
    def records(batch: int, count: int, *, gpu: bool) -> list[Record]:
        specs = [replace(spec, batch=batch) for spec in suite("dsnet/table9").specs[:count]]
        made = [made_up(spec, 10 * (index + 1), gpu=gpu) for index, spec in enumerate(specs)]
        return [replace(one, counted=one.counted | {"train_memory_bytes": 10**9}) for one in made]

    card, few = records(4, 3, gpu=True), records(32, 2, gpu=False)
    made = plot("training-cost", Material([*card, *few]))
    assert [mark.label for mark in made.panels[1].marks] == ["ResNet50", "ResNet152", "DenseNet264"]
    assert made.panels[0].y.label == "device memory in use (MB)"
    assert any("Ours are for batch 4." in remark for remark in made.remarks)
    on_cpu = plot("training-cost", Material(few))
    assert [mark.y for mark in on_cpu.panels[0].marks] == [1000, 1000]
    assert on_cpu.panels[0].y.label == "training memory (MB)"
    assert any(remark.startswith("Our memory is predicted") for remark in on_cpu.remarks)


def test_why_no_training_step_has_a_memory_is_told_once() -> None:
    specs = [replace(spec, batch=4) for spec in suite("dsnet/table9").specs[:2]]
    made = plot("training-cost", Material([made_up(spec, 10, gpu=False) for spec in specs]))
    assert [panel.title for panel in made.panels] == ["(b) time"]
    assert made.remarks[-1] == "Left out, (a) memory: not asked for."


def test_error_bars_are_told_of_what_is_drawn() -> None:
    networks = suite("vovnet/table4").specs
    once = [made_up(spec, 3 + number) for number, spec in enumerate(networks)]
    again = made_up(networks[0], 4, record_id="again")
    told = "Error bars: 95 % confidence interval of the median"
    for name in ("trade-off", "roofline", "explains"):
        assert f"{told}." in plot(name, Material(once)).remarks
        said = plot(name, Material([*once, again])).remarks
        assert f"{told}, or the range of the medians of several processes." in said


def test_layers_of_any_network() -> None:
    made = plot("layers", Material(networks=[catalogue.resolve("vovnet39").spec], layers=layers))
    assert made.title == "Computation of each layer"
    assert [(mark.label, mark.x) for mark in made.marks] == [("stem", 1), ("last", 2)]


@pytest.mark.parametrize("name", ["layers", "layer-io"])
def test_networks_without_layers_are_told_of(name: str) -> None:
    """A network of pools alone can be brought, and counted."""
    pools, other = catalogue.resolve("vovnet39").spec, catalogue.resolve("resnet50").spec

    def counted(spec: Spec) -> Sequence[Call]:
        return () if spec == pools else layers(spec)

    assert (
        why(find(name).make(Material(networks=[pools], layers=counted)))
        == "vovnet39, 224x224: no convolution or linear layer to show"
    )
    made = plot(name, Material(networks=[pools, other], layers=counted))
    assert made.remarks[1:] == ("Left out, without such a layer: vovnet39, 224x224.",)
    assert len(made.panels) == 1


def test_layers_of_networks_that_differ_in_classes_alone_stand_apart() -> None:
    few, many = (catalogue.resolve("resnet50", classes=count).spec for count in (1, 1000))
    made = plot("layer-io", Material(networks=[few, many], layers=layers))
    assert [panel.title.partition(":")[0] for panel in made.panels] == [
        "resnet50, 224x224, 1 class",
        "resnet50, 224x224, 1000 classes",
    ]


def test_sizes_of_layers_are_told_in_all() -> None:
    made = plot("layer-io", Material(networks=[catalogue.resolve("osa-5x43").spec], layers=layers))
    assert made.panels[0].title == "osa-5x43, 32x32: 0.01 M elements in, 0.00 M out"
    assert [mark.y for mark in made.marks if mark.line == "input"] == [3072e-6, 2048e-6]


def test_networks_lie_below_their_own_device_s_roofs() -> None:
    made = plot("roofline", Material([*of_suite("vovnet/table4"), *of_grid(gpu=False)]))
    assert {(round(float(mark.x), 6), round(float(mark.y), 6)) for mark in made.marks} == {
        (50, 2000)
    }
    compute, memory = made.panels[0].guides
    assert [point[1] for point in compute.points] == [2e4, 2e4]
    assert memory.points[-1] == compute.points[0] == (pytest.approx(20), 2e4)


def test_what_explains_is_asked_of_one_place_mode_and_batch() -> None:
    few = [made_up(spec, 5) for spec in suite("dsnet/table9").specs[:2]]
    made = plot("explains", Material([*of_suite("vovnet/table4"), *few]))
    titles = [panel.title for panel in made.panels]
    assert len(titles) == 10
    assert titles[0] == "(a) rho 1.00 (1.00 to 1.00)"
    assert titles[3].startswith("(d) rho -1.00")
    assert (
        "Left out, from other devices, settings, modes or batches: 2 configurations."
        in made.remarks
    )


def test_what_explains_is_asked_where_enough_networks_were_measured() -> None:
    """One network ran eager, six in an engine."""
    specs = suite("vovnet/table4").specs
    engine = [
        made_up(spec, 3 + number, settings=Settings(engine="openvino"))
        for number, spec in enumerate(specs)
    ]
    made = plot("explains", Material([made_up(specs[0], 5), *engine]))
    assert made.where == "measured on Example GPU, openvino, fp32, contiguous, batch 1"
    assert (
        "Left out, from other devices, settings, modes or batches: 1 configuration." in made.remarks
    )
    eager = [made_up(spec, 5 + number) for number, spec in enumerate(specs[:3])]
    made = plot("explains", Material([*eager, *engine]))
    assert made.where == "measured on Example GPU, fp32, contiguous, batch 1"


def test_energies_that_are_explained_are_of_one_card() -> None:
    """Sensors of power differ: of six energies four are of one card; times are of both."""
    records = [
        replace(record, environment=record.environment | {"uuid": f"card {number // 4}"})
        for number, record in enumerate(of_suite("vovnet/table4"))
    ]
    made = plot("explains", Material(records))
    assert [len(panel.marks) for panel in made.panels] == 5 * [6] + 5 * [4]
    assert "over resamples of 6 and 4 networks" in made.remarks[0]
    assert "Left out, energies of other cards: 2." in made.remarks


def test_two_columns_and_a_group() -> None:
    made = plot(
        "trade-off",
        Material(of_suite("vovnet/table4"), choice=Choice("params", "fps", "backbone", "y")),
    )
    assert (made.panels[0].x.is_log, made.panels[0].y.is_log) == (False, True)
    assert made.colours.word == "backbone"
    mark = next(mark for mark in made.marks if mark.colour == "vovnet39")
    assert (mark.x, mark.y) == (7, pytest.approx(1000 / 7))


def test_places_are_mixed_only_where_the_group_tells_them() -> None:
    spec = catalogue.resolve("vovnet39", "refinedet320").spec
    records = [
        made_up(spec, 5),
        made_up(spec, 6, gpu=False),
        made_up(spec, 7, settings=Settings(precision="fp16"), record_id="half"),
    ]
    alone = plot("trade-off", Material(records))
    assert len(list(alone.marks)) == 1
    assert "Left out, from other devices or settings: " in " ".join(alone.remarks)
    mixed = plot("trade-off", Material(records, choice=Choice(group="device")))
    assert {mark.colour for mark in mixed.marks} == {"Example GPU", "Example CPU"}
    assert mixed.where.count(";") == 2


def test_counts_need_no_place() -> None:
    spec = catalogue.resolve("vovnet39", "refinedet320").spec
    made = plot(
        "trade-off",
        Material([made_up(spec, 5), made_up(spec, 5, gpu=False)], choice=Choice("params", "macs")),
    )
    assert made.where == "counted"
    assert [(mark.x, mark.y) for mark in made.marks] == [(5, 5)]


def test_published_figures_against_one_another() -> None:
    made = plot("trade-off", Material(source="paper", choice=Choice("macs", "published_ap")))
    assert ("VoVNet-39", 32.6, 33.5, "vovnet/table4") in {
        (mark.label, mark.x, mark.y, mark.colour) for mark in made.marks
    }
    assert all(mark.origin == "paper" for mark in made.marks)


def test_of_many_points_those_on_the_frontier_are_named() -> None:
    """Of 30 classifiers, number n with n parameters and n ms: less and less is better."""
    specs = suite("all").specs[:30]
    made = plot(
        "trade-off",
        Material([made_up(spec, 1 + n) for n, spec in enumerate(specs)], choice=Choice("params")),
    )
    assert [mark.x for mark in made.marks if mark.is_named] == [1]
    assert made.panels[0].guides == (), "one point is no line"
    few = plot("trade-off", Material(of_suite("vovnet/table4")))
    assert all(mark.is_named for mark in few.marks)


def test_what_is_better_decides_the_frontier() -> None:
    """Parameters and images a second that fall together: every point is best at one of them."""
    specs = suite("vovnet/table4").specs
    records = [
        made_up(spec, 5 + n, counted={"params": (9 - n) * 10**6}) for n, spec in enumerate(specs)
    ]
    made = plot("trade-off", Material(records, choice=Choice("params", "latency_ms")))
    (guide,) = made.panels[0].guides
    assert guide.points == tuple((9 - n, 5 + n) for n in reversed(range(len(specs))))
    made = plot("trade-off", Material(records, choice=Choice("params", "fps")))
    assert [guide.points for guide in made.panels[0].guides] == [
        tuple((9 - n, pytest.approx(1e3 / (5 + n))) for n in reversed(range(len(specs))))
    ], "fewer parameters, fewer images a second"


def test_accuracies_of_two_data_sets_stand_together_only_where_they_are_told_apart() -> None:
    one = plot("trade-off", Material(source="paper"))
    assert "Accuracies are of coco-test-dev. Left out, of other data sets: " in one.remarks[-1]
    both = plot("trade-off", Material(source="paper", choice=Choice(group="dataset")))
    assert {"coco-test-dev", "coco-minival5k"} <= {mark.colour for mark in both.marks}
    assert len(list(both.marks)) > len(list(one.marks))


def test_a_frontier_of_speeds_is_of_one_paper_s_table() -> None:
    """Each has a device of its own; what was counted may be compared."""
    by_speed = plot("trade-off", Material(source="paper"))
    at: dict[tuple[object, object], set[str]] = {}
    for mark in by_speed.marks:
        at.setdefault((mark.x, mark.y), set()).add(mark.colour)
    lines = [[at[corner] for corner in guide.points] for guide in by_speed.panels[0].guides]
    assert len(lines) > 1
    assert all(set.intersection(*tables) for tables in lines)
    counted = plot("trade-off", Material(source="paper", choice=Choice("macs", "ap")))
    assert len(counted.panels[0].guides) == 1


def test_flags_and_numbers_of_proposals_are_told_of_what_is_drawn() -> None:
    drawn = [of_point("faster-rcnn", "mobilenet", 300, count, count) for count in (10, 100, 300)]
    other = made_up(catalogue.resolve("vovnet39", "refinedet320", batch=8).spec, 5)
    text = " ".join(plot("trade-off", Material([*drawn, other])).remarks)
    assert "Numbers of proposals differ: 10 (1), 100 (1); the others use their" in text
    assert "Flags" not in text
    flagged = replace(
        drawn[0],
        measured={"total_ms": replace(drawn[0].metrics["total_ms"], flags=(Flag.CI_NOT_MET,))},
    )
    text = " ".join(plot("trade-off", Material([flagged, *drawn[1:], other])).remarks)
    assert "Flags: ci_not_met (1 of 3)." in text


def test_time_is_the_whole_time_where_nothing_is_asked_for() -> None:
    detector = made_up(catalogue.resolve("vovnet39", "refinedet320").spec, 5)
    classifier = made_up(catalogue.resolve("vovnet39").spec, 3)
    forward = {"latency_ms": classifier.metrics["latency_ms"]}
    alone = replace(classifier, measured=forward)
    both = plot("trade-off", Material([detector, alone]))
    assert both.panels[0].y.label == "total time (ms)"
    assert [mark.y for mark in both.marks] == [7.0, 3.0]
    assert "The forward pass alone, where nothing was postprocessed: 1 of 2." in both.remarks
    asked = plot("trade-off", Material([detector, alone], choice=Choice(y="total_ms")))
    assert [mark.y for mark in asked.marks] == [7.0]
    assert "Left out, without macs or total_ms: 1." in asked.remarks


def test_the_data_set_of_an_accuracy_is_told() -> None:
    networks = suite("vovnet/table4").specs
    records = [made_up(spec, 5) for spec in networks]
    made = plot("trade-off", Material(records, choice=Choice("total_ms", "accuracy")))
    assert made.panels[0].y.label == "published AP (%)"
    assert "Accuracies are of coco-test-dev." in made.remarks
    assert {mark.y for mark in made.marks} >= {30.3, 33.5}


def test_a_chosen_pair_of_columns_is_in_the_name() -> None:
    assert plot("trade-off", Material(of_suite("vovnet/table4"))).name == "trade-off"
    chosen = plot("trade-off", Material(of_suite("vovnet/table4"), choice=Choice("params", "fps")))
    assert chosen.name == "trade-off-fps-params"


def test_no_two_groups_of_a_figure_look_alike() -> None:
    assert len(set(COLOURS)) == len(set(MARKERS)) == MOST_GROUPS


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(x="mac"), "unknown column 'mac'; did you mean macs"),
        (
            Choice(y="backbone"),
            "column backbone is not numeric: --x and --y take numbers, --group takes any column",
        ),
        (Choice(log="z"), "invalid --log 'z' (choose from x, y, xy, none)"),
    ],
)
def test_a_choice_that_cannot_be(choice: Choice, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find("trade-off").make(Material(of_suite("vovnet/table4"), choice=choice))
    assert str(caught.value).startswith(message)


def test_the_list_of_plots_fits_80_columns() -> None:
    assert max(map(len, table().plain().splitlines())) <= 80
    assert all(figure.name in table().plain() for figure in FIGURES)
    assert json.dumps([figure.to_dict() for figure in FIGURES])
