"""What holds for every operator of region pooling: any box, dtype, layout and device."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from region_loops import FRACTIONS, UNIT, close, features, fractions, pixels
from torch import Tensor

from archbench.zoo.ops.regions import (
    crop_and_resize,
    position_sensitive_align,
    position_sensitive_crop,
    position_sensitive_pool,
    roi_align,
    roi_pool,
    taps,
)

OPERATORS: dict[str, tuple[Any, Callable[..., tuple[Any, ...]]]] = {
    "crop_and_resize": (crop_and_resize, lambda maps, boxes: (maps, boxes, UNIT, 3)),
    "roi_align": (
        roi_align,
        lambda maps, boxes: ([maps, maps[:, :, ::2, ::2]], boxes * 100, [8, 16], 3, 2),
    ),
    "roi_pool": (roi_pool, lambda maps, boxes: (maps, boxes * 100, 16, 3)),
    "position_sensitive_crop": (
        position_sensitive_crop,
        lambda maps, boxes: (maps, boxes, UNIT, 2, 2),
    ),
    "position_sensitive_pool": (
        position_sensitive_pool,
        lambda maps, boxes: (maps, boxes * 100, 16, 2),
    ),
    "position_sensitive_align": (
        position_sensitive_align,
        lambda maps, boxes: (maps, boxes * 100, 16, 2, 2),
    ),
}


every_operator = pytest.mark.parametrize("name", OPERATORS)


def run(name: str, maps: Tensor, boxes: Tensor) -> Tensor:
    operator, arguments = OPERATORS[name]
    return operator(*arguments(maps, boxes))


@every_operator
@pytest.mark.parametrize(
    "box",
    [
        *FRACTIONS.values(),
        (math.inf, 0, math.inf, 1),
        (math.nan, 0, 1, math.nan),
        (-1e30, -1e30, 1e30, 1e30),
    ],
)
def test_any_box_gives_finite_numbers(name: str, box: tuple[float, ...]) -> None:
    assert run(name, features(1, 8), torch.tensor([[box]])).isfinite().all()


@every_operator
def test_no_boxes_give_no_crops(name: str) -> None:
    out = run(name, features(2, 8), torch.empty(2, 0, 4))
    shapes = {
        "position_sensitive_align": (0, 2, 2, 2),
        "position_sensitive_crop": (2, 0, 2),
        "position_sensitive_pool": (2, 0, 2),
    }
    assert out.shape == shapes.get(name, (0, 8, 3, 3))


@every_operator
def test_each_image_has_its_boxes(name: str) -> None:
    maps, boxes = features(3, 8), fractions(3)
    together = run(name, maps, boxes)
    apart = [run(name, maps[i : i + 1], boxes[i : i + 1]) for i in range(3)]
    assert torch.equal(together, torch.cat(apart))


@every_operator
def test_the_answer_does_not_depend_on_how_it_is_cut(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, boxes = features(2, 8), fractions()
    whole = run(name, maps, boxes)
    for held in (1, 2000):
        monkeypatch.setattr(taps, "HELD_ON_CPU", held)
        assert torch.equal(run(name, maps, boxes), whole)


@every_operator
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_only_the_output_is_rounded_to_the_features_dtype(name: str, dtype: torch.dtype) -> None:
    maps, boxes = features(2, 8).to(dtype), fractions()
    out = run(name, maps, boxes)
    assert out.dtype == dtype
    if dtype == torch.float64:
        close(out.float(), run(name, maps.float(), boxes))
    else:
        assert torch.equal(out, run(name, maps.float(), boxes).to(dtype))


@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_memory_format_is_the_features(name: str, dtype: torch.dtype) -> None:
    maps, boxes = features(2, 8).to(dtype), fractions()
    plain, last = (
        run(name, maps, boxes),
        run(name, maps.to(memory_format=torch.channels_last), boxes),
    )
    assert plain.is_contiguous()
    torch.testing.assert_close(last, plain)
    if last.ndim == 4 and name != "roi_align":
        assert last.is_contiguous(memory_format=torch.channels_last)


def test_a_pyramid_in_channels_last_gives_channels_last() -> None:
    maps = [features(size=size).to(memory_format=torch.channels_last) for size in ((8, 8), (4, 4))]
    assert roi_align(maps, pixels(), [8, 16], 3, 2).is_contiguous(memory_format=torch.channels_last)


@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_on_the_meta_device_it_has_its_shape(
    name: str, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    maps, boxes = features(2, 8).to(dtype, memory_format=memory_format), fractions()
    real, shape = run(name, maps, boxes), run(name, maps.to("meta"), boxes.to("meta"))
    assert (shape.device.type, shape.shape, shape.dtype, shape.stride()) == (
        "meta",
        real.shape,
        real.dtype,
        real.stride(),
    )


@every_operator
def test_torch_accepts_the_operator(name: str) -> None:
    operator, arguments = OPERATORS[name]
    torch.library.opcheck(
        operator,
        arguments(features(1, 8), fractions(1)),
        test_utils=("test_schema", "test_faketensor"),
    )


@every_operator
def test_features_that_want_a_gradient_are_taken(name: str) -> None:
    assert run(name, features(1, 8).requires_grad_(), fractions(1)).isfinite().all()


def test_counting_does_not_load_the_compiler() -> None:
    code = """
