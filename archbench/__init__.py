"""Name a detection network, get its true cost: counted exactly on any machine, measured honestly
on yours.

    import archbench
    report = archbench.cost("vovnet39", "refinedet320")     # counted, nothing allocated
    network = archbench.build("vovnet39", "refinedet320")   # the network itself, an nn.Module
    report = archbench.count(any_module, some_input)        # the same counts for any module
    record = archbench.measure(any_module, some_input)      # counted and measured; names too

Importing archbench imports no torch; the functions do when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
"""typing's own would load it: every command begins here."""

__version__ = "0.2.0"
__all__ = ["UsageError", "build", "cost", "count", "measure"]

if TYPE_CHECKING:
    from archbench.api import build, cost, count
    from archbench.measure.face import measure
    from archbench.spec import UsageError


def __getattr__(name: str) -> object:
    if name == "UsageError":
        from archbench.spec import UsageError

        return UsageError
    if name == "measure":
        from importlib import import_module

        return import_module("archbench.measure")
    if name in __all__:
        from archbench import api

        return getattr(api, name)
    raise AttributeError(f"module 'archbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
