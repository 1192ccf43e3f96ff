"""Many jobs before they are run: which are still to be run, where and in which order, and about how
long they take. Torch-free.

Repeats of a network lie apart, in an order that a seed draws, so that drift and heat do not fall on
one network; they stay at one place, since two cards of one model are two devices. The engines of a
network follow one another, so that what drifts falls on all of them alike.
"""

from __future__ import annotations

import datetime
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias, TypeVar

from archbench import __version__
from archbench.measure.job.counting import network_hash
from archbench.measure.job.supervisor import Job, Watch
from archbench.measure.sweep.places import Place
from archbench.reasons import Status
from archbench.records import Record
from archbench.settings import Settings, same_job
from archbench.spec import Spec

START_S = 8.0
"""About what a job takes besides its timing: to start, count, build and warm up."""
TIMED = 1.1
"""The part of the budget that timing and the passes after it take at most."""
CALLS = 16
"""About how many calls a job makes whatever its budget: cold ones, to warm up, the least that are
timed, back to back, for memory.
"""

T = TypeVar("T")
Task: TypeAlias = tuple[Spec, Settings]
"""A network and how it is measured."""
Keep = Callable[[Record, Path | None], Record]
"""Appends a record and the file that its samples may be in; gives the record as written."""
Runner = Callable[[Job, Keep, Watch], Record]
"""Runs one job, keeps its record and gives it: `supervisor.measure`, or a stand-in for it
elsewhere.
"""
CallMs = Callable[[Place, Job], float | None]
"""Predicts what a call of a job takes at a place, ms; None where it cannot."""


@dataclass(frozen=True)
class Order:
    """How often each task is measured, and the seed of the order."""

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


