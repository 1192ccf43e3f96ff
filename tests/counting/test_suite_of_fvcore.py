"""The cases of fvcore's suite: one operation a multiply-add, by operator and by module.

It counts normalisations and resizing too, which multiply nothing here: of a batch normalisation
ours are its outputs, of which it counts four operations each, or two without scale and shift.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bodies import Body, Case, of_batch
from torch import Tensor, nn

import archbench
from archbench.counting.report import Kind

ALONE: dict[str, Any] = {"batch_dim": None}


def conv(rank: int, *options: int, turned: bool = False, extra: int = 0) -> Any:
    """A convolution by fvcore's numbers: channels in and out, kernel, stride, padding, groups."""
    c_in, c_out, kernel, stride, padding, groups = options
    layer = getattr(nn, f"Conv{'Transpose' if turned else ''}{rank}d")
    more = {"output_padding": extra} if turned else {}
    return lambda: layer(c_in, c_out, kernel, stride, padding, groups=groups, **more)


CONVOLUTIONS: dict[str, Case] = {
    "of a map": Case(conv(2, 10, 3, 3, 1, 1, 1), (5, 10, 15, 15), 5 * 270 * 225, 273),
    "with a stride": Case(conv(2, 10, 6, 3, 2, 1, 1), (2, 10, 20, 20), 2 * 540 * 100, 546),
    "of four groups": Case(conv(2, 16, 8, 5, 1, 2, 4), (5, 16, 15, 15), 5 * 800 * 225, 808),
    "of as many groups as outputs": Case(
        conv(2, 16, 8, 3, 1, 1, 8), (5, 16, 15, 15), 5 * 144 * 225, 152
    ),
    "of a sequence": Case(conv(1, 10, 3, 3, 1, 1, 1), (5, 10, 15), 5 * 90 * 15, 93),
    "of a volume": Case(conv(3, 10, 3, 3, 1, 1, 1), (5, 10, 15, 15, 15), 5 * 810 * 3375, 813),
    "transposed": Case(
        conv(2, 10, 3, 3, 1, 1, 1, turned=True), (5, 10, 15, 15), 5 * 270 * 225, 273
    ),
    "transposed with a stride": Case(
        conv(2, 10, 3, 3, 2, 1, 1, turned=True), (5, 10, 15, 15), 5 * 270 * 225, 273
    ),
    "transposed with padding of its output": Case(
        conv(2, 10, 3, 3, 3, 1, 1, turned=True, extra=2), (5, 10, 15, 15), 5 * 270 * 225, 273
    ),
    "transposed, of a sequence": Case(
        conv(1, 4, 6, 3, 2, 1, 2, turned=True), (3, 4, 9), 3 * 36 * 9, 42
    ),
    "transposed, of a volume": Case(
        conv(3, 4, 6, 3, 2, 1, 2, turned=True), (3, 4, 5, 5, 5), 3 * 324 * 125, 330
    ),
}
LINEAR: dict[str, Case] = {
    "of rows": Case(lambda: nn.Linear(8, 4), (5, 8), 160, 36),
    "inside another module": Case(
        lambda: Body(lambda m, x: m.layer(x), layer=nn.Linear(10, 20)), (5, 10), 1000, 220
    ),
    "of more dimensions": Case(lambda: nn.Linear(10, 20), (5, 5, 10), 5000, 220),
    "of four dimensions": Case(lambda: nn.Linear(10, 20), (5, 2, 3, 10), 6000, 220),
    "before a sigmoid": Case(lambda: nn.Sequential(nn.Linear(5, 4), nn.Sigmoid()), (10, 5), 200),
    "never called": Case(
        lambda: Body(lambda m, x: m.a(x), a=nn.Linear(10, 1), unused=nn.Linear(20, 20)),
        (1, 10),
        10,
        431,
    ),
    "called again": Case(
        lambda: Body(
            lambda m, x: m.b(m.b(m.a(m.a(m.a(x))))), a=nn.Linear(10, 10), b=nn.Linear(10, 10)
        ),
        (1, 10),
        500,
        220,
    ),
    "spread over devices": Case(lambda: nn.DataParallel(nn.Linear(10, 10)), (10, 10), 1000, 110),
}
A_PRODUCT = Body(lambda _, x, y: torch.matmul(x, y))
OTHER: dict[str, Case] = {
    **{
        f"matmul {first} {second}": Case(lambda: A_PRODUCT, [first, second], macs, 0, ALONE)
        for first, second, macs in (
            ((20, 10), (10, 100), 20000),
            ((1, 20, 10), (1, 10, 100), 20000),
            ((2, 2, 20, 10), (2, 2, 10, 100), 80000),
            ((1, 20, 10), (10, 100), 20000),
            ((2, 20, 10), (10, 100), 40000),
            ((20, 10), (10,), 200),
            ((10,), (10, 20), 200),
            ((10,), (10,), 10),
        )
    },
    "bmm": Case(
        lambda: Body(lambda _, x, y: torch.bmm(x, y)), [(2, 5, 2), (2, 2, 12)], 240, 0, ALONE
    ),
    **{
        f"einsum {equation}": Case(
            lambda equation=equation: Body(lambda _, *given: torch.einsum(equation, *given)),
            shapes,
            macs,
            0,
            ALONE,
        )
        for equation, shapes, macs in (
            ("nct,ncp->ntp", [(1, 5, 2), (1, 5, 12)], 120),
            ("ntg,ncg->nct", [(1, 2, 6), (1, 5, 6)], 60),
            ("ab,cb->ac", [(3, 4), (5, 4)], 60),
            ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)], 720),
            ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
        )
    },
}
KINDS: list[tuple[Kind, dict[str, Case]]] = [
    ("convolution", CONVOLUTIONS),
    ("linear", LINEAR),
    ("other", OTHER),
]
ALL = [
    pytest.param(kind, case, id=f"{kind} {name}")
    for kind, cases in KINDS
    for name, case in cases.items()
]


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_the_multiply_adds_of_an_operator(kind: Kind, case: Case) -> None:
    report = case.count("meta")
    assert of_batch(report) == case.theirs
    assert report.macs_by_kind[kind] == report.macs_all
    assert report.uncounted == ()
    assert case.params in (None, report.params)


