"""What `archbench compare --across` shows: networks side by side in what they ran in."""

from __future__ import annotations

from collections.abc import Sequence

from archbench.cli.formats import print_rows, print_tables, table_width
from archbench.cli.messages import say
from archbench.quantities import MEASURED
from archbench.records import Record
from archbench.spec import UsageError

WHOLE = ""
"""The figure of the total time, by no column of its own."""


def show_across(
    records: Sequence[Record], settings: str, columns: Sequence[str], form: str
) -> None:
    """Print each network's figures across settings, the total time where no column is named."""
    from archbench.report.data.across import across, settings_named
    from archbench.report.data.configurations import configurations
    from archbench.report.tables import across as report

    named = settings_named(settings)
    same = [name for name in columns if name not in MEASURED]
    if same:
        raise UsageError(
            f"invalid --columns {','.join(same)}: --across takes measured figures, such as "
            "latency_ms"
        )
    together = configurations(records)
    found = [table for word in columns or [WHOLE] for table in across(together, named, word)]
    if not found:
        say(
            f"no two records differ in {' and '.join(named)} only; to create some: archbench sweep "
            "SUITE --engine eager --engine onnxruntime"
        )
    if form in ("csv", "json"):
        print_rows(report.rows(found), report.COLUMNS, form)
    else:
        print_tables(report.tables(found, width=table_width(form)), form)
