"""Many jobs: what is still to be run and in which order, one queue a place, and the running of
them. Torch-free.

Repeats of a network lie apart, in an order that a seed draws, so that drift and heat do not fall on
one network; they stay at one place, since two cards of one model are two devices. Every job ends as
a record.
"""

from __future__ import annotations

import datetime
import signal
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any, TypeVar

from archbench import __version__
from archbench.measure.job.counting import count as count_network
from archbench.measure.job.supervisor import Job, RefusedError, Watch
from archbench.measure.machine import host
from archbench.measure.sweep.places import Place
from archbench.reasons import Reason, Status
from archbench.records import Cause, Record
from archbench.settings import Settings, same_job
from archbench.spec import Spec, UsageError
from archbench.tracebacks import first_line

START_S = 8.0
"""About what a job takes besides its timing: to start, count, build and warm up."""
TIMED = 1.1
"""The part of the budget that timing and the passes after it take at most."""

T = TypeVar("T")
Keep = Callable[[Record, Path | None], Record]
"""Appends a record and the file that its samples may be in; gives the record as written."""
Runner = Callable[[Job, Keep, Watch], Record]
"""Runs one job, keeps its record and gives it: `supervisor.measure`, or a stand-in for it
elsewhere.
"""


@dataclass(frozen=True)
class Order:
    """How often each network is measured, and the seed of the order."""

    repeats: int
    seed: int
    run_id: str


@dataclass(frozen=True)
class Queue:
    """The jobs of one place, and what runs them there."""

    place: Place
    jobs: tuple[Job, ...]
    run: Runner
    done: tuple[Record, ...] = ()
    """Records of earlier jobs that are not run again."""


@dataclass(frozen=True)
class Event:
    """A job that has begun (neither news nor record), has made progress (news), or has ended
    (record).
    """

    place: Place
    job: Job
    news: dict[str, Any] = field(default_factory=dict)
    record: Record | None = None


def new_run_id() -> str:
    """A name for a sweep: when it began, and four digits against two in one second."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:4]}"


def part(items: Sequence[T], index: int, count: int) -> Sequence[T]:
    """The `index`-th of `count` parts, from 1; the parts of one list have every item once."""
    return items[index - 1 :: count]


def plan(
    specs: Sequence[Spec],
    settings: Settings,
    runners: dict[Place, Runner],
    order: Order,
    done: Sequence[Record],
) -> list[Queue]:
    """Queue what `done` lacks: every spec `repeats` times, at the place where most of it was done,
    else at each in turn.
    """
    finished = {
        place: [record for record in done if _counts(record, settings, place)] for place in runners
    }
    counts = {
        place: Counter(record.spec for record in records) for place, records in finished.items()
    }
    shares: dict[Place, dict[Spec, int]] = {place: {} for place in runners}
    for index, spec in enumerate(specs):
        first = index % len(runners)
        place = max([*runners][first:] + [*runners][:first], key=lambda place: counts[place][spec])
        shares[place][spec] = order.repeats - counts[place][spec]
    return [
        Queue(
            place,
            _jobs(share, settings, place, order),
            runners[place],
            tuple(r for r in finished[place] if r.spec in share),
        )
        for place, share in shares.items()
    ]


def _counts(record: Record, settings: Settings, place: Place) -> bool:
    """Whether a record is a result of the same settings from a place."""
    return record.status.is_finished and _alike(record, settings) and place.ran(record)


def _alike(record: Record, settings: Settings) -> bool:
    """Whether a record was measured with settings that give the same figures; `Place.ran` knows
    better which device it was.
    """
    return record.settings is not None and same_job(record.settings, settings)


def _jobs(
    share: dict[Spec, int], settings: Settings, place: Place, order: Order
) -> tuple[Job, ...]:
    """The jobs of a place: round after round over all that is left, each round shuffled, no spec
    twice in a row.
    """
    random = Random(order.seed)
    specs: list[Spec] = []
    for repeat in range(max(share.values(), default=0)):
        turn = [spec for spec, left in share.items() if left > repeat]
        random.shuffle(turn)
        if specs and turn[0] == specs[-1]:
            turn.append(turn.pop(0))
        specs += turn
    return tuple(
        Job(
            spec,
            settings,
            order.run_id,
            {"order": number, "order_seed": order.seed},
            place.variables,
        )
        for number, spec in enumerate(specs, start=1)
    )


def counted(specs: Sequence[Spec], done: Sequence[Record]) -> list[Record]:
    """The last record of each spec that this version of archbench has counted, or found that it
    cannot.
    """
    last = {
        record.spec: record
        for record in done
        if record.settings is None
        and record.status.is_finished
        and record.environment.get("archbench") == __version__
    }
    return [last[spec] for spec in specs if spec in last]


class Forecast:
    """How long jobs will take: as the same have taken here before, else what their protocol allows;
    then as this sweep goes.
    """

    def __init__(self, queues: Iterable[Queue], done: Sequence[Record]) -> None:
        queues = list(queues)
        self.known: dict[Spec, float] = {}
        for queue in queues:
            wanted = {job.spec: job.settings for job in queue.jobs}
            for record in done:
                if (
                    record.status == Status.OK
                    and record.spec in wanted
                    and _alike(record, wanted[record.spec])
                    and queue.place.ran(record)
                ):
                    self.known[record.spec] = START_S / 2 + sum(record.phases.values())
        self._left = {
            queue.place: deque(self.job_s(queue.place, job) for job in queue.jobs)
            for queue in queues
        }
        self._spent_s = self._expected_s = 0.0

    def job_s(self, place: Place, job: Job) -> float:
        """What one job is expected to take, seconds."""
        energy_s = job.settings.energy_s if place.kind == "cuda" else 0.0
        return self.known.get(job.spec, START_S + TIMED * job.settings.budget_s + energy_s)

    @property
    def left_s(self) -> float:
        """What is left of the longest queue, seconds."""
        pace = self._spent_s / self._expected_s if self._expected_s else 1.0
        return pace * max((sum(jobs) for jobs in self._left.values()), default=0.0)

    def ended(self, place: Place, took_s: float) -> None:
        """Learn of a job's end."""
        self._expected_s += self._left[place].popleft()
        self._spent_s += took_s


