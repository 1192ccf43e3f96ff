"""The names of the engines, and how a setting, or an earlier record, names one. Torch-free."""

from __future__ import annotations

from typing import Any

from archbench.spec import UsageError
from archbench.spelling import did_you_mean

EAGER, COMPILE = "eager", "compile"
ENGINE_NAMES = (EAGER, COMPILE, "onnxruntime", "openvino", "tensorrt")
"""What can run a network; torch.compile in one of its modes is compile:MODE."""
OF_GRAPHS = "onnxruntime"
"""The engine of exported graphs, where none is named: they have no eager form."""
DEFAULT_MODE = "default"
COMPILE_MODES = (DEFAULT_MODE, "reduce-overhead", "max-autotune")


def check_engine(_: str, value: Any) -> None:
    """Raise UsageError for a text that names no engine."""
    name, colon, mode = value.partition(":")
    if name not in ENGINE_NAMES:
        raise UsageError(f"invalid engine {value!r} {_choices(name, ENGINE_NAMES)}")
    if colon and name != COMPILE:
        raise UsageError(f"invalid engine {value!r}: only {COMPILE} has modes")
    if colon and mode not in COMPILE_MODES:
        raise UsageError(f"invalid compile mode {mode!r} {_choices(mode, COMPILE_MODES)}")


def place_of(engine: str) -> tuple[int, str]:
    """Where an engine stands among all of them: in their order, then by its mode."""
    name, _, mode = engine.partition(":")
    return ENGINE_NAMES.index(name), mode


def mode_of(engine: str) -> str | None:
    """The mode in which an engine compiles; None: it is not torch's compiler."""
    name, _, mode = engine.partition(":")
    return mode or DEFAULT_MODE if name == COMPILE else None


def canonical(engine: str) -> str:
    """The one spelling of an engine: the default mode of the compiler needs no naming."""
    mode = mode_of(engine)
    return engine_of(mode) if mode else engine


def engine_of(mode: str) -> str:
    """The engine that compiles in a mode; none is eager."""
    return {"none": EAGER, DEFAULT_MODE: COMPILE}.get(mode, f"{COMPILE}:{mode}")


def renewed(settings: Any) -> Any:
    """Give a record's settings in today's words: the mode of the compiler, once a setting of its
    own, names an engine.
    """
    if not isinstance(settings, dict) or "compile" not in settings:
        return settings
    kept = dict(settings)
    mode = kept.pop("compile")
    return {"engine": engine_of(mode) if isinstance(mode, str) else mode} | kept


def _choices(name: str, known: tuple[str, ...]) -> str:
    every = f"choose from {', '.join(known)}"
    return f"({did_you_mean(name, known, every, at_most=1)})"
