"""Our outputs on the meta device against torch's own meta kernels."""

from __future__ import annotations

import inspect
import random
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_draws import (
    DRAWS,
    Arguments,
    aten,
    meta,
)
from torch import Tensor

import archbench
from archbench.shapes import map_sizes
from archbench.shapes.devices import tensors_in
from archbench.shapes.outputs import OUTPUTS

CASES = 150


def of_torch(operator: Any, arguments: Arguments) -> Tensor | None:
    """What torch's meta kernel gives, or None where it refuses."""
    try:
        out: Tensor = operator(*arguments)
    except (RuntimeError, ValueError, IndexError):
        return None
    return out


def described(out: Tensor | tuple[Tensor | None, ...] | None) -> tuple[Any, ...] | None:
    if not isinstance(out, Tensor):
        return out and tuple(map(described, out))
    return tuple(out.shape), out.dtype, out.device.type, out.stride()


@pytest.mark.parametrize("operator", OUTPUTS, ids=str)
def test_outputs_are_those_of_torch(operator: Any) -> None:
    """On every argument that torch takes ours is equal or leaves it to torch; what torch refuses is
    left to it.
    """
    draw = random.Random(str(operator))
    answered = 0
    for _ in range(CASES):
        arguments = DRAWS[operator](draw)
        ours, theirs = OUTPUTS[operator](*arguments), of_torch(operator, arguments)
        if ours is not None:
            answered += 1
            assert theirs is not None, arguments
            assert described(ours) == described(theirs), arguments
    assert answered > CASES / 4


CONVOLVES = {aten.conv2d.default, aten.conv_transpose2d.input, aten.convolution.default}


def laid_out(draw: random.Random, argument: Any) -> Any:
    """The same argument with its tensors in another layout: permuted, a part, repeated."""
    if isinstance(argument, list):
        return [laid_out(draw, part) for part in argument]
    if not isinstance(argument, Tensor) or argument.ndim < 2:
        return argument
    order = draw.sample(range(argument.ndim), argument.ndim)
    back = [order.index(dim) for dim in range(argument.ndim)]
    forms = [argument, argument.permute(order).contiguous().permute(back)]
    forms.append(torch.cat([argument, argument], 1)[:, : argument.shape[1]])
    forms.append(argument[:1].expand_as(argument))
    if argument.ndim == 4:
        forms.append(argument.contiguous(memory_format=torch.channels_last))
    return draw.choice(forms)


def steps(out: Any) -> Any:
    """Strides of dimensions that have any."""
    if not isinstance(out, Tensor):
        return out and tuple(map(steps, out))
    return [step for step, side in zip(out.stride(), out.shape, strict=True) if side > 1]


@pytest.mark.parametrize(
    "operator", [op for op in OUTPUTS if "backward" not in str(op) and op not in CONVOLVES], ids=str
)
def test_outputs_of_any_layout_lie_as_those_of_torch(operator: Any) -> None:
    draw = random.Random(str(operator))
    for _ in range(CASES):
        arguments = [laid_out(draw, argument) for argument in DRAWS[operator](draw)]
        ours = OUTPUTS[operator](*arguments)
        theirs = of_torch(operator, arguments)
        if ours is not None and theirs is not None:
            assert steps(ours) == steps(theirs), [
                (part.shape, part.stride()) for part in tensors_in(arguments)
            ]


def test_a_convolution_keeps_channels_last_as_on_a_device() -> None:
    draw = random.Random(0)
    for _ in range(40):
        image, weight = torch.randn(2, 4, 8, 8), torch.randn(6, 4, 3, 3)
        image, weight = laid_out(draw, image), laid_out(draw, weight)
        ours = OUTPUTS[aten.conv2d.default](image.to("meta"), weight.to("meta"))
        assert steps(ours) == steps(torch.conv2d(image, weight)), (image.stride(), weight.stride())


