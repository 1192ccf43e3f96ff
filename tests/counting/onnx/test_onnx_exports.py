"""What torch exports costs what the module does, to the unit, where nothing is folded away."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from graphs import count
from torch import Tensor, nn
from torch.nn import functional

import archbench
from archbench.counting.report import CostReport

SAME = ("macs", "macs_all", "mac_eq1", "mac_bound", "cio", "cio_pool")


class Blocks(nn.Module):
    """A small transformer of images."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.position = nn.Parameter(torch.zeros(1, 17, 32))
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        self.norm = nn.LayerNorm(32)
        self.joined, self.out = nn.Linear(32, 96), nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        first = self.token.expand(tokens.shape[0], -1, -1)
        tokens = self.norm(torch.cat([first, tokens], 1) + self.position)
        joined = self.joined(tokens).unflatten(2, (3, 4, 8)).permute(2, 0, 3, 1, 4)
        heads = functional.scaled_dot_product_attention(*joined.unbind())
        return self.out(heads.transpose(1, 2).flatten(2)[:, 0])


class Convolutions(nn.Module):
    """Convolutions of every form, a normalisation of groups, and pools."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.PReLU(),
            nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False),
            nn.Conv2d(8, 16, (1, 7), padding=(0, 3), groups=2),
            nn.ConvTranspose2d(16, 6, 4, 2, 1, groups=2),
            nn.GroupNorm(2, 6),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.AdaptiveAvgPool2d(1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Steps(nn.Module):
    """A recurrent layer of two directions, and a classifier of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.LSTM(8, 16, num_layers=2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(32, 4)

    def forward(self, sequence: Tensor) -> Tensor:
        return self.out(self.steps(sequence)[0])


NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "transformer": (Blocks, (1, 3, 32, 32)),
    "convolutions": (Convolutions, (1, 3, 33, 41)),
    "1d": (lambda: nn.Sequential(nn.Conv1d(4, 8, 5), nn.ConvTranspose1d(8, 4, 4, 2)), (1, 4, 50)),
    "3d": (lambda: nn.Sequential(nn.Conv3d(3, 8, 3), nn.AvgPool3d(2)), (1, 3, 8, 16, 16)),
    "recurrent": (Steps, (1, 5, 8)),
}


def exported(folder: Path, module: nn.Module, shape: tuple[int, ...], **more: Any) -> Path:
    """The file that torch makes of a module; its tensors differ, so that none stand for others."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1)
    data = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (torch.zeros(shape),), data, dynamo=False, opset_version=17, **more
        )
    path = folder / "exported.onnx"
    path.write_bytes(data.getvalue())
    return path


def assert_same(found: CostReport, expected: CostReport) -> None:
    """Hold figures that no folding changes."""
    assert {name: getattr(found, name) for name in SAME} == {
        name: getattr(expected, name) for name in SAME
    }
    assert found.uncounted == ()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_graph_costs_what_its_module_does(tmp_path: Path, name: str) -> None:
    make, shape = NETWORKS[name]
    module = make()
    found = count(exported(tmp_path, module, shape))
    expected = archbench.count(module, shape)
    assert_same(found, expected)
    assert found.params == expected.params


def test_dynamic_axes_give_the_same_at_any_size(tmp_path: Path) -> None:
    module = Convolutions()
    names = {"images": {0: "batch", 2: "height", 3: "width"}}
    path = exported(tmp_path, module, (1, 3, 32, 32), input_names=["images"], dynamic_axes=names)
    found = count(path, size=(64, 48), batch=2)
    expected = archbench.count(module, (2, 3, 48, 64))
    assert_same(found, expected)
    assert (found.params, found.batch) == (expected.params, 2)
    assert [call.out_shape for call in found.calls] == [call.out_shape for call in expected.calls]


def test_folded_norms_are_told(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    found = count(exported(tmp_path, module, (1, 3, 16, 16)))
    assert_same(found, archbench.count(module, (1, 3, 16, 16)))
    assert (found.params, found.bn_elements) == (8 * 27 + 8, 0)
    assert any(note.startswith("batch norms are folded") for note in found.notes)


def test_norms_that_stay_count_as_in_the_module(tmp_path: Path) -> None:
    module = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 8, 3))
    found = count(exported(tmp_path, module, (1, 3, 16, 16)))
    expected = archbench.count(module, (1, 3, 16, 16))
    assert_same(found, expected)
    assert (found.param_kinds, found.bn_elements) == (expected.param_kinds, expected.bn_elements)
    assert found.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "detector"),
    [
        ("resnet50", None),
        ("densenet121", None),
        ("mobilenet", "ssd300"),
        ("vgg16", "ssd300"),
        ("vovnet39", "refinedet320"),
    ],
)
def test_a_network_of_the_zoo_costs_the_same(
    tmp_path: Path, backbone: str, detector: str | None
) -> None:
    side = int(detector[-3:]) if detector else 224
    module = archbench.build(backbone, detector)
    found = count(exported(tmp_path, module, (1, 3, side, side)))
    assert_same(found, archbench.cost(backbone, detector))