@pytest.mark.parametrize(
    ("layer", "shape", "outputs"),
    [
        (nn.BatchNorm1d(10, affine=False), (10, 10), 10),
        (nn.BatchNorm2d(10, affine=False), (10, 10, 5, 5), 250),
        (nn.BatchNorm3d(10, affine=False), (10, 10, 5, 5, 5), 1250),
        (nn.BatchNorm2d(2), (2, 2, 2, 2), 8),
        (nn.GroupNorm(2, 2), (2, 2, 2, 2), 0),
        (nn.LayerNorm([2, 2, 2]), (2, 2, 2, 2), 0),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 2, 2, 2), 0),
        (nn.AdaptiveAvgPool2d(2), (2, 2, 4, 4), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_multiplies_nothing(layer: nn.Module, shape: tuple[int, ...], outputs: int) -> None:
    report = archbench.count(layer, shape)
    assert (report.macs_all, report.bn_elements, report.uncounted) == (0, outputs, ())


def three_layers() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3), nn.Linear(3, 1)
    )


def nested() -> nn.Module:
    inner = Body(
        lambda m, x: 3 * m.fc(m.conv(x.reshape(-1, 2, 5)).flatten(1)) + 1,
        conv=nn.Conv1d(2, 2, 1),
        fc=nn.Linear(10, 10),
    )
    return Body(
        lambda m, x: m.sub(m.fc(m.conv(x).flatten(1))) ** 2,
        sub=inner,
        fc=nn.Linear(20, 10),
        conv=nn.Conv1d(4, 4, 3, padding=1),
    )


def shared() -> nn.Module:
    layer, last = nn.Linear(10, 10), nn.Linear(10, 1)
    one, other = (Body(lambda m, x: m.layer(x), layer=layer) for _ in range(2))
    return Body(
        lambda m, x: m.last(m.one(x) + m.other(x)) + m.again(m.one(x)),
        one=one,
        other=other,
        last=last,
        again=last,
    )


class Again(nn.Module):
    """Calls itself before its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(10, 1)

    def forward(self, x: Tensor, times: int = 3) -> Tensor:
        return self(x, times - 1) if times else self.fc(x)


class Besides(nn.Module):
    """Does nothing in its forward pass, and has another that its parent calls."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(10, 1)

    def other(self, x: Tensor) -> Tensor:
        return self.fc(x)


@pytest.mark.parametrize(
    ("module", "shape", "by_path"),
    [
        (three_layers(), (4, 2, 10, 10), {"0": 1000, "3": 15, "4": 3}),
        (nested(), (1, 4, 5), {"conv": 240, "fc": 200, "sub.conv": 20, "sub.fc": 100}),
        (shared(), (1, 10), {"one.layer": 300, "last": 20}),
        (Again(), (1, 10), {"fc": 10}),
        (
            Body(lambda m, x: m.sub.other(m.fc(x)), sub=Besides(), fc=nn.Linear(10, 10)),
            (1, 10),
            {"fc": 100, "sub.fc": 10},
        ),
        (
            nn.DataParallel(nested()),
            (1, 4, 5),
            {"module.conv": 240, "module.fc": 200, "module.sub.conv": 20, "module.sub.fc": 100},
        ),
    ],
    ids=["three layers", "nested", "shared", "recursive", "not by forward", "spread"],
)
def test_the_multiply_adds_of_a_module(
    module: nn.Module, shape: tuple[int, ...], by_path: dict[str, int]
) -> None:
    found: dict[str, int] = {}
    for call in archbench.count(module, shape).calls:
        found[call.path] = found.get(call.path, 0) + call.macs
    assert found == by_path


def test_outputs_of_layers_are_its_activations() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1, 2), nn.Conv2d(4, 2, 1, 2))
    calls = archbench.count(layers, (1, 3, 32, 32)).calls
    assert [torch.Size(call.out_shape).numel() for call in calls] == [8192, 1024, 128]


@pytest.mark.parametrize(
    ("tied", "params", "kinds"), [(False, 180200, 180000), (True, 90200, 90000)]
)
def test_a_weight_that_is_used_again_counts_once(tied: bool, params: int, kinds: int) -> None:
    module = nn.Sequential(nn.Conv2d(100, 100, 3), nn.Conv2d(100, 100, 3))
    if tied:
        module[1].weight = module[0].weight
    report = archbench.count(module, (1, 100, 5, 5))
    assert (report.params, report.param_kinds.conv_weights) == (params, kinds)


def test_a_branch_on_data_is_taken_on_real_tensors() -> None:
    branching = Body(
        lambda m, x: m.wide(x) if m.narrow(x).item() < 1e9 else x,
        narrow=nn.Linear(10, 1),
        wide=nn.Linear(10, 10),
    )
    assert archbench.count(branching, (1, 10), device="auto").macs == 110
