"""`archbench records` from outside, and what commands say of folders without records."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.spec import Spec

SPEC = Spec("vovnet39", None, 224, 224, 1000)
COUNTS = {"params": 1000, "macs": 2000}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Two records in ./results."""
    monkeypatch.chdir(tmp_path)
    record = Record(SPEC, None, Status.OK, counted=COUNTS, time_utc="2026-01-02T03:04:05+00:00")
    ids = ("aaaaaaaa11111111", "bbbbbbbb22222222")
    return [Store("results").append(replace(record, record_id=record_id)) for record_id in ids]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["records", *words]) == 0
    return capsys.readouterr().out


def test_the_list(kept: list[Record], capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = Path("results").glob("*.jsonl")
    assert printed(capsys) == (
        f"{file}\n\n"
        "id        time (UTC)        network            engine   status\n"
        "--------  ----------------  -----------------  -------  ------\n"
        "aaaaaaaa  2026-01-02 03:04  vovnet39, 224x224  counted  ok\n"
        "bbbbbbbb  2026-01-02 03:04  vovnet39, 224x224  counted  ok\n"
    )
    first, _ = json.loads(printed(capsys, "list", "--json"))
    assert first == {
        "record_id": "aaaaaaaa11111111",
        "time_utc": "2026-01-02T03:04:05+00:00",
        "network": "vovnet39, 224x224",
        "engine": None,
        "device": None,
        "status": "ok",
        "file": str(file),
    }


def test_one_is_shown_as_profile_shows_it(
    kept: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, "show", "a")
    assert out.startswith("record aaaaaaaa11111111 of 2026-01-02T03:04:05+00:00, results/")
    assert "archbench profile vovnet39 --size 224x224" in out
    assert "counted, per image" in out
    assert json.loads(printed(capsys, "show", "b", "--json")) == kept[1].to_dict()


def test_what_is_dropped_comes_back_as_is_said(
    kept: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, "drop", "bbbb")
    assert Store("results").read() == kept[:1]
    command = out.strip().rpartition("archbench ")[2].split()
    assert printed(capsys, "list", "--results", "results/bin").count("bbbbbbbb") == 1
    assert run(command) == 0
    assert capsys.readouterr().out == "merged 1 record into results\n"
    assert Store("results").read() == kept
    told = json.loads(printed(capsys, "merge", "results/bin", "--json"))
    assert told == {"merged": [], "already_there": ["bbbbbbbb22222222"]}


def test_the_command_that_brings_it_back_is_one_for_a_shell(
    kept: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results").rename("my results")
    told = json.loads(printed(capsys, "drop", "bbbb", "--results", "my results", "--json"))
    assert run(shlex.split(told["recover"])[1:]) == 0
    assert Store("my results").read() == kept


def test_a_folder_that_is_not_there_is_not_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A past bug: without ./results, to merge it made an empty folder and succeeded."""
    monkeypatch.chdir(tmp_path)
    assert run(["records", "merge", "results", "--results", "all"]) == 2
    assert capsys.readouterr().err == "error: no results folder results\n"
    assert not Path("all").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "c"], "error: no record 'c' in results (archbench records --results results"),
        (["drop", "a", "c"], "error: no record 'c' in results"),
        (["drop"], "error: records drop takes ID...: archbench records drop ID..."),
        (["list", "a"], "error: records list takes nothing more"),
        (["show", "a", "b"], "error: records show takes one id"),
        (["erase"], "error: invalid action 'erase' (choose from list, show, drop, merge)"),
        (["merge", "nowhere"], "error: no results folder nowhere"),
        (["merge", "results"], "error: results is the results folder itself"),
        (["list", "--results", "nowhere"], "error: no results folder nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str], message: str, kept: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["records", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert Store("results").read() == kept


@pytest.mark.parametrize("words", [["compare"], ["records"], ["report"]])
def test_a_folder_without_records_names_those_within_that_have_some(
    words: list[str], kept: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        run(["records", "merge", "results", "--results", f"results/{name}"])
    run(["records", "drop", "a", "b"])
    capsys.readouterr()
    assert run(words) == 2
    expected = "its subfolders have some (results/first, results/second): --results results/first\n"
    assert capsys.readouterr().err.endswith(expected)
