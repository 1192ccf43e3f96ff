"""Make a module that was handed over: load its export, or make it anew and give it its weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from archbench.zoo.catalogue.entry import Entry
from archbench.zoo.sources import files, loading
from archbench.zoo.sources.module.reading import STATE, handed
from archbench.zoo.sources.module.structure import Named
from archbench.zoo.sources.program import network as program


def make(entry: Entry, arguments: dict[str, Any]) -> nn.Module:
    """Make the module with its weights, in evaluation mode."""
    note, folder = handed(entry.name)
    if not note.made_by:
        return program.make(entry, arguments)
    module: nn.Module = loading.make(_own(entry), arguments)
    weights = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    if not any(held.is_meta for held in module.state_dict().values()):
        module.load_state_dict(weights)
    return Named(module, note.input_name) if note.input_name else module


def importable(entry: Entry) -> AbstractContextManager[None]:
    """Let what makes a module anew import the modules beside it."""
    return loading.importable(_own(entry)) if entry.plugin else nullcontext()


def facts(entry: Entry) -> dict[str, Any]:
    """What an environment says of a module: its class, how it travelled, and its own code."""
    note, _ = handed(entry.name)
    own = loading.facts(_own(entry)) if entry.plugin else {}
    return {"module": note.of, "module_travelled_as": "source" if own else "export"} | own


def _own(entry: Entry) -> Entry:
    """The class that makes a module anew, as a network of a file."""
    return files.read_entry(handed(entry.name)[0].made_by)
