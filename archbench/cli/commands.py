"""The subcommands of `archbench`, put together as typer reads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from archbench import __version__
from archbench.cli import completion
from archbench.cli.groups import FOR_ALL, CommandGroup, GroupedCommand, refuse
from archbench.cli.messages import Loudness, loudness
from archbench.tracebacks import FLAG

COMMANDS = {
    "profile": (
        "Count and measure one network on this machine, and append the record to the results."
    ),
    "count": "Count one network, without measuring it, and append the record.",
    "export": "Export one network to a file for other engines, and check it against eager PyTorch.",
    "sweep": (
        "Count and measure every network of one or more suites, in fresh processes, and append "
        "the records."
    ),
    "list": (
        "List backbones, detectors, their options, the papers' pairs, suites, engines, plots, or "
        "the columns of records."
    ),
    "compare": (
        "Show what was counted and measured, one table per device, with the papers' figures below "
        "ours."
    ),
    "records": "List the records of a folder, show one, drop some, or merge other folders into it.",
    "choose": "Choose a network within a budget, from measurements on one device at batch 1.",
    "reproduce": (
        "Show a paper's table in its own rows, columns and units, with our figures and the ratio "
        "below each row."
    ),
    "claims": (
        "Test each of the papers' claims on cost against our own figures, and show how close "
        "these are to the paper's."
    ),
    "plot": (
        "Draw figures as PNG and SVG: VoVNet's, Huang et al.'s, CSPNet's, DSNet's and our own."
    ),
    "predict": ("Predict a network's latency and energy from measured networks of other families."),
    "gate": "Fail if a network costs more than a file allows: a gate for CI.",
    "report": (
        "Write one HTML page of all records: a summary, a table, a plot of any two columns, and "
        "the papers' tables, claims and figures."
    ),
    "doctor": (
        "Show what this machine can measure, and how to enable the rest. Takes seconds; changes "
        "nothing."
    ),
}
"""The commands by name, each with what its function's docstring begins with: a list of them loads
none.
"""
GROUPS = {
    "Measure": ("profile", "count", "sweep"),
    "Compare and decide": ("list", "compare", "choose", "predict", "gate", "plot", "report"),
    "Reproduce the papers": ("reproduce", "claims"),
    "Manage": ("records", "export", "doctor"),
}
"""The commands that belong together; what is in none stands under `OTHERS`."""
OTHERS = "More"
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print no progress, only warnings and errors.",
        rich_help_panel=FOR_ALL,
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Print details of the files read and the records kept.",
        rich_help_panel=FOR_ALL,
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        FLAG,
        help="Also print an error's traceback, above its message.",
        rich_help_panel=FOR_ALL,
    ),
]
TO_ALL = {"quiet": Quiet, "verbose": Verbose, "debug": Debug}
"""What every command takes; `run` has looked for `Debug`."""
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
"""Lines of help are as wide as the terminal, up to what is read with ease."""
FUNCTIONS = {"list": "list_networks"}
"""The functions that are not named as their commands are."""


def command_line(arguments: list[str]) -> Any:
    """Give the command that reads these arguments; of the subcommands the one that they name is
    loaded, others have their first lines alone.
    """
    words = completion.words_typed() or arguments
    asked = next((word for word in words if not word.startswith("-")), "")
    app = typer.Typer(
        cls=CommandGroup,
        add_completion=False,  # It would load what only shells need.
        context_settings=CONTEXT,
        help="Name a detection network, get its true cost: counted exactly, measured honestly, "
        "and set beside what the papers printed.",
        # Otherwise typer loads rich for every help text.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_without_command)
    if asked in COMMANDS:
        app.command(asked, cls=GroupedCommand)(_with_flags_of_all(function(asked)))
    else:
        headings = {name: heading for heading, names in GROUPS.items() for name in names}
        for name in sorted(COMMANDS, key=[*headings, *COMMANDS].index):
            panel = headings.get(name, OTHERS)
            app.command(name, help=COMMANDS[name], rich_help_panel=panel)(_without_options)
    return typer.main.get_command(app)


def function(name: str) -> Callable[..., Any]:
    """Load the function behind a command."""
    module = import_module(f"archbench.cli.{name}")
    command: Callable[..., Any] = getattr(module, FUNCTIONS.get(name, name))
    return command


def _with_flags_of_all(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command be given the flags that all take, and follow them."""
    signature = inspect.signature(command, eval_str=True)
    own = [*signature.parameters.values()]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=flag)
        for name, flag in TO_ALL.items()
    ]

    def without(*, quiet: bool, verbose: bool, debug: bool, **values: Any) -> Any:
        _be_loud(quiet=quiet, verbose=verbose)
        return command(**values)

    without.__doc__ = command.__doc__
    without.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
    without.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    return without


def _be_loud(*, quiet: bool, verbose: bool) -> None:
    """Set how much is said, where a flag asks for it."""
    if quiet and verbose:
        refuse(["--quiet", "--verbose"], "these are mutually exclusive")
    if quiet or verbose:
        loudness.set(Loudness.QUIET if quiet else Loudness.VERBOSE)


def _without_options() -> None:
    """Stand for a command that is listed."""


def _without_command(
    context: typer.Context,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.")
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=completion.install,
            help="Install completion of names and options for this shell (bash, zsh or fish).",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=completion.show,
            help="Print what --install-completion would install.",
        ),
    ] = False,
) -> None:
    _be_loud(quiet=quiet, verbose=verbose)
    if version:
        print(f"archbench {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    else:
        return
    raise typer.Exit
