"""Time forward passes with and without the power sampler beside them: what sampling costs the work
that it watches.

    python benchmarks/sampler.py

ResNet-18 at 64x64 on one CPU thread. The sampler reads an instrument of two sources, a counter and
the conditions, every 50 ms as it does on most cards (and every 10 ms, as on the fastest), in Python
as it does through NVML. Blocks with and without it take turns, their order drawn anew for each
pair; the median of the pairs' ratios is printed with its 95 % interval.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import torch

from archbench import build
from archbench.measure.job.sampling import median_interval
from archbench.measure.power.meter import SampledMeter, Sensor, Traits

BLOCK_S = 0.2
PAIRS = 150


class Still:
    """An instrument that always says the same."""

    traits = Traits("still", settle_s=0, least_window_s=0)
    probed = True

    def __init__(self, period_s: float) -> None:
        self.sensors = {name: Sensor(2 * period_s, 2 * period_s) for name in ("instant", "usage")}
        self.conditions: dict[str, Any] = {}
        self.period_s = period_s

    def watts(self) -> dict[str, tuple[float, int]]:
        """A hundred watts."""
        return dict.fromkeys(self.sensors, (100.0, 0))

    def joules(self) -> dict[str, float]:
        """As many joules as seconds have passed."""
        return {"counter": time.perf_counter()}

    def state(self) -> dict[str, float]:
        """A clock."""
        return {"sm_clock_mhz": 1400.0}

    def learn(self, refresh_s: dict[str, float]) -> None:
        """Do nothing."""


def rate(network: torch.nn.Module, images: torch.Tensor) -> float:
    """Passes a second over one block."""
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < BLOCK_S:
        network(images)
        calls += 1
    return calls / (time.perf_counter() - start)


def compare(period_s: float, network: torch.nn.Module, images: torch.Tensor) -> str:
    """A line: passes a second without the sampler, its samples, the ratio with it, and the share of
    a core that it takes itself.
    """
    meter, ratios, plain, samples, own_s = SampledMeter(Still(period_s)), [], [], 0, 0.0
    for _ in range(PAIRS):
        found: dict[bool, float] = {}
        for beside in random.sample((True, False), 2):
            if beside:
                meter.start()
            others_s = time.process_time() - time.thread_time()
            found[beside] = rate(network, images)
            if beside:
                own_s += time.process_time() - time.thread_time() - others_s
                samples += len(meter.stop().times)
        ratios.append(found[True] / found[False])
        plain.append(found[False])
    low, high = median_interval(ratios) or (float("nan"), float("nan"))
    middle, share = statistics.median(ratios), 100 * own_s / (PAIRS * BLOCK_S)
    return (
        f"{1e3 * period_s:>9.0f} {statistics.median(plain):>9.1f} {samples:>8} {middle:>15.4f} "
        f"{low:>8.4f} {high:>8.4f} {share:>9.2f}"
    )


def main() -> None:
    """Print a line for each period."""
    torch.set_num_threads(1)
    network, images = build("resnet18", size=64).eval(), torch.randn(1, 3, 64, 64)
    print(
        f"{'period ms':>9} {'passes/s':>9} {'samples':>8} {'with / without':>15} "
        f"{'95 % interval':>17} {'CPU %':>9}"
    )
    with torch.inference_mode():
        rate(network, images)
        for period_s in (0.05, 0.01):
            print(compare(period_s, network, images))


if __name__ == "__main__":
    main()
