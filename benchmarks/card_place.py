"""Where a step of `card.py` runs, what it measures there, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archbench.records import Record
    from archbench.settings import Settings

Finding = tuple[str, str, str, bool | None]
"""What was looked at, what was expected, what was seen, whether they agree (None: not told)."""
Network = tuple[str, str | None, int | None]
"""A backbone, a detector and a side; None: without one, the network's own."""


@dataclass(frozen=True)
class Networks:
    """What is measured: on a card the papers' networks, on a CPU small ones."""

    launched: tuple[str, ...]
    side: int | None
    classifier: Network
    detector: Network
    regions: Network


ON_A_CARD = Networks(
    ("vovnet39", "densenet161", "resnet50"),
    None,
    ("resnet50", None, None),
    ("vovnet39", "refinedet320", None),
    ("mobilenet", "faster-rcnn300", None),
)
REHEARSED = Networks(
    ("resnet18",),
    64,
    ("resnet18", None, 64),
    ("resnet18", "refinedet", 64),
    ("mobilenet", "faster-rcnn", 64),
)


@dataclass(frozen=True)
class Place:
    """Where a step runs, until when, and where its records go."""

    results: Path
    seconds: float

    @cached_property
    def has_card(self) -> bool:
        """Whether torch can use a card here."""
        import torch

        return torch.cuda.is_available()

    @property
    def networks(self) -> Networks:
        """The networks for here."""
        return ON_A_CARD if self.has_card else REHEARSED

    @property
    def settings(self) -> Settings:
        """How they are measured here: briefly."""
        from archbench.settings import QUICK, Settings

        if self.has_card:
            return replace(QUICK, device="cuda", budget_s=2.0)
        return Settings(device="cpu", threads=1, target=0.5, n_min=3, t_min_s=0.01, budget_s=0.3)

    def measure(self, network: Network, **changes: Any) -> Record:
        """Measure a network in a process of its own, without its energy, and keep the record."""
        from archbench.measure.job.supervisor import run_job
        from archbench.measure.power.meters import NONE
        from archbench.records import Store
        from archbench.zoo.catalogue import resolve

        backbone, detector, side = network
        size = {} if side is None else {"size": side}
        spec = resolve(backbone, detector, **size).spec
        settings = replace(self.settings, deadline_s=max(1.0, self.seconds), **changes)
        return run_job(spec, settings, Store(self.results), meter=NONE)


def shown(value: float | None, unit: str = "ms") -> str:
    """A figure for people."""
    return "none" if value is None else f"{value:.3g} {unit}"


def at_most(what: str, less: float | None, more: float | None, slack: float = 1.0) -> Finding:
    """That one figure is no more than another, with some slack."""
    holds = None if less is None or more is None else less <= slack * more
    return what, "the first is no more than the second", f"{shown(less)}, {shown(more)}", holds
