"""What is said of code from outside that fails: the error, the file and the line in it.
Torch-free.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from archbench.spec import UsageError
from archbench.tracebacks import first_line


class TakenError(Exception):
    """Code from outside took away what the process needs."""


NEEDED = ("sys", "builtins", "archbench", "torch")
"""Modules that a process cannot go on without."""


@contextmanager
def blamed(files: Collection[Path], failed: str) -> Iterator[None]:
    """Turn whatever the code of plug-ins' files raises, an exit too, into a UsageError of one line.

    `failed` says what cannot be done. A UsageError stays as it is, and so do a user's interruption
    and whatever is raised where there are no files.
    """
    if not files:
        yield
        return
    try:
        with _kept_going(), _kept_imports():
            yield
    except TakenError as error:
        raise UsageError(f"{failed}: {error} ({', '.join(map(str, files))})") from None
    except UsageError:
        raise
    except BaseException as error:
        if _is_interruption(error, files):
            raise
        raise UsageError(f"{failed}: {in_a_line(error, files)}") from error


@contextmanager
def _kept_going() -> Iterator[None]:
    """Let `os._exit` raise for a while, which would end this process with nothing said, and leave
    the process its outputs; processes that are forked meanwhile end as they would.
    """
    end, process = os._exit, os.getpid()
    outputs = sys.stdout, sys.stderr

    def exit_or_raise(status: int) -> NoReturn:
        if os.getpid() != process:
            end(status)
        raise SystemExit(status)

    os._exit = exit_or_raise
    try:
        yield
    finally:
        os._exit = end
        sys.stdout, sys.stderr = outputs


@contextmanager
def _kept_imports() -> Iterator[None]:
    """Put back what this process imports from and has imported where any of it is taken away, and
    raise TakenError then.
    """
    path, modules = [*sys.path], dict(sys.modules)
    try:
        yield
    except BaseException as error:
        taken = _put_back(path, modules)
        if taken:
            raise TakenError(taken) from error
        raise
    taken = _put_back(path, modules)
    if taken:
        raise TakenError(taken)


def _put_back(path: Sequence[str], modules: Mapping[str, ModuleType]) -> str:
    """Put back folders and modules if some are gone, and say which; empty where none are."""
    are_gone = any(name in modules and name not in sys.modules for name in NEEDED)
    if not are_gone and all(folder in sys.path for folder in path):
        return ""
    sys.path[:] = path
    if not are_gone:
        return "it takes folders off sys.path"
    sys.modules.clear()
    sys.modules.update(modules)
    return "it takes modules that are in use out of sys.modules"


def _is_interruption(error: BaseException, files: Collection[Path]) -> bool:
    """Whether a user interrupted, and the code did not raise it of itself."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    # Python's own handler raises it in whatever line is being run; any other is a line by itself.
    is_told_apart = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    return not (is_told_apart and _is_of(_lines(error)[-1], files))


def in_a_line(error: BaseException, files: Collection[Path]) -> str:
    """Say an error's kind, the first line of its message, and where in the files it was raised.

    That is the innermost line in one of them or in a module beside one.
    """
    said = ": ".join(filter(None, (type(error).__name__, first_line(error))))
    for line in reversed(_lines(error)):
        if _is_of(line, files):
            return f"{said} ({line.filename}, line {line.lineno})"
    return f"{said} ({', '.join(map(str, files))})"


def _lines(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def _is_of(line: traceback.FrameSummary, files: Collection[Path]) -> bool:
    """Whether a line is in one of the files or in a module beside one."""
    path = Path(line.filename)
    return path in files or any(_is_beside(path, file) for file in files)


def _is_beside(path: Path, file: Path) -> bool:
    """Whether a path is that of a module beside a file, and not of an installed one."""
    return path.is_relative_to(file.parent) and "site-packages" not in path.parts
