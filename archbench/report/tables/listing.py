"""Records of a folder as tables, one for each file and device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from archbench.report.data.listing import shortest
from archbench.report.tables.table import Column, Table

COUNTED = "counted"


def listing_tables(rows: Sequence[Mapping[str, str | None]]) -> list[Table]:
    """Give the rows of `listed` as tables, in their order."""
    length = shortest(row["record_id"] or "" for row in rows)
    columns = [Column(name, "left") for name in ("id", "time (UTC)", "network", "engine", "status")]
    return [
        Table(
            columns,
            [
                [
                    (row["record_id"] or "")[:length],
                    (row["time_utc"] or "")[:16].replace("T", " "),
                    row["network"] or "",
                    row["engine"] or COUNTED,
                    row["status"] or "",
                ]
                for row in group
            ],
            title=f"{file}, {device}" if device else str(file),
        )
        for (file, device), group in groupby(rows, lambda row: (row["file"], row["device"]))
    ]
