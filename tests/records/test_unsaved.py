"""What a results folder does not take, and what writers that were killed have left in it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.locks import held
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.spec import Spec, UsageError

SPEC = Spec("vovnet39", None, 224, 224, 1000)


def record() -> Record:
    return Record(SPEC, None, Status.OK, counted={"params": 7})


@pytest.fixture
def unsaved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which records wait."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "archbench" / "unsaved"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Fill the disk, or have nobody write, until it is given room."""
    write = os.write

    def set_full(code: int | None) -> None:
        def fail(descriptor: int, data: bytes) -> int:
            assert code is not None
            write(descriptor, data[:5])
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "write", write if code is None else fail)

    return set_full


def samples(tmp_path: Path) -> Path:
    file = tmp_path / "job.npz"
    file.write_bytes(b"numbers")
    return file


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_record_that_is_not_taken_is_shown_kept_and_brought_in_once(
    code: int,
    tmp_path: Path,
    unsaved: Path,
    disk: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "results"
    before = Store(folder).append(record())
    disk(code)
    store = Store(folder)
    lost = store.append(record(), samples(tmp_path))
    captured = capsys.readouterr()
    assert json.loads(captured.out)["record_id"] == lost.record_id
    assert os.strerror(code) in captured.err
    assert f"{unsaved / lost.record_id}.json" in captured.err
    assert store.unsaved == 1
    assert Store(folder, warn=pytest.fail).read() == [before]
    disk(None)
    other = Store(tmp_path / "other", warn=pytest.fail)
    other.prepare()
    assert other.read() == []
    for _ in range(2):
        again = Store(folder, warn=pytest.fail)
        again.prepare()
        found = {each.record_id: each for each in again.read()}
        assert found.keys() == {before.record_id, lost.record_id}
    assert (folder / found[lost.record_id].samples).read_bytes() == b"numbers"
    assert sum(len(path.read_text().splitlines()) for path in folder.glob("*.jsonl")) == 2
    assert list(unsaved.iterdir()) == []


def test_a_writer_that_ended_while_it_brought_a_record_in_does_not_bring_it_in_twice(
    tmp_path: Path, unsaved: Path, disk: Callable[..., None]
) -> None:
    folder = tmp_path / "results"
    disk(errno.ENOSPC)
    lost = Store(folder).append(record())
    disk(None)
    waiting = (unsaved / f"{lost.record_id}.json").read_bytes()
    Store(folder).prepare()
    (unsaved / f"{lost.record_id}.json").write_bytes(waiting)
    Store(folder).prepare()
    (file,) = folder.glob("*.jsonl")
    assert len(file.read_text().splitlines()) == 1
    assert list(unsaved.iterdir()) == []


def test_a_disk_that_is_still_full_keeps_the_record_waiting(
    tmp_path: Path, unsaved: Path, disk: Callable[..., None]
) -> None:
    disk(errno.ENOSPC)
    lost = Store(tmp_path / "results").append(record())
    warnings: list[str] = []
    Store(tmp_path / "results", warn=warnings.append).prepare()
    assert [warning.endswith("No space left on device") for warning in warnings] == [True]
    assert (unsaved / f"{lost.record_id}.json").exists()


def test_without_a_place_to_keep_it_a_record_is_printed_alone(
    tmp_path: Path, unsaved: Path, disk: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    unsaved.parent.parent.write_text("in the way")
    disk(errno.ENOSPC)
    lost = Store(tmp_path / "results", show=pytest.fail).append(record())
    captured = capsys.readouterr()
    assert json.loads(captured.out)["record_id"] == lost.record_id
    assert "printed on stdout only" in captured.err


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"results": 1, "record": 2}', "[" * 10_000])
def test_a_file_that_is_no_record_is_left_where_it_is(
    text: str, tmp_path: Path, unsaved: Path
) -> None:
    unsaved.mkdir(parents=True)
    (unsaved / "a.json").write_text(text.replace("1", json.dumps(str(tmp_path / "results"))))
    warnings: list[str] = []
    Store(tmp_path / "results", warn=warnings.append).prepare()
    assert [warning.startswith(f"{unsaved}/a.json: skipped, ") for warning in warnings] == [True]
    assert (unsaved / "a.json").exists()


def test_a_sweep_goes_on(
    tmp_path: Path,
    unsaved: Path,
    disk: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("two.toml").write_text('backbone = ["mobilenet", "resnet18"]\nsize = 32\n')
    disk(errno.ENOSPC)
    assert run(["sweep", "two.toml", "--no-measure"]) == 3
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert len(printed) == len(list(unsaved.iterdir())) == 2
    assert run(["profile", "mobilenet", "--no-measure", "--json"]) == 3
    json.loads(capsys.readouterr().out)
    disk(None)
    assert run(["sweep", "two.toml", "--no-measure", "--resume"]) == 0
    assert len(Store("results").read()) == 3


@pytest.fixture
def left(tmp_path: Path) -> dict[str, Path]:
    """A results folder with what writers that were killed have left."""
    folder = tmp_path / "results"
    written = Store(folder).append(record(), samples(tmp_path))
    files = {
        "of a record": folder / written.samples,
        "half": folder / "samples" / "0123456789abcdef.tmp",
        "orphaned": folder / "samples" / "0123456789abcdef.npz",
        "a user's own": folder / "samples" / "weights of mine.npz",
    }
    for file in files.values():
        file.touch()
    return files


def there(files: dict[str, Path]) -> set[str]:
    return {name for name, file in files.items() if file.exists()}


def test_what_killed_writers_left_is_removed(tmp_path: Path, left: dict[str, Path]) -> None:
    Store(tmp_path / "results").prepare()
    assert there(left) == {"of a record", "a user's own"}


def test_nothing_is_removed_while_a_record_is_being_appended(
    tmp_path: Path, left: dict[str, Path]
) -> None:
    with held(tmp_path / "results", shared=True) as is_held:
        assert is_held
        Store(tmp_path / "results").prepare()
        assert there(left) == left.keys()


def test_nothing_is_removed_where_records_cannot_be_read(
    tmp_path: Path, left: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Store, "_mentioned", refuse)
    Store(tmp_path / "results").prepare()
    assert there(left) == left.keys()


def test_samples_that_do_not_fit_are_no_leftovers(
    tmp_path: Path, unsaved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("archbench.records.store.shutil.copyfileobj", fill)
    store = Store(tmp_path / "results")
    lost = store.append(record(), samples(tmp_path))
    assert list((tmp_path / "results" / "samples").iterdir()) == []
    assert (unsaved / f"{lost.record_id}.npz").read_bytes() == b"numbers"


def test_what_was_being_kept_when_its_writer_was_killed_is_removed(
    tmp_path: Path, unsaved: Path, disk: Callable[..., None]
) -> None:
    disk(errno.ENOSPC)
    lost = Store(tmp_path / "other").append(record(), samples(tmp_path))
    disk(None)
    for name in ("a.tmp", "a.npz"):
        (unsaved / name).touch()
    Store(tmp_path / "results", warn=pytest.fail).prepare()
    assert {path.stem for path in unsaved.iterdir()} == {lost.record_id}


def test_neither_kept_nor_printed_is_an_error(
    tmp_path: Path,
    unsaved: Path,
    disk: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unsaved.parent.parent.write_text("in the way")
    disk(errno.ENOSPC)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("builtins.print", refuse)
    with pytest.raises(UsageError, match="cannot be written: No space left on device"):
        Store(tmp_path / "results").append(record())
