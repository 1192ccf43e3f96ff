"""What is found out of a device once and kept for later jobs: small JSON files in a folder of the
user's. Torch-free.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def folder() -> Path | None:
    """The folder for such files, XDG_CACHE_HOME/archbench or ~/.cache/archbench; None for a user
    without a home.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if Path(given).is_absolute():
        return Path(given) / "archbench"
    try:
        return Path.home() / ".cache" / "archbench"
    except RuntimeError:
        return None


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


def write(kind: str, key: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Keep what was found, whole or not at all; where the folder cannot be written nothing is
    kept.
    """
    path = _path(kind, key)
    if path is None:
        return
    temporary = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"key": key, "found": found}, indent=1), encoding="utf-8")
        temporary.replace(path)


def _path(kind: str, key: Mapping[str, Any]) -> Path | None:
    where = folder()
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return where / f"{kind}-{name}.json" if where else None
