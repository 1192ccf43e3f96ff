"""The `archbench` command: its subcommands, and how their errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from archbench import __version__
from archbench.cli.claims import claims
from archbench.cli.compare import compare
from archbench.cli.doctor import doctor
from archbench.cli.exit import Exit
from archbench.cli.list import list_networks
from archbench.cli.plot import plot
from archbench.cli.profile import profile
from archbench.cli.report import report
from archbench.cli.reproduce import reproduce
from archbench.cli.sweep import sweep
from archbench.spec import UsageError

app = typer.Typer(
    help="Name a detection network, get its true cost: counted exactly, measured honestly, beside what the papers printed.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(profile)
app.command()(sweep)
app.command("list")(list_networks)
app.command()(compare)
app.command()(reproduce)
app.command()(claims)
app.command()(plot)
app.command()(report)
app.command()(doctor)


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False
) -> None:  # fmt: skip
    if version:
        print(f"archbench {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    else:
        return
    raise typer.Exit


def main() -> None:
    """Run the command line that this process was started with."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code (`Exit`); what a user can cause is one line on stderr."""
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="archbench", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else Exit.DONE
    except UsageError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # Whoever reads stdout (head, a pager) has seen enough; typer makes a SystemExit of it, and of nothing else.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except OSError as error:
        _say(f"error: {error.strerror}")
        return Exit.FAILED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _fail(error.format_message())


def _fail(message: str) -> int:
    _say(f"error: {' '.join(message.split())}")
    return Exit.USAGE


def _say(line: str) -> None:
    """Print to stderr, if anybody still reads it."""
    with suppress(OSError):
        print(line, file=sys.stderr)
