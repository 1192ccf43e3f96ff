"""Keep what is found out once for later: small JSON files in a folder of the user's. Torch-free."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from archbench.files import user_folder


def folder() -> Path | None:
    """The folder for such files, XDG_CACHE_HOME/archbench or ~/.cache/archbench; None for a user
    without a home.
    """
    return user_folder("XDG_CACHE_HOME", ".cache")


def read(kind: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was kept of a kind under a key; None where there is nothing, or no whole file."""
    path = _path(kind, key)
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None
    if (
        not isinstance(kept, dict)
        or kept.get("key") != key
        or not isinstance(kept.get("found"), dict)
    ):
        return None
    return kept["found"]


def write(
    kind: str, key: Mapping[str, Any], found: Mapping[str, Any], *, most_bytes: int | None = None
) -> None:
    """Keep what was found, whole or not at all; where the folder cannot be written nothing is
    kept.

    Where all of a kind come to more than `most_bytes`, the oldest go.
    """
    path = _path(kind, key)
    if path is None:
        return
    temporary = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"key": key, "found": found}), encoding="utf-8")
        temporary.replace(path)
        if most_bytes is not None:
            _shrink(path.parent, kind, most_bytes)


def _shrink(where: Path, kind: str, most_bytes: int) -> None:
    """Remove the oldest files of a kind until the rest are small enough together."""
    with os.scandir(where) as items:
        files = [(item.stat(), item.path) for item in items if item.name.startswith(f"{kind}-")]
    left = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda file: file[0].st_mtime):
        if left <= most_bytes:
            return
        Path(path).unlink()
        left -= status.st_size


def _path(kind: str, key: Mapping[str, Any]) -> Path | None:
    import hashlib  # Loads OpenSSL: too much for a command that keeps nothing.

    where = folder()
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return where / f"{kind}-{name}.json" if where else None
