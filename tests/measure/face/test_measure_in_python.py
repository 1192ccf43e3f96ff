"""`archbench.measure`: networks by name and modules that are there, measured from Python."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench import api
from archbench.measure.face.measuring import _settings
from archbench.measure.job.supervisor import JOB
from archbench.reasons import Status
from archbench.records import Store
from archbench.spec import MODULE, UsageError
from archbench.zoo import catalogue
from archbench.zoo.sources.module.structure import structure_hash

QUICK: dict[str, Any] = {"quick": True, "budget_s": 0.2, "device": "cpu"}
WILD = """
import torch
from torch import nn

class Wild(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3)

    def forward(self, images):
        maps = self.stem(images)
        return maps * 2 if maps.sum().item() > 0 else maps

def within():
    class Inner(Wild):
        pass
    return Inner()
"""


class Outputs(NamedTuple):
    maps: Tensor
    scores: list[Tensor]


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, pictures: Tensor) -> Outputs:
        maps = self.norm(self.stem(pictures))
        return Outputs(maps, [maps.mean()])


@pytest.fixture
def wild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A file of one's own, imported."""
    path = tmp_path / "wild_nets.py"
    path.write_text(WILD, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("wild_nets", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "wild_nets", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which a module travels, known as in a worker once it is written."""
    catalogue.forget()
    (tmp_path / "travel").mkdir()
    monkeypatch.setenv(api.MODULE_FOLDER, str(tmp_path / "travel"))
    yield tmp_path / "travel"
    catalogue.forget()


def test_a_module_is_measured_and_stays_as_it_is(tmp_path: Path) -> None:
    module = Net().train()
    before = {name: held.clone() for name, held in module.state_dict().items()}
    results = tmp_path / "results"
    record = archbench.measure(module, (2, 3, 32, 32), **QUICK, results=results)
    assert record.status == Status.OK
    assert record.value("latency_ms")
    assert (record.spec.origin, record.spec.batch, record.spec.size) == (MODULE, 2, "32x32")
    assert record.spec.backbone == f"module:Net@{structure_hash(module)}"
    assert record.counted
    assert (record.counted["macs"], record.counted["params"]) == (32 * 32 * 8 * 27, 8 * 28 + 16)
    assert record.environment["module_travelled_as"] == "export"
    assert record.conditions["weights"] == "its own"
    assert record.metrics["total_ms"].reason == "no_postprocess"
    assert record.command().startswith("# archbench.measure in Python")
    assert [kept.spec for kept in Store(results).read()] == [record.spec]
    assert module.training
    assert all(map(torch.equal, before.values(), module.state_dict().values()))


def test_a_name_is_measured_as_profile_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = archbench.measure("mobilenet", size=32, width=0.25, **QUICK)
    assert record.spec == catalogue.resolve("mobilenet", size=32, width=0.25).spec
    assert record.settings
    assert (record.status, record.settings.budget_s) == (Status.OK, 0.2)
    assert [*tmp_path.iterdir()] == []


def test_an_export_gives_what_the_module_gave(folder: Path) -> None:
    module, images = Net().eval(), torch.randn(2, 3, 16, 16)
    spec, dtype = api.hand_over(module, {"pictures": images}, folder)
    assert (spec.batch, spec.size, dtype) == (2, "16x16", "float32")
    with torch.inference_mode():
        maps, scores = api.build_spec(spec)(images)
        expected = module(images)
    torch.testing.assert_close(maps, expected.maps)
    torch.testing.assert_close(scores, expected.scores[0])
    assert api.own_code(spec)["module_travelled_as"] == "export"


def test_what_is_not_exported_is_made_anew_with_its_weights(folder: Path, wild: ModuleType) -> None:
    module, images = wild.Wild(), torch.randn(1, 3, 16, 16)
    spec, _ = api.hand_over(module, None, folder, size=16)
    with torch.inference_mode():
        torch.testing.assert_close(api.build_spec(spec)(images), module(images))
    report = api.cost_spec(spec)
    assert (report.macs, report.counted_on) == (14 * 14 * 4 * 27, "cpu")
    facts = api.own_code(spec)
    assert facts["module"] == "wild_nets.Wild"
    assert facts["code_file"] == str(Path(wild.__file__ or "").resolve())


def test_a_module_that_is_trained_goes_by_its_source(folder: Path, wild: ModuleType) -> None:
    spec, _ = api.hand_over(wild.Wild(), None, folder, size=16, batch=2, mode="train")
    assert spec.mode == "train"
    assert not (folder / "module.pt2").exists()


def test_a_module_that_cannot_travel_is_told_why(folder: Path, wild: ModuleType) -> None:
    changed = wild.Wild()
    changed.extra = nn.Linear(2, 2)
    for module, message in (
        (wild.Wild(8), r"Wild\(\) has another structure"),
        (changed, r"Wild\(\) has another structure"),
        (wild.within(), "its class stands within a function"),
        (Net().to("meta"), "on the meta device"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            api.hand_over(module, (1, 3, 16, 16), folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs an input"),
        ({"input": (1, 5)}, r"\[1, 5\] is given"),
        ({"input": (1, 1, 8, 8)}, r"\[1, 1, 8, 8\] is given"),
        ({"input": (1, 3, 8, 8), "size": 8}, "leave out size and batch"),
        ({"size": 8, "batch": 0}, r"\[0, 3, 8, 8\] is given"),
        ({"size": 8, "classes": 3}, "as it is, without classes"),
        ({"size": 8, "depth": 3}, "as it is, without depth"),
        ({"size": 8, "weights": "w.pt"}, "has its own weights"),
        ({"size": 8, "budget_s": "5"}, "Expected float, got str in budget_s"),
        ({"size": 8, "threads": 1.5}, "Expected int . null, got float in threads"),
        ({"size": 8, "engine": None}, "Expected str, got null in engine"),
        ({"detector": (1, 3, 8, 8), "input": (1, 3, 8, 8)}, "two inputs are given"),
        ({"size": 8, "precision": "fp8"}, r"invalid precision 'fp8' \(choose from"),
    ],
)
def test_a_mistake_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        archbench.measure(Net(), **given)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(UsageError, match="an object of type int cannot be measured"):
        archbench.measure(3)
    with pytest.raises(UsageError, match="did you mean vovnet39"):
        archbench.measure("vovnet38")
    with pytest.raises(UsageError, match="was a module in memory, which is gone"):
        archbench.measure("module:Net@123456")


def test_a_worker_measures_nothing_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A past bug: a file that measured itself by name started workers without end."""
    monkeypatch.setenv(JOB, "1")
    with pytest.raises(UsageError, match="__main__"):
        archbench.measure("mobilenet")


def test_settings_may_be_of_the_types_of_libraries() -> None:
    settings, rest = _settings(
        {"device": torch.device("cpu"), "seed": np.int64(3), "weights": Path("w.pt"), "depth": 3},
        is_quick=True,
    )
    assert (settings.device, settings.seed, settings.weights) == ("cpu", 3, "w.pt")
    assert rest == {"depth": 3}


def test_it_travels_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(archbench.measure)) is archbench.measure


def test_the_function_and_the_package_are_one_without_torch() -> None:
    code = (
        "import sys, archbench, archbench.measure.job.result\n"
        "assert callable(archbench.measure)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_a_module_runs_in_other_engines_with_its_own_weights() -> None:
    pytest.importorskip("onnxruntime")
    record = archbench.measure(Net(), size=32, **QUICK, engine="onnxruntime")
    assert (record.status, record.reason) == (Status.OK, None)
    assert record.conditions["weights"] == "its own"
    assert record.value("engine_error") is not None
    assert (record.value("engine_error") or 0.0) < 1e-4


def test_a_graph_stands_alone(tmp_path: Path) -> None:
    for given in ({"detector": "ssd300"}, {"classes": 3}, {"width": 8}, {"mode": "train"}):
        with pytest.raises(UsageError, match="runs as exported"):
            archbench.measure(str(tmp_path / "model.onnx"), **given)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be read"):
        archbench.measure(str(tmp_path / "model.onnx"))
