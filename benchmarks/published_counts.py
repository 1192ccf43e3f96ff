"""Write the counts that ship with the package, `archbench/papers/counts.csv`: of every published
network that can be built.

    python benchmarks/published_counts.py       # a few minutes

They are what `archbench list pairs --costs` shows, `choose` bounds and predictions of networks that
nobody has measured follow from, at once and without torch. Tests hold them to the counter.
"""

from __future__ import annotations

import csv
from pathlib import Path

import archbench.papers
from archbench.api import cost_spec
from archbench.papers import figures

OUT = Path(archbench.papers.__file__).with_name("counts.csv")
WORDS = (
    "params",
    "macs",
    "macs_all",
    "macs_depthwise",
    "mac_eq1",
    "activation_peak_bytes",
    "bytes_all",
    "call_count",
)


def main() -> None:
    """Count every network and write a row for each."""
    specs = dict.fromkeys(spec for figure in figures() if (spec := figure.spec()))
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["network", *WORDS])
        for spec in specs:
            totals = cost_spec(spec).totals()
            writer.writerow([str(spec), *(totals[word] for word in WORDS)])
            file.flush()


if __name__ == "__main__":
    main()
