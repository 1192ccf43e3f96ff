"""Engines run a file as torch runs the same layers: outputs, threads, operators that they lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from archbench.engines import ENGINES
from archbench.engines.engine import FileEngine, How, UnsupportedError
from archbench.engines.graphs import files_of, fix
from archbench.spec import UsageError

pytest.importorskip("onnx")
from onnx import TensorProto, helper, load, numpy_helper, save

WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def write(path: Path, nodes: list[Any], sides: list[Any], outputs: int = 1, **tensors: Any) -> Path:
    """Write a graph that reads `images` and gives `out0` and so on."""
    read = [helper.make_tensor_value_info("images", TensorProto.FLOAT, sides)]
    given = [
        helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, None) for i in range(outputs)
    ]
    held = [numpy_helper.from_array(value, name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "tiny", read, given, held)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("my.ops", 1)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    return path


def layers() -> list[Any]:
    return [
        helper.make_node("Conv", ["images", "weight"], ["mapped"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["mapped"], ["out0"]),
        helper.make_node("Sigmoid", ["mapped"], ["out1"]),
    ]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One convolution with two outputs."""
    path = tmp_path_factory.mktemp("graphs") / "tiny.onnx"
    return write(path, layers(), [2, 3, 8, 8], 2, weight=WEIGHT.numpy())


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_outputs_may_have_another_shape_in_every_call(name: str, tmp_path: Path) -> None:
    """A past bug: a graph that ends in suppression failed in its second call."""
    nodes = [
        helper.make_node("NonZero", ["images"], ["places"]),
        helper.make_node("Cast", ["places"], ["out0"], to=TensorProto.FLOAT),
    ]
    run = of(name).load(write(tmp_path / "found.onnx", nodes, [1, 3, 8, 8]), how()).run
    for count in (3, 0, 5):
        images = torch.zeros(1, 3, 8, 8)
        images.view(-1)[:count] = 1
        assert run(images)[0].shape == (4, count)


def of(name: str) -> FileEngine:
    """An engine, where its library is installed."""
    pytest.importorskip(name)
    engine = ENGINES[name]
    assert isinstance(engine, FileEngine)
    return engine


def how(precision: str = "fp32", *, spin: bool = False) -> How:
    return How(precision, threads=1, device=torch.device("cpu"), spin=spin)


def expected(images: Tensor) -> list[Tensor]:
    mapped = F.conv2d(images, WEIGHT, padding=1)
    return [mapped.relu(), mapped.sigmoid()]


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_engine_gives_what_torch_gives_call_after_call(name: str, tiny: Path) -> None:
    run = of(name).load(tiny, how()).run
    for images in (IMAGES, IMAGES + 1, IMAGES.to(memory_format=torch.channels_last)):
        for found, wanted in zip(run(images), expected(images), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_threads_of_onnxruntime_spin_only_where_they_are_to(tiny: Path) -> None:
    engine = of("onnxruntime")
    assert engine.load(tiny, how()).facts["spinning"] == "off"
    assert engine.load(tiny, how(spin=True)).facts["spinning"] == "on"


def test_cards_take_another_distribution_of_onnxruntime(tiny: Path) -> None:
    engine = of("onnxruntime")
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this is the distribution for cards")
    with pytest.raises(UsageError, match="pip install onnxruntime-gpu"):
        engine.load(tiny, How("fp32", threads=1, device=torch.device("cuda")))


def test_openvino_computes_in_the_precision_that_is_asked_for(tiny: Path) -> None:
    facts = of("openvino").load(tiny, how()).facts
    assert facts["inference_precision_hint"] == "f32"
    assert facts["inference_num_threads"] == "1"
    assert facts["num_streams"] == "1"


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_operator_that_an_engine_lacks_is_named(name: str, tmp_path: Path) -> None:
    node = helper.make_node("Mystery", ["images"], ["out0"], domain="my.ops")
    path = write(tmp_path / "mystery.onnx", [node], [2, 3, 8, 8])
    with pytest.raises(UnsupportedError, match=r"has no operator my\.ops.Mystery"):
        of(name).load(path, how())


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_any_other_error_of_an_engine_stays_as_it_is(name: str, tmp_path: Path) -> None:
    """A past bug: it was raised as its own cause, which whoever looks for the first never finds."""
    engine = of(name)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(Exception, match=r"model\.onnx") as error:
        engine.load(path, how())
    assert not isinstance(error.value, UnsupportedError)
    assert error.value.__cause__ is None


def test_weights_of_16_bits_are_near_those_of_32(tiny: Path, tmp_path: Path) -> None:
    engine = of("onnxruntime")
    made = engine.convert(tiny, tmp_path, "fp16", [])
    # On the CPU, which computes in fp32 what it reads in 16 bits.
    for found, wanted in zip(engine.load(made, how()).run(IMAGES), expected(IMAGES), strict=True):
        assert found.dtype == torch.float32
        assert 0 < float((found - wanted).abs().max() / wanted.abs().max()) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("name", "package"), [("onnxruntime", "onnx"), ("openvino", "nncf")])
