"""What passes of a network came to, and the report that is made of them. Torch-free: a pass may be
of a module's operators or of a graph's nodes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import prod, sqrt

from archbench.counting.report import Call, CostReport, Kind, ParamKinds

FOREIGN_SHARE = 0.01
"""Share of all bytes above which an operator without a rule is too much to pass over."""
ALIGNMENT = 512
"""Bytes to which every tensor is rounded up, as CUDA's caching allocator does."""
SUMS = ("pool_elements", "bn_elements", "left_out", "with_mask", "bytes_all", "total_bytes")
"""Figures of a pass that are sums over its calls."""
TOTALS = ("pool_elements", "bn_elements", "left_out")
"""Figures of a pass, of one image, that may grow with the batch."""
OF_IMAGES = ("macs", "activations", "applied")
"""Figures of a row that grow with the batch, whatever the call."""
AS_GIVEN = (
    "counted as given, with the input as one image: the network does not run at any other batch "
    "size"
)
SHARED = "one image is an even share of the batch, since the network runs at no other batch"


@dataclass(slots=True)
class Row:
    """One counted call of a pass, the whole batch; a convolution's kernel is `applied` so often."""

    path: str
    op: str
    kind: Kind
    macs: int
    params: int
    elements: int
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    operator: str = ""
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    groups: int = 1
    weights: int = 0
    activations: int = 0
    applied: int = 0

    @property
    def taps(self) -> int:
        return prod(self.kernel)


@dataclass(frozen=True, slots=True)
class ConvolutionCall:
    """A convolution as it was called, by the shapes of its tensors; `bias` are the scalars of it.

    A transposed one applies its kernel at its input's positions.
    """

    source: tuple[int, ...]
    weight: tuple[int, ...]
    out: tuple[int, ...]
    bias: int
    stride: tuple[int, ...]
    groups: int
    is_transposed: bool

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.weight[2:]

    @property
    def crops(self) -> int:
        """Images, or crops of images, in the call."""
        return self.source[0] if len(self.source) == len(self.weight) else 1

    @property
    def positions(self) -> int:
        """Places of one crop at which the kernel is applied."""
        applied = self.source if self.is_transposed else self.out
        return prod(applied[-len(self.kernel) :])

    def row(self, path: str) -> Row:
        """Count the call, of the layer at a path."""
        weights, kernel = prod(self.weight), self.kernel
        activations = prod(self.source) + prod(self.out)
        applied = self.crops * self.positions
        return Row(
            path=path,
            op=f"conv{'_transpose' if self.is_transposed else ''}{len(kernel)}d",
            kind="convolution",
            macs=applied * weights,
            params=weights + self.bias,
            elements=activations + weights,
            in_shape=self.source,
            out_shape=self.out,
            kernel=kernel,
            stride=self.stride,
            groups=self.groups,
            weights=weights,
            activations=activations,
            applied=applied,
        )


@dataclass(slots=True)
class Foreign:
    """Calls of an operator of unknown insides: what they read and wrote."""

    calls: int = 0
    bytes: int = 0
    reads_weight: bool = False


@dataclass
class Pass:
    """What one pass came to."""

    rows: list[Row] = field(default_factory=list)
    pool_elements: int = 0
    bn_elements: int = 0
    left_out: int = 0
    with_mask: int = 0
    bytes_all: int = 0
    peak_bytes: int = 0
    peak_at: str = ""
    total_bytes: int = 0
    named: Counter[str] = field(default_factory=Counter)
    foreign: dict[str, Foreign] = field(default_factory=dict)

    def add(self, other: Pass, times: int = 1) -> None:
        """Take in what a part of the pass came to, so many times."""
        self.rows += other.rows * times
        for name in SUMS:
            setattr(self, name, getattr(self, name) + times * getattr(other, name))
        for name, calls in other.named.items():
            self.named[name] += times * calls

    def even_share(self, images: int) -> Pass | None:
        """Give the part that one of so many images has in the pass; None where figures are not
        even.
        """
        of_rows = [getattr(row, name) for row in self.rows for name in OF_IMAGES]
        if any(value % images for value in [*of_rows, *(getattr(self, name) for name in TOTALS)]):
            return None
        rows: list[Row] = [
            replace(row, **{name: getattr(row, name) // images for name in OF_IMAGES})
            for row in self.rows
        ]
        return replace(self, rows=rows, **{name: getattr(self, name) // images for name in TOTALS})

    @property
    def uncounted(self) -> tuple[tuple[str, int], ...]:
        """Operators that multiply, or may, and have no rule, with their calls."""
        unknown = {
            name: work.calls
            for name, work in self.foreign.items()
            if work.reads_weight or work.bytes > FOREIGN_SHARE * self.bytes_all
        }
        return tuple(sorted((self.named | Counter(unknown)).items()))


@dataclass(frozen=True)
class Counted:
    """Passes that make a report: that of one image, that of the batch asked for, and how many
    images that has.
    """

    one: Pass
    asked: Pass
    batch: int
    notes: tuple[str, ...] = ()

    def report(self, kinds: ParamKinds, boxes: int | None = None) -> CostReport:
        """Make the report of a network with these parameters."""
        return CostReport(
            calls=tuple(self._calls()),
            params=kinds.learnable,
            param_kinds=kinds,
            cio_pool=self.one.pool_elements + sum(row.activations for row in self.one.rows),
            bn_elements=self.one.bn_elements,
            activation_peak_bytes=self.asked.peak_bytes,
            activation_peak_at=self.asked.peak_at,
            activation_total_bytes=self.asked.total_bytes,
            bytes_all=self.asked.bytes_all,
            batch=self.batch,
            boxes=boxes,
            uncounted=self.one.uncounted,
            masked_macs=self.one.left_out,
            masked_calls=self.one.with_mask,
            notes=self.notes,
        )

    def _calls(self) -> list[Call]:
        """Make calls of rows: the figures of one image, shapes and elements of the batch."""
        ones, rows = self.one.rows, self.asked.rows
        keys = [[(row.path, row.op, row.kind) for row in each] for each in (ones, rows)]
        if keys[0] == keys[1]:
            return [_call(one, row, _share(one, row)) for one, row in zip(ones, rows, strict=True)]
        times = sum(row.macs for row in rows) / max(1, sum(one.macs for one in ones))
        return [
            _call(one, replace(one, elements=round(one.elements * times)), times) for one in ones
        ]


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
