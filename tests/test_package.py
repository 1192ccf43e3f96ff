"""What is released: the wheel and the source distribution work where they are installed alone, and
the files about the package say the same as it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from archbench import __version__

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "site", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)
CONSTRAINTS = ("-c", str(ROOT / "constraints.txt"))
RUN = (
    ["--version"],
    ["list", "suites"],
    ["count", "mobilenet", "--detector", "ssd300"],
    ["reproduce", "vovnet/table4", "--results", str(ROOT / "results/amd-epyc-2-threads")],
    ["plot", "efficiency", "--source", "paper"],
    ["profile", "mobilenet", "--size", "32", "--quick", "--budget", "1"],
)
"""Commands that read every kind of file that comes with the package."""


def done(*words: str | Path, cwd: Path | None = None) -> str:
    """Run a command that must succeed, and give what it printed."""
    ended = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=cwd)
    assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def environment(folder: Path) -> Path:
    """Make a fresh environment; give the folder of its commands."""
    done(sys.executable, "-m", "venv", folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    commands = environment(folder / "environment")
    done(commands / "pip", "install", "-q", "build")
    done(commands / "python", "-m", "build", "--outdir", folder / "dist", folder / "source")
    (wheel,) = folder.glob("dist/*.whl")
    (sources,) = folder.glob("dist/*.tar.gz")
    return wheel, sources


@pytest.mark.slow
def test_both_distributions_have_every_file_of_the_package(
    distributions: tuple[Path, Path],
) -> None:
    tracked = done("git", "ls-files", "archbench", cwd=ROOT).split()
    wheel, sources = distributions
    with zipfile.ZipFile(wheel) as archive:
        assert set(tracked) <= set(archive.namelist())
    with tarfile.open(sources) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tracked, "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"} <= inside


@pytest.mark.slow
def test_each_distribution_works_where_it_is_installed_alone(
    distributions: tuple[Path, Path], tmp_path: Path
) -> None:
    wheel, sources = distributions
    commands = environment(tmp_path / "environment")
    done(commands / "pip", "install", "-q", *CONSTRAINTS, wheel)
    runs_in(tmp_path / "of the wheel", commands)
    done(commands / "pip", "install", "-q", "--no-deps", "--force-reinstall", sources)
    runs_in(tmp_path / "of the sources", commands)


def runs_in(folder: Path, commands: Path) -> None:
    """Run archbench in a folder of its own, far from its sources."""
    folder.mkdir()
    for words in RUN:
        assert done(commands / "archbench", *words, cwd=folder)
    assert done(commands / "archbench", "--version", cwd=folder) == f"archbench {__version__}\n"
    assert [*folder.glob("results/*.jsonl")]


def test_the_files_about_the_package_agree_with_it() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert len(citation["references"]) == 5
    newest = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert newest.startswith(__version__)


def test_every_extra_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["test"], *extras["docs"]]
    names = {word.split(">")[0].split("[")[0].lower() for word in asked}
    assert names - pinned == set()
