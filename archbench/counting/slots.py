"""What an object holds in slots, which it has in place of a dictionary."""

from __future__ import annotations

from typing import Any


def slots_of(value: Any) -> dict[str, Any]:
    """Give the values of an object's slots by name; a slot that is not set is left out."""
    names = [
        name
        for kind in type(value).__mro__
        for name in _names(kind.__dict__.get("__slots__", ()))
        if name not in ("__dict__", "__weakref__") and not name.startswith("__")
    ]
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def put_slots(value: Any, held: dict[str, Any]) -> None:
    """Have an object's slots hold these values and no others."""
    now = slots_of(value)
    for name in now.keys() - held.keys():
        object.__delattr__(value, name)
    for name, each in held.items():
        if name not in now or now[name] is not each:
            object.__setattr__(value, name, each)


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
