"""The `archbench` command: how its errors and interruptions become one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from archbench.cli.exit import Exit

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

GARBAGE = 50_000
"""Objects made between two searches for cycles: a command makes many for good and few in cycles."""

AGAIN_S = 0.005


def main() -> None:
    """Run the command line that this process was started with."""
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:
        signal.signal(signal.SIGINT, _leave)
    import gc

    from archbench.child import leave_start_folder
    from archbench.cli.streams import close_streams, open_streams

    gc.set_threshold(GARBAGE)
    leave_start_folder()
    open_streams()
    code = _interruptible(sys.argv[1:]) if listens else run(sys.argv[1:])
    close_streams()
    # What is left ends with the process; a last search for cycles in it would take a tenth of a
    # plot's time.
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code (`Exit`); what a user can cause is one line on
    stderr.
    """
    from archbench.cli.commands import command_line
    from archbench.spec import UsageError
    from archbench.tracebacks import FLAG, ask

    # Whatever else is wrong, plug-ins that are read with the arguments among it, comes after this.
    if FLAG in arguments:
        ask()
    try:
        code = command_line(arguments).main(arguments, prog_name="archbench", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else Exit.DONE
    except UsageError as error:
        return _fail(error, str(error))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except SystemExit:
        # What a shell asks to complete a line is answered so.
        return Exit.DONE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(error, f"{place}{error.strerror or error}", Exit.FAILED)
    except Exception as error:
        # Click's errors, told by what they can do: typer may carry a click of its own.
        if not hasattr(error, "format_message"):
            raise
        return _fail(error, _with_help(error))


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: nothing has begun that would have to be ended in good order."""
    os._exit(Exit.INTERRUPTED)


def _interruptible(arguments: list[str]) -> int:
    """Run a command line until it ends or the user interrupts.

    What an interruption becomes on its way is not told: a library that is being loaded may make
    anything of it.
    """
    heard: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = _once_more
    code: int = Exit.INTERRUPTED
    try:
        code = run(arguments)
    except BaseException:
        if not heard:
            raise
    finally:
        signal.signal(signal.SIGINT, _leave)
    return Exit.INTERRUPTED if heard and code != Exit.DONE else code


def _once_more(lost: UnraisableHookArgs) -> None:
    """Interrupt again where an interruption came to a callback that lets nothing through."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import _thread
    from threading import Timer

    again = Timer(AGAIN_S, _thread.interrupt_main)
    again.daemon = True
    again.start()


def _with_help(error: Any) -> str:
    """Give the message of an error of click's; where it suggests nothing, whose help does."""
    message: str = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None or message.endswith("?"):
        return message
    return f"{message.rstrip('.')}; see {context.command_path} --help"


def _fail(error: Exception, message: str, code: Exit = Exit.USAGE) -> int:
    """Say in a line what is wrong, below the traceback where that is asked for."""
    from archbench.cli.messages import say, say_traceback
    from archbench.tracebacks import traceback_of

    say_traceback(traceback_of(error))
    say(f"error: {' '.join(message.split())}")
    return code
