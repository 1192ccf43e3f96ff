"""What one network takes at several inputs and batches, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from archbench.quantities import QUANTITIES
from archbench.records import Record
from archbench.report.data.configurations import Configuration, Estimate, configurations
from archbench.report.data.names import short_names
from archbench.report.data.rounding import rounded
from archbench.report.tables.compare import endings, flag_notes, repeats_note
from archbench.report.tables.deciding import FLAWED
from archbench.report.tables.sweep import NETWORK
from archbench.report.tables.table import MISSING, Column, Table

COUNTS = {"params": "params\n(M)", "macs": "multiply-\nadds (G)"}
TIMES = {
    "latency_ms": "forward\n(ms)",
    "total_ms": "total\n(ms)",
    "fps": "images/s",
    "energy_per_image_j": "energy per\nimage (J)",
}
"""The figures that a table may have, with their headings; columns without any are left out."""

WHOLE = {"fps": "fps_total"}
"""What stands in the place of a figure of forward passes alone."""


def curve_table(records: Sequence[Record]) -> Table:
    """A row for each configuration, in the order of the first record of each; notes on those that
    did not end well, on repeats and on flags.
    """
    found = sorted(configurations(records), key=lambda each: records.index(each.records[0]))
    names = short_names([each.spec for each in found])
    is_measured = any(record.measured for record in records)
    if is_measured and not any(each.estimate("fps") for each in found):
        # Where forward passes give final detections.
        words = {WHOLE.get(word, word): heading for word, heading in TIMES.items()}
    else:
        words = TIMES if is_measured else COUNTS
    shown = {
        word: heading
        for word, heading in words.items()
        if any(each.estimate(word) for each in found)
    }
    rows = [[names[each.spec], *(_shown(each, word) for word in shown)] for each in found]
    notes = [
        *endings((each.newest for each in found), names),
        *repeats_note(found, names),
        *flag_notes(found, names),
    ]
    return Table([NETWORK, *map(Column, shown.values())], rows, notes=notes)


def _shown(configuration: Configuration, word: str) -> str:
    estimate = configuration.estimate(word)
    if estimate is None:
        return MISSING
    text = _rounded(estimate, word)
    return f"{text}{FLAWED}" if estimate.flaws else text


def _rounded(estimate: Estimate, word: str) -> str:
    scale = QUANTITIES[word].scale
    if estimate.is_counted or estimate.interval is None:
        return QUANTITIES[word].show(estimate.value)
    least, most = (scale.factor * bound for bound in estimate.interval)
    return rounded(estimate.value * scale.factor, (least, most), scale)
