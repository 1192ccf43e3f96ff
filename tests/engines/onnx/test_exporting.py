"""Files of networks: the names of their outputs, and what cannot be held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archbench.engines.onnx import ExportError, export, output_names, traced
from archbench.zoo.detectors.base.two_stage import RegionPredictions

IMAGES = torch.zeros(1, 3, 4, 4)


@torch.library.custom_op("archbench_tests::odd", mutates_args=())
def odd(x: Tensor) -> Tensor:
    """An operator that nothing translates."""
    return x + 1


@odd.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class Gives(nn.Module):
    """Gives whatever is made of its images."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, images: Tensor) -> Any:
        return self.make(images)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda x: x + 1, ("output",)),
        (lambda x: [x + 1, (x + 2, x + 3)], ("0", "1.0", "1.1")),
        (
            lambda x: {"regions": RegionPredictions(*(x + i for i in range(5)))},
            tuple(f"regions.{name}" for name in RegionPredictions._fields),
        ),
        (lambda x: {"a b": x + 1, "a": {"b": x + 2}}, ("output_0", "output_1")),
        (lambda x: {"images": x + 1}, ("output_0",)),
    ],
)
def test_outputs_are_named_by_where_they_stand(make: Any, names: tuple[str, ...]) -> None:
    assert output_names(traced(Gives(make), IMAGES)) == names


def test_an_operator_without_translation_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="torch exports to ONNX with onnxscript")
    with pytest.raises(ExportError, match="no translation of the operator") as caught:
        export(Gives(odd), IMAGES, tmp_path / "model.onnx")
    assert caught.value.operator == "archbench_tests.odd"
    assert not any(tmp_path.iterdir())


def test_a_network_that_cannot_be_traced_is_told_of_in_a_line(tmp_path: Path) -> None:
    def depends(x: Tensor) -> Tensor:
        return x + 1 if bool(x.sum() > 0) else x - 1

    with pytest.raises(ExportError, match=r"^torch\.export: [^\n]+$"):
        export(Gives(depends), IMAGES, tmp_path / "model.onnx")
