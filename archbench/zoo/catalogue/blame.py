"""What is said of code from outside that fails: the error, the file and the line in it.
Torch-free.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from archbench.spec import UsageError


@contextmanager
def blamed(files: Collection[Path], failed: str) -> Iterator[None]:
    """Turn whatever the code of plug-ins' files raises, an exit too, into a UsageError of one line.

    `failed` says what cannot be done. A UsageError stays as it is, and so does whatever is raised
    where there are no files.
    """
    try:
        yield
    except (UsageError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not files:
            raise
        raise UsageError(f"{failed}: {in_a_line(error, files)}") from error


def in_a_line(error: BaseException, files: Collection[Path]) -> str:
    """Say an error's kind, the first line of its message, and where in the files it was raised.

    That is the innermost line in one of them or in a module beside one.
    """
    message = str(error).strip().partition("\n")[0]
    said = ": ".join(filter(None, (type(error).__name__, message)))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path in files or any(_is_beside(path, file) for file in files):
            return f"{said} ({path}, line {frame.lineno})"
    return f"{said} ({', '.join(map(str, files))})"


def _is_beside(path: Path, file: Path) -> bool:
    """Whether a path is that of a module beside a file, and not of an installed one."""
    return path.is_relative_to(file.parent) and "site-packages" not in path.parts
