"""Prove or disprove on a card what archbench takes for granted of cards, in eight minutes.

    python benchmarks/card.py --steps checks            # 3 minutes at most
    python benchmarks/card.py --steps tables            # 5 minutes at most: VoVNet's Tables 2 and 4
    python benchmarks/card.py --only card doctor        # some of the checks

Each check runs in a process of its own, ends by its own limit, and prints what was expected beside
what was seen; the most valuable come first, and what the limit of all leaves no time for is named.
What is measured is appended to `--results`, and so are the findings, as findings.ndjson. The tables
go on where an earlier call was cut short.

Without a card the same steps run on the CPU, with small networks and as far as they go: that shows
that they run, and nothing of a card. Packages that the card's machine lacks may lie in a folder
that PYTHONPATH names.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

GRACE_S = 12.0
"""How long a step that is interrupted may take to keep what it has."""
FINDINGS = "findings.ndjson"
"""Not of a name that records have."""
LEAST_S = 5.0
"""Seconds below which a step is not begun."""
STEPS = Path(__file__).with_name("card_steps.py")
TOP = STEPS.parents[1]
MARKS = {True: "as expected", False: "OTHERWISE", None: "not told"}


@dataclass(frozen=True)
class Step:
    """A part of the checks, or the tables: its name, the most seconds that it takes, and what it
    is about.
    """

    name: str
    limit_s: float
    about: str


CHECKS = (
    Step("packages", 20, "what the house needs is there"),
    Step("card", 60, "processes, UUIDs, the driver's pace; events, the host's clock, busy time"),
    Step("doctor", 20, "what can be measured"),
    Step("classifier", 30, "ResNet-50, eager and as a graph beside it"),
    Step("detector", 40, "RefineDet320 with VoVNet-39, eager and as a graph beside it"),
    Step("graphs", 40, "ResNet-50 replayed as a graph"),
    Step("operators", 40, "the operators' tests on a card"),
    Step("repeat", 25, "ResNet-50 once more"),
    Step("compiled", 60, "ResNet-50 in tf32 under torch.compile"),
    Step("regions", 75, "Faster R-CNN under reduce-overhead"),
    Step("roofline", 45, "ResNet-50 in bf16 with the roofline"),
)
TABLES = (Step("tables", 288, "VoVNet's Tables 2 and 4, with energy"),)
ROUNDS = {"checks": (CHECKS, 180.0), "tables": (TABLES, 300.0)}
"""The steps of a call, and the most seconds that all of them take."""


def lines(process: subprocess.Popen[str], until: float) -> Iterator[str]:
    """What a process prints, line by line as it does, until it ends or a time is reached."""
    heard: SimpleQueue[str | None] = SimpleQueue()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            heard.put(line)
        heard.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while (left := until - time.monotonic()) > 0:
        try:
            line = heard.get(timeout=left)
        except Empty:
            return
        if line is None:
            return
        yield line


def end(process: subprocess.Popen[str]) -> None:
    """Ask a step to come to its end where it has not, and end it and all of its group."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(step: Step, seconds: float, results: Path) -> list[dict[str, Any]]:
    """Run a step for so many seconds at most; give and print what it found, line by line."""
    command = [sys.executable, str(STEPS), step.name, str(results), str(seconds)]
    begun = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=TOP, start_new_session=True
    )
    found: list[dict[str, Any]] = []
    try:
        for line in lines(process, begun + seconds):
            if not line.startswith("{"):
                print(f"  {line.rstrip()}", flush=True)
                continue
            found.append({"step": step.name, **json.loads(line)})
            tell(found[-1])
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, begun + seconds - time.monotonic()))
        code = process.poll()
    finally:
        end(process)
    if code is None:
        print(f"  cut short after {seconds:.0f} s: what it had measured counts", flush=True)
    elif code:
        found.append(failed(step, code))
        tell(found[-1])
    return found


def failed(step: Step, code: int) -> dict[str, Any]:
    """What is to be said of a step that ended of something else than its limit."""
    what, expected = "the step itself", "ends with 0"
    return {
        "step": step.name,
        "what": what,
        "expected": expected,
        "seen": f"ended with {code}",
        "holds": False,
    }


def tell(finding: dict[str, Any]) -> None:
    """Print what was expected beside what was seen."""
    mark = MARKS[finding["holds"]]
    print(f"  {mark:>11}  {finding['what']}", flush=True)
    print(f"{'':15}expected: {finding['expected']}\n{'':15}seen:     {finding['seen']}", flush=True)


def go_through(steps: Sequence[Step], limit_s: float, results: Path) -> list[dict[str, Any]]:
    """Run steps one after another for so many seconds at most, and keep what they found."""
    deadline, found = time.monotonic() + limit_s, []
    results.mkdir(parents=True, exist_ok=True)
    for step in steps:
        seconds = min(step.limit_s, deadline - GRACE_S - time.monotonic())
        if seconds < min(LEAST_S, step.limit_s):
            print(f"{step.name}: no time left", flush=True)
            continue
        print(f"{step.name}: {step.about}, {seconds:.0f} s at most", flush=True)
        findings = run(step, seconds, results)
        with (results / FINDINGS).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(finding) + "\n" for finding in findings)
        found += findings
    return found


def main() -> int:
    """Run what is asked for; 1 where something was otherwise than expected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", nargs="+", choices=ROUNDS, default=list(ROUNDS))
    parser.add_argument("--only", nargs="+", choices=[step.name for step in CHECKS + TABLES])
    parser.add_argument(
        "--limit",
        type=float,
        help="End each round after this many seconds, if that is sooner than its own limit.",
    )
    parser.add_argument("--results", type=Path, default=Path("results") / "card")
    asked = parser.parse_args()
    found = []
    for name in asked.steps:
        steps, limit_s = ROUNDS[name]
        chosen = [step for step in steps if not asked.only or step.name in asked.only]
        limit_s = min(limit_s, asked.limit or limit_s)
        found += go_through(chosen, limit_s, asked.results.absolute())
    counts = {holds: sum(finding["holds"] is holds for finding in found) for holds in MARKS}
    print("; ".join(f"{mark}: {counts[holds]}" for holds, mark in MARKS.items()))
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
