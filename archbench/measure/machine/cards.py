"""The cards that torch sees, asked for in a child process: this one touches no card.

`archbench.measure.machine.cards` run as a module is that child. It prints a line of JSON; with the
argument `use` it computes something first. A torch that cannot use its cards may end in any way.
"""

from __future__ import annotations

import json
import subprocess
import sys

from archbench import child


def ask(*, use: bool = False, timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run the child to its end. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        child.command(__name__, *(["use"] if use else [])),
        env=child.environment(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def answer(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    """Give the `name` and `uuid` of every card that a child has printed."""
    cards: list[dict[str, str]] = json.loads(done.stdout.strip().splitlines()[-1])
    return cards


def main(*, use: bool) -> None:
    """Print the name and UUID of every card that torch sees, after a use of one where asked."""
    import torch

    cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    if cards and use:
        torch.zeros(1, device="cuda").add(1).item()
    print(
        json.dumps([{"name": card.name, "uuid": str(getattr(card, "uuid", ""))} for card in cards])
    )


if __name__ == "__main__":
    main(use="use" in sys.argv[1:])
