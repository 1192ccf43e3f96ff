"""Operators that are not torch's own: named where they may hide products, counted by a rule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.counting import rule
from archbench.counting.rules import foreign


@torch.library.custom_op("countingtest::hidden", mutates_args=())
def hidden(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


@hidden.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[1])


class Hiding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.countingtest.hidden(x, self.weight)


@pytest.fixture(autouse=True)
def no_rules() -> Iterator[None]:
    yield
    foreign.registered.clear()


def test_an_operator_that_reads_a_parameter_is_named() -> None:
    assert archbench.count(Hiding(), (2, 5, 7)).uncounted == (("countingtest::hidden", 1),)


def test_a_rule_counts_it() -> None:
    @rule("countingtest::hidden", kind="linear")
    def _(x: Tensor, weight: Tensor, *, out: Tensor) -> int:
        return out.numel() * weight.shape[0]

    report = archbench.count(Hiding(), (2, 5, 7))
    assert (report.macs, report.macs_all, report.uncounted) == (105, 105, ())


def test_a_rule_of_nothing_takes_its_name_away() -> None:
    rule("countingtest::hidden")(lambda *args, out: 0)
    report = archbench.count(Hiding(), (2, 5, 7))
    assert (report.macs_all, report.uncounted) == (0, ())


@pytest.mark.parametrize("operator", ["hidden", "a::b::c", 3])
def test_an_operator_has_a_namespace(operator: str) -> None:
    with pytest.raises(archbench.UsageError, match="invalid operator"):
        rule(operator)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(archbench.UsageError, match="invalid kind 'x'"):
        rule("countingtest::hidden", kind="x")  # type: ignore[arg-type]


def test_a_rule_gives_a_number() -> None:
    rule("countingtest::hidden")(lambda *args, out: -1)
    with pytest.raises(archbench.UsageError, match="the rule of countingtest::hidden gives -1"):
        archbench.count(Hiding(), (2, 5, 7))
