"""The result of a count: a row for each counted call and the totals. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from archbench.quantities import COUNTED_FOR_REAL, QUANTITIES, ROWS, count_remarks, profiled

if TYPE_CHECKING:
    from pandas import DataFrame

Kind = Literal["convolution", "linear", "attention", "other", "recurrent"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What multiply-adds are of; the papers count the first two."""


@dataclass(frozen=True)
class Call:
    """One convolution, linear layer or other product as it was called, counted for one image.

    Shapes are those of the call, the batch or the crops first. `mac_eq1`, `mac_bound` and `cio` are
    defined for convolutions only. `params` are those the call reads: a layer called twice reads the
    same ones twice. The whole call, all images of the batch, does `images` times its macs and moves
    `elements`: what it reads, weighs and writes. `images` is the batch; 1 where the work is done
    once a pass, and between where part of it is.
    """

    path: str
    op: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    params: int
    macs: int
    mac_eq1: int | None
    mac_bound: float | None
    cio: int | None
    images: int | float
    elements: int
    kind: Kind = "convolution"

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution with as many groups as input channels, of several."""
        return self.groups > 1 and self.groups == self.in_shape[-1 - len(self.kernel)]


@dataclass(frozen=True)
class ParamKinds:
    """The scalars of a network by kind. Buffers of normalisations are not parameters; papers count
    differently.

    `dense_conv_channels`, the output channels of convolutions in one group, says how many one bias
    each would be.
    """

    conv_weights: int = 0
    linear_weights: int = 0
    biases: int = 0
    norm_scalars: int = 0
    other: int = 0
    norm_buffers: int = 0
    dense_conv_channels: int = 0

    @property
    def learnable(self) -> int:
        """All parameters."""
        return (
            self.conv_weights + self.linear_weights + self.biases + self.norm_scalars + self.other
        )


@dataclass(frozen=True)
class CostReport:
    """The cost of one forward pass of a network, per image; bytes are for the batch, in the
    network's precision: fp32 unless a module of your own has another.

    params: learnable scalars. macs: multiply-accumulates of convolutions and linear layers, as the
    papers count them; macs_all: all of them, with attention, other products and recurrent layers.
    Both are those of a pass at batch 1. mac_eq1: memory access cost by VoVNet's Eq. 1, in elements,
    summed over convolution calls; mac_bound: its lower bound (VoVNet, section 3.1). cio: elements
    that convolutions read and write (HarDNet); cio_pool: with pooling. bn_elements: elements of all
    batch norm outputs. activation_peak_bytes: the largest sum of live tensors;
    activation_total_bytes: the sum of all operator outputs that are new tensors, which Huang et al.
    call total memory; bytes_all: inputs, weights and outputs of every operator except views.
    train_memory_bytes: the least that a training step with momentum needs, in mode "train".
    `paper_params`: parameters by the paper's own rule, if it has one. `uncounted`: operators that
    multiply matrices or convolve but have no counting rule, with their calls. Attention is counted
    in full: causal masks would save `masked_macs`, and the masks of `masked_calls` are of unknown
    effect. `notes`: remarks on the count. `counted_on`: the type of device of the passes: "meta"
    (shapes alone), or "cpu" and the like (real tensors).
    """

    calls: tuple[Call, ...]
    params: int
    param_kinds: ParamKinds
    cio_pool: int
    bn_elements: int
    activation_peak_bytes: int
    activation_peak_at: str
    activation_total_bytes: int
    bytes_all: int
    batch: int
    train_memory_bytes: int | None = None
    boxes: int | None = None
    paper_params: int | None = None
    uncounted: tuple[tuple[str, int], ...] = ()
    masked_macs: int = 0
    masked_calls: int = 0
    notes: tuple[str, ...] = ()
    counted_on: str = "meta"

    @cached_property
    def macs_by_kind(self) -> dict[Kind, int]:
        """All multiply-accumulates, by kind."""
        return {kind: sum(call.macs for call in self.calls if call.kind == kind) for kind in KINDS}

    @cached_property
    def macs(self) -> int:
        return self.macs_convolution + self.macs_linear

    @cached_property
    def macs_all(self) -> int:
        return sum(self.macs_by_kind.values())

    @property
    def macs_convolution(self) -> int:
        return self.macs_by_kind["convolution"]

    @property
    def macs_linear(self) -> int:
        """Of linear layers and of products with a parameter or a buffer itself."""
        return self.macs_by_kind["linear"]

    @property
    def macs_attention(self) -> int:
        """Of scaled dot products, all queries times all keys whatever a mask leaves out."""
        return self.macs_by_kind["attention"]

    @property
    def attention_masks(self) -> dict[str, int]:
        """What masks leave out, and calls in which that is not known; empty without masks."""
        found = {"causal_macs": self.masked_macs, "unknown_calls": self.masked_calls}
        return {word: number for word, number in found.items() if number}

    @property
    def macs_other(self) -> int:
        """Of all other products, which are of activations."""
        return self.macs_by_kind["other"]

    @property
    def macs_recurrent(self) -> int:
        return self.macs_by_kind["recurrent"]

    @cached_property
    def macs_depthwise(self) -> int:
        """Of convolutions with as many groups as input channels."""
        return sum(call.macs for call in self.calls if call.is_depthwise)

    @property
    def call_count(self) -> int:
        return len(self.calls)

    @cached_property
    def flops(self) -> int:
        """Two operations for each of `macs`."""
        return int(self._derived("flops"))

    @cached_property
    def paper_flops(self) -> int:
        """What VoVNet calls FLOPs: multiply-accumulates and one operation per element of every
        batch norm's output.
        """
        return int(self._derived("paper_flops"))

    @cached_property
    def mac_eq1(self) -> int:
        return sum(call.mac_eq1 or 0 for call in self.calls)

    @cached_property
    def mac_bound(self) -> float:
        return sum(call.mac_bound or 0.0 for call in self.calls)

    @cached_property
    def cio(self) -> int:
        return sum(call.cio or 0 for call in self.calls)

    def totals(self) -> dict[str, Any]:
        """Every counted figure without the calls, the form that records hold."""
        return {row.name: _plain(getattr(self, row.name)) for row in ROWS if row.group == "counted"}

    def __str__(self) -> str:
        """A table: a line for each figure that there is, and what is to be known of them."""
        found = self.totals()
        lines = [
            (row.heading, *_readable(found[row.name], row.unit))
            for row in profiled("counted").values()
            if found[row.name] is not None
            and not (row.is_extra and (self.macs_all == self.macs or not found[row.name]))
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            f"{heading:{widths[0]}}  {value:>{widths[1]}}  {unit}".rstrip()
            for heading, value, unit in lines
        ]
        return "\n".join([*table, *self._remarks()])

    def _remarks(self) -> list[str]:
        """What is to be known of the figures, in sentences."""
        for_real = [COUNTED_FOR_REAL] if self.counted_on != "meta" else []
        return [*count_remarks(self.totals()), *for_real, *self.notes]

    def to_frame(self) -> DataFrame:
        """Give the calls as a data frame of pandas, a row each, with the fields of `Call`."""
        import pandas as pd

        return pd.DataFrame([asdict(call) for call in self.calls], columns=_CALL_FIELDS)

    def _derived(self, name: str) -> Any:
        rule = QUANTITIES[name].rule
        assert rule
        return rule.value({source: getattr(self, source) for source in rule.sources})


_CALL_FIELDS = [item.name for item in fields(Call)]
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "K"), (1.0, ""))


def _readable(value: float, unit: str) -> tuple[str, str]:
    """A value of three decimals with the largest prefix that leaves it above 1, and its unit."""
    factor, prefix = next((pair for pair in PREFIXES if abs(value) >= pair[0]), PREFIXES[-1])
    word = "B" if unit == "bytes" else ""
    digits = 0 if factor == 1 else 3
    return f"{value / factor:,.{digits}f}", prefix + word


def _plain(value: Any) -> Any:
    """The value as JSON holds it."""
    if isinstance(value, ParamKinds):
        return asdict(value)
    return [list(row) for row in value] if isinstance(value, tuple) else value
