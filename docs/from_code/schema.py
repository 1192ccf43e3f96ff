"""The JSON Schema of a record, from the types that records are read with."""

from __future__ import annotations

import json
from typing import Any

from msgspec import NODEFAULT, defstruct
from msgspec.json import schema as schema_of
from msgspec.structs import fields

from archbench.quantities import QUANTITIES
from archbench.records.conditions import Conditions, Environment, Seconds
from archbench.records.decoding import Line, StoredMetric
from archbench.records.reading import Counted, SpecData
from archbench.records.schema import SCHEMA_VERSION, Cause
from archbench.settings import SETTINGS, Settings
from from_code.markdown import code, table, text

FILE = "record.schema.json"
HEAD = f"""# Record schema

A record is one line of JSON in the results folder: what was asked, where it ran, what was counted
and measured, and how it ended. This is version {SCHEMA_VERSION}. Later versions may add fields and
codes; readers should ignore those that they do not know. A figure in `measured` has a value or a
reason, never both.

[{FILE}]({FILE}) is the JSON Schema of such a line.
"""
PARTS: dict[str, Any] = {
    "spec": SpecData,
    "settings": Settings | None,
    "reason": Cause | None,
    "counted": Counted | None,
    "measured": dict[str, StoredMetric],
    "environment": Environment,
    "conditions": Conditions,
    "phases": dict[str, Seconds],
}
"""The types of those parts of a line that its reader leaves as text at first."""
MEANINGS = {
    "spec": "Which network, at which input and batch.",
    "settings": "How it was measured; null where it was only counted.",
    "status": "How the job ended.",
    "reason": "Why it did not end well, where it did not.",
    "counted": "What was counted; null where the job ended before.",
    "measured": "The measured figures by name.",
    "environment": "Where it ran: machine, device and software.",
    "conditions": "Under what conditions: load, clocks, sensors, peaks, the synthetic scene.",
    "phases": "Seconds that each phase of the job took.",
    "record_id": "Tells records apart.",
    "time_utc": "When it was made, ISO 8601.",
    "schema_version": "The version of this schema.",
    "command": "The command that makes such a record again.",
    "samples": "The file of the samples, relative to the results folder.",
    "run_id": "What the records of one sweep have in common.",
    "attempt": "Which try this was.",
}
"""What the fields of a line are."""
SHOWN = ("Record", "SpecData", "Settings", "Cause", "Counted", "StoredMetric", "Environment")
"""The objects that the page shows; the rest is in the schema."""


def record_type() -> type:
    """Give the type of a record's line, all its parts included."""
    members = [
        (field.name, PARTS.get(field.name, field.type))
        if field.default is NODEFAULT
        else (field.name, PARTS.get(field.name, field.type), field.default)
        for field in fields(Line)
    ]
    return defstruct("Record", members, namespace={"__doc__": "One job."})


def schema() -> dict[str, Any]:
    """Give the JSON Schema of a record's line."""
    made = schema_of(record_type())
    objects = made["$defs"]
    for name, field in objects["Record"]["properties"].items():
        field["description"] = MEANINGS[name]
    for name, row in QUANTITIES.items():
        if row.group == "counted":
            objects["Counted"]["properties"][name]["description"] = row.meaning
    for name, declared in SETTINGS.items():
        objects["Settings"]["properties"][name]["description"] = declared.help or declared.words
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def as_json() -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(), indent=2) + "\n"


def page() -> str:
    """Write the page."""
    objects = schema()["$defs"]
    return "\n".join([HEAD, *(_section(name, objects[name]) for name in SHOWN)])


def _section(name: str, described: dict[str, Any]) -> str:
    required = described.get("required", [])
    rows = [
        [
            code(field),
            _kind(kind),
            "required" if field in required else "",
            text(kind.get("description", "")),
        ]
        for field, kind in described["properties"].items()
    ]
    headings = ["field", "type", "", "meaning"]
    return f"## {name}\n\n{text(described.get('description', ''))}\n\n{table(headings, rows)}"


def _kind(kind: dict[str, Any]) -> str:
    """A type in a few words."""
    if "anyOf" in kind:
        return " or ".join(dict.fromkeys(map(_kind, kind["anyOf"])))
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name in SHOWN else name
    if kind.get("type") == "array":
        items = kind.get("items")
        return f"list of {_kind(items)}" if items else "list"
    return str(kind.get("type", "any"))
