"""Run each job in a process of its own, see it end, and make a record of whatever happened.
Torch-free.

The child leads its own process group. Nothing of that group outlives the job: at the deadline it
gets SIGTERM and 5 s later SIGKILL, and after any end SIGKILL. A first interruption gives the child
10 s to come to an end, a second none.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from archbench import child
from archbench.measure.job import preparing
from archbench.measure.job.folder import cannot_write, hand_over, job_folder
from archbench.measure.job.result import Outcome, Result
from archbench.measure.job.signals import interruptions
from archbench.measure.machine import host
from archbench.reasons import Reason, Status
from archbench.records import Cause, Record, Store
from archbench.records.conditions import Conditions
from archbench.settings import Settings
from archbench.spec import Spec, UsageError

POLL_S = 0.05
GRACE_S = 5.0
INTERRUPT_GRACE_S = 10.0
STDERR_TAIL = 4096
JOB = "ARCHBENCH_JOB"
"""The variable that the processes of jobs have: what they import must start no other."""
WORKER = (*child.command("archbench.measure.job.worker"),)
ATTEMPTS = 2
ROOM_BYTES = 2**17
"""What a job's folder must still take for its results: they have some ten thousand bytes."""

Progress = Callable[[dict[str, Any]], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Ending:
    """How a child process ended: its exit code (negative: the signal), and what the supervisor did
    to it.
    """

    code: int
    timed_out: bool = False
    interrupted: bool = False
    stderr: str = ""
    cpu_s: float = 0.0
    """The processor time of it and of what it waited for."""
    cannot_write: str = ""
    """Why nothing more can be written where it was to leave its results."""


@dataclass(frozen=True)
class Job:
    """One spec to be measured once, and what the record says of the sweep that asks for it."""

    spec: Spec
    settings: Settings
    run_id: str = ""
    conditions: Conditions = field(default_factory=Conditions)
    """What the record's conditions hold besides what the worker finds."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the worker besides those of this process."""
    meter: str | None = None
    """A power meter other than the device's own."""
    cool_to_c: float | None = None
    """The temperature near which its card is to begin; None: as it is."""


@dataclass(frozen=True)
class Watch:
    """Who watches a job: told of its progress, and heard when it is to end."""

    on_progress: Progress = lambda _: None
    interruptions: Sequence[int] | None = None
    """Grows with every request to end; None: the supervisor listens to signals itself, in the main
    thread only.
    """


class RefusedError(UsageError):
    """The job could not be what was asked for. `record` says so, for whoever wants a row rather
    than an error.
    """

    def __init__(self, record: Record) -> None:
        assert record.reason is not None
        super().__init__(record.reason.message)
        self.record = record
        self.is_of_settings = record.reason.phase == "preflight"
        """Whether the device cannot do what the settings ask of every network."""


def run_job(
    spec: Spec,
    settings: Settings,
    store: Store,
    *,
    run_id: str = "",
    on_progress: Progress = lambda _: None,
    meter: str | None = None,
) -> Record:
    """Measure one spec in a fresh process and append the record, however the job ended.

    A job whose card was busy or lost is tried once more. `meter` names a power meter other than the
    device's own. Raises UsageError, and leaves no record, where the job could not be what was asked
    for.
    """
    store.check_writable()
    return measure(Job(spec, settings, run_id, meter=meter), store.append, Watch(on_progress))


def measure(job: Job, keep: Callable[[Record, Path], T], watch: Watch) -> T:
    """Run a job in a fresh process and hand its record, and the file that its samples may be in, to
    `keep`.

    A job whose card was busy or lost is tried once more. Raises RefusedError where it could not be
    what was asked for, and KeyboardInterrupt, once the record is kept, where the supervisor itself
    listens and heard of an interruption too late for the job.
    """
    with _listening(watch) as heard:
        for attempt in range(1, ATTEMPTS + 1):
            with job_folder() as folder:
                record = _run(job, folder, replace(watch, interruptions=heard))
                code = record.reason and record.reason.code
                if attempt < ATTEMPTS and code and code.is_retried:
                    continue
                conditions: Conditions = {**record.conditions, **job.conditions}
                record = replace(record, run_id=job.run_id, attempt=attempt, conditions=conditions)
                kept = keep(record, folder / "samples.npz")
                if watch.interruptions is None and heard and code != Reason.INTERRUPTED:
                    raise KeyboardInterrupt
                return kept
    raise AssertionError("the last attempt is a record")


def _listening(watch: Watch) -> AbstractContextManager[Sequence[int]]:
    """Hear interruptions for a while, where nobody else does."""
    return interruptions() if watch.interruptions is None else nullcontext(watch.interruptions)


def _run(job: Job, folder: Path, watch: Watch) -> Record:
    """Run a job in a folder: what prepares its network, if its engine takes that, and its worker;
    the record of the first that did not end well.
    """

    end = time.monotonic() + job.settings.deadline

    def run(command: list[str], where: Path, rest: Mapping[str, str] = child.NOTHING) -> Record:
        left_s = max(0.0, end - time.monotonic())
        ending = supervise(command, where, left_s, watch=watch, variables={**job.variables, **rest})
        return judge(job.spec, job.settings, ending, Result.read(where))

    asked, rest = _asked(job), child.NOTHING
    if preparing.needs_file(job.settings):
        places = preparing.places_of(job.spec, job.settings, folder)
        prepared = preparing.fill(places, asked, folder, run)
        if prepared and prepared.status != Status.OK:
            return prepared
        if prepared:  # It may serve other engines as well, which its operators say.
            places = preparing.places_of(job.spec, job.settings, folder)
        asked["prepared"] = places.to_dict()
        rest = child.at_rest()
    hand_over(asked, folder)
    return run([*WORKER, str(folder)], folder, rest)


def _asked(job: Job) -> dict[str, Any]:
    """What a child is told of a job."""
    return {
        "spec": job.spec.to_dict(),
        "settings": job.settings.to_dict(),
        "meter": job.meter,
        "cool_to_c": job.cool_to_c,
        "supervisor": os.getpid(),
    }


def supervise(
    command: list[str],
    folder: Path,
    deadline_s: float,
    *,
    watch: Watch = Watch(),
    variables: Mapping[str, str] | None = None,
) -> Ending:
    """Run a command in a process group of its own until it ends, its deadline passes, or the user
    interrupts.
    """
    with (
        (folder / "stdout").open("wb") as out,
        (folder / "stderr").open("wb") as err,
        _listening(watch) as heard,
    ):
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env=child.environment({**child.OFFLINE, JOB: "1", **(variables or {})}),
        )
        before_s = _children_s()
        try:
            ending = _watch(
                process, folder, time.monotonic() + deadline_s, heard, watch.on_progress
            )
        finally:
            _signal_group(process, signal.SIGKILL)
            process.wait()
    return replace(
        ending,
        code=process.returncode,
        stderr=(folder / "stderr").read_bytes()[-STDERR_TAIL:].decode(errors="replace"),
        cpu_s=_children_s() - before_s,
        cannot_write=_why_full(folder),
    )


