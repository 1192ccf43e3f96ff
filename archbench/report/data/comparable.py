"""Which records may be set against one another, and what keeps the others apart.

Two figures are comparable where everything is equal that they were measured with and that is not
the network itself: unit and protocol, mode, batch, input, every setting that defines what was
measured, the device (of energy the very same one), threads on a CPU, and the versions of libraries:
the major ones of driver and cuDNN, major and minor ones of torch and the engine. Counted figures
depend on none of it, those of bytes on the batch alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from archbench.quantities import is_of_batch, is_of_one_card
from archbench.reasons import Flag
from archbench.records import Record
from archbench.records.conditions import Environment
from archbench.setting import Bearing
from archbench.settings import DEFAULT, SETTINGS, Settings

DEFINING = {
    name: declared for name, declared in SETTINGS.items() if declared.bearing is Bearing.FIGURE
}
"""The settings that define what was measured."""
ENGINE_VERSION = "engine's version"
VERSIONS = (ENGINE_VERSION, "torch", "driver", "cuDNN")
UNSAID = (*VERSIONS, "power limit", "application clock", "ECC")
"""Conditions that a title tells only where they set it apart from another one."""
COUNTED_ONLY = "counted, not measured"


def conditions(record: Record) -> dict[str, str]:
    """Where and with what settings a record was measured, in words; empty where it was only
    counted.
    """
    settings, environment = record.settings, record.environment
    if settings is None:
        return {}
    words = {"device": environment.get("device_name") or f"device {settings.device}"}
    if _is_cpu(record):
        words["threads"] = f"{environment.get('threads')} threads"
    words |= _defining(settings, is_cpu=_is_cpu(record))
    return words | {
        ENGINE_VERSION: version_of(environment, parts=2),
        "torch": _version("torch", environment.get("torch"), parts=2),
        "driver": _version("driver", environment.get("driver"), parts=1),
        "cuDNN": _cudnn(environment.get("cudnn")),
        **_of_card(environment),
    }


def differing(
    record: Record, other: Record, metric: str, *, ignore: Collection[str] = ()
) -> list[str]:
    """Name in words what keeps a figure of two records from being compared, such as "batch (1, 8)";
    nothing: it may be.

    `ignore` holds keys that are meant to differ, such as "input" where the question is what a
    larger input costs.
    """
    left, right = _keys(record, metric), _keys(other, metric)
    return [
        f"{_key(key)} ({_brief(key, left.get(key))}, {_brief(key, right.get(key))})"
        for key in dict.fromkeys([*left, *right])
        if key not in ignore and left.get(key) != right.get(key)
    ]


def where(record: Record) -> str:
    """Name the device and the settings that figures must share to stand in one table or figure."""
    return _title(conditions(record), ())


def setups(records: Iterable[Record], *, ignore: Collection[str] = ()) -> dict[str, list[Record]]:
    """Group records by setup: the device and the settings that they were measured with, but for the
    keys of `conditions` that are ignored. Titles that would be alike tell the versions too.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Record]] = {}
    for record in records:
        told = conditions(record).items()
        kept = tuple((key, text) for key, text in told if key not in ignore)
        groups.setdefault(kept, []).append(record)
    titled: dict[str, list[tuple[tuple[str, str], ...]]] = {}
    for group in groups:
        titled.setdefault(_title(dict(group), ()), []).append(group)
    named: dict[tuple[tuple[str, str], ...], str] = {}
    for title, alike in titled.items():
        versions = [key for key in UNSAID if len({dict(group).get(key) for group in alike}) > 1]
        named |= {group: _title(dict(group), versions) if versions else title for group in alike}
    return {named[group]: members for group, members in groups.items()}


def card_of(record: Record) -> str:
    """The very card that a record is of, on a CPU the machine; empty where it does not tell."""
    return str(record.environment.get("uuid") or record.environment.get("host") or "")


def flaws(flags: Iterable[Flag]) -> list[Flag]:
    """Those of a figure's flags for which it is not compared by default."""
    return [flag for flag in flags if flag.is_flaw]


def _keys(record: Record, metric: str) -> dict[str, str]:
    if metric not in record.metrics:
        return {"batch": str(record.spec.batch)} if is_of_batch(metric) else {}
    figure, spec = record.metrics[metric], record.spec
    keys = {
        "unit": figure.unit,
        "protocol": figure.protocol,
        "mode": spec.mode,
        "batch": str(spec.batch),
        "input": spec.size,
        "what a later version adds": spec.unknown,
    }
    if is_of_one_card(metric):
        keys["card"] = card_of(record)
    return keys | conditions(record)


def _title(words: dict[str, str], versions: Sequence[str]) -> str:
    """The conditions that are worth saying, in one line."""
    if not words:
        return COUNTED_ONLY
    silent = [key for key in UNSAID if key not in versions]
    usual = {
        name: declared.tell(getattr(DEFAULT, name))
        for name, declared in DEFINING.items()
        if not declared.always_told
    }
    return ", ".join(
        text for key, text in words.items() if text and key not in silent and text != usual.get(key)
    )


def _of_card(environment: Environment) -> dict[str, str]:
    """What an administrator sets of a card, and what of its figures depends on it; nothing of what
    a record does not tell.
    """
    limit = environment.get("power_limit_w")
    clock = environment.get("application_clock_mhz")
    ecc = environment.get("ecc")
    words = {
        "power limit": limit and f"power limit {limit:g} W",
        "application clock": clock and f"application clock {clock} MHz",
        "ECC": {True: "ECC on", False: "ECC off", None: None}[ecc],
    }
    return {key: text for key, text in words.items() if text}


def version_of(environment: Environment, *, parts: int = 4) -> str:
    """The versions of an engine's own libraries, cut to so many parts; empty where torch, whose
    version stands by itself, is all that ran.
    """
    versions = environment.get("engine_versions", {})
    return ", ".join(
        _version(package, version, parts=parts)
        for package, version in versions.items()
        if package != "torch"
    )


def _is_cpu(record: Record) -> bool:
    return record.environment.get("device") == "cpu"


@cache
def _defining(settings: Settings, *, is_cpu: bool) -> Mapping[str, str]:
    """The settings that define what was measured, in words; many records share theirs."""
    return MappingProxyType(
        {
            name: declared.tell(getattr(settings, name))
            for name, declared in DEFINING.items()
            if not (is_cpu and declared.cuda_only)
        }
    )


def _brief(key: str, text: str | None) -> str:
    """A value beside the name of its key, which need not say it again."""
    if text in (_key(key), f"no {_key(key)}"):
        return "no" if text.startswith("no ") else "yes"
    return (text or "-").removeprefix(f"{_key(key)} ").strip("()")


def _key(key: str) -> str:
    return SETTINGS[key].words if key in SETTINGS else key


def _version(name: str, version: Any, *, parts: int) -> str:
    return f"{name} {'.'.join(str(version).split('.')[:parts])}" if version else ""


def _cudnn(version: Any) -> str:
    """cuDNN's major version out of its number: 91002 is 9.10.2, 8902 is 8.9.2."""
    if not version:
        return ""
    return f"cuDNN {int(version) // (10_000 if int(version) >= 10_000 else 1000)}"
