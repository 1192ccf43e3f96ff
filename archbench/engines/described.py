"""What there is to say of each engine before anything runs: what it can, and whether it can here.
Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass

from archbench.engines import ENGINES
from archbench.engines.engine import Engine
from archbench.settings import SETTINGS


@dataclass(frozen=True)
class Described:
    """One engine, as it is told."""

    name: str
    summary: str
    on_cpu: tuple[str, ...]
    """Its precisions on a CPU."""
    on_cuda: tuple[str, ...]
    """Its precisions on a CUDA device."""
    honours: tuple[str, ...]
    """The flags that not every engine takes, and it does."""
    versions: dict[str, str]
    """Of what runs the network, by package, as far as it is installed."""
    why_not: str
    """Why it cannot be used here; empty where it can."""
    install: str
    """The command that installs it."""


def described() -> list[Described]:
    """Describe every engine."""
    return [_described(engine) for engine in ENGINES.values()]


def _described(engine: Engine) -> Described:
    return Described(
        engine.name,
        engine.summary,
        engine.on_cpu,
        engine.on_cuda,
        tuple(SETTINGS[name].flag or name for name in SETTINGS if name in engine.honours),
        dict(engine.versions()),
        engine.why_not(),
        engine.install,
    )
