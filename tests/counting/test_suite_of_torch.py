"""The cases of the suite of torch's own counter: its numbers are two operations a multiply-add.

Left out are those of backward passes, which a count has none of.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bodies import Body, Case, of_batch, weight
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archbench.counting.inputs import Inputs
from archbench.counting.passes import macs_by_operator

ALONE: dict[str, Any] = {"batch_dim": None}


def attention(heads: int, queries: int, keys: int, **options: Any) -> tuple[Any, list[Any]]:
    shapes = [(4, heads, length, 64) for length in (queries, keys, keys)]
    return lambda: Body(lambda _, q, k, v: F.scaled_dot_product_attention(q, k, v, **options)), (
        shapes
    )


class Squares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.mm(x, x)


def several(_: Any, *given: Tensor) -> None:
    a, b, c, d, e = given
    torch.mm(a, b)
    torch.addmm(a @ b, a, b, beta=0.5, alpha=0.5)
    torch.matmul(b.mT[:, :5], b)
    torch.einsum("ab,bc->ac", c, d)
    _.layer(e)


def into_another(_: Any, x: Tensor) -> Tensor:
    return torch.mm(x, x, out=torch.zeros(10, 10, device=x.device))


CASES: dict[str, Case] = {
    "mm": Case(lambda: Body(lambda _, x, y: torch.mm(x, y)), [(4, 5), (5, 6)], 240, None, ALONE),
    "mm into another tensor": Case(lambda: Body(into_another), (10, 10), 2000, None, ALONE),
    "matmul": Case(lambda: Body(lambda _, x, y: x @ y), [(5, 6), (6, 7)], 420, None, ALONE),
    "bmm": Case(
        lambda: Body(lambda _, x, y: torch.bmm(x, y)), [(3, 4, 5), (3, 5, 6)], 720, None, ALONE
    ),
    **{
        f"addmm on {shape}": Case(
            lambda: Body(lambda _, z, x, y: torch.addmm(z, x, y)),
            [shape, (4, 5), (5, 6)],
            240,
            None,
            ALONE,
        )
        for shape in ((4, 6), (4, 1), (6,))
    },
    "baddbmm": Case(
        lambda: Body(lambda _, z, x, y: torch.baddbmm(z, x, y)),
        [(3, 4, 6), (3, 4, 5), (3, 5, 6)],
        720,
        None,
        ALONE,
    ),
    "einsum": Case(
        lambda: Body(lambda _, x, y: torch.einsum("ab,bc->ac", x, y)),
        [(6, 7), (7, 8)],
        672,
        None,
        ALONE,
    ),
    "a linear layer": Case(lambda: nn.Linear(9, 10), (8, 9), 1440, 100),
    "several": Case(
        lambda: Body(several, layer=nn.Linear(9, 10)),
        [(4, 5), (5, 6), (6, 7), (7, 8), (8, 9)],
        240 + 2 * 240 + 2 * 6 * 5 * 6 + 672 + 1440,
        100,
        ALONE,
    ),
    "conv2d": Case(
        lambda: Body(lambda m, x: F.conv2d(x, m.w, padding=1), w=weight(6, 3, 4, 4)),
        (2, 3, 6, 6),
        28800,
        288,
    ),
    "conv1d": Case(
        lambda: Body(lambda m, x: F.conv1d(x, m.w, padding=1), w=weight(6, 3, 4)),
        (2, 3, 6),
        1440,
        72,
    ),
    "conv_transpose2d": Case(
        lambda: Body(lambda m, x: F.conv_transpose2d(x, m.w), w=weight(1, 1, 2, 2)),
        (1, 1, 2, 2),
        32,
        4,
    ),
    "conv2d of three groups": Case(
        lambda: nn.Conv2d(6, 9, 3, groups=3, bias=False), (2, 6, 5, 5), 2 * 2 * 9 * 162, 162
    ),
    "an own function": Case(lambda: Body(lambda _, x: Squares.apply(x)), (5, 5), 250, None, ALONE),
    "a cosine": Case(lambda: Body(lambda _, x: x.cos()), (4, 5), 0),
    "layers one after another": Case(
        lambda: nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 2)), (1, 20), 1320
    ),
    "a layer used twice": Case(
        lambda: Body(lambda m, x: m.a(m.b(m.a(x))), a=nn.Linear(5, 5), b=nn.Linear(5, 5)),
        (2, 5),
        300,
    ),
    "nested outputs": Case(
        lambda: Body(lambda m, x: {"a": (m.a(x), [m.a(x)])}, a=nn.Linear(10, 10)), (1, 10), 400
    ),
    "attention": Case(*attention(8, 128, 128), 134217728),
    "causal attention": Case(*attention(8, 128, 128, is_causal=True), 134217728),
    "attention to more keys": Case(*attention(8, 128, 256), 268435456),
    "causal attention to more keys": Case(*attention(8, 128, 256, is_causal=True), 268435456),
}


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_twice_the_multiply_adds(case: Case, device: str) -> None:
    report = case.count(device)
    assert 2 * of_batch(report) == case.theirs
    assert report.uncounted == ()
    assert case.params in (None, report.params)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_counter_that_is_installed_agrees(case: Case) -> None:
    shapes = case.given if isinstance(case.given, list) else [case.given]
    inputs = tuple(torch.empty(shape, device="meta") for shape in shapes)
    module = case.module().eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    assert counter.get_total_flops() == 2 * macs_by_operator(module, Inputs(inputs)).total()
