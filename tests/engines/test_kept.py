"""Prepared networks on their shelf: whole or not there, hashed, bounded, for several writers."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from archbench.engines.kept import ABOUT, COMING, Shelf, open_shelf

KEY = {"network": "tiny", "engine": "none"}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def filling(text: str, **found: Any) -> Any:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "network.txt").write_text(text)
        return found

    return fill


def text_of(shelf: Shelf, key: dict[str, str] = KEY) -> str | None:
    with shelf.hold(key) as kept:
        return (kept.folder / "network.txt").read_text() if kept else None


def test_what_was_made_is_found_with_what_was_said_of_it(shelf: Shelf) -> None:
    assert text_of(shelf) is None
    shelf.make(KEY, filling("tiny", seconds=1.5))
    with shelf.hold(KEY) as kept:
        assert kept is not None
        assert kept.about == {"seconds": 1.5}
    assert text_of(shelf, {**KEY, "engine": "other"}) is None


def test_it_is_made_once(shelf: Shelf) -> None:
    shelf.make(KEY, filling("first"))
    shelf.make(KEY, filling("second"))
    assert text_of(shelf) == "first"


@pytest.mark.parametrize("damage", ["changed", "added", "removed", "no json"])
def test_a_damaged_one_is_not_there_and_is_made_anew(shelf: Shelf, damage: str) -> None:
    shelf.make(KEY, filling("whole"))
    with shelf.hold(KEY) as kept:
        assert kept is not None
        file = kept.folder / "network.txt"
        if damage == "changed":
            file.write_text("whale")
        elif damage == "added":
            (kept.folder / "more").write_text("")
        elif damage == "removed":
            file.unlink()
        else:
            (kept.folder / ABOUT).write_text("{")
    assert text_of(shelf) is None
    shelf.make(KEY, filling("anew"))
    assert text_of(shelf) == "anew"


def test_nothing_is_kept_of_a_filling_that_failed(shelf: Shelf) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("half")
        raise RuntimeError("no export")

    with pytest.raises(RuntimeError, match="no export"):
        shelf.make(KEY, fail)
    assert text_of(shelf) is None
    assert [path for path in shelf.root.iterdir() if path.is_dir()] == []


def test_what_was_not_used_longest_goes_and_what_is_held_stays(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, most_bytes=2500)
    keys = [{"number": str(number)} for number in range(4)]
    for age, key in enumerate(keys[:2]):
        shelf.make(key, filling("x" * 1000))
        with shelf.hold(key) as kept:
            assert kept is not None
        os.utime(kept.folder, (1000 + age, 1000 + age))
    with shelf.hold(keys[0]) as held:
        assert held is not None
        os.utime(held.folder, (1000, 1000))
        shelf.make(keys[2], filling("x" * 1000))
        assert held.folder.is_dir()
    assert [text_of(shelf, key) is not None for key in keys] == [True, False, True, False]


def test_what_was_left_unfinished_goes(shelf: Shelf) -> None:
    (shelf.root / f"{COMING}dead").mkdir()
    shelf.shrink()
    assert list(shelf.root.iterdir()) == []


def _make(root: Path, text: str) -> None:
    Shelf(root).make(KEY, filling(text * 1000))


def test_several_writers_leave_one_whole(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_make, args=(tmp_path, text)) for text in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    found = text_of(Shelf(tmp_path))
    assert found
    assert len(found) == 1000
    assert set(found) in ({"a"}, {"b"}, {"c"})


def test_the_shelf_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shelf = open_shelf(tmp_path)
    assert shelf.root == tmp_path / "cache/archbench/engines"
    assert shelf.root.stat().st_mode & 0o777 == 0o700
    shelf.root.chmod(0o755)
    assert open_shelf(tmp_path).root == tmp_path / "engines"
