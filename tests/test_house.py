"""The house rules that a count can hold: files of a size that is read at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[1] / "archbench"
LINES = {
    path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
    for path in PACKAGE.rglob("*.py")
}
MOST, MEDIAN = 400, 120
DATA = {"quantities.py"}
"""Tables of declarations, which are looked up and not read."""
TESTS = Path(__file__).parent


def test_no_file_is_longer_than_is_read_at_once() -> None:
    assert {name: n for name, n in LINES.items() if n > MOST and name not in DATA} == {}


def test_what_counts_as_data_needs_it() -> None:
    assert {name for name in DATA if LINES[name] <= MOST} == set()


def test_most_files_are_short() -> None:
    assert median(LINES.values()) < MEDIAN


def test_no_two_tests_are_in_files_of_one_name() -> None:
    """pytest imports a test by the name of its file alone; two of one name meet in one process or
    not, as the processes share the work.
    """
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert {name for name, count in names.items() if count > 1} == set()
