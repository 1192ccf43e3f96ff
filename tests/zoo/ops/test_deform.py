"""Deformable convolution against plain convolution, loops and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import archbench
from archbench.counting.check import check_against_fvcore
from archbench.zoo.ops import deform as module
from archbench.zoo.ops.deform import DeformConv, deform_conv2d


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bilinear(plane: Tensor, y: float, x: float) -> float:
    """A map's value between its cells; beyond it is 0."""
    total = 0.0
    for i in (math.floor(y), math.floor(y) + 1):
        for j in (math.floor(x), math.floor(x) + 1):
            if 0 <= i < plane.shape[0] and 0 <= j < plane.shape[1]:
                total += (1 - abs(y - i)) * (1 - abs(x - j)) * float(plane[i, j])
    return total


def by_loops(
    source: Tensor, weight: Tensor, step: tuple[int, int], offsets: Tensor, mask: Tensor
) -> Tensor:
    """The definition, product by product."""
    (stride, padding), side = step, weight.shape[-1]
    sets = offsets.shape[1] // (2 * side**2)
    out = torch.zeros(len(source), len(weight), *offsets.shape[2:])
    for b, o, i, j in torch.cartesian_prod(*map(torch.arange, out.shape)).tolist():
        own = o // (len(weight) // sets)
        for tap in range(side**2):
            dy, dx = offsets[b, 2 * (own * side**2 + tap) :, i, j][:2].tolist()
            y, x = i * stride - padding + tap // side + dy, j * stride - padding + tap % side + dx
            read = sum(
                float(weight[o, c, tap // side, tap % side]) * bilinear(source[b, c], y, x)
                for c in range(source.shape[1])
            )
            out[b, o, i, j] += float(mask[b, own * side**2 + tap, i, j]) * read
    return out


@pytest.mark.parametrize(
    ("side", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0), (5, 2, 0)]
)
def test_without_offsets_it_is_a_convolution(side: int, stride: int, padding: int) -> None:
    source, weight, bias = random(2, 4, 9, 7), random(6, 4, side, side, seed=1), random(6, seed=2)
    expected = F.conv2d(source, weight, bias, stride, padding)
    offsets = torch.zeros(2, 2 * side**2, *expected.shape[2:])
    for mask, scale in ((None, 1.0), (torch.full_like(offsets[:, ::2], 0.5), 0.5)):
        out = deform_conv2d(source, weight, bias, stride, padding, offsets, mask)
        torch.testing.assert_close(
            out,
            scale * (expected - bias[:, None, None]) + bias[:, None, None],
            rtol=1e-4,
            atol=1e-4,
        )


@pytest.mark.parametrize(("down", "across"), [(1, 0), (0, -2), (-3, 2)])
def test_whole_offsets_shift_the_map(down: int, across: int) -> None:
    source, weight = random(1, 3, 8, 10), random(2, 3, 3, 3, seed=1)
    offsets = torch.tensor([float(down), float(across)] * 9).view(1, 18, 1, 1).expand(1, 18, 8, 10)
    shifted = F.pad(source, (5, 5, 5, 5))[:, :, 4 + down : 14 + down, 4 + across : 16 + across]
    torch.testing.assert_close(
        deform_conv2d(source, weight, None, 1, 1, offsets, None),
        F.conv2d(shifted, weight),
        rtol=1e-4,
        atol=1e-4,
    )


def test_between_cells_it_is_bilinear() -> None:
    source = torch.tensor([[[[1.0, 2.0], [10.0, 20.0]]]])
    weight = torch.ones(1, 1, 1, 1)
    for place, expected in (
        ((0.25, 0.5), 4.875),
        ((0.0, 0.75), 1.75),
        ((-0.5, 0.0), 0.5),
        ((1.5, 1.0), 10.0),
        ((-1.0, 0.0), 0.0),
        ((7.0, 0.0), 0.0),
    ):
        moved = torch.zeros(1, 2, 2, 2)
        moved[0, :, 0, 0] = torch.tensor(place)
        out = deform_conv2d(source, weight, None, 1, 0, moved, None)
        torch.testing.assert_close(out[0, 0], torch.tensor([[expected, 2.0], [10.0, 20.0]]))


@pytest.mark.parametrize(("sets", "stride"), [(1, 1), (1, 2), (2, 1), (3, 1)])
def test_it_is_the_definition(sets: int, stride: int) -> None:
    source, weight = random(2, 2, 4, 5), random(6, 2, 3, 3, seed=1)
    shape = (2, sets * 9, -(-4 // stride), -(-5 // stride))
    offsets, mask = (
        2 * random(shape[0], 2 * shape[1], *shape[2:], seed=2),
        random(*shape, seed=3).sigmoid(),
    )
    out = deform_conv2d(source, weight, None, stride, 1, offsets, mask)
    torch.testing.assert_close(
        out, by_loops(source, weight, (stride, 1), offsets, mask), rtol=1e-4, atol=1e-4
    )


def test_the_answer_does_not_depend_on_how_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    source, weight, offsets, mask = (
        random(5, 4, 6, 6),
        random(4, 4, 3, 3),
        random(5, 36, 6, 6),
        random(5, 18, 6, 6),
    )
    whole = deform_conv2d(source, weight, None, 1, 1, offsets, mask)
    monkeypatch.setattr(module, "HELD", 1)
    torch.testing.assert_close(deform_conv2d(source, weight, None, 1, 1, offsets, mask), whole)


def test_half_precision_moves_taps_no_less_exactly() -> None:
    """A column number above 256 has no fraction in bf16."""
    source = torch.arange(600.0).remainder(7).view(1, 1, 1, 600)
    offsets = torch.full((1, 2, 1, 600), 0.5) * torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    out = deform_conv2d(
        source.bfloat16(),
        torch.ones(1, 1, 1, 1, dtype=torch.bfloat16),
        None,
        1,
        0,
        offsets.bfloat16(),
        None,
    )
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(
        out[..., :-1].float(), (source[..., 1:] + source[..., :-1]) / 2, rtol=1e-2, atol=1e-2
    )


def test_channels_last_stays_so() -> None:
    layer = DeformConv(8, 4)
    images = random(2, 8, 5, 6)
    out = layer.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        out, layer.to(memory_format=torch.contiguous_format)(images), rtol=1e-4, atol=1e-5
    )


def test_it_has_the_gradients_of_its_definition() -> None:
    given = [
        random(*shape, seed=seed).double().requires_grad_()
        for seed, shape in enumerate([(2, 2, 3, 4), (2, 2, 3, 3), (2,), (2, 18, 3, 4)])
    ]
    mask = random(2, 9, 3, 4, seed=9).double().sigmoid().requires_grad_()
    source, weight, bias, offsets = given
    assert torch.autograd.gradcheck(
        lambda *a: deform_conv2d(*a[:3], 1, 1, *a[3:]), (source, weight, bias, offsets, mask)
    )
    frozen = deform_conv2d(source.detach(), weight, None, 1, 1, offsets.detach(), None).sum()
    frozen.backward()
    assert weight.grad is not None
    assert source.grad is None


def test_torch_accepts_the_operator() -> None:
    arguments = (
        random(1, 2, 4, 4),
        random(2, 2, 3, 3),
        None,
        1,
        1,
        random(1, 18, 4, 4),
        random(1, 9, 4, 4),
    )
    torch.library.opcheck(
        deform_conv2d,
        arguments,
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
    )


@pytest.mark.parametrize(("offsets", "outputs"), [(17, 4), (36, 5)])
def test_offsets_that_do_not_fit_are_refused(offsets: int, outputs: int) -> None:
    with pytest.raises(ValueError, match=f"{offsets} offsets"):
        deform_conv2d(
            random(1, 2, 4, 4), random(outputs, 2, 3, 3), None, 1, 1, random(1, offsets, 4, 4), None
        )


def test_it_counts_as_two_convolutions() -> None:
    """The one that moves the taps, 3x3 to 27 channels, and the main one, both with bias; fvcore
    agrees.
    """
    layer = nn.Sequential(DeformConv(6, 10))
    report = archbench.count(layer, (1, 6, 8, 9))
    moves, main = report.calls
    assert (moves.path, main.path, main.op, main.kernel) == ("0.moves", "0", "conv2d", (3, 3))
    assert (moves.params, main.params, report.params) == (
        6 * 27 * 9 + 27,
        6 * 10 * 9 + 10,
        6 * 37 * 9 + 37,
    )
    assert (moves.macs, main.macs) == (72 * 6 * 27 * 9, 72 * 6 * 10 * 9)
    assert (main.mac_eq1, main.cio) == (72 * 16 + 6 * 10 * 9, 72 * 16)
    assert report.uncounted == ()
    assert check_against_fvcore(layer, report, (6, 8, 9)).agrees
