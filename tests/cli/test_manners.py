"""What people expect of any command line: short flags, help as wide as the terminal, completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from archbench import __version__
from archbench.cli.commands import COMMANDS
from archbench.cli.formats import table_width
from archbench.cli.live import doing, left_s, live, telling, took
from archbench.cli.main import run
from archbench.cli.messages import Loudness, loudness
from archbench.measure.roofline.probes import SIZES
from archbench.reasons import Status
from archbench.records import Record, Store
from archbench.settings import DEFAULT, QUICK
from archbench.spec import Spec

SPEC = Spec("vgg16", None, 224, 224, classes=1000)
CODE = """
import sys
from archbench.cli.main import run
code = run(sys.argv[1:])
print(code, sorted({"torch", "pandas", "matplotlib"} & sys.modules.keys()), file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def _as_loud_as_before() -> None:
    loudness.set(Loudness.NORMAL)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run([*words]) == 0
    return capsys.readouterr().out


def completed(typed: str, shell: str = "bash") -> list[str]:
    """Ask as a shell does for what could end a line; no heavy module may load for it."""
    words = typed.split(" ")
    asked = {
        "_ARCHBENCH_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    if shell == "bash":
        asked |= {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=os.environ | asked
    )
    assert done.stderr == "0 []\n"
    return done.stdout.split()


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_is_a_letter_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, *words, "-h") == printed(capsys, *words, "--help")


def test_the_version_is_a_letter_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "-V") == f"archbench {__version__}\n"


def test_python_runs_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "archbench", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"archbench {__version__}\n")


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_uses_the_width_it_has(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = {}
    for columns in (80, 120, 400):
        monkeypatch.setenv("COLUMNS", str(columns))
        widths[columns] = max(map(len, printed(capsys, *words, "--help").splitlines()))
    assert widths[80] <= 80 < widths[120] <= 120
    assert widths[400] == widths[120]


@pytest.mark.parametrize(("columns", "width"), [("60", 80), ("100", 100), ("200", 120)])
def test_a_table_uses_the_width_of_a_terminal(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert table_width("") == 80
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert (table_width(""), table_width("markdown")) == (width, None)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_value_in_the_help_is_called_by_what_it_is(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.findall(r"<\w+|\{\w+", printed(capsys, name, "--help")) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["profile"], "Missing argument 'BACKBONE'; see archbench profile --help"),
        (["sweep", "-x"], "No such option: -x; see archbench sweep --help"),
        (["xyz"], "No such command 'xyz'; see archbench --help"),
        (["profil"], "No such command 'profil'. Did you mean 'profile'?"),
    ],
)
def test_a_wrong_command_line_says_where_the_right_one_stands(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert capsys.readouterr().err == f"error: {told}\n"


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_no_summary_is_cut(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = " ".join(printed(capsys, "--help").split())
    assert [name for name, summary in COMMANDS.items() if f" {name} {summary}" not in text] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_names_of_networks(shell: str) -> None:
    found = completed("archbench profile vovnet3", shell)
    assert any("vovnet39" in word for word in found)
    assert not any("resnet50" in word for word in found)


@pytest.mark.parametrize(
    ("typed", "ending"),
    [
        ("archbench prof", "profile"),
        ("archbench count mobilenet --detector ssd3", "ssd300"),
        ("archbench profile mobilenet --prec", "--precision"),
        ("archbench sweep vovnet/tab", "vovnet/table4"),
        ("archbench reproduce vovnet/tab", "vovnet/table4"),
        ("archbench plot eff", "efficiency"),
        ("archbench compare --sort lat", "latency_ms"),
        ("archbench list pai", "pairs"),
        ("archbench profile resnet50 --engine onnx", "onnxruntime"),
    ],
)
def test_what_else_is_completed(typed: str, ending: str) -> None:
    assert ending in completed(typed)


def test_a_shell_learns_to_complete(tmp_path: Path) -> None:
    script = f"""{sys.executable} -c '{CODE}' --install-completion; true"""
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    (installed,) = tmp_path.glob(".bash_completions/archbench.sh")
    assert str(installed) in done.stdout
    assert "complete_bash" in installed.read_text()


@pytest.mark.parametrize(
    ("how_loud", "said"), [(Loudness.QUIET, ""), (Loudness.NORMAL, "counting ...\n")]
)
def test_progress_is_told_once_and_unless_quiet(
    how_loud: Loudness, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loudness.set(how_loud)
    with telling(DEFAULT) as progress:
        progress({"phase": "count"})
        progress({"phase": "count"})
    assert capsys.readouterr().err == said


def test_what_went_wrong_is_told_however_little_is(capsys: pytest.CaptureFixture[str]) -> None:
    loudness.set(Loudness.QUIET)
    with live() as progress:
        progress.line("counted 50 of 100")
        progress.warn("resnet50: error (refused): it cannot be")
    assert capsys.readouterr().err == "resnet50: error (refused): it cannot be\n"


def test_the_time_left_is_that_of_the_phases_to_come() -> None:
    timing = {"phase": "latency", "samples": 5, "elapsed_s": 12.0, "budget_s": 30.0}
    assert doing(timing) == "timing: 5 samples, 12 of at most 30 s"
    assert left_s(timing, DEFAULT) == 30 - 12 + 3 + 10
    assert left_s({"phase": "energy"}, DEFAULT) == 10
    assert left_s({"phase": "roofline"}, replace(DEFAULT, roofline=True)) == SIZES.budget_s
    assert left_s({"phase": "build"}, DEFAULT) is None
    assert left_s({"phase": "memory", "left_s": 4.0}, QUICK) == 4


@pytest.mark.parametrize(
    ("news", "left"), [({"phase": "latency"}, "at most 43 s left"), ({"phase": "build"}, "")]
)
def test_a_terminal_shows_the_time_left(
    news: dict[str, str],
    left: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with telling(DEFAULT) as progress:
        progress(news)
    shown = capsys.readouterr().err
    assert "0:00:00" in shown
    assert left in shown
    assert ("left" in shown) == bool(left)


def test_a_job_s_phases_are_told_with_its_record() -> None:
    record = Record(SPEC, None, Status.OK, phases={"count": 1.25}, record_id="1a")
    assert took(record) == "record 1a: counting 1.2 s"


def test_verbose_says_what_was_read(capsys: pytest.CaptureFixture[str]) -> None:
    Store("results").append(Record(SPEC, None, Status.OK))
    assert run(["-v", "compare"]) == 0
    assert capsys.readouterr().err == "results: records read: 1, from files: 1\n"


def test_quiet_and_verbose_exclude_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "-q", "-v"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_errors_are_said_quietly_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "nothing", "-q"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_where_files_go_is_a_letter_too() -> None:
    assert run(["plot", "efficiency", "--source", "paper", "-o", "here"]) == 0
    assert [*Path("here").glob("*.png")]
