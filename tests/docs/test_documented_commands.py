"""Every command of the documentation is one: archbench takes its words, and runs it where it is
light; the slow tests run them all.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from pages import NEEDS, ROOT, TAKES_MINUTES, Block, every

from archbench.cli.commands import command_line
from archbench.cli.main import run
from archbench.cli.network import NetworkFlags
from archbench.counting.onnx import spec_of
from archbench.papers.suites import read_suite
from archbench.report.data.gate import read_gate
from archbench.zoo import catalogue

SHELL = every("sh", "console")
COMMANDS = {
    shlex.join(words): (block, words)
    for block in SHELL
    for words in block.commands
    if words[0] == "archbench"
}
"""Every archbench command once, with a block that it stands in."""
OTHERS = [(block, words) for block in SHELL for words in block.commands if words[0] != "archbench"]
EXTRA = "the extra {}"
LIGHT = {"list", "compare", "choose", "reproduce"}
"""Commands that take a fraction of a second."""
FLAGS = {field.name for field in fields(NetworkFlags)}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OTHER_TOOLS = {
    "python3 -m venv .venv",
    ". .venv/bin/activate",
    ".venv/bin/python -m pytest",
    "pipx install .",
    "uvx --from . archbench list",
}
"""Commands of other tools that need nothing but their names; .ci/run and test_package run them."""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder that looks like a fresh clone and may be written to."""
    (tmp_path / "results").mkdir()
    for kept in (ROOT / "results").iterdir():
        (tmp_path / "results" / kept.name).symlink_to(kept)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for block in every("toml"):
        if block.title.endswith(".toml"):
            Path(block.title).write_text(block.text, encoding="utf-8")
    yield
    catalogue.forget()


def without_redirection(words: list[str]) -> list[str]:
    return words[: words.index(">")] if ">" in words else words


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("command", COMMANDS)
def test_archbench_takes_the_words_of_a_command(command: str) -> None:
    block, words = COMMANDS[command]
    _, name, *rest = without_redirection(words)
    if name.startswith("-"):
        assert run([name, *rest]) == 0
        return
    parser = command_line([name]).commands[name]
    values = parser.make_context(name, rest).params
    if "backbone" in values and "where" not in values and block.is_run:
        NetworkFlags(**{key: values[key] for key in values.keys() & FLAGS}).resolve()


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize(
    "command",
    [
        command
        for command, (block, words) in COMMANDS.items()
        if block.is_run and (words[1] in LIGHT or "--dry-run" in words) and "--count" not in words
    ],
)
def test_a_light_command_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = without_redirection(shlex.split(command))
    empty = words[1] == "compare" and "--results" not in words
    assert run(words[1:]) == (2 if empty else 0)
    assert empty or capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize(
    "command", [command for command, (block, _) in COMMANDS.items() if block.is_run]
)
def test_a_command_runs(command: str) -> None:
    _, *words = without_redirection(shlex.split(command))
    empty = words[0] == "compare" and "--results" not in words
    assert run(words) in ((2,) if empty else (0, 3) if words[0] == "sweep" else (0,))


@pytest.mark.parametrize(("block", "words"), OTHERS, ids=[" ".join(words) for _, words in OTHERS])
def test_any_other_command_installs_or_is_marked(block: Block, words: list[str]) -> None:
    if not block.is_run:
        return
    for part in shlex.join(words).split(" '&&' "):
        step = shlex.split(part)
        if step[0].endswith("pip"):
            assert step[1] == "install"
            constraints = step[step.index("-c") + 1] if "-c" in step else "constraints.txt"
            assert (ROOT / constraints).is_file()
            named = re.findall(r"\[(.*?)\]", step[-1])
            assert {extra for names in named for extra in names.split(",")} <= EXTRAS.keys()
        elif step[0] == ".venv/bin/archbench":
            assert shlex.join(["archbench", *step[1:]]) in COMMANDS
        else:
            assert " ".join(step) in OTHER_TOOLS


def test_what_cannot_run_anywhere_says_what_it_needs() -> None:
    known = {
        "a GPU",
        "Slurm",
        "a file of yours",
        "a network connection",
        *map(EXTRA.format, EXTRAS),
    }
    assert {block.title for block in SHELL} <= {
        "",
        TAKES_MINUTES,
        *(f"{NEEDS}{what}" for what in known),
    }


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("block", every("console"), ids=lambda block: block.page)
def test_a_console_shows_what_its_command_prints(
    block: Block, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, shown = block.text.partition("\n")
    assert run(shlex.split(first.removeprefix("$ "))[1:]) == 0
    assert capsys.readouterr().out == shown


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("block", [b for b in every("toml") if b.title], ids=lambda b: b.title)
def test_a_file_of_the_documentation_is_a_suite_or_holds_limits(block: Block) -> None:
    file = Path(block.title)
    if "[[network]]" in block.text:
        assert read_gate(file, spec_of).networks
    else:
        assert len(read_suite(file).specs) > 1


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("page", sorted({block.page for block in every("python")}))
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archbench.counting.rules.foreign.registered", {})
    names: dict[str, object] = {"__name__": "__main__"}
    for block in every("python"):
        if block.page == page:
            exec(compile(block.text, page, "exec"), names)
