"""`archbench plot` from outside: files, messages, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.records import Metric, Record, Store
from archbench.spec import Settings
from archbench.zoo import registry


def store_one(folder: Path) -> None:
    """Put a measured record of VoVNet's Table 4 in a folder."""
    measured = {"latency_ms": Metric(300.0, "ms"), "fps": Metric(3.3, "images/s"), "gmacs_per_s": Metric(108.0, "1e9/s")}
    spec = registry.resolve("vovnet39", "refinedet320")
    Store(folder).append(Record(spec=spec, settings=Settings(), status="ok", measured=measured, environment={"device_name": "Example CPU"}))


def test_the_paper_s_figures_need_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "here"
    assert run(["plot", "efficiency", "--source", "paper", "--out", str(out)]) == 0
    names = ["efficiency-voc.png", "efficiency-voc.svg", "efficiency-coco.png", "efficiency-coco.svg"]
    assert capsys.readouterr().out.splitlines() == [str(out / name) for name in names]
    assert (out / names[0]).read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / names[3]).read_text()


def test_from_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    store_one(tmp_path / "results")
    assert run(["plot", "efficiency"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["plots/efficiency-coco.png", "plots/efficiency-coco.svg"]
    assert captured.err.startswith("efficiency-voc: not drawn, ")


def test_nothing_to_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["plot", "efficiency"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "archbench profile resnet50-v1 --detector refinedet --size 320x320 --classes 80\n" in captured.err
    assert captured.err.endswith("error: nothing was drawn: there is no measured point; --source paper draws the published figures\n")
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eficiency"], "error: no plot is called 'eficiency'; did you mean efficiency?\n"),
        (["pie"], "error: no plot is called 'pie'; there are efficiency\n"),
        (["efficiency", "--source", "papr"], "error: no source is called 'papr'; did you mean paper?\n"),
    ],
)
def test_unknown_words(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plot", *arguments]) == 2
    assert capsys.readouterr().err == message


def test_a_results_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plot", "efficiency", "--results", str(tmp_path / "nowhere")]) == 2
    assert "there is no results folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["plot", "efficiency", "--source", "paper", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith(f"error: folder {tmp_path / 'file'} cannot be written: ")


def test_no_torch_pandas_or_pyplot_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        f"code = run(['plot', 'efficiency', '--source', 'paper', '--out', {str(tmp_path)!r}]); "
        "print(code, sorted({'torch', 'pandas', 'matplotlib.pyplot'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "0 []\n"
