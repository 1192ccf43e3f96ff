"""Have what is compiled run as it was written, so that its operators are seen."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Run functions that torch.compile made, or makes meanwhile, without the compiler, which would
    compile the count as well; nothing of it is loaded that was not.
    """
    compiles = torch.compile
    is_loaded = "torch._dynamo" in sys.modules
    stance = torch.compiler.set_stance("force_eager") if is_loaded else contextlib.nullcontext()
    torch.compile = _as_written
    try:
        with stance:
            yield
    finally:
        torch.compile = compiles


def _as_written(model: Callable[..., Any] | None = None, **_: Any) -> Any:
    return (lambda function: function) if model is None else model
