"""Exported programs: what their files say, what they may hold, and the networks they make."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.api import build_spec
from archbench.spec import UsageError
from archbench.zoo import catalogue, sources
from archbench.zoo.sources.program.archive import GRAPH
from archbench.zoo.sources.program.network import Program
from archbench.zoo.sources.program.trust import is_arithmetic

MACS = 32 * 32 * 8 * 27
Graph = dict[str, Any]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()).eval()


class Fixed(nn.Module):
    """What holds its batch in a shape, and asks for its own dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 32 * 32, 5)

    def forward(self, images: Tensor) -> Tensor:
        wide: Tensor = self.head(self.stem(images).reshape(len(images), -1).float())
        return wide


def export(module: nn.Module, file: str, shape: tuple[int, ...], **options: Any) -> None:
    program = torch.export.export(module.eval(), (torch.zeros(shape),), strict=False, **options)
    torch.export.save(program, file)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    free = torch.export.Dim("batch", max=64), torch.export.Dim("height", min=8, max=512)
    export(network(), str(folder / "static.pt2"), (2, 3, 32, 32))
    shapes = ({0: free[0], 2: free[1], 3: torch.export.Dim.AUTO},)
    export(network(), str(folder / "free.pt2"), (2, 3, 32, 32), dynamic_shapes=shapes)
    export(Fixed(), str(folder / "fixed.pt2"), (2, 3, 32, 32))
    export(nn.Linear(4, 4), str(folder / "vectors.pt2"), (2, 4))
    return folder


