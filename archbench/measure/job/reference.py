"""What an engine is held against: inputs, and what eager gives for them in fp32, in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archbench.engines.outputs import flattened
from archbench.settings import Settings
from archbench.spec import Spec

FILE = "reference.npz"
RANDOM, PICTURES = "random", "pictures"
"""The kinds of inputs: random numbers always, and pictures where some were given."""
BATCHES = {RANDOM: 1, PICTURES: 4}
"""How many batches of each are compared."""


@dataclass(frozen=True)
class Case:
    """One batch, its kind, and eager's outputs for it."""

    kind: str
    images: Tensor
    outputs: Sequence[Tensor]


def random_images(spec: Spec, settings: Settings) -> Tensor:
    """Draw a batch [B, 3, H, W] that networks are compared on."""
    generator = torch.Generator().manual_seed(settings.seed)
    return torch.randn(spec.batch, 3, spec.height, spec.width, generator=generator)


def refer(network: nn.Module, batches: Mapping[str, Sequence[Tensor]], path: Path) -> Any:
    """Run a network eagerly on batches of each kind and write what it gives to a file; gives the
    form of its outputs.
    """
    arrays, form = {}, None
    for kind, images in batches.items():
        for number, batch in enumerate(images[: BATCHES[kind]]):
            form, outputs = flattened(network(batch))
            name = f"{kind} {number}"
            arrays[f"{name} in"] = batch.numpy()
            for place, output in enumerate(outputs):
                arrays[f"{name} out {place}"] = output.numpy()
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return form


def cases(path: Path) -> Iterator[Case]:
    """Read what `refer` wrote, a batch at a time."""
    with np.load(path, allow_pickle=False) as arrays:
        for kind in BATCHES:
            for number in range(BATCHES[kind]):
                name = f"{kind} {number}"
                if f"{name} in" not in arrays:
                    continue
                count = sum(key.startswith(f"{name} out ") for key in arrays)
                outputs = [torch.from_numpy(arrays[f"{name} out {i}"]) for i in range(count)]
                yield Case(kind, torch.from_numpy(arrays[f"{name} in"]), outputs)
