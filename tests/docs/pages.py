"""The pages that people read, and the fenced blocks in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "results/README.md"])
FENCE = re.compile(r'```(\w+)(?: title="([^"]*)")?')
NEEDS = "needs "
"""What the title of a block begins with that cannot run just anywhere."""
TAKES_MINUTES = "takes minutes"
"""The title of a block that could, if anybody waited."""


@dataclass(frozen=True)
class Block:
    """A fenced block: the page that it is on, its language, title and text."""

    page: str
    language: str
    title: str
    text: str

    @property
    def is_run(self) -> bool:
        """Whether it can run on any machine, and soon ends."""
        return self.title != TAKES_MINUTES and not self.title.startswith(NEEDS)

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell's block; what a console shows as output is none."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: Path) -> Iterator[Block]:
    """Give the fenced blocks of a page."""
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    name = page.relative_to(ROOT).as_posix()
    for line in lines:
        opened = FENCE.fullmatch(line.strip())
        if opened:
            text = []
            for inner in lines:
                if inner.strip() == "```":
                    break
                text.append(inner)
            yield Block(name, opened[1], opened[2] or "", "\n".join(text) + "\n")


def every(*languages: str) -> list[Block]:
    """Give every block of some languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]