def new_run_id() -> str:
    """A name for a sweep: when it began, and four digits against two in one second."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:4]}"


def part(items: Sequence[T], index: int, count: int) -> Sequence[T]:
    """The `index`-th of `count` parts, from 1; the parts of one list have every item once."""
    return items[index - 1 :: count]


def plan(
    tasks: Sequence[Task], runners: Mapping[Place, Runner], order: Order, done: Sequence[Record]
) -> list[Queue]:
    """Queue what `done` lacks: every task `repeats` times, a network at the place where most of it
    was done, else at each in turn.
    """
    finished = {place: _finished(tasks, place, done) for place in runners}
    counts = {place: Counter(task for task, _ in found) for place, found in finished.items()}
    shares: dict[Place, dict[Task, int]] = {place: {} for place in runners}
    for index, group in enumerate(_by_network(tasks).values()):
        first = index % len(runners)
        place = max(
            [*runners][first:] + [*runners][:first],
            key=lambda place: sum(counts[place][task] for task in group),
        )
        shares[place] |= {task: order.repeats - counts[place][task] for task in group}
    return [
        Queue(
            place,
            _jobs(share, place, order),
            runners[place],
            tuple(record for task, record in finished[place] if task in share),
        )
        for place, share in shares.items()
    ]


def _finished(
    tasks: Iterable[Task], place: Place, done: Iterable[Record]
) -> list[tuple[Task, Record]]:
    """The records that are results of tasks from a place, each with its task."""
    networks = _by_network(tasks)
    return [
        (task, record)
        for record in done
        if _is_finished(record) and place.ran(record) and place.would_repeat(record)
        for task in networks.get(record.spec, ())
        if _alike(record, task) and _is_of_todays_code(record)
    ]


def _is_finished(record: Record) -> bool:
    """Whether a record is a result: what became of the network, not of the machine."""
    return record.status.is_finished and not (record.reason and record.reason.code.is_passing)


def _is_of_todays_code(record: Record) -> bool:
    """Whether a record's network is what its graph or plug-ins are now; other names tell of which
    code they are.
    """
    known = record.environment.get("network_hash")
    return known is None or known == network_hash(record.spec)


def _by_network(tasks: Iterable[Task]) -> dict[Spec, list[Task]]:
    """Group tasks by network, in the order of their first."""
    networks: dict[Spec, list[Task]] = {}
    for task in tasks:
        networks.setdefault(task[0], []).append(task)
    return networks


def _alike(record: Record, task: Task) -> bool:
    """Whether a record was measured with settings that give the same figures; `Place.ran` knows
    better which device it was.
    """
    spec, settings = task
    return (
        record.spec == spec and record.settings is not None and same_job(record.settings, settings)
    )


def _jobs(share: Mapping[Task, int], place: Place, order: Order) -> tuple[Job, ...]:
    """The jobs of a place: round after round over all that is left, the networks of each shuffled
    and the engines of each network, no network twice in a row.
    """
    random = Random(order.seed)
    networks = _by_network(share)
    tasks: list[Task] = []
    for repeat in range(max(share.values(), default=0)):
        left = {
            spec: [task for task in group if share[task] > repeat]
            for spec, group in networks.items()
        }
        turn = [spec for spec, group in left.items() if group]
        random.shuffle(turn)
        if tasks and turn[0] == tasks[-1][0]:
            turn.append(turn.pop(0))
        for spec in turn:
            random.shuffle(left[spec])
            tasks += left[spec]
    return tuple(
        Job(
            *task,
            order.run_id,
            {"order": number, "order_seed": order.seed},
            place.variables,
        )
        for number, task in enumerate(tasks, start=1)
    )


def counted(specs: Sequence[Spec], done: Sequence[Record]) -> list[Record]:
    """The last record of each spec that this version of archbench has counted, or found that it
    cannot.
    """
    last = {
        record.spec: record
        for record in done
        if record.settings is None
        and _is_finished(record)
        and record.environment.get("archbench") == __version__
    }
    return [last[spec] for spec in specs if spec in last and _is_of_todays_code(last[spec])]


class Forecast:
    """How long jobs will take: as long as the same took, earlier here or in this sweep; else the
    most that their protocol allows and their calls are predicted to take, or as much of that as the
    jobs that ended used.
    """

    def __init__(
        self,
        queues: Iterable[Queue],
        done: Sequence[Record],
        call_ms: CallMs = lambda place, job: None,
    ) -> None:
        queues = list(queues)
        self._call_ms = call_ms
        self.known: dict[Task, float] = {}
        self.predicted: set[Task] = set()
        for queue in queues:
            wanted = {(job.spec, job.settings) for job in queue.jobs}
            for task, record in _finished(wanted, queue.place, done):
                if record.status == Status.OK:
                    self.known[task] = START_S / 2 + sum(record.phases.values())
        self._used_s = self._allowed_s = 0.0
        self._jobs = {
            queue.place: deque((job.spec, job.settings) for job in queue.jobs) for queue in queues
        }
        self._most_s = {
            (job.spec, job.settings): self._most_of(queue.place, job)
            for queue in queues
            for job in queue.jobs
        }
        self.left_s = self._longest_s()
        """What is left of the longest queue, seconds."""

    def job_s(self, task: Task) -> float:
        """What a job of a task is expected to take, seconds."""
        used = self._used_s / self._allowed_s if self._allowed_s else 1.0
        return self.known.get(task, used * self._most_s[task])

    def ended(self, place: Place, took_s: float, *, is_ok: bool = True) -> None:
        """Learn of a job's end; the time of one that failed says nothing of other tasks."""
        task = self._jobs[place].popleft()
        self.known[task] = took_s
        if is_ok:
            self._used_s += took_s
            self._allowed_s += self._most_s[task]
        self.left_s = self._longest_s()

    def _most_of(self, place: Place, job: Job) -> float:
        """The most that a job takes by its protocol, and by its calls where they are predicted."""
        task = (job.spec, job.settings)
        call_ms = None if task in self.known else self._call_ms(place, job)
        if call_ms is not None:
            self.predicted.add(task)
        energy_s = job.settings.energy_s if place.kind == "cuda" else 0.0
        return START_S + TIMED * job.settings.budget_s + CALLS * (call_ms or 0.0) / 1e3 + energy_s

    def _longest_s(self) -> float:
        return max(
            (sum(self.job_s(task) for task in tasks) for tasks in self._jobs.values()), default=0.0
        )
