"""What of a record is read, what of it is dropped, and what spoils it whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record
from archbench.records.decoding import Decoder
from archbench.records.reading import RecordError, read_line, read_record
from archbench.settings import Settings
from archbench.zoo import catalogue

DEEP = json.loads("[" * 40 + "]" * 40)
HUGE = 10**400


def data() -> dict[str, Any]:
    """A record as JSON has it."""
    record = Record(
        spec=catalogue.resolve("resnet50-v1", "refinedet320").spec,
        settings=Settings(),
        status=Status.ERROR,
        reason=Cause(Reason.DEADLINE, "latency", "too slow"),
        counted={"params": 7, "macs": 5, "boxes": None, "uncounted": [["aten::fft", 2]]},
        measured={
            "latency_ms": Metric(
                12.5, "ms", flags=(Flag.CI_NOT_MET,), spread={"n": 9, "ci95": [12.0, 13.0]}
            ),
            "gpu_ms": Metric(None, "ms", reason=Reason.CPU_DEVICE),
        },
        environment={"device": "cpu", "threads": 2, "affinity": [0, 1]},
        conditions={"inputs": "random normal", "host_before": {"load_1min": 1.5}},
        phases={"build": 1.5},
        record_id="0123456789abcdef",
    )
    return plain(record)


def plain(record: Record) -> dict[str, Any]:
    """A record as JSON gives it back."""
    return json.loads(json.dumps(record.to_dict()))


def changed(*path: str, to: Any) -> dict[str, Any]:
    """The record with another value at the end of a path."""
    whole = data()
    table = whole
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = to
    return whole


def test_what_was_written_is_read_and_nothing_is_told() -> None:
    assert plain(read_record(data(), pytest.fail)) == data()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec",), None),
        (("spec", "batch"), "x"),
        (("spec", "batch"), 0),
        (("spec", "width"), 10**9),
        (("spec", "backbone"), None),
        (("spec", "mode"), 1),
        (("spec", "options"), {"stem": ["conv"]}),
        (("spec", "options"), {"width": float("nan")}),
        (("settings",), []),
        (("settings", "precision"), ["fp32"]),
        (("settings", "precision"), "fp8"),
        (("settings", "budget_s"), -1),
        (("status",), "fine"),
        (("status",), None),
        (("counted",), 3),
        (("counted", "params"), "many"),
        (("counted", "params"), True),
        (("counted", "params"), HUGE),
        (("counted", "macs"), float("inf")),
        (("counted", "uncounted"), "x"),
        (("time_utc",), None),
        (("record_id",), [1]),
        (("schema_version",), "1"),
    ],
)
def test_a_bad_value_where_a_part_would_mislead_spoils_the_record(
    path: tuple[str, ...], value: Any
) -> None:
    with pytest.raises(RecordError, match=path[0]):
        read_record(changed(*path, to=value), pytest.fail)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("measured", "latency_ms"), None),
        (("measured", "latency_ms"), DEEP),
        (("measured", "latency_ms", "value"), "fast"),
        (("measured", "latency_ms", "value"), None),
        (("measured", "latency_ms", "value"), True),
        (("measured", "latency_ms", "value"), float("nan")),
        (("measured", "latency_ms", "value"), HUGE),
        (("measured", "latency_ms", "value"), -1.0),
        (("measured", "latency_ms", "unit"), 3),
        (("measured", "latency_ms", "flags"), [1]),
        (("measured", "latency_ms", "spread"), "x"),
        (("measured", "latency_ms", "spread", "ci95"), [1]),
        (("measured", "latency_ms", "spread", "ci95"), [13.0, 12.0]),
    ],
)
def test_a_bad_value_in_one_figure_drops_that_figure_and_says_why_it_is_missing(
    path: tuple[str, ...], value: Any
) -> None:
    told: list[str] = []
    record = read_record(changed(*path, to=value), told.append)
    assert record.measured["latency_ms"] == Metric(None, "ms", reason=Reason.UNREADABLE)
    assert record.measured["gpu_ms"].reason is Reason.CPU_DEVICE
    assert [what.partition(" dropped, ")[0] for what in told] == ["measured latency_ms"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("environment", "threads"), "x"),
        (("environment", "threads"), -1),
        (("environment", "device"), [1]),
        (("environment", "affinity"), DEEP),
        (("environment", "later"), HUGE),
        (("conditions", "inputs"), None),
        (("conditions", "host_before"), {"load_1min": "high"}),
        (("conditions", "later"), DEEP),
        (("phases", "build"), "long"),
        (("run_id",), 3),
    ],
)
def test_a_bad_value_in_one_entry_drops_that_entry(path: tuple[str, ...], value: Any) -> None:
    told: list[str] = []
    record = read_record(changed(*path, to=value), told.append)
    rest = data()
    table = rest if len(path) == 1 else rest[path[0]]
    table.pop(path[-1], None)
    assert plain(record) == (rest | {"run_id": ""} if len(path) == 1 else rest)
    assert [what.partition(" dropped, ")[0] for what in told] == [" ".join(path)]


def test_a_later_schema_is_refused() -> None:
    with pytest.raises(RecordError, match="99"):
        read_record(changed("schema_version", to=99), pytest.fail)


@pytest.mark.parametrize("name", ["measured", "environment", "conditions", "phases"])
def test_a_table_that_is_none_is_empty_and_told_of(name: str) -> None:
    told: list[str] = []
    assert getattr(read_record(changed(name, to=[1]), told.append), name) == {}
    assert told == [f"{name} dropped, not a table"]


def test_a_reason_that_is_none_is_unreadable() -> None:
    told: list[str] = []
    record = read_record(changed("reason", to={"code": 3}), told.append)
    assert record.reason == Cause(Reason.UNREADABLE)
    assert len(told) == 1


LATER: dict[str, Callable[[dict[str, Any]], Any]] = {
    "record": lambda whole: whole,
    "settings": lambda whole: whole["settings"],
    "reason": lambda whole: whole["reason"],
    "counted": lambda whole: whole["counted"],
    "metric": lambda whole: whole["measured"]["latency_ms"],
    "spread": lambda whole: whole["measured"]["latency_ms"]["spread"],
    "environment": lambda whole: whole["environment"],
    "conditions": lambda whole: whole["conditions"],
    "within conditions": lambda whole: whole["conditions"]["host_before"],
}


@pytest.mark.parametrize("table", LATER.values(), ids=LATER)
def test_fields_of_a_later_version_are_kept_and_written_back(
    table: Callable[[dict[str, Any]], Any],
) -> None:
    whole = data()
    table(whole)["later"] = {"a": [1, None]}
    record = read_record(whole, pytest.fail)
    assert plain(record) == whole
    assert record.spec == read_record(data(), pytest.fail).spec


def test_a_later_version_s_field_of_the_spec_makes_another_network() -> None:
    whole = changed("spec", "later", to=1)
    record = read_record(whole, pytest.fail)
    assert plain(record) == whole
    assert record.spec != read_record(data(), pytest.fail).spec
    assert "later" in str(record.spec)


def test_codes_of_a_later_version_are_read() -> None:
    whole = changed("measured", "gpu_ms", "reason", to="no_more")
    whole["measured"]["latency_ms"]["flags"] = ["too_late"]
    record = read_record(whole, pytest.fail)
    assert (record.measured["gpu_ms"].reason, record.measured["latency_ms"].flags) == (
        "no_more",
        ("too_late",),
    )
    assert plain(record) == whole


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"a": ' * 5000, b"\xff\xfe", b"[1]", b"3", b'{"spec": {}}', b"{"]
)
def test_what_is_no_record_is_refused_in_one_line(line: bytes) -> None:
    with pytest.raises(RecordError, match=r"^[^\n]+$"):
        read_line(line, pytest.fail)


def test_numbers_that_json_cannot_have_drop_their_entry() -> None:
    for number in ("NaN", "-Infinity", "1e999", "1" * 5000):
        told: list[str] = []
        line = json.dumps(data()).replace("12.5", number).encode()
        record = read_line(line, told.append)
        assert record.measured["latency_ms"].reason is Reason.UNREADABLE
        assert len(told) == 1


@pytest.mark.parametrize("form", [lambda text: text.encode(), lambda text: text.encode("utf-8")])
def test_lone_surrogates_are_written_out(form: Callable[[str], bytes]) -> None:
    line = form(json.dumps(changed("environment", "device_name", to="a \ud800 b")))
    assert read_line(line, pytest.fail).environment["device_name"] == "a \\ud800 b"


@pytest.mark.parametrize(
    ("mode", "engine"),
    [("none", "eager"), ("default", "compile"), ("max-autotune", "compile:max-autotune")],
)
def test_the_compilers_mode_of_an_earlier_record_names_its_engine(mode: str, engine: str) -> None:
    earlier = data()
    del earlier["settings"]["engine"]
    earlier["settings"]["compile"] = mode
    quickly = Decoder().record(json.dumps(earlier).encode())
    for record in (quickly, read_record(earlier, pytest.fail)):
        assert record
        assert record.settings == Settings(engine=engine)
        assert plain(record)["settings"] == Settings(engine=engine).to_dict()


@pytest.mark.parametrize("mode", ["fastest", 5, None])
def test_a_record_in_no_mode_of_the_compiler_is_spoilt(mode: Any) -> None:
    earlier = data()
    del earlier["settings"]["engine"]
    earlier["settings"]["compile"] = mode
    assert Decoder().record(json.dumps(earlier).encode()) is None
    with pytest.raises(RecordError, match=r"engine|compile"):
        read_record(earlier, pytest.fail)
