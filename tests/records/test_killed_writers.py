"""Writers that are killed at any moment, and many at once: no record is lost, none is there twice,
and nothing is left behind after the next start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from archbench.records import Store

KILLS = 500
WRITERS = 8
WRITING_S = 30.0
WRITER = """
import sys
from pathlib import Path
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.spec import Spec
folder, samples = map(Path, sys.argv[1:])
while True:
    store = Store(folder)
    store.prepare()
    for _ in range(20):
        record = Record(Spec("vovnet39", None, 224, 224, 1000), None, Status.OK, counted={"a": 1})
        print(store.append(record, samples).record_id, flush=True)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The command line of a writer of records with samples, which prints what it has written."""
    samples = tmp_path / "job.npz"
    samples.write_bytes(b"numbers" * 100)
    return [sys.executable, "-c", WRITER, str(tmp_path / "results"), str(samples)]


def check(folder: Path, told: list[str]) -> None:
    """See that all that was told of is there once and whole, and nothing else is left."""
    Store(folder, warn=pytest.fail).prepare()
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines()]
    # A line that was torn is of no finished record, and the next writer of its file begins anew.
    found = Counter(json.loads(line)["record_id"] for line in lines if line.endswith(b"}"))
    assert set(found.values()) == {1}
    assert set(told) <= found.keys()
    stems = {path.name for path in (folder / "samples").iterdir()}
    assert stems == {f"{record_id}.npz" for record_id in found}


def finished(out: Iterator[str]) -> list[str]:
    return [line.strip() for line in out if line.endswith("\n")]


@pytest.mark.slow
def test_no_kill_loses_a_record(tmp_path: Path, command: list[str]) -> None:
    random, told = Random(0), list[str]()
    # Eight at a time, so that each is also killed beside others that write and clean.
    for _ in range(-(-KILLS // WRITERS)):
        with ExitStack() as stack:
            writers = [
                stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
                for _ in range(WRITERS)
            ]
            for writer in writers:
                assert writer.stdout
                told.append(writer.stdout.readline().strip())
            for writer in writers:
                time.sleep(random.uniform(0, 0.02))
                os.kill(writer.pid, signal.SIGKILL)
            for writer in writers:
                assert writer.stdout
                told += finished(writer.stdout)
    check(tmp_path / "results", told)


@pytest.mark.slow
def test_many_writers_at_once_lose_no_record(tmp_path: Path, command: list[str]) -> None:
    with ExitStack() as stack:
        outs = [stack.enter_context((tmp_path / f"{i}.txt").open("w+")) for i in range(WRITERS)]
        writers = [subprocess.Popen(command, stdout=out) for out in outs]
        while not all(os.fstat(out.fileno()).st_size for out in outs):
            time.sleep(0.1)
        time.sleep(WRITING_S)
        for writer in writers:
            writer.kill()
        for writer in writers:
            writer.wait()
        told = []
        for out in outs:
            out.seek(0)
            told += finished(out)
    assert len(told) > WRITERS
    check(tmp_path / "results", told)
