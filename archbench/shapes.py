"""Shapes without computing: outputs of the commonest operators on the meta device, without torch's
own meta kernels.

A forward pass under inference mode calls whole operators (`aten.conv2d`), a training step
decomposed ones and their backward.

Those are written in Python: they load torch's compiler and sympy on first use, longer than a count
takes, and are most of its time afterwards. A test holds these against them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode


def _conv2d(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Tensor | None:
    c_out, c_in, *kernel = weight.shape
    if source.ndim != 4 or source.shape[1] != c_in * groups:
        return None
    sides = []
    for i, n in enumerate(source.shape[2:]):
        s, p, d = (values[i % len(values)] for values in (stride, padding, dilation))
        sides.append((n + 2 * p - d * (kernel[i] - 1) - 1) // s + 1)
    return source.new_empty(source.shape[0], c_out, *sides) if min(sides) > 0 else None


def _conv_transpose2d(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Tensor | None:
    c_in, c_out, *kernel = weight.shape
    if source.ndim != 4 or source.shape[1] != c_in:
        return None
    sides = []
    for i, n in enumerate(source.shape[2:]):
        s, p, extra, d = (
            values[i % len(values)] for values in (stride, padding, output_padding, dilation)
        )
        sides.append((n - 1) * s - 2 * p + d * (kernel[i] - 1) + extra + 1)
    return source.new_empty(source.shape[0], c_out * groups, *sides) if min(sides) > 0 else None


def _convolution(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor | None:
    if weight.ndim != 4:
        return None
    if transposed:
        return _conv_transpose2d(
            source, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return _conv2d(source, weight, bias, stride, padding, dilation, groups)


def _convolution_backward(
    grad: Tensor, source: Tensor, weight: Tensor, bias_sizes: Sequence[int] | None, *_: Any
) -> tuple[Tensor | None, ...] | None:
    wanted = _[-1]
    shapes = (source.shape, weight.shape, [weight.shape[0]] if bias_sizes is None else bias_sizes)
    return _wanted(grad, shapes, wanted)


def _max_pool2d(
    source: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Tensor | None:
    stride = stride or kernel
    sides = []
    for i, n in enumerate(source.shape[-2:]):
        k, s, p, d = (values[i % len(values)] for values in (kernel, stride, padding, dilation))
        if 2 * p > k:
            return None
        span = n + 2 * p - d * (k - 1) - 1
        side = (-(-span // s) if ceil_mode else span // s) + 1
        # A last window that would start in the padding is left out.
        sides.append(side - 1 if ceil_mode and (side - 1) * s >= n + p else side)
    return (
        source.new_empty(*source.shape[:-2], *sides)
        if source.ndim == 4 and min(sides) > 0
        else None
    )


def _max_pool2d_with_indices(source: Tensor, *others: Any) -> tuple[Tensor, Tensor] | None:
    out = _max_pool2d(source, *others)
    return None if out is None else (out, out.new_empty(out.shape, dtype=torch.int64))


def _adaptive_max_pool2d(source: Tensor, sides: Sequence[int]) -> tuple[Tensor, Tensor] | None:
    out = _adaptive_avg_pool2d(source, sides)
    return None if out is None else (out, out.new_empty(out.shape, dtype=torch.int64))


def _reduce(
    source: Tensor, over: Sequence[int] | None = None, keepdim: bool = False, **__: Any
) -> Tensor | None:
    over = over or range(source.ndim)
    if any(not -source.ndim <= dim < source.ndim for dim in over) or not source.is_floating_point():
        return None
    gone = {dim % source.ndim for dim in over}
    shape = [
        1 if dim in gone else side
        for dim, side in enumerate(source.shape)
        if keepdim or dim not in gone
    ]
    return source.new_empty(shape) if len(gone) == len(over) else None


def _batch_norm(source: Tensor, *others: Any, **__: Any) -> Tensor | None:
    fits = source.ndim > 1 and all(
        t.numel() == source.shape[1] for t in others if isinstance(t, Tensor)
    )
    return source.new_empty(source.shape) if fits else None


def _group_norm(source: Tensor, groups: int, *others: Any, **__: Any) -> Tensor | None:
    fits = (
        source.ndim > 1
        and source.shape[1] % groups == 0
        and all(t.numel() == source.shape[1] for t in others if isinstance(t, Tensor))
    )
    return source.new_empty(source.shape) if fits else None


def _wanted(
    grad: Tensor, shapes: Sequence[Sequence[int]], wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """Gradients of these shapes, None for those that are not wanted."""
    return tuple(
        grad.new_empty(shape) if needed else None
        for shape, needed in zip(shapes, wanted, strict=True)
    )


def _native_batch_norm(source: Tensor, *others: Any) -> tuple[Tensor, ...] | None:
    training = others[4]
    if not training or _batch_norm(source, *others[:4]) is None:
        return None
    return (
        source.new_empty(source.shape),
        source.new_empty(source.shape[1]),
        source.new_empty(source.shape[1]),
    )


def _native_batch_norm_backward(
    grad: Tensor, source: Tensor, *others: Any
) -> tuple[Tensor | None, ...]:
    channels = [source.shape[1]]
    return _wanted(grad, (source.shape, channels, channels), others[-1])


def _native_group_norm(
    source: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    batch: int,
    channels: int,
    positions: int,
    groups: int,
    eps: float,
) -> tuple[Tensor, ...] | None:
    if _group_norm(source, groups, weight, bias) is None or (batch, channels) != source.shape[:2]:
        return None
    return (
        source.new_empty(source.shape),
        source.new_empty(batch, groups),
        source.new_empty(batch, groups),
    )


def _native_group_norm_backward(
    grad: Tensor, source: Tensor, *others: Any
) -> tuple[Tensor | None, ...]:
    channels = [source.shape[1]]
    return _wanted(grad, (source.shape, channels, channels), others[-1])


def _broadcast(first: Any, second: Any, *_: Any, **__: Any) -> Tensor | None:
    if isinstance(first, Tensor) and first.is_floating_point() and isinstance(second, int | float):
        return first.new_empty(first.shape)
    if (
        not isinstance(first, Tensor)
        or not isinstance(second, Tensor)
        or first.dtype != second.dtype
    ):
        return None
    # torch.broadcast_shapes would load sympy.
    sides = list(zip_longest(reversed(first.shape), reversed(second.shape), fillvalue=1))
    if any(one != other and 1 not in (one, other) for one, other in sides):
        return None
    return first.new_empty([other if one == 1 else one for one, other in reversed(sides)])


def _compare(first: Any, second: Any) -> Tensor | None:
    out = _broadcast(first, second)
    return None if out is None else out.new_empty(out.shape, dtype=torch.bool)


def _compare_tensors(first: Any, second: Any) -> Tensor | None:
    return _compare(first, second) if isinstance(second, Tensor) else None


def _addcmul(source: Tensor, first: Tensor, second: Tensor, **__: Any) -> Tensor | None:
    product = _broadcast(first, second)
    total = None if product is None else _broadcast(source, product)
    return total if total is not None and total.shape == source.shape else None


def _vector_norm(
    source: Tensor,
    order: float = 2,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    **__: Any,
) -> Tensor | None:
    if source.ndim != 4 or not keepdim or dim is None or len(dim) != 1 or not 0 <= dim[0] < 4:
        return None
    return source.new_empty(
        [1 if index == dim[0] else side for index, side in enumerate(source.shape)]
    )


def _avg_pool2d(
    source: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    *_: Any,
) -> Tensor | None:
    return _max_pool2d(source, kernel, stride, padding, (1,), ceil_mode)


def _adaptive_avg_pool2d(source: Tensor, sides: Sequence[int]) -> Tensor | None:
    return (
        source.new_empty(*source.shape[:2], *sides)
        if source.ndim == 4 and len(sides) == 2 and min(*source.shape, *sides) > 0
        else None
    )


def _linear(source: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    fits = (
        source.ndim > 0
        and weight.ndim == 2
        and source.shape[-1] == weight.shape[1]
        and source.dtype == weight.dtype
    )
    fits = fits and (bias is None or bias.shape == weight.shape[:1])
    return source.new_empty(*source.shape[:-1], weight.shape[0]) if fits else None


def _addmm(bias: Tensor, source: Tensor, weight: Tensor, **__: Any) -> Tensor | None:
    if (
        source.ndim != 2
        or weight.ndim != 2
        or source.shape[1] != weight.shape[0]
        or bias.shape != weight.shape[1:]
    ):
        return None
    return (
        source.new_empty(source.shape[0], weight.shape[1])
        if bias.dtype == source.dtype == weight.dtype
        else None
    )


def _mm(source: Tensor, weight: Tensor) -> Tensor | None:
    fits = (
        source.ndim == weight.ndim == 2
        and source.shape[1] == weight.shape[0]
        and source.dtype == weight.dtype
    )
    return source.new_empty(source.shape[0], weight.shape[1]) if fits else None


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    if not tensors or not -tensors[0].ndim <= dim < tensors[0].ndim:
        return None
    first = tensors[0]
    shape = list(first.shape)
    dim %= first.ndim
    for other in tensors[1:]:
        if (
            other.ndim != first.ndim
            or other.dtype != first.dtype
            or _without(other.shape, dim) != _without(first.shape, dim)
        ):
            return None
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return first.new_empty(shape)


def _of_source(grad: Tensor, source: Tensor, *_: Any) -> Tensor:
    return grad.new_empty(source.shape)


def _sized(grad: Tensor, sizes: Sequence[int], *_: Any) -> Tensor:
    return grad.new_empty(sizes)


def _upsample_nearest2d_backward(
    grad: Tensor, sides: Sequence[int], sizes: Sequence[int], *_: Any
) -> Tensor:
    return grad.new_empty(sizes)


def _alike(source: Tensor, *_: Any, **__: Any) -> Tensor:
    return source.new_empty(source.shape)


def _ones_like(source: Tensor, *, dtype: torch.dtype | None = None, **_: Any) -> Tensor | None:
    return source.new_empty(source.shape) if dtype in (None, source.dtype) else None


def _flip(source: Tensor, dims: Sequence[int]) -> Tensor | None:
    return (
        source.new_empty(source.shape)
        if len(dims) == 1 and -source.ndim <= dims[0] < source.ndim
        else None
    )


def _in_place(source: Tensor, *_: Any) -> Tensor:
    return source


def _pixel_unshuffle(source: Tensor, factor: int) -> Tensor | None:
    if source.ndim != 4 or factor < 1 or source.shape[2] % factor or source.shape[3] % factor:
        return None
    return source.new_empty(
        source.shape[0],
        source.shape[1] * factor**2,
        source.shape[2] // factor,
        source.shape[3] // factor,
    )


def _upsample_nearest2d(
    source: Tensor, sides: Sequence[int] | None, factors: Sequence[float] | None = None
) -> Tensor | None:
    fits = (
        source.ndim == 4
        and sides is not None
        and len(sides) == 2
        and min(*source.shape, *sides) > 0
    )
    return source.new_empty(*source.shape[:2], *sides) if fits and sides is not None else None


def _upsample_bilinear2d(
    source: Tensor,
    sides: Sequence[int] | None,
    align_corners: bool,
    factors: Sequence[float] | None = None,
) -> Tensor | None:
    return _upsample_nearest2d(source, sides, factors)


def _without(shape: Sequence[int], dim: int) -> list[int]:
    return [side for index, side in enumerate(shape) if index != dim]


OUTPUTS: dict[Any, Callable[..., Any]] = {
    torch.ops.aten.conv2d.default: _conv2d,
    torch.ops.aten.conv_transpose2d.input: _conv_transpose2d,
    torch.ops.aten.max_pool2d.default: _max_pool2d,
    torch.ops.aten.avg_pool2d.default: _avg_pool2d,
    torch.ops.aten.adaptive_avg_pool2d.default: _adaptive_avg_pool2d,
    torch.ops.aten.linear.default: _linear,
    torch.ops.aten.batch_norm.default: _batch_norm,
    torch.ops.aten.group_norm.default: _group_norm,
    torch.ops.aten.cat.default: _cat,
    torch.ops.aten.add.Tensor: _broadcast,
    torch.ops.aten.sub.Tensor: _broadcast,
    torch.ops.aten.mul.Tensor: _broadcast,
    torch.ops.aten.div.Tensor: _broadcast,
    torch.ops.aten.mul.Scalar: _broadcast,
    torch.ops.aten.div.Scalar: _broadcast,
    torch.ops.aten.maximum.default: _broadcast,
    torch.ops.aten.linalg_vector_norm.default: _vector_norm,
    torch.ops.aten.clamp.default: _alike,
    torch.ops.aten.clamp_min.default: _alike,
    torch.ops.aten.exp.default: _alike,
    torch.ops.aten.flip.default: _flip,
    torch.ops.aten.relu.default: _alike,
    torch.ops.aten.hardtanh.default: _alike,
    torch.ops.aten.hardtanh_.default: _in_place,
    torch.ops.aten.leaky_relu.default: _alike,
    torch.ops.aten.leaky_relu_.default: _in_place,
    torch.ops.aten.silu.default: _alike,
    torch.ops.aten.silu_.default: _in_place,
    torch.ops.aten.neg.default: _alike,
    torch.ops.aten.eq.Tensor: _compare_tensors,
    torch.ops.aten.ge.Scalar: _compare,
    torch.ops.aten.ones_like.default: _ones_like,
    torch.ops.aten.sigmoid.default: _alike,
    torch.ops.aten.sigmoid_backward.default: _alike,
    torch.ops.aten.pixel_unshuffle.default: _pixel_unshuffle,
    torch.ops.aten.upsample_nearest2d.vec: _upsample_nearest2d,
    torch.ops.aten.upsample_bilinear2d.vec: _upsample_bilinear2d,
    torch.ops.aten.max_pool2d_with_indices.default: _max_pool2d_with_indices,
    torch.ops.aten.adaptive_max_pool2d.default: _adaptive_max_pool2d,
    torch.ops.aten.upsample_nearest2d.default: _upsample_nearest2d,
    torch.ops.aten.addcmul.default: _addcmul,
    torch.ops.aten.addcmul_.default: _in_place,
    torch.ops.aten.pow.Tensor_Scalar: _broadcast,
    torch.ops.aten.mean.dim: _reduce,
    torch.ops.aten.mean.default: _reduce,
    torch.ops.aten.sum.default: _reduce,
    torch.ops.aten.sum.dim_IntList: _reduce,
    torch.ops.aten.amax.default: _reduce,
    torch.ops.aten.addmm.default: _addmm,
    torch.ops.aten.mm.default: _mm,
    torch.ops.aten.max_pool2d_with_indices_backward.default: _of_source,
    torch.ops.aten.adaptive_max_pool2d_backward.default: _of_source,
    torch.ops.aten.avg_pool2d_backward.default: _of_source,
    torch.ops.aten.slice_backward.default: _sized,
    torch.ops.aten.upsample_nearest2d_backward.default: _upsample_nearest2d_backward,
    torch.ops.aten.convolution.default: _convolution,
    torch.ops.aten.convolution_backward.default: _convolution_backward,
    torch.ops.aten.native_batch_norm.default: _native_batch_norm,
    torch.ops.aten.native_batch_norm_backward.default: _native_batch_norm_backward,
    torch.ops.aten.native_group_norm.default: _native_group_norm,
    torch.ops.aten.native_group_norm_backward.default: _native_group_norm_backward,
    torch.ops.aten.threshold_backward.default: _alike,
    torch.ops.aten.hardtanh_backward.default: _alike,
    torch.ops.aten.leaky_relu_backward.default: _alike,
    torch.ops.aten.silu_backward.default: _alike,
}
"""An operator's output, or outputs, for its arguments; None leaves the call, and the error it may
deserve, to torch.
"""


def run_by_shape(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operator on the meta device, by `OUTPUTS` where it can."""
    shaped = OUTPUTS.get(func)
    out = shaped(*args, **kwargs) if shaped else None
    return func(*args, **kwargs) if out is None else out


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name the parameters and buffers of every submodule, each submodule once, by its first name.

    Under all names of a shared submodule `functional_call` would take what it put there for the
    module's own.
    """
    for path, sub in module.named_modules():
        for name, tensor in (
            *sub.named_parameters(recurse=False),
            *sub.named_buffers(recurse=False),
        ):
            yield f"{path}.{name}" if path else name, tensor


def on_meta(module: nn.Module) -> dict[str, Tensor]:
    """A module's parameters and buffers on the meta device, by name; the module stays as it is."""
    return {name: tensor.detach().to("meta") for name, tensor in named_tensors(module)}


class _Shapes(TorchDispatchMode):
    """Runs operators on the meta device by `OUTPUTS` where it can."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from wrapping the mode for its compiler, which would load it."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return run_by_shape(func, args, kwargs or {})


def map_sizes(features: nn.Module, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Find width and height of each map that a module gives for images of `size` (width, height),
    without computing them.

    Raises ValueError where the images are too small for it.
    """
    # Two images: in training mode a 1x1 map of one would have no statistics.
    images = torch.empty(2, 3, size[1], size[0], device="meta")
    try:
        with torch.inference_mode(), _Shapes():
            maps = functional_call(features, on_meta(features), (images,), tie_weights=False)
    except RuntimeError as error:
        raise ValueError(str(error).strip().splitlines()[0]) from None
    return [(m.shape[-1], m.shape[-2]) for m in maps]
