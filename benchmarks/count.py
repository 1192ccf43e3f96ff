"""What a count costs beside the forward pass it watches, and beside other counters: ResNet-50 at
224x224, one image.

    python benchmarks/count.py [--rounds N]

Everything runs in one process, warm (torch's compiler, which some meta kernels load, is in memory),
in interleaved rounds, so that a slow moment of the machine falls on all alike; the table has the
median time of a call and its ratio to the bare pass. archbench's count takes less than the bare
pass because it has its own output shapes for the commonest operators (archbench/shapes), where
torch's meta kernels are Python. All but fvcore count a network on the meta device, without weights;
fvcore traces real tensors, so it computes the network on the CPU as it counts it.

What they count differs: archbench has memory access cost, CIO, pools, batch-norm elements and the
activation peak as well, torchinfo parameters and output sizes, fvcore and FlopCounterMode
operations alone.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from fvcore.nn import FlopCountAnalysis
from torch.utils.flop_counter import FlopCounterMode

import archbench

NETWORK = "resnet50"
SHAPE = (1, 3, 224, 224)


def counters() -> dict[str, tuple[str, Callable[[], object]]]:
    """What is timed, by name: the device it runs on and one call of it; torchinfo only where it is
    installed.
    """
    empty, real = archbench.build(NETWORK, device="meta"), archbench.build(NETWORK)
    image, picture = torch.empty(SHAPE, device="meta"), torch.randn(SHAPE)

    def bare() -> None:
        with torch.inference_mode():
            empty(image)

    def fvcore() -> None:
        analysis = (
            FlopCountAnalysis(real, picture)
            .unsupported_ops_warnings(False)
            .uncalled_modules_warnings(False)
        )
        with torch.inference_mode():
            analysis.tracer_warnings("none").total()

    def flop_counter_mode() -> None:
        with torch.inference_mode(), FlopCounterMode(display=False):
            empty(image)

    timed: dict[str, tuple[str, Callable[[], object]]] = {
        "bare forward pass": ("meta", bare),
        "archbench.count": ("meta", lambda: archbench.count(empty, image)),
        "torch FlopCounterMode": ("meta", flop_counter_mode),
        "fvcore FlopCountAnalysis": ("cpu, real tensors", fvcore),
    }
    try:
        import torchinfo
    except ImportError:
        print("torchinfo is not installed: left out (pip install torchinfo)")
    else:
        timed["torchinfo.summary"] = (
            "meta",
            lambda: torchinfo.summary(empty, input_data=image, device="meta", verbose=0),
        )
    return timed


def median_ms(
    timed: dict[str, tuple[str, Callable[[], object]]], *, rounds: int
) -> dict[str, float]:
    """Median milliseconds of a call of each, in turn, after one round that is not counted."""
    samples: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds + 1):
        for name, (_, call) in timed.items():
            start = time.perf_counter()
            call()
            if number:
                samples[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> None:
    """Time and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=15, help="calls of each that are timed (default 15)"
    )
    rounds = parser.parse_args().rounds
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    timed = counters()
    medians = median_ms(timed, rounds=rounds)
    base = medians["bare forward pass"]
    print(
        f"{NETWORK} at 224x224, batch 1, torch {torch.__version__}, {torch.get_num_threads()} "
        f"threads, median of {rounds} rounds"
    )
    print(f"{'':26}{'device':20}{'ms':>8}{'x bare':>9}")
    for name, ms in sorted(medians.items(), key=lambda row: row[1]):
        print(f"{name:26}{timed[name][0]:20}{ms:8.1f}{ms / base:9.2f}")


if __name__ == "__main__":
    main()