def test_a_quantised_network_is_near_the_one_that_it_is_made_of(
    name: str, package: str, tiny: Path, tmp_path: Path
) -> None:
    pytest.importorskip(package)
    engine = of(name)
    assert engine.converts("int8")
    made = engine.convert(tiny, tmp_path, "int8", [IMAGES + 0.1 * i for i in range(4)])
    assert_near(engine.load(made, how("int8")).run(IMAGES))


def assert_near(quantised: list[Tensor]) -> None:
    """Hold what integers give against what real numbers do: near, and not the same."""
    for found, wanted in zip(quantised, expected(IMAGES), strict=True):
        assert 0 < float((found - wanted).abs().max() / wanted.abs().max()) < 0.1


def test_a_graph_that_lists_its_weights_among_its_inputs_is_quantised(
    tiny: Path, tmp_path: Path
) -> None:
    """As older exporters do, the weights first here."""
    engine = of("onnxruntime")
    model = load(str(tiny))
    weight = helper.make_tensor_value_info("weight", TensorProto.FLOAT, [4, 3, 3, 3])
    model.graph.input.insert(0, weight)
    save(model, str(tmp_path / "older.onnx"))
    made = engine.convert(tmp_path / "older.onnx", tmp_path, "int8", [IMAGES])
    assert_near(engine.load(made, how("int8")).run(IMAGES))


def test_a_graph_is_copied_with_every_axis_set(tmp_path: Path) -> None:
    path = write(tmp_path / "free.onnx", layers(), ["n", 3, "h", "w"], 2, weight=WEIGHT.numpy())
    made = tmp_path / "set.onnx"
    assert fix(path, made, size=(8, 8), batch=2) == 2
    run = of("onnxruntime").load(made, how()).run
    torch.testing.assert_close(run(IMAGES), expected(IMAGES), rtol=1e-5, atol=1e-5)


def test_weights_beyond_what_a_file_holds_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = helper.make_node("Add", ["images", "weight"], ["out0"])
    weight = np.arange(3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64)
    path = write(tmp_path / "large.onnx", [node], [1, 3, 64, 64], weight=weight)
    monkeypatch.setattr("archbench.engines.onnx.exporting.LARGEST_FILE", weight.nbytes)
    (tmp_path / "made").mkdir()
    made = tmp_path / "made/model.onnx"
    fix(path, made, size=(64, 64), batch=1)
    assert made.stat().st_size < weight.nbytes
    assert sorted(files_of(made)) == [made, made.with_name("model.onnx.data")]
    (out,) = of("onnxruntime").load(made, how()).run(torch.ones(1, 3, 64, 64))
    assert torch.equal(out, torch.from_numpy(weight) + 1)


def test_a_graph_of_other_inputs_than_images_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["images"], ["out0"])
    path = write(tmp_path / "grey.onnx", [node], [1, 1, 8, 8], half=np.zeros(1, np.float16))
    with pytest.raises(UsageError, match=r"takes 'images', float \[1, 1, 8, 8\]"):
        fix(path, tmp_path / "set.onnx", size=(8, 8), batch=1)