def run(
    queues: Iterable[Queue], keep: Keep, interruptions: list[int]
) -> Generator[Event, None, None]:
    """Run the queues side by side, each in a thread, and give what happens as it happens.

    The first interruption ends the running jobs in good order and starts none; a second kills them.
    Raises UsageError where a place cannot do what the settings ask of every job.
    """
    shared = _Shared(keep, interruptions)
    threads = [
        threading.Thread(target=_work, args=(queue, shared), daemon=True) for queue in queues
    ]
    for thread in threads:
        thread.start()
    running, failure = len(threads), None
    try:
        while running:
            event = shared.events.get()
            if event is None:
                running -= 1
            elif isinstance(event, BaseException):
                failure = event
                interruptions.append(signal.SIGTERM)
            else:
                yield event
    except GeneratorExit:
        interruptions += [signal.SIGTERM, signal.SIGTERM]
        raise
    finally:
        for thread in threads:
            thread.join()
    if failure:
        raise failure


@dataclass(frozen=True)
class _Shared:
    """What the threads of a sweep have in common: where records go, who interrupts, who listens,
    which places are at work.
    """

    keep: Keep
    interruptions: list[int]
    events: SimpleQueue[Event | BaseException | None] = field(default_factory=SimpleQueue)
    """None: a queue is done."""
    busy: set[Place] = field(default_factory=set)

    def tell(self, place: Place, job: Job, news: dict[str, Any]) -> None:
        self.events.put(Event(place, job, news))


def _work(queue: Queue, shared: _Shared) -> None:
    """Run the jobs of a queue, as long as nobody interrupts, each about as cool as the first; those
    of a place that is lost are skipped.
    """
    lost: Cause | None = None
    first_c: float | None = None
    try:
        for planned in queue.jobs:
            if shared.interruptions:
                break
            job = _beside(replace(planned, cool_to_c=first_c), queue.place, shared.busy)
            shared.busy.add(queue.place)
            shared.events.put(Event(queue.place, job))
            watch = Watch(partial(shared.tell, queue.place, job), shared.interruptions)
            record = (
                shared.keep(_skipped(job, lost), None)
                if lost
                else _run(queue, job, shared.keep, watch)
            )
            first_c = first_c if first_c is not None else _began_at(record)
            lost = record.reason if record.reason and record.reason.code.loses_place else None
            shared.events.put(Event(queue.place, job, record=record))
    except BaseException as error:
        shared.events.put(error)
    finally:
        shared.busy.discard(queue.place)
        shared.events.put(None)


def _beside(job: Job, place: Place, busy: set[Place]) -> Job:
    """A card's job with the number of cards beside it that are at work: they share its power and
    cooling.
    """
    if place.kind == "cpu":
        return job
    cards = sum(
        other.kind == "cuda" and other.host == place.host for other in [*busy] if other != place
    )
    return replace(job, conditions={**job.conditions, "busy_cards_beside": cards})


def _began_at(record: Record) -> float | None:
    """The temperature at which a job's card began."""
    celsius = record.conditions.get("start_temperature_c")
    return None if celsius is None else float(celsius)


def _run(queue: Queue, job: Job, keep: Keep, watch: Watch) -> Record:
    """Run a job; one that its spec makes impossible is a row, one that the settings do is an
    error.
    """
    try:
        return queue.run(job, keep, watch)
    except RefusedError as refused:
        if refused.record.reason and refused.record.reason.phase == "preflight":
            raise
        return keep(
            replace(
                refused.record,
                run_id=job.run_id,
                conditions={**refused.record.conditions, **job.conditions},
            ),
            None,
        )


def _skipped(job: Job, lost: Cause) -> Record:
    return Record(
        spec=job.spec,
        settings=job.settings,
        status=Status.SKIPPED,
        reason=Cause(lost.code, "", f"not begun: {lost.message}"),
        environment=host.fingerprint(),
        conditions=job.conditions,
        run_id=job.run_id,
    )


def count(
    specs: Iterable[Spec],
    keep: Callable[[Record], Record],
    run_id: str,
    interruptions: Sequence[int],
) -> Iterator[Record]:
    """Count specs in this process, one network at a time; one that cannot be counted is a record
    that says why.
    """
    environment = host.fingerprint()
    for spec in specs:
        if interruptions:
            return
        try:
            record = count_network(spec, interruptions=interruptions).record(environment, run_id)
        except KeyboardInterrupt:
            return
        except Exception as error:
            refused = isinstance(error, UsageError)
            code = Reason.REFUSED if refused else Reason(type(error).__name__)
            reason = Cause(code, "count", first_line(error))
            record = Record(
                spec=spec,
                settings=None,
                status=Status.ERROR,
                reason=reason,
                environment=environment,
                run_id=run_id,
            )
        yield keep(record)
