"""`archbench plot` from outside: files, messages, exit codes."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.reasons import Status
from archbench.records import Metric, Record, Store
from archbench.settings import Settings
from archbench.zoo import catalogue


def store_one(folder: Path) -> None:
    """Put a measured record of VoVNet's Table 4 in a folder."""
    measured = {
        "latency_ms": Metric(300.0, "ms"),
        "fps": Metric(3.3, "images/s"),
        "gmacs_per_s": Metric(108.0, "1e9/s"),
    }
    spec = catalogue.resolve("vovnet39", "refinedet320").spec
    environment = {"device_name": "Example CPU"}
    Store(folder).append(
        Record(
            spec=spec,
            settings=Settings(),
            status=Status.OK,
            measured=measured,
            counted={"macs": 1},
            environment=environment,
        )
    )


def rows_of(name: str) -> list[dict[str, str]]:
    """The data that were written beside a picture."""
    with Path(f"plots/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_paper_s_figures_need_no_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "here"
    assert run(["plot", "efficiency", "--source", "paper", "--out", str(out)]) == 0
    names = [
        "efficiency-voc-paper.png",
        "efficiency-voc-paper.svg",
        "efficiency-coco-paper.png",
        "efficiency-coco-paper.svg",
    ]
    assert capsys.readouterr().out.splitlines() == [str(out / name) for name in names]
    assert (out / names[0]).read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / names[3]).read_text()


def test_from_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_one(tmp_path / "results")
    assert run(["plot", "efficiency"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["plots/efficiency-coco.png", "plots/efficiency-coco.svg"]
    assert captured.err.startswith("efficiency-voc: not drawn, ")


def test_nothing_to_draw_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plot", "proposals"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err
        == "proposals: not drawn, no record of its networks has these figures; archbench sweep "
        "huang/figure6a measures them\n"
    )
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize(
    "name",
    [
        "extractor-accuracy",
        "object-size",
        "resolution",
        "overlap",
        "roofline",
        "explains",
        "aggregation",
    ],
)
def test_what_cannot_be_drawn_says_why(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = [] if name == "aggregation" else ["--source", "paper"]
    assert run(["plot", name, *source]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"{name}: not drawn, ")


def test_all_draws_what_can_be_drawn_and_says_of_the_others_why_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        run(["plot", "all", "--source", "paper", "--network", "osa-5x43", "--out", "figures"]) == 0
    )
    captured = capsys.readouterr()
    drawn = {Path(line).stem for line in captured.out.splitlines()}
    assert {
        "efficiency-voc-paper",
        "efficiency-coco-paper",
        "csp-overview-paper",
        "fusion-paper",
        "layers",
        "layer-io",
        "training-cost-paper",
        "trade-off-paper",
    } == drawn
    assert {line.split(":")[0] for line in captured.err.splitlines()} >= {
        "overlap",
        "proposals",
        "roofline",
        "aggregation",
    }


def test_the_data_and_the_caption_of_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plot", "training-cost", "--source", "paper", "--data", "--style", "paper"]) == 0
    names = [f"training-cost-paper.{ending}" for ending in ("png", "svg", "csv", "txt")]
    assert capsys.readouterr().out.splitlines() == [f"plots/{name}" for name in names]
    rows = rows_of("training-cost-paper")
    assert [row["y"] for row in rows if row["label"] == "DSNet50"] == ["4777", "0.37"]
    assert (
        Path("plots/training-cost-paper.txt")
        .read_text()
        .startswith("Cost of a training step, after DSNet's Table 9; as published. ")
    )


def test_both_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_one(tmp_path / "results")
    assert run(["plot", "efficiency", "--overlay", "--data"]) == 0
    rows = rows_of("efficiency-coco-overlay")
    assert {row["origin"] for row in rows} == {"ours", "paper"}


def test_layers_are_counted_as_they_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            [
                "plot",
                "layers",
                "--network",
                "osa-5x43",
                "--network",
                "vovnet27-slim+dsod,size=300,classes=20",
                "--data",
            ]
        )
        == 0
    )
    rows = rows_of("layers")
    first = [
        row for row in rows if row["kind"] == "step" and row["colour"].startswith("osa-5x43, 32x32")
    ]
    assert first[0]["label"] == "backbone.stem"
    assert float(first[0]["y"]) == pytest.approx(2e-9 * 32 * 32 * 16 * 3 * 9)


def test_the_largest_layers_are_as_far_apart_as_cspnet_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Section 4.5: CSPPeleeNet-EFM cuts 80 % of PeleeNet-YOLO's bottleneck, and 44 % of
    PeleeNet-PRN's.
    """
    assert run(["plot", "layers", "--data"]) == 0
    yolo, prn, efm = (float(row["y"]) for row in rows_of("layers") if row["kind"] == "guide")
    assert (round(100 * (1 - efm / yolo)), round(100 * (1 - efm / prn))) == (80, 44)


def test_a_checkpoint_s_weights(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    import archbench

    torch.save(archbench.build("osa-5x43").state_dict(), "osa.pth")
    assert (
        run(["plot", "aggregation", "--network", "osa-5x43", "--weights", "osa.pth", "--data"]) == 0
    )
    rows = rows_of("aggregation")
    assert len(rows) == 3 * 6 * 6
    assert {row["panel"] for row in rows} == {"block1", "block2", "block3"}


def test_without_a_name_the_plots_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plot"]) == 0
    listed = capsys.readouterr().out
    assert "efficiency" in listed
    assert max(map(len, listed.splitlines())) <= 80
    assert run(["list", "plots"]) == 0
    assert capsys.readouterr().out == listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eficiency"], "error: unknown plot 'eficiency'; did you mean efficiency?\n"),
        (["pie"], "error: unknown plot 'pie'; archbench plot lists them\n"),
        (
            ["efficiency", "--source", "papr"],
            "error: invalid source 'papr' (choose from records, paper)\n",
        ),
        (
            ["efficiency", "--style", "poster"],
            "error: invalid style 'poster' (choose from screen, paper)\n",
        ),
        (
            ["efficiency", "--source", "paper", "--overlay"],
            "error: --overlay draws both: leave out --source paper\n",
        ),
        (
            ["trade-off", "--x", "latencies"],
            "error: unknown column 'latencies'; did you mean latency_ms",
        ),
        (
            ["layers", "--network", "vovnet39,size"],
            "error: invalid --network vovnet39,size: 'size' is not KEY=VALUE\n",
        ),
        (
            ["layers", "--network", "vovnet93"],
            "error: unknown backbone 'vovnet93'; did you mean ",
        ),
        (
            ["aggregation", "--weights", "no.pth"],
            "error: --weights needs one network: give --network NAME\n",
        ),
        (
            ["aggregation", "--weights", "no.pth", "--network", "densenet40"],
            "error: weights no.pth: no such file\n",
        ),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plot", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_a_results_folder_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plot", "efficiency", "--results", str(tmp_path / "nowhere")]) == 2
    assert "no results folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["plot", "efficiency", "--source", "paper", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith(
        f"error: folder {tmp_path / 'file'} cannot be written: "
    )


def test_no_torch_pandas_or_pyplot_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        f"code = run(['plot', 'training-cost', '--source', 'paper', '--out', {str(tmp_path)!r}]); "
        "print(code, sorted({'torch', 'pandas', 'matplotlib.pyplot'} & set(sys.modules)), "
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"
