"""Whatever a caller can cause is one line that says what is wrong and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bodies import Body
from torch import Tensor, nn
from torch.nn import functional as F

import archbench


class Raises(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


class Asks(nn.Module):
    """Asks for values before its layer runs."""

    def __init__(self, ask: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.ask, self.layer = ask, nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.ask(x)
        return self.layer(x)


@pytest.mark.parametrize(
    "ask",
    [
        Tensor.tolist,
        Tensor.numpy,
        Tensor.nonzero,
        torch.unique,
        lambda x: float(x.sum()),
        lambda x: x[x > 0],
        lambda x: bool(torch.isfinite(x).all()),
        lambda x: x.masked_select(x > 0),
    ],
    ids=range(8),
)
def test_data_is_there_on_real_tensors(ask: Callable[[Tensor], Any]) -> None:
    module = Asks(ask)
    assert archbench.count(module, (2, 8), device="auto").macs == 32
    with pytest.raises(archbench.UsageError, match=r'try count.*device="cpu"'):
        archbench.count(module, (2, 8))


def kept(x: Tensor) -> Tensor:
    """Rows that are chosen in a mask of the CPU by indices of the count's device."""
    keep = torch.zeros(4, dtype=torch.bool)
    keep.scatter_(0, x.sum(-1).topk(2).indices, True)
    return x[keep]


def repeated(x: Tensor) -> Tensor:
    """As many rows as a number says that is written to a part of a tensor of the CPU."""
    many = torch.zeros(2)
    many[0] = (x == x).sum()
    many += 1
    return x.repeat(int(many.tolist()[0]), 1)


def looked_up(x: Tensor) -> Tensor:
    """As many rows as an entry of a table of the CPU says, found by an index of the count's
    device.
    """
    many = torch.tensor([5, 5, 5])[x.sum(-1).topk(1).indices % 3]
    return x.repeat(many.item(), 1)


@pytest.mark.parametrize(("choose", "rows"), [(kept, 2), (repeated, 4 * 33), (looked_up, 4 * 5)])
def test_what_is_written_by_shape_alone_is_read_on_real_tensors(
    choose: Callable[[Tensor], Tensor], rows: int
) -> None:
    module = Body(lambda self, x: self.layer(choose(x)), layer=nn.Linear(8, 4))
    options: dict[str, Any] = {"batch_dim": None}
    report = archbench.count(module, (4, 8), device="auto", **options)
    assert (report.macs, report.counted_on) == (rows * 32, "cpu")
    with pytest.raises(archbench.UsageError, match=r'try count.*device="cpu"'):
        archbench.count(module, (4, 8), **options)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_what_is_written_by_shape_alone_may_be_computed_with(device: str) -> None:
    def scaled(self: Any, x: Tensor) -> Tensor:
        gates, other = torch.zeros(4), torch.zeros(4)
        gates[1:] = x.mean()
        other.copy_(gates)
        return self.layer(x * (gates + other)[:, None])

    module = Body(scaled, layer=nn.Linear(8, 4))
    assert archbench.count(module, (4, 8), device=device, batch_dim=None).macs == 4 * 32


class Chosen(nn.Module):
    """Gives as many rows as are above zero."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0].view(-1, 1) @ torch.ones(1, 3)


CONV = nn.Conv2d(3, 4, 3)
WRONG: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "lazy": (nn.Sequential(nn.LazyLinear(2)), (1, 3), {}, "LazyLinear at '0' is lazy"),
    "lazy statistics": (
        nn.Sequential(nn.LazyBatchNorm2d(affine=False)),
        (1, 3, 8, 8),
        {},
        "LazyBatchNorm2d at '0' is lazy",
    ),
    "in the standard library": (
        Body(lambda m, x: json.loads("")),
        (1, 3),
        {"device": "cpu"},
        "JSONDecodeError at test_errors.py:",
    ),
    "no forward": (nn.Module(), (1, 3), {}, "NotImplementedError"),
    "wrong channels": (CONV, (1, 5, 8, 8), {"device": "cpu"}, "expected input"),
    "batch 0": (CONV, (0, 3, 8, 8), {}, "no images"),
    "below 0": (CONV, (-1, 3, 8, 8), {}, "a side is below 0"),
    "no words": (Raises(RuntimeError()), (1, 3), {}, "RuntimeError at test_errors.py:"),
    "its own error": (Raises(KeyError("x")), (1, 3), {}, "KeyError at test_errors.py:"),
    "a class": (nn.Conv2d, (1, 3), {}, "the class Conv2d cannot be counted"),
    "no module": (5, (1, 3), {}, "an object of type int cannot be counted"),
    "a number": (CONV, 224, {}, "invalid input of type int"),
    "a word": (CONV, "x", {}, "invalid input of type str"),
    "a device": (CONV, (1, 3, 8, 8), {"device": "gpu"}, "invalid device 'gpu'"),
    "a dtype": (CONV, (1, 3, 8, 8), {"dtype": "half"}, "invalid dtype 'half'"),
    "a dimension": (CONV, (2, 3, 8, 8), {"batch_dim": "x"}, "invalid batch_dim 'x'"),
    "dimensions": (CONV, (torch.empty(2, 3, 8, 8),), {"batch_dim": (0, 1)}, "2 parts for 1"),
    "indices": (nn.Embedding(10, 4), (2, 5), {}, "Embedding does not run on the meta device"),
    "no weights": (nn.Conv2d(3, 4, 3, device="meta"), (1, 3, 8, 8), {"device": "cpu"}, "meta"),
}


@pytest.mark.parametrize(("module", "given", "options", "message"), WRONG.values(), ids=WRONG)
def test_errors(module: Any, given: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(archbench.UsageError, match=message) as caught:
        archbench.count(module, given, **options)
    assert "\n" not in str(caught.value)


def test_a_module_of_data_falls_back_to_real_tensors_where_that_is_allowed() -> None:
    x = torch.tensor([[1.0, -1.0, 2.0]])
    assert archbench.count(Chosen(), x, device="auto", batch_dim=None).macs_all == 2 * 3
    with pytest.raises(archbench.UsageError, match=r'try count.*device="cpu"'):
        archbench.count(Chosen(), x, batch_dim=None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64], ids=str)
@pytest.mark.parametrize("device", ["meta", "cpu", "auto"])
@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(3, 8, 3), (2, 3, 8, 8)),
        (nn.ConvTranspose1d(3, 8, 3), (2, 3, 8)),
        (nn.Linear(8, 4), (2, 8)),
        (nn.LSTM(8, 4, batch_first=True), (2, 5, 8)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_another_type_than_the_weights_is_refused(
    module: nn.Module, shape: tuple[int, ...], device: str, dtype: torch.dtype
) -> None:
    """The meta device alone multiplies what differs in type."""
    with pytest.raises(archbench.UsageError):
        archbench.count(module, shape, dtype=dtype, device=device)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_types_may_differ_where_they_are_cast(device: str) -> None:
    layer = nn.Linear(8, 4)

    def cast(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return F.linear(x.bfloat16(), layer.weight)

    module = nn.Sequential(layer)
    module.forward = cast  # type: ignore[method-assign]
    assert archbench.count(module, (2, 8), device=device).macs == 32
