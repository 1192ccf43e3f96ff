"""What is kept in the user's cache folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from archbench import cache

KEY = {"device": "Example", "threads": 2}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def kept() -> Path:
    (path,) = (cache.folder() or Path()).iterdir()
    return path


def test_what_was_kept_is_read_under_its_key_and_kind_only() -> None:
    assert cache.read("peaks", KEY) is None
    cache.write("peaks", KEY, {"best": 1.5})
    assert cache.read("peaks", dict(reversed(KEY.items()))) == {"best": 1.5}
    assert cache.read("peaks", KEY | {"threads": 4}) is None
    assert cache.read("sensor", KEY) is None


def test_a_later_write_holds_and_leaves_no_other_file() -> None:
    cache.write("peaks", KEY, {"best": 1.5})
    cache.write("peaks", KEY, {"best": 2.5})
    assert cache.read("peaks", KEY) == {"best": 2.5}
    assert kept().suffix == ".json"


@pytest.mark.parametrize(
    "text", ["", '{"key": ', "[1]", '{"key": {}, "found": {}}', '{"found": {"best": 1}}']
)
def test_a_torn_or_foreign_file_is_ignored_and_replaced(text: str) -> None:
    cache.write("peaks", KEY, {"best": 1.5})
    kept().write_text(text, encoding="utf-8")
    assert cache.read("peaks", KEY) is None
    cache.write("peaks", KEY, {"best": 2.5})
    assert cache.read("peaks", KEY) == {"best": 2.5}


def test_a_folder_that_cannot_be_made_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.write("peaks", KEY, {"best": 1.5})
    assert cache.read("peaks", KEY) is None


def test_a_relative_folder_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the base directory specification has it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache.folder() == tmp_path / ".cache" / "archbench"
