"""CenterNet: neck, heads, decoding, training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.zoo.detectors.centernet import CenterNet, Predictions, neck


@pytest.mark.parametrize(
    ("channels", "dcn", "params"),
    [(512, True, 3_144_593), (2048, True, 7_056_785), (512, False, 4_195_840)],
)
def test_the_neck_has_its_parameters(channels: int, dcn: bool, params: int) -> None:
    """Deconvolutions are dense, and without bias; those without deformable convolutions keep 256
    channels.
    """
    with torch.device("meta"):
        made = neck(channels, dcn=dcn, norm="bn")
    assert sum(parameter.numel() for parameter in made.parameters()) == params
    assert [
        (layer.in_channels, layer.out_channels, layer.groups)
        for layer in made
        if isinstance(layer, nn.ConvTranspose2d)
    ] == (
        [(256, 256, 1), (128, 128, 1), (64, 64, 1)]
        if dcn
        else [(channels, 256, 1), (256, 256, 1), (256, 256, 1)]
    )


def test_heads_count_as_the_sheet_has_them() -> None:
    calls = archbench.cost("resnet18", "centernet").calls
    assert sum(call.macs for call in calls if call.path.startswith("neck.")) == 1_934_229_504
    heads = [call for call in calls if call.path.startswith(("heat.", "sizes.", "offsets."))]
    assert (sum(call.macs for call in heads), sum(call.params for call in heads)) == (
        1_900_019_712,
        116_244,
    )


def test_sides_are_filled_up_to_multiples_of_32() -> None:
    assert (
        archbench.cost("resnet18", "centernet", size="500x481").macs
        == archbench.cost("resnet18", "centernet").macs
    )


def test_a_peak_is_a_box() -> None:
    torch.manual_seed(0)
    detector = archbench.build("resnet18", "centernet", size=(96, 64), classes=3)
    assert isinstance(detector, CenterNet)
    heat = torch.full((1, 3, 16, 24), -9.0)
    heat[0, 2, 5, 7], heat[0, 2, 5, 8] = 2.0, 1.9
    sizes, offsets = torch.zeros(1, 2, 16, 24), torch.zeros(1, 2, 16, 24)
    sizes[0, :, 5, 7], offsets[0, :, 5, 7] = torch.tensor([6.0, 3.0]), torch.tensor([0.5, 0.25])
    (found,) = detector.postprocess(Predictions(heat, sizes, offsets))
    assert len(found) == 1
    torch.testing.assert_close(
        found.boxes[0], 4 * torch.tensor([7.5 - 3, 5.25 - 1.5, 7.5 + 3, 5.25 + 1.5])
    )
    torch.testing.assert_close(found.scores[0], torch.tensor(2.0).sigmoid())
    assert found.labels.tolist() == [2]


def test_it_learns_through_the_deformable_convolutions() -> None:
    torch.manual_seed(0)
    detector = archbench.build("resnet18", "centernet", size=64, classes=2).train()
    made: tuple[Tensor, ...] = detector(torch.randn(2, 3, 64, 64))
    sum(m.square().mean() for m in made).backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in detector.parameters()
    )
