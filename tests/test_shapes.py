"""Our outputs on the meta device against torch's own meta kernels."""

from __future__ import annotations

import inspect
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import archbench
from archbench.shapes import map_sizes
from archbench.shapes.devices import tensors_in
from archbench.shapes.outputs import OUTPUTS

aten = torch.ops.aten
Arguments = tuple[Any, ...]
CASES = 150


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def pair(draw: random.Random, *values: int) -> list[int]:
    """One number for both sides, or one a side."""
    return [draw.choice(values) for _ in range(draw.choice((1, 2)))]


def sides(draw: random.Random) -> tuple[int, int]:
    return draw.randint(1, 20), draw.randint(1, 20)


def conv2d(draw: random.Random) -> Arguments:
    groups = draw.choice((1, 1, 2, 4))
    c_in, c_out = groups * draw.randint(1, 4), groups * draw.randint(1, 4)
    weight = meta(c_out, c_in // groups, draw.randint(1, 5), draw.randint(1, 5))
    bias = draw.choice((None, meta(c_out)))
    return (
        meta(draw.randint(1, 3), c_in, *sides(draw)),
        weight,
        bias,
        pair(draw, 1, 2, 3),
        pair(draw, 0, 1, 2),
        pair(draw, 1, 2),
        groups,
    )


def conv_transpose2d(draw: random.Random) -> Arguments:
    groups = draw.choice((1, 1, 2, 4))
    c_in, c_out = groups * draw.randint(1, 4), groups * draw.randint(1, 4)
    weight = meta(c_in, c_out // groups, draw.randint(1, 5), draw.randint(1, 5))
    bias = draw.choice((None, meta(c_out)))
    source = meta(draw.randint(1, 3), c_in, *sides(draw))
    return (
        source,
        weight,
        bias,
        pair(draw, 1, 2, 3),
        pair(draw, 0, 1),
        pair(draw, 0),
        groups,
        pair(draw, 1, 2),
    )


def max_pool2d(draw: random.Random) -> Arguments:
    kernel = pair(draw, 2, 3, 4, 5)
    stride = draw.choice(([], pair(draw, 1, 2, 3)))
    padding = [draw.randint(0, min(kernel) // 2)]
    return (
        meta(draw.randint(1, 3), 4, *sides(draw)),
        kernel,
        stride,
        padding,
        pair(draw, 1, 2),
        draw.random() < 0.5,
    )


def batch_norm(draw: random.Random) -> Arguments:
    channels = draw.randint(1, 5)
    shape = draw.choice(((), (4,), (4, 3), (2, 3, 4)))
    return meta(2, channels, *shape), *(meta(channels) for _ in range(4)), False, 0.1, 1e-5, False


def group_norm(draw: random.Random) -> Arguments:
    groups = draw.choice((1, 2, 3))
    channels = groups * draw.randint(1, 4)
    return meta(2, channels, *sides(draw)), groups, meta(channels), meta(channels), 1e-5, False


def cat(draw: random.Random) -> Arguments:
    shape = [draw.randint(1, 5) for _ in range(draw.randint(1, 4))]
    dim = draw.randrange(-len(shape), len(shape))
    tensors = []
    for _ in range(draw.randint(1, 4)):
        shape[dim] = draw.randint(0, 4)
        tensors.append(meta(*shape, dtype=draw.choice((torch.float32, torch.float32, torch.int64))))
    return tensors, dim


def add(draw: random.Random) -> Arguments:
    shape = [draw.randint(1, 4) for _ in range(3)]
    other = draw.choice((shape, shape, shape[1:], [1, *shape[1:]]))
    number = draw.choice((2, 0.5))
    return meta(*shape), draw.choice(
        (number, meta(*other, dtype=draw.choice((torch.float32, torch.float32, torch.float16))))
    )


def maximum(draw: random.Random) -> Arguments:
    first, second = add(draw)
    return first, second if isinstance(second, Tensor) else first


def flip(draw: random.Random) -> Arguments:
    return *activation(draw), [draw.choice((-1, 1, 2, 3, 4))]


def adaptive_avg_pool2d(draw: random.Random) -> Arguments:
    return meta(draw.randint(1, 3), draw.randint(1, 8), *sides(draw)), [
        draw.randint(1, 7),
        draw.randint(1, 7),
    ]


def avg_pool2d(draw: random.Random) -> Arguments:
    source, kernel, stride, padding, _, ceil_mode = max_pool2d(draw)
    return source, kernel, stride, padding, ceil_mode, draw.random() < 0.5


def linear(draw: random.Random) -> Arguments:
    depth, c_out = draw.randint(1, 5), draw.randint(1, 5)
    return (
        meta(*(draw.randint(1, 4) for _ in range(draw.randint(0, 3))), depth),
        meta(c_out, depth),
        draw.choice((None, meta(c_out))),
    )


def hardtanh(draw: random.Random) -> Arguments:
    return meta(draw.randint(1, 3), draw.randint(1, 8), *sides(draw)), 0, 6


def activation(draw: random.Random) -> Arguments:
    return (meta(draw.randint(1, 3), draw.randint(1, 8), *sides(draw)),)


def floor(draw: random.Random) -> Arguments:
    return *activation(draw), 1e-12


def vector_norm(draw: random.Random) -> Arguments:
    return *activation(draw), 2, [draw.choice((1, 1, 2, 3, -1))], draw.random() < 0.8


def pixel_unshuffle(draw: random.Random) -> Arguments:
    factor = draw.choice((1, 2, 2, 3))
    height, width = (factor * side + draw.choice((0, 0, 0, 1)) for side in sides(draw))
    return meta(draw.randint(1, 3), draw.randint(1, 8), height, width), factor


def upsample_nearest2d(draw: random.Random) -> Arguments:
    source = meta(draw.randint(1, 3), draw.randint(1, 8), *sides(draw))
    return draw.choice(
        (
            (source, list(sides(draw)), None),
            (source, list(sides(draw)), None),
            (source, None, [2.0, 2.0]),
        )
    )


def upsample_bilinear2d(draw: random.Random) -> Arguments:
    source, to, factors = upsample_nearest2d(draw)
    return source, to, draw.random() < 0.5, factors


def scalar(draw: random.Random) -> Arguments:
    return *activation(draw), draw.choice((2, 0.5))


def compared(draw: random.Random) -> Arguments:
    return draw.choice((add, scalar))(draw)


def addcmul(draw: random.Random) -> Arguments:
    shape = [draw.randint(1, 4) for _ in range(4)]
    other = draw.choice((shape, [1, shape[1], 1, 1], shape[1:]))
    return meta(*shape), meta(*shape), meta(*other)


def reduced(draw: random.Random) -> Arguments:
    source = meta(
        *(draw.randint(1, 5) for _ in range(4)),
        dtype=draw.choice((torch.float32, torch.float32, torch.int64)),
    )
    return source, draw.choice(([2, 3], [-1, -2], [1], [0, 2, 3])), draw.random() < 0.5


def reduced_whole(draw: random.Random) -> Arguments:
    return reduced(draw)[:1]


def mm(draw: random.Random) -> Arguments:
    depth = draw.randint(1, 5)
    return meta(draw.randint(1, 4), depth), meta(depth + (draw.random() < 0.2), draw.randint(1, 4))


def addmm(draw: random.Random) -> Arguments:
    source, weight = mm(draw)
    return meta(weight.shape[1]), source, weight


def convolution(draw: random.Random) -> Arguments:
    if draw.random() < 0.5:
        source, weight, bias, stride, padding, dilation, groups = conv2d(draw)
        return source, weight, bias, stride, padding, dilation, False, [0, 0], groups
    source, weight, bias, stride, padding, extra, groups, dilation = conv_transpose2d(draw)
    return source, weight, bias, stride, padding, dilation, True, extra, groups


def wanted(draw: random.Random) -> list[bool]:
    return [draw.random() < 0.7 for _ in range(3)]


def convolution_backward(draw: random.Random) -> Arguments:
    source, weight = meta(2, 4, 8, 8), meta(6, 4, 3, 3)
    bias_sizes = draw.choice((None, [6]))
    mask = [*wanted(draw)[:2], bias_sizes is not None]
    return (
        meta(2, 6, 8, 8),
        source,
        weight,
        bias_sizes,
        [1, 1],
        [1, 1],
        [1, 1],
        False,
        [0, 0],
        1,
        mask,
    )


def native_batch_norm(draw: random.Random) -> Arguments:
    source, weight, bias, mean, variance, *_ = batch_norm(draw)
    return source, weight, bias, mean, variance, draw.random() < 0.8, 0.1, 1e-5


def native_batch_norm_backward(draw: random.Random) -> Arguments:
    source, weight, _, mean, variance, *_ = native_batch_norm(draw)
    return (
        meta(*source.shape),
        source,
        weight,
        mean,
        variance,
        meta(*mean.shape),
        meta(*mean.shape),
        True,
        1e-5,
        [True, *wanted(draw)[1:]],
    )


def native_group_norm(draw: random.Random) -> Arguments:
    source, groups, weight, bias, *_ = group_norm(draw)
    return source, weight, bias, *source.shape[:2], source.shape[2] * source.shape[3], groups, 1e-5


def native_group_norm_backward(draw: random.Random) -> Arguments:
    source, weight, _, batch, channels, positions, groups, _ = native_group_norm(draw)
    statistics = (meta(batch, groups), meta(batch, groups))
    return (
        meta(*source.shape),
        source,
        *statistics,
        weight,
        batch,
        channels,
        positions,
        groups,
        wanted(draw),
    )


def gradient(*after: Any) -> Callable[[random.Random], Arguments]:
    """A gradient, the values of the same shape that it is of, and what else the operator takes."""

    def drawn(draw: random.Random) -> Arguments:
        (source,) = activation(draw)
        return meta(*source.shape), source, *after

    return drawn


def max_pool2d_backward(draw: random.Random) -> Arguments:
    return (
        meta(2, 3, 4, 4),
        meta(2, 3, 8, 8),
        [2, 2],
        [2, 2],
        [0, 0],
        [1, 1],
        False,
        meta(2, 3, 4, 4, dtype=torch.int64),
    )


def adaptive_max_pool2d_backward(draw: random.Random) -> Arguments:
    (source,) = activation(draw)
    return meta(*source.shape[:2], 1, 1), source, meta(*source.shape[:2], 1, 1, dtype=torch.int64)


def avg_pool2d_backward(draw: random.Random) -> Arguments:
    return meta(2, 3, 4, 4), meta(2, 3, 8, 8), [2, 2], [2, 2], [0, 0], False, True, None


def slice_backward(draw: random.Random) -> Arguments:
    return meta(2, 3, 4, 8), [2, 3, 8, 8], 2, 0, 2**63 - 1, 2


def upsample_nearest2d_backward(draw: random.Random) -> Arguments:
    (source,) = activation(draw)
    doubled = [2 * side for side in source.shape[2:]]
    return meta(*source.shape[:2], *doubled), doubled, list(source.shape)


def upsample_nearest2d_sides(draw: random.Random) -> Arguments:
    return meta(draw.randint(1, 3), draw.randint(1, 8), *sides(draw)), list(sides(draw))


DRAWS: dict[Any, Callable[[random.Random], Arguments]] = {
    aten.mul.Scalar: scalar,
    aten.div.Scalar: scalar,
    aten.pow.Tensor_Scalar: scalar,
    aten.eq.Tensor: add,
    aten.ge.Scalar: scalar,
    aten.neg.default: activation,
    aten.ones_like.default: activation,
    aten.addcmul.default: addcmul,
    aten.addcmul_.default: addcmul,
    aten.mean.dim: reduced,
    aten.mean.default: reduced_whole,
    aten.sum.default: reduced_whole,
    aten.sum.dim_IntList: reduced,
    aten.amax.default: reduced,
    aten.mm.default: mm,
    aten.addmm.default: addmm,
    aten.max_pool2d_with_indices.default: max_pool2d,
    aten.adaptive_max_pool2d.default: adaptive_avg_pool2d,
    aten.upsample_nearest2d.default: upsample_nearest2d_sides,
    aten.convolution.default: convolution,
    aten.convolution_backward.default: convolution_backward,
    aten.native_batch_norm.default: native_batch_norm,
    aten.native_batch_norm_backward.default: native_batch_norm_backward,
    aten.native_group_norm.default: native_group_norm,
    aten.native_group_norm_backward.default: native_group_norm_backward,
    aten.threshold_backward.default: gradient(0),
    aten.hardtanh_backward.default: gradient(0, 6),
    aten.leaky_relu_backward.default: gradient(0.1, False),
    aten.silu_backward.default: gradient(),
    aten.sigmoid_backward.default: gradient(),
    aten.max_pool2d_with_indices_backward.default: max_pool2d_backward,
    aten.adaptive_max_pool2d_backward.default: adaptive_max_pool2d_backward,
    aten.avg_pool2d_backward.default: avg_pool2d_backward,
    aten.slice_backward.default: slice_backward,
    aten.upsample_nearest2d_backward.default: upsample_nearest2d_backward,
    aten.conv2d.default: conv2d,
    aten.conv_transpose2d.input: conv_transpose2d,
    aten.max_pool2d.default: max_pool2d,
    aten.batch_norm.default: batch_norm,
    aten.group_norm.default: group_norm,
    aten.cat.default: cat,
    aten.add.Tensor: add,
    aten.adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    aten.avg_pool2d.default: avg_pool2d,
    aten.linear.default: linear,
    aten.hardtanh.default: hardtanh,
    aten.hardtanh_.default: hardtanh,
    aten.upsample_nearest2d.vec: upsample_nearest2d,
    aten.upsample_bilinear2d.vec: upsample_bilinear2d,
    aten.sub.Tensor: add,
    aten.mul.Tensor: add,
    aten.div.Tensor: add,
    aten.maximum.default: maximum,
    aten.linalg_vector_norm.default: vector_norm,
    aten.clamp.default: floor,
    aten.clamp_min.default: floor,
    aten.exp.default: activation,
    aten.flip.default: flip,
    aten.relu.default: activation,
    aten.leaky_relu.default: activation,
    aten.leaky_relu_.default: activation,
    aten.silu.default: activation,
    aten.silu_.default: activation,
    aten.sigmoid.default: activation,
    aten.pixel_unshuffle.default: pixel_unshuffle,
}


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


def test_each_of_our_outputs_has_a_test() -> None:
    assert OUTPUTS.keys() <= DRAWS.keys()


def test_a_network_that_cannot_run_is_not_counted() -> None:
    mismatched = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(5))
    with pytest.raises(archbench.UsageError):
        archbench.count(mismatched, (1, 3, 8, 8))


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
