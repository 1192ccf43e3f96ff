"""Weights for networks that have none: drawn from a seed and calibrated, so that activations look
like a trained network's.

With a framework's own initial weights activations fade layer by layer; time and power depend on the
data.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from archbench.measure.job.out_of_memory import is_out_of_memory
from archbench.tracebacks import first_line

VARIANCE_FLOOR = 0.1
"""The least variance that calibration gives a channel, as a share of its layer's mean."""


def initialise(network: nn.Module, seed: int) -> None:
    """Draw convolutions and linear layers from He's normal distribution (He et al., Delving Deep
    into Rectifiers), biases 0.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
            nn.init.normal_(layer.weight, 0, sqrt(2 / _fan_in(layer)), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _fan_in(layer: nn.Module) -> float:
    """Inputs that one output sums; of a transposed convolution, on average over its outputs."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return layer.in_channels / layer.groups * prod(layer.kernel_size) / prod(layer.stride)
    return weight[0].numel()


def calibrate(network: nn.Module, images: Tensor) -> None:
    """Set every batch normalisation's statistics to those of `images`, by one forward pass in
    training mode at momentum 1.

    No channel's variance is left below a tenth of its layer's mean: two images give a 1x1 map two
    values a channel, and where they happen to be nearly equal other images would be magnified
    beyond fp16, layer by layer.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.train()
        layer.momentum = 1.0
    try:
        with torch.no_grad():
            network(images)
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
        network.eval()
    for layer in norms:
        if layer.running_var is not None:
            layer.running_var.copy_(
                layer.running_var.maximum(VARIANCE_FLOOR * layer.running_var.mean())
            )


def calibrate_as_it_can(network: nn.Module, images: Tensor, batch: Tensor) -> str:
    """Calibrate a network from elsewhere on `images`, or on the one `batch` that it may take; say
    what was done else than on the images, empty where nothing.

    Where it takes neither in training mode its statistics are reset to mean 0 and variance 1.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    said = ""
    for given in (images, batch):
        try:
            calibrate(network, given)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            said = said or first_line(error) or type(error).__name__
            continue
        other = f"calibrated on {len(given)} image{'s' * (len(given) > 1)}, not {len(images)}"
        return f"{other}: {said}" if said else ""
    for layer in norms:
        layer.reset_running_stats()
    return f"drawn, not calibrated: {said}"


def fold_batch_norms(network: nn.Module) -> tuple[int, int]:
    """Fold each batch normalisation into the convolution right before it; say how many were, and
    how many there are.

    For inference only: the network must be in evaluation mode.
    """
    total = sum(isinstance(layer, _BatchNorm) for layer in network.modules())
    folded = 0
    for chain in list(network.modules()):
        # What else is derived from these layers may compute more than they do.
        if not isinstance(chain, nn.Sequential) or type(chain).forward != nn.Sequential.forward:
            continue
        for index, (first, second) in enumerate(pairwise(list(chain))):
            if not isinstance(first, nn.Conv2d) or type(second) is not nn.BatchNorm2d:
                continue
            if _is_plain(first) and second.running_mean is not None:
                chain[index], chain[index + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
                folded += 1
    return folded, total


def _is_plain(layer: nn.Conv2d) -> bool:
    """Whether a convolution's outputs are linear in its weights and bias, as they are held."""
    is_linear = type(layer) is nn.Conv2d or getattr(layer, "is_linear", False)
    return is_linear and not is_parametrized(layer)