def on_cpu(argument: Any) -> Any:
    """The same argument with numbers in it: zeros, which are places of a pool's maximum too."""
    if isinstance(argument, Tensor):
        return torch.zeros(argument.shape, dtype=argument.dtype)
    return [on_cpu(part) for part in argument] if isinstance(argument, list) else argument


@pytest.mark.parametrize("operator", OUTPUTS, ids=str)
@given(draw=st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_outputs_have_the_shapes_of_what_torch_computes(operator: Any, draw: random.Random) -> None:
    arguments = DRAWS[operator](draw)
    ours = OUTPUTS[operator](*arguments)
    if ours is not None:
        computed = operator(*map(on_cpu, arguments))
        # The CPU's kernels give gradients that nobody asked for, too.
        asked = list(zip(parts(ours), parts(computed), strict=True))
        assert [shaped(one) for one, _ in asked if one is not None] == [
            shaped(other) for one, other in asked if one is not None
        ], arguments


def parts(out: Tensor | tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return (out,) if isinstance(out, Tensor) else out


def shaped(out: Tensor | None) -> Any:
    return out is not None and (tuple(out.shape), out.dtype)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (aten.conv2d.default, (meta(1, 6, 8, 8), meta(4, 5, 3, 3))),
        (aten.conv2d.default, (meta(1, 6, 2, 2), meta(4, 6, 3, 3))),
        (aten.conv2d.default, (meta(1, 6, 8), meta(4, 6, 3, 3))),
        (aten.conv_transpose2d.input, (meta(1, 6, 1, 1), meta(6, 4, 2, 2), None, [1], [1])),
        (aten.max_pool2d.default, (meta(1, 6, 8, 8), [2], [2], [2])),
        (aten.max_pool2d.default, (meta(1, 6, 2, 2), [3])),
        (
            aten.batch_norm.default,
            (meta(1, 6, 8, 8), *(meta(4) for _ in range(4)), False, 0.1, 1e-5, False),
        ),
        (aten.group_norm.default, (meta(1, 6, 8, 8), 4, meta(6), meta(6))),
        (aten.group_norm.default, (meta(1, 6, 8, 8), 2, meta(8), meta(8))),
        (aten.cat.default, ([meta(1, 6, 8, 8), meta(1, 6, 7, 8)], 1)),
        (aten.cat.default, ([meta(1, 6), meta(1, 6)], 2)),
        (aten.cat.default, ([],)),
        (aten.flip.default, (meta(1, 6, 8, 8), [4])),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else str(value),
)
def test_what_torch_refuses_is_left_to_it(operator: Any, arguments: Arguments) -> None:
    """Otherwise the count of a network that cannot run would be a figure."""
    assert of_torch(operator, arguments) is None
    assert OUTPUTS[operator](*arguments) is None


@pytest.mark.parametrize("operator", OUTPUTS, ids=str)
def test_our_outputs_take_all_arguments_of_an_operator(operator: Any) -> None:
    arguments = operator._schema.arguments
    by_place = [argument for argument in arguments if not argument.kwarg_only]
    by_name = {argument.name: None for argument in arguments if argument.kwarg_only}
    signature = inspect.signature(OUTPUTS[operator])
    required = sum(not argument.has_default_value() for argument in by_place)
    for number in range(required, len(by_place) + 1):
        signature.bind(*by_place[:number], **by_name)


@pytest.mark.parametrize(
    "operator",
    [op for op in OUTPUTS if any(each.name == "dtype" for each in op._schema.arguments)],
    ids=str,
)
def test_outputs_of_another_dtype_are_those_of_torch(operator: Any) -> None:
    draw = random.Random(str(operator))
    for _ in range(CASES):
        arguments = DRAWS[operator](draw)
        asked = {"dtype": draw.choice((None, torch.float32, torch.float64))}
        ours = OUTPUTS[operator](*arguments, **asked)
        if ours is not None:
            assert described(ours) == described(operator(*arguments, **asked)), (arguments, asked)


def test_integers_that_become_real_numbers_go_into_a_layer() -> None:
    """A past bug: a quotient of integers was taken for integers, which no layer takes."""

    class Shares(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x / x.sum(-1, keepdim=True)) + self.fc(x.sigmoid() + x.exp())

    assert archbench.count(Shares(), ((2, 8), torch.int64)).macs == 2 * 8 * 4


def test_each_of_our_outputs_has_a_test() -> None:
    assert OUTPUTS.keys() <= DRAWS.keys()


def test_a_network_that_cannot_run_is_not_counted() -> None:
    mismatched = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(5))
    with pytest.raises(archbench.UsageError):
        archbench.count(mismatched, (1, 3, 8, 8))


