"""The published pairs with their costs and accuracies, as a table for people."""

from __future__ import annotations

from archbench.quantities import QUANTITIES
from archbench.report.data.names import wrap_name
from archbench.report.data.pair_costs import PairCost, pair_costs
from archbench.report.tables.compare import name_width, named_lines
from archbench.report.tables.deciding import accuracy_text
from archbench.report.tables.table import MISSING, Column, Table

SHOWN = ("params", "macs", "mac_eq1")
DATASETS = {"coco-test-dev": "AP, coco-\ntest-dev", "voc2007-test": "mAP, voc\n2007-test"}
"""The data sets whose accuracies have a column, with its heading."""
COLUMNS = [
    Column("params\n(M)"),
    Column("multiply-\nadds (G)"),
    Column("MAC\n(Eq. 1)\n(M)"),
    *(Column(heading) for heading in DATASETS.values()),
]
NOTE = (
    "Published accuracies, %; do not compare across data sets. --json has further data sets. "
    "archbench list pairs also shows the pairs that do not build."
)


def table(width: int | None) -> Table:
    """Give a row for each pair that can be built."""
    pairs = pair_costs()
    cells = [_cells(pair) for pair in pairs]
    left = name_width(COLUMNS, cells, width)
    lines = [
        line
        for pair, row in zip(pairs, cells, strict=True)
        for line in named_lines(wrap_name(pair.name, left), row)
    ]
    return Table([Column("network", "left"), *COLUMNS], lines, notes=[NOTE])


def _cells(pair: PairCost) -> list[str]:
    counts = [
        QUANTITIES[word].show(pair.counts[word]) if word in pair.counts else MISSING
        for word in SHOWN
    ]
    found = {figure.dataset: accuracy_text(figure.value) for figure in pair.accuracies}
    return [*counts, *(found.get(dataset, MISSING) for dataset in DATASETS)]
