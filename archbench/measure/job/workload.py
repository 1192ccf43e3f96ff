"""The network of a job on its device in the asked form, and what it is given: inputs, weights, a
scene to postprocess.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from archbench.api import Backbone, build_spec
from archbench.measure.job.bench import Bench
from archbench.measure.job.checkpoint import load_weights
from archbench.measure.job.inputs import BUFFERS, Inputs
from archbench.measure.job.pictures import load_pictures
from archbench.measure.job.training import TrainingStep
from archbench.measure.job.weights import (
    calibrate,
    calibrate_as_it_can,
    fold_batch_norms,
    initialise,
)
from archbench.measure.machine.device import Device
from archbench.records.conditions import Conditions, Scene
from archbench.settings import Settings
from archbench.spec import Spec

CALIBRATION_BATCH = 2
"""Images that set the statistics: two, so that a 1x1 map has some."""


def prepare(spec: Spec, settings: Settings, device: Device, conditions: Conditions) -> Bench:
    """Build the network with its weights and its inputs, in the asked precision and memory format
    on the device.

    What the figures will have been measured on is noted in `conditions`.
    """
    network, rows = with_weights(spec, settings, device.torch_device, conditions)
    memory_format = (
        torch.channels_last
        if settings.memory_format == "channels_last"
        else torch.contiguous_format
    )
    if settings.fold_bn:
        folded, norms = fold_batch_norms(network)
        conditions["folded_norms"] = f"{folded} of {norms}"
    network = network.to(dtype=device.dtype, memory_format=memory_format)  # type: ignore[call-overload]
    if settings.compile_mode:
        network.compile(mode=settings.compile_mode)
    place = partial(
        Tensor.to, device=device.torch_device, dtype=device.dtype, memory_format=memory_format
    )
    inputs = Inputs(rows, place)
    bench = Bench(network, device, inputs, refill=inputs.refill, cold_caches=settings.flush_cache)
    conditions["caches"] = "emptied before each call" if settings.flush_cache else "warm"
    if spec.mode == "train":
        # What a network from elsewhere gives may be anything, classes or not.
        classes = 0 if spec.is_whole else spec.classes or 0
        bench.training = TrainingStep(network, classes=classes, seed=settings.seed)
        conditions["loss"] = bench.training.loss
    return bench


def with_weights(
    spec: Spec, settings: Settings, device: torch.device, conditions: Conditions
) -> tuple[nn.Module, list[Tensor]]:
    """Build the network in fp32 on a device with its weights, loaded or drawn and calibrated, and
    draw the batches that it is run on.
    """
    # What is not drawn again below comes from torch's own generator: positions, embeddings.
    torch.manual_seed(settings.seed)
    network = build_spec(spec)
    is_drawn = not (settings.weights or spec.has_weights)
    if spec.has_weights:
        conditions["weights"] = "its own"
    elif settings.weights:
        load_weights(network, Path(settings.weights))
    else:
        initialise(network, settings.seed)
    rows, typical = draw_inputs(spec, settings, network, conditions)
    network = network.to(device)
    if is_drawn and spec.origin:
        said = calibrate_as_it_can(network, typical.to(device), rows[0].to(device))
        if said:
            conditions["weights"] = said
    elif is_drawn:
        calibrate(network, typical.to(device))
    return network, rows


def draw_inputs(
    spec: Spec, settings: Settings, network: nn.Module, conditions: Conditions
) -> tuple[list[Tensor], Tensor]:
    """The batches to time on, [B, 3, H, W] each, and two images like them that the weights are
    calibrated on.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    shape = (3, spec.height, spec.width)
    if settings.images is None:
        conditions["inputs"] = "random normal"
        drawn = torch.randn(BUFFERS, spec.batch, *shape, generator=generator)
        return list(drawn), torch.randn(CALIBRATION_BATCH, *shape, generator=generator)
    preparation: Any = getattr(network, "preparation", Backbone.preparation)
    prepared = load_pictures(Path(settings.images), preparation, (spec.width, spec.height))
    conditions["inputs"] = f"{len(prepared)} picture{'s' * (len(prepared) != 1)}"
    rows = [torch.stack(batch) for batch in batches(prepared, spec.batch)]
    return rows, torch.stack((CALIBRATION_BATCH * prepared)[:CALIBRATION_BATCH])


def batches(images: list[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Split images into batches of `size`; the last is filled up from the first image on."""
    endless = cycle(images)
    for _ in range(-(-len(images) // size)):
        yield [next(endless) for _ in range(size)]


def add_load(bench: Bench, settings: Settings, conditions: Conditions) -> None:
    """Give a detector the synthetic scene to postprocess, and note its candidates before and
    after.
    """
    network: Any = bench.network
    # A network from elsewhere may do what detectors do without being called one.
    if bench.training or not all(hasattr(network, call) for call in ("postprocess", "synthesize")):
        return
    generator = torch.Generator().manual_seed(settings.seed)
    bench.load, counts = network.synthesize(bench.forward(), generator)
    found = bench.postprocess()
    kept = sum(map(len, found)) / len(found)
    conditions["postprocess_load"] = cast(Scene, counts | {"kept": kept})
