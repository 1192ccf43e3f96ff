"""The synthetic scene on which postprocessing is timed: scores like a trained detector's, from a
seed.

Random weights give scores without meaning, and the time of a non-maximum suppression depends on
them. So every dense detector is timed on this scene instead: each image holds 16 objects, uniform
in place and class, with sides log-uniform from 1/16 to 1/2 of the input; a prior that overlaps an
object by 0.3 or more fires for its class with 0.9 times the overlap and is regressed onto it with a
jitter; and 2 % of the priors fire falsely for one class, log-uniform from 0.01 to 0.2. A detector
without priors sees the same objects as peaks of heatmaps, whose cells replace the priors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from archbench.zoo.ops.boxes import encode, iou, to_corners

NAME = "scene-v1"
OBJECTS = 16
OVERLAP = 0.3
CONFIDENCE = 0.9
CLUTTER = 0.02
CLUTTER_SCORES = (0.01, 0.2)
JITTER = 0.3
"""Standard deviation of the regression's error, in offset units."""
SPREAD = 0.54 / 6
"""Standard deviation of a peak, as a share of the object's sides (Liu et al., TTFNet: 0.54 of a
sixth).
"""


@dataclass(frozen=True)
class Objects:
    """The objects of one image: boxes [N, 4] in pixels and labels [N]."""

    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Scene:
    """Foreground probabilities [B, N, C] (their sum over classes is below 1) and offsets [B, N, 4]
    for N priors.
    """

    scores: Tensor
    offsets: Tensor


def objects(*, size: tuple[int, int], classes: int, generator: torch.Generator) -> Objects:
    """Draw one image's objects for an input of `size` (width, height), on the CPU."""
    sides = torch.exp(
        math.log(1 / 16) + torch.rand((OBJECTS, 2), generator=generator) * math.log(8)
    )
    boxes = to_corners(
        torch.cat([torch.rand((OBJECTS, 2), generator=generator), sides], dim=1)
    ) * torch.tensor([*size, *size])
    return Objects(boxes, torch.randint(classes, (OBJECTS,), generator=generator))


def respond(
    priors: Tensor, seen: Objects, *, classes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw the response of priors [N, 4] to one image's objects, on the CPU: scores [N, C] and
    offsets [N, 4].

    Priors without area see no object; they may fire falsely like any other.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    overlap, nearest = iou(priors, seen.boxes).nan_to_num().max(dim=1)
    score = torch.zeros(len(priors), classes)
    fires = overlap >= OVERLAP
    score[fires, seen.labels[nearest[fires]]] = CONFIDENCE * overlap[fires]
    false = (uniform(len(priors)) < CLUTTER) & ~fires
    low, high = map(math.log, CLUTTER_SCORES)
    wrong = torch.randint(classes, (len(priors),), generator=generator)
    score[false, wrong[false]] = torch.exp(low + uniform(len(priors)) * (high - low))[false]
    jitter = torch.randn(priors.shape, generator=generator) * JITTER
    return score, torch.where(
        fires[:, None], encode(seen.boxes[nearest], priors), torch.zeros(4)
    ) + jitter


def scene(
    priors: Tensor, *, size: tuple[int, int], classes: int, batch: int, generator: torch.Generator
) -> Scene:
    """Draw one scene an image for priors [N, 4] and an input of `size` (width, height), on the
    CPU.
    """
    priors = priors.detach().cpu().float()
    drawn = [
        respond(
            priors,
            objects(size=size, classes=classes, generator=generator),
            classes=classes,
            generator=generator,
        )
        for _ in range(batch)
    ]
    return Scene(
        torch.stack([scores for scores, _ in drawn]), torch.stack([offsets for _, offsets in drawn])
    )


def heatmap(
    points: Tensor,
    seen: Objects,
    *,
    size: tuple[int, int],
    cells: tuple[int, int],
    classes: int,
    generator: torch.Generator,
) -> Tensor:
    """Draw the heatmap of `cells` (columns, rows) for a point [N, 2] of each object, in pixels:
    scores [C, rows, columns].

    The point's cell fires with 0.9 times an overlap from 0.3 to 1, the cells around it less, as a
    Gaussian falls off.
    """
    axes = [torch.arange(count) for count in cells]
    steps = torch.tensor(size) / torch.tensor(cells)
    centres = to_cells(points, size=size, cells=cells)
    spread = ((seen.boxes[:, 2:] - seen.boxes[:, :2]) / steps * SPREAD).clamp(min=SPREAD)
    peaks = CONFIDENCE * (OVERLAP + torch.rand(len(points), generator=generator) * (1 - OVERLAP))
    heat = torch.zeros(classes, cells[1], cells[0])
    for number, label in enumerate(seen.labels.tolist()):
        across, down = (
            torch.exp(-(((axes[i] - centres[number, i]) / spread[number, i]) ** 2) / 2)
            for i in range(2)
        )
        heat[label] = torch.maximum(heat[label], peaks[number] * down[:, None] * across)
    false = (torch.rand(cells[::-1], generator=generator) < CLUTTER).nonzero(as_tuple=True)
    wrong = torch.randint(classes, (len(false[0]),), generator=generator)
    low, high = map(math.log, CLUTTER_SCORES)
    noise = torch.exp(low + torch.rand(len(wrong), generator=generator) * (high - low))
    heat[wrong, *false] = torch.maximum(heat[wrong, *false], noise)
    return heat


def to_cells(points: Tensor, *, size: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """The column and row, [N, 2], of the cell that each point [N, 2] in pixels lies in; the nearest
    for one outside the image.
    """
    places = (points / (torch.tensor(size) / torch.tensor(cells))).floor().long()
    return places.clamp(min=0).minimum(torch.tensor(cells) - 1)


def softmax_logits(scores: Tensor, *, floor: float = 1e-6) -> Tensor:
    """Logits [..., 1 + C], background first, whose softmax gives `scores` [..., C] (zeros become
    about `floor`).
    """
    background = 1 - scores.sum(dim=-1, keepdim=True)
    return torch.cat([background, scores], dim=-1).clamp(min=floor).log()
