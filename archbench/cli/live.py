"""The progress of a job or a sweep on stderr: on a terminal a line that changes, elsewhere lines
alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archbench.cli.messages import is_quiet, is_verbose, say, say_traceback, tell
from archbench.escaping import message
from archbench.measure.job.allowance import SHARE
from archbench.reasons import Status
from archbench.records import Record
from archbench.settings import Settings

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from archbench.measure.job.supervisor import Job
    from archbench.measure.sweep.places import Place
    from archbench.measure.sweep.plans import Queue
    from archbench.measure.sweep.queues import Event


PHASES = {
    "preflight": "checking the device",
    "count": "counting",
    "build": "building",
    "export": "exporting",
    "reference": "running eager for reference",
    "convert": "converting for the engine",
    "cold": "first call",
    "agreement": "comparing with eager",
    "warmup": "warming up",
    "latency": "timing",
    "busy": "measuring how busy the card is",
    "throughput": "measuring throughput",
    "memory": "measuring memory",
    "energy": "measuring energy",
    "roofline": "measuring the device's peaks",
    "graph": "timing a CUDA graph",
}
PEAKS_S = 10.0
"""The most that the device's peaks take, seconds."""


@dataclass(frozen=True)
class Live:
    """Two ways to say something: a line that stays, and the present state."""

    line: Callable[[str], None]
    now: Callable[[str], None]

    def warn(self, text: str) -> None:
        """Say what went wrong: a line that stays, to be seen however little is said."""
        (say if is_quiet() else self.line)(text)


@contextmanager
def live() -> Iterator[Live]:
    """Show progress on stderr for a while."""
    if is_quiet() or not sys.stderr.isatty():
        yield Live(tell, lambda _: None)
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    with console.status("starting") as status:
        yield Live(
            lambda text: console.print(escape(message(text))),
            lambda text: status.update(escape(message(text))),
        )


def took(record: Record) -> str:
    """How long the phases of a job took, with the id of its record."""
    phases = (f"{PHASES.get(name, name)} {s:.1f} s" for name, s in record.phases.items())
    return f"record {record.record_id}: {', '.join(phases)}"


def doing(news: Mapping[str, Any]) -> str:
    """What a job is doing, in a few words."""
    text = PHASES.get(news["phase"], str(news["phase"]))
    if "samples" in news:
        samples = "1 sample" if news["samples"] == 1 else f"{news['samples']} samples"
        text += f": {samples}, {news['elapsed_s']:.0f} of at most {news['budget_s']:.0f} s"
    return text


def left_s(news: Mapping[str, Any], settings: Settings) -> float | None:
    """About the most seconds that a job still takes by its protocol; None where that is open, as
    before its calls are timed.
    """
    if "left_s" in news:
        left: float = news["left_s"]
        return left
    most_s = {
        "latency": settings.budget_s,
        "throughput": settings.budget_s / SHARE,
        "energy": settings.energy_s,
        "roofline": PEAKS_S if settings.roofline else 0.0,
    }
    phases = [*most_s]
    if news["phase"] not in phases:
        return None
    to_come = phases[phases.index(news["phase"]) :]
    return sum(most_s[phase] for phase in to_come) - float(news.get("elapsed_s", 0.0))


def _time_left() -> ProgressColumn:
    """The column of a progress bar that counts down to the `ends_at` of its task."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class TimeLeft(ProgressColumn):
        def render(self, task: Task) -> Text:
            left = task.fields["ends_at"] - time.monotonic()
            return Text(f"at most {left:.0f} s left" if left >= 1 else "")

    return TimeLeft()


@contextmanager
def telling(settings: Settings) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show on stderr what a job with these settings is doing: on a terminal one line with the time
    that passed and the time left, elsewhere a line per phase.
    """
    if is_quiet() or not sys.stderr.isatty():
        last = ""

        def line(news: dict[str, Any]) -> None:
            nonlocal last
            say_traceback(news.get("traceback", ""))
            if news["phase"] != last:
                last = news["phase"]
                tell(f"{PHASES.get(last, last)} ...")

        yield line
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), text, TimeElapsedColumn(), _time_left(), console=console, transient=True
    ) as bar:
        job = bar.add_task("starting", total=None, ends_at=0.0)

        def change(news: dict[str, Any]) -> None:
            say_traceback(news.get("traceback", ""))
            bar.update(job, description=doing(news))
            if (left := left_s(news, settings)) is not None:
                bar.update(job, ends_at=time.monotonic() + left)

        yield change


class Teller:
    """Tells of every job that ends, and of what is running."""

    def __init__(
        self,
        progress: Live,
        queues: Sequence[Queue],
        earlier: Sequence[Record],
        heard: Sequence[int],
    ) -> None:
        from archbench.measure.sweep.plans import Forecast
        from archbench.report.data.names import short_names
        from archbench.report.tables.sweep import Way, way_names

        self._progress, self._heard = progress, heard
        self._forecast = Forecast(queues, earlier)
        jobs = [job for queue in queues for job in queue.jobs]
        self._names = short_names([job.spec for job in jobs])
        ways = list(dict.fromkeys(Way.of(job.settings) for job in jobs))
        self._ways = dict(zip(ways, way_names(ways), strict=True))
        self._total = len(jobs)
        self._running: dict[Place, str] = {}
        self._begun: dict[Place, float] = {}
        self._ended = self._failed = 0
        self._warned = False
        self._since = time.monotonic()
        progress.line(
            f"{self._total} job{'s' * (self._total != 1)}{self._left}"
            if self._total
            else "nothing is left to run"
        )

    def tell(self, event: Event) -> None:
        """Tell of one event."""
        from archbench.report.tables.sweep import duration

        name = self._name(event.job)
        if event.record:
            self._end(event.place, name, event.record)
        elif event.news:
            say_traceback(event.news.get("traceback", ""))
            self._running[event.place] = f"{name}: {doing(event.news)}"
        else:
            self._begun[event.place] = time.monotonic()
            self._running[event.place] = f"{name}: starting"
        if self._heard and not self._warned:
            self._warned = True
            self._progress.line("stopping after saving; interrupt again to stop at once")
        failed = f", {self._failed} failed" if self._failed else ""
        passed = duration(time.monotonic() - self._since)
        self._progress.now(
            f"{'; '.join(self._running.values())}\n  {self._ended} of {self._total} done in "
            f"{passed}{failed}{self._left}"
        )

    @property
    def _left(self) -> str:
        from archbench.report.tables.sweep import duration

        if self._ended == self._total:
            return ""
        return f"; about {duration(self._forecast.left_s)} left"

    def _name(self, job: Job) -> str:
        from archbench.report.tables.sweep import Way, measured_in

        return measured_in(self._names[job.spec], self._ways[Way.of(job.settings)])

    def _end(self, place: Place, name: str, record: Record) -> None:
        is_ok = record.status == Status.OK
        self._forecast.ended(place, time.monotonic() - self._begun[place], is_ok=is_ok)
        self._running.pop(place)
        self._ended += 1
        self._failed += not is_ok
        how = "" if record.time_ms is None else f", {record.time_ms:,.2f} ms"
        why = (
            f" ({record.reason.code}): {record.reason.message.strip().rpartition(chr(10))[2]}"
            if record.reason
            else ""
        )
        number = f"{self._ended:>{len(str(self._total))}}/{self._total}"
        told = self._progress.line if is_ok else self._progress.warn
        told(f"{number}  {name}: {record.status}{how}{why}{self._left}")
        if is_verbose():
            self._progress.line(took(record))
