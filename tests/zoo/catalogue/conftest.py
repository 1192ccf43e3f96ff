"""A zoo of files that a test writes itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archbench.zoo import catalogue
from archbench.zoo.catalogue import Kind, family


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A zoo of files that a test writes itself, in `backbones` and `detectors`."""
    folders: dict[Kind, Path] = {
        "backbone": tmp_path / "backbones",
        "detector": tmp_path / "detectors",
    }
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setattr(family, "FOLDERS", folders)
    catalogue.forget()
    yield tmp_path
    catalogue.forget()
