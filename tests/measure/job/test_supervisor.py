"""A child that ends badly leaves a verdict that says so, and no process behind."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from archbench.files import writing_to
from archbench.measure.job.findings import Report
from archbench.measure.job.result import Result
from archbench.measure.job.signals import interruptions
from archbench.measure.job.supervisor import (
    Ending,
    Job,
    Watch,
    judge,
    measure,
    run_job,
    supervise,
)
from archbench.measure.job.worker import last_word
from archbench.measure.machine import host
from archbench.reasons import Status
from archbench.records import Store
from archbench.settings import Settings
from archbench.spec import UsageError
from archbench.zoo.catalogue import resolve

SPEC = resolve("resnet18").spec
WRITE = "import json, pathlib, sys; folder = pathlib.Path(sys.argv[1]);"


def run(code: str, folder: Path, *, deadline_s: float = 30) -> Ending:
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    return supervise(command, folder, deadline_s=deadline_s)


def verdict(code: str, folder: Path, result: dict | None = None, **limits: float):
    record = judge(SPEC, Settings(), run(code, folder, **limits), Result.from_dict(result or {}))
    assert record.reason is not None
    return record.status, record.reason.code


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_exception_is_an_error_with_its_traceback(tmp_path):
    ending = run("raise ValueError('no such thing')", tmp_path)
    record = judge(SPEC, Settings(), ending, Result(phase="build"))
    assert (record.status, record.reason.code, record.reason.phase) == ("error", "exit:1", "build")
    assert "no such thing" in record.reason.message


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_signal_is_named(tmp_path, name):
    expected = "killed" if name == "SIGKILL" else f"signal:{name}"
    assert verdict(f"import os, signal; os.kill(os.getpid(), signal.{name})", tmp_path) == (
        "error",
        expected,
    )


def test_an_exit_without_a_result_is_an_error(tmp_path):
    assert verdict("pass", tmp_path) == ("error", "no_result")
    assert verdict("pass", tmp_path, {"outcome": "running", "phase": "latency"}) == (
        "error",
        "no_result",
    )


def test_a_crash_keeps_what_was_found_before(tmp_path):
    found = {
        "outcome": "running",
        "phase": "memory",
        "counted": {"params": 3},
        "measured": {"latency_ms": {"value": 1.5, "unit": "ms"}},
    }
    record = judge(
        SPEC, Settings(), run("import os; os.abort()", tmp_path), Result.from_dict(found)
    )
    assert (record.status, record.counted, record.value("latency_ms")) == (
        "error",
        {"params": 3},
        1.5,
    )


def test_a_deadline_is_a_timeout(tmp_path):
    start = time.monotonic()
    assert verdict(
        "import time; time.sleep(60)", tmp_path, {"phase": "warmup"}, deadline_s=0.5
    ) == ("timeout", "deadline")
    assert time.monotonic() - start < 5


def test_a_child_that_ignores_sigterm_is_killed_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("archbench.measure.job.supervisor.GRACE_S", 0.5)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    assert verdict(code, tmp_path, deadline_s=1) == ("timeout", "deadline")


def test_a_grandchild_does_not_outlive_the_job(tmp_path):
    code = (
        WRITE + "import subprocess; p = subprocess.Popen(['sleep', '60']); (folder / "
        "'pid').write_text(str(p.pid))"
    )
    run(code, tmp_path)
    pid = int((tmp_path / "pid").read_text())
    time.sleep(0.1)
    assert not alive(pid)


def test_five_megabytes_of_stderr_do_not_block_and_their_tail_is_kept(tmp_path):
    ending = run("import sys; sys.stderr.write('x' * 5_000_000 + 'the end'); sys.exit(3)", tmp_path)
    assert ending.code == 3
    assert ending.stderr.endswith("the end")
    assert len(ending.stderr) == 4096


def test_a_job_that_is_done_just_at_its_deadline_is_what_it_says():
    record = judge(
        SPEC,
        Settings(),
        Ending(code=0, timed_out=True),
        Result(status=Status.OK, phase="memory"),
    )
    assert record.status == "ok"


def test_a_signal_without_a_name_is_its_number():
    record = judge(SPEC, Settings(), Ending(code=-35), Result())
    assert record.reason.code == "signal:35"


def test_nobody_reading_the_progress_does_not_end_the_job(tmp_path):
    def gone(_: object) -> None:
        raise BrokenPipeError

    code = WRITE + "(folder / 'progress.jsonl').write_text('{}\\n'); import time; time.sleep(0.5)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert supervise(command, tmp_path, deadline_s=20, watch=Watch(gone)).code == 0


def test_a_usage_error_of_the_worker_is_one_here_and_leaves_no_record():
    result = {
        "outcome": "refused",
        "reason": {"code": "refused", "phase": "build", "message": "not this pair"},
    }
    with pytest.raises(UsageError, match="not this pair"):
        judge(SPEC, Settings(), Ending(code=0), Result.from_dict(result))


BUSY_ONCE = """
import json, pathlib, sys
folder, count = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[1])
tries = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (tries + 1))
reason = {{"code": "gpu_busy", "phase": "preflight", "message": "another archbench used the card"}}
busy = {{"status": "skipped", "reason": reason}}
last_word = busy if tries < {busy} else {{"status": "ok", "reason": None}}
(folder / "result.json").write_text(json.dumps(last_word | {{"phase": "memory"}}))
"""


@pytest.mark.parametrize(("busy", "status"), [(0, ("ok", 1)), (1, ("ok", 2)), (5, ("skipped", 2))])
def test_a_card_that_is_busy_is_tried_once_more(tmp_path, monkeypatch, busy, status):
    count = tmp_path / "count"
    monkeypatch.setattr(
        "archbench.measure.job.supervisor.WORKER",
        (sys.executable, "-c", BUSY_ONCE.format(busy=busy), str(count)),
    )
    record = run_job(SPEC, Settings(), Store(tmp_path / "results"), run_id="a run")
    assert (record.status, record.attempt) == status
    assert len(count.read_text()) == record.attempt
    assert Store(tmp_path / "results").read() == [record]
    assert record.run_id == "a run"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), None])
def test_what_is_broken_off_on_request_is_no_failure(tmp_path, error):
    """A past bug: while a file was prepared for an engine it was an error, never run again."""
    report = Report(tmp_path)
    with last_word(report, SPEC, interrupted=lambda: error is None):
        if error:
            raise error
    record = judge(SPEC, Settings(), Ending(code=0, interrupted=True), Result.read(tmp_path))
    assert (record.status, record.reason.code) == ("interrupted", "interrupted")


ENDS_WELL = """
import json, pathlib, sys
pathlib.Path(sys.argv[1], "result.json").write_text(json.dumps({"status": "ok"}))
"""


def test_a_hang_up_that_is_ignored_stays_so():
    """A past bug: closing the terminal of a sweep under nohup ended it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptions() as heard:
            signal.raise_signal(signal.SIGHUP)
        assert (heard, signal.getsignal(signal.SIGHUP)) == ([], signal.SIG_IGN)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_job_and_its_preparation_share_its_deadline(tmp_path, monkeypatch):
    deadlines = []

    def supervised(command, folder, deadline_s, **_):
        deadlines.append(deadline_s)
        time.sleep(0.05)
        return Ending(code=-signal.SIGKILL)

    def fill(places, asked, folder, run):
        run([], folder)

    monkeypatch.setattr("archbench.measure.job.supervisor.supervise", supervised)
    monkeypatch.setattr("archbench.measure.job.preparing.needs_file", lambda settings: True)
    monkeypatch.setattr("archbench.measure.job.preparing.fill", fill)
    monkeypatch.setattr(
        "archbench.measure.job.preparing.places_of",
        lambda *_: SimpleNamespace(to_dict=dict),
    )
    run_job(SPEC, Settings(deadline_s=60.0), Store(tmp_path))
    whole, rest = deadlines
    assert whole <= 60
    assert rest <= whole - 0.05


