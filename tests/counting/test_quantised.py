"""Quantised layers cost what the layers cost that they were made of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.ao import quantization

import archbench

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def engine() -> Iterator[None]:
    known, before = torch.backends.quantized.supported_engines, torch.backends.quantized.engine
    if "fbgemm" not in known:
        pytest.skip("torch was built without fbgemm")
    torch.backends.quantized.engine = "fbgemm"
    yield
    torch.backends.quantized.engine = before


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("layer", "shape", "batch_dim"),
    [
        (nn.Linear(8, 4), (3, 8), 0),
        (nn.LSTM(8, 4, num_layers=2, bidirectional=True), (5, 1, 8), 1),
        (nn.GRU(8, 4), (5, 1, 8), 1),
        (nn.LSTMCell(8, 4), (2, 8), 0),
        (nn.GRUCell(8, 4), (2, 8), 0),
        (nn.RNNCell(8, 4), (2, 8), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_layers_with_packed_weights(
    layer: nn.Module, shape: tuple[int, ...], batch_dim: int, dtype: torch.dtype
) -> None:
    whole = nn.Sequential(layer)
    packed = quantization.quantize_dynamic(whole, {type(layer)}, dtype=dtype)
    ours, theirs = (
        archbench.count(module, shape, device="cpu", batch_dim=batch_dim)
        for module in (packed, whole)
    )
    assert ours.macs_by_kind == theirs.macs_by_kind
    assert (ours.params, ours.uncounted) == (theirs.params, ())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(3, 4, 3), (2, 3, 8)),
        (nn.Conv2d(4, 6, 3, 2, groups=2), (2, 4, 8, 8)),
        (nn.Conv3d(3, 4, 3), (1, 3, 5, 5, 5)),
        (nn.ConvTranspose2d(4, 2, 2, 2), (2, 4, 8, 8)),
        (nn.Linear(8, 4), (2, 8)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_layers_of_quantised_maps(layer: nn.Module, shape: tuple[int, ...]) -> None:
    whole = nn.Sequential(quantization.QuantStub(), layer, quantization.DeQuantStub()).eval()
    whole.qconfig = quantization.get_default_qconfig("qnnpack")  # the same scale for all channels
    prepared = quantization.prepare(whole)
    prepared(torch.randn(shape))
    ours = archbench.count(quantization.convert(prepared), shape, device="auto")
    theirs = archbench.count(whole, shape)
    assert ours.uncounted == ()
    assert (ours.macs, ours.cio, ours.params) == (theirs.macs, theirs.cio, theirs.params)
    kinds = [
        (c.kernel, c.stride, c.groups, c.params) for report in (ours, theirs) for c in report.calls
    ]
    assert kinds[0] == kinds[1]
