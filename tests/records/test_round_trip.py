"""Whatever a record holds is what is read of its line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archbench.quantities import COUNTED, MEASURED
from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record, Store
from archbench.records.reading import read_line
from archbench.settings import QUICK, Settings
from archbench.spec import Spec

TEXTS = st.text("aZ09 -_=+@.:,;/\\'\"`<&>|{}[]\t\n\x1b\x00éß\u200f\u2028東🙂", max_size=12)
NAMES = st.text("abz09-_.é🙂", min_size=1, max_size=12)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(-1e30, 1e30)
ABOVE_0 = st.floats(0, 1e30)
SIDES = st.integers(1, 4096)

SPECS = st.builds(
    Spec,
    backbone=NAMES,
    detector=st.none() | NAMES,
    width=SIDES,
    height=SIDES,
    classes=st.integers(0, 2**20),
    batch=SIDES,
    mode=st.sampled_from(("infer", "train")),
    options=st.dictionaries(NAMES, st.booleans() | NUMBERS | TEXTS, max_size=3).map(
        lambda options: tuple(sorted(options.items()))
    ),
)
SETTINGS = st.sampled_from((None, Settings(), QUICK, Settings(precision="fp16", seed=7)))
CODES = st.sampled_from([*Reason, Reason("of_a_later_version")])
METRICS = st.one_of(
    st.builds(
        Metric,
        value=ABOVE_0,
        unit=TEXTS,
        source=TEXTS,
        protocol=TEXTS,
        flags=st.lists(st.sampled_from([*Flag]), max_size=2).map(tuple),
        spread=st.none() | st.fixed_dictionaries({"n": SIDES, "median": ABOVE_0}),
    ),
    st.builds(Metric, value=st.none(), unit=TEXTS, reason=CODES),
)
RECORDS = st.builds(
    Record,
    spec=SPECS,
    settings=SETTINGS,
    status=st.sampled_from([*Status]),
    reason=st.none() | st.builds(Cause, CODES, TEXTS, TEXTS),
    counted=st.none() | st.dictionaries(st.sampled_from(sorted(COUNTED)), st.integers(0, 2**62)),
    measured=st.dictionaries(st.sampled_from(sorted(MEASURED)), METRICS, max_size=4),
    environment=st.dictionaries(st.sampled_from(("device", "cpu", "host")), TEXTS),
    phases=st.dictionaries(NAMES, ABOVE_0, max_size=2),
    samples=TEXTS,
    run_id=TEXTS,
    attempt=st.integers(1, 9),
    record_id=NAMES,
    time_utc=NAMES,
    extra=st.dictionaries(NAMES.map("later_{}".format), NUMBERS | TEXTS, max_size=2),
)


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    line = json.dumps(record.to_dict()).encode()
    assert b"\n" not in line
    again: Any = read_line(line, pytest.fail)
    assert again == record
    assert again.to_dict() == record.to_dict()


@given(st.lists(RECORDS, max_size=3, unique_by=lambda record: record.record_id))
@settings(max_examples=20)
def test_a_store_gives_back_what_was_appended(records: list[Record]) -> None:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder), warn=pytest.fail)
        for record in records:
            store.append(replace(record, samples=""))
        found = {record.record_id: record for record in store.read()}
    assert found == {record.record_id: replace(record, samples="") for record in records}