@pytest.fixture(autouse=True)
def _files(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    monkeypatch.delenv(sources.ALLOW_CODE, raising=False)


def changed(change: Callable[[Graph], None]) -> str:
    """Write static.pt2 with another graph."""
    with zipfile.ZipFile("static.pt2") as old, zipfile.ZipFile("changed.pt2", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(GRAPH):
                graph = json.loads(data)
                change(graph)
                data = json.dumps(graph).encode()
            new.writestr(name, data)
    return "changed.pt2"


def test_a_program_is_counted_as_the_network_that_it_was() -> None:
    report = archbench.cost("static.pt2")
    assert (report.macs, report.params) == (MACS, archbench.count(network(), (1, 3, 32, 32)).params)
    assert (report.counted_on, report.batch, report.notes) == ("meta", 2, ())
    kinds = report.param_kinds
    assert (kinds.conv_weights, kinds.biases, kinds.norm_scalars) == (8 * 27, 8, 16)
    assert (kinds.norm_buffers, kinds.other) == (16, 0)
    assert archbench.cost("free.pt2", size=64, batch=3).macs == 4 * MACS


def test_one_image_of_a_batch_that_is_fixed_is_its_share() -> None:
    report = archbench.cost("fixed.pt2")
    assert report.macs == MACS + 8 * 32 * 32 * 5
    assert [call.images for call in report.calls] == [2, 2]
    assert "an even share" in report.notes[0]


def test_the_signature_says_what_is_possible() -> None:
    static, free = (catalogue.resolve(name).spec for name in ("static.pt2", "free.pt2"))
    assert (static.size, static.batch, static.classes) == ("32x32", 2, None)
    assert (free.size, free.batch) == ("32x32", 2)
    assert catalogue.resolve("free.pt2", size=64, batch=1).spec.batch == 1
    for given, message in (
        ({"size": 64}, r"invalid width 64 \(exported for 32 alone\)"),
        ({"batch": 1}, r"invalid batch 1 \(exported for 2 alone\)"),
        ({"mode": "train"}, "exported for inference"),
        ({"detector": "ssd300"}, "cannot be the backbone of a detector"),
        ({"classes": 3}, "takes no classes"),
        ({"width": 3}, "takes no option width"),
    ):
        with pytest.raises(UsageError, match=message):
            catalogue.resolve("static.pt2", **given)
    with pytest.raises(UsageError, match=r"invalid height 520 \(takes 8 to 512\)"):
        catalogue.resolve("free.pt2", size=520)


def test_a_file_that_changed_is_another_network() -> None:
    name = catalogue.resolve("static.pt2").spec.backbone
    assert catalogue.resolve(name).spec.backbone == name
    wrong = f"{name[:-6]}000000"
    with pytest.raises(UsageError, match="the file has changed"):
        catalogue.resolve(wrong)
    with pytest.raises(UsageError, match=r"invalid hash .* \(6 hexadecimal digits\)"):
        catalogue.resolve("static.pt2@later")


def test_it_keeps_its_weights_and_its_figures() -> None:
    spec = catalogue.resolve("static.pt2").spec
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(build_spec(spec)(images), network()(images))
        half = build_spec(spec).to(dtype=torch.bfloat16)(images.bfloat16())
    assert half.dtype == torch.bfloat16


def test_a_dtype_that_the_graph_asks_for_is_not_left() -> None:
    program = build_spec(catalogue.resolve("fixed.pt2").spec)
    assert isinstance(program, Program)
    with pytest.raises(UsageError, match=r"aten.to.dtype.* export it in float16"):
        program.to(dtype=torch.float16)


def _call(target: str) -> Callable[[Graph], None]:
    return lambda graph: graph["graph_module"]["graph"]["nodes"][0].update(target=target)


def _sized(expression: str) -> Callable[[Graph], None]:
    size = {"as_expr": {"expr_str": expression, "hint": {"as_int": 32}}}
    return lambda graph: graph["graph_module"]["graph"]["tensor_values"]["input"].update(
        sizes=[{"as_int": 2}, {"as_int": 3}, size, size]
    )


def _renamed(name: str) -> Callable[[Graph], None]:
    return lambda graph: graph["graph_module"]["signature"]["input_specs"][0]["parameter"].update(
        parameter_name=name
    )


@pytest.mark.parametrize(
    "change",
    [
        _call("torch.hub.load"),
        _call("torch.ops.load_library"),
        _call("torch.ops.load_library.x"),
        _call("_operator.call"),
        _sized("__import__('os')"),
        _sized("Symbol('s0').__class__"),
        _sized("exec('x')"),
        _renamed('0", None) or print("'),
    ],
)
def test_code_in_a_file_is_not_run_unasked(
    change: Callable[[Graph], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = changed(change)
    with pytest.raises(UsageError, match="give --allow-code if you trust it"):
        catalogue.find("backbone", name)
    monkeypatch.setenv(sources.ALLOW_CODE, "1")
    catalogue.find("backbone", name)


class Payload:
    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_a_pickle_is_loaded_as_tensors_alone() -> None:
    torch.save({"x": Payload()}, "payload.pt")
    with zipfile.ZipFile("static.pt2") as old, zipfile.ZipFile("pickled.pt2", "w") as new:
        for name in old.namelist():
            is_sample = name.endswith("sample_inputs/model.pt")
            new.writestr(name, Path("payload.pt").read_bytes() if is_sample else old.read(name))
    with pytest.raises(UsageError, match="--allow-code lets load"):
        archbench.build("pickled.pt2")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mul(Integer(3), Symbol('s16', positive=True, integer=True))", True),
        ("2*s0 + 1", True),
        ("FloorDiv(s0, 2)", True),
        ("s0.real", False),
        ("open('x')", False),
        ("[1]", False),
    ],
)
def test_arithmetic_is_told_from_python(text: str, expected: bool) -> None:
    assert is_arithmetic(text) is expected


def test_an_archive_that_unpacks_to_far_more_is_refused() -> None:
    with zipfile.ZipFile("bomb.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/models/model.json", "{}")
        archive.writestr("m/data/weights/weight_0", bytes(2**27))
    with pytest.raises(UsageError, match=r"its [\d,]+ bytes unpack to 134,217,730"):
        catalogue.resolve("bomb.pt2")
    with zipfile.ZipFile("bomb.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/models/model.json", '{"graph_module": [' + "[" * 10**6)
    with pytest.raises(UsageError, match=r"its graph cannot be read \(RecursionError"):
        catalogue.resolve("bomb.pt2")


@pytest.mark.parametrize("side", ["many", 3.5, None, {}])
def test_a_side_that_is_no_number_is_refused(side: Any) -> None:
    def change(graph: Graph) -> None:
        values = graph["graph_module"]["graph"]["tensor_values"]
        values["input"]["sizes"][0] = {"as_int": side}

    with pytest.raises(UsageError, match="has no readable signature"):
        catalogue.resolve(changed(change))


def test_a_file_that_is_no_program_is_said_in_a_line(tmp_path: Path) -> None:
    Path("empty.pt2").touch()
    Path("text.pt2").write_text("no program", encoding="utf-8")
    Path("half.pt2").write_bytes(Path("static.pt2").read_bytes()[:9000])
    Path("folder.pt2").mkdir(exist_ok=True)
    torch.save(network().state_dict(), "weights.pt2")
    for name, message in (
        ("missing.pt2", "No such file"),
        ("empty.pt2", "is empty"),
        ("text.pt2", "not a zip archive"),
        ("half.pt2", "not a zip archive"),
        ("folder.pt2", "not a regular file"),
        ("weights.pt2", "no single models/model.json"),
        ("vectors.pt2", r"takes a tensor \[2, 4\], but archbench passes one batch of images"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            catalogue.resolve(name)
        assert "\n" not in str(caught.value)
    name = changed(lambda graph: graph.clear())
    with pytest.raises(UsageError, match="no readable signature"):
        catalogue.resolve(name)