def test_an_interruption_that_comes_after_the_job_leaves_its_record(tmp_path, monkeypatch):
    """A past bug: a second Ctrl-C while the record was written lost it."""
    worker = (sys.executable, "-c", ENDS_WELL)
    monkeypatch.setattr("archbench.measure.job.supervisor.WORKER", worker)
    store = Store(tmp_path / "results")

    def keep(record, samples):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        return store.append(record, samples)

    with pytest.raises(KeyboardInterrupt):
        measure(Job(SPEC, Settings()), keep, Watch())
    assert [record.status for record in store.read()] == ["ok"]
    heard = []
    watch = Watch(interruptions=heard)
    assert measure(Job(SPEC, Settings()), lambda record, _: heard.append(2) or record, watch)


INTERRUPTED = """
import os, pathlib, signal, sys, threading
from archbench.measure.job import supervisor
supervisor.INTERRUPT_GRACE_S = {grace}
folder = pathlib.Path({folder!r})
child = '''
import signal, sys, time
signal.signal(signal.SIGINT, {handler})
print("ready", flush=True)
time.sleep(60)
'''
def interrupt():
    while not (folder / "stdout").exists() or not (folder / "stdout").read_text():
        threading.Event().wait(0.01)
    for _ in range({times}):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)
threading.Thread(target=interrupt).start()
ending = supervisor.supervise([sys.executable, "-c", child], folder, deadline_s=50)
print(ending.interrupted, ending.code)
"""


