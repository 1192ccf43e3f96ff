"""The subcommands of `archbench`, put together as typer reads them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer

from archbench import __version__
from archbench.cli.groups import GroupedCommand

COMMANDS = {
    "profile": "profile",
    "sweep": "sweep",
    "list": "list_networks",
    "compare": "compare",
    "reproduce": "reproduce",
    "claims": "claims",
    "plot": "plot",
    "report": "report",
    "doctor": "doctor",
}
"""The function behind each command, in the module of the command's name."""


def command_line(arguments: list[str]) -> Any:
    """Give the command that reads these arguments; of the subcommands the one that they name is
    loaded alone.
    """
    asked = next((word for word in arguments if not word.startswith("-")), "")
    return typer.main.get_command(_app([asked] if asked in COMMANDS else COMMANDS))


def _app(names: Iterable[str]) -> typer.Typer:
    """The command line with these commands; their modules alone are loaded."""
    app = typer.Typer(
        help="Name a detection network, get its true cost: counted exactly, measured honestly, "
        "beside what the papers printed.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_without_command)
    for name in names:
        app.command(name, cls=GroupedCommand)(
            getattr(import_module(f"archbench.cli.{name}"), COMMANDS[name])
        )
    return app


def _without_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"archbench {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    else:
        return
    raise typer.Exit