@pytest.mark.slow
def test_counting_the_zoo_loads_no_compiler() -> None:
    """Torch's own meta kernels would load it and sympy on first use: ten times what a count
    takes.
    """
    pairs = (
        ("resnet50",),
        ("densenet121",),
        ("vgg16",),
        ("darknet19",),
        ("vovnet39", "refinedet"),
        ("vgg16", "refinedet"),
        ("mobilenet", "faster-rcnn"),
        ("resnet18", "rfcn-caffe"),
        ("resnet18-gn", "mask-rcnn-fpn"),
        ("inception-resnet-v2", "ssd-huang"),
        ("darknet19", "yolov2"),
        ("resnet50", "dssd"),
        ("ds-64-64-16-1", "dsod"),
        ("vgg16", "ssd"),
        ("resnet18", "retinanet"),
        ("csp-peleenet", "efm-sam"),
        ("csp-resnext50", "panet-spp"),
        ("efficientnet-b0-darknet", "prn"),
        ("darknet-reference", "prn"),
        ("densenet201-elastic",),
        ("res2net50",),
        ("peleenet", "pelee"),
        ("hardnet68", "ssd"),
        ("resnet18", "cornernet"),
        ("resnet18", "centernet"),
        ("resnet18", "ttfnet"),
        ("snet49", "thundernet"),
        ("vgg16", "lrf"),
        ("vgg16", "m2det"),
        ("vgg16", "pfpnet-r"),
        ("vgg16", "dafs"),
        ("vgg16", "rfbnet"),
    )
    trained = (
        ("resnet50",),
        ("densenet121",),
        ("resnet18-gn",),
        ("mobilenet",),
        ("ds2net26",),
        ("vovnet27-slim", "refinedet"),
    )
    code = f"import sys, archbench; [archbench.cost(*pair) for pair in {pairs}]; "
    code += f"[archbench.cost(*pair, batch=2, mode='train') for pair in {trained}]; "
    code += "print({'sympy', 'torch._dynamo'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_sizes_of_a_network_s_maps_are_found_without_computing_them() -> None:
    torch.manual_seed(0)
    network = archbench.build("vgg16", classes=0).train()
    network.taps = ("conv2_2", "conv5_3")
    before = [tensor.clone() for tensor in network.state_dict().values()]
    assert map_sizes(network, (100, 60)) == [(50, 30), (6, 3)]
    assert all(
        torch.equal(old, new)
        for old, new in zip(before, network.state_dict().values(), strict=True)
    )
    assert network.training


def test_images_too_small_for_a_network_have_no_sizes() -> None:
    with pytest.raises(ValueError, match="size"):
        map_sizes(archbench.build("vgg16", classes=0, device="meta"), (8, 8))


@pytest.mark.parametrize(("device", "used"), [("meta", True), ("cpu", False)])
def test_our_outputs_stand_in_on_meta_alone(
    device: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = OUTPUTS[aten.conv2d.default]
    monkeypatch.setitem(
        OUTPUTS,
        aten.conv2d.default,
        lambda *arguments: seen.append(arguments) or original(*arguments),
    )
    archbench.count(torch.nn.Conv2d(3, 4, 1), (1, 3, 8, 8), device=device)
    assert bool(seen) is used