@pytest.mark.parametrize(
    ("handler", "grace", "times", "code"),
    [
        ("lambda *_: sys.exit(0)", 10, 1, 0),
        ("signal.SIG_IGN", 0.5, 1, -signal.SIGKILL),
        ("signal.SIG_IGN", 40, 2, -signal.SIGKILL),
    ],
    ids=["the child ends", "the grace ends", "a second interruption"],
)
def test_an_interruption_gives_the_child_time_and_a_second_one_none(
    tmp_path, handler, grace, times, code
):
    script = INTERRUPTED.format(grace=grace, folder=str(tmp_path), handler=handler, times=times)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["True", str(int(code))], done.stderr
    assert time.monotonic() - start < max(grace, 15)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_worker_dies_with_its_supervisor(tmp_path):
    use = "import os, time; from archbench.measure.job.worker import die_with_parent as die"
    child = f"{use}; die(os.getppid()); print('ready', flush=True); time.sleep(60)"
    script = (
        "import pathlib, sys; from archbench.measure.job.supervisor import supervise;"
        f"supervise([sys.executable, '-c', {child!r}], pathlib.Path({str(tmp_path)!r}), "
        "deadline_s=50)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script])
    while not (tmp_path / "stdout").exists() or not (tmp_path / "stdout").read_text():
        time.sleep(0.05)
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
    assert children
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    time.sleep(0.3)
    assert not any(alive(int(pid)) for pid in children)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_worker_whose_supervisor_ended_before_it_was_ready_ends_too():
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    code = (
        f"from archbench.measure.job.worker import die_with_parent as die; die({gone.pid}); "
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "the supervisor is gone\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGXCPU])
def test_a_limit_of_processor_time_is_not_told_as_memory(number, monkeypatch):
    """A past bug: the kernel ends a process beyond it as it does where memory is short."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (60, -1))
    record = judge(SPEC, Settings(), Ending(-number, cpu_s=60.2), Result())
    assert record.reason.code == "cpu_limit"
    assert "60 s (ulimit -t)" in record.reason.message
    assert judge(SPEC, Settings(), Ending(-9, cpu_s=20), Result()).reason.code == "killed"


def test_a_full_folder_of_temporary_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("archbench.measure.job.supervisor.ROOM_BYTES", 2**20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, hard))
    try:
        ending = run("raise OSError('no room')", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reason = judge(SPEC, Settings(), ending, Result()).reason
    assert reason.code == "temporary_full"
    assert "cannot be written: File too large; set TMPDIR to another" in reason.message


def test_a_disk_that_is_full_is_named(tmp_path, monkeypatch):
    """A past bug: whichever disk it was, the folder of temporary files was said to be full."""
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("archbench.measure.job.worker.gettempdir", lambda: str(tmp_path / "tmp"))
    said = {}
    for folder in (None, tmp_path / "tmp" / "engines", tmp_path / "cache"):
        report = Report(tmp_path)
        with last_word(report, SPEC), writing_to(folder) if folder else nullcontext():
            raise full
        reason = report.result.reason
        said[folder and folder.name] = (reason.code, reason.message.partition(" cannot")[0])
    report = Report(tmp_path)
    with last_word(report, SPEC), writing_to(tmp_path / "cache"):
        raise OSError(full.errno, full.strerror, str(tmp_path / "tmp" / "model.onnx"))
    assert report.result.reason.code == "temporary_full"
    temporary = ("temporary_full", f"temporary folder {tempfile.gettempdir()}")
    assert said[None] == said["engines"] == temporary
    assert said["cache"] == ("disk_full", str(tmp_path / "cache"))


def test_a_folder_that_takes_no_job_is_one_line(tmp_path, monkeypatch):
    def fill(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(UsageError, match="No space left on device; set TMPDIR to another"):
        run_job(SPEC, Settings(device="cpu"), Store(tmp_path))


def test_what_is_known_of_a_network_hides_nothing_of_the_host():
    """A past bug: a network of a library whose export failed was run anew by every `--resume`."""
    found = Result(environment={"libraries": {"timm": "1.0"}})
    kept = judge(SPEC, Settings(), Ending(code=1), found).environment
    assert kept == {**host.fingerprint(), "libraries": {"timm": "1.0"}}
