"""What `archbench list engines` shows: what can run networks, and whether it can here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from archbench.engines.described import Described, described
from archbench.report.tables.table import MISSING, Column, Table

if TYPE_CHECKING:
    from archbench.spec import Spec

COLUMNS = (
    Column("engine", "left"),
    Column("on a CPU", "left"),
    Column("on a CUDA device", "left"),
    Column("here", "left"),
)


def engines_data() -> list[dict[str, Any]]:
    """Give every engine as plain data, with the networks that it could not hold."""
    held_not = _unheld()
    return [
        asdict(engine)
        | {
            "unsupported": [
                {"network": str(spec), "message": why}
                for spec, why in held_not.get(engine.name, {}).items()
            ]
        }
        for engine in described()
    ]


def engines_table() -> Table:
    """Give a row for each engine."""
    engines = described()
    rows = [
        [
            engine.name,
            ", ".join(engine.on_cpu) or MISSING,
            ", ".join(engine.on_cuda) or MISSING,
            _here(engine),
        ]
        for engine in engines
    ]
    return Table([*COLUMNS], rows, notes=[*_notes(engines)])


def _here(engine: Described) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in engine.versions.items())
    return f"no ({versions})" if engine.why_not and versions else versions or "not installed"


def _notes(engines: list[Described]) -> Iterator[str]:
    yield "; ".join(f"{engine.name}: {engine.summary}" for engine in engines) + "."
    for engine in engines:
        if engine.why_not:
            yield f"{engine.name} cannot be used here: {engine.why_not}"
    takers = {
        flag: tuple(engine.name for engine in engines if flag in engine.honours)
        for flag in dict.fromkeys(flag for engine in engines for flag in engine.honours)
    }
    listed = "; ".join(
        f"{', '.join(flag for flag in takers if takers[flag] == names)} ({' and '.join(names)})"
        for names in dict.fromkeys(takers.values())
    )
    yield f"Settings that only some engines support: {listed}."
    for name, networks in _unheld().items():
        told = "; ".join(f"{spec} ({why})" for spec, why in networks.items())
        yield f"{name} could not run, according to the records in results: {told}"


def _unheld() -> dict[str, dict[Spec, str]]:
    """The networks that each engine could not hold, by the newest records here, and why."""
    from archbench.reasons import Reason, Status
    from archbench.records import DEFAULT_FOLDER, Store

    newest: dict[tuple[str, Spec], str] = {}
    for record in sorted(Store(DEFAULT_FOLDER).read(), key=lambda record: record.time_utc):
        if record.settings and record.status == Status.OK:
            newest.pop((record.settings.engine_name, record.spec), None)
        elif record.settings and record.reason and record.reason.code == Reason.UNSUPPORTED:
            newest[record.settings.engine_name, record.spec] = record.reason.message
    unheld: dict[str, dict[Spec, str]] = {}
    for (name, spec), why in newest.items():
        unheld.setdefault(name, {})[spec] = why
    return unheld
