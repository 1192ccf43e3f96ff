"""The page's cards of devices: how it was measured on each, and the fingerprint of the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archbench.records import Record
from archbench.report.page.summary import days
from archbench.report.tables.table import Column, Table
from archbench.settings import SETTINGS

CONDITIONS = {"inputs": "inputs", "postprocess_load": "postprocessed"}
MANY = 6
"""Different values of a setting or a sensor that are named one by one."""


@dataclass(frozen=True)
class DeviceCard:
    """A device with its settings in words, the number of its records, and the tables of the
    protocol and the environment.
    """

    name: str
    count: int
    tables: Sequence[Table]


def device_cards(setups: Mapping[str, Sequence[Record]]) -> list[DeviceCard]:
    """Give a card for each setup, a device and the settings that it measured with."""
    return [_card(name, records) for name, records in setups.items()]


def _card(name: str, records: Sequence[Record]) -> DeviceCard:
    tables = [_facts("protocol", _protocol(records))]
    keys = dict.fromkeys(key for record in records for key in record.environment)
    if keys:
        values = {key: [record.environment.get(key) for record in records] for key in keys}
        fingerprint = [(key.replace("_", " "), _distinct(values[key])) for key in keys]
        tables.append(_facts("environment", fingerprint))
    return DeviceCard(name, len(records), tables)


def _protocol(records: Sequence[Record]) -> list[tuple[str, str]]:
    statuses = Counter(record.status for record in records)
    facts = [
        ("records", ", ".join(f"{count:,} {status}" for status, count in statuses.items())),
        ("made", days(records)),
    ]
    settings = dict.fromkeys(record.settings for record in records if record.settings)
    if settings:
        facts += [
            (declared.heading, _distinct(getattr(each, name) for each in settings))
            for name, declared in SETTINGS.items()
            if declared.heading
        ]
    for name, words in CONDITIONS.items():
        recorded: list[Mapping[str, object]] = [record.conditions for record in records]
        values = [conditions[name] for conditions in recorded if name in conditions]
        if values:
            facts.append((words, _distinct(values)))
    return facts


def _facts(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    return Table([Column(title, "left"), Column("", "left")], [list(row) for row in rows])


def _distinct(values: Iterable[Any]) -> str:
    """The different values among some, in words."""
    texts = list(dict.fromkeys(map(_plain, values)))
    return "; ".join(texts[:MANY]) + (
        f"; and {len(texts) - MANY} other values" if len(texts) > MANY else ""
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return (
            ", ".join(f"{key.replace('_', ' ')} {_plain(part)}" for key, part in value.items())
            or "none"
        )
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    return "none" if value is None else str(value)
