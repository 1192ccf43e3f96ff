"""Every product counts: each operator by its closed form, its kind, and in both spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from bodies import Body, weight
from torch import Tensor, nn
from torch.nn import functional as F

import archbench
from archbench.counting.inputs import Inputs
from archbench.counting.passes import count_module, whole
from archbench.counting.report import CostReport


class Function(nn.Module):
    """A function of tensors, with a parameter `weight` where that has a shape."""

    def __init__(self, function: Callable[..., Any], *shape: int) -> None:
        super().__init__()
        self.function = function
        if shape:
            self.weight = nn.Parameter(torch.randn(shape))

    def forward(self, *inputs: Tensor) -> Any:
        own = (self.weight,) if hasattr(self, "weight") else ()
        return self.function(*own, *inputs)


# Name: function of inputs, shapes of the inputs, multiply-adds of one image.
OTHER: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], int]] = {
    "matmul of rows": (lambda x, y: x @ y, [(2, 5, 7), (2, 7, 3)], 5 * 7 * 3),
    "matmul of heads": (lambda x: x @ x.mT, [(2, 4, 5, 7)], 4 * 5 * 5 * 7),
    "matmul, broadcast": (lambda x, y: x @ y, [(2, 1, 5, 7), (2, 4, 7, 3)], 4 * 5 * 7 * 3),
    "matmul of a matrix and a vector": (lambda x, y: x @ y[0], [(2, 5, 7), (2, 7)], 5 * 7),
    "bmm": (lambda x: torch.bmm(x, x.mT), [(2, 5, 7)], 5 * 5 * 7),
    "baddbmm": (lambda z, x: torch.baddbmm(z, x, x.mT), [(2, 5, 5), (2, 5, 7)], 5 * 5 * 7),
    "addbmm": (lambda z, x: torch.addbmm(z[0], x, x.mT), [(2, 5, 5), (2, 5, 7)], 5 * 5 * 7),
    "einsum of heads": (
        lambda x: torch.einsum("bhid,bhjd->bhij", x, x),
        [(2, 4, 5, 7)],
        4 * 5 * 5 * 7,
    ),
    "tensordot": (lambda x, y: torch.tensordot(x, y[0], 1), [(2, 5, 7), (2, 7, 3)], 5 * 7 * 3),
    "inner": (lambda x, y: torch.inner(x, y[0]), [(2, 5, 7), (2, 3, 7)], 5 * 7 * 3),
    "mv": (lambda x, y: torch.mv(x[0], y[0]), [(2, 5, 7), (2, 7)], 5 * 7),
    "addmv": (lambda x, y: torch.addmv(x[0, :, 0], x[0], y[0]), [(2, 5, 7), (2, 7)], 5 * 7),
    "dot": (lambda x: torch.dot(x[0], x[0]), [(2, 7)], 7),
    "vdot": (lambda x: torch.vdot(x[0], x[0]), [(2, 7)], 7),
    "addr": (lambda x, y: torch.addr(x[0], y[0, :5], y[0]), [(2, 5, 7), (2, 7)], 5 * 7),
    "chain": (
        lambda x, y: torch.linalg.multi_dot([x[0], y[0], x[0]]),
        [(2, 5, 7), (2, 7, 5)],
        5 * 7 * 5 + 5 * 5 * 7,
    ),
    "a power": (lambda x: torch.linalg.matrix_power(x, 3), [(2, 5, 5)], 2 * 5**3),
    "a convolution made of patches": (
        lambda x, y: y[0] @ F.unfold(x, 3),
        [(2, 3, 8, 8), (2, 4, 27)],
        36 * 27 * 4,
    ),
    "a grid of affine maps": (
        lambda x: F.affine_grid(x, [len(x), 3, 4, 5], align_corners=False),
        [(2, 2, 3)],
        4 * 5 * 3 * 2,
    ),
    "a grid of affine maps in space": (
        lambda x: F.affine_grid(x, [len(x), 3, 4, 5, 6], align_corners=False),
        [(2, 3, 4)],
        4 * 5 * 6 * 4 * 3,
    ),
}


def in_both_spellings(module: nn.Module, inputs: tuple[Any, ...]) -> CostReport:
    """Count below autograd, and hold the same count under no_grad against it."""
    one, other = (
        count_module(module, Inputs(inputs), spelling=spelling)
        for spelling in (whole, torch.no_grad)
    )
    assert one.macs_all == other.macs_all
    assert one.uncounted == other.uncounted
    return one


@pytest.mark.parametrize(("function", "shapes", "macs"), OTHER.values(), ids=OTHER)
def test_a_product_of_activations(
    function: Callable[..., Any], shapes: list[tuple[int, ...]], macs: int
) -> None:
    report = in_both_spellings(Function(function), tuple(torch.randn(shape) for shape in shapes))
    assert report.macs_by_kind["other"] == report.macs_all == macs
    assert report.macs == 0
    assert report.uncounted == ()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.einsum("bi,bj->bij", x[:, 0], x[:, 0]),
        lambda x: torch.outer(x[0, 0], x[0, 0]),
        lambda x: torch.linalg.vecdot(x, x),
        lambda x: (x * x).sum(-1),
    ],
)
def test_what_multiplies_element_by_element_is_no_product(function: Callable[..., Any]) -> None:
    report = in_both_spellings(Function(function), (torch.randn(2, 5, 7),))
    assert (report.macs_all, report.uncounted) == (0, ())


# Name: function of a parameter and inputs, its shape, those of the inputs, multiply-adds.
LINEAR: dict[str, tuple[Callable[..., Any], tuple[int, ...], list[tuple[int, ...]], int]] = {
    "F.linear": (lambda w, x: F.linear(x, w), (3, 7), [(2, 5, 7)], 5 * 7 * 3),
    "on the right": (lambda w, x: x @ w, (7, 3), [(2, 5, 7)], 5 * 7 * 3),
    "on the left": (lambda w, x: w @ x, (3, 5), [(2, 5, 7)], 3 * 5 * 7),
    "its transpose": (lambda w, x: x @ w.t(), (3, 7), [(2, 5, 7)], 5 * 7 * 3),
    "a part of it": (lambda w, x: x @ w[:, 1:3], (7, 4), [(2, 5, 7)], 5 * 7 * 2),
    "einsum": (lambda w, x: torch.einsum("bnd,de->bne", x, w), (7, 3), [(2, 5, 7)], 5 * 7 * 3),
    "einsum of experts": (
        lambda w, x: torch.einsum("bhnd,hde->bhne", x, w),
        (4, 7, 3),
        [(2, 4, 5, 7)],
        4 * 5 * 7 * 3,
    ),
    "tensordot": (lambda w, x: torch.tensordot(x, w, 1), (7, 3), [(2, 5, 7)], 5 * 7 * 3),
    "a vector": (lambda w, x: x @ w, (7,), [(2, 5, 7)], 5 * 7),
    "bmm": (lambda w, x: torch.bmm(x, w.expand(len(x), 7, 3)), (7, 3), [(2, 5, 7)], 5 * 7 * 3),
}


@pytest.mark.parametrize(("function", "shape", "sources", "macs"), LINEAR.values(), ids=LINEAR)
def test_a_product_with_a_parameter_is_linear(
    function: Callable[..., Any],
    shape: tuple[int, ...],
    sources: list[tuple[int, ...]],
    macs: int,
) -> None:
    module = Function(function, *shape)
    report = in_both_spellings(module, tuple(torch.randn(source) for source in sources))
    assert report.macs_by_kind["linear"] == report.macs == report.macs_all == macs


ATTENTION: dict[str, tuple[dict[str, Any], list[tuple[int, ...]], int]] = {
    "plain": ({}, [(2, 4, 5, 8)] * 3, 4 * 5 * 5 * 16),
    "of other keys": ({}, [(2, 4, 5, 8), (2, 4, 9, 8), (2, 4, 9, 6)], 4 * 5 * 9 * 14),
    "causal": ({"is_causal": True}, [(2, 4, 5, 8)] * 3, 4 * 5 * 5 * 16),
    "grouped queries": (
        {"enable_gqa": True},
        [(2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8)],
        4 * 5 * 5 * 16,
    ),
    "without heads": ({}, [(2, 5, 8)] * 3, 5 * 5 * 16),
}


@pytest.mark.parametrize(("options", "shapes", "macs"), ATTENTION.values(), ids=ATTENTION)
def test_attention_counts_all_pairs(
    options: dict[str, Any], shapes: list[tuple[int, ...]], macs: int
) -> None:
    module = Function(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options))
    report = in_both_spellings(module, tuple(torch.randn(shape) for shape in shapes))
    assert report.macs_by_kind["attention"] == report.macs_all == macs
    assert report.macs == 0
    (call,) = report.calls
    assert (call.op, call.kind, call.cio) == ("attention", "attention", None)


@pytest.mark.parametrize(("queries", "keys", "kept"), [(5, 5, 15), (3, 5, 6), (5, 3, 12)])
def test_what_a_causal_mask_leaves_out_is_said(queries: int, keys: int, kept: int) -> None:
    module = Function(lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True))
    report = archbench.count(module, (torch.randn(2, 4, queries, 8), torch.randn(2, 4, keys, 8)))
    assert report.masked_macs == 4 * 16 * (queries * keys - kept)
    assert report.masked_calls == 0
    assert report.totals()["attention_masks"] == {"causal_macs": report.masked_macs}


def test_a_mask_of_unknown_effect_is_said() -> None:
    module = Function(lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m))
    report = archbench.count(module, (torch.randn(2, 4, 5, 8), torch.ones(5, 5).bool()))
    assert (report.masked_macs, report.masked_calls) == (0, 1)
    assert report.totals()["attention_masks"] == {"unknown_calls": 1}


STEPS = 5
# Name: layer, multiply-adds of one sequence of STEPS of 7 features.
RECURRENT: dict[str, tuple[nn.Module, int]] = {
    "lstm": (nn.LSTM(7, 4, batch_first=True), STEPS * 16 * 11),
    "two layers": (nn.LSTM(7, 4, 2, batch_first=True), STEPS * 16 * (11 + 8)),
    "both ways": (
        nn.LSTM(7, 4, 2, batch_first=True, bidirectional=True),
        STEPS * 2 * 16 * (11 + 12),
    ),
    "projected": (nn.LSTM(7, 4, batch_first=True, proj_size=3), STEPS * (16 * 10 + 12)),
    "without biases": (nn.LSTM(7, 4, batch_first=True, bias=False), STEPS * 16 * 11),
    "gru": (nn.GRU(7, 4, batch_first=True), STEPS * 12 * 11),
    "rnn": (nn.RNN(7, 4, batch_first=True), STEPS * 4 * 11),
    "rnn of relu": (nn.RNN(7, 4, batch_first=True, nonlinearity="relu"), STEPS * 4 * 11),
}


@pytest.mark.parametrize(("layer", "macs"), RECURRENT.values(), ids=RECURRENT)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_recurrent_layer_multiplies_at_each_step(
    layer: nn.Module, macs: int, device: str
) -> None:
    inputs = Inputs((torch.randn(2, STEPS, 7),))
    for spelling in (whole, torch.no_grad):
        report = count_module(layer, inputs, device=device, spelling=spelling)
        assert report.macs_by_kind["recurrent"] == report.macs_all == macs
        assert report.macs == 0
        assert report.uncounted == ()


@pytest.mark.parametrize("make", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_recurrent_cell_is_one_step(make: Callable[..., nn.Module], device: str) -> None:
    gates = {nn.LSTMCell: 4, nn.GRUCell: 3, nn.RNNCell: 1}[make]  # type: ignore[index]
    for spelling in (whole, torch.no_grad):
        report = count_module(
            make(7, 4), Inputs((torch.randn(2, 7),)), device=device, spelling=spelling
        )
        assert report.macs_by_kind["recurrent"] == report.macs_all == gates * 4 * 11


def test_a_recurrent_layer_in_a_list_leaves_the_products_around_it_as_they_are() -> None:
    module = Body(
        lambda m, x: F.linear(m.layers[0](x)[0], m.weight),
        layers=[nn.LSTM(4, 4, batch_first=True)],
        weight=weight(3, 4),
    )
    report = archbench.count(module, (2, STEPS, 4))
    assert (report.macs_linear, report.macs_recurrent) == (STEPS * 12, STEPS * 16 * 8)


def test_a_layer_of_recurrent_rows_knows_what_it_reads() -> None:
    (call,) = archbench.count(nn.LSTM(7, 4, batch_first=True), (2, STEPS, 7)).calls
    assert (call.op, call.params, call.images) == ("lstm", 16 * 11 + 32, 2)


# Name: module, shapes of inputs, the operator that is named.
NAMED: dict[str, tuple[nn.Module, list[tuple[int, ...]], str]] = {
    "distances": (Function(lambda x: torch.cdist(x, x)), [(2, 5, 7)], "aten::_cdist_forward"),
    "distances of many": (
        Function(lambda x: torch.cdist(x, x)),
        [(2, 26, 7)],
        "aten::_euclidean_dist",
    ),
    "bilinear": (nn.Bilinear(7, 7, 4), [(2, 7), (2, 7)], "aten::_trilinear"),
    "a Fourier transform": (
        Function(lambda x: torch.fft.rfft2(x)),
        [(2, 3, 8, 8)],
        "aten::_fft_r2c",
    ),
    "an exponential": (Function(torch.matrix_exp), [(2, 5, 5)], "aten::linalg_matrix_exp"),
}


@pytest.mark.parametrize(("module", "shapes", "name"), NAMED.values(), ids=NAMED)
def test_what_multiplies_by_no_convention_is_named(
    module: nn.Module, shapes: list[tuple[int, ...]], name: str
) -> None:
    report = in_both_spellings(module, tuple(torch.randn(shape) for shape in shapes))
    assert name in dict(report.uncounted)
    assert report.macs_all == 0


def test_a_sparse_product_is_named() -> None:
    sparse = torch.eye(4).to_sparse()
    report = archbench.count(Function(lambda x: sparse @ x), (4, 3), device="cpu", batch_dim=None)
    assert len(report.uncounted) == 1
    assert report.macs_all == 0


def test_an_encoder_layer_counts_whole() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    report = in_both_spellings(layer, (torch.empty(2, 5, 8),))
    assert report.macs == 5 * (8 * 24 + 8 * 8 + 2 * 8 * 16)
    assert report.macs_by_kind["attention"] == 2 * 5 * 5 * 8
    assert report.macs_all == report.macs + 2 * 5 * 5 * 8
    assert report.flops == 2 * report.macs


def test_totals_hold_all_kinds() -> None:
    totals = archbench.count(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)
    ).totals()
    kinds = ("convolution", "linear", "attention", "other", "recurrent")
    assert totals["macs_all"] == sum(totals[f"macs_{kind}"] for kind in kinds)
    assert totals["macs"] == totals["macs_convolution"] + totals["macs_linear"]
