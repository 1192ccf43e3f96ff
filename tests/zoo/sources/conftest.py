"""A folder of a user's own, with a network in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

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
