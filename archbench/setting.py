"""What a setting declares: its flag and help, its words, and what follows where it differs.
Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Any, TypeAlias, TypeVar

from archbench.spec import UsageError

T = TypeVar("T")
Check: TypeAlias = Callable[[str, Any], None]
"""Raises UsageError where a setting, by its name, cannot have a value."""
DEVICES = re.compile(r"auto|cpu|cuda(:\d{1,4})?")
MAX_SEED = 2**63
MAX_S = 1_000_000_000
"""Seconds that any part of a job may take, some thirty years: what is planned stays finite."""


class Bearing(Enum):
    """What follows where two records differ in a setting."""

    FIGURE = "Something else was measured: the figures are not compared."
    JOB = "The same was measured, better or worse known: compared, but measured again by a sweep."
    NOTHING = "Neither: the record's environment tells better, or no figure depends on it."


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a field of `Settings` declares besides its type and its default."""

    words: str
    """What it is called for people: a switch as what it does when on ("batch norms folded")."""
    bearing: Bearing
    flag: str | None
    """The flag that gives it; None: `--quick` alone changes it. A switch that is on by default is
    turned off by its `--no-` form.
    """
    help: str = ""
    metavar: str | None = None
    check: Check | None = None
    quick: Any = None
    """Its value in the quick protocol; None: the default."""
    page: str | None = ""
    """Its heading on the page; empty: its words; None: not shown there."""
    stands_alone: bool = False
    """Whether a value tells without the words which setting it is of (fp16)."""
    always_told: bool = False
    """Whether a title tells its default too."""
    is_path: bool = False
    """Whether it names a file or a folder: in words, there is one or not."""
    cuda_only: bool = False
    """Whether it means nothing on a CPU."""
    of_one_network: bool = False
    """Whether it fits one network alone, so that a sweep does not take it."""

    def arguments(self, value: Any) -> list[str]:
        """The words of a command line that give a value."""
        if self.flag is None:
            return []
        if isinstance(value, bool):
            return [self.flag if value else self.flag.replace("--", "--no-", 1)]
        return [self.flag, str(value)]

    def tell(self, value: Any) -> str:
        """A value in words that stand for themselves."""
        if self.is_path:
            value = value is not None
        if isinstance(value, bool):
            return self.words if value else f"no {self.words}"
        return str(value) if self.stands_alone else f"{self.words} ({value})"

    @property
    def heading(self) -> str | None:
        """Its heading on the page; None: it is not shown there."""
        return self.words if self.page == "" else self.page


def setting(default: T, declared: Setting) -> T:
    """Declare a field of `Settings`."""
    return field(default=default, metadata={"setting": declared})


def one_of(what: str, choices: tuple[str, ...]) -> Check:
    """Give a check that a value is one of the choices."""

    def check(_: str, value: Any) -> None:
        if value not in choices:
            raise UsageError(f"invalid {what} {value!r} (choose from {', '.join(choices)})")

    return check


def above_0(name: str, value: Any) -> None:
    """Raise UsageError for a number that is not above 0 and finite."""
    if value is not None and not 0 < value < inf:
        raise UsageError(f"invalid {name} {value} (a finite number above 0)")


def a_device(_: str, value: Any) -> None:
    """Raise UsageError for a device that is not named as torch names it."""
    if not DEVICES.fullmatch(value):
        raise UsageError(f"invalid device {value!r} (choose from auto, cpu, cuda, cuda:N)")


def a_duration(name: str, value: Any) -> None:
    """Raise UsageError for seconds in which nothing is done, or that never end."""
    if value is not None and not 0 < value <= MAX_S:
        raise UsageError(f"invalid {name} {value} (above 0, at most {MAX_S:,} seconds)")


def a_fraction(name: str, value: Any) -> None:
    """Raise UsageError for a number that is not between 0 and 1."""
    if not 0 < value < 1:
        raise UsageError(f"invalid {name} {value} (above 0, below 1: 0.03 for 3 %)")


def a_seed(name: str, value: Any) -> None:
    """Raise UsageError for a seed that not every random generator takes."""
    if not 0 <= value < MAX_SEED:
        raise UsageError(f"invalid {name} {value} (0 or more, below 2**63)")
