"""What a shell completes for `archbench --install-completion`: names, none of which takes torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from archbench.engine_names import COMPILE_MODES, ENGINE_NAMES, engine_of

if TYPE_CHECKING:
    from archbench.zoo.catalogue import Entry, Kind

VARIABLE = "_ARCHBENCH_COMPLETE"
"""The environment variable by which a shell asks for completions."""
TYPED = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""The variables in which bash, or zsh and fish, hand over what was typed."""


def words_typed() -> list[str]:
    """Give the words after `archbench` that a shell wants completed; none where no shell asks."""
    if VARIABLE not in os.environ:
        return []
    from typer.completion import get_completion_inspect_parameters

    get_completion_inspect_parameters()  # It is this that lets typer answer shells.
    typed = next((os.environ[name] for name in TYPED if name in os.environ), "")
    try:
        return shlex.split(typed)[1:]
    except ValueError:  # A quote is still open.
        return typed.split()[1:]


def install(context: typer.Context, param: typer.CallbackParam, value: bool) -> None:
    """Teach the shell that archbench was started from to complete, and end the command."""
    if value:
        from typer.completion import install_callback

        install_callback(context, param, value)


def show(context: typer.Context, param: typer.CallbackParam, value: bool) -> None:
    """Print what `install` writes, and end the command."""
    if value:
        from typer.completion import show_callback

        show_callback(context, param, value)


def backbones(incomplete: str) -> list[str]:
    """Complete the name of a backbone that can be built."""
    return _beginning(incomplete, (entry.name for entry in _built("backbone")))


def detectors(incomplete: str) -> list[str]:
    """Complete the name of a detector that can be built, without and with its usual size."""
    return _beginning(incomplete, (name for entry in _built("detector") for name in _sized(entry)))


def suites(incomplete: str) -> list[str]:
    """Complete the name of a suite."""
    from archbench.papers.suites import suites

    return _beginning(incomplete, (suite.name for suite in suites()))


def engines(incomplete: str) -> list[str]:
    """Complete the name of an engine, the compiler's with each of its modes."""
    return _beginning(incomplete, dict.fromkeys([*ENGINE_NAMES, *map(engine_of, COMPILE_MODES)]))


def plots(incomplete: str) -> list[str]:
    """Complete the name of a figure."""
    from archbench.report.figures.registry import FIGURES

    return _beginning(incomplete, ["all", *(figure.name for figure in FIGURES)])


def columns(incomplete: str) -> list[str]:
    """Complete the name of a column."""
    from archbench.report.data.rows import COLUMNS

    return _beginning(incomplete, COLUMNS)


def _built(kind: Kind) -> list[Entry]:
    from archbench.zoo import catalogue

    return [entry for entry in catalogue.entries(kind) if not entry.published_only]


def _sized(entry: Entry) -> list[str]:
    width, _, height = entry.input.partition("x")
    return [entry.name, *([f"{entry.name}{width}"] if width == height else [])]


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete.lower())]
