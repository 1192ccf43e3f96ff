"""The subcommands of `archbench`, put together as typer reads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from archbench import __version__
from archbench.cli.groups import GroupedCommand
from archbench.tracebacks import FLAG

COMMANDS = {
    "profile": (
        "Count one network and measure it on this machine; append the record to the results."
    ),
    "count": "Count one network and append the record: profile --no-measure, in short.",
    "sweep": (
        "Count and measure the networks of suites, each in processes of its own, and "
        "append a record for every one."
    ),
    "list": (
        "List the backbones, the detectors, the options they take, the papers' pairs, "
        "suites, engines, plots, or the columns of records."
    ),
    "compare": (
        "Show what was counted and measured, a table for each device, with the papers' "
        "figures below ours."
    ),
    "choose": "Choose a network within a budget, by what was measured on one device at batch 1.",
    "reproduce": (
        "Show a paper's table in its own rows, columns and units, with ours and the ratio"
        " of both below each row."
    ),
    "claims": (
        "Say of each claim on cost whether it holds, by our own figures, and how near "
        "they are to the paper's."
    ),
    "plot": (
        "Draw figures as PNG and SVG: VoVNet's, Huang et al.'s, CSPNet's, DSNet's and our own."
    ),
    "predict": (
        "Predict what a network takes, by the networks of other families that were measured."
    ),
    "report": (
        "Write one HTML page of all records: tables, a plot of any two columns, the "
        "papers' tables, claims and figures."
    ),
    "doctor": (
        "Say what can be measured on this machine, and for what cannot, why and what to "
        "do. Takes seconds; changes nothing."
    ),
}
"""The commands by name, each with what its function's docstring begins with: a list of them loads
none.
"""
Debug = Annotated[
    bool, typer.Option(FLAG, help="Show an error's traceback, too, above the line that says it.")
]
FUNCTIONS = {"list": "list_networks"}
"""The functions that are not named as their commands are."""


def command_line(arguments: list[str]) -> Any:
    """Give the command that reads these arguments; of the subcommands the one that they name is
    loaded, others have their first lines alone.
    """
    asked = next((word for word in arguments if not word.startswith("-")), "")
    app = typer.Typer(
        help="Name a detection network, get its true cost: counted exactly, measured honestly, "
        "beside what the papers printed.",
        add_completion=False,
        # Otherwise typer loads rich for every help text.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_without_command)
    if asked in COMMANDS:
        app.command(asked, cls=GroupedCommand)(_with_debug(function(asked)))
    else:
        for name, summary in COMMANDS.items():
            app.command(name, help=summary)(_without_options)
    return typer.main.get_command(app)


def function(name: str) -> Callable[..., Any]:
    """Load the function behind a command."""
    module = import_module(f"archbench.cli.{name}")
    command: Callable[..., Any] = getattr(module, FUNCTIONS.get(name, name))
    return command


def _with_debug(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command be given `Debug`, too, which `run` has looked for."""
    signature = inspect.signature(command, eval_str=True)
    own = [*signature.parameters.values()]
    debug = inspect.Parameter(
        "debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )

    def without(*, debug: bool, **values: Any) -> Any:
        return command(**values)

    without.__doc__ = command.__doc__
    without.__annotations__ = {each.name: each.annotation for each in (*own, debug)}
    without.__signature__ = inspect.Signature([*own, debug])  # type: ignore[attr-defined]
    return without


def _without_options() -> None:
    """Stand for a command that is listed."""


def _without_command(
    context: typer.Context,
    debug: Debug = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"archbench {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    else:
        return
    raise typer.Exit
