"""What commands that predict have in common: networks that are counted on the way, and what calls
of planned jobs take.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archbench.cli.live import live
from archbench.reasons import Status
from archbench.records import Record
from archbench.settings import Settings, same_figures
from archbench.spec import Spec, UsageError
from archbench.zoo import catalogue

if TYPE_CHECKING:
    from archbench.measure.job.supervisor import Job
    from archbench.measure.sweep.places import Place
    from archbench.report.data.prediction import Networks, SetupPredictor


@contextmanager
def counted_networks(asked: Collection[Spec] = ()) -> Iterator[Networks]:
    """Count networks as predictions need them, told of on a terminal.

    Of what is from elsewhere those that are `asked` for alone: to count one runs its code.
    """
    from archbench.report.data.prediction import Networks

    def count(spec: Spec) -> Mapping[str, Any]:
        if spec.origin and spec not in asked:
            raise UsageError(f"{spec} is your own code, which is only run if you name it")
        from archbench.measure.job.counting import count as count_network

        progress.now(f"counting {spec}")
        return count_network(spec).report.totals()

    with live() as progress:
        yield Networks(count, catalogue.families)


class CallTimes:
    """Predicts what calls of jobs take, by the records of the same place and settings."""

    def __init__(self, records: Sequence[Record], networks: Networks) -> None:
        self._records, self._networks = records, networks
        self._predictors: dict[tuple[Place, Settings], SetupPredictor] = {}

    def __call__(self, place: Place, job: Job) -> float | None:
        """What a call takes, ms; None where that cannot be predicted."""
        from archbench.report.data.prediction import Prediction

        key = (place, job.settings)
        if key not in self._predictors:
            self._predictors[key] = self._predictor(*key)
        has_both = job.spec.detector and job.spec.mode == "infer"
        word = "total_ms" if has_both else "latency_ms"
        found = self._predictors[key].predict(job.spec, word)
        return found.value if isinstance(found, Prediction) else None

    def _predictor(self, place: Place, settings: Settings) -> SetupPredictor:
        from archbench.report.data.configurations import configurations, measured_setups
        from archbench.report.data.prediction import SetupPredictor

        alike = [
            record
            for record in self._records
            if record.status == Status.OK
            and record.settings
            and same_figures(record.settings, settings)
            and place.ran(record)
        ]
        # Versions of libraries set records apart here as elsewhere.
        largest = next(iter(measured_setups(configurations(alike)).values()), [])
        return SetupPredictor(largest, self._networks)
