"""What a worker has found so far and how its job ended: FOLDER/result.json, written by the worker
and read by its supervisor. Torch-free.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from archbench.reasons import Status
from archbench.records import Cause, Metric
from archbench.records.conditions import Conditions, Environment
from archbench.records.reading import read_cause, read_metric

FILE = "result.json"


class Outcome(StrEnum):
    """How far a job has come: a worker that ended `RUNNING` has crashed or was killed."""

    RUNNING = "running"
    ENDED = "ended"
    REFUSED = "refused"
    """It cannot be what was asked for, so there is nothing to record."""


@dataclass
class Result:
    """What was found, phase by phase; `status` is how the job ended, once it has."""

    outcome: Outcome = Outcome.RUNNING
    phase: str = "start"
    status: Status | None = None
    reason: Cause | None = None
    counted: dict[str, Any] | None = None
    measured: dict[str, Metric] = field(default_factory=dict)
    environment: Environment = field(default_factory=Environment)
    conditions: Conditions = field(default_factory=Conditions)
    phases: dict[str, float] = field(default_factory=dict)

    def note_plugins(self, files: Sequence[str], code: str) -> None:
        """Note the files of plug-ins that the network is from, and a hash of their code, if any."""
        if files:
            self.environment["plugin_files"] = [*files]
            self.conditions["plugins"] = [os.path.relpath(file) for file in files]
        if code:
            self.environment["network_hash"] = code

    def write(self, folder: Path) -> None:
        """Replace the file, whole or not at all."""
        temporary = folder / "result.tmp"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> Result:
        """Read what a worker wrote last; an empty result where it wrote nothing."""
        try:
            return cls.from_dict(json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return cls()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """Read the file's contents."""
        status, reason = data.get("status"), data.get("reason")
        known = {
            "outcome": Outcome(data.get("outcome", Outcome.RUNNING)),
            "status": Status(status) if status else None,
            "reason": read_cause(reason) if reason else None,
            "measured": {
                name: read_metric(metric) for name, metric in data.get("measured", {}).items()
            },
        }
        return cls(**data | known)
