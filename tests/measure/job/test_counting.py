"""Networks of a user's own are counted in a process of its own, whatever they do there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archbench.measure.job import counting
from archbench.measure.job.phases import own_code_flags
from archbench.measure.job.result import Result
from archbench.measure.machine import host
from archbench.reasons import Flag
from archbench.spec import Spec, UsageError
from archbench.zoo.catalogue import resolve

TEXT = """
import os, sys, time, importlib
from torch import nn
class Net(nn.Conv2d):
    def __init__(self, does: str = ""):
        print("said", flush=True)
        exec(does)
        super().__init__(3, 8, 1)
    def forward(self, x):
        x = super().forward(x)
        return x[x > 0]
def unseen():
    return importlib.import_module("other").Net()
"""


@pytest.fixture(autouse=True)
def _nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(TEXT, encoding="utf-8")
    Path("other.py").write_text(TEXT, encoding="utf-8")


def spec(name: str = "nets.py:Net", **options: str) -> Spec:
    return resolve(name, size=16, **options).spec


def test_a_count_and_the_other_counters_come_back(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another test may have imported a file of this name.
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    found = counting.count(spec(), check=True)
    assert (found.report.macs, found.report.counted_on) == (16 * 16 * 24, "cpu")
    assert found.check is not None
    assert found.check.fvcore_conv == 16 * 16 * 24
    record = found.record(host.fingerprint())
    assert record.counted == found.report.totals()
    assert record.environment["code_file"] == str(Path("nets.py").resolve())
    assert record.conditions == {
        "counted_on": "cpu",
        "seen_size": "16x16",
        "options": {"does": ""},
    }
    assert capfd.readouterr() == ("", "")
    assert "nets" not in sys.modules


def test_modules_that_the_hash_does_not_cover_are_named() -> None:
    record = counting.count(spec("nets.py:unseen")).record(host.fingerprint())
    assert record.environment["code_unhashed"] == ["other"]
    assert own_code_flags(Result(environment=record.environment)) == [Flag.CODE_UNHASHED]
    assert own_code_flags(Result(environment={"code_file": "nets.py"})) == []


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("raise KeyError('boom')", r"cannot be built: KeyError: 'boom' \(.*nets\.py, line 7\)"),
        ("import ctypes; ctypes.string_at(0)", "the worker died of SIGSEGV"),
    ],
)
def test_what_goes_wrong_there_is_one_line_here(does: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        counting.count(spec(does=does))


LEFT_RUNNING = """
assert os.environ["HF_HUB_OFFLINE"] == "1"
import atexit, threading
os.fork()
threading.Thread(target=time.sleep, args=(3600,)).start()
atexit.register(time.sleep, 3600)
"""


@pytest.mark.slow
def test_what_it_leaves_running_does_not_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process, a thread and a handler of exits; and no hub is asked there."""
    monkeypatch.setattr(counting, "DEADLINE_S", 120.0)
    assert counting.count(spec(does=LEFT_RUNNING)).report.macs == 16 * 16 * 24


def test_it_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "DEADLINE_S", 0.1)
    with pytest.raises(UsageError, match=r"was not counted within 0\.1 s"):
        counting.count(spec(does="while True: time.sleep(1)"))


def test_an_interruption_ends_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        counting.count(spec(does="time.sleep(60)"), interruptions=[2, 2])


def test_a_graph_is_told_by_its_file_and_a_network_of_the_zoo_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "graph_hash", lambda path: f"of {path}")
    assert counting.network_hash(Spec("a.onnx", None, 8, 8, classes=None)) == "of a.onnx"
    assert counting.network_hash(Spec("resnet18", None, 224, 224, classes=1000)) == ""
