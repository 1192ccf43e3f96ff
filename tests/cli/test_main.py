"""The command as a process: streams that are closed or take no characters, interruptions while it
loads.
"""

from __future__ import annotations

import errno
import inspect
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.cli.commands import COMMANDS, function
from archbench.cli.main import run
from archbench.records import Store

MAIN = "from archbench.cli.main import main; main()"
HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""Jobs that a shell starts in the background ignore interruptions, and so would the command."""
INTERRUPTED_BY = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ended(arguments: str, *, setup: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, so that arguments may redirect."""
    words = shlex.join([sys.executable, "-c", HEARING + setup + MAIN])
    return subprocess.run(["bash", "-c", f"{words} {arguments}"], capture_output=True, text=True)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_runs_without_its_streams(closed: str) -> None:
    done = ended(f"list {closed}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_job_is_measured_without_any_stream() -> None:
    done = ended("profile mobilenet --size 32 --quick --budget 0.2 <&- >&- 2>&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert [record.status for record in Store("results").read()] == ["ok"]


def test_nobody_reads_the_progress_of_a_count() -> None:
    done = ended("sweep vovnet/section3.2 --no-measure 2> >(exit 0)")
    assert done.returncode == 0
    assert len(Store("results").read()) == done.stdout.count("32x32")


@pytest.mark.parametrize(
    ("arguments", "code"), [("list > /dev/full", 1), ("list nothing 2> /dev/full", 2)]
)
def test_a_full_disk_takes_no_output_and_changes_no_other_code(arguments: str, code: int) -> None:
    done = ended(arguments)
    assert done.returncode == code
    assert done.stderr.splitlines()[1:] == []


def test_what_an_encoding_lacks_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = ended("claims vovnet --no-count")
    assert done.returncode == 0
    assert r"\xb1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        ("list", "archbench.cli.streams"),
        ("list", "typer"),
        ("list", "archbench.cli.list"),
        ("profile resnet18 --no-measure", "numpy"),
        ("profile resnet18 --no-measure", "torch"),
        ("plot efficiency --source paper", "matplotlib"),
    ],
)
def test_an_interruption_while_modules_load_is_no_traceback(arguments: str, module: str) -> None:
    done = ended(arguments, setup=INTERRUPTED_BY.format(module=module))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert not Path("results").exists() or Store("results").read() == []


def test_an_interruption_that_a_callback_swallows_is_not_lost() -> None:
    setup = """
import os, signal, sys
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
class Finder:
    def find_spec(self, name, *_):
        if name == "archbench.cli.list":
            Dying()
sys.meta_path.insert(0, Finder())
"""
    done = ended("list", setup=setup)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interruption_is_left_to_who_ignores_it() -> None:
    setup = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    done = ended("list", setup=f"{setup}\n{INTERRUPTED_BY.format(module='typer')}\n")
    assert done.returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_with_what_its_help_begins_with(name: str) -> None:
    assert (
        " ".join((inspect.getdoc(function(name)) or "").partition("\n\n")[0].split())
        == (COMMANDS[name])
    )


def test_an_error_of_the_system_names_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a folder/file")

    monkeypatch.setattr("archbench.cli.list.print_tables", refuse)
    assert run(["list"]) == 1
    assert capsys.readouterr().err == "error: a folder/file: Permission denied\n"


def test_a_command_fails_though_nobody_reads_what_it_says(tmp_path: Path) -> None:
    """A past bug: the exit code of a command whose reader had gone was 0."""
    assert ended(f"records --json --results {tmp_path} > >(exec true)").returncode == 2
