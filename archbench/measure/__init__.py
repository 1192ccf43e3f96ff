"""What must be measured: time and memory, in one isolated worker process a job. Torch is loaded in
the worker alone.

Calling this package measures a network: `archbench.measure("vovnet39", "refinedet320")`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Measuring(ModuleType):
    """The package, which has the name of what it does: `archbench.measure` is both."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from archbench.measure.face import measure

        return measure(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as a function does, by its name."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Measuring
