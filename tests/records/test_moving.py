"""Records dropped into a bin and merged from other folders: none is lost, none is there twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archbench.locks import held
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.records.moving import drop, find, merge
from archbench.records.store import as_line
from archbench.spec import Spec, UsageError

SPEC = Spec("vovnet39", None, 224, 224, 1000)
TORN = b'{"torn": '


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder of three records with samples, and a line that is none."""
    store = Store(tmp_path / "results", warn=lambda _: None)
    for number in range(3):
        (tmp_path / "job.npz").write_bytes(b"%d" % number)
        record = Record(SPEC, None, Status.OK, time_utc=f"2026-01-0{number + 1}")
        store.append(record, tmp_path / "job.npz")
    (file,) = store.files()
    file.write_bytes(TORN + b"\n" + file.read_bytes())
    return store


def ids(store: Store) -> list[str]:
    return [record.record_id for record in store.read()]


def written(store: Store) -> list[str]:
    """The id of every line, as often as it is there."""
    return sorted(line.record.record_id for line in store.lines())


def samples(store: Store) -> set[str]:
    return {path.stem for path in (store.folder / "samples").iterdir()}


def test_what_is_dropped_lies_in_the_bin_and_nothing_else_changes(store: Store) -> None:
    (file,) = store.files()
    before, (first, second, third) = file.read_bytes().splitlines(), ids(store)
    in_bin = Store(drop(store, [second]))
    assert file.read_bytes().splitlines() == [before[0], before[1], before[3]]
    assert (ids(store), ids(in_bin)) == ([first, third], [second])
    assert (samples(store), samples(in_bin)) == ({first, third}, {second})
    assert (in_bin.folder / "samples" / f"{second}.npz").read_bytes() == b"1"
    assert in_bin.files()[0].read_bytes() == before[2] + b"\n"


def test_what_was_dropped_comes_back_by_merging_the_bin(store: Store) -> None:
    before = ids(store)
    in_bin = Store(drop(store, before))
    assert ids(store) == []
    copied, there = merge([in_bin], store)
    assert ([record.record_id for record in copied], there) == (before, [])
    assert ids(store) == before
    assert samples(store) == {*before}
    drop(store, before[:1])
    assert written(in_bin) == sorted(before)


def test_a_file_of_dropped_records_alone_is_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = store.append(Record(SPEC, None, Status.OK))
    drop(store, [record.record_id])
    assert store.files() == []
    again = store.append(Record(SPEC, None, Status.OK))
    assert store.read() == [again]


def test_other_folders_are_merged_each_record_once(tmp_path: Path, store: Store) -> None:
    before = ids(store)
    into, other = Store(tmp_path / "all"), Store(tmp_path / "other")
    known, *_ = store.read()
    into.append(known)
    own = other.append(Record(SPEC, None, Status.OK, time_utc="2026-02-01"))
    sources = [line.data for each in (store, other) for line in each.lines()]
    copied, there = merge([store, other, store], into)
    assert [record.record_id for record in copied] == [*before[1:], own.record_id]
    assert there == [known]
    assert written(into) == sorted([*before, own.record_id])
    assert samples(into) == {*before[1:]}
    assert [line.data for each in (store, other) for line in each.lines()] == sources
    assert merge([store, other], into)[0] == []


def test_a_line_is_merged_as_it_is_written(tmp_path: Path) -> None:
    line = as_line(Record(SPEC, None, Status.OK)).replace("{", '{"of_a_later_version": [1],', 1)
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "a.jsonl").write_text(line.rstrip("\n"))
    into = Store(tmp_path / "all")
    merge([Store(tmp_path / "older")], into)
    assert into.files()[0].read_text() == line


@pytest.mark.parametrize("step", ["append_line", "_sync", "_remove"])
def test_a_drop_that_is_ended_at_any_step_loses_nothing_and_may_be_repeated(
    step: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(store)

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as ended:
        ended.setattr(f"archbench.records.moving.{step}", end)
        with pytest.raises(KeyboardInterrupt):
            drop(store, before[:1])
    assert ids(store) == before
    store.prepare()
    assert samples(store) == {*before}
    in_bin = Store(drop(store, before[:1]))
    assert (ids(store), written(in_bin)) == (before[1:], before[:1])


def test_what_a_killed_drop_leaves_is_no_record_and_is_removed(store: Store) -> None:
    (file,) = store.files()
    temporary = file.with_name(f"{file.name}.tmp")
    temporary.write_bytes(file.read_bytes())
    before = ids(store)
    assert len(written(store)) == 3
    store.prepare()
    assert (ids(store), temporary.exists()) == (before, False)


def test_a_folder_that_cannot_be_locked_is_left_as_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(store)
    monkeypatch.setattr("archbench.locks.lock", lambda *_, **__: False)
    with pytest.raises(UsageError, match="cannot be locked: nothing was dropped"):
        drop(store, before[:1])
    assert ids(store) == before


def test_the_lock_is_free_again(store: Store) -> None:
    drop(store, ids(store)[:1])
    with held(store.folder, wait=False) as is_held:
        assert is_held


def test_records_are_found_by_the_beginning_of_their_ids(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for record_id in ("abc1", "abc2", "abc"):
        store.append(Record(SPEC, None, Status.OK, record_id=record_id))
    found = [line.record.record_id for line in find(store, ["abc2", "abc", "abc1", "abc2"])]
    assert found == ["abc2", "abc", "abc1"]
    with pytest.raises(UsageError, match=r"ambiguous record id '.*': abc1, abc2, abc"):
        find(store, ["ab"])
    for wrong in ("", "x"):
        with pytest.raises(UsageError, match=f"no record '{wrong}' in "):
            find(store, [wrong])


def test_samples_of_another_name_stay_where_they_are(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    outside = tmp_path / "mine.npz"
    outside.write_bytes(b"mine")
    record = Record(SPEC, None, Status.OK, record_id="../../mine", samples="samples/../../mine.npz")
    store.append(record)
    (tmp_path / "results" / "samples").mkdir()
    drop(store, ["../../mine"])
    assert outside.read_bytes() == b"mine"


def test_a_record_with_text_that_is_no_utf8_moves_as_it_is(tmp_path: Path) -> None:
    """A past bug: half a character, as JSON readers take it, ended both commands in a traceback."""
    store = Store(tmp_path / "results", warn=lambda _: None)
    record = store.append(Record(SPEC, None, Status.OK, run_id="half of one"))
    (file,) = store.files()
    file.write_bytes(file.read_bytes().replace(b"half of one", b"\xed\xa0\x80"))
    (line,) = file.read_bytes().splitlines(keepends=True)
    in_bin = Store(drop(store, [record.record_id]), warn=lambda _: None)
    assert in_bin.files()[0].read_bytes() == line
    merge([in_bin], store)
    assert store.files()[0].read_bytes() == line
