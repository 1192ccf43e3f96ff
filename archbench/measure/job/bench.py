"""A network on its device, ready to be timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archbench.measure.job.training import TrainingStep
from archbench.measure.machine.device import Device
from archbench.spec import UsageError

CALLS_BEFORE_CAPTURE = 3
"""Calls on the stream of the capture, in which libraries choose algorithms and allocate what a
capture cannot.
"""


class Timed(NamedTuple):
    """Seconds of a call by the host's clock, the device idle before and after, and by the device's
    own, if it has one.
    """

    host_s: float
    device_s: float | None


def nothing() -> None:
    """Do nothing."""


@dataclass
class Bench:
    """A network on its device with inputs to time it on."""

    network: nn.Module
    device: Device
    inputs: Iterator[Tensor]
    load: Any = None
    """Raw predictions on which postprocessing is timed; None for networks without any."""
    training: TrainingStep | None = None
    """What a call is where the network is trained."""
    replay: Callable[[Tensor], Any] | None = None
    """What a call is where something else computes it than the module: a CUDA graph, an engine."""
    refill: Callable[[], None] = nothing
    """Brings a new input in, where there are more than lie on the device."""
    cold_caches: bool = False
    """Whether a timed call is to find nothing in the caches."""

    def forward(self) -> Any:
        """One call on the next input: a forward pass or a training step."""
        images = next(self.inputs)
        if self.training:
            return self.training.step(images)
        return self.replay(images) if self.replay else self.network(images)

    @property
    def gives_final(self) -> bool:
        """Whether a call gives final detections, so that its time is the total."""
        return self.training is None and getattr(self.network, "outputs", "") == "final"

    @property
    def time_word(self) -> str:
        """The word of the time of a call."""
        return "total_ms" if self.gives_final else "latency_ms"

    @property
    def protocol(self) -> str:
        """What a call goes through: the forward pass, postprocessing with it, or training."""
        if self.training:
            return "train"
        return "model+post" if self.gives_final else "model"

    @property
    def is_one_graph(self) -> bool:
        """Whether a call runs as a whole, so that no part of it can be timed by itself."""
        return self.replay is not None or self.network._compiled_call_impl is not None

    def capture(self) -> None:
        """Capture the network as a CUDA graph, its input in one place; from then on a call copies
        the input there and replays.

        Raises UsageError for a network that reads its own results on the host, as the choice of
        proposals does.
        """
        static = next(self.inputs).clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(CALLS_BEFORE_CAPTURE):
                self.network(static)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                outputs = self.network(static)
        except RuntimeError as error:
            # The end of a capture fails too, of whatever failed in it: the first error tells why.
            first = error.__context__ if isinstance(error.__context__, RuntimeError) else error
            if "captur" not in str(first):
                raise first from None
            raise UsageError(
                "a CUDA graph cannot hold a network that waits for its own results: leave out "
                "--cuda-graph"
            ) from first

        def replay(images: Tensor) -> Any:
            static.copy_(images)
            graph.replay()
            return outputs

        self.replay = replay

    def postprocess(self) -> Any:
        """One call on the synthetic load."""
        network: Any = self.network
        return network.postprocess(self.load)

    def timed(self, call: Callable[[], Any], times: int) -> Timed:
        """Time one call; the mean of `times` in a row, all but the first of which find in the
        caches what the one before has left.
        """
        if self.cold_caches:
            self.device.empty_caches()
        clock = self.device.clock()
        self.device.synchronize()
        start = time.perf_counter()
        clock.begin()
        for _ in range(times):
            call()
        clock.end()
        self.device.synchronize()
        host_s = (time.perf_counter() - start) / times
        device_s = clock.seconds()
        return Timed(host_s, None if device_s is None else device_s / times)
