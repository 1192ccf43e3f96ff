"""Count the whole grid of Huang et al. in one process: every extractor, meta-architecture, size,
stride and proposal count.

    python benchmarks/grid.py

Prints a row a meta-architecture, the total time, which begins when Python does its first import,
and the process's peak of memory.
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict

START = time.perf_counter()

from archbench.api import cost_spec  # noqa: E402
from archbench.papers.grid import grid  # noqa: E402


def main() -> None:
    """Count and print the table."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for spec in grid():
        start = time.perf_counter()
        cost_spec(spec)
        seconds[str(spec.detector)].append(time.perf_counter() - start)
    print(f"{'':16}{'configurations':>15}{'seconds':>10}{'slowest':>10}")
    for detector, times in seconds.items():
        print(f"{detector:16}{len(times):15}{sum(times):10.1f}{max(times):10.2f}")
    whole = time.perf_counter() - START
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(
        f"{'all':16}{sum(map(len, seconds.values())):15}{whole:10.1f}\npeak of memory "
        f"{peak_mb:,.0f} MB"
    )


if __name__ == "__main__":
    main()
