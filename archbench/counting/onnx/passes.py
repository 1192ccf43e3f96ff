"""Count a model by passes over its graph: one at a batch of one image, one at the batch asked
for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from onnx import TypeProto

from archbench.counting.onnx.axes import Axes
from archbench.counting.onnx.bodies import Body, graph_body
from archbench.counting.onnx.reading import Model, read
from archbench.counting.onnx.walking import Walk
from archbench.counting.report import CostReport
from archbench.counting.tally import AS_GIVEN, SHARED, Counted, Pass
from archbench.spec import UsageError

MOST = 2**63
"""What records can hold, and no network reaches."""
RECURRENT = ("LSTM", "GRU", "RNN")
ANONYMOUS = "onnx::Conv"
"""How torch names the weights of a convolution into which it folds a batch norm."""
FOLDED = (
    "batch norms are folded into convolutions: parameters hold a bias a channel for their scalars"
)
MAY_BE_FOLDED = (
    "no batch normalisation is in the graph: those that the network may have had are folded into "
    "convolutions, and parameters lack their scalars"
)


class Counting:
    """The count of a model at an image's size (width, height) and a batch; `types` are those of its
    inputs, every axis set.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None, batch: int | None) -> None:
        if batch is not None and batch < 1:
            raise UsageError(f"a batch of {batch} holds no images")
        self.model: Model = read(path)
        self.body: Body = graph_body(self.model.name, self.model.graph)
        self.axes = Axes(self.model.name, size, batch, frozenset(self._sequences()))
        self._given = [each for each in self.model.graph.input if each.name not in self.body.held]
        self.types = self.axes.fix(self._given)

    def report(self) -> CostReport:
        """Count it; raises UsageError where it does not fit its input."""
        asked = Walk(self.model, self.axes.named)
        asked.run(self.body, self.types)
        counted = self._counted(asked.result)
        notes = *asked.found.notes, *_quantised(asked), *self._folded(asked), *counted.notes
        report = replace(counted, notes=notes).report(asked.weights.kinds())
        if max(report.params, report.macs_all, report.bytes_all) >= MOST:
            raise UsageError(f"{self.model.name} has counts above 2^63, more than any real network")
        return report

    def _counted(self, asked: Pass) -> Counted:
        """Find the pass of one image beside the one that is asked for."""
        images = self.axes.images or 1
        one = asked if images == 1 else self._at_batch_1()
        if one is not None:
            return Counted(one, asked, images)
        share = asked.even_share(images) if self.axes.has_image else None
        if share is not None:
            return Counted(share, asked, images, (SHARED,))
        return Counted(asked, asked, 1, (AS_GIVEN,))

    def _at_batch_1(self) -> Pass | None:
        """The pass at batch 1; None where the model is bound to its batch."""
        axes = Axes(self.model.name, self.axes.size, 1, self.axes.sequence_first)
        is_fixed = self.axes.is_batch_fixed
        walk = Walk(self.model, None if is_fixed else axes.named)
        try:
            return walk.run(self.body, self._at_one_image() if is_fixed else axes.fix(self._given))
        except UsageError:
            return None

    def _at_one_image(self) -> dict[str, TypeProto]:
        """The types of inputs whose batch the file fixes, at one image."""
        axes = Axes(self.model.name, self.axes.size, None, self.axes.sequence_first, is_single=True)
        return axes.fix(self._given)

    def _sequences(self) -> Iterator[str]:
        """Names of what recurrent layers read, steps first and the batch second."""
        for node in self.body.nodes:
            if node.op in RECURRENT and not node.attribute("layout", 0):
                yield from list(node.inputs)[:1]

    def _folded(self, walk: Walk) -> Iterator[str]:
        """Say that batch norms are folded, or may be."""
        if any(name.startswith(ANONYMOUS) for name in self.body.held):
            yield FOLDED
        elif not walk.found.normalises and any(row.kernel for row in walk.result.rows):
            yield MAY_BE_FOLDED


def _quantised(walk: Walk) -> Iterator[str]:
    """Name what multiplies integers, or tensors that were integers."""
    named = [
        f"{name} ({calls} call{'s' * (calls > 1)})"
        for name, calls in sorted(walk.found.quantised.items())
    ]
    if named:
        yield f"quantised: {', '.join(named)}; weights of integers count as parameters"
