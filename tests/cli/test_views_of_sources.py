"""Views of records of networks from elsewhere, none of which is here: each shows them, and imports
no source.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.reasons import Status
from archbench.records import Metric, Record, Store
from archbench.settings import Settings
from archbench.spec import Spec

NAMES = {
    "timm:convnext_nowhere.fb_in1k": "retinanet",
    "torchvision:fasterrcnn_nowhere": None,
    "transformers:NowhereForObjectDetection": None,
    "gone/nets.py:TinyDetector@3fa2c1": None,
    "gone/nets.py:tiny_backbone@3fa2c1": "ssd",
    "gone/model.pt2@3fa2c1": None,
    "gone/model.onnx": None,
    "module:TinyDetector@3fa2c1": None,
    "later:SomeNetwork": None,
}
"""A network of each source, and one of a later version's; the detector that each stands under."""
SOURCES = ("timm", "torchvision", "transformers", "onnx", "ultralytics", "nets")
VIEWS = {
    "list": (),
    "list columns": (),
    "list pairs": (),
    "compare": NAMES,
    "compare --csv": NAMES,
    "compare --json": NAMES,
    "compare --baseline gone/model.pt2": NAMES,
    "compare --backbone gone/nets.py:TinyDetector": ("gone/nets.py:TinyDetector@3fa2c1",),
    "choose --max latency=1s": (),
    "claims vovnet/table2 --no-count": (),
    "reproduce vovnet/table2": (),
    "plot trade-off --data": (),
    "report --out page.html": (),
}
"""Commands, and the networks that each shows by their whole names."""
CODE = """
import importlib.abc, json, subprocess, sys

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sources}:
            raise AssertionError("a view imports " + name)

def refuse(*command, **_):
    raise AssertionError(f"a view starts {{command}}")

subprocess.Popen = refuse
sys.meta_path.insert(0, Refusing())
from archbench.cli.main import run
code = run({words})
loaded = sorted({{"torch", *{sources}}} & {{name.partition(".")[0] for name in sys.modules}})
print(json.dumps([code, loaded]), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a record of each network, and none of the networks."""
    folder = tmp_path_factory.mktemp("views")
    store = Store(folder / "results")
    for number, (name, detector) in enumerate(NAMES.items(), start=1):
        final = name.startswith("torchvision")
        time = Metric.of(
            "total_ms" if final else "latency_ms", 10.0 * number, "host clock", "model"
        )
        store.append(
            Record(
                spec=Spec(name, detector, 320, 320, classes=20 if detector else None),
                settings=Settings(),
                status=Status.OK,
                counted={"params": 10**6 * number, "macs": 10**9 * number},
                measured={"total_ms" if final else "latency_ms": time},
                environment={"device": "cpu", "device_name": "Example CPU", "threads": 2},
            )
        )
    return folder


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_them_and_imports_none(view: str, folder: Path) -> None:
    words = view.split()
    code = CODE.format(sources=SOURCES, words=words)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True
    )
    *_, last = done.stderr.splitlines()
    # There is nothing to choose from: none of these has a published accuracy.
    assert json.loads(last) == [2 if words[0] == "choose" else 0, []], done.stderr
    shown = done.stdout.replace("\n", "")
    assert [name for name in VIEWS[view] if name not in shown] == []


def test_the_page_and_the_data_of_plots_name_them(folder: Path) -> None:
    """Of what the views above have written."""
    for file in ("page.html", "plots/trade-off.csv"):
        if not (folder / file).exists():
            pytest.skip(f"{file} is written by another test, which did not run")
        text = (folder / file).read_text(encoding="utf-8")
        assert {name for name in NAMES if name not in text} == set(), file