import sys, archbench, torch
from archbench.zoo.ops.regions import (
    crop_and_resize, position_sensitive_crop, position_sensitive_pool, roi_align, roi_pool
)

class Head(torch.nn.Module):
    def forward(self, images):
        boxes, low = images.new_empty(1, 9, 4), images[:, :, ::2, ::2]
        return (
            crop_and_resize(images, boxes, [32, 32], 3),
            roi_align([images, low], boxes, [8, 16], 3, 2),
            roi_pool(images, boxes, 16, 3),
            position_sensitive_crop(images, boxes, [32, 32], 2, 2),
            position_sensitive_pool(images, boxes, 16, 2),
        )

report = archbench.count(Head(), (1, 8, 32, 32))
print(report.uncounted or None, {'sympy', 'torch._dynamo'} & sys.modules.keys() or None)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["None", "None"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(5, 4), UNIT, 2),
            "boxes must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(2, 1, 5), UNIT, 2),
            "boxes must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(1, 5, 4), UNIT, 2),
            "features must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(3, 8, 8), torch.empty(3, 5, 4), UNIT, 2),
            "features must be",
        ),
        (
            lambda: crop_and_resize(torch.empty(2, 3, 8, 8), torch.empty(2, 5, 4), UNIT, 0),
            "at least 1",
        ),
        (lambda: roi_pool(torch.empty(2, 3, 8, 8), torch.empty(2, 5, 4), 0, 7), "at least 1"),
        (
            lambda: roi_align([torch.empty(2, 3, 8, 8)], torch.empty(2, 5, 4), [8, 16], 7, 2),
            "as many strides",
        ),
        (
            lambda: roi_align([torch.empty(2, 3, 8, 8)] * 2, torch.empty(2, 5, 4), [8, 32], 7, 2),
            "must double",
        ),
        (
            lambda: roi_align(
                [torch.empty(2, 3, 8, 8), torch.empty(2, 4, 4, 4)],
                torch.empty(2, 5, 4),
                [8, 16],
                7,
                2,
            ),
            "features must be",
        ),
        (
            lambda: position_sensitive_crop(
                torch.empty(1, 10, 8, 8), torch.empty(1, 5, 4), UNIT, 3, 1
            ),
            "no multiple",
        ),
        (
            lambda: position_sensitive_align(
                torch.empty(1, 10, 8, 8), torch.empty(1, 5, 4), 16, 3, 2
            ),
            "no multiple",
        ),
        (
            lambda: position_sensitive_pool(torch.empty(1, 10, 8, 8), torch.empty(1, 5, 4), 16, 3),
            "no multiple",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused_on_every_device(
    call: Callable[[], Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call()
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        call()


@pytest.mark.gpu
@every_operator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_cuda_gives_what_the_cpu_gives(name: str, dtype: torch.dtype) -> None:
    maps, boxes = features(2, 8, (38, 50)).to(dtype), fractions(2, 50)
    ours = run(name, maps.cuda(), boxes.cuda()).cpu()
    if dtype == torch.float32:
        close(ours, run(name, maps, boxes))
    else:
        torch.testing.assert_close(ours, run(name, maps, boxes))
