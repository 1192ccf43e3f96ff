"""The training step, on small networks on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archbench.api import build_spec
from archbench.measure.job.training import TrainingStep, check_trainable
from archbench.measure.job.weights import calibrate, initialise
from archbench.spec import Spec, UsageError
from archbench.zoo import catalogue
from archbench.zoo.catalogue import resolve
from archbench.zoo.layers import SqueezeExcite

SURROGATE = "surrogate: sum over raw outputs of their mean square"
SPECS = {
    "classifier": resolve("resnet18", size=64, batch=2, mode="train").spec,
    "trunk": resolve("resnet18", size=64, classes=0, batch=2, mode="train").spec,
    "ssd": resolve("resnet18", "ssd-huang", size=128, batch=2, mode="train").spec,
    "dsod": resolve("vovnet27-slim", "dsod", size=128, batch=2, mode="train").spec,
}


def prepared(
    spec: Spec, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[TrainingStep, Tensor]:
    """A network with the weights that a job gives it, ready to train, and a batch."""
    network = build_spec(spec)
    initialise(network, seed=0)
    images = torch.randn(
        spec.batch, 3, spec.height, spec.width, generator=torch.Generator().manual_seed(1)
    )
    calibrate(network, images)
    return TrainingStep(network.to(dtype), classes=spec.classes, seed=seed), images.to(dtype)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(spec, marks=[pytest.mark.slow] if name == "dsod" else [], id=name)
        for name, spec in SPECS.items()
    ],
)
def test_a_step_reaches_every_parameter_and_values_stay_finite(spec):
    """No exception: heads read all that a backbone computes, which keeps no step past its last
    tap.
    """
    training, images = prepared(spec)
    before = [parameter.detach().clone() for parameter in training.network.parameters()]
    for _ in range(6):
        training.step(images)
    after = dict(training.network.named_parameters())
    assert [
        name
        for name, parameter in after.items()
        if parameter.grad is None or not parameter.grad.any()
    ] == []
    # What is not finite once stays so.
    assert all(
        torch.isfinite(value).all() for value in (training.compute_loss(images), *after.values())
    )
    assert (
        sum(not torch.equal(old, new) for old, new in zip(before, after.values(), strict=True))
        > len(before) / 2
    )
    assert training.network.training


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry",
    [one for one in catalogue.entries("backbone") if not one.published_only],
    ids=lambda one: one.name,
)
def test_every_backbone_trains_a_step(entry):
    side = min(entry.size[0], 96)
    training, images = prepared(resolve(entry.name, size=side, batch=2, mode="train").spec)
    training.step(images)
    assert not training.diverged
    gradients = {name: parameter.grad for name, parameter in training.network.named_parameters()}
    assert [
        name for name, grad in gradients.items() if grad is None or not grad.isfinite().all()
    ] == []
    # A gate has so few hidden units that two images may leave all of them off.
    gates = tuple(
        name
        for name, module in training.network.named_modules()
        if isinstance(module, SqueezeExcite)
    )
    assert [
        name for name, grad in gradients.items() if not grad.any() and not name.startswith(gates)
    ] == []


@pytest.mark.parametrize(("name", "spec"), SPECS.items(), ids=SPECS)
def test_the_loss_is_named(name, spec):
    training = TrainingStep(build_spec(spec, device="meta"), classes=spec.classes, seed=0)
    assert training.loss == ("cross-entropy" if name == "classifier" else SURROGATE)


def test_the_surrogate_is_the_sum_of_the_outputs_mean_squares():
    training, images = prepared(SPECS["ssd"])
    outputs = training.network(images)
    assert len(outputs) == 2
    expected = sum(output.square().mean().item() for output in outputs)
    assert training.compute_loss(images).item() == pytest.approx(expected, rel=1e-5)


def test_outputs_without_a_gradient_do_not_enter_the_loss():
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(3.0))

        def forward(self, images: Tensor) -> object:
            return [(images * self.factor, images), torch.arange(5)]

    training = TrainingStep(Nested(), classes=0, seed=0)
    assert training.compute_loss(torch.ones(1, 3, 2, 2)).item() == 9


def test_the_optimiser_is_sgd_with_momentum_and_weight_decay():
    """Two steps in closed form: v <- 0.9 v + g + 1e-4 p, p <- p - rate * v."""
    layer = nn.Linear(2, 1, bias=False)
    training = TrainingStep(layer, classes=0, seed=0)
    (rate,) = (group["lr"] for group in training._optimiser.param_groups)
    expected, velocity = layer.weight.detach().clone(), torch.zeros(1, 2)
    images = torch.tensor([[300.0, -200.0]])
    for _ in range(2):
        gradient = 2 * (images @ expected.T) * images
        velocity = 0.9 * velocity + gradient + 1e-4 * expected
        expected = expected - rate * velocity
        training.step(images)
    torch.testing.assert_close(layer.weight.detach(), expected)


@pytest.mark.slow
def test_seeds_reproduce():
    trained = []
    for seed in (5, 5, 6):
        training, images = prepared(SPECS["classifier"], seed=seed)
        for _ in range(2):
            training.step(images)
        trained.append(training.network.last.bias.detach())
    first, second, third = trained
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_labels_stay_the_same():
    training, images = prepared(SPECS["classifier"])
    calls = [training.compute_loss(images).item() for _ in range(2)]
    assert calls[0] == calls[1]


def test_bf16_is_trained():
    training, images = prepared(SPECS["classifier"], dtype=torch.bfloat16)
    training.step(images)
    assert {parameter.grad.dtype for parameter in training.network.parameters()} == {torch.bfloat16}
    assert training.compute_loss(images).isfinite()


def test_fp16_is_refused():
    with pytest.raises(UsageError, match=r"fp16 .*loss scaling.* bf16 or fp32$"):
        prepared(SPECS["classifier"], dtype=torch.float16)


@pytest.mark.parametrize("detector", ["faster-rcnn", "rfcn", "faster-rcnn-fpn", "mask-rcnn-fpn"])
def test_two_stage_detectors_are_refused(detector):
    spec = resolve("resnet50", detector, batch=2, mode="train").spec
    with pytest.raises(UsageError, match=r"^two-stage detectors .*no gradient$"):
        check_trainable(spec)
    with pytest.raises(UsageError, match=r"^two-stage detectors .*no gradient$"):
        TrainingStep(build_spec(spec, device="meta"), classes=spec.classes, seed=0)


TINY = [
    resolve("resnet18", size=32, mode="train").spec,
    resolve("peleenet", "pelee", mode="train").spec,
    resolve("resnet18", "ssd-huang", size=128, mode="train").spec,
]


@pytest.mark.parametrize("spec", TINY, ids=str)
def test_a_1x1_map_under_batch_normalisation_needs_a_larger_batch(spec):
    with pytest.raises(UsageError, match=r"at batch 1: .*use a larger batch") as refusal:
        check_trainable(spec)
    assert "\n" not in str(refusal.value)
    # The rule is torch's own.
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        TrainingStep(build_spec(spec), classes=spec.classes, seed=0).step(
            torch.randn(1, 3, spec.height, spec.width)
        )


@pytest.mark.parametrize(
    "spec",
    [
        *SPECS.values(),
        resolve("peleenet", "pelee", batch=2).spec,
        resolve("resnet18", size=64).spec,
        resolve("vgg16", "ssd").spec,
        resolve("resnet50", size=32, norm="gn").spec,
        resolve("vovnet57", "refinedet512", batch=10_000_000).spec,
    ],
    ids=str,
)
def test_what_can_be_trained_passes_on_the_meta_device_alone(spec, monkeypatch):
    built = []

    def spy(spec: Spec, *, device: str = "cpu") -> nn.Module:
        built.append(device)
        return build_spec(spec, device=device)

    monkeypatch.setattr("archbench.measure.job.training.build_spec", spy)
    check_trainable(spec)
    assert built == ["meta"]
