"""What runs a network. One table: each engine's file declares what it is, and whether it can be
used here. Torch-free, until a network is prepared or loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from archbench.engine_names import OF_GRAPHS
from archbench.engines.eager import COMPILE, EAGER
from archbench.engines.engine import Engine, FileEngine
from archbench.engines.onnxruntime import ONNXRUNTIME
from archbench.engines.openvino import OPENVINO
from archbench.engines.tensorrt import TENSORRT
from archbench.settings import DEFAULT, SETTINGS, Settings
from archbench.spec import ONNX, Spec, UsageError

__all__ = ["ENGINES", "OF_GRAPHS", "Engine", "check", "engine_of", "has_precision"]

ENGINES: Mapping[str, Engine] = MappingProxyType(
    {engine.name: engine for engine in (EAGER, COMPILE, ONNXRUNTIME, OPENVINO, TENSORRT)}
)
"""Every engine, by its name."""
OF_SOME = frozenset(name for engine in ENGINES.values() for name in engine.honours)
"""The settings that one engine or another ignores."""


def engine_of(settings: Settings) -> Engine:
    """Give the engine that settings name."""
    return ENGINES[settings.engine_name]


def check(spec: Spec, settings: Settings) -> None:
    """Raise UsageError where the engine that is asked for cannot run a spec so: it trains no
    network, has no such precision, ignores a setting, or is not installed.
    """
    engine = engine_of(settings)
    if spec.mode == "train" and not engine.trains:
        choices = ", ".join(name for name, other in ENGINES.items() if other.trains)
        raise UsageError(
            f"engine {engine.name} does not run training steps (choose from {choices})"
        )
    if spec.origin == ONNX and not isinstance(engine, FileEngine):
        choices = ", ".join(each for each in ENGINES if isinstance(ENGINES[each], FileEngine))
        raise UsageError(f"engine {engine.name} does not run ONNX graphs (choose from {choices})")
    # What torch's devices do not have, these say themselves when they are opened.
    device = settings.device.partition(":")[0] if isinstance(engine, FileEngine) else "auto"
    engine.check_precision(settings.precision, device)
    if ignored := list(_ignored(engine, settings)):
        raise UsageError(f"engine {engine.name} ignores {', '.join(ignored)}; leave it out")
    if why_not := engine.why_not(settings.precision):
        raise UsageError(f"engine {engine.name} cannot be used: {why_not}")


def has_precision(settings: Settings) -> bool:
    """Whether the engine that settings name has their precision on their device."""
    try:
        engine_of(settings).check_precision(settings.precision, settings.device.partition(":")[0])
    except UsageError:
        return False
    return True


def _ignored(engine: Engine, settings: Settings) -> Iterator[str]:
    """The flags of what settings ask for and an engine ignores."""
    for name in sorted(OF_SOME - engine.honours):
        value = getattr(settings, name)
        if value != getattr(DEFAULT, name):
            yield " ".join(SETTINGS[name].arguments(value))
