"""Quantised layers cost what the layers cost that they were made of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from bodies import Body
from torch import Tensor, nn
from torch.ao import quantization
from torch.nn.utils import rnn

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


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("layer", "macs"), [(nn.LSTM(7, 4), 1408), (nn.GRU(7, 4), 1056)], ids=["LSTM", "GRU"]
)
def test_layers_on_sequences_of_several_lengths(
    layer: nn.Module, macs: int, dtype: torch.dtype
) -> None:
    """Each of the eight steps of both sequences multiplies 176 or 132 weights."""
    packed = quantization.quantize_dynamic(nn.Sequential(layer), {type(layer)}, dtype=dtype)
    sequences = rnn.pack_padded_sequence(torch.randn(5, 2, 7), torch.tensor([5, 3]))
    report = archbench.count(packed, (sequences,), device="cpu", batch_dim=None)
    assert (report.macs_recurrent, report.macs_all, report.uncounted) == (macs, macs, ())


@pytest.mark.parametrize("name", ["conv2d_add", "conv2d_add_relu"])
def test_a_convolution_that_adds_finds_its_weights_behind_the_addend(name: str) -> None:
    if "onednn" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch was built without oneDNN")
    torch.backends.quantized.engine = "onednn"
    weight = torch.quantize_per_tensor(torch.randn(6, 4, 3, 3), 0.1, 0, torch.qint8)
    packed = torch.ops.quantized.conv2d_prepack(weight, None, [2, 2], [1, 1], [1, 1], 1)

    def added(self: Body, x: Tensor, addend: Tensor) -> Tensor:
        maps = [torch.quantize_per_tensor(each, 0.1, 0, torch.quint8) for each in (x, addend)]
        out: Tensor = getattr(torch.ops.quantized, name)(*maps, packed, 0.1, 0)
        return out

    report = archbench.count(Body(added), ((2, 4, 8, 8), (2, 6, 4, 4)), device="cpu")
    assert (report.macs, report.uncounted) == (16 * 6 * 4 * 9, ())


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
