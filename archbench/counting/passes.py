"""Count a module by passes of it: one at a batch of one image, one at the batch asked for.

A pass over shapes is cheap. The figures of one image are those of the pass at batch 1, work that is
done once a pass included whole; peaks, sums of bytes and shapes are those of the batch asked for.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from archbench.counting.inputs import Batch, Inputs
from archbench.counting.params import param_kinds
from archbench.counting.report import CostReport
from archbench.counting.state import Lent, lent
from archbench.counting.tally import AS_GIVEN, SHARED, TOTALS, Counted, Pass
from archbench.counting.trace import Trace
from archbench.counting.uncompiled import uncompiled
from archbench.spec import UsageError

Spelling = Callable[[], AbstractContextManager[Any]]

NUMBERS = ("macs", "params", "elements", "weights", "activations", "applied")
"""Figures of a row that may grow with the batch."""


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Have operators arrive whole, as under inference mode, while tensors stay ordinary ones: what
    a module keeps of a pass in a cache outside of itself can be used by autograd.
    """
    # no_grad alone decomposes composite operators before a dispatch mode sees them.
    with torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
        yield


def count_module(
    module: nn.Module,
    inputs: Inputs,
    *,
    device: str = "meta",
    spelling: Spelling = whole,
    is_batch: bool = False,
) -> CostReport:
    """Count a module in evaluation mode on what its forward pass is given; `spelling` chooses the
    form in which operators arrive. Of what is surely a batch (`is_batch`) one image is an even
    share where the module runs at no other batch.

    On the meta device nothing is allocated or computed; another device runs the passes for real,
    for modules whose shapes depend on their data. The module and the state of the process are
    afterwards as they were. Raises what the module raises, and UsageError for a batch of nothing
    and where figures do not grow evenly with the batch.
    """
    on = torch.device(device)
    with lent(module, on) as state:
        counted = _count(lambda given: _run(module, state, given, spelling), inputs, is_batch)
        kinds = param_kinds(state.paths)
    boxes = getattr(module, "boxes", None)
    report = counted.report(kinds, boxes=boxes if isinstance(boxes, int) else None)
    return replace(report, counted_on=on.type)


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
        state.follow()
        mode = Trace(state, tensors)
        with uncompiled(), spelling(), mode.watching() as result:
            _check_computed(type(module).__name__, module(*args, **kwargs))
        return result
    finally:
        state.restore()


def _check_computed(name: str, outputs: Any) -> None:
    """Raise UsageError for outputs that are computed when they are read, which nobody does here."""
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs
    held = list(parts) if isinstance(outputs, Mapping | list | tuple) else []
    for each in (outputs, *held):
        if isinstance(each, Iterator | AsyncIterator | Awaitable):
            raise UsageError(
                f"the forward pass of {name} gives an object of type {type(each).__name__}, which "
                "computes when it is read: give tensors, or lists and dicts of them"
            )


def _count(run: Callable[[Inputs], Pass], inputs: Inputs, is_batch: bool) -> Counted:
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
    share = asked.even_share(batches[0].size) if is_batch else None
    if share is not None:
        return Counted(share, asked, batches[0].size, (SHARED,))
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
