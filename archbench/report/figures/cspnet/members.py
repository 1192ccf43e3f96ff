"""What the figures of CSPNet share: its unit of computation, and ours of a row of its tables."""

from __future__ import annotations

from collections.abc import Mapping

from archbench.papers.member import Member
from archbench.report.data.configurations import Configuration
from archbench.report.figures.contract import Axis
from archbench.report.figures.material import Value, value_of
from archbench.spec import Spec

BFLOPS = Axis("computation", "BFLOPs")


def of_member(
    configurations: Mapping[Spec, Configuration], member: Member, word: str, scale: float = 1.0
) -> Value:
    """A figure of a row's network; none where no record has it."""
    if member.spec is None or member.spec not in configurations:
        return Value(None)
    return value_of(configurations[member.spec], word, scale=scale)
