"""The library's face: cost, build and count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import archbench
from archbench.zoo.contracts import Classifier, Detector


class Thresholded(nn.Module):
    """A module whose output's shape depends on its data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y[y > 0]


class Counting(nn.Module):
    """A module that writes to its own buffer as it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.runs = nn.Buffer(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.runs.add_(1)
        return self.conv(x)  # type: ignore[no-any-return]


def state(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, value.clone()) for name, value in module.state_dict().items()]


def test_cost_and_build_mean_the_same_network() -> None:
    network = archbench.build("VoVNet-27-slim", "refinedet320", classes=20)
    assert isinstance(network, Detector)
    assert next(network.parameters()).device.type == "cpu"
    assert archbench.count(network, (1, 3, 320, 320)) == archbench.cost(
        "vovnet27-slim", "refinedet", classes=20, size=320
    )


def test_build_gives_evaluation_mode_and_allocates_nothing_on_meta() -> None:
    network = archbench.build("vgg16", device="meta")
    assert isinstance(network, Classifier)
    assert not network.training
    assert {tensor.device.type for tensor in (*network.parameters(), *network.buffers())} == {
        "meta"
    }


@pytest.mark.parametrize("pair", [("resnet18", None), ("vovnet27-slim", "refinedet")])
def test_the_batch_enters_counts_of_bytes_alone(pair: tuple[str, str | None]) -> None:
    one, four = archbench.cost(*pair).totals(), archbench.cost(*pair, batch=4).totals()
    assert 1 < four.pop("bytes_all") / one.pop("bytes_all") < 4
    for word in ("activation_peak_bytes", "activation_total_bytes"):
        assert 3.9 < four.pop(word) / one.pop(word) < 4.1
    assert four == one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "unknown backbone"),
        (("resnet50", "nothing"), "unknown detector"),
        (("densenet40", "refinedet"), "cannot be built"),
    ],
)
def test_a_users_mistake_is_a_usage_error(arguments: tuple[str, ...], message: str) -> None:
    for ask in (archbench.build, archbench.cost):
        with pytest.raises(archbench.UsageError, match=message) as caught:
            ask(*arguments)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, ValueError)


def test_count_takes_a_tensor_a_shape_or_arguments() -> None:
    conv = nn.Conv2d(3, 4, 3)
    expected = archbench.count(conv, (2, 3, 8, 8))
    assert expected.macs == 6 * 6 * 9 * 12
    assert archbench.count(conv, torch.randn(2, 3, 8, 8)) == expected
    assert archbench.count(conv, (torch.randn(2, 3, 8, 8),)) == expected
    assert archbench.count(conv, torch.Size([2, 3, 8, 8])) == expected


def test_count_runs_modules_of_several_inputs() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.randn(1, 5, 8)
    assert archbench.count(attention, (x, x, x)).params == sum(
        p.numel() for p in attention.parameters()
    )


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    "make", [lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout()), Counting]
)
def test_count_leaves_the_module_as_it_is(make: type[nn.Module], device: str) -> None:
    module = make()
    next(module.children()).eval()
    modes, before = [sub.training for sub in module.modules()], state(module)
    assert True in modes
    assert False in modes
    archbench.count(module, (2, 3, 8, 8), device=device)
    assert [sub.training for sub in module.modules()] == modes
    for (name, old), (same, new) in zip(before, state(module), strict=True):
        assert name == same
        torch.testing.assert_close(new, old)
    assert all(value.grad is None and not value.is_meta for value in module.parameters())
    assert not any(sub._forward_hooks or sub._forward_pre_hooks for sub in module.modules())


def test_a_failed_count_leaves_the_module_as_it_is_too() -> None:
    module = Thresholded().train()
    with pytest.raises(archbench.UsageError):
        archbench.count(module, (1, 3, 8, 8))
    assert module.training
    assert module.conv.training
    assert not module._forward_hooks
    assert module.conv.weight.device.type == "cpu"


def test_shapes_that_depend_on_data_need_a_real_device() -> None:
    with pytest.raises(
        archbench.UsageError, match=r'Thresholded does not run on the meta device .*device="cpu"'
    ):
        archbench.count(Thresholded(), (1, 3, 8, 8))
    assert archbench.count(Thresholded(), (1, 3, 8, 8), device="cpu").macs == 64 * 12


def test_what_does_not_fit_is_a_usage_error() -> None:
    with pytest.raises(archbench.UsageError, match="Conv2d"):
        archbench.count(nn.Conv2d(3, 4, 1), (1, 5, 8, 8))


def test_a_real_device_counts_the_same() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 5),
    )
    meta, cpu = (archbench.count(module, (2, 3, 8, 8), device=device) for device in ("meta", "cpu"))
    assert replace(cpu, counted_on="meta") == meta


def test_the_face_is_listed() -> None:
    assert {"build", "cost", "count", "UsageError", "__version__"} <= set(dir(archbench))
    with pytest.raises(AttributeError, match="no attribute 'measure_it'"):
        _ = archbench.measure_it  # type: ignore[attr-defined]
