"""What published networks count to, known without counting: `counts.csv`, which
`benchmarks/published_counts.py` writes and tests hold to the counter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from archbench.papers.published import read_table
from archbench.spec import Spec

NETWORK = "network"


def shipped_counts(spec: Spec) -> Mapping[str, int] | None:
    """Give what a published network counts to, of one image and of inference, by our words; None
    for any other network.
    """
    return _by_network().get(str(replace(spec, batch=1, mode="infer")))


@cache
def _by_network() -> Mapping[str, Mapping[str, int]]:
    return MappingProxyType(
        {
            row[NETWORK]: MappingProxyType(
                {word: int(value) for word, value in row.items() if word != NETWORK}
            )
            for row in read_table("counts.csv")
        }
    )
