"""Networks in files of a user's own on the command line: measured, in suites, in views."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.records import Store

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICK = ["--device", "cpu", "--quick", "--budget", "0.2"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tiny_detector.py", "tiny_backbone.py"):
        shutil.copy(EXAMPLES / name, name)
    Path("own.toml").write_text(
        'backbone = ["tiny_detector.py:TinyDetector", "resnet18"]\nsize = 64\n', encoding="utf-8"
    )


def record(capsys: Capture) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def edit(old: str, new: str) -> None:
    path = Path("tiny_detector.py")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_a_whole_network_is_measured_as_it_is(capsys: Capture) -> None:
    words = ["profile", "tiny_detector.py:TinyDetector", "-s", "64", "--json", *QUICK]
    assert run(words) == 0
    found = record(capsys)
    measured = found["measured"]
    assert (measured["latency_ms"]["protocol"], measured["latency_ms"]["value"] > 0) == (
        "model",
        True,
    )
    assert (measured["total_ms"]["value"], measured["total_ms"]["reason"]) == (
        None,
        "no_postprocess",
    )
    assert found["spec"]["classes"] is None
    assert found["conditions"]["counted_on"] == "meta"
    assert found["spec"]["options"] == {}
    assert found["conditions"]["options"] == {"width": 1.0}
    assert found["environment"]["code_file"] == str(Path("tiny_detector.py").resolve())


def test_a_change_is_another_network_beside_the_first(capsys: Capture) -> None:
    command = ["profile", "tiny_detector.py:TinyDetector", "-s", "64", "--no-measure", "--json"]
    assert run(command) == 0
    before = record(capsys)
    edit("64, 128)", "64, 129)")
    assert run(command) == 0
    after = record(capsys)
    assert before["spec"]["backbone"] != after["spec"]["backbone"]
    assert run(["profile", before["spec"]["backbone"], "-s", "64", "--no-measure"]) == 2
    assert "has changed: its code is @" in capsys.readouterr().err
    # The newest version is the baseline, and views need no file.
    Path("tiny_detector.py").unlink()
    words = ["--backbone", "./tiny_detector.py:TinyDetector", "--columns", "params"]
    assert run(["compare", "--baseline", "tiny_detector.py:TinyDetector", *words]) == 0
    shown = capsys.readouterr().out
    ratio = before["counted"]["params"] / after["counted"]["params"]
    assert f"{ratio:.3f}" in shown
    assert "1.000" in shown
    assert run(["compare", "--backbone", after["spec"]["backbone"], "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert run(["report", "--out", "page.html"]) == 0
    assert after["spec"]["backbone"] in Path("page.html").read_text(encoding="utf-8")
    assert run([*command[:-1]]) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_suite_runs_code_only_where_that_is_allowed(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    suite = "../own.toml"
    assert run(["sweep", suite, "--no-measure"]) == 2
    error = capsys.readouterr().err
    assert "the code of ../tiny_detector.py:TinyDetector@" in error
    assert "give --allow-code if you trust it" in error
    assert run(["sweep", suite, "--allow-code", "--ray", "local"]) == 2
    assert "--ray cannot send your own code" in capsys.readouterr().err
    assert run(["sweep", suite, "--dry-run", *QUICK]) == 0
    assert "TinyDetector" in capsys.readouterr().out
    assert run(["sweep", suite, "--no-measure", "--allow-code"]) == 0
    first, second = Store("results").read()
    assert (first.spec.origin, second.spec.origin) == ("file", "")
    assert first.environment["code_file"] == str(tmp_path / "tiny_detector.py")
    # What is there is not run again.
    edit_free = ["sweep", suite, "--no-measure", "--allow-code", "--resume"]
    assert run(edit_free) == 0
    assert len(Store("results").read()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny_detector.py:TinyDetector"], "--size"),
        (["tiny_detector.py:TinyDetecter", "-s", "64"], "did you mean TinyDetector?"),
        (["tiny_detector.py:TinyDetector", "-s", "64", "-o", "width=wide"], "(a number)"),
        (["tiny_detector.py:TinyDetector", "-s", "64", "-o", "depth=3"], "takes no option depth"),
        (["tiny_backbone.py:tiny_backbone", "-d", "faster-rcnn-c4"], "cannot be split"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str, capsys: Capture) -> None:
    assert run(["profile", *words, "--no-measure"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
