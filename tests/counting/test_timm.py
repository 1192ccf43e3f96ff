"""timm's networks of all families: equal to torch's counter to the unit, whatever the batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import pytest
import torch
from torch import nn
from torchvision_operators import torchvision_or_skip

import archbench
from archbench.counting.check import check_against_torch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
NETWORKS = 200


@pytest.fixture(scope="module")
def timm() -> Any:
    torchvision_or_skip()
    return pytest.importorskip("timm")


def drawn(timm: Any) -> Iterator[str]:
    """Names of networks: one of each family, then another of each that has more, and so on."""
    families = [timm.list_models(module=family) for family in timm.list_modules()]
    for names in zip_longest(*families):
        yield from (name for name in names if name)


def built(timm: Any, name: str) -> tuple[nn.Module, tuple[int, int, int]] | None:
    """A classifier without weights and the shape of its image; None for what is none, or what
    computes its layers' sizes with tensors while it is built.
    """
    try:
        with torch.device("meta"):
            network = timm.create_model(name)
    except (NotImplementedError, RuntimeError):
        return None
    if not getattr(network, "num_classes", 0):
        return None
    return network.eval(), network.default_cfg["input_size"]


def test_classifiers_equal_torch_s_counter_and_need_no_certain_batch(timm: Any) -> None:
    wrong, families, done = {}, set(), 0
    for name in drawn(timm):
        found = built(timm, name)
        if found is None:
            continue
        network, shape = found
        one, two = (archbench.count(network, (batch, *shape)) for batch in (1, 2))
        check = check_against_torch(network, shape)
        if not check.agrees:
            wrong[name] = check.sentence()
        if (one.macs_by_kind, one.cio, one.uncounted) != (two.macs_by_kind, two.cio, ()):
            wrong[name] = f"batch 1 {one.macs_by_kind}, batch 2 {two.macs_by_kind}"
        families.add(type(network).__module__)
        done += 1
        if done == NETWORKS:
            break
    assert wrong == {}
    assert done == NETWORKS
    assert len(families) > 60
