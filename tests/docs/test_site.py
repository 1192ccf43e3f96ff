"""The site builds without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

LOADED = re.compile(
    r"""(?:<(?:script|img|iframe|source)\b[^>]*\bsrc|<link\b[^>]*\bhref)=["']?([^"'\s>]+)"""
    r"""|url\(["']?([^"')]+)|@import\s+["']([^"']+)"""
)
"""What a page or a style sheet loads by itself; a link that a reader may follow is none."""


@pytest.mark.slow
def test_the_site_builds_strictly_and_stands_alone(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs the extra docs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    sources = [*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")]
    loaded = {
        target
        for source in sources
        for targets in LOADED.findall(source.read_text("utf-8"))
        for target in targets
    }
    assert len(loaded) > 10
    assert {target for target in loaded if target.startswith(("http:", "https:", "//"))} == set()
