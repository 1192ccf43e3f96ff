"""Which of two times a table shows: the card's own, or that of launching operators one by one,
which ranks networks by their number.
"""

from __future__ import annotations

from collections.abc import Iterable

from archbench.quantities import QUANTITIES
from archbench.reasons import Flag
from archbench.report.data.configurations import Configuration

MANY = 8
"""Networks of which a note tells no more one by one."""


def launch_notes(named: Iterable[tuple[str, Configuration]]) -> list[str]:
    """Say of which networks the time of a call is the card's and of which it is that of launching,
    of all whose card was watched by a profiler.
    """
    own: dict[str, None] = {}
    launched: dict[str, str] = {}
    for name, configuration in named:
        time, busy = map(configuration.estimate, ("latency_ms", "gpu_busy_ms"))
        if time is None or busy is None:
            continue
        if Flag.LAUNCH_BOUND in time.flags:
            launched[name] = _beside(configuration)
        else:
            own[name] = None
    notes = []
    if launched:
        who = "; ".join(f"{name} ({beside})" for name, beside in launched.items())
        told = who if len(launched) <= MANY else f"{len(launched)} networks"
        notes.append(f"Launch-bound, so times are not the card's own: {told}")
    if own:
        notes.append(
            "Not launch-bound: " + ("; ".join(own) if len(own) <= MANY else f"{len(own)} networks")
        )
    return notes


def _beside(configuration: Configuration) -> str:
    """The card's own time of a network, and its time as a graph where there is one."""
    words = {"gpu_busy_ms": "busy {} ms", "graph_latency_ms": "as a CUDA graph {} ms"}
    estimates = {word: configuration.estimate(word) for word in words}
    return ", ".join(
        words[word].format(QUANTITIES[word].show(estimate.value))
        for word, estimate in estimates.items()
        if estimate
    )
