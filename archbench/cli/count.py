"""`archbench count`: one network, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from archbench.cli.groups import grouped
from archbench.cli.network import NetworkFlags
from archbench.cli.profile import ProfileOutput, ProfileProtocol, run_profiles


@dataclass(frozen=True, kw_only=True)
class Counting:
    """How one network is counted."""

    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Check the counts against fvcore, on real weights, and torch's counter."
        ),
    ] = False


@grouped
def count(network: NetworkFlags, counting: Counting, output: ProfileOutput) -> int:
    """Count one network, without measuring it, and append the record.

    Example: archbench count model.onnx --size 640
    """
    protocol = ProfileProtocol(given={}, no_measure=True, check=counting.check)
    return run_profiles(network.resolve(), protocol, output)
