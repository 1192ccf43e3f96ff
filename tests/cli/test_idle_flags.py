"""Flags that would do nothing in a combination are refused, in one line that says what to leave
out.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.settings import DEFAULT, SETTINGS

REFUSED = {
    "profile resnet18 --no-measure --repeats 3": "leave out --repeats or --no-measure",
    "profile resnet18 --no-measure --fold-bn": "leave out --fold-bn or --no-measure",
    "profile resnet18 --no-measure --seed 0 --quick": "leave out --quick and --seed, or",
    "profile resnet18 --no-measure --no-cudnn-benchmark": "leave out --no-cudnn-benchmark or",
    "profile resnet18 --no-measure --weights no.pth": "leave out --weights or --no-measure",
    "sweep vovnet/table4 --no-measure --quick": "leave out --quick or --no-measure",
    "sweep vovnet/table4 --no-measure --repeats 2 --order-seed 0 --ray local": (
        "leave out --repeats, --order-seed and --ray, or --no-measure"
    ),
    "claims --quick": "leave out --quick or give --run",
    "claims --explains --run --no-count": "leave out --run and --no-count",
    "reproduce --count --flagged": "leave out --count and --flagged",
    "compare --group backbone --csv": "leave out --group or --csv",
    "plot layers --x macs": "leave out --x",
    "plot layers --overlay": "leave out --overlay",
    "plot efficiency --y macs --group backbone --log x": "leave out --y, --group and --log",
    "plot efficiency --network vgg16": "leave out --network",
    "plot layers --weights no.pth": "leave out --weights",
    "plot efficiency --markdown": "leave out --markdown or the figure's name",
    "plot --x macs --data": "leave out --x and --data, or name one",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("arguments", REFUSED)
def test_flags_that_would_do_nothing_are_refused(
    arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert REFUSED[arguments] in captured.err
    assert captured.err.count("\n") == 1
    assert not Path("results").exists()


@pytest.mark.parametrize("name", [name for name, declared in SETTINGS.items() if declared.flag])
def test_no_setting_is_given_to_what_only_counts(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value = getattr(DEFAULT, name)
    words = SETTINGS[name].arguments(not value if isinstance(value, bool) else value or 1)
    assert run(["profile", "resnet18", "--no-measure", *words]) == 2
    assert f"leave out {words[0]} or --no-measure" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        "sweep vovnet/section3.2 --no-measure --resume --dry-run --shard 1/2",
        "profile mobilenet --train --batch 2 --no-measure",
        "plot --markdown",
        "reproduce --markdown",
    ],
)
def test_flags_that_do_something_are_taken(arguments: str) -> None:
    assert run(arguments.split()) == 0
