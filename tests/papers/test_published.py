"""The published figures: that the files are whole, which networks their rows mean, and beside what
they are set.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from archbench.papers import (
    Published,
    beside,
    figures,
    figures_for,
    metrics,
    own_rule,
    row_for,
    value_in_our_units,
)
from archbench.spec import Spec, UsageError
from archbench.zoo import catalogue

TABLE_4 = {
    "ResNet-50": "resnet50-v1",
    "DenseNet-201 (k=32)": "densenet201",
    "VoVNet-39": "vovnet39",
    "ResNet-101": "resnet101-v1",
    "DenseNet-161 (k=48)": "densenet161",
    "VoVNet-57": "vovnet57",
}


def made(**fields: object) -> Published:
    """A published figure with the fields that matter to a test."""
    row = {
        "paper": "vovnet",
        "table": "4",
        "label": "X",
        "backbone": "vovnet39",
        "detector": "refinedet",
        "input": "320x320",
        "options": "",
        "dataset": "coco-test-dev",
        "metric": "ap",
        "value": 33.5,
    }
    return Published(**row | fields)  # type: ignore[arg-type]


def find(paper: str, table: str, label: str, metric: str, dataset: str | None = None) -> Published:
    (figure,) = [
        figure
        for figure in figures()
        if (figure.paper, figure.table, figure.label, figure.metric)
        == (paper, table, label, metric)
        and dataset in (None, figure.dataset)
    ]
    return figure


def test_the_file_is_whole() -> None:
    assert len(figures()) == 1035
    assert Counter(figure.paper for figure in figures()) == {
        "cspnet": 488,
        "vovnet": 329,
        "dsnet": 165,
        "dsod": 37,
        "huang": 16,
    }
    assert all(figure.value > 0 for figure in figures())


def test_no_figure_is_there_twice() -> None:
    keys = Counter(replace(figure, value=0.0) for figure in figures())
    assert [key for key, count in keys.items() if count > 1] == []


def test_every_metric_has_its_map() -> None:
    assert {figure.metric for figure in figures()} <= metrics().keys()


def test_what_has_no_column_of_ours_is_quoted_as_it_is() -> None:
    for metric in metrics().values():
        assert bool(metric.ours) != ("quoted only" in metric.note)
        assert metric.ours or (metric.convert == 1 and metric.column == metric.published)


@pytest.mark.parametrize(
    ("row", "value"),
    [
        (("vovnet", "4", "VoVNet-39", "energy_j_per_image"), 4.8),
        (("vovnet", "4", "DenseNet-161 (k=48)", "fps"), 12.8),
        (("vovnet", "2", "DSOD300 VoVNet-27-slim", "gflops_per_s"), 400),
        (("vovnet", "section 3.2", "OSA 5 layers x 43 channels", "mac_eq1_m"), 2.5),
        (("huang", "2", "Inception Resnet V2", "params"), 54336736),
        (("cspnet", "section 4.5", "CSPResNeXt50", "cio_m"), 32.6),
        (("dsnet", "9", "DenseNet264", "train_memory_mb"), 9981),
        (("dsod", "prose", "DSOD300 dense prediction", "cpu_ms"), 590),
    ],
)
def test_spot_values(row: tuple[str, str, str, str], value: float) -> None:
    assert find(*row).value == value


@pytest.mark.parametrize(
    ("table", "source"),
    [("4", "vovnet/table4"), ("section 3.2", "vovnet/section3.2"), ("prose", "vovnet/prose")],
)
def test_the_source_is_one_word(table: str, source: str) -> None:
    assert made(table=table).source == source


def test_table_4_names_six_networks() -> None:
    specs = {
        figure.label: figure.spec()
        for figure in figures()
        if (figure.paper, figure.table) == ("vovnet", "4")
    }
    assert specs == {
        label: Spec(name, "refinedet", 320, 320, 80) for label, name in TABLE_4.items()
    }


def test_section_3_2_names_two_networks() -> None:
    specs = {figure.spec() for figure in figures() if figure.table == "section 3.2"}
    assert specs == {Spec("densenet40", None, 32, 32, 10), Spec("osa-5x43", None, 32, 32, 10)}


def test_a_row_without_an_input_means_the_name_s_default() -> None:
    assert find("cspnet", "3", "ResNet-152", "params_m").spec() == Spec(
        "resnet152-v1", None, 224, 224, 1000
    )


def test_the_sizes_of_huang_table_2_leave_the_classifier_out() -> None:
    assert find("huang", "2", "ResNet-101", "params").spec() == Spec(
        "resnet101-slim", None, 224, 224, 0
    )


@pytest.mark.parametrize(
    ("fields", "classes"),
    [
        ({"dataset": "coco-val"}, 80),
        ({"dataset": "voc2012-test-with-coco"}, 20),
        ({"dataset": "imagenet-train-batch32", "detector": None}, 1000),
        ({"dataset": "cifar100", "detector": None}, 100),
        ({"dataset": "cifar10", "detector": None}, 10),
        ({"dataset": ""}, None),
        ({"paper": "huang", "detector": "faster-rcnn", "dataset": "coco-minival"}, 90),
        ({"paper": "huang", "detector": None, "dataset": "imagenet"}, 1000),
        ({"paper": "vovnet", "detector": "faster-rcnn"}, 90),
        ({"paper": "dsnet", "detector": "faster-rcnn"}, 80),
    ],
)
def test_classes_follow_the_data_set(fields: dict[str, object], classes: int | None) -> None:
    assert made(**fields).classes == classes


def test_no_data_set_means_the_default_classes() -> None:
    assert made(dataset="").spec() == Spec("vovnet39", "refinedet", 320, 320, 80)
    assert made(dataset="", detector=None, input="").spec() == Spec(
        "vovnet39", None, 224, 224, 1000
    )


def test_options_are_part_of_the_network() -> None:
    spec = made(
        backbone="resnet50",
        detector=None,
        input="",
        options="output_stride=16;stride_on=1x1",
        dataset="imagenet",
    ).spec()
    assert spec == catalogue.resolve("resnet50-v1", output_stride=16).spec


@pytest.mark.parametrize(
    "fields", [{"backbone": "no-such-net"}, {"detector": "no-such-head"}, {"backbone": ""}]
)
def test_a_name_that_the_zoo_does_not_know_gives_no_spec(fields: dict[str, object]) -> None:
    assert made(**fields).spec() is None


def test_every_row_whose_names_are_known_is_a_network() -> None:
    def is_known(figure: Published) -> bool:
        try:
            base = catalogue.find("backbone", figure.backbone)
            head = catalogue.find_detector(figure.detector)[0] if figure.detector else None
        except UsageError:
            return False
        return not (base.published_only or (head and head.published_only))

    assert {
        figure.row for figure in figures() if is_known(figure) and figure.spec() is None
    } == set()


def test_several_passes_an_image_are_a_procedure() -> None:
    procedures = {figure.label for figure in figures() if figure.is_procedure}
    assert procedures == {
        "CSPResNeXt-50 (10 crop)",
        "Res2NeXt-50 (10 crop)",
        "Res2Net-50 (10 crop)",
        "CornerNet Hourglass (multi-scale)",
        "Faster R-CNN+++ ResNet-101-C4",
        "RefineDet512+ ResNet-101",
        "RefineDet512 VoVNet-39 (ours, multi-scale)",
        "RefineDet512 VoVNet-57 (ours, multi-scale)",
    }


def test_a_multi_scale_row_is_not_set_beside_the_single_scale_network() -> None:
    for name in ("resnet101-v1", "vovnet39"):
        found = figures_for(catalogue.resolve(name, "refinedet512").spec)
        assert found
        assert {figure.dataset for figure in found} == {"coco-test-dev"}


def test_of_a_procedure_only_the_counts_are_the_network_s() -> None:
    spec = catalogue.resolve("resnet50").spec
    ten_crop = {
        "backbone": "resnet50",
        "detector": None,
        "input": "",
        "dataset": "imagenet",
        "label": "ResNet-50 (10 crop)",
    }
    assert made(**ten_crop, metric="params_m").holds_for(spec)
    assert made(**ten_crop, metric="bflops").holds_for(spec)
    assert not made(**ten_crop, metric="top1").holds_for(spec)


def test_figures_for_takes_no_account_of_batch_and_mode() -> None:
    spec = catalogue.resolve("vovnet39", "refinedet320").spec
    assert len(figures_for(spec)) == 17
    assert figures_for(replace(spec, batch=8, mode="train")) == figures_for(spec)
    assert figures_for(replace(spec, classes=20)) == []


def test_figures_for_finds_other_spellings_of_a_name() -> None:
    spec = catalogue.resolve("resnet50", stride_on="1x1", detector="RefineDet-320").spec
    assert {figure.table for figure in figures_for(spec)} == {"4", "6"}


def test_figures_for_gives_the_order_of_the_file() -> None:
    found = figures_for(catalogue.resolve("resnet50").spec)
    assert found == sorted(found, key=figures().index)


@pytest.mark.parametrize(
    ("row", "word", "value"),
    [
        (("vovnet", "4", "VoVNet-39", "params_m"), "params", 56_280_000),
        (("vovnet", "4", "VoVNet-39", "gmacs"), "macs", 32_600_000_000),
        (("vovnet", "4", "VoVNet-39", "memory_mb"), "mem_device_delta_bytes", 2_199_000_000),
        (("vovnet", "4", "VoVNet-39", "ap"), "ap", 33.5),
        (("vovnet", "3", "VoVNet-27-slim", "gpu_ms"), "latency_ms", 14),
        (("dsod", "prose", "DSOD300 dense prediction", "cpu_ms"), "cpu_latency_ms", 590),
        (("cspnet", "5", "YOLOv3-tiny", "cpu_fps"), "cpu_fps", 54),
        (("dsnet", "9", "ResNet50", "train_step_s"), "latency_ms", 310),
        (("cspnet", "section 4.5", "CSPResNeXt50", "cio_m"), "cio_pool", 32_600_000),
    ],
)
def test_figures_in_our_units(row: tuple[str, str, str, str], word: str, value: float) -> None:
    assert value_in_our_units(find(*row)) == (word, value)


def test_no_digit_is_added_by_the_change_of_units() -> None:
    counts = [value_in_our_units(figure) for figure in figures()]
    for word, value in counts:
        if word in ("params", "macs", "flops", "mac_eq1", "cio_pool", "mem_device_delta_bytes"):
            assert value == int(value)


def test_the_table_with_most_comparable_figures_is_set_beside_a_network() -> None:
    assert {
        figure.source for figure in row_for(catalogue.resolve("vovnet39", "refinedet320").spec)
    } == {"vovnet/table4"}
    assert {
        figure.source for figure in row_for(catalogue.resolve("vgg16", "refinedet320").spec)
    } == {"vovnet/table6"}
    assert row_for(catalogue.resolve("vovnet39", "refinedet320", classes=20).spec) == ()


def test_times_stand_beside_their_own_batch_and_mode_alone() -> None:
    spec = catalogue.resolve("resnet50").spec
    assert {figure.source for figure in row_for(spec)} == {"dsnet/table7"}
    training, source = beside(replace(spec, batch=32, mode="train"))
    assert (training["latency_ms"], source) == (310, "dsnet/table9")
    batch_8, _ = beside(catalogue.resolve("vovnet39", "refinedet320", batch=8).spec)
    assert batch_8.keys() == {"params", "paper_flops", "ap", "ap_s", "ap_m", "ap_l"}


def test_a_figure_by_the_paper_s_own_rule_stands_beside_ours_by_that_rule() -> None:
    named, source = beside(catalogue.resolve("vovnet39", "refinedet320").spec)
    assert source == "vovnet/table4"
    assert named["paper_flops"] == 32.6e9
    assert "macs" not in named
    assert own_rule(find("vovnet", "4", "VoVNet-39", "params_m")) is None
    rule = own_rule(find("huang", "2", "VGG-16", "params"))
    assert rule
    assert "Table 2" in rule.note
