"""What a job finds, written down as it is found: result and progress files in the job's folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archbench.files import writing_to
from archbench.measure.job.allowance import Allowance
from archbench.measure.job.result import Outcome, Result
from archbench.reasons import Reason, Status
from archbench.records import Cause, Metric


class Report:
    """What the job has found so far, written whole at both ends of every phase."""

    def __init__(self, folder: Path, allowance: Allowance | None = None) -> None:
        self.folder = folder
        self.allowance = allowance or Allowance()
        """What the job may still take."""
        self.result = Result()
        self._process = os.getpid()
        self._progress = (folder / "progress.jsonl").open("a", buffering=1, encoding="utf-8")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run a phase: announce it, time it, write what was found."""
        self.result.phase = name
        self.write()
        self.tell(phase=name)
        start = time.perf_counter()
        yield
        self.result.phases[name] = round(time.perf_counter() - start, 4)
        self.write()

    def tell(self, **news: Any) -> None:
        """Say something to whoever watches, and what is left of the allowance."""
        self._end_forks()
        with writing_to(self.folder):
            self._progress.write(json.dumps(news | self.allowance.news()) + "\n")

    def measured(self, metrics: dict[str, Metric]) -> None:
        """Add figures."""
        self.result.measured |= metrics

    def end(self, status: Status, reason: Reason | None = None, message: str = "") -> None:
        """Write the last word."""
        self.result.outcome, self.result.status = Outcome.ENDED, status
        self.result.reason = Cause(reason, self.result.phase, message) if reason else None
        self.write()

    def refuse(self, message: str) -> None:
        """Write that the job cannot be what was asked for."""
        self.result.outcome = Outcome.REFUSED
        self.result.reason = Cause(Reason.REFUSED, self.result.phase, message)
        self.write()

    def write(self) -> None:
        """Write down what was found so far."""
        self._end_forks()
        with writing_to(self.folder):
            self.result.write(self.folder)

    def _end_forks(self) -> None:
        """End a process that a network has forked, where it would go on as if it were the job's."""
        if os.getpid() != self._process:
            os._exit(0)