def _children_s() -> float:
    """The processor time of every child that has ended, seconds."""
    times = os.times()
    return times.children_user + times.children_system


def _why_full(folder: Path) -> str:
    """Why a folder takes no more; empty where it does."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _watch(
    process: subprocess.Popen[bytes],
    folder: Path,
    deadline: float,
    interruptions: Sequence[int],
    on_progress: Progress,
) -> Ending:
    news = _News(folder / "progress.jsonl")
    kill_at = float("inf")
    timed_out = interrupted = False
    while process.poll() is None:
        now = time.monotonic()
        if now >= deadline and not timed_out:
            timed_out, kill_at = True, now + GRACE_S
            _signal_group(process, signal.SIGTERM)
        if interruptions and not interrupted:
            interrupted, kill_at = True, min(kill_at, now + INTERRUPT_GRACE_S)
            _signal_group(process, signal.SIGINT)
        if now >= kill_at or len(interruptions) > 1:
            _signal_group(process, signal.SIGKILL)
        news.pass_on(on_progress)
        time.sleep(POLL_S)
    news.pass_on(on_progress)
    return Ending(process.returncode, timed_out, interrupted)


class _News:
    """The whole lines that a child has appended to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def pass_on(self, hear: Progress) -> None:
        """Have it heard; whoever listened may be gone, and the job is not the worse for it."""
        for item in self._read():
            with suppress(OSError):
                hear(item)

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            yield json.loads(line)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def judge(spec: Spec, settings: Settings, ending: Ending, result: Result) -> Record:
    """Make the record of a job from the evidence: how its process ended and what it had written.

    Raises RefusedError where the job could not be what was asked for.
    """
    status, reason = _verdict(ending, result, settings)
    record = Record(
        spec=spec,
        settings=settings,
        status=status,
        reason=reason,
        counted=result.counted,
        measured=result.measured,
        environment=result.environment
        if "host" in result.environment
        else host.fingerprint() | result.environment,
        conditions=result.conditions,
        phases=result.phases,
    )
    if ending.code == 0 and result.outcome == Outcome.REFUSED:
        raise RefusedError(record)
    return record


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _verdict(ending: Ending, result: Result, settings: Settings) -> tuple[Status, Cause | None]:
    phase = result.phase
    if ending.code == 0 and result.outcome == Outcome.REFUSED:
        return Status.ERROR, result.reason
    if ending.code == 0 and result.status:
        return result.status, result.reason
    if ending.timed_out:
        message = f"not done after {settings.deadline:g} s; ended in phase {phase}"
        return Status.TIMEOUT, Cause(Reason.DEADLINE, phase, message)
    if ending.interrupted:
        message = "ended on request before it was done"
        return Status.INTERRUPTED, Cause(Reason.INTERRUPTED, phase, message)
    return Status.ERROR, crash(ending, phase)


def _most_cpu_s() -> float:
    """The processor time that a process may take here, seconds."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_CPU)
    return min((most for most in limits if most != resource.RLIM_INFINITY), default=float("inf"))


def crash(ending: Ending, phase: str) -> Cause:
    """Why a worker ended that nobody had asked to, without its last word."""
    if ending.code == 0:
        return Cause(Reason.NO_RESULT, phase, "the worker ended without a result")
    if ending.cannot_write:
        return Cause(Reason.TEMPORARY_FULL, phase, cannot_write(ending.cannot_write))
    if ending.code in (-signal.SIGKILL, -signal.SIGXCPU) and ending.cpu_s >= _most_cpu_s() - 1:
        message = f"the worker reached the limit of processor time, {_most_cpu_s():g} s (ulimit -t)"
        return Cause(Reason.CPU_LIMIT, phase, message)
    if ending.code == -signal.SIGKILL:
        message = "the worker was killed from outside: likely the host ran out of memory"
        return Cause(Reason.KILLED, phase, message)
    said = ending.stderr[-STDERR_TAIL:]
    if ending.code < 0:
        name = _signal_name(-ending.code)
        message = f"the worker died of {name}. {said}".strip()
        return Cause(Reason(f"signal:{name}"), phase, message)
    message = said.strip() or f"the worker exited with {ending.code}"
    return Cause(Reason(f"exit:{ending.code}"), phase, message)
