"""Count any module on any input, and say in one line why it cannot be where it cannot."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from archbench.counting.given import Given
from archbench.counting.inputs import Inputs
from archbench.counting.passes import count_module
from archbench.counting.report import CostReport
from archbench.counting.state import paths
from archbench.spec import UsageError
from archbench.tracebacks import first_line

DEVICES = "'meta', 'auto', 'cpu', 'cuda' or another device of torch"
OF_DATA = ("meta", "storage", "data pointer", "not allocated", "view size")
"""Words of torch's errors about tensors that have no values, or are not laid out as on devices."""
LIBRARY = str(Path(torch.__file__).parent)
OURS = str(Path(__file__).parent.parent)
STANDARD = Path(traceback.__file__).parent


def count_any(module: nn.Module, given: Given, device: str) -> CostReport:
    """Count a module; raises UsageError for all that keeps it from being counted."""
    module = _module(module)
    on = "meta" if device == "auto" else _device(device)
    first: Exception | None = None
    ways = given.read(module)
    for inputs in ways:
        try:
            return count_module(module, inputs, device=on)
        except UsageError:
            raise
        except Exception as error:
            first = first or error
    assert first
    if on != "meta":
        raise UsageError(_cannot(module, first, on)) from first
    return _on_real_tensors(module, ways[0], first, is_allowed=device == "auto")


def _on_real_tensors(
    module: nn.Module, inputs: Inputs, error: Exception, *, is_allowed: bool
) -> CostReport:
    """Count on the CPU what did not run on the meta device; where that is not allowed, say whether
    it would have worked.
    """
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())) or (
        not is_allowed and not _is_of_data(error)
    ):
        raise UsageError(_cannot(module, error, "meta")) from error
    try:
        report = count_module(module, inputs, device="cpu")
    except UsageError:
        raise
    except Exception as again:
        raise UsageError(_cannot(module, again, "cpu")) from again
    if is_allowed:
        return report
    raise UsageError(
        f"{type(module).__name__} does not run on the meta device ({_line(error)}); "
        'try count(..., device="cpu")'
    ) from error


def _is_of_data(error: Exception) -> bool:
    """Whether a pass over shapes failed for want of data, or of a layout that devices keep, so that
    real tensors may do.
    """
    told = str(error).lower()
    return isinstance(error, NotImplementedError) or any(word in told for word in OF_DATA)


def _module(module: Any) -> nn.Module:
    if type(module).__name__ == "ExportedProgram":
        module = module.module()
    if not isinstance(module, nn.Module):
        is_class = isinstance(module, type) and issubclass(module, nn.Module)
        kind = type(module).__name__
        what = f"the class {module.__name__}" if is_class else f"an object of type {kind}"
        raise UsageError(f"{what} cannot be counted: give a module, an instance of nn.Module")
    for sub, path in paths(module).items():
        where = f" at {path!r}" if path else ""
        if isinstance(sub, torch.jit.ScriptModule):
            raise UsageError(
                f"{type(module).__name__} is compiled by TorchScript{where}: count the module that "
                "it was made from"
            )
        held = (*sub._parameters.values(), *sub._buffers.values())
        if any(is_lazy(tensor) for tensor in held if tensor is not None):
            raise UsageError(
                f"{type(sub).__name__}{where} is lazy and has no shape yet: run the module once on "
                "an input before it is counted"
            )
    return module


def _device(device: Any) -> str:
    try:
        on = torch.device(device)
        torch.empty(0, device=on)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"invalid device {device!r} ({_line(error)}): choose {DEVICES}") from error
    return str(on)


def _cannot(module: nn.Module, error: Exception, on: str) -> str:
    name = type(module).__name__
    device = "on the meta device" if on == "meta" else f"on {on}"
    return f"{name} does not run {device}: {type(error).__name__}{_place(error)}: {_line(error)}"


def _line(error: BaseException) -> str:
    return first_line(error) or "no message"


def _place(error: BaseException) -> str:
    """Where in the module's own code an error was raised, or where that called what raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    if not own:
        return ""
    return f" at {Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}"


def _is_own(file: str) -> bool:
    """Whether a file is neither torch's, ours nor the standard library's, beside which installed
    packages may lie.
    """
    if file.startswith((LIBRARY, OURS, "<")):
        return False
    path = Path(file)
    if not path.is_relative_to(STANDARD):
        return True
    return path.relative_to(STANDARD).parts[0].removesuffix(".py") not in sys.stdlib_module_names
