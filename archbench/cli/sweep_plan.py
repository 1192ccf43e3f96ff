"""What a sweep is asked for, and what it would do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archbench.cli.formats import print_tables, table_width
from archbench.cli.messages import tell
from archbench.records import Record, Store
from archbench.settings import Settings
from archbench.spec import Spec
from archbench.zoo import catalogue
from archbench.zoo.sources.listing import is_taken_as_written

if TYPE_CHECKING:
    from archbench.measure.sweep.plans import Forecast, Queue
    from archbench.papers.member import Member
    from archbench.report.tables.sweep import Share


@dataclass(frozen=True)
class Asked:
    """What is to be swept: networks, the rows that they stand in, and what there is of them
    already.
    """

    specs: Sequence[Spec]
    ways: Mapping[Spec, Sequence[Settings]]
    """How each network is measured, in each engine and precision."""
    members: Sequence[Member]
    """The rows of the suites, those without a network too."""
    store: Store
    earlier: Sequence[Record]
    """Every record of the results folder."""
    resume: bool
    form: str
    """json, markdown, latex, or empty for tables for people."""

    @property
    def done(self) -> Sequence[Record]:
        """The records that may stand for a job."""
        return self.earlier if self.resume else ()

    @property
    def missing(self) -> list[Member]:
        """The rows without a network."""
        return [member for member in self.members if not member.spec]

    def print_json(self, data: dict[str, Any]) -> None:
        """Print what was found, and the rows without a network."""
        missing = [{"label": member.label, "why": member.why} for member in self.missing]
        print(json.dumps({**data, "missing": missing}, indent=2, allow_nan=False))


def show_plan(queues: Sequence[Queue], asked: Asked) -> None:
    """Show which jobs are left, where, and about how long they take."""
    from archbench.cli.predicting import CallTimes, counted_networks
    from archbench.measure.sweep.plans import Forecast
    from archbench.report.tables.sweep import duration, plan_table

    with counted_networks() as networks:
        forecast = Forecast(queues, asked.earlier, CallTimes(asked.earlier, networks))
    jobs = [job for queue in queues for job in queue.jobs]
    if asked.form == "json":
        planned = [
            {"place": queue.place.name, "command": catalogue.network(job.spec).command}
            | {"engine": job.settings.engine, "precision": job.settings.precision}
            | {**job.conditions}
            for queue in queues
            for job in queue.jobs
        ]
        asked.print_json({"jobs": planned, "estimate_s": round(forecast.left_s)})
        return
    where = "; ".join(
        f"{len(queue.jobs)} on {queue.place.device_name} ({queue.place.name})" for queue in queues
    )
    left = {(job.spec, job.settings) for job in jobs}
    what = "networks" if {*map(len, asked.ways.values())} <= {1} else "network-engine pairs"
    known = len(forecast.known.keys() & left)
    predicted = len(forecast.predicted)
    by_calls = f" {predicted} from predicted times of their calls," if predicted else ""
    note = (
        f"Estimate: {known} of {len(left)} {what} from earlier runs here,{by_calls} the rest from "
        "the protocol's budgets."
    )
    title = f"{jobs_text(len(jobs))}: {where}; about {duration(forecast.left_s)}"
    print_tables(
        [
            plan_table(
                _shares(queues, asked, forecast),
                asked.members,
                title=title,
                notes=[note],
                width=table_width(asked.form),
            )
        ],
        asked.form,
    )


def _shares(queues: Sequence[Queue], asked: Asked, forecast: Forecast) -> list[Share]:
    """What is left and what is done of each network in each way."""
    from archbench.report.tables.sweep import Share, Way

    left = Counter((job.spec, Way.of(job.settings)) for queue in queues for job in queue.jobs)
    done = Counter(
        (record.spec, Way.of(record.settings))
        for queue in queues
        for record in queue.done
        if record.settings
    )
    each_s = {
        (job.spec, Way.of(job.settings)): forecast.job_s((job.spec, job.settings))
        for queue in queues
        for job in queue.jobs
    }
    return [
        Share(
            *asked_for,
            left[asked_for],
            done[asked_for],
            left[asked_for] * each_s.get(asked_for, 0.0),
        )
        for asked_for in (
            (spec, Way.of(settings)) for spec in asked.specs for settings in asked.ways[spec]
        )
    ]


def tell_unasked(specs: Sequence[Spec]) -> None:
    """Say which names nobody knows before their libraries are imported."""
    names: dict[str, list[str]] = {}
    for spec in specs:
        if is_taken_as_written(spec.origin):
            names.setdefault(spec.origin, []).append(spec.backbone)
    for origin, written in names.items():
        named = ", ".join(dict.fromkeys(written))
        tell(f"{origin} is not imported to plan: taken as written: {named}")


def jobs_text(count: int) -> str:
    """A number of jobs in words."""
    return f"{count} job{'s' * (count != 1)}"
