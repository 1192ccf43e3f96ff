"""A statistic of what each network gives from seeded weights, which holds how its layers are wired.

`python tests/zoo/wiring.py` writes `tests/data/wiring.csv` anew: every backbone with its
classifier, and every detector on a light backbone. Counts and shapes stay the same where another
map of the same size is read; these figures do not.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import archbench
from archbench.measure.job.weights import calibrate, initialise
from archbench.spec import UsageError
from archbench.zoo import catalogue

FILE = Path(__file__).parents[1] / "data" / "wiring.csv"
FIELDS = ("backbone", "detector", "width", "height", "outputs", "size", "turns")
IMAGES, TURNS = 4, 3
LIGHT = "snet49"
"""What detectors stand on."""
FEW: dict[str, Any] = {"classes": 3, "proposals": 20}
SIZES = ((96, 64), (128, 64), (128, 128), (272, 264), (320, 320))
"""Inputs from small to large, oblong where a network takes that."""
DEEP = {"hourglass104": (256, 192)}
"""Inputs of networks whose deepest maps would otherwise be a pixel: statistics of a normalisation
over four values magnify whatever a processor rounds.
"""


@dataclass(frozen=True)
class Wiring:
    """What is kept of a network's outputs: how many they are, how large, and how they lie.

    `size` is the mean of their root mean squares. A turn is the sum of their projections on random
    directions, in units of what chance gives: it becomes another one wherever another map, layer or
    order makes a part of an output.
    """

    outputs: int
    size: float
    turns: tuple[float, ...]


def wiring(backbone: str, detector: str | None, size: tuple[int, int]) -> Wiring:
    """Build a network, draw its weights and images, and take the statistic of its outputs."""
    known = catalogue.find("detector", detector).options if detector else {}
    given = {key: value for key, value in FEW.items() if key in {"classes", *known}}
    network = archbench.build(backbone, detector, size=size, **(given if detector else {}))
    initialise(network, seed=0)
    calibrate(network, images(1, size))
    with torch.inference_mode():
        return of_outputs([out.numpy() for out in tensors(network(images(2, size)))])


def images(seed: int, size: tuple[int, int]) -> Tensor:
    """Draw a batch that is the same on every machine."""
    drawn = np.random.default_rng(seed).standard_normal((IMAGES, 3, *reversed(size)))
    return torch.from_numpy(drawn).float()


def tensors(raw: Any) -> Iterator[Tensor]:
    """Give the tensors of what a network gives, in order.

    What is of proposals, which stand in the order of their scores, is summed over them: two of
    nearly one score may change places.
    """
    if isinstance(raw, Tensor):
        yield raw.float()
    elif hasattr(raw, "proposals"):
        yield from map(Tensor.float, raw[:2])
        yield from (out.float().sum(1) for out in raw[2:] if out is not None)
    else:
        for part in raw:
            yield from tensors(part)


def of_outputs(outputs: list[NDArray[Any]]) -> Wiring:
    """Take the statistic of arrays."""
    sizes = [float(np.sqrt(np.mean(np.square(out, dtype=np.float64)))) for out in outputs]
    turns = []
    for seed in range(TURNS):
        draw = np.random.default_rng(seed)
        shares = [
            float(out.ravel() @ draw.standard_normal(out.size)) / (size * out.size**0.5)
            for out, size in zip(outputs, sizes, strict=True)
        ]
        turns.append(sum(shares) / len(outputs) ** 0.5)
    return Wiring(len(outputs), sum(sizes) / len(sizes), tuple(turns))


def read() -> dict[tuple[str, str | None], tuple[tuple[int, int], Wiring]]:
    """Give what is kept: by backbone and detector the input and the statistic."""
    kept = {}
    with FILE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            turns = tuple(float(turn) for turn in row["turns"].split())
            statistic = Wiring(int(row["outputs"]), float(row["size"]), turns)
            size = int(row["width"]), int(row["height"])
            kept[row["backbone"], row["detector"] or None] = size, statistic
    return kept


def networks() -> list[tuple[str, str | None]]:
    """Name every network that is kept: each backbone, and each detector on the light one."""
    built = {
        kind: [
            entry.name
            for entry in catalogue.entries(kind)
            if not entry.published_only and not entry.plugin
        ]
        for kind in ("backbone", "detector")
    }
    return [(name, None) for name in built["backbone"]] + [
        (LIGHT, name) for name in built["detector"]
    ]


def smallest(backbone: str, detector: str | None) -> tuple[tuple[int, int], Wiring]:
    """Find the smallest input that a network takes, and its statistic there."""
    own = catalogue.find("backbone", backbone).size
    sizes = SIZES if detector or min(own) > 32 else (own,)
    for size in (DEEP[backbone],) if backbone in DEEP else sizes:
        try:
            return size, wiring(backbone, detector, size)
        except (UsageError, RuntimeError) as error:
            refusal = error
    raise refusal


def main() -> None:
    """Write the file."""
    torch.set_num_threads(1)
    with FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for backbone, detector in networks():
            size, found = smallest(backbone, detector)
            turns = " ".join(f"{turn:.4f}" for turn in found.turns)
            row = (backbone, detector or "", *size, found.outputs, f"{found.size:.5g}", turns)
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
