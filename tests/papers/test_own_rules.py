"""What a paper counts by a rule of its own, beside what it printed."""

from __future__ import annotations

import pytest

import archbench
from archbench.papers import figures, own_rule, paper_params, row_for
from archbench.papers.published import OwnRule
from archbench.zoo import catalogue

TABLE_2 = [
    figure
    for figure in figures()
    if (figure.paper, figure.table) == ("huang", "2") and figure.metric == "params"
]


@pytest.mark.parametrize("figure", TABLE_2, ids=lambda figure: figure.label)
def test_huang_table_2_is_met_to_the_unit(figure) -> None:
    report = archbench.cost(figure.backbone, classes=0)
    assert report.paper_params == figure.value
    assert row_for(catalogue.resolve(figure.backbone, classes=0).spec)[0].source == "huang/table2"


def test_table_2_has_six_extractors() -> None:
    assert len(TABLE_2) == 6


@pytest.mark.parametrize(
    ("backbone", "detector", "printed"),
    [
        ("resnet10-darknet", None, 5.24),
        ("resnext50-darknet", None, 22.19),
        ("csp-resnext50", None, 20.50),
        ("peleenet", None, 2.79),
        ("sparse-peleenet", None, 2.39),
        ("efficientnet-b0-darknet", None, 4.81),
        ("darknet-reference", None, 7.31),
        ("peleenet", "prn416", 3.16),
        ("darknet-reference", "yolov3-tiny", 8.86),
    ],
)
def test_cspnet_counts_weights_of_classifiers_and_the_weight_files_of_detectors(
    backbone, detector, printed
) -> None:
    report = archbench.cost(backbone, detector)
    assert round(report.paper_params / 1e6, 2) == printed


@pytest.mark.parametrize(
    ("backbone", "detector", "printed"),
    [("darknet53", "yolov3-spp608", 62.9), ("csp-resnext50", "panet-spp608", 56.9)],
)
def test_of_cspnet_s_large_detectors_too_it_counts_weights_alone(
    backbone, detector, printed
) -> None:
    report = archbench.cost(backbone, detector)
    assert report.paper_params == report.param_kinds.conv_weights
    assert round(report.paper_params / 1e6, 1) == printed


def test_what_cspnet_quotes_and_what_fits_no_rule_is_learnable_parameters() -> None:
    assert archbench.cost("resnet152-v1").paper_params is None
    assert archbench.cost("darknet53", "yolov3-608").paper_params is None


def test_the_figure_that_vovnet_quotes_from_dsod_has_the_running_statistics() -> None:
    report = archbench.cost("densenet67", "dsod")
    assert report.paper_params == report.params + report.param_kinds.norm_buffers == 5_872_280


def test_a_network_that_no_paper_counts_so_has_no_such_figure() -> None:
    assert archbench.cost("resnet50").paper_params is None
    assert archbench.cost("vovnet39", "refinedet320").paper_params is None
    assert paper_params(catalogue.resolve("mobilenet", size=192, classes=0).spec, {}) is None


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("a", 10),
        ("a + b", 13),
        ("a - b", 7),
        ("0.5 a + 2 b - 1", 10),
        ("a - 0.5 a - 5", 0),
        ("128 + b", 131),
    ],
)
def test_formulas(formula: str, value: int) -> None:
    assert (
        OwnRule("p", "", "", "", "params", "paper_params", formula, "").apply({"a": 10, "b": 3})
        == value
    )


def test_a_rule_that_names_our_column_gives_it_or_is_counted_already() -> None:
    kinds = (
        "conv_weights",
        "linear_weights",
        "biases",
        "norm_scalars",
        "norm_buffers",
        "dense_conv_channels",
    )
    counts = dict.fromkeys(("params", *kinds), 2)
    for figure in figures():
        rule = own_rule(figure)
        if rule and rule.ours == "paper_params":
            assert rule.formula
            assert isinstance(rule.apply(counts), int)
