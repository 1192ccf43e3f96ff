"""Where jobs can run on this machine: each of its NVIDIA cards, or its processors. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from archbench import __version__
from archbench.engines import ENGINES
from archbench.measure.machine.cards import CardsError, ask, no_such
from archbench.measure.machine.host import cpu_model, usable_cores
from archbench.measure.power.nvml import may_have_cards
from archbench.records import Record
from archbench.records.store import host_id
from archbench.settings import Settings
from archbench.spec import UsageError


def _installed() -> dict[str, str]:
    """The versions of archbench and of what runs networks here."""
    versions = {"archbench": __version__}
    for engine in ENGINES.values():
        versions |= engine.versions()
    return versions


@dataclass(frozen=True)
class Place:
    """One card, or the processors of a host: jobs run there one after another."""

    name: str
    kind: Literal["cpu", "cuda"]
    device_name: str
    """The card's or processor's name, as records give it."""
    uuid: str = ""
    host: str = field(default_factory=host_id)
    variables: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Environment variables that a job needs there."""
    threads: int = field(default_factory=usable_cores, compare=False)
    """CPU threads of a job that names no number."""
    versions: Mapping[str, str] = field(default_factory=_installed, compare=False)

    def ran(self, record: Record) -> bool:
        """Whether a record is of a job that ran here; one that ended before it knew its device
        counts where its host is.
        """
        environment = record.environment
        if "device" not in environment:
            return environment.get("host") == self.host
        if self.kind == "cpu":
            return (
                environment["device"] == "cpu"
                and environment.get("device_name") == self.device_name
            )
        return _bare(str(environment.get("uuid", ""))) == _bare(self.uuid)

    def would_repeat(self, record: Record) -> bool:
        """Whether the same job would run here now as a record's did: in the same releases, which
        tables keep apart, and of a CPU with as many threads.
        """
        environment, settings = record.environment, record.settings
        threads = (settings and settings.threads) or self.threads
        if self.kind == "cpu" and environment.get("threads", threads) != threads:
            return False
        ran = {name: environment.get(name) for name in ("archbench", "torch")}
        return all(
            not version or _apart(name, version) == _apart(name, self.versions.get(name, version))
            for name, version in {**ran, **environment.get("engine_versions", {})}.items()
        )


def _apart(package: str, version: object) -> list[str]:
    """The numbers of a version by which tables keep records apart: all of archbench's own."""
    numbers = str(version).split(".")
    return numbers if package == "archbench" else numbers[:2]


def places(settings: Settings) -> list[Place]:
    """The places that the settings' device means: `auto` and `cuda` every card, `auto` the
    processors where there is none.
    """
    cards = [] if settings.device == "cpu" else _cards()
    _, _, index = settings.device.partition(":")
    if index and int(index) >= len(cards):
        raise UsageError(no_such(settings.device, len(cards)))
    if settings.device == "cuda" and not cards:
        raise UsageError(no_such("cuda", 0))
    if index:
        return [cards[int(index)]]
    if len(cards) > 1:
        return [
            Place(card.name, "cuda", card.device_name, card.uuid, variables=only(card.uuid))
            for card in cards
        ]
    return cards or [Place("cpu", "cpu", cpu_model())]


def only(uuid: str) -> dict[str, str]:
    """The variables that show a process one card alone, whatever its number; an empty UUID hides
    all.
    """
    return {"CUDA_VISIBLE_DEVICES": uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _cards() -> list[Place]:
    """Every card that torch sees here; the child is spared where there is no driver."""
    if not may_have_cards():
        return []
    try:
        cards, _ = ask()
    except CardsError as error:
        raise UsageError(f"the cards of this machine cannot be listed: {error}") from None
    return [
        Place(f"cuda:{index}", "cuda", card["name"], f"GPU-{_bare(card['uuid'])}")
        for index, card in enumerate(cards)
    ]


def _bare(uuid: str) -> str:
    """A UUID without its kind: torch gives that of a slice (MIG) as it does that of a card."""
    return uuid.removeprefix("GPU-").removeprefix("MIG-")
