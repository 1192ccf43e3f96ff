"""The child process of one job: `python -m archbench.measure.job.worker FOLDER`.

Reads FOLDER/job.json and goes through the phases in order; after each it writes FOLDER/result.json
anew, so that a crash in one keeps what the others found. Progress goes to FOLDER/progress.jsonl,
samples to FOLDER/samples.npz.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import NoReturn

from archbench.api import blamed_on_plugin
from archbench.engines.engine import UnsupportedError
from archbench.files import FULL
from archbench.measure.job.allowance import Allowance
from archbench.measure.job.findings import Report
from archbench.measure.job.folder import ASKED, cannot_write
from archbench.measure.job.out_of_memory import is_out_of_memory
from archbench.measure.job.phases import Asked, run
from archbench.measure.machine.exclusive import BusyError
from archbench.measure.power.meter import GpuLostError
from archbench.reasons import Reason, Status
from archbench.settings import Settings
from archbench.spec import Spec, UsageError
from archbench.tracebacks import first_line, traceback_of

BEFORE_RUNNING = ("count", "build")
"""Phases in which a user's own network shows whether it is one: what it raises there is refused."""


class Interruption:
    """Whether someone asked the job to come to an end (SIGINT)."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that happens (Linux); end it
    now if that has happened.
    """
    if sys.platform == "linux":
        # PR_SET_PDEATHSIG (prctl(2)), which Python does not offer.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")


def leave(code: int) -> NoReturn:
    """End this process at once: what a network has left running, a thread or a handler of exits,
    does not hold it.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


@contextmanager
def last_word(
    report: Report, spec: Spec, interrupted: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """End the report of what is done within, well, `interrupted` or with what it raised: nothing is
    raised on.
    """
    try:
        yield
    except BaseException as error:  # A user's own network may raise anything.
        conclude(report, error, spec)
    else:
        if interrupted():
            report.end(Status.INTERRUPTED, Reason.INTERRUPTED, "ended early on request")
        else:
            report.end(Status.OK)


def main(folder: Path) -> int:
    """Run the job in `folder`; the exit code says only whether the result file holds the last
    word.
    """
    job = json.loads((folder / ASKED).read_text(encoding="utf-8"))
    die_with_parent(job["supervisor"])
    interrupted = Interruption()
    spec, settings = Spec.from_dict(job["spec"]), Settings.from_dict(job["settings"])
    report = Report(folder, Allowance(settings.allowance_s))
    asked = Asked(spec, settings, job.get("meter"), job.get("cool_to_c"), job.get("prepared"))
    with last_word(report, spec, interrupted):
        run(asked, report, interrupted)
    return 0


def conclude(report: Report, error: BaseException, spec: Spec) -> None:
    """Write the last word of a job that failed, and tell its traceback where that is asked for."""
    whole = traceback_of(error)
    if whole:
        report.tell(phase=report.result.phase, traceback=whole)
    message = first_line(error)[:500] or type(error).__name__
    if isinstance(error, UsageError) and not _lacks_memory(error):
        report.refuse(str(error))
    elif isinstance(error, KeyboardInterrupt):
        report.end(Status.INTERRUPTED, Reason.INTERRUPTED, "ended on request before it was done")
    elif isinstance(error, UnsupportedError):
        report.end(Status.ERROR, Reason.UNSUPPORTED, message)
    elif isinstance(error, GpuLostError):
        report.end(Status.ERROR, Reason.GPU_LOST, str(error))
    elif isinstance(error, BusyError):
        report.end(Status.SKIPPED, Reason.GPU_BUSY, str(error))
    elif isinstance(error, OSError) and error.errno in FULL:
        report.end(Status.ERROR, *_what_is_full(error))
    elif _lacks_memory(error):
        report.end(Status.OOM, Reason.OUT_OF_MEMORY, message)
    else:
        place = blamed_on_plugin(error, spec)
        if place and report.result.phase in BEFORE_RUNNING:
            report.refuse(f"{spec} cannot be built: {place}")
        else:
            report.end(Status.ERROR, Reason(type(error).__name__), place or message)


def _what_is_full(error: OSError) -> tuple[Reason, str]:
    """Which disk takes no more, and why: that of temporary files unless the error names another."""
    why = error.strerror or str(error)
    if error.filename and not Path(error.filename).is_relative_to(gettempdir()):
        return Reason.DISK_FULL, f"{error.filename} cannot be written: {why}"
    return Reason.TEMPORARY_FULL, cannot_write(why)


def _lacks_memory(error: BaseException) -> bool:
    """Whether memory was not enough, for a network of a user's own too, whose errors are told in a
    line.
    """
    return any(is_out_of_memory(each) for each in (error, error.__cause__) if each)


if __name__ == "__main__":
    leave(main(Path(sys.argv[1])))
