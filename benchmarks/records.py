"""What views of many records cost: seconds of processor time and peak memory, each in a process.

    python benchmarks/records.py [RECORDS ...] [--command NAME ...]

The records are copies of the committed ones under new names and times, with times of calls drawn
around the measured ones, a hundred a file. Prints a line a command: its processor time, its peak of
resident memory, and the size of what it wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

COMMITTED = Path(__file__).parent.parent / "results"
A_FILE = 100
SPREAD = 0.02
"""How far the times of copies lie around the measured one."""
COMMANDS = {
    "compare": ["compare"],
    "compare --csv": ["compare", "--csv"],
    "report": ["report", "--no-figures", "--out", "{out}/page.html"],
    "plot": ["plot", "trade-off", "--out", "{out}"],
}


def main() -> None:
    """Make the records, run the commands, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("counts", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument("--command", action="append", choices=COMMANDS)
    asked = parser.parse_args()
    print(f"{'records':>8}  {'command':15}{'processor (s)':>15}{'peak (MB)':>12}{'wrote (MB)':>12}")
    for count in asked.counts:
        with tempfile.TemporaryDirectory() as folder:
            results, out = Path(folder, "results"), Path(folder, "out")
            write(results, count)
            for name in asked.command or COMMANDS:
                out.mkdir(exist_ok=True)
                words = [word.format(out=out) for word in COMMANDS[name]]
                seconds, peak, wrote = run([*words, "--results", str(results)], out)
                print(f"{count:8}  {name:15}{seconds:15.2f}{peak:12.0f}{wrote:12.1f}", flush=True)


def write(folder: Path, count: int) -> None:
    """Write so many records, a hundred a file."""
    folder.mkdir()
    records = copies(count)
    for number in range(-(-count // A_FILE)):
        lines = [
            json.dumps(record, separators=(",", ":")) + "\n" for record in islice(records, A_FILE)
        ]
        (folder / f"{number:06}.jsonl").write_text("".join(lines), encoding="utf-8")


def copies(count: int) -> Iterator[dict[str, Any]]:
    """Copies of the committed records."""
    draw = random.Random(0)
    lines = [line for path in sorted(COMMITTED.glob("*/*.jsonl")) for line in path.open()]
    for index, line in enumerate(islice(cycle(lines), count)):
        record = json.loads(line)
        factor = draw.uniform(1 - SPREAD, 1 + SPREAD)
        for name, metric in record["measured"].items():
            if name.endswith("_ms") and metric["value"]:
                metric["value"] *= factor
        day, second = divmod(index, 86_400)
        time = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        record |= {"record_id": f"{index:016x}", "time_utc": f"2026-01-{1 + day:02}T{time}+00:00"}
        yield record


def run(words: list[str], out: Path) -> tuple[float, float, float]:
    """Run a command; give its seconds of processor time, its peak and what it wrote, in MB."""
    printed = out / "printed.txt"
    with printed.open("wb") as file:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("archbench"), *words], stdout=file, cwd=out
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"archbench {' '.join(words)}: status {status}")
    files = [path for path in out.rglob("*") if path.is_file()]
    wrote = sum(path.stat().st_size for path in files)
    for path in files:
        path.unlink()
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, wrote / 1e6


if __name__ == "__main__":
    main()
