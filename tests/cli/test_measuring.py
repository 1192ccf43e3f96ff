"""The options that the settings declare: read from a command line and written back to it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.records import Record
from archbench.settings import DEFAULT, QUICK, SETTINGS, Settings
from archbench.zoo import catalogue

Another = Callable[[str], Any]
GIVEN = [name for name, declared in SETTINGS.items() if declared.flag]
GIVEN_TO_ALL = [name for name in GIVEN if not SETTINGS[name].of_one_network]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Settings]:
    """Give the settings that a command line asks to measure with; nothing is measured."""
    monkeypatch.chdir(tmp_path)
    asked: list[Settings] = []

    def stand_in(spec: Any, settings: Settings, *_: Any, **__: Any) -> Record:
        asked.append(settings)
        return Record(spec=spec, settings=settings, status="ok")

    monkeypatch.setattr("archbench.measure.job.supervisor.run_job", stand_in)
    monkeypatch.setattr("archbench.cli.profile.check_asked", lambda *_: None)
    monkeypatch.setattr("archbench.engines.check", lambda *_: None)

    def read(command: str) -> Settings:
        assert run(shlex.split(command)[1:]) == 0
        return asked.pop()

    return read


def command(settings: Settings) -> str:
    return Record(spec=catalogue.resolve("resnet50").spec, settings=settings, status="ok").command()


@pytest.mark.parametrize("protocol", [DEFAULT, QUICK], ids=["default", "quick"])
@pytest.mark.parametrize("name", GIVEN)
def test_a_setting_survives_its_command_line(
    asked: Callable[[str], Settings], name: str, protocol: Settings, another: Another
) -> None:
    settings = replace(protocol, **{name: another(name)})
    assert asked(command(settings)) == settings
    assert command(asked(command(settings))) == command(settings)


def test_all_settings_survive_one_command_line(
    asked: Callable[[str], Settings], another: Another
) -> None:
    everything = {name: another(name) for name in GIVEN} | {"engine": "eager"}
    settings = replace(QUICK, **everything)
    assert asked(command(settings)) == settings


def test_nothing_given_is_the_protocol(asked: Callable[[str], Settings]) -> None:
    assert asked("archbench profile resnet50") == DEFAULT
    assert asked("archbench profile resnet50 --quick") == QUICK


def test_layers_are_measured_with_a_roofline(asked: Callable[[str], Settings]) -> None:
    assert asked("archbench profile resnet50 --layers") == replace(DEFAULT, roofline=True)


@pytest.mark.parametrize(("name", "names"), [("profile", GIVEN), ("sweep", GIVEN_TO_ALL)])
def test_help_shows_every_setting_among_the_protocol(
    name: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    sections = capsys.readouterr().out.split("\n\n")
    (protocol,) = (section for section in sections if section.startswith("Protocol:"))
    shown = {line.split()[0] for line in protocol.splitlines()[1:] if line.startswith("  --")}
    declared = {SETTINGS[name].flag for name in names}
    assert shown & {setting.flag for setting in SETTINGS.values()} == declared
    assert {"--quick", "--no-measure"} <= shown


def test_help_has_a_section_for_each_group(capsys: pytest.CaptureFixture[str]) -> None:
    headings = {}
    for name in ("profile", "sweep", "compare", "list"):
        run([name, "--help"])
        out = capsys.readouterr().out
        headings[name] = [
            line for line in out.splitlines() if line.endswith(":") and line[0] != " "
        ]
    assert headings == {
        "profile": ["Network:", "Protocol:", "Output:", "Every command:"],
        "sweep": ["Network:", "Jobs:", "Protocol:", "Output:", "Every command:"],
        "compare": ["Records:", "Table:", "Output:", "Every command:"],
        "list": ["Arguments:", "Options:", "Output:", "Every command:"],
    }


@pytest.mark.parametrize(
    ("flags", "engine"),
    [
        ("--compile default", "compile"),
        ("--compile max-autotune", "compile:max-autotune"),
        ("--compile none", "eager"),
        ("--compile default --engine compile:default", "compile"),
        ("--engine compile --engine compile:default", "compile"),
    ],
)
def test_a_mode_of_the_compiler_names_an_engine(
    asked: Callable[[str], Settings], flags: str, engine: str
) -> None:
    assert asked(f"archbench profile resnet50 {flags}").engine == engine


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--engine onnxrutnime", "invalid engine 'onnxrutnime' (did you mean onnxruntime?)"),
        ("--engine tpu", "choose from eager, compile, onnxruntime, openvino, tensorrt"),
        ("--engine openvino:fast", "only compile has modes"),
        ("--engine compile:max", "invalid compile mode 'max'"),
        ("--compile defualt", "invalid compile mode 'defualt' (did you mean default?)"),
        ("--compile default --engine openvino", "--compile default means --engine compile"),
        ("--engine eager --engine openvino", "one engine (eager and openvino are given)"),
        ("--engine eager --precision int8", "invalid precision 'int8' for engine eager"),
        ("--engine compile --spin", "engine compile ignores --spin"),
    ],
)
def test_engines_that_are_none_or_several_are_one_line(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["profile", "resnet50", *flags.split()]) == 2
    assert message in capsys.readouterr().err
