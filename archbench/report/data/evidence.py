"""Records, and what tables, verdicts and the page look up of all of them: found once, however many
ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archbench.records import Record
from archbench.report.data.comparable import setups
from archbench.report.data.configurations import Configuration, engine_of, put_together
from archbench.report.data.counts import counted_networks
from archbench.spec import Spec


@dataclass(frozen=True)
class Evidence:
    """Records to judge by."""

    records: Sequence[Record]
    engine: str | None = None
    """Of what it ran alone figures are measured; None: of all. Counts are of every record."""

    @cached_property
    def setups(self) -> dict[str, list[Record]]:
        """The records by the device and the settings that they were measured with."""
        return setups(record for record in self.records if self.engine in (None, engine_of(record)))

    @cached_property
    def other_engines(self) -> list[str]:
        """The other engines that measured something."""
        ran = {engine_of(record): None for record in self.records if record.settings}
        return [] if self.engine is None else [name for name in ran if name != self.engine]

    @cached_property
    def configurations(self) -> list[Configuration]:
        """The records put together, repeats as one."""
        return put_together(self.setups)

    @cached_property
    def counted(self) -> Mapping[Spec, Mapping[str, Any]]:
        """What was counted, by network."""
        return counted_networks(self.records)
