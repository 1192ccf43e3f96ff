"""What users hand in as files is read whole, or refused in one line."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.files import MOST_BYTES, parse_toml, read_text
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.spec import Spec, UsageError


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("title = 'é'", encoding="utf-8")
    assert parse_toml(read_text(file, "suite")) == {"title": "é"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe", "not a regular file"),
        ("link", "not a regular file"),
        ("folder", "not a regular file"),
        ("absent", "No such file"),
        ("large", "bytes, at most"),
        ("binary", "not UTF-8"),
    ],
)
def test_all_else_is_refused(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"#" * (MOST_BYTES + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=f"^suite .*{name} cannot be read: .*{message}"):
        read_text(tmp_path / name, "suite")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
        ("a" + ".a" * 50_000 + " = 1", "nested too deeply"),
        ("[a" + ' . "b"' * 50_000 + "]", "nested too deeply"),
        ("a = " + "9" * 6000, "too many digits"),
        ("a = 0x" + "f" * 6000, "too many digits"),
    ],
)
def test_tables_within_tables_and_digits_have_an_end(text: str, message: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError, match=message):
        parse_toml(text)


def test_long_texts_are_no_deep_keys() -> None:
    text = "a" * 500_000 + " " + '"' * 100_000
    assert parse_toml(f"b = '{text}'") == {"b": text}
    assert parse_toml("a.b.c = '1.2.3.4'") == {"a": {"b": {"c": "1.2.3.4"}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backbone = 'mobilenet'\noptions = { batch = 'x' }", "batch is not a network option"),
        ("a = " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
        (f"backbone = 'mobilenet'\nsize = {10**30}", "size is a number of too many digits"),
        ("backbone = 0x" + "f" * 6000, "too many digits"),
    ],
)
def test_a_suite_that_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "s.toml").write_text(text)
    assert run(["sweep", str(tmp_path / "s.toml"), "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_pipe_among_the_records_is_warned_of(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    warnings: list[str] = []
    assert Store(tmp_path, warn=warnings.append).read() == []
    assert warnings == [f"{tmp_path}/a.jsonl: skipped, not a regular file"]


def test_a_line_that_is_too_long_is_skipped_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archbench.records.store.MOST_BYTES", 10_000)
    written = Store(tmp_path).append(Record(Spec("vovnet39", None, 9, 9, 9), None, Status.OK))
    (file,) = tmp_path.glob("*.jsonl")
    file.write_bytes(b"x" * 25_000 + b"\n" + file.read_bytes() + b"x" * 10_000)
    warnings: list[str] = []
    assert Store(tmp_path, warn=warnings.append).read() == [written]
    assert warnings == [f"{file}:{line}: skipped, more than 10,000 bytes" for line in (1, 3)]


def test_a_file_in_the_folders_place_is_no_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(UsageError, match="results cannot be read: Not a directory"):
        Store(tmp_path / "results").read()
