"""The record's schema and the store: round trips, torn lines, concurrent writers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.reasons import Flag, Reason, Status
from archbench.records import Cause, Metric, Record, Store
from archbench.records.reading import RecordError, read_record
from archbench.records.store import append_line
from archbench.settings import Settings
from archbench.spec import UsageError
from archbench.zoo.catalogue import resolve

SPEC = resolve("resnet50-v1", "refinedet320", stem_pool="pad").spec


def record(**changes: object) -> Record:
    measured = {
        "latency_ms": Metric(
            12.5,
            "ms",
            "host clock",
            "model",
            flags=(Flag.CI_NOT_MET,),
            spread={"n": 9, "ci95": [12.0, 13.0]},
        ),
        "energy_per_image_j": Metric(None, "J", reason=Reason.CPU_DEVICE),
    }
    fields = {
        "spec": SPEC,
        "settings": Settings(seed=3),
        "status": "ok",
        "counted": {"params": 7},
        "measured": measured,
    }
    return Record(**(fields | changes))


def test_a_record_survives_json():
    original = record(
        status=Status.TIMEOUT,
        reason=Cause(Reason.DEADLINE, "latency", "too slow"),
        phases={"build": 1.5},
    )
    assert read_record(json.loads(json.dumps(original.to_dict())), pytest.fail) == original


def test_a_metric_has_a_value_or_a_reason():
    with pytest.raises(ValueError, match="reason"):
        Metric(None, "J")
    with pytest.raises(ValueError, match="reason"):
        Metric(1.0, "J", reason=Reason.CPU_DEVICE)


def test_an_unmeasured_figure_is_null_in_json_and_none_in_python():
    data = record().to_dict()
    assert data["measured"]["energy_per_image_j"] == {
        "value": None,
        "unit": "J",
        "reason": "cpu_device",
    }
    assert record().value("energy_per_image_j") is None
    assert record().value("params") == 7


def test_an_unknown_status_is_refused():
    with pytest.raises(RecordError, match="status"):
        read_record(record().to_dict() | {"status": "fine"}, pytest.fail)


def test_the_store_gives_back_what_it_was_given(tmp_path: Path):
    store = Store(tmp_path / "new" / "results")
    store.check_writable()
    written = [store.append(record(counted={"params": n})) for n in range(3)]
    assert store.read() == written
    assert len(list((tmp_path / "new" / "results").glob("*.jsonl"))) == 1


def test_samples_are_moved_in_before_the_record_names_them(tmp_path: Path):
    samples = tmp_path / "job.npz"
    samples.write_bytes(b"numbers")
    store = Store(tmp_path / "results")
    written = store.append(record(), samples)
    assert (tmp_path / "results" / written.samples).read_bytes() == b"numbers"
    assert not list((tmp_path / "results").rglob("*.tmp"))


def test_torn_and_foreign_lines_are_warned_of_with_file_and_line(tmp_path: Path):
    warnings: list[str] = []
    store = Store(tmp_path, warn=warnings.append)
    first = store.append(record())
    path = next(tmp_path.glob("*.jsonl"))
    newer = record().to_dict() | {"schema_version": 99}
    with path.open("ab") as file:
        file.write(
            b'{"other": 1}\n\xff\xfe\n[1]\n'
            + json.dumps(newer).encode()
            + b'\n{"schema_version": 1, "spec"'
        )
    last = store.append(record())
    assert store.read() == [first, last]
    assert [warning.split(": ")[0] for warning in warnings] == [
        f"{path}:{line}" for line in (2, 3, 4, 5, 6)
    ]
    assert "99" in warnings[3]
    assert "truncated" in warnings[4]


def test_a_folder_that_is_called_like_a_file_is_skipped(tmp_path: Path):
    warnings: list[str] = []
    store = Store(tmp_path, warn=warnings.append)
    (tmp_path / "folder.jsonl").mkdir()
    written = store.append(record())
    assert store.read() == [written]
    assert len(warnings) == 1


def test_samples_that_cannot_be_kept_do_not_take_the_record_with_them(tmp_path: Path):
    warnings: list[str] = []
    (tmp_path / "job.npz").write_bytes(b"numbers")
    results = tmp_path / "results"
    results.mkdir()
    (results / "samples").write_text("in the way")
    store = Store(results, warn=warnings.append)
    assert store.append(record(), tmp_path / "job.npz").samples == ""
    assert len(store.read()) == len(warnings) == 1


def test_the_last_of_two_records_with_one_id_holds(tmp_path: Path):
    store = Store(tmp_path)
    store.append(record(record_id="same", counted={"params": 1}))
    store.append(record(record_id="same", counted={"params": 2}))
    assert [r.counted for r in store.read()] == [{"params": 2}]


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        Store(tmp_path / "file" / "results").check_writable()


def test_reading_a_folder_that_is_not_there_gives_nothing(tmp_path: Path):
    assert Store(tmp_path / "nothing").read() == []


def _append_many(folder: Path) -> None:
    store = Store(folder)
    for _ in range(20):
        store.append(record())


def test_six_writers_at_once_lose_nothing(tmp_path: Path):
    writers = [
        multiprocessing.get_context("spawn").Process(target=_append_many, args=(tmp_path,))
        for _ in range(6)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Store(tmp_path, warn=pytest.fail).read()) == 120
    # Of one day, unless the night was between them.
    assert len(list(tmp_path.glob("*.jsonl"))) <= 2


def test_a_file_that_was_replaced_while_its_lock_was_waited_for_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "day.jsonl"
    path.write_text("old\n")
    (tmp_path / "new").write_text("new\n")
    locked: list[int] = []

    def lock_after_a_replacement(descriptor: int) -> bool:
        if not locked:
            (tmp_path / "new").replace(path)
        locked.append(descriptor)
        return True

    monkeypatch.setattr("archbench.records.store.lock", lock_after_a_replacement)
    append_line(path, b"mine\n")
    assert path.read_text() == "new\nmine\n"
    assert len(locked) == 2


def test_without_locks_every_writer_has_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("archbench.locks.lock", lambda *_, **__: False)
    store = Store(tmp_path)
    written = store.append(record())
    (path,) = tmp_path.glob("*.jsonl")
    assert path.stem.endswith(f"-{os.getpid()}")
    assert store.files_of == {written.record_id: path}


def test_the_default_folder_is_left_alone_by_git_and_others_are_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for folder in ("results", "kept"):
        Store(folder).append(record())
    subprocess.run(["git", "init", "-q"], check=True)
    listed = subprocess.run(["git", "status", "--short"], capture_output=True, text=True)
    assert listed.stdout == "?? kept/\n"


def test_a_default_folder_that_was_there_is_not_hidden_from_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    Store().append(record())
    assert not Path("results/.gitignore").exists()


WRITE_FOR_EVER = """
import sys
sys.path.insert(0, {tests!r})
from test_store import record
from archbench.records import Store
store = Store({folder!r})
while True:
    store.append(record())
    print("one", flush=True)
"""


def test_a_writer_that_is_killed_loses_no_finished_record(tmp_path: Path):
    code = WRITE_FOR_EVER.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(5):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
    assert len(Store(tmp_path).read()) >= 5


FILL = """
import resource, sys
sys.path.insert(0, {tests!r})
from test_store import record
from archbench.records import Store
store = Store({folder!r})
for _ in range(2):
    store.append(record())
written = next(store.folder.glob("*.jsonl")).stat().st_size
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (written + 100, most))
store.append(record())
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
store.append(record())
"""


def test_a_disk_that_fills_up_in_mid_record_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Past the limit of a file's size the kernel takes a part of the line, as a full disk does."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "results"
    code = FILL.format(tests=str(Path(__file__).parent), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cannot be written: File too large" in done.stderr
    warnings: list[str] = []
    store = Store(folder, warn=warnings.append)
    assert len(store.read()) == 3
    store.prepare()
    assert json.loads(done.stdout)["record_id"] in {each.record_id for each in store.read()}
    assert (len(store.read()), warnings) == (4, [])
