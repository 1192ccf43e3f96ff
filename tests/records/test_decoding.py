"""Lines that are read quickly: as `reading` reads them, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archbench.records.decoding import Decoder
from archbench.records.reading import read_line

RESULTS = Path(__file__).parents[2] / "results"
COMMITTED = [line for path in sorted(RESULTS.glob("*/*.jsonl")) for line in path.open("rb")]
TRAINED = next(line for line in COMMITTED if b'"mode":"train"' in line)
DETECTED = next(line for line in COMMITTED if b'"roofline_bound_ms"' in line)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.sampled_from(["ok", "oom", "ms", "model", "ci_not_met", "cpu_device", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all that lies in plain data."""
    entries = data.items() if isinstance(data, dict) else enumerate(data or ())
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def changed(line: bytes, path: tuple[Any, ...], value: Any) -> bytes:
    """The line with another value at the end of a path."""
    data = json.loads(line)
    table = data
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    return json.dumps(data, separators=(",", ":")).encode()


def test_every_committed_record_is_read_quickly_and_the_same() -> None:
    assert COMMITTED
    for line in COMMITTED:
        quick, careful = Decoder().record(line), read_line(line, pytest.fail)
        assert quick is not None
        assert repr(quick) == repr(careful)
        assert quick.to_dict() == careful.to_dict()
        assert quick.counts == careful.counts


PLACES = [(line, path) for line in (TRAINED, DETECTED) for path in paths(json.loads(line))]


@given(place=st.sampled_from(PLACES), value=JSON)
def test_a_changed_record_is_read_as_with_care_or_left(
    place: tuple[bytes, tuple[Any, ...]], value: Any
) -> None:
    line = changed(*place, value)
    quick = Decoder().record(line)
    if quick is not None:
        assert repr(quick) == repr(read_line(line, pytest.fail))


def test_what_records_have_in_common_is_one_object() -> None:
    decoder = Decoder()
    one, other = (decoder.record(line) for line in (DETECTED, DETECTED))
    assert one is not None
    assert other is not None
    assert one.spec is other.spec
    assert one.settings is other.settings
    assert one.counted is other.counted
    assert one.counts is other.counts
    assert one.environment is other.environment
    assert one.measured["gpu_ms"] is other.measured["gpu_ms"]
    assert one.conditions is not other.conditions


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("later",), 1),
        (("settings", "later"), 1),
        (("counted", "macs"), "many"),
        (("counted", "macs"), 2**64),
        (("measured", "latency_ms", "later"), 1),
        (("measured", "latency_ms", "value"), float("nan")),
        (("measured", "latency_ms", "value"), -1.0),
        (("measured", "latency_ms", "value"), None),
        (("measured", "latency_ms", "spread", "ci95"), "wide"),
        (("measured", "latency_ms", "spread", "ci95"), [13.0, 12.0]),
        (("environment",), None),
        (("environment", "threads"), "two"),
        (("conditions", "later"), [[[[[[[[1]]]]]]]]),
        (("phases", "build"), -1.0),
        (("record_id",), "é"),
        (("record_id",), ""),
    ],
)
def test_what_is_unusual_is_left_to_the_careful_reader(path: tuple[str, ...], value: Any) -> None:
    assert Decoder().record(changed(DETECTED, path, value)) is None


@pytest.mark.parametrize("line", [b"", b"[]", b"null", b"{", b'{"spec":{}}', DETECTED[:-20]])
def test_what_is_no_record_is_left_too(line: bytes) -> None:
    assert Decoder().record(line) is None
