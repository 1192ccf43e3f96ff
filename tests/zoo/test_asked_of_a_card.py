"""What networks and postprocessing ask of a card: waits, copies, operators that it lacks. Seen on
the CPU, by torch's profiler.
"""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import archbench
from archbench.api import Detector
from archbench.zoo.ops.nms import READS_ITS_RESULTS, soft_nms
from archbench.zoo.ops.regions import position_sensitive_pool

COUNTS = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "postprocess.py"))

DETECTORS: dict[str, tuple[str, int, int, int]] = {
    "ssd-huang": ("mobilenet", 128, 140, 8),
    "refinedet": ("mobilenet", 64, 105, 5),
    "ttfnet": ("resnet18", 64, 24, 1),
    "faster-rcnn": ("mobilenet", 64, 105, 6),
}
"""By detector a backbone, a side, and the most operators and waits of its postprocessing."""


@pytest.mark.parametrize(("name", "most"), DETECTORS.items(), ids=DETECTORS)
def test_postprocessing_does_not_wait_for_a_card_again_and_again(
    name: str, most: tuple[str, int, int, int]
) -> None:
    backbone, size, operators, waits = most
    network = archbench.build(backbone, name, size=size)
    assert isinstance(network, Detector)
    with torch.inference_mode():
        raw = network(torch.zeros(1, 3, size, size))
        load, _ = network.synthesize(raw, torch.Generator().manual_seed(0))
        assert sum(map(len, network.postprocess(load))) > 0
        asked = COUNTS["at_a_cards_pace"](lambda: network.postprocess(load))
    assert asked[0] <= operators
    assert asked[1] <= waits


@pytest.mark.parametrize("sigma", [0.5, 0.0])
def test_soft_suppression_asks_twenty_operators_of_a_card_for_a_box(sigma: float) -> None:
    """Those of each box that is taken, beside what all of them take together."""
    generator = torch.Generator().manual_seed(0)
    start, scores = torch.rand(400, 2, generator=generator) * 90, torch.rand(400)
    boxes = torch.cat([start, start + 10], dim=1)
    groups = torch.zeros(400, dtype=torch.long)

    def asked(limit: int) -> int:
        def call() -> Tensor:
            return soft_nms(boxes, scores, groups, 0.5, sigma, 0.001, limit)

        return COUNTS["at_a_cards_pace"](call)[0]

    assert asked(28) - asked(8) <= 20 * 23


@pytest.mark.slow
def test_pairs_of_corners_ask_fewer_operators_of_a_card_than_with_a_loop_over_corners() -> None:
    network = archbench.build("hourglass104", "cornernet")
    assert isinstance(network, Detector)
    width, height = network.size
    with torch.inference_mode():
        raw = network(torch.zeros(1, 3, height, width))
        load, _ = network.synthesize(raw, torch.Generator().manual_seed(0))
        operators, waits = COUNTS["at_a_cards_pace"](lambda: network.postprocess(load))
    assert operators <= 145
    assert waits <= 12


def names(call: Callable[[], object]) -> Counter[str]:
    """The operators that run in a call, and how often."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        call()
    return Counter(event.name for event in seen.events())


@pytest.mark.parametrize(
    ("backbone", "detector", "size"),
    [("resnet18", "dafs", 128), ("resnet18", "refinedet", 128), ("resnet18", "ttfnet", 96)],
)
def test_a_forward_pass_copies_nothing_from_the_host(
    backbone: str, detector: str, size: int
) -> None:
    """Such a copy waits for the card, and a capture does not allow it."""
    network = archbench.build(backbone, detector, size=size)
    with torch.inference_mode():
        asked = names(lambda: network(torch.zeros(1, 3, size, size)))
    assert not asked.keys() & COUNTS["WAITS"]


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_sums_are_those_of_cumsum_without_it_where_algorithms_are_deterministic(
    request: pytest.FixtureRequest,
) -> None:
    """A card has no deterministic cumsum of floating numbers: it raises."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 18, 11, 13, generator=generator)
    boxes = torch.rand(2, 7, 2, 2, generator=generator).mul(200).sort(dim=2).values.flatten(2)

    def pool() -> Tensor:
        return position_sensitive_pool(maps, boxes, 16, 3)

    usual, before = pool(), names(pool)["aten::cumsum_"]
    request.getfixturevalue("deterministic")
    torch.testing.assert_close(pool(), usual)
    assert before - names(pool)["aten::cumsum_"] == 2


@pytest.mark.parametrize("operator", ["nms", "soft_nms", "propose", "detect"])
def test_operators_that_read_their_results_are_no_part_of_a_graph(operator: str) -> None:
    found = getattr(torch.ops.archbench, operator).default
    assert set(READS_ITS_RESULTS) <= set(found.tags)
    assert torch.Tag.cudagraph_unsafe in found.tags
