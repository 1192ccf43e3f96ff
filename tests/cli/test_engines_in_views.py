"""What views say and take of engines: eager unless another is named, none mixed with another. The
times are made up.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.papers.suites import suite
from archbench.quantities import explaining
from archbench.reasons import Status
from archbench.records import Metric, Record, Store
from archbench.settings import Settings
from archbench.spec import Spec

TABLE = suite("vovnet/table4").specs
EXPLAINING = explaining()
ENVIRONMENT = {"device": "cuda:0", "device_name": "Example GPU"}


def timed(spec: Spec, latency_ms: float, engine: str = "eager") -> Record:
    """A record whose interval is 1 % to each side."""
    interval = (0.99 * latency_ms, 1.01 * latency_ms)
    spread = {"n": 50, "median": latency_ms, "ci95": interval}
    versions = {"engine_versions": {engine: "1.32.0"}} if engine != "eager" else {}
    return Record(
        spec=spec,
        settings=Settings(engine=engine),
        status=Status.OK,
        counted={name: round(100 * latency_ms) for name in EXPLAINING} | {"uncounted": []},
        measured={
            "latency_ms": Metric(latency_ms, "ms", "", "model", spread=spread),
            "fps": Metric(1e3 / latency_ms, "images/s", "", "model"),
        },
        environment={**ENVIRONMENT, **versions},
    )


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder in which OpenVINO has more networks than eager, and each at half its
    time.
    """
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "results")
    store.prepare()
    for number, spec in enumerate(TABLE):
        if number:
            store.append(timed(spec, 10.0 + number))
        store.append(timed(spec, (10.0 + number) / 2, "openvino"))
    return store.folder


def as_rows(out: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(out)))


def test_a_paper_s_table_is_of_eager_unless_an_engine_is_named(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, engine, rows in (([], "eager", 5), (["--engine", "openvino"], "openvino", 6)):
        assert run(["reproduce", "vovnet/table4", *words, "--csv"]) == 0
        found = [row for row in as_rows(capsys.readouterr().out) if row["metric"] == "fps"]
        assert [row["engine"] for row in found if row["ours"]] == [engine] * rows
    assert run(["reproduce", "vovnet/table4"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Measured figures are of engine eager; records of openvino are left out" in out
    assert "measured on Example GPU, fp32, contiguous" in out
    run(["reproduce", "vovnet/table4", "--engine", "openvino"])
    assert "measured on Example GPU, openvino, fp32" in " ".join(capsys.readouterr().out.split())


def test_claims_are_judged_by_eager_unless_an_engine_is_named(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, engine in (([], "eager"), (["--engine", "openvino"], "openvino")):
        assert run(["claims", "vovnet/table4", *words, "--json"]) == 0
        judged = json.loads(capsys.readouterr().out)
        assert {row["engine"] for row in judged if row["measured_on"]} == {engine}
    run(["claims", "vovnet/table4", "--engine", "onnxruntime"])
    out = " ".join(capsys.readouterr().out.split())
    assert "archbench sweep vovnet/table4 --engine onnxruntime" in out
    assert "records of openvino, eager are left out" in out


@pytest.mark.parametrize("command", [["claims"], ["reproduce", "vovnet/table4"]])
def test_an_engine_that_is_none_is_one_line(
    command: list[str], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--engine", "openvion"]) == 2
    assert capsys.readouterr().err == (
        "error: invalid engine 'openvion' (did you mean openvino?)\n"
    )


def test_what_explains_time_is_asked_of_each_engine(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, engines in (([], {"eager", "openvino"}), (["--engine", "openvino"], {"openvino"})):
        assert run(["claims", "--explains", "--csv", *words]) == 0
        rows = as_rows(capsys.readouterr().out)
        assert {row["engine"] for row in rows} == engines
        assert {row["n"] for row in rows if row["engine"] == "openvino"} == {"6"}


def test_compare_has_a_table_an_engine_and_a_column_for_who_asks(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare"]) == 0
    out = capsys.readouterr().out
    assert "Example GPU, fp32, contiguous\n" in out
    assert "Example GPU, openvino, fp32, contiguous\n" in out
    assert "compare --across engine shows them side by side" in " ".join(out.split())
    run(["compare", "--csv", "--columns", "engine,engine_version,latency_ms"])
    rows = as_rows(capsys.readouterr().out)
    assert {(row["engine"], row["engine_version"]) for row in rows} == {
        ("eager", ""),
        ("openvino", "openvino 1.32.0"),
    }


def test_versions_of_an_engine_are_told_apart_by_their_second_number(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = timed(TABLE[0], 4.0, "openvino")
    newer.environment["engine_versions"] = {"openvino": "1.33.1"}
    Store(results).append(newer)
    run(["compare"])
    out = capsys.readouterr().out
    assert "Example GPU, openvino, fp32, contiguous, openvino 1.33" in out
    assert "Example GPU, openvino, fp32, contiguous, openvino 1.32" in out


def test_a_baseline_of_another_engine_is_compared_by_force_alone(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = timed(TABLE[1], 2.0, "onnxruntime")
    Store(results).append(other)
    baseline = ["compare", "--baseline", other.record_id, "--where", "engine=eager"]
    columns = ["--csv", "--columns", "latency_ms"]
    run([*baseline, *columns])
    rows = as_rows(capsys.readouterr().out)
    assert {row["ratio_latency_ms"] for row in rows} == {""}
    assert all("engine (eager, onnxruntime)" in row["not_comparable"] for row in rows)
    run([*baseline, *columns, "--force"])
    assert all(row["ratio_latency_ms"] for row in as_rows(capsys.readouterr().out))


def test_the_page_offers_engines_only_where_there_are_several(tmp_path: Path) -> None:
    from archbench.report.data.configurations import configurations
    from archbench.report.page.sheet import sheet

    eager = [timed(spec, 10.0) for spec in TABLE]
    counted = Record(TABLE[0], None, Status.OK, counted={"params": 1})
    one = sheet(configurations([*eager, counted]))
    assert not one.tells("engine")
    assert "engine" not in [column.name for column in one.shown]
    both = sheet(configurations([*eager, counted, timed(TABLE[0], 5.0, "openvino")]))
    assert both.tells("engine")
    assert "engine" in [column.name for column in both.shown]


def test_engines_side_by_side(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--across", "engine"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("total time (ms), Example GPU, fp32, contiguous\n")
    assert out.count("best") == 5
    assert max(map(len, out.splitlines())) <= 80
    assert run(["compare", "--across", "engine", "--columns", "latency_ms,fps", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    best = [row for row in rows if row["standing"] == "best"]
    assert {row["across"] for row in best} == {"openvino"}
    assert {row["figure"] for row in rows} == {"latency_ms", "fps"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--across", "engin"], "invalid --across 'engin' (did you mean engine?)"),
        (["--across", "engine", "--columns", "macs"], "--across takes measured figures"),
        (["--across", "engine", "--sort", "macs"], "leave out --sort"),
    ],
)
def test_what_cannot_stand_side_by_side_is_one_line(
    words: list[str], message: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_where_nothing_stands_side_by_side_a_line_says_what_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Store(Path("results")).prepare()
    Store(Path("results")).append(timed(TABLE[0], 10.0))
    assert run(["compare", "--across", "engine"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no two records differ in engine only" in captured.err
