"""Deformable convolution (Dai et al., Deformable Convolutional Networks; modulated: Zhu et al.,
Deformable ConvNets v2).

Every output cell reads its kernel's taps at places of its own. The operator samples them bilinearly
in plain torch and multiplies by the weight, so that it runs on every device; its multiply-adds are
those of an ordinary convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HELD = 1 << 26
"""Sampled values at a time, which bounds the memory."""
KERNEL = 3
TAPS = KERNEL**2


@torch.library.custom_op("archbench::deform_conv2d", mutates_args=())
def deform_conv2d(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    padding: int,
    offsets: Tensor,
    mask: Tensor | None,
) -> Tensor:
    """Convolve [B, C, H, W] by a weight [O, C, k, k] whose taps are moved: to [B, O, H', W'].

    `offsets` [B, S * k * k * 2, H', W'] move tap t of output cell (i, j) from (i, j) * stride -
    padding + its place in the kernel by cells down and across, in at least fp32; beyond the map is
    0. There are S sets of them, one for each of S even parts of the outputs. `mask` [B, S * k * k,
    H', W'], if any, scales what a tap reads.
    """
    out = _outputs(source, weight, offsets)
    step = max(
        1,
        HELD
        // max(
            1,
            source.shape[1] * _sets(weight, offsets) * weight[0, 0].numel() * offsets[0, 0].numel(),
        ),
    )
    parts = [None] * len(source) if mask is None else mask.split(step)
    for part, read, moved, scaled in zip(
        out.split(step), source.split(step), offsets.split(step), parts, strict=False
    ):
        part.copy_(_convolve(read, weight, bias, (stride, padding), moved, scaled))
    return out


@deform_conv2d.register_fake
def _(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int,
    padding: int,
    offsets: Tensor,
    mask: Tensor | None,
) -> Tensor:
    return _outputs(source, weight, offsets)


def _outputs(source: Tensor, weight: Tensor, offsets: Tensor) -> Tensor:
    """Check the arguments and allocate the outputs in the source's memory format."""
    _sets(weight, offsets)
    last = source.is_contiguous(memory_format=torch.channels_last) and not source.is_contiguous()
    return torch.empty(
        (source.shape[0], weight.shape[0], *offsets.shape[2:]),
        dtype=source.dtype,
        device=source.device,
        memory_format=torch.channels_last if last else torch.contiguous_format,
    )


def _sets(weight: Tensor, offsets: Tensor) -> int:
    """How many sets of offsets there are; raises ValueError where they do not fit the weight."""
    taps = weight[0, 0].numel()
    if offsets.shape[1] % (2 * taps) or weight.shape[0] % (offsets.shape[1] // (2 * taps)):
        raise ValueError(
            f"{offsets.shape[1]} offsets do not move the {taps} taps of even parts of "
            f"{weight.shape[0]} outputs"
        )
    return offsets.shape[1] // (2 * taps)


def _convolve(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    step: tuple[int, int],
    offsets: Tensor,
    mask: Tensor | None,
) -> Tensor:
    """The operator for a few images, differentiable; `step` is (stride, padding)."""
    batch, channels, height, width = source.shape
    side, (rows, columns), sets = weight.shape[-1], offsets.shape[2:], _sets(weight, offsets)
    down, across = _places(side, (rows, columns), step, offsets.device)
    exact = torch.promote_types(source.dtype, torch.float32)
    moved = offsets.to(exact).reshape(batch, sets, side**2, 2, rows, columns)
    # grid_sample reads places from -1, the outer edge of the first cell, to 1, that of the last.
    grid = (
        torch.stack(
            [
                (2 * (moved[:, :, :, 1] + across) + 1) / width,
                (2 * (moved[:, :, :, 0] + down) + 1) / height,
            ],
            -1,
        )
        - 1
    )
    read = F.grid_sample(source.to(exact), grid.view(batch, -1, columns, 2), align_corners=False)
    if mask is not None:
        read = read * mask.to(exact).reshape(batch, 1, -1, columns)
    read = read.to(source.dtype).reshape(batch, channels, sets, side**2, -1).transpose(1, 2)
    out = weight.reshape(sets, -1, channels * side**2) @ read.reshape(
        batch, sets, channels * side**2, -1
    )
    out = out.view(batch, -1, rows, columns)
    return out if bias is None else out + bias[:, None, None]


def _places(
    side: int, sizes: tuple[int, int], step: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """The places of each output cell's taps before they are moved: rows [k * k, H', 1] and columns
    [k * k, 1, W'].
    """
    stride, padding = step
    taps = torch.arange(side, device=device)
    rows, columns = (torch.arange(size, device=device) * stride - padding for size in sizes)
    return taps.repeat_interleave(side)[:, None, None] + rows[:, None], taps.repeat(side)[
        :, None, None
    ] + columns


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    source, weight, bias, stride, padding, offsets, mask = inputs
    ctx.step = stride, padding
    ctx.save_for_backward(source, weight, bias, offsets, mask)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Compute the output anew, with gradients."""
    # The samples are k * k times the map, too large to be kept from the forward pass.
    needed = [needs for place, needs in enumerate(ctx.needs_input_grad) if place not in (3, 4)]
    own = [
        tensor if tensor is None else tensor.detach().requires_grad_(needs)
        for tensor, needs in zip(ctx.saved_tensors, needed, strict=True)
    ]
    source, weight, bias, offsets, mask = own
    with torch.enable_grad():
        out = _convolve(source, weight, bias, ctx.step, offsets, mask)  # type: ignore[arg-type]
    wanted = [tensor for tensor in own if tensor is not None and tensor.requires_grad]
    computed = iter(torch.autograd.grad(out, wanted, gradient))
    gradients = [
        next(computed) if tensor is not None and tensor.requires_grad else None for tensor in own
    ]
    return (*gradients[:3], None, None, *gradients[3:])


deform_conv2d.register_autograd(_backward, setup_context=_setup_context)


class DeformConv(nn.Conv2d):
    """A modulated deformable 3x3 with bias: another 3x3 gives the places of its taps and their
    weights (DCNv2).
    """

    is_linear = True
    """Its outputs are linear in its weights and bias, as those of a plain convolution are."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out, KERNEL, padding=KERNEL // 2)
        self.moves = nn.Conv2d(c_in, 3 * TAPS, KERNEL, padding=KERNEL // 2)

    def forward(self, x: Tensor) -> Tensor:
        offsets, mask = self.moves(x).split([2 * TAPS, TAPS], dim=1)
        return deform_conv2d(x, self.weight, self.bias, 1, KERNEL // 2, offsets, mask.sigmoid())
