"""What a graph reads, by its file's own encoding, as onnx itself reads it."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest

helper = pytest.importorskip("onnx.helper", reason="ONNX models are written by onnx")

from onnx import TensorProto  # noqa: E402

from archbench.counting.onnx import input_of  # noqa: E402
from archbench.spec import UsageError  # noqa: E402
from archbench.zoo import catalogue  # noqa: E402

Sides = tuple[Any, ...]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def model(*inputs: Sides) -> bytes:
    """A model that reads these, and lists its weight among its inputs as older ones do."""
    info = helper.make_tensor_value_info
    weight = TensorProto(name="w", dims=[9, 9], data_type=1, float_data=[0.0] * 81)
    read = [info(f"x{place}", TensorProto.FLOAT, sides) for place, sides in enumerate(inputs)]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x0"], ["y"])],
        "graph",
        [info("w", TensorProto.FLOAT, [9, 9]), *read],
        [info("y", TensorProto.FLOAT, None)],
        [weight],
    )
    made: bytes = helper.make_model(graph).SerializeToString()
    return made


def write(*inputs: Sides) -> str:
    Path("model.onnx").write_bytes(model(*inputs))
    return "model.onnx"


@pytest.mark.parametrize(
    ("inputs", "asked"),
    [
        ([(1, 3, 48, 64)], {}),
        ([(4, 3, 48, 64)], {}),
        ([("n", 3, "h", "w")], {"size": "64x48", "batch": 2}),
        ([(-1, 3, None, -1)], {"size": "64x48"}),
        ([("n", 48, 64, 3)], {}),
        ([(3, "batch", 48, 64)], {"batch": 5}),
        ([(3, 48, 64)], {}),
        ([(5,), (1, 3, 48, 64)], {}),
    ],
)
def test_a_graph_is_the_network_that_counting_it_says(
    inputs: list[Sides], asked: dict[str, Any]
) -> None:
    spec = catalogue.resolve(write(*inputs), **asked).spec
    assert ((spec.width, spec.height), spec.batch) == input_of("model.onnx", **asked)
    assert (spec.backbone, spec.classes, spec.is_whole) == ("model.onnx", None, True)


@pytest.mark.parametrize(
    ("inputs", "asked", "message"),
    [
        ([("n", 3, "h", 64)], {}, "has no default input size: give one, such as --size 320"),
        ([(1, 3, 48, 64)], {"size": 64}, r"invalid height 64 \(exported for 48 alone\)"),
        ([(1, 3, 48, 64)], {"batch": 2}, r"invalid batch 2 \(exported for 1 alone\)"),
        ([(1, 3, 0, 64)], {}, "invalid size 64x0"),
        ([(1, 3, 2**63 - 1, 2**63 - 1)], {}, "sides of at most 1,048,576 pixels"),
        ([(1, 9)], {}, "reads no images: archbench count counts it by itself"),
        ([(1, 3, 48, 64)], {"detector": "ssd300"}, "cannot be the backbone of a detector"),
        ([(1, 3, 48, 64)], {"mode": "train"}, "cannot be trained"),
        ([(1, 3, 48, 64)], {"width": 2}, "takes no option width"),
    ],
)
def test_what_a_graph_does_not_take_is_one_line(
    inputs: list[Sides], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        catalogue.resolve(write(*inputs), **asked)
    assert "\n" not in str(error.value)


def test_a_file_changed_at_random_is_read_or_refused() -> None:
    valid, rng = model((1, 3, 48, 64)), random.Random(0)
    for cut in range(0, len(valid), 7):
        Path("model.onnx").write_bytes(valid[:cut])
        with contextlib.suppress(UsageError):
            catalogue.find("backbone", "model.onnx")
    for index in range(300):
        changed = bytearray(valid)
        changed[rng.randrange(len(changed))] = rng.randrange(256)
        path = Path(f"{index}.onnx")
        path.write_bytes(changed)
        with contextlib.suppress(UsageError):
            catalogue.resolve(str(path))
    for text in (b"", b"hello world " * 100, b"\x3a\xff\xff\xff\xff\x07" + valid):
        Path("model.onnx").write_bytes(text)
        with pytest.raises(UsageError, match="is not an ONNX model, or is truncated"):
            catalogue.resolve("model.onnx")
