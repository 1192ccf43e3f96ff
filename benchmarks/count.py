"""What a count costs beside the forward pass it watches, and beside other counters: ResNet-50 at
224x224.

    python benchmarks/count.py [--rounds N]

The first table is of one process, warm (torch's compiler, which some meta kernels load, is in
memory), in interleaved rounds, so that a slow moment of the machine falls on all alike; it has the
median and the least time of a call and the ratio of the medians to the bare pass. archbench's count
takes less than the bare pass because it has its own output shapes for the commonest operators
(archbench/shapes), where torch's meta kernels are Python. A count of a batch is one of two passes:
at one image, and at the batch.

What they count differs: archbench has memory access cost, CIO, pools, batch-norm elements and the
activation peak as well, torchinfo parameters and output sizes, the others operations alone. Those
on "cpu" compute the network on real tensors as they count it.

The second table is of processes of their own, the processor time of each: the command line on a
network that it has not counted before and on one that it has, and what loading torch takes of it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import archbench

NETWORK = "resnet50"
SHAPE = (1, 3, 224, 224)
BARE = "bare forward pass"
COMMAND_LINE = "from archbench.cli.main import main; main()"

Timed = dict[str, tuple[str, Callable[[], object]]]
"""What is timed, by name: the device it runs on and one call of it."""


def ours() -> Timed:
    """What archbench does, and the pass without a counter."""
    empty = archbench.build(NETWORK, device="meta")
    image, two = (torch.empty(batch, *SHAPE[1:], device="meta") for batch in (1, 2))

    def bare() -> None:
        with torch.inference_mode():
            empty(image)

    return {
        BARE: ("meta", bare),
        "archbench.count, one image": ("meta", lambda: archbench.count(empty, image)),
        "archbench.count, batch 2": ("meta", lambda: archbench.count(empty, two)),
        "archbench.cost, built too": ("meta", lambda: archbench.cost(NETWORK)),
    }


def peers() -> Timed:
    """Other counters, as far as they are installed."""
    empty, image = archbench.build(NETWORK, device="meta"), torch.empty(SHAPE, device="meta")

    def flop_counter_mode() -> None:
        with torch.inference_mode(), FlopCounterMode(display=False):
            empty(image)

    timed: Timed = {"torch FlopCounterMode": ("meta", flop_counter_mode)}
    if torchinfo := installed("torchinfo"):
        timed["torchinfo.summary"] = (
            "meta",
            lambda: torchinfo.summary(empty, input_data=image, device="meta", verbose=0),
        )
    return timed | on_real_tensors(archbench.build(NETWORK), torch.randn(SHAPE))


def on_real_tensors(network: nn.Module, image: torch.Tensor) -> Timed:
    """Counters that compute the network."""
    timed: Timed = {}
    if fvcore := installed("fvcore.nn"):

        def analyse() -> None:
            analysis = (
                fvcore.FlopCountAnalysis(network, image)
                .unsupported_ops_warnings(False)
                .uncalled_modules_warnings(False)
            )
            with torch.inference_mode():
                analysis.tracer_warnings("none").total()

        timed["fvcore FlopCountAnalysis"] = ("cpu", analyse)
    if ptflops := installed("ptflops"):

        def complexity() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                ptflops.get_model_complexity_info(
                    network, SHAPE[1:], as_strings=False, print_per_layer_stat=False
                )

        timed["ptflops complexity"] = ("cpu", complexity)
    if thop := installed("thop"):
        # It leaves attributes of its own in what it counts.
        marked = archbench.build(NETWORK)
        timed["thop.profile"] = ("cpu", lambda: thop.profile(marked, (image,), verbose=False))
    return timed


def installed(name: str) -> ModuleType | None:
    """Load a peer, or say that it is left out."""
    try:
        return import_module(name)
    except ImportError:
        top = name.partition(".")[0]
        print(f"{top} is not installed: left out (pip install {top})")
        return None


def milliseconds(timed: Timed, *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of calls of each, in turn, after one round that is not counted."""
    samples: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds + 1):
        for name, (_, call) in timed.items():
            start = time.perf_counter()
            call()
            if number:
                samples[name].append(1e3 * (time.perf_counter() - start))
    return samples


def cpu_seconds(rounds: int) -> Iterator[tuple[str, float]]:
    """The least processor time of commands in processes of their own."""
    command = [sys.executable, "-c", COMMAND_LINE, "profile", NETWORK, "--no-measure"]
    with tempfile.TemporaryDirectory() as folder:
        own = os.environ | {"XDG_CACHE_HOME": folder}
        commands = {
            "import torch": ([sys.executable, "-c", "import torch"], own),
            "profile --no-measure, first time": (command, own | {"ARCHBENCH_COUNT_ANEW": "1"}),
            "profile --no-measure, known": (command, own),
        }
        for name, (words, environment) in commands.items():
            words = [*words, "--results", folder] if words is command else words
            spent = [_cpu_seconds(words, environment) for _ in range(rounds + 1)]
            # The first run of the last fills the cache.
            yield name, min(spent[1:])


def _cpu_seconds(words: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, capture_output=True, env=environment, cwd=Path.home())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Time and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=15, help="calls of each that are timed (default 15)"
    )
    rounds = parser.parse_args().rounds
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    timed = ours() | peers()
    samples = milliseconds(timed, rounds=rounds)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    print(
        f"{NETWORK} at 224x224, torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{rounds} rounds"
    )
    print(f"{'':28}{'device':8}{'median ms':>10}{'least ms':>10}{'x bare':>8}")
    for name, ms in sorted(medians.items(), key=lambda row: row[1]):
        ratio = ms / medians[BARE]
        print(f"{name:28}{timed[name][0]:8}{ms:10.1f}{min(samples[name]):10.1f}{ratio:8.2f}")
    print(f"\n{'':36}{'CPU s':>8}")
    for name, seconds in cpu_seconds(max(1, rounds // 3)):
        print(f"{name:36}{seconds:8.2f}")


if __name__ == "__main__":
    main()
