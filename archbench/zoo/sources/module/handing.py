"""Hand a module over: write it into a folder as an export, else as what makes it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from archbench.spec import UsageError
from archbench.tracebacks import first_line
from archbench.zoo.sources.code import is_installed, module_file
from archbench.zoo.sources.module.reading import PROGRAM, STATE, Handed
from archbench.zoo.sources.module.structure import Flat, Named, structure_hash

OPERATORS = ("aten", "prims", "higher_order", "archbench", "torchvision")
"""Where operators are from that another process knows too."""


@dataclass(frozen=True)
class Handing:
    """A module to be handed over, and the images that it takes, [B, 3, H, W], by name or first."""

    module: nn.Module
    images: Tensor
    input_name: str = ""

    @property
    def name(self) -> str:
        """What the module is called in records."""
        return f"module:{type(self.module).__name__}@{structure_hash(self.module)}"

    def write(self, folder: Path, *, trains: bool) -> str:
        """Write the module into a folder, and give its name; the module stays as it is.

        A module that is to be trained goes by its source alone. Raises UsageError, in one line,
        where it goes by neither way.
        """
        _check_held(self.module)
        kind = type(self.module)
        handed = Handed(self.name, f"{kind.__module__}.{kind.__qualname__}")
        why_not = "a program is for inference" if trains else self._export(folder / PROGRAM)
        if why_not:
            handed = replace(handed, made_by=self._made_by(why_not), input_name=self.input_name)
            torch.save(self.module.state_dict(), folder / STATE)
        handed.write(folder)
        return self.name

    def _export(self, file: Path) -> str:
        """Export the module to a file; give the reason where it cannot be."""
        run = Named(self.module, self.input_name) if self.input_name else self.module
        try:
            # Torch prints the graph of what it cannot export.
            with _evaluating(self.module), torch.no_grad(), redirect_stderr(StringIO()):
                program = torch.export.export(Flat(run), (self.images,), strict=False)
            foreign = next(_foreign(program), "")
            if foreign:
                return f"its operator {foreign} is not known to another process"
            torch.export.save(program, file)
        except Exception as error:  # Torch raises anything for what it cannot export.
            return first_line(error) or type(error).__name__
        return ""

    def _made_by(self, why_no_export: str) -> str:
        """Give the file and the class that make the module anew; raises UsageError where none do,
        and says so beside why it is not exported.
        """
        kind = type(self.module)
        file = Path(module_file(sys.modules.get(kind.__module__)))
        why = ""
        if file.suffix != ".py" or is_installed(file):
            why = "it is of no Python file of yours"
        elif not all(part.isidentifier() for part in kind.__qualname__.split(".")):
            why = "its class stands within a function"
        else:
            try:
                if structure_hash(kind()) != structure_hash(self.module):
                    why = f"{kind.__name__}() has another structure"
            except Exception as error:  # A user's own class may raise anything.
                why = f"{kind.__name__}() raises {type(error).__name__}: {first_line(error)}"
        if why:
            raise UsageError(
                f"{kind.__name__} cannot be passed to the measuring process: torch cannot export "
                f"it ({why_no_export}), and it cannot be rebuilt there: {why}"
            )
        return f"{file}:{kind.__qualname__}"


def _check_held(module: nn.Module) -> None:
    if any(held.is_meta for held in (*module.parameters(), *module.buffers())):
        raise UsageError(f"{type(module).__name__} is on the meta device, where it has no weights")


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Have a module in evaluation mode for a while."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _foreign(program: torch.export.ExportedProgram) -> Iterator[str]:
    for node in program.graph.nodes:
        name = getattr(node.target, "namespace", "aten") if node.op == "call_function" else "aten"
        if name not in OPERATORS:
            yield str(node.target)
