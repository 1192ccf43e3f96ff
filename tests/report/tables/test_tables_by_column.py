"""Tables for each value of a column, and the first rows of each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from archbench.records import Record
from archbench.report.data.narrowing import first
from archbench.report.tables.compare import Layout, tabled, tables

Make = Callable[..., Record]


def test_the_first_rows_are_those_of_each_table(record: Make) -> None:
    made = [
        record(name, detector, latency_ms=latency_ms)
        for name, detector, latency_ms in (
            ("vovnet39", "refinedet320", 20.0),
            ("resnet50-v1", "refinedet320", 10.0),
            ("vgg16", None, 30.0),
            ("resnet18", None, 40.0),
        )
    ]
    found = {}
    for group in ("detector", None):
        layout = Layout(group=group)
        kept = first(made, 1, partial(tabled, layout=layout))
        found[group] = [each.spec.backbone for each in kept]
        assert all(len(table.rows) <= 3 for table in tables(kept, layout)), "and the paper's"
    assert found == {"detector": ["resnet50-v1", "vgg16"], None: ["resnet50-v1"]}


def test_a_table_of_an_accuracy_is_titled_by_that_on_its_data_set(record: Make) -> None:
    made = [record("peleenet", "pelee")]
    titles = [
        table.title
        for dataset in ("coco-test-dev", "voc2007-test")
        for table in tables(made, Layout(group="accuracy", dataset=dataset))
    ]
    assert titles == [
        "Example GPU, fp32, contiguous, accuracy -",
        "Example GPU, fp32, contiguous, accuracy 70.9",
    ]
