"""What a figure is: how it is called, kept and shown, and the rule by which it follows from others.
Torch-free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Any, Literal, get_args

Group = Literal["counted", "measured"]
Topic = Literal[
    "count",
    "time",
    "roofline",
    "rate",
    "device memory",
    "allocator",
    "host memory",
    "power",
    "energy",
    "engine",
    "note",
]
TOPICS: tuple[Topic, ...] = get_args(Topic)
"""What figures are about, in the order in which `profile` shows them."""
PLAIN_UNITS = ("count", "1", "ratio")
"""Units of plain numbers and ratios, which tables leave out."""


@dataclass(frozen=True)
class Scale:
    """The unit in which people read a figure: `factor` of it make the stored one.

    Without `digits` the value itself says how many are worth showing.
    """

    unit: str = ""
    factor: float = 1.0
    digits: int | None = None


@dataclass(frozen=True)
class Rule:
    """How a figure follows from others: `apply` takes their values in the order of `sources`.

    A source is the word of a figure, something else that was counted, or `batch`. `apply` gives
    None where nothing follows from these values.
    """

    sources: tuple[str, ...]
    apply: Callable[..., float | None]
    text: str = ""
    """The rule as it stands beside the figure."""
    is_of_inference: bool = False
    """Whether it says nothing of training steps."""

    def value(self, known: Mapping[str, Any]) -> Any:
        """Apply it to what is known; None where a source is missing or the result is no number."""
        values = [known.get(source) for source in self.sources]
        try:
            return None if None in values else self.apply(*values)
        except ArithmeticError:
            return None


@dataclass(frozen=True)
class Quantity:
    """One figure: its word, its heading beside its neighbours, its meaning, and how it is kept and
    shown.
    """

    name: str
    heading: str
    meaning: str
    group: Group
    topic: Topic
    unit: str = ""
    """The stored unit; empty for what is no number."""
    type: type = float
    scale: Scale = Scale()
    alone: str = ""
    """The heading far from its neighbours, where its own leans on them."""
    trained: str = ""
    """The heading of the figure of training steps, where it is another."""
    rule: Rule | None = None
    time: str = ""
    """The time that it is computed from, whose interval and flags are its own."""
    is_column: bool = True
    """Whether it is one of the stable columns."""
    is_later: bool = False
    """Whether its column stands behind those that were there before it."""
    is_more_better: bool = False
    """Whether of two values the larger one is the better."""
    is_profiled: bool = True
    """Whether it has a line in `profile`'s tables."""
    is_of_batch: bool = False
    """Whether it is counted of a whole batch, where other counts are of one image."""
    is_extra: bool = False
    """Whether that line stands only where a network computes more than the papers count."""
    is_leading: bool = False
    """Whether the page shows it first."""
    explains: int = 0
    """Its rank among the counts that are to explain time and energy; 0: none of them."""

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.type in (int, float)

    @property
    def is_of_one_card(self) -> bool:
        """Whether it holds for one card and not for its model: sensors of power differ."""
        return self.topic in ("power", "energy")

    @property
    def title(self) -> str:
        """Its heading where it stands alone."""
        return self.alone or self.heading

    def show(self, value: float) -> str:
        """A value in the unit that people read, without the unit; two digits of what its decimals
        would show as nothing.
        """
        shown = value * self.scale.factor
        text = f"{shown:,.{self.scale.digits or 0}f}"
        is_lost = isfinite(shown) and shown != 0 and not any(digit in text for digit in "123456789")
        return f"{shown:.{1 - floor(log10(abs(shown)))}f}" if is_lost else text

    def quote(self, value: float) -> str:
        """A published value in the same unit, with no more digits than were printed."""
        return f"{value * self.scale.factor:.10g}"
