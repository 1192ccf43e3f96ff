"""What commands that predict have in common: the networks that they count on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archbench.cli.live import live
from archbench.spec import Spec, UsageError
from archbench.zoo import catalogue

if TYPE_CHECKING:
    from archbench.report.data.prediction import Networks


@contextmanager
def counted_networks(asked: Collection[Spec] = ()) -> Iterator[Networks]:
    """Count networks as predictions need them, told of on a terminal.

    Of what is from elsewhere those that are `asked` for alone: to count one runs its code.
    """
    from archbench.report.data.prediction import Networks

    def count(spec: Spec) -> Mapping[str, Any]:
        if spec.origin and spec not in asked:
            raise UsageError(f"{spec} is from elsewhere, and its code is not run unasked")
        from archbench.measure.job.counting import count as count_network

        progress.now(f"counting {spec}")
        return count_network(spec).report.totals()

    with live() as progress:
        yield Networks(count, catalogue.families)
