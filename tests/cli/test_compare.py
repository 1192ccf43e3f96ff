"""`archbench compare` from outside: output, exit codes, broken and missing folders."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.reasons import Status
from archbench.records import Metric, Record, Store
from archbench.report.data.rows import COLUMNS
from archbench.settings import Settings
from archbench.zoo import catalogue


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one measured record."""
    folder = tmp_path / "results"
    record = Record(
        spec=catalogue.resolve("vovnet39", "refinedet320").spec,
        settings=Settings(),
        status=Status.OK,
        counted={
            "params": 56283844,
            "macs": 32626201600,
            "paper_flops": 32655481600,
            "mac_eq1": 122084061,
        },
        measured={"latency_ms": Metric(20.0, "ms"), "fps": Metric(50.0, "images/s")},
        environment={"device": "cuda:0", "device_name": "Example GPU"},
    )
    Store(folder).append(record)
    return folder


def test_the_table(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Example GPU, fp32, contiguous"
    assert "vovnet39 + refinedet320   56.28     32.626   122.08    20.00  50.00  33.5" in lines
    assert max(map(len, lines)) <= 80


def test_an_approximate_network_says_so(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for backbone in ("csp-peleenet", "csp-peleenet-g25"):
        Store(results).append(
            Record(
                spec=catalogue.resolve(backbone).spec,
                settings=None,
                status=Status.OK,
                counted={"params": 1},
            )
        )
    assert run(["compare", "--results", str(results)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "csp-peleenet, csp-peleenet-g25 are approximate: fitted to CSPNet's Table 1" in out


def test_csv(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["params"], row["fps"], row["published_fps"], row["energy_per_image_j"]) == (
        "56283844",
        "50.0",
        "25.0",
        "",
    )


def test_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row.keys() == {*COLUMNS, "missing", "published"}
    assert row["energy_per_image_j"] is None


def test_markdown(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--markdown"]) == 0
    assert "| vovnet39 + refinedet320 | 56.28 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "expected"),
    [([], ""), (["--csv"], ",".join(COLUMNS) + "\n"), (["--json"], "[]\n"), (["--markdown"], "")],
)
def test_no_records(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["compare", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == expected
    assert (
        captured.err == "no records in results; to create one: archbench profile vovnet39 "
        "--detector refinedet320\n"
    )


def test_nothing_to_show_ends_as_nothing_to_draw_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["compare"]) == run(["plot", "proposals"]) == run(["report"]) == 2


def test_records_that_are_all_skipped_are_warned_of_and_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text("[]\n")
    assert run(["compare", "--results", str(tmp_path)]) == 0
    assert "a.jsonl:1: skipped" in capsys.readouterr().err


def test_a_folder_that_was_named_and_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "--results", str(tmp_path / "nowhere")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: no results folder")


def test_one_format_at_a_time(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--csv", "--json"]) == 2
    assert (
        capsys.readouterr().err
        == "error: --csv, --json, --markdown and --latex are mutually exclusive: give one of them\n"
    )


def test_a_torn_line_is_told_of_and_skipped(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = results.glob("*.jsonl")
    with path.open("a") as file:
        file.write('{"schema_version": 1, "spec')
    assert run(["compare", "--results", str(results), "--csv"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 2
    assert f"{path}:2: skipped" in captured.err


def test_no_torch_pandas_or_matplotlib_is_loaded(results: Path) -> None:
    code = (
        "import sys; from archbench.cli.main import run; "
        f"run(['compare', '--results', {str(results)!r}, '--csv']); "
        "print(sorted({'torch', 'pandas', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "\x1b" not in done.stdout


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A results folder with networks on two devices, one of them measured three times and one at
    another batch.
    """
    folder = tmp_path / "several"
    for name, detector, latency_ms, device, batch in (
        ("vovnet39", "refinedet320", 20.0, "Example GPU", 1),
        ("vovnet39", "refinedet320", 20.2, "Example GPU", 1),
        ("vovnet39", "refinedet320", 20.1, "Example GPU", 1),
        ("resnet50-v1", "refinedet320", 30.0, "Example GPU", 1),
        ("resnet50-v1", "refinedet512", 60.0, "Example GPU", 1),
        ("vovnet39", "refinedet320", 90.0, "Other GPU", 1),
        ("vgg16", None, 5.0, "Example GPU", 8),
    ):
        record = Record(
            spec=catalogue.resolve(name, detector, batch=batch).spec,
            settings=Settings(),
            status=Status.OK,
            counted={"params": 56283844},
            measured={
                "latency_ms": Metric(latency_ms, "ms", spread={"ci95": [latency_ms, latency_ms]})
            },
            environment={"device": "cuda:0", "device_name": device},
        )
        Store(folder).append(record)
    return folder


def rows_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--backbone", "VoVNet-39"], 4),
        (["--backbone", "vovnet39", "--backbone", "vgg16"], 5),
        (["--detector", "refinedet"], 6),
        (["-d", "refinedet512"], 1),
        (["--device", "other"], 1),
        (["--where", "batch=8"], 1),
        (["--where", "detector="], 1),
        (["--where", "latency_ms=20.1", "--where", "device=example gpu"], 1),
        (["--where", "status=oom"], 0),
    ],
)
def test_filters(
    several: Path, capsys: pytest.CaptureFixture[str], filters: list[str], expected: int
) -> None:
    assert run(["compare", "--results", str(several), "--csv", *filters]) == 0
    assert len(rows_of(capsys)) == expected


def test_filters_that_leave_nothing_say_so(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "--results", str(several), "--backbone", "densenet161"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no record matches the filters (records read: 7)\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--backbone", "vovnett39"], "unknown backbone 'vovnett39'; did you mean vovnet39"),
        (["--where", "latencies=3"], "unknown column 'latencies'; did you mean latency_ms"),
        (["--where", "latency<3MB"], "invalid --where latency<3MB: invalid unit 'MB'"),
        (["--where", "device<z"], "invalid --where device<z (device is text: use = or !=)"),
        (["--pareto", "macs"], "invalid --pareto macs (two or more figures"),
        (["--pareto", "macs,batch"], "invalid --pareto batch (a figure"),
        (["--dataset", "coco-test"], "unknown data set 'coco-test' (did you mean coco-"),
        (["--where", "batch"], "invalid --where batch (COLUMN=VALUE, such as precision=fp16"),
        (["--where", "batch=two"], "invalid --where batch=two: invalid batch 'two'"),
        (["--sort", "speed"], "unknown column 'speed'; archbench list columns shows them all"),
        (["--columns", "fps,params_m"], "unknown column 'params_m'; did you mean params"),
        (["--baseline", "vgg19"], "unknown baseline 'vgg19'"),
        (["--force"], "--force needs --baseline"),
    ],
)
def test_bad_input_is_one_line(
    several: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert run(["compare", "--results", str(several), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {expected}")
    assert captured.err.count("\n") == 1


def test_repeats_are_one_line_of_the_table_and_a_row_each_of_the_csv(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "--results", str(several), "--device", "example"]) == 0
    out = capsys.readouterr().out
    assert out.count("vovnet39 + refinedet320  ") == 1
    assert "20.10" in out
    assert (
        "Medians of 3 processes, and their range in ms: vovnet39 + refinedet320 20.00 to\n20.20"
        in out
    )


def test_order(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(several), "--csv", "--sort", "-latency_ms"]) == 0
    times = [float(row["latency_ms"]) for row in rows_of(capsys)]
    assert times == sorted(times, reverse=True)


def test_groups_and_columns(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--group",
        "detector",
        "--columns",
        "latency_ms,params,batch",
        "--device",
        "example",
    ]
    assert run(["compare", "--results", str(several), *arguments]) == 0
    out = capsys.readouterr().out
    assert "Example GPU, fp32, contiguous, detector refinedet\n" in out
    assert "Example GPU, fp32, contiguous, detector -\n" in out
    assert "network                     latency_ms      params  batch\n" in out
    assert max(map(len, out.splitlines())) <= 80


def test_many_columns_are_several_parts(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(several), "--columns", ",".join(COLUMNS)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_chosen_columns_of_the_stable_formats(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["compare", "--results", str(several), "--csv", "--columns", "backbone,latency_ms"])
        == 0
    )
    assert capsys.readouterr().out.splitlines()[:2] == ["backbone,latency_ms", "vovnet39,20.0"]
    assert run(["compare", "--results", str(several), "--json", "--columns", "backbone"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {"backbone": "vovnet39"}


def test_a_baseline(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--baseline",
        "resnet50-v1+refinedet320",
        "--columns",
        "latency_ms",
        "--device",
        "example",
    ]
    assert run(["compare", "--results", str(several), *arguments]) == 0
    out = capsys.readouterr().out
    assert "vovnet39 + refinedet320             20.1  0.670  0.67-0.67 less\n" in out
    assert "not comparable, input (512x512, 320x320): resnet50-v1 + refinedet512" in out


def test_a_baseline_in_the_csv(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--csv",
        "--baseline",
        "resnet50-v1+refinedet320",
        "--columns",
        "latency_ms",
        "--device",
        "example",
    ]
    assert run(["compare", "--results", str(several), *arguments]) == 0
    first, *_, last = rows_of(capsys)
    assert list(first) == ["latency_ms", "baseline", "not_comparable", "ratio_latency_ms"]
    assert float(first["ratio_latency_ms"]) == pytest.approx(20 / 30)
    assert (last["not_comparable"], last["ratio_latency_ms"]) == (
        "batch (8, 1); input (224x224, 320x320)",
        "",
    )


def test_what_is_not_comparable_is_refused_and_forced(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "compare",
        "--results",
        str(several),
        "--baseline",
        "vgg16",
        "--columns",
        "latency_ms",
    ]
    assert run(arguments) == 2
    assert (
        "nothing is comparable with vgg16, 224x224, batch 8; differing or flagged: batch (1, 8); "
        "input" in capsys.readouterr().err
    )
    assert run([*arguments, "--force"]) == 0
    assert "4.020!" in capsys.readouterr().out


def test_several_folders_have_a_record_once(
    results: Path, several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--results", str(several), "--results", str(results), "--results", str(several)]
    assert run(["compare", "--csv", *arguments]) == 0
    assert len(rows_of(capsys)) == 8


def test_latex(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--results", str(results), "--latex"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("\\begin{table}")
    assert "vovnet39 + refinedet320 & 56.28 & 32.626" in out


def test_of_many_repeats_the_widest_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side in range(2, 12):
        for latency_ms in (20.0, 20.0 + side / 100):
            record = Record(
                spec=catalogue.resolve("vovnet39", "refinedet", size=64 * side).spec,
                settings=Settings(),
                status=Status.OK,
                measured={"latency_ms": Metric(latency_ms, "ms")},
                environment={"device": "cuda:0", "device_name": "Example GPU"},
            )
            Store(tmp_path).append(record)
    assert run(["compare", "--results", str(tmp_path)]) == 0
    assert (
        "Medians of 2 processes; furthest apart, in ms: vovnet39 + refinedet704 20.00 to"
        in capsys.readouterr().out
    )


def decided_ones(folder: Path) -> Path:
    """A results folder with total times: two that cannot be told apart, a better one, a worse."""
    for name, total_ms in (
        ("resnet50-v1", 20.0),
        ("vovnet39", 20.1),
        ("vovnet57", 30.0),
        ("densenet201", 40.0),
    ):
        times = {
            word: Metric(value, "ms", spread={"ci95": [0.99 * value, 1.01 * value]})
            for word, value in (("latency_ms", total_ms - 1), ("total_ms", total_ms))
        }
        record = Record(
            spec=catalogue.resolve(name, "refinedet320").spec,
            settings=Settings(),
            status=Status.OK,
            counted={"params": 56283844},
            measured=times,
            environment={"device": "cuda:0", "device_name": "Example GPU"},
        )
        Store(folder).append(record)
    return folder


def test_the_table_says_what_is_tied_and_what_is_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "--results", str(decided_ones(tmp_path))]) == 0
    cells = [line.split() for line in capsys.readouterr().out.splitlines() if "20  " in line]
    assert [(row[0], row[6], row[-1]) for row in cells] == [
        ("resnet50-v1", "20.00", "F"),
        ("vovnet39", "20.10=", "F"),
        ("vovnet57", "30.00", "F"),
        ("densenet201", "40.0", "32.5"),
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--where", "latency<=30ms and ap>33"], {"vovnet39", "vovnet57"}),
        (["--where", "params>1G"], set()),
        (["--top", "2"], {"resnet50-v1", "vovnet39"}),
        (["--top", "1", "--sort=-accuracy"], {"vovnet57"}),
        (["--pareto", "ap,latency"], {"resnet50-v1", "vovnet39", "vovnet57"}),
        (["--pareto", "ap,params"], {"vovnet57"}),
        (["--pareto", "params,forward"], {"resnet50-v1", "vovnet39"}),
    ],
)
def test_fewer_by_how_they_stand_to_one_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], expected: set[str]
) -> None:
    assert run(["compare", "--results", str(decided_ones(tmp_path)), "--csv", *flags]) == 0
    assert {row["backbone"] for row in rows_of(capsys)} == expected
