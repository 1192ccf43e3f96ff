"""Count what postprocessing asks of a card: operators, which are launched one by one, and waits, in
which the host stands until the card is done.

    python benchmarks/postprocess.py [DETECTOR...]

Each detector selects from the synthetic scene, at the pace that suppression has on a card. It runs
on the CPU under torch's profiler, which tells the operators that run inside ours; `WAITS` says
which of them would have the host wait. The last column is the CPU's own time, at its own pace.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from statistics import median
from unittest import mock

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import archbench
from archbench.api import Detector
from archbench.zoo.ops import masks, nms

WAITS = {
    f"aten::{name}"
    for name in ("_local_scalar_dense", "nonzero", "equal", "unique_consecutive", "lift_fresh")
}
"""What has the host wait for a card: for a number, for the length of its result, or until a list is
copied there.
"""
NO_LAUNCH = {
    *("alias", "as_strided", "chunk", "contiguous", "detach", "expand", "expand_as", "flatten"),
    *("narrow", "permute", "reshape", "_reshape_alias", "select", "set_", "slice", "split"),
    *("split_with_sizes", "squeeze", "t", "to", "transpose", "unbind", "unflatten", "unsqueeze"),
    *("view", "view_as", "empty", "empty_like", "empty_strided", "new_empty", "resize_"),
    *("item", "is_nonzero", "_local_scalar_dense", "lift_fresh", "result_type"),
}
"""Operators that make no kernel: views, allocations, readings of a number."""
DETECTORS = {
    "ssd300": "vgg16",
    "refinedet320": "vovnet39",
    "retinanet320": "resnet50",
    "yolov3-320": "darknet53",
    "m2det320": "vgg16",
    "cornernet": "hourglass104",
    "centernet": "resnet18",
    "ttfnet": "resnet18",
    "faster-rcnn300": "mobilenet",
    "faster-rcnn-fpn": "resnet50",
    "rfcn300": "resnet50",
    "mask-rcnn-fpn": "resnet50",
}
ROUNDS = 5


def asked(call: Callable[[], object]) -> tuple[int, int]:
    """How many operators a call launches, and how often the host would wait for a card."""
    call()
    lists = Counter[str]()

    def to_list(tensor: Tensor) -> object:
        lists["to"] += 1
        return torch._C.TensorBase.tolist(tensor)

    with (
        mock.patch.object(Tensor, "tolist", to_list, create=True),
        profile(activities=[ProfilerActivity.CPU]) as seen,
    ):
        call()
    events = [event for event in seen.events() if event.name.startswith("aten::")]
    parents = {id(event.cpu_parent) for event in events}
    leaves = [event.name.removeprefix("aten::") for event in events if id(event) not in parents]
    launched = [name for name in leaves if name not in NO_LAUNCH]
    names = Counter(event.name for event in events)
    waits = sum(names[name] for name in WAITS)
    return len(launched), waits + lists["to"]


def at_a_cards_pace(call: Callable[[], object]) -> tuple[int, int]:
    """The same of a call that suppresses as it would on a card."""
    pixels = masks.PIXELS_ELSEWHERE
    with (
        mock.patch.dict(nms.PACES, cpu=nms.ELSEWHERE),
        mock.patch.object(masks, "PIXELS_ON_CPU", pixels),
    ):
        return asked(call)


def cpu_ms(call: Callable[[], object]) -> float:
    """Processor time of a call, the median of a few."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e3 * median(times)


def main(detectors: list[str]) -> None:
    """Print a row for each detector."""
    torch.set_num_threads(1)
    print(f"{'detector':>18} {'operators':>10} {'waits':>6} {'CPU ms':>8}")
    for name in detectors or DETECTORS:
        network = archbench.build(DETECTORS.get(name, "resnet50"), name)
        assert isinstance(network, Detector)
        generator = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            width, height = network.size
            load, _ = network.synthesize(network(torch.zeros(1, 3, height, width)), generator)
            call = partial(network.postprocess, load)
            operators, waits = at_a_cards_pace(call)
            print(f"{name:>18} {operators:>10} {waits:>6} {cpu_ms(call):>8.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
