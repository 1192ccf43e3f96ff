"""The memory that a network holds, and that its calls take."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from archbench.measure.job.allowance import Allowance
from archbench.measure.job.bench import Bench
from archbench.reasons import Reason
from archbench.records import Metric

MEMORY_CALLS = 2
SIZES = ("mem_params_bytes", "mem_buffers_bytes")
"""What a module holds."""


def sizes(network: nn.Module) -> dict[str, Metric]:
    """Bytes of the parameters and buffers as they are held."""

    held: dict[str, Iterator[Tensor]] = dict(
        zip(SIZES, (network.parameters(), network.buffers()), strict=True)
    )
    return {
        name: Metric.of(
            name, sum(tensor.numel() * tensor.element_size() for tensor in tensors), "module"
        )
        for name, tensors in held.items()
    }


def memory(bench: Bench, allowance: Allowance, time: Metric) -> dict[str, Metric]:
    """Peaks of memory over some calls in the steady state, as many as there is time for where one
    takes the `time`.
    """
    call_s = (time.value or 0.0) / 1e3
    calls = MEMORY_CALLS if allowance.left() >= MEMORY_CALLS * call_s else 1
    device, protocol = bench.device, bench.protocol
    if allowance.left() < call_s:
        # What the device cannot tell in any time keeps its own reason.
        device.reset_memory()
        found = device.memory(protocol=protocol)
        return found | Metric.lacking(
            [name for name in found if not found[name].reason], Reason.BUDGET
        )
    if bench.training:
        # Gradients that the step frees first would lie below the activations' peak.
        bench.training.forget()
    device.reset_memory()
    for _ in range(calls):
        bench.forward()
    device.synchronize()
    return device.memory(protocol=protocol)
