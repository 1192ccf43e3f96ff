"""A plug-in's table with anything anywhere in it is refused in one line, or is a network."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.spec import UsageError
from archbench.zoo import catalogue
from archbench.zoo.catalogue.family import FOLDERS
from archbench.zoo.catalogue.form import check_table

BACKBONE = {
    "kind": "backbone",
    "builder": "make",
    "source": "a test",
    "input": "64x64",
    "classes": 10,
    "levels": ["c1"],
    "options": {
        "width": {"values": [8, 16], "help": "channels"},
        "depth": {"type": "int", "default": 3, "only": ["own"], "because": "it is short"},
        "stem": {"values": ["a", "b"], "default": {"width": {"8": "a", "else": "b"}}},
    },
    "suffixes": {"x{width}": {"options": {"width": "{width}"}, "levels": ["c1"]}},
    "prefixes": {"wide": {"options": {"width": 16}}},
    "networks": {
        "own": {
            "arguments": {"a": 1},
            "defaults": {"width": 16},
            "aliases": ["mine"],
            "named": ["x16"],
            "pattern": "own-(?P<a>[0-9]+)",
        },
        "other": {"same_as": "own", "options": {"width": 8}},
    },
}
DETECTOR = {
    "builder": "make",
    "source": "a test",
    "input": "64x64",
    "classes": 10,
    "taps": ["c3"],
    "multiple": 2,
    "options": {"width": {"values": [8, 16]}},
    "on": {"resnet": {"sets": {}, "defaults": {"width": 16}, "input": "96x96", "taps": ["c4"]}},
    "networks": {"own": {}},
}
ODD = [True, -1, 10**25, float("nan"), "", "\x1b[31m", "(", [], [1], {}, {"a": 1}, {"a": {"b": 2}}]


def places(table: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return (
            f"{{{', '.join(f'{json.dumps(key)} = {toml(each)}' for key, each in value.items())}}}"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return "nan" if value != value else json.dumps(value)


def written(tmp_path: Path, table: dict[str, Any]) -> Path:
    file = tmp_path / "own.py"
    text = "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in table.items())
    file.write_text(f"ENTRY = {text!r}\n")
    return file


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(catalogue.PLUGIN_FILES, "")
    catalogue.forget()
    yield
    monkeypatch.undo()
    catalogue.forget()


@pytest.mark.parametrize("table", [BACKBONE, DETECTOR], ids=["backbone", "detector"])
def test_anything_anywhere_is_a_network_or_one_line(table: dict[str, Any], tmp_path: Path) -> None:
    from archbench.zoo.catalogue.plugins import read_plugin

    outcomes = set()
    for place in places(table):
        for value in ODD:
            changed = inner = deepcopy(table)
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            try:
                for entry in read_plugin(str(written(tmp_path, changed))):
                    assert min(entry.size) >= 0
                    assert entry.classes >= 0
                outcomes.add("read")
            except UsageError:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("classes",), "x", "Expected int, got str in classes"),
        (("multiple",), [], "Expected int, got array in multiple"),
        (("on", "resnet", "unheard"), 1, "on resnet: no key unheard"),
        (("unheard",), 1, "ENTRY: no key unheard; there are "),
        (("networks", "own", "argument"), {"a": 1}, "own: no key argument; there are "),
        (("options", "width", "onyl"), ["own"], "option width: no key onyl; there are values"),
        (("on", "resnet", "defaults"), {"widht": 8}, "on resnet: own takes no option widht; did"),
        (("networks", "own", "defaults"), {"odd": 8}, "own takes no option odd; there are width"),
        (("networks", "own", "options"), {"odd": 8}, "own takes no option odd; there are width"),
        (("on", "resnet", "defaults", "width"), 3, "invalid option width=3 (choose from 8, 16)"),
        (("on", "resnet", "input"), 1.5, "Expected str, got float"),
        (("options", "width", "help"), 5, "Expected str, got int"),
        (("networks", "own", "aliases"), [1], "Expected str, got int"),
        (("networks", "own", "pattern"), "(", "not a regular expression"),
        (("options", "width", "default"), {"backbone": {"a": 8}}, "no default for `else`"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(
    place: tuple[str, ...],
    value: Any,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = inner = deepcopy(DETECTOR)
    for key in place[:-1]:
        inner = inner[key]  # type: ignore[assignment]
    inner[place[-1]] = value
    assert run(["list", "options", "--plugin", str(written(tmp_path, changed))]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"plug-in {tmp_path}/own.py: " in line
    assert message in line


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "other has the options of own: give it others, or make it an alias"),
        ({"input": "96x96"}, "other has the options of own: "),
        ({"options": {"width": 16}, "input": "96x96"}, "other has the options of own: "),
        ({"options": {"stem": "a"}}, "other has the options of another: "),
        (
            {"options": {"width": 8}, "builder": "make"},
            "other is own with options: it has no build",
        ),
        ({"options": {"width": 8}, "arguments": {"a": 2}}, "it has no arguments of its own"),
        ({"options": {"width": 8}, "defaults": {"depth": 2}}, "it has no defaults of its own"),
        ({"options": {"widht": 8}}, "other takes no option widht; did you mean width?"),
        ({"options": {"width": 9}}, "invalid option width=9 (choose from 8, 16)"),
        ({"same_as": "nobody"}, "other: invalid same_as 'nobody' (a row above it with no same_as)"),
        ({"same_as": "another"}, "other: invalid same_as 'another' (a row above it with no same"),
    ],
)
def test_a_row_that_would_be_another_network_without_a_word_is_refused(
    row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """A past bug: the row it is the same as was built at its own input, whatever this one said."""
    another = {"same_as": "own", "options": {"stem": "a"}}
    rows = {
        "own": {"defaults": {"width": 16}},
        "another": another,
        "other": {"same_as": "own", **row},
    }
    changed = {**BACKBONE, "networks": rows}
    with pytest.raises(UsageError) as refused:
        catalogue.use_plugin(written(tmp_path, changed))
    assert message in str(refused.value)


def test_a_row_that_is_another_with_options_keeps_what_it_says(tmp_path: Path) -> None:
    changed = deepcopy(BACKBONE)
    changed["networks"]["other"]["input"] = "96x96"  # type: ignore[index]
    catalogue.use_plugin(written(tmp_path, changed))
    network = catalogue.resolve("other")
    assert (network.spec.backbone, network.spec.size) == ("other", "96x96")
    assert network.backbone_options["width"] == 8
    assert catalogue.resolve("own", width=8).spec == network.spec


@pytest.mark.parametrize("said", [{}, {"published_only": "no layer list"}])
def test_a_network_without_an_input_is_refused(said: dict[str, str], tmp_path: Path) -> None:
    """Those that are only listed too: a past bug broke `archbench list`."""
    changed = {key: value for key, value in (DETECTOR | said).items() if key != "input"}
    with pytest.raises(UsageError, match="own has no input"):
        catalogue.use_plugin(written(tmp_path, changed))


@pytest.mark.parametrize("file", [f for k in FOLDERS.values() for f in sorted(k.glob("*.toml"))])
def test_a_plug_in_may_say_all_that_the_zoo_s_own_files_say(file: Path) -> None:
    check_table(tomllib.loads(file.read_text(encoding="utf-8")))
