"""Masks laid on an image."""

from __future__ import annotations

import pytest
import torch

from archbench.zoo.ops import masks as module
from archbench.zoo.ops.masks import paste


def test_a_full_mask_fills_its_box() -> None:
    (pasted,) = paste(torch.ones(1, 28, 28), torch.tensor([[10.0, 5.0, 38.0, 33.0]]), (50, 40))
    wanted = torch.zeros(40, 50, dtype=torch.bool)
    wanted[5:33, 10:38] = True
    assert torch.equal(pasted, wanted)


def test_a_mask_is_stretched_to_its_box() -> None:
    """Left half full: interpolated, it ends where the share falls below one half."""
    mask = torch.zeros(1, 4, 4)
    mask[:, :, :2] = 1
    (pasted,) = paste(mask, torch.tensor([[0.0, 0.0, 40.0, 20.0]]), (60, 30))
    assert pasted[10, :20].all()
    assert not pasted[10, 20:].any()
    assert not pasted[20:].any()


def test_a_box_of_its_own_size_shows_the_mask_itself() -> None:
    mask = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0))
    (pasted,) = paste(mask, torch.tensor([[3.0, 2.0, 9.0, 8.0]]), (12, 12))
    assert torch.equal(pasted[2:8, 3:9], mask[0] >= 0.5)


def test_parts_outside_the_image_are_left_out() -> None:
    (pasted,) = paste(torch.ones(1, 8, 8), torch.tensor([[-10.0, -10.0, 6.0, 6.0]]), (10, 10))
    wanted = torch.zeros(10, 10, dtype=torch.bool)
    wanted[:6, :6] = True
    assert torch.equal(pasted, wanted)


def test_masks_are_laid_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(7, 5, 5, generator=generator)
    corners = torch.rand(7, 2, generator=generator) * 20
    boxes = torch.cat([corners, corners + 10], dim=1)
    whole = paste(masks, boxes, (30, 32))
    monkeypatch.setattr(module, "PIXELS_ON_CPU", 2 * 30 * 32)
    assert torch.equal(paste(masks, boxes, (30, 32)), whole)
    assert whole.shape == (7, 32, 30)


def test_no_mask_and_a_box_without_area() -> None:
    assert paste(torch.empty(0, 4, 4), torch.empty(0, 4), (6, 5)).shape == (0, 5, 6)
    assert paste(torch.ones(1, 4, 4), torch.zeros(1, 4), (6, 5)).sum() <= 1
