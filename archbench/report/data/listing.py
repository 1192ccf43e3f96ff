"""Records as they are listed: which they are, of what, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from archbench.records import Record
from archbench.report.data.names import short_name


def listed(record: Record, file: Path) -> dict[str, str | None]:
    """Give a record's row; one that was only counted has no engine."""
    return {
        "record_id": record.record_id,
        "time_utc": record.time_utc,
        "network": short_name(record.spec),
        "engine": record.settings.engine if record.settings else None,
        "device": record.environment.get("device_name") if record.settings else None,
        "status": record.status,
        "file": str(file),
    }


def shortest(ids: Iterable[str], least: int = 8) -> int:
    """How many characters of ids tell them apart, `least` at least."""
    distinct = set(ids)
    lengths = count(least)
    return next(n for n in lengths if len({each[:n] for each in distinct}) == len(distinct))
