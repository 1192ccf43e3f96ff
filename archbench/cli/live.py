"""How a job or a sweep goes, told on stderr: on a terminal with a line that changes, elsewhere in
lines alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archbench.cli.messages import is_quiet, is_verbose, say, say_traceback, tell
from archbench.escaping import message
from archbench.reasons import Status
from archbench.records import Record

if TYPE_CHECKING:
    from archbench.measure.job.supervisor import Job
    from archbench.measure.sweep.places import Place
    from archbench.measure.sweep.plans import Queue
    from archbench.measure.sweep.queues import Event


PHASES = {
    "preflight": "looking at the device",
    "count": "counting",
    "build": "building",
    "export": "exporting",
    "reference": "running it eagerly",
    "convert": "making the engine's own file",
    "cold": "first call",
    "agreement": "holding it against eager",
    "warmup": "warming up",
    "latency": "timing",
    "throughput": "timing calls back to back",
    "memory": "measuring memory",
    "energy": "measuring energy",
    "busy": "finding how long the card is at work",
    "roofline": "measuring the device's peaks",
    "graph": "timing it as a CUDA graph",
}


@dataclass(frozen=True)
class Live:
    """Two ways to say something: a line that stays, and what is so at the moment."""

    line: Callable[[str], None]
    now: Callable[[str], None]


@contextmanager
def live() -> Iterator[Live]:
    """Tell on stderr for a while."""
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
    """What a job spent on its phases, with the id of its record."""
    phases = (f"{PHASES.get(name, name)} {s:.1f} s" for name, s in record.phases.items())
    return f"record {record.record_id}: {', '.join(phases)}"


def doing(news: dict[str, Any]) -> str:
    """What a job is at, in a few words."""
    text = PHASES.get(news["phase"], str(news["phase"]))
    if "samples" in news:
        text += (
            f": {news['samples']} samples, {news['elapsed_s']:.0f} of at most "
            f"{news['budget_s']:.0f} s"
        )
    if "left_s" in news:
        text += f"; at most {news['left_s']:.0f} s left"
    return text


@contextmanager
def telling() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Tell on stderr what the job is doing: one line that changes on a terminal, a line a phase
    elsewhere.
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
        SpinnerColumn(), text, TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        job = bar.add_task("starting", total=None)

        def change(news: dict[str, Any]) -> None:
            say_traceback(news.get("traceback", ""))
            bar.update(job, description=doing(news))

        yield change


class Teller:
    """Tells of every job that ends, and of what runs at the moment."""

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
        progress.line(
            f"{self._total} job{'s' * (self._total != 1)}{self._left}"
            if self._total
            else "nothing is left to run"
        )

    def tell(self, event: Event) -> None:
        """Tell of one event."""
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
            self._progress.line("ending in good order; once more ends it at once")
        failed = f", {self._failed} failed" if self._failed else ""
        self._progress.now(
            f"{'; '.join(self._running.values())}\n  {self._ended} of {self._total} "
            f"done{failed}{self._left}"
        )

    @property
    def _left(self) -> str:
        from archbench.report.tables.sweep import duration

        return (
            f"; about {duration(self._forecast.left_s)} left" if self._ended < self._total else ""
        )

    def _name(self, job: Job) -> str:
        from archbench.report.tables.sweep import Way, measured_in

        return measured_in(self._names[job.spec], self._ways[Way.of(job.settings)])

    def _end(self, place: Place, name: str, record: Record) -> None:
        self._forecast.ended(place, time.monotonic() - self._begun[place])
        self._running.pop(place)
        self._ended += 1
        self._failed += record.status != Status.OK
        latency = record.value("latency_ms")
        how = "" if latency is None else f", {latency:,.2f} ms"
        why = (
            f" ({record.reason.code}): {record.reason.message.strip().rpartition(chr(10))[2]}"
            if record.reason
            else ""
        )
        number = f"{self._ended:>{len(str(self._total))}}/{self._total}"
        is_alarming = is_quiet() and record.status != Status.OK
        told = say if is_alarming else self._progress.line
        told(f"{number}  {name}: {record.status}{how}{why}{self._left}")
        if is_verbose():
            self._progress.line(took(record))
