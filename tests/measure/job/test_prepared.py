"""Networks that an engine runs: prepared once, held against eager, timed without being built."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from archbench import child
from archbench.api import build_shell, build_spec
from archbench.engines.graphs import files_of
from archbench.engines.outputs import flattened
from archbench.measure.job import agreeing, reference
from archbench.measure.job.bench import Bench
from archbench.measure.job.preparing import places_of
from archbench.measure.job.supervisor import run_job
from archbench.measure.machine.devices import open_device
from archbench.reasons import Flag, Reason
from archbench.records import Metric, Record, Store
from archbench.settings import Settings
from archbench.spec import Spec
from archbench.zoo.catalogue import resolve

FAST = Settings(
    device="cpu", engine="onnxruntime", target=0.5, n_min=3, t_min_s=0.01, budget_s=0.5, threads=1
)
TINY = resolve("resnet18", size=32, classes=10).spec


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/archbench/engines"


@pytest.fixture
def measured(shelf: Path, tmp_path: Path) -> Callable[..., tuple[Record, list[str]]]:
    """Measure in an engine; gives the record and the phases that were gone through."""

    def measure(spec: Spec, settings: Settings = FAST) -> tuple[Record, list[str]]:
        phases: list[str] = []
        record = run_job(
            spec,
            settings,
            Store(tmp_path / "results"),
            on_progress=lambda news: phases.append(news["phase"]),
        )
        return record, list(dict.fromkeys(phases))

    return measure


def test_a_network_is_prepared_once_and_equals_eager(
    measured: Callable[..., tuple[Record, list[str]]],
    shelf: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    for name in child.WAITING:
        monkeypatch.delenv(name, raising=False)
    record, phases = measured(TINY)
    assert record.status == "ok", record.reason
    assert phases[:5] == ["preflight", "count", "build", "export", "reference"]
    assert record.value("engine_error") < 1e-4
    assert record.value("engine_prepare_s") > 0
    assert record.value("engine_compile_s") > 0
    assert record.value("engine_file_bytes") > 4 * 11_000_000
    assert record.metrics["engine_matched"].reason == Reason.NO_POSTPROCESS
    assert record.metrics["mem_params_bytes"].reason == Reason.IN_ENGINE
    eager, _ = measured(TINY, replace(FAST, engine="eager"))
    assert record.counted == eager.counted
    assert record.environment["variables"]["OMP_WAIT_POLICY"] == "passive"
    assert "OMP_WAIT_POLICY" not in eager.environment["variables"]
    assert list(record.environment["engine_versions"]) == ["onnxruntime"]
    assert record.conditions["engine"]["spinning"] == "off"
    other = replace(FAST, engine="openvino")
    assert places_of(TINY, other, shelf).exported == places_of(TINY, FAST, shelf).exported
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    again, phases = measured(TINY)
    assert again.status == "ok"
    assert again.environment["variables"]["OMP_WAIT_POLICY"] == "active"
    assert "export" not in phases
    assert again.value("engine_prepare_s") == record.value("engine_prepare_s")
    assert shelf.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_graph_is_measured_without_an_eager_form(
    measured: Callable[..., tuple[Record, list[str]]], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "tiny.onnx"
    onnx.save(_graph(onnx, onnx.helper.make_node("Relu", ["x"], ["y"])), str(path))
    record, _ = measured(Spec(str(path), None, 8, 8, classes=None))
    assert record.status == "ok", record.reason
    assert record.value("latency_ms") > 0
    assert record.metrics["engine_error"].reason == Reason.NO_EAGER
    assert record.conditions["weights"] == "its own"


@pytest.mark.slow
def test_a_graph_is_quantised_on_pictures(
    measured: Callable[..., tuple[Record, list[str]]], tmp_path: Path
) -> None:
    """A past bug: it was to be built as a module of torch for that, which it is not."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "pictures" / name)
    path = tmp_path / "tiny.onnx"
    weight = onnx.numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "w")
    onnx.save(_graph(onnx, onnx.helper.make_node("Conv", ["x", "w"], ["y"]), weight), str(path))
    settings = replace(FAST, precision="int8", images=str(tmp_path / "pictures"))
    record, _ = measured(Spec(str(path), None, 8, 8, classes=None), settings)
    assert record.status == "ok", record.reason
    assert record.conditions["calibration"] == "2 pictures"


