"""A folder of a user's own, with a network in it; libraries that stand in for real ones."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from archbench.zoo import catalogue
from archbench.zoo.sources import library, listing

Write = Callable[[str, str], Path]

TINY = """
from torch import nn
from blocks import conv

class Tiny(nn.Module):
    '''A network.'''
    def __init__(self, width: int = 8, num_classes: int = 20):
        super().__init__()
        self.body = nn.Sequential(conv(3, width, 2), conv(width, width, 2))
        self.head = nn.Conv2d(width, num_classes, 1)
    def forward(self, images):
        return {"maps": [self.head(self.body(images))]}
"""
BLOCKS = """
from torch import nn
def conv(c_in, c_out, stride):
    return nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into the working folder."""
    monkeypatch.chdir(tmp_path)

    def into(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return into


@pytest.fixture
def tiny(write: Write) -> Path:
    """nets.py:Tiny, which imports a block from the file beside it."""
    write("blocks.py", BLOCKS)
    return write("nets.py", TINY)


@pytest.fixture
def standins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with libraries that stand in for real ones, which alone can be imported, and nothing
    kept of what they offer.
    """
    with _offered(tmp_path, monkeypatch) as folder:
        monkeypatch.chdir(tmp_path)
        yield folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the libraries that stand in lie for several tests, and what is kept of them."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def known_standins(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same libraries, of which is known what they offer once a test has asked."""
    with _offered(shared, monkeypatch):
        monkeypatch.chdir(tmp_path)
        yield


@contextmanager
def _offered(where: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = where / "standins"
    if not folder.exists():
        shutil.copytree(Path(__file__).parent / "standins", folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(where / "cache"))
    with _fresh():
        yield folder


@pytest.fixture
def missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No library, whether it is installed or not."""
    monkeypatch.setattr(library.util, "find_spec", lambda name: None)
    with _fresh():
        yield


@contextmanager
def _fresh() -> Iterator[None]:
    """Let nothing that was found of libraries, or is found meanwhile, be known after."""
    kept = {name: sys.modules.pop(name) for name in [*sys.modules] if _is_of_library(name)}
    listing.listing_of.cache_clear()
    catalogue.forget()
    try:
        yield
    finally:
        for name in [*sys.modules]:
            if _is_of_library(name):
                del sys.modules[name]
        sys.modules.update(kept)
        listing.listing_of.cache_clear()
        catalogue.forget()


def _is_of_library(name: str) -> bool:
    return name.partition(".")[0] in library.LIBRARIES
