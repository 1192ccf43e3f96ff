"""What is planned has bounds that are said, and every number that is read is one line where it
cannot be.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from archbench.cli.main import run

DIGITS = "9" * 5000
NUMBERS = [DIGITS, f"-{DIGITS}", "9" * 400, "1e400", "nan", "inf", "0x10"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run what is refused, and give its one line."""
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) < 1100
    return error


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:8])
@pytest.mark.parametrize(
    "arguments",
    [
        "profile mobilenet --size {}",
        "profile mobilenet --classes {}",
        "profile mobilenet --batch {}",
        "profile mobilenet --option width={}",
        "profile mobilenet -d faster-rcnn --proposals {}",
        "profile mobilenet -d ssd{}",
        "profile mobilenet --budget {}",
        "profile mobilenet --seed {}",
        "profile mobilenet --repeats {}",
        "profile mobilenet --device cuda:{}",
        "sweep vovnet/table4 --dry-run --shard 1/{}",
        "sweep vovnet/table4 --dry-run --order-seed {}",
        "sweep vovnet/table4 --dry-run --deadline {}",
        "sweep vovnet/table4 --dry-run --device cuda:{}",
        "plot layers --network mobilenet,classes={}",
        "plot layers --network mobilenet,batch={}",
        "plot layers --network mobilenet,backbone={}",
    ],
)
def test_a_number_that_cannot_be_is_one_line(
    arguments: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(arguments.format(number).split(), capsys)


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ("profile mobilenet --repeats 1000000000", "1000"),
        ("sweep vovnet/table4 --repeats 1000000000", "1000"),
        ("sweep all --repeats 1000", "at most 100,000"),
        ("sweep vovnet/table4 --dry-run --budget 1e308", "at most 1,000,000,000 seconds"),
        ("sweep vovnet/table4 --dry-run --device cpu --deadline 1e10", "at most 1,000,000,000"),
        ("sweep grid.toml --dry-run", "grid.toml: 1,000,000 networks (a suite has at most"),
        ("sweep included.toml --dry-run", "included.toml, include 1: "),
        pytest.param("sweep again.toml --dry-run", "again.toml: ", marks=pytest.mark.slow),
    ],
)
def test_a_plan_that_never_ends_is_refused_before_it_is_made(
    arguments: str, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    thousand = [*range(1, 1001)]
    Path("grid.toml").write_text(
        f'backbone = "mobilenet"\nclasses = {thousand}\nbatch = {thousand}'
    )
    again = '{ suite = "vovnet/table4", batch = [1, 2, 4, 8] }'
    Path("again.toml").write_text(f"include = [{', '.join([again] * 2000)}]")
    Path("included.toml").write_text(
        f'include = [{{ suite = "huang/grid", batch = {thousand} }}, "vovnet/table4"]'
    )
    assert limit in refused(arguments.split(), capsys)
    assert not any(Path("results").glob("*.jsonl"))


def test_the_longest_plan_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "sweep vovnet/table4 --dry-run --device cpu --budget 1e9 --repeats 1000"
    assert run(arguments.split()) == 0
    assert "jobs: " in capsys.readouterr().out
