"""The archive of an exported program, as `torch.export.save` writes it. Torch-free."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from archbench.spec import UsageError
from archbench.tracebacks import first_line

GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
MOST_BYTES = 2**26
"""The largest graph that is read: one of a hundred thousand calls has some ten megabytes."""
MOST_RATIO = 4
"""How much larger than its file an archive may be: torch packs nothing, and a rezipped one little
but its graph.
"""
HASH_DIGITS = 6
OLD = "serialized_exported_program.json"


@dataclass(frozen=True)
class Archive:
    """An archive: the names of its files, the graph with its signature, where its tensors are, and
    a hash of the whole file.
    """

    path: Path
    names: frozenset[str]
    graph: dict[str, Any]
    payloads: tuple[dict[str, Any], ...]
    """What is said of each of its weights and constants."""
    digest: str


def read_archive(path: Path) -> Archive:
    """Read an archive; raises UsageError, in one line, for whatever is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path} cannot be read: not a regular file")
    return _read(str(path.resolve()), path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _read(_: str, path: Path, __: int, size: int) -> Archive:
    if not size:
        raise UsageError(f"{path} is empty")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:HASH_DIGITS]
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > MOST_RATIO * size + MOST_BYTES:
                _refuse(path, f"its {size:,} bytes unpack to {unpacked:,}")
            return _of(path, archive, digest)
    except UsageError:
        raise
    except zipfile.BadZipFile:
        _refuse(path, "not a zip archive, or truncated")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # What unpacks an archive raises anything of its own.
        _refuse(path, f"its graph cannot be read ({type(error).__name__}: {first_line(error)})")


def _of(path: Path, archive: zipfile.ZipFile, digest: str) -> Archive:
    every = archive.namelist()
    roots = {name.partition("/")[0] for name in every}
    names = frozenset(name.partition("/")[2] for name in every)
    if OLD in every:
        _refuse(path, "written by torch before 2.8; export the network again")
    if len(roots) != 1 or len(names) != len(every) or GRAPH not in names:
        _refuse(path, f"it has no single {GRAPH}")
    (root,) = roots

    def read(name: str) -> Any:
        info = archive.getinfo(f"{root}/{name}")
        if info.file_size > MOST_BYTES:
            _refuse(path, f"{name} is larger than {MOST_BYTES:,} bytes")
        return json.loads(archive.read(info))

    configs = [read(name)["config"] for name in (WEIGHTS, CONSTANTS) if name in names]
    payloads = tuple(payload for config in configs for payload in config.values())
    return Archive(path, names, read(GRAPH), payloads, digest)


def _refuse(path: Path, why: str) -> NoReturn:
    raise UsageError(f"{path} is not a torch.export program: {why}")
