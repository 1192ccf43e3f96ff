"""Every expected number of the fact sheets whose network is registered."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

import archbench
from archbench.spec import UsageError, parse_options
from archbench.zoo import registry

EXPECTED = Path(__file__).parent / "data" / "expected.csv"
NETWORK = ("backbone", "detector", "input", "classes", "options")

Row = dict[str, str]
CLASSIFIERS = [
    "resnet18", "resnet26-x0.25", "resnet38-x0.25", "resnet50", "resnet50-v1", "resnet50-x0.25", "resnet50-x0.5",
    "resnet50-x1.0", "resnet50-x0.25-wrn", "wrn-50-2-bottleneck", "resnet77-x0.25", "resnet101", "resnet101-v1",
    "resnet101-slim", "resnet101-x0.25", "resnet152", "resnet152-v1", "resnext50-32x4d", "resnext50-x0.25", "resnext50-x0.5",
    "resnext50-x1.0", "resnext101-32x8d", "resnext101-64x4d", "densenet121", "densenet161", "densenet169", "densenet201",
    "densenet264", "densenet264-32-csp", "densenet40", "densenet-k24-cifar", "densenet-bc-k24-cifar", "densenet-bc-k40-cifar",
    "vgg16", "darknet19", "peleenet",
]  # fmt: skip


def is_registered(row: Row) -> bool:
    """Whether both names of a row are known; what its options, size and classes are, is for the test."""
    try:
        registry.resolve(row["backbone"], row["detector"] or None)
    except UsageError:
        return False
    return True


def collect() -> tuple[list[Row], dict[tuple[str, ...], list[Row]]]:
    """Read all rows and, by network, those whose names are registered."""
    with EXPECTED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    registered = {names: is_registered(dict(zip(NETWORK, names, strict=False))) for names in {(r["backbone"], r["detector"]) for r in rows}}
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
        if value is None or abs(value - expected) > float(row["tolerance_pct"]) / 100 * expected + 1e-9:
            off.append(f"{row['metric']} is {value}, expected {row['value']} within {row['tolerance_pct']} % ({row['source']})")
    assert off == []


def test_the_first_networks_are_all_collected() -> None:
    """A name that stops being registered must not take its rows with it unnoticed."""
    due = {
        tuple(row[key] for key in NETWORK)
        for row in ROWS
        if row["source"].startswith(("vovnet-refinedet.md", "meta-architectures.md", "dsod-ssd.md", "other-detectors.md"))
        or (row["backbone"] in CLASSIFIERS and not row["detector"])
    }
    assert {row[0] for row in due} >= {*CLASSIFIERS, "vovnet27-slim", "vovnet39", "vovnet57", "osa-5x43", "mobilenet", "inception-v2"}
    assert {row[1] for row in due} == {
        "", "refinedet", "faster-rcnn", "faster-rcnn-c4", "faster-rcnn-caffe", "faster-rcnn-fpn", "mask-rcnn-fpn", "rfcn", "rfcn-caffe",
        "ssd-huang", "dsod", "dsod-plain", "ssd", "ssd-dense", "ssd-liu", "dssd", "pelee", "retinanet", "yolov2", "cornernet", "centernet",
        "ttfnet", "thundernet", "lrf", "m2det", "pfpnet-r", "pfpnet-s", "dafs", "rfbnet",
    }  # fmt: skip
    assert sorted(due - NETWORKS.keys()) == []


def test_every_row_names_a_metric_of_the_report() -> None:
    assert {row["metric"] for row in ROWS} <= set(dir(archbench.cost("resnet18")))