@pytest.mark.slow
def test_a_network_that_an_engine_cannot_hold_is_a_record_with_the_operators_name(
    measured: Callable[..., tuple[Record, list[str]]], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "tiny.onnx"
    mystery = onnx.helper.make_node("Mystery", ["x"], ["y"], domain="my.ops")
    onnx.save(_graph(onnx, mystery), str(path))
    record, _ = measured(Spec(str(path), None, 8, 8, classes=None))
    assert record.status == "error"
    assert record.reason.code == Reason.UNSUPPORTED
    assert record.reason.message == "ONNX Runtime has no operator my.ops:Mystery"


@pytest.mark.slow
def test_what_an_engine_says_of_an_error_is_in_the_record(
    measured: Callable[..., tuple[Record, list[str]]], tmp_path: Path
) -> None:
    """A graph that loads, and reads a channel that its input does not have."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "tiny.onnx"
    tenth = onnx.numpy_helper.from_array(np.array([9, 9, 9]), "tenth")
    node = onnx.helper.make_node("Gather", ["x", "tenth"], ["y"], axis=1)
    onnx.save(_graph(onnx, node, tenth), str(path))
    record, _ = measured(Spec(str(path), None, 8, 8, classes=None))
    assert (record.status, record.reason.phase) == ("error", "cold")
    assert "out of data bounds" in record.reason.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "status", "reason"),
    [
        ("ctypes.string_at(0)", "error", "signal:SIGSEGV"),
        ("os.abort()", "error", "signal:SIGABRT"),
        ("ctypes.PyDLL(None).sleep(600)", "timeout", "deadline"),
    ],
)
def test_a_crash_or_a_hang_in_an_engines_own_code_is_a_record(
    what: str,
    status: str,
    reason: str,
    measured: Callable[..., tuple[Record, list[str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In native code, which no exception leaves and no signal of Python's interrupts."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "tiny.onnx"
    onnx.save(_graph(onnx, onnx.helper.make_node("Relu", ["x"], ["y"])), str(path))
    (tmp_path / "sitecustomize.py").write_text(
        "import ctypes, os, onnxruntime\n"
        f"onnxruntime.InferenceSession.run_with_iobinding = lambda *_: {what}\n"
    )
    folders = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    settings = replace(FAST, deadline_s=30 if reason == "deadline" else None)
    record, phases = measured(Spec(str(path), None, 8, 8, classes=None), settings)
    assert (record.status, record.reason.code) == (status, reason)
    assert record.reason.phase == phases[-1] == "cold"
    assert record.value("engine_file_bytes") > 0


def _graph(onnx: Any, node: Any, *held: Any) -> Any:
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "tiny",
        [onnx.helper.make_tensor_value_info("x", float32, [1, 3, 8, 8])],
        [onnx.helper.make_tensor_value_info("y", float32, [1, 3, 8, 8])],
        held,
    )
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("my.ops", 1)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"weights": "weights.pth"},
        {"engine": "openvino"},
        {"precision": "int8"},
    ],
)
def test_what_bears_on_a_file_is_in_its_key(
    other: dict[str, Any], shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").write_bytes(b"weights")
    first = places_of(TINY, FAST, tmp_path).to_dict()
    assert places_of(TINY, FAST, tmp_path).to_dict() == first
    assert places_of(TINY, replace(FAST, **other), tmp_path).to_dict() != first
    assert places_of(TINY, replace(FAST, budget_s=9.0), tmp_path).to_dict() == first
    assert json.loads(json.dumps(first)) == first


def test_the_seed_bears_on_a_file_of_loaded_weights_too(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an engine is held against, and quantised on, is drawn from it."""
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").write_bytes(b"weights")
    keys = [
        places_of(TINY, replace(FAST, weights="weights.pth", seed=seed), tmp_path).exported
        for seed in (0, 1)
    ]
    assert keys[0] != keys[1]


def test_weights_that_lie_beside_a_graph_are_in_its_key(shelf: Path, tmp_path: Path) -> None:
    """A past bug: a graph whose weights had changed ran with the former ones."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "tiny.onnx"
    graph = _graph(onnx, onnx.helper.make_node("Add", ["x", "w"], ["y"]))
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1, 3, 8, 8], [0.0] * 192)
    graph.graph.initializer.append(weight)
    for tensor in graph.graph.initializer:
        tensor.raw_data = bytes(768)
        del tensor.float_data[:]
        onnx.external_data_helper.set_external_data(tensor, "weights.bin")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
    path.write_bytes(graph.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(bytes(768))
    spec = Spec(str(path), None, 8, 8, classes=None)
    assert files_of(path) == [path, tmp_path / "weights.bin"]
    first = places_of(spec, FAST, tmp_path).exported
    assert places_of(spec, FAST, tmp_path).exported == first
    (tmp_path / "weights.bin").write_bytes(bytes(767) + b"1")
    assert places_of(spec, FAST, tmp_path).exported != first


@pytest.mark.parametrize(
    ("backbone", "detector", "options"),
    [
        ("mobilenet", "ssd300", {}),
        ("resnet18", "retinanet", {"size": 128}),
        ("resnet18", "yolov3-tiny", {"size": 128}),
        ("resnet18", "centernet", {"size": 128}),
        ("resnet18", "faster-rcnn-fpn", {"size": 128, "proposals": 20}),
    ],
)
def test_a_network_without_weights_postprocesses_as_the_one_with_them(
    backbone: str, detector: str, options: dict[str, Any]
) -> None:
    spec = resolve(backbone, detector, **options).spec
    network, shell = build_spec(spec), build_shell(spec)
    assert all(weight.is_meta for weight in shell.parameters())
    with torch.no_grad():
        raw = network(torch.randn(1, 3, spec.height, spec.width))
        scene, counts = network.synthesize(raw, torch.Generator().manual_seed(0))
        again, counts_again = shell.synthesize(raw, torch.Generator().manual_seed(0))
        (found,), (expected,) = shell.postprocess(again), network.postprocess(scene)
    assert counts_again == counts
    assert len(expected) > 0
    assert torch.equal(found.boxes, expected.boxes)
    assert torch.equal(found.scores, expected.scores)


def test_a_graph_has_nothing_to_postprocess_with() -> None:
    shell = build_shell(Spec("model.onnx", None, 8, 8, classes=None))
    assert list(shell.modules()) == [shell]
    assert not hasattr(shell, "postprocess")


class Doubling(nn.Module):
    """A network of which what matters is that it doubles."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [2 * images]


def agreement(
    tmp_path: Path, factor: float, of: Callable[[torch.Tensor], torch.Tensor] = lambda maps: maps
) -> dict[str, Metric]:
    """What is found of an engine that multiplies, a part `of` the maps, where the network
    doubles.
    """
    images = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    network = Doubling()
    path = tmp_path / reference.FILE
    form = reference.refer(network, {reference.RANDOM: [images]}, path)
    bench = Bench(network, open_device(replace(FAST, engine="eager")), iter([images]))
    bench.replay = lambda given: [factor * of(given)]
    return agreeing.agree(bench, form, path)


def test_an_engine_that_computes_something_else_is_flagged_in_fp32(tmp_path: Path) -> None:
    found = agreement(tmp_path, 2.01)
    assert found["engine_error"].value == pytest.approx(0.005, rel=1e-3)
    assert agreeing.differs(found, FAST)
    assert not agreeing.differs(found, replace(FAST, engine="openvino", precision="bf16"))
    assert agreeing.flagged(found)["engine_error"].flags == (Flag.ENGINE_DIFFERS,)
    assert agreeing.flagged(found)["engine_matched"].flags == ()
    assert Flag.ENGINE_DIFFERS.is_flaw


def test_an_engine_that_computes_the_same_is_not_flagged(tmp_path: Path) -> None:
    found = agreement(tmp_path, 2.0)
    assert found["engine_error"].value == 0
    assert not agreeing.differs(found, FAST)


def test_numbers_that_are_not_finite_differ(tmp_path: Path) -> None:
    found = agreement(tmp_path, float("nan"))
    assert found["engine_error"].reason == Reason.NOT_FINITE
    assert agreeing.differs(found, FAST)


def test_another_number_of_detections_differs_and_is_no_error(tmp_path: Path) -> None:
    """A past bug: the job ended as ValueError."""
    found = agreement(tmp_path, 2.0, lambda maps: maps[:, :, :2])
    assert found["engine_error"].reason == Reason.NOT_FINITE
    assert agreeing.differs(found, FAST)


def test_references_come_back_as_they_were(tmp_path: Path) -> None:
    batches = {
        reference.RANDOM: [torch.randn(2, 3, 4, 4)],
        reference.PICTURES: [torch.randn(2, 3, 4, 4) for _ in range(6)],
    }
    path = tmp_path / reference.FILE
    form = reference.refer(Doubling(), batches, path)
    assert form == flattened([torch.zeros(1)])[0]
    cases = list(reference.cases(path))
    assert [case.kind for case in cases] == ["random", *["pictures"] * 4]
    for case, images in zip(cases, [*batches["random"], *batches["pictures"]], strict=False):
        assert torch.equal(case.images, images)
        assert torch.equal(case.outputs[0], 2 * images)
