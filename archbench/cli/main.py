"""The `archbench` command: its subcommands, and how their errors become one line and an exit
code.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from archbench import __version__
from archbench.cli.exit import Exit
from archbench.cli.groups import GroupedCommand
from archbench.cli.messages import say
from archbench.measure.child import leave_start_folder
from archbench.spec import UsageError

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
GARBAGE = 50_000
"""Objects made between two searches for cycles: a command makes many for good and few in cycles."""


def main() -> None:
    """Run the command line that this process was started with."""
    gc.set_threshold(GARBAGE)
    leave_start_folder()
    code = run(sys.argv[1:])
    # What is left ends with the process; a last search for cycles in it would take a tenth of a
    # plot's time.
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code (`Exit`); what a user can cause is one line on
    stderr.
    """
    asked = next((word for word in arguments if not word.startswith("-")), "")
    command = typer.main.get_command(_app([asked] if asked in COMMANDS else COMMANDS))
    try:
        code = command.main(arguments, prog_name="archbench", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else Exit.DONE
    except UsageError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Whoever reads stdout (head, a pager) has seen enough; typer makes a SystemExit of it, and
        # of nothing else.
        _discard_output()
        return Exit.DONE
    except OSError as error:
        say(f"error: {error.strerror}")
        try:
            sys.stdout.flush()
        except OSError:  # Or the interpreter would fail of it again, at its end.
            _discard_output()
        return Exit.FAILED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _fail(error.format_message())


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


def _discard_output() -> None:
    """Send what is still to be printed nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> int:
    say(f"error: {' '.join(message.split())}")
    return Exit.USAGE
