"""The training step that a job times: forward, loss, backward and the optimiser's step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from archbench.api import Detector, blaming, build_spec, count, mean_square
from archbench.spec import Spec, UsageError

LEARNING_RATE = 1e-8
"""A step takes equally long at any rate, and nothing is there to be learnt: what is timed should
stay what it was.

A rate that papers train with wears the few batches out or leaves the finite numbers: VGG-16 under
RefineDet, on noise as large as its pictures (0 to 255), does so in its third step at 1e-4;
ResNet-18 at 1e-6 loses 95 % of its loss in 500 steps.
"""
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4


class TrainingStep:
    """A network with its loss and its optimiser, SGD with momentum; `step` is what training does
    for each batch.

    `classes` are a classifier's, 0 for any other network; `seed` draws the labels. The network, on
    its device in its precision, comes to be in training mode. Momentum appears in the first step,
    so time and memory count from the second on. Neither the network nor the images may have been
    made under `torch.inference_mode`, where `step` cannot run. Raises UsageError for a network that
    cannot be trained at any batch.
    """

    def __init__(self, network: nn.Module, *, classes: int, seed: int) -> None:
        _check_gradients(network)
        if any(parameter.dtype == torch.float16 for parameter in network.parameters()):
            raise UsageError(
                "training in fp16 needs loss scaling, which archbench does not offer: use bf16 or "
                "fp32"
            )
        self.network = network.train()
        self.classes = classes
        self._classifies = classes > 0 and not isinstance(network, Detector)
        self._generator = torch.Generator().manual_seed(seed)
        self._labels: Tensor | None = None
        self._last_loss = torch.zeros(())
        self._optimiser = torch.optim.SGD(
            network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )

    @property
    def loss(self) -> str:
        """The loss in a few words."""
        return (
            "cross-entropy"
            if self._classifies
            else "surrogate: sum over raw outputs of their mean square"
        )

    @property
    def diverged(self) -> bool:
        """Whether the last step's loss was no finite number."""
        return not bool(self._last_loss.isfinite())

    def forget(self) -> None:
        """Free the gradients of the last step, as the next one does before anything else."""
        self._optimiser.zero_grad(set_to_none=True)

    def step(self, images: Tensor) -> None:
        """Train on images [B, 3, H, W], every time as many."""
        self.forget()
        loss = self.compute_loss(images)
        loss.backward()
        self._optimiser.step()
        self._last_loss = loss.detach()

    def compute_loss(self, images: Tensor) -> Tensor:
        """Run forward and give the loss: a classifier's on labels that stay the same, any other's
        the surrogate.
        """
        outputs = self.network(images)
        if not self._classifies:
            return mean_square(outputs)
        if self._labels is None:
            self._labels = torch.randint(
                self.classes, (len(images),), generator=self._generator
            ).to(images.device)
        return F.cross_entropy(outputs, self._labels)


def _check_gradients(network: nn.Module) -> None:
    if isinstance(network, Detector) and network.reads_regions:
        raise UsageError(
            "two-stage detectors cannot be trained: their region operators have no gradient"
        )


def check_trainable(spec: Spec) -> None:
    """Raise UsageError where a spec's network cannot be trained at its batch; nothing is allocated
    or computed.

    Batch normalisation refuses a map of one value a channel, which only a batch of one image can
    have. Its inputs are seen while the network is counted, in evaluation mode, since torch's
    training mode loads its compiler on the meta device.
    """
    network = build_spec(spec, device="cpu" if spec.origin else "meta")
    _check_gradients(network)

    def check(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() == inputs[0].shape[1]:
            raise UsageError(
                f"{spec} cannot be trained at batch {spec.batch}: batch normalisation would see a "
                "single value per channel; use a larger batch or input"
            )

    # A larger batch is counted at batch 1 as well, where one value is no fault.
    normalised = network.modules() if spec.batch == 1 else ()
    for layer in normalised:
        if isinstance(layer, _BatchNorm):
            layer.register_forward_pre_hook(check)
    with blaming(spec, "cannot be trained"):
        # What is from elsewhere may neither be built nor run by shapes.
        on = "auto" if spec.origin else "meta"
        count(network, (spec.batch, 3, spec.height, spec.width), device=on)
