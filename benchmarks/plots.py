"""What a plot takes, from the command line to its files: 1,000 records of Huang et al.'s grid, in
fresh processes.

    python benchmarks/plots.py [--rounds N] [NAME...]

The records are made up by rule, written to a folder that is removed in the end, and stand for
nothing; what is timed is reading, putting together, and drawing as PNG and SVG. Rounds are
interleaved, so that a slow moment of the machine falls on all alike. Beside the wall time stands
the processor's: where the machine is shared it is the one that repeats.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import count, islice, product
from pathlib import Path
from unittest import mock

from archbench.papers.grid import points
from archbench.records import Metric, Record, Store
from archbench.settings import Settings

RECORDS = 1000
NAMES = (
    "speed-accuracy",
    "proposals",
    "time",
    "flops-time",
    "memory",
    "roofline",
    "explains",
    "trade-off",
)
ENVIRONMENTS = (
    {"device": "cuda:0", "device_name": "Example GPU", "threads": 4},
    {"device": "cpu", "device_name": "Example CPU", "threads": 2},
)
ROOFS = {"flops_per_s": 2e13, "bytes_per_s": 1e12, "element_bytes": 4}


def fill(folder: Path) -> None:
    """Write the records: every point of the grid on two devices, over and over."""
    store = Store(folder)
    everywhere = (found for _ in count() for found in product(points(), ENVIRONMENTS))
    with mock.patch("os.fsync"):  # A thousand records, none of them worth a disk's time.
        for number, (point, environment) in enumerate(islice(everywhere, RECORDS)):
            ms = 1.0 + (number * 7919 % 997) / 10
            spread = {"n": 50, "median": ms, "ci95": [0.99 * ms, 1.02 * ms]}
            measured = {
                name: Metric(
                    factor * ms, unit, protocol="model", spread=spread if unit == "ms" else None
                )
                for name, factor, unit in (
                    ("latency_ms", 1.0, "ms"),
                    ("total_ms", 1.1, "ms"),
                    ("postprocess_ms", 0.1, "ms"),
                    ("backbone_ms", 0.7, "ms"),
                    ("heads_ms", 0.3, "ms"),
                    ("fps", 10.0, "images/s"),
                    ("flops_per_s", 1e9, "1/s"),
                    ("energy_per_image_j", 0.2, "J"),
                    ("mem_alloc_peak_bytes", 1e6, "bytes"),
                )
            }
            words = (
                "params",
                "macs",
                "flops",
                "mac_eq1",
                "cio",
                "activation_peak_bytes",
                "activation_total_bytes",
                "bytes_all",
            )
            counted = {
                word: 10**6 * (1 + (number * 31 + index) % 499) for index, word in enumerate(words)
            }
            store.append(
                Record(
                    spec=point.spec,
                    settings=Settings(),
                    status="ok",
                    counted=counted | {"uncounted": []},
                    measured=measured,
                    environment=environment,
                    conditions={"roofline": ROOFS},
                )
            )


def seconds(name: str, folder: Path) -> tuple[float, float]:
    """Wall and processor seconds of one plot in a process of its own."""
    code = "import sys; from archbench.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "plot",
        name,
        "--results",
        str(folder),
        "--out",
        str(folder / "plots"),
    ]
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    used = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return time.perf_counter() - start, used


def main() -> None:
    """Time and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"plots to draw (default {' '.join(NAMES)})"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="times that each is drawn (default 5)"
    )
    asked = parser.parse_args()
    names = asked.names or NAMES
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        for _ in range(asked.rounds):
            for name in names:
                samples[name].append(seconds(name, Path(folder)))
    print(
        f"{RECORDS} records, median of {asked.rounds} "
        f"rounds\n{'plot':20}{'wall (s)':>10}{'CPU (s)':>10}"
    )
    for name, found in samples.items():
        wall, used = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"{name:20}{wall:10.2f}{used:10.2f}")


if __name__ == "__main__":
    main()
