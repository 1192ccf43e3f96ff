"""Count a module by passes of it: one at a batch of one image, one at the batch asked for.

A pass over shapes is cheap. The figures of one image are those of the pass at batch 1, work that is
done once a pass included whole; peaks, sums of bytes and shapes are those of the batch asked for.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import torch
from torch import nn

from archbench.counting.inputs import Batch, Inputs
from archbench.counting.params import param_kinds
from archbench.counting.report import Call, CostReport
from archbench.counting.state import Lent, lent
from archbench.counting.trace import Pass, Row, Trace
from archbench.spec import UsageError

Spelling = Callable[[], AbstractContextManager[Any]]

AS_GIVEN = (
    "counted as given, the input as one image: the module runs at no other size of what would be "
    "its batch"
)
NUMBERS = ("macs", "params", "elements", "weights", "activations", "applied")
"""Figures of a row that may grow with the batch."""
TOTALS = ("pool_elements", "bn_elements", "left_out")
"""Figures of a pass, of one image, that may."""


@contextlib.contextmanager
def whole() -> Any:
    """Have operators arrive whole, as under inference mode, while tensors stay ordinary ones: what
    a module keeps of a pass in a cache outside of itself can be used by autograd.
    """
    with torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
        yield


@dataclass(frozen=True)
class Counted:
    """Passes that make a report: that of one image, that of the batch asked for, and how many
    images that has.
    """

    one: Pass
    asked: Pass
    batch: int
    notes: tuple[str, ...] = ()


def count_module(
    module: nn.Module, inputs: Inputs, *, device: str = "meta", spelling: Spelling = whole
) -> CostReport:
    """Count a module in evaluation mode on what its forward pass is given; `spelling` chooses the
    form in which operators arrive.

    On the meta device nothing is allocated or computed; another device runs the passes for real,
    for modules whose shapes depend on their data. The module and the state of the process are
    afterwards as they were. Raises what the module raises, and UsageError for a batch of nothing
    and where figures do not grow evenly with the batch.
    """
    on = torch.device(device)
    with lent(module, on) as state:
        counted = _count(lambda given: _run(module, state, given, spelling), inputs)
        kinds = param_kinds(state.paths)
    boxes = getattr(module, "boxes", None)
    return CostReport(
        calls=tuple(_calls(counted)),
        params=kinds.learnable,
        param_kinds=kinds,
        cio_pool=counted.one.pool_elements + sum(row.activations for row in counted.one.rows),
        bn_elements=counted.one.bn_elements,
        activation_peak_bytes=counted.asked.peak_bytes,
        activation_peak_at=counted.asked.peak_at,
        activation_total_bytes=counted.asked.total_bytes,
        bytes_all=counted.asked.bytes_all,
        batch=counted.batch,
        boxes=boxes if isinstance(boxes, int) else None,
        uncounted=counted.one.uncounted,
        masked_macs=counted.one.left_out,
        masked_calls=counted.one.with_mask,
        notes=counted.notes,
    )


def macs_by_operator(module: nn.Module, inputs: Inputs) -> Counter[str]:
    """Count the multiply-adds of one pass on the meta device by the operators that decomposed ones
    are made of.
    """
    with lent(module, torch.device("meta")) as state:
        rows = _run(module, state, inputs, torch.no_grad).rows
    found: Counter[str] = Counter()
    for row in rows:
        found[row.operator] += row.macs
    return found


def _run(module: nn.Module, state: Lent, inputs: Inputs, spelling: Spelling) -> Pass:
    """Run one pass and put everything back."""
    try:
        args, kwargs, tensors = inputs.on(state.device)
        state.prepare()
        mode = Trace(
            state.storages,
            tensors,
            on_meta=state.device.type == "meta",
            before_write=state.save,
        )
        mode.follow((state.paths.get(sub, ""), sub) for sub in state.modules)
        with spelling(), mode.watching() as result:
            module(*args, **kwargs)
        return result
    finally:
        state.restore()


def _count(run: Callable[[Inputs], Pass], inputs: Inputs) -> Counted:
    """Find the passes that make a report."""
    batches = inputs.batches()
    if any(batch.size == 0 for batch in batches[:1]):
        raise UsageError("the input holds no images: its batch is 0")
    asked = run(inputs)
    if not batches or batches[0].size == 1:
        return Counted(asked, asked, 1)
    for batch in batches:
        one = _attempt(run, inputs.resized(batch, 1))
        if one is not None:
            return Counted(one, asked, batch.size)
    for batch in batches:
        more = [_attempt(run, inputs.resized(batch, times * batch.size)) for times in (2, 3)]
        if more[0] is not None and more[1] is not None:
            return Counted(_fitted((asked, *more), batch), asked, batch.size)
    return Counted(asked, asked, 1, (AS_GIVEN,))


def _attempt(run: Callable[[Inputs], Pass], inputs: Inputs) -> Pass | None:
    try:
        return run(inputs)
    except UsageError:
        raise
    except Exception:
        return None


def _fitted(passes: tuple[Any, ...], batch: Batch) -> Pass:
    """Find the pass at one image from those at b, 2b and 3b, where that cannot be run."""
    first, second, third = passes
    rows = []
    if len({len(each.rows) for each in passes}) > 1:
        raise _uneven(batch)
    for three in zip(first.rows, second.rows, third.rows, strict=True):
        if len({(row.path, row.op, row.kind) for row in three}) > 1:
            raise _uneven(batch)
        numbers = {name: _at_one([getattr(row, name) for row in three], batch) for name in NUMBERS}
        rows.append(replace(three[0], **numbers))
    totals = {name: _at_one([getattr(each, name) for each in passes], batch) for name in TOTALS}
    return replace(first, rows=rows, **totals)


def _at_one(values: list[int], batch: Batch) -> int:
    step, again = values[1] - values[0], values[2] - values[1]
    if step != again or step % batch.size:
        raise _uneven(batch)
    return values[0] - (batch.size - 1) * step // batch.size


def _uneven(batch: Batch) -> UsageError:
    b = batch.size
    return UsageError(
        f"one image cannot be told from batches of {b}, {2 * b} and {3 * b}: their multiply-adds "
        "do not grow evenly, and batch 1 does not run"
    )


def _calls(counted: Counted) -> list[Call]:
    """Make calls of rows: the figures of one image, shapes and elements of the batch."""
    ones, rows = counted.one.rows, counted.asked.rows
    keys = [[(row.path, row.op, row.kind) for row in each] for each in (ones, rows)]
    if keys[0] == keys[1]:
        return [_call(one, row, _share(one, row)) for one, row in zip(ones, rows, strict=True)]
    times = sum(row.macs for row in rows) / max(1, sum(one.macs for one in ones))
    return [_call(one, replace(one, elements=round(one.elements * times)), times) for one in ones]


def _share(one: Row, row: Row) -> int | float:
    """How many times one image's multiply-adds a call does."""
    whole, rest = divmod(row.macs, one.macs) if one.macs else (1, 0)
    return whole if not rest else row.macs / one.macs


def _call(one: Row, row: Row, images: int | float) -> Call:
    is_convolution = one.kind == "convolution" and bool(one.kernel)
    applied = one.applied
    bound = 2 * sqrt(applied * one.macs / max(1, one.taps)) + one.macs / applied if applied else 0.0
    return Call(
        path=one.path,
        op=one.op,
        kernel=one.kernel,
        stride=one.stride,
        groups=one.groups,
        in_shape=row.in_shape,
        out_shape=row.out_shape,
        params=one.params,
        macs=one.macs,
        mac_eq1=one.activations + one.weights if is_convolution else None,
        mac_bound=bound if is_convolution else None,
        cio=one.activations if is_convolution else None,
        images=images,
        elements=row.elements,
        kind=one.kind,
    )
