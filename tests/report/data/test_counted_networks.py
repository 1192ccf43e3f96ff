"""What is taken of the counts of a network: those of one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from archbench.records import Record
from archbench.report.data.counts import Counts, counted_networks

Make = Callable[..., Record]
TOTAL = "activation_total_bytes"


def counted(record: Make, batch: int, *, macs: int) -> Record:
    """A record of a batch whose outputs grow with it."""
    made = record(batch=batch)
    assert made.counted
    return replace(made, counted=made.counted | {"macs": macs, TOTAL: 100 * batch})


def test_bytes_of_a_batch_do_not_pass_for_those_of_one_image(record: Make) -> None:
    one, eight = counted(record, 1, macs=5), counted(record, 8, macs=6)
    for records in ([one, eight], [eight, one]):
        counts = Counts(counted_networks(records))
        assert counts.value(one.spec, TOTAL) == 100
        assert counts.value(one.spec, "macs") == records[-1].counts["macs"], "the last record's"


def test_bytes_of_one_image_are_counted_where_only_a_batch_was(record: Make) -> None:
    eight = counted(record, 8, macs=6)
    assert Counts(counted_networks([eight])).value(eight.spec, TOTAL) is None
    counts = Counts(counted_networks([eight]), lambda spec: {TOTAL: 100 * spec.batch})
    assert counts.value(eight.spec, "macs") == 6
    assert counts.value(eight.spec, TOTAL) == 100
