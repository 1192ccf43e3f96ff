"""Every expected number of the fact sheets whose network is registered."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path

import pytest

import archbench
from archbench.papers import figures
from archbench.papers.published import Published
from archbench.spec import UsageError, parse_options
from archbench.zoo import catalogue

EXPECTED = Path(__file__).parent / "data" / "expected.csv"
NETWORK = ("backbone", "detector", "input", "classes", "options")

Row = dict[str, str]
CLASSIFIERS = [
    "resnet18",
    "resnet26-x0.25",
    "resnet38-x0.25",
    "resnet50",
    "resnet50-v1",
    "resnet50-x0.25",
    "resnet50-x0.5",
    "resnet50-x1.0",
    "resnet50-x0.25-wrn",
    "wrn-50-2-bottleneck",
    "resnet77-x0.25",
    "resnet101",
    "resnet101-v1",
    "resnet101-slim",
    "resnet101-x0.25",
    "resnet152",
    "resnet152-v1",
    "resnext50-32x4d",
    "resnext50-x0.25",
    "resnext50-x0.5",
    "resnext50-x1.0",
    "resnext101-32x8d",
    "resnext101-64x4d",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet264",
    "densenet264-32-csp",
    "densenet40",
    "densenet-k24-cifar",
    "densenet-bc-k24-cifar",
    "densenet-bc-k40-cifar",
    "vgg16",
    "darknet19",
    "peleenet",
]


def is_registered(row: Row) -> bool:
    """Whether both names of a row are known; what its options, size and classes are, is for the
    test.
    """
    try:
        catalogue.resolve(row["backbone"], row["detector"] or None)
    except UsageError:
        return False
    return True


def collect() -> tuple[list[Row], dict[tuple[str, ...], list[Row]]]:
    """Read all rows and, by network, those whose names are registered."""
    with EXPECTED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    registered = {
        names: is_registered(dict(zip(NETWORK, names, strict=False)))
        for names in {(r["backbone"], r["detector"]) for r in rows}
    }
    networks = defaultdict(list)
    for row in rows:
        if registered[row["backbone"], row["detector"]]:
            networks[tuple(row[key] for key in NETWORK)].append(row)
    return rows, networks


ROWS, NETWORKS = collect()


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: "+".join(filter(None, network)))
def test_expected(network: tuple[str, ...]) -> None:
    backbone, detector, size, classes, options = network
    given = parse_options([text for text in options.split(";") if text])
    report = archbench.cost(backbone, detector or None, size=size, classes=int(classes), **given)
    off = []
    for row in NETWORKS[network]:
        expected, value = float(row["value"]), getattr(report, row["metric"])
        if (
            value is None
            or abs(value - expected) > float(row["tolerance_pct"]) / 100 * expected + 1e-9
        ):
            off.append(
                f"{row['metric']} is {value}, expected {row['value']} within "
                f"{row['tolerance_pct']} % ({row['source']})"
            )
    assert off == []


def test_the_first_networks_are_all_collected() -> None:
    """A name that stops being registered must not take its rows with it unnoticed."""
    due = {
        tuple(row[key] for key in NETWORK)
        for row in ROWS
        if row["source"].startswith(
            (
                "vovnet-refinedet.md",
                "meta-architectures.md",
                "dsod-ssd.md",
                "cspnet.md",
                "other-detectors.md",
            )
        )
        or (row["backbone"] in CLASSIFIERS and not row["detector"])
    }
    assert {row[0] for row in due} >= {
        *CLASSIFIERS,
        "vovnet27-slim",
        "vovnet39",
        "vovnet57",
        "osa-5x43",
        "mobilenet",
        "inception-v2",
    }
    assert {row[1] for row in due} == {
        "",
        "refinedet",
        "faster-rcnn",
        "faster-rcnn-c4",
        "faster-rcnn-caffe",
        "faster-rcnn-fpn",
        "mask-rcnn-fpn",
        "rfcn",
        "rfcn-caffe",
        "ssd-huang",
        "dsod",
        "dsod-plain",
        "ssd",
        "ssd-dense",
        "ssd-liu",
        "dssd",
        "pelee",
        "retinanet",
        "yolov2",
        "yolov3",
        "yolov3-spp",
        "yolov3-tiny",
        "yolo-fpn",
        "prn",
        "prn-3l",
        "panet-spp",
        "cem",
        "cem-sam",
        "gfm",
        "efm",
        "efm-sam",
        "cornernet",
        "centernet",
        "ttfnet",
        "thundernet",
        "lrf",
        "m2det",
        "pfpnet-r",
        "pfpnet-s",
        "dafs",
        "rfbnet",
    }
    assert sorted(due - NETWORKS.keys()) == []


def test_every_row_names_a_metric_of_the_report() -> None:
    assert {row["metric"] for row in ROWS} <= set(dir(archbench.cost("resnet18")))


OFF_PCT = {
    "CSP (fusion last) 0.75": -0.72,
    "CSP (fusion last) 0.25": 0.53,
    "CSPPeleeNet 0.75": -0.71,
    "CSPPeleeNet 0.25": 0.43,
    "CEM (SAM)": -1.25,
    "GFM": 1.34,
    "DenseNet-264-32": -0.64,
    "DenseNet-201-Elastic": -2.71,
    "Res2Net-50 (10 crop)": 1.31,
    "Res2NeXt-50 (10 crop)": -0.65,
    "CSPResNeXt-50 (10 crop)": 0.37,
    "SSD VGG16 300": -2.39,
    "Pelee PeleeNet 304": -0.47,
    "Darknet Reference": 0.48,
    "ThunderNet SNet146 320": 5.74,
    "ThunderNet SNet49 320": 1.33,
}
"""Where networks are fitted, quoted by the paper from others, or rounded; elsewhere what we leave
out, pools, is up to 0.3 %.
"""
MACS = {
    network: float(row["value"])
    for network, rows in NETWORKS.items()
    for row in rows
    if row["metric"] == "macs"
}
PRINTED = [
    (figure, macs)
    for figure in figures()
    if (figure.paper, figure.metric) == ("cspnet", "bflops")
    and not re.fullmatch("csp-.*-reference", figure.backbone)
    for (backbone, detector, size, classes, options), macs in MACS.items()
    if (backbone, detector, classes, options)
    == (figure.backbone, figure.detector or "", str(figure.classes), "")
    and figure.input in ("", size)
]
"""CSPNet's BFLOPs and the multiply-adds that are expected of the same network; the stand-ins have a
test of their own.
"""


@pytest.mark.parametrize(
    ("figure", "macs"),
    PRINTED,
    ids=lambda value: value.label if isinstance(value, Published) else "",
)
def test_what_is_expected_of_a_network_is_what_cspnet_prints(
    figure: Published, macs: float
) -> None:
    off_pct = 100 * (2 * macs / 1e9 / figure.value - 1)
    assert off_pct == pytest.approx(
        OFF_PCT.get(figure.label, 0), abs=0.01 if figure.label in OFF_PCT else 0.3
    )


def test_all_that_cspnet_prints_of_these_networks_is_looked_at() -> None:
    assert len(PRINTED) == 52
    assert OFF_PCT.keys() <= {figure.label for figure, _ in PRINTED}
