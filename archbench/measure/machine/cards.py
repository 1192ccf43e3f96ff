"""The cards that torch sees, asked for in a child process: this one touches no card.

`archbench.measure.machine.cards` run as a module is that child. It prints a line of JSON; with the
argument `use` it computes something first. A torch that cannot use its cards may end in any way.
"""

from __future__ import annotations

import json
import subprocess
import sys

from archbench import child
from archbench.tracebacks import first_line

TORCH_S = 120.0
"""The longest that torch may take to name its cards."""


class CardsError(Exception):
    """Torch could not be asked for its cards; the message says why."""


def ask(*, use: bool = False) -> tuple[list[dict[str, str]], str]:
    """Give the `name` and `uuid` of every card that torch sees, after a use of one where asked, and
    the last line that it said besides.

    Raises CardsError where torch gives no answer in time or ends badly.
    """
    try:
        done = subprocess.run(
            child.command(__name__, *(["use"] if use else [])),
            env=child.environment(),
            capture_output=True,
            text=True,
            timeout=TORCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CardsError(f"no answer within {TORCH_S:g} s") from None
    said = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode:
        raise CardsError(said or f"it ended with {done.returncode}")
    cards: list[dict[str, str]] = json.loads(done.stdout.strip().splitlines()[-1])
    return cards, said


def no_such(device: str, count: int) -> str:
    """Say that a device is none of so many cards that there are here."""
    if not count:
        return f"device {device}: there is no CUDA device here"
    choice = ", ".join(f"cuda:{index}" for index in range(count))
    return f"device {device}: there is no such CUDA device here (choose from {choice})"


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
    try:
        main(use="use" in sys.argv[1:])
    except Exception as error:
        # The lines after it tell torch's developers how to look for the cause.
        sys.exit(first_line(error))
