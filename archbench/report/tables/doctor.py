"""What can be measured on a machine, and what was found there, as the page that `archbench doctor`
prints.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from archbench.report.tables.table import MISSING, NOTE_WIDTH, Column, Table

Facts = dict[str, Any]
Rows = Iterable[tuple[str, str]]
STATES_WIDTH = 3


class Ability(Protocol):
    """One thing to measure: yes, but or no, how or why not, and what would help."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def found(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def code(self) -> str: ...


def abilities_table(abilities: Sequence[Ability], width: int | None = NOTE_WIDTH) -> Table:
    """A row for each thing to measure, in lines that fit a width; None: in one each."""
    taken = max(len(ability.name) for ability in abilities)
    rows = []
    for ability in abilities:
        code = f" ({ability.code})" if ability.code else ""
        text = f"{ability.found}{code}." + (f" To do: {ability.remedy}." if ability.remedy else "")
        first, *rest = _wrapped(
            text[0].upper() + text[1:], width and width - taken - STATES_WIDTH - 4
        )
        rows += [[ability.state, ability.name, first], *(["", "", line] for line in rest)]
    columns = [Column("", "left"), Column("what", "left"), Column("how, or why not", "left")]
    return Table(columns, rows, title="What archbench can measure on this machine")


def machine_tables(facts: Facts, width: int | None = NOTE_WIDTH) -> Iterator[Table]:
    """What was found of the machine and of each card."""
    yield _table("this machine", _machine(facts), width)
    for index, card in enumerate(facts["cards"]):
        yield _table(f"card {index}", _card(card), width)


def _table(title: str, rows: Rows, width: int | None) -> Table:
    rows = list(rows)
    taken = max(len(name) for name, _ in rows)
    lines = []
    for name, text in rows:
        first, *rest = _wrapped(text, width and width - taken - 2)
        lines += [[name, first], *(["", line] for line in rest)]
    return Table([Column(title, "left"), Column("found", "left")], lines)


def _wrapped(text: str, width: int | None) -> list[str]:
    return (
        textwrap.wrap(text, width, break_on_hyphens=False) if width else [text] * bool(text)
    ) or [MISSING]


def _machine(facts: Facts) -> Rows:
    host, torch = facts["host"], facts["torch"]
    where = [
        word
        for word, holds in (
            ("virtual machine", host["virtual_machine"]),
            ("container", host["container"]),
        )
        if holds
    ]
    yield "processor", ", ".join([host["cpu"], host["machine"], *where])
    quota = "no quota" if host["quota"] is None else f"a quota of {host['quota']:g}"
    yield (
        "cores",
        f"{host['cores']} to use: {len(host['affinity'])} of {host['processors']} processors, "
        f"{quota}",
    )
    yield "clock governor", host["governor"] or "unknown (virtual machines do not expose it)"
    yield "free memory", _bytes(host["memory_available_bytes"])
    yield "load now", _load(host["load"])
    yield "system", f"{host['os']}, Python {host['python']}, archbench {host['archbench']}"
    build = f"built for CUDA {torch['cuda']}" if torch["cuda"] else "built without CUDA"
    yield "torch", f"{torch['version']}, {build}" if torch["version"] else "not installed"
    yield "C++ compiler", host["compiler"] or "none (torch.compile needs one on a CPU)"
    if host["variables"]:
        yield (
            "set variables",
            ", ".join(f"{name}={value}" for name, value in host["variables"].items()),
        )
    for name, folder in facts["folders"].items():
        yield f"{name} folder", _folder(folder)


def _load(load: Facts) -> str:
    average = (
        "no average" if load["load_1min"] is None else f"{load['load_1min']:.2f} over a minute"
    )
    pressure = load["cpu_pressure_avg10"]
    waited = (
        "the kernel does not report CPU pressure"
        if pressure is None
        else f"programs waited {pressure:.0f} % of the last 10 s"
    )
    return f"{average}; {waited}"


def _folder(results: Facts) -> str:
    if results["folder"] is None:
        return "none"
    can = "can be written" if results["writable"] else "cannot be written"
    return (
        f"{results['folder']}: {results['files']} file{'s' * (results['files'] != 1)}, {can}, "
        f"{_bytes(results['free_bytes'])} free"
    )


def _card(card: Facts) -> Rows:
    yield "name", f"{card['name'] or MISSING}, compute capability {_known(card['capability'])}"
    yield "UUID", card["uuid"] or MISSING
    yield "driver", card["driver"] or MISSING
    yield "memory", f"{_bytes(card['memory_used_bytes'])} of {_bytes(card['memory_bytes'])} in use"
    yield (
        "use now",
        f"programs: {_known(card['processes'])}, plus {_known(card['drawing'])} for a display; "
        f"busy {_known(card['utilisation_percent'], ' %')} of the time",
    )
    events = (
        "limits unknown"
        if card["events"] is None
        else ", ".join(card["events"]).replace("_", " ") or "not limited"
    )
    yield (
        "clock now",
        f"{_known(card['sm_clock_mhz'], ' MHz')}, {_known(card['temperature_c'], ' C')}, {events}",
    )
    yield (
        "power limit",
        f"{_known(card['power_limit_w'], ' W')}, default "
        f"{_known(card['default_power_limit_w'], ' W')}",
    )
    yield "application clock", _known(card["application_clock_mhz"], " MHz")
    yield "ECC", {None: MISSING, True: "on", False: "off"}[card["ecc"]]
    yield "slices (MIG)", {None: MISSING, True: "on", False: "off"}[card["mig"]]
    power = card["power"]
    for name, sensor in power["sensors"].items():
        origin = "probed" if sensor["origin"] == "probe" else "known for its kind"
        yield (
            f"power, {name}",
            f"{_seen(sensor['seen_refresh_s'])}; {origin}: every "
            f"{_milliseconds(sensor['refresh_s'])}",
        )
    yield "energy counter", _seen(power["counter_seen_refresh_s"]) if power["counter"] else "none"


def _seen(seconds: float | None) -> str:
    return "hardly changed" if seconds is None else f"seen to update every {_milliseconds(seconds)}"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms"


def _known(value: float | None, unit: str = "") -> str:
    return MISSING if value is None else f"{value:,g}{unit}"


def _bytes(value: int | None) -> str:
    return MISSING if value is None else f"{value / 1e9:,.1f} GB"
