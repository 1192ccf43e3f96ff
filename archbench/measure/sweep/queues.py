"""The running of many jobs, one queue a place; every job ends as a record. Torch-free."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import Any

from archbench.measure.job.counting import count as count_network
from archbench.measure.job.supervisor import Job, RefusedError, Watch
from archbench.measure.machine import host
from archbench.measure.sweep.places import Place
from archbench.measure.sweep.plans import Keep, Queue
from archbench.reasons import Reason, Status
from archbench.records import Cause, Record
from archbench.spec import Spec, UsageError
from archbench.tracebacks import first_line


@dataclass(frozen=True)
class Event:
    """A job that has begun (neither news nor record), has made progress (news), or has ended
    (record).
    """

    place: Place
    job: Job
    news: dict[str, Any] = field(default_factory=dict)
    record: Record | None = None


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
            if lost is None and record.reason and record.reason.code.loses_place:
                lost = record.reason
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
        if refused.is_of_settings:
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
