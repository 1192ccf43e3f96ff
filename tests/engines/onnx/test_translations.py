"""Each operator's translation beside the operator itself, on seeded inputs, in ONNX Runtime.

All cases are calls of one network: a file is made once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from archbench.engines.agreement import dense_error
from archbench.engines.onnx import export
from archbench.engines.outputs import flattened, together
from archbench.zoo.ops.deform import deform_conv2d
from archbench.zoo.ops.proposals import detect, propose
from archbench.zoo.ops.regions import (
    crop_and_resize,
    position_sensitive_align,
    position_sensitive_crop,
    position_sensitive_pool,
    roi_align,
    roi_pool,
)

SIZE = (160, 128)
STRIDE = 16
TOLERANCE = 1e-4


class Case(NamedTuple):
    """A call of an operator."""

    call: Callable[..., Any]
    tensors: tuple[Tensor, ...]

    def __call__(self) -> Any:
        return self.call(*self.tensors)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def regions(batch: int, *, outside: bool = True) -> Tensor:
    """Boxes of all sizes: in the image, at its border, past it, of no area and of whole pixels."""
    generator = torch.Generator().manual_seed(batch)
    ends = torch.rand(batch, 24, 2, 2, generator=generator).sort(dim=2).values
    boxes = ends.flatten(2) * torch.tensor(SIZE * 2)
    boxes[:, 0] = torch.tensor([0.0, 0, *SIZE])
    boxes[:, 1] = 0
    boxes[:, 2] = torch.tensor([*SIZE, *SIZE])
    boxes[:, 3] = torch.tensor([8.0, 24, 56, 88])
    boxes[:, 4] = torch.tensor([0.0, 0, 7, 7])
    boxes[:, 5] = boxes[:, 6]
    # 57 cells of 4 pixels, which fp32 does not cut into 7 bins as exact numbers do.
    boxes[:, 7] = torch.tensor([0.0, 0, 56 * 4, 30 * 4])
    if outside:
        boxes[:, 8] += torch.tensor([-90.0, -40, 30, 60])
        boxes[:, 9] += 300
    return boxes


def anchors() -> Tensor:
    """Boxes of two sizes around the cells of two maps, of 80 and 20 places."""
    grids = []
    for stride, side in ((16, 40.0), (32, 70.0)):
        rows, columns = torch.meshgrid(
            *(torch.arange(stride / 2, s, stride) for s in SIZE[::-1]), indexing="ij"
        )
        centres = torch.stack([columns, rows], -1).reshape(-1, 2)
        grids.append(torch.cat([centres - side / 2, centres + side / 2], dim=1))
    return torch.cat(grids)


def crops(batch: int) -> dict[str, Case]:
    """Parts of maps with all their channels."""
    features, boxes = draw(batch, 3, 8, 10), regions(batch)
    wide = draw(batch, 3, 32, 64)
    maps = [draw(batch, 3, SIZE[1] // s, SIZE[0] // s, seed=s) for s in (4, 8, 16)]
    found = {
        "roi_align": Case(lambda f, b: roi_align([f], b, [STRIDE], 7, 2), (features, boxes)),
        "roi_pool": Case(lambda f, b: roi_pool(f, b, 4, 7), (wide, boxes)),
    }
    for side in (1, 7):
        call = partial(crop_and_resize, size=SIZE, side=side)
        found[f"crop_and_resize to {side}"] = Case(call, (features, boxes))
    # Boxes of other sizes leave some of the maps unread.
    for scale in (0.1, 1, 8):
        call = lambda b, *m: roi_align(list(m), b, [4, 8, 16], 5, 2)  # noqa: E731
        found[f"roi_align of a pyramid, boxes x {scale}"] = Case(call, (boxes * scale, *maps))
    return found


def votes(batch: int) -> dict[str, Case]:
    """Bins that read channels of their own."""
    boxes = regions(batch)
    features = draw(batch, 18, 8, 10)
    found = {
        "position_sensitive_align": Case(
            lambda f, b: position_sensitive_align(f, b, STRIDE, 3, 2), (features, boxes)
        ),
        "position_sensitive_pool": Case(
            lambda f, b: position_sensitive_pool(f, b, STRIDE, 3), (features, boxes)
        ),
    }
    for bins, samples in ((3, 4), (3, 1), (1, 2)):
        call = partial(position_sensitive_crop, size=SIZE, bins=bins, samples=samples)
        found[f"position_sensitive_crop, {bins} bins of {samples}"] = Case(call, (features, boxes))
    return found


def choices(batch: int) -> dict[str, Case]:
    """Proposals and detections: more than are asked for, fewer, and none."""
    places = anchors()
    offsets = draw(batch, len(places), 4)
    # Some boxes leave the image, others have no area, or the same score as the next.
    offsets[:, ::7, :2] = 6
    offsets[:, ::11, 2:] = -200
    found = {}
    for values, clips, (most, count) in product(
        (1, 2), (True, False), ((0, 12), (30, 40), (0, 200))
    ):
        objectness = draw(batch, len(places), values)
        objectness[:, ::7] += 1
        call = partial(_propose, iou=0.5, candidates=most, count=count, clip_first=clips)
        name = f"propose {count} of {most or 'all'}, {values} logits, clip first: {clips}"
        found[name] = Case(call, (objectness, offsets, places))
    ties = draw(batch, len(places), 1).sign()
    call = partial(_propose, iou=0.3, candidates=20, count=30, clip_first=True)
    found["propose among ties"] = Case(call, (ties, offsets * 0, places))
    proposals, logits = regions(batch, outside=False), draw(batch, 24, 4)
    for groups, (score, count) in product((1, 3, 4), ((0.05, 10), (0.3, 100), (0.999, 10))):
        call = partial(detect, size=SIZE, score=score, iou=0.4, count=count)
        own = draw(batch, 24, groups, 4)
        found[f"detect {count} above {score}, {groups} boxes"] = Case(
            call, (proposals, logits, own)
        )
    return found


def _propose(objectness: Tensor, offsets: Tensor, places: Tensor, **given: Any) -> Tensor:
    return propose(
        objectness, offsets, places, levels=[80, 20], variances=[0.1, 0.2], size=SIZE, **given
    )


def convolutions(batch: int) -> dict[str, Case]:
    """Taps moved past the borders, in sets for parts of the outputs."""
    found = {}
    for sets, stride, masked in ((1, 1, True), (1, 2, False), (2, 1, True)):
        rows, columns = -(-9 // stride), -(-12 // stride)
        mask = draw(batch, sets * 9, rows, columns).sigmoid()
        found[f"deform_conv2d, {sets} sets, stride {stride}, mask: {masked}"] = Case(
            partial(_deformed, stride=stride, masked=masked),
            (
                draw(batch, 3, 9, 12),
                draw(4, 3, 3, 3),
                draw(4),
                draw(batch, sets * 18, rows, columns) * 3,
                mask,
            ),
        )
    return found


def _deformed(
    x: Tensor, weight: Tensor, bias: Tensor, moves: Tensor, mask: Tensor, stride: int, masked: bool
) -> Tensor:
    given = (bias, mask) if masked else (None, None)
    return deform_conv2d(x, weight, given[0], stride, 1, moves, given[1])


def maxima(batch: int) -> dict[str, Case]:
    """Running maxima along an axis, of which some values are reached again."""
    values = draw(batch, 2, 5, 9).round()
    return {
        f"cummax along {dim}": Case(lambda x, d=dim: tuple(x.cummax(d)), (values,))
        for dim in (2, 3, -1)
    }


GROUPS = (maxima, crops, votes, choices, convolutions)
FEWER = 4
"""Of how many cases one is tried with a single image as well."""
CASES = {
    f"{name}, batch {batch}": case
    for group, (batch, every) in product(GROUPS, ((2, 1), (1, FEWER)))
    for name, case in [*group(batch).items()][::every]
}
CONVOLUTIONS = {name: case for name, case in CASES.items() if name.startswith("deform_conv2d")}


class Every(nn.Module):
    """A network that makes every call."""

    def __init__(self, cases: dict[str, Case]) -> None:
        super().__init__()
        self.cases = cases
        for number, case in enumerate(cases.values()):
            for place, tensor in enumerate(case.tensors):
                self.register_buffer(f"given_{number}_{place}", tensor)

    def forward(self, images: Tensor) -> dict[str, Any]:
        # Added, so that nothing is computed while the file is made.
        nothing = images.sum()
        return {
            name: case.call(
                *(
                    self.get_buffer(f"given_{number}_{place}") + nothing
                    for place, _ in enumerate(case.tensors)
                )
            )
            for number, (name, case) in enumerate(self.cases.items())
        }


def run(cases: dict[str, Case], path: Path, *, plain: frozenset[str] = frozenset()) -> Any:
    """What ONNX Runtime gives for every case."""
    pytest.importorskip("onnxscript", reason="torch exports to ONNX with onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime runs the translations")
    images = torch.zeros(1, 3, 2, 2)
    export(Every(cases).eval(), images, path, plain=plain)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = session.run(None, {"images": images.numpy()})
    form, _ = flattened({name: case() for name, case in cases.items()})
    return together(form, [torch.from_numpy(each) for each in given])


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(CASES, tmp_path_factory.mktemp("translations") / "every.onnx")


@pytest.fixture(scope="module")
def plain_outputs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("translations") / "plain.onnx"
    return run(CONVOLUTIONS, path, plain=frozenset({"deform_conv2d"}))


@pytest.mark.parametrize("name", CASES)
def test_translated_operators_give_what_they_give_in_torch(name: str, outputs: Any) -> None:
    assert dense_error(outputs[name], CASES[name]()) < TOLERANCE


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_plain_operators_give_the_same(name: str, plain_outputs: Any) -> None:
    assert dense_error(plain_outputs[name], CASES[name]()) < TOLERANCE


def test_the_cases_choose_boxes_of_some_and_of_no_area() -> None:
    """Filled up and not, found and not: what the cases are there for is among them."""
    proposed = [case() for name, case in CASES.items() if name.startswith("propose")]
    real = [bool((boxes[..., 2:] > boxes[..., :2]).all()) for boxes in proposed]
    detected = [case()[1] for name, case in CASES.items() if name.startswith("detect")]
    found = [int((scores > 0).sum()) for scores in detected]
    assert {True, False} == set(real)
    assert min(found) == 0 < max(found)
