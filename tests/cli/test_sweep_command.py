"""`archbench sweep` from outside: plans, real small jobs, failures, kills, resuming, shards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from archbench.cli.main import run
from archbench.papers.suites import suite
from archbench.records import Record, Store

FAST = ["--quick", "--budget", "0.3", "--threads", "1", "--device", "cpu"]
TWO = 'backbone = "resnet18"\nsize = [32, 64]'
THREE = 'backbone = "resnet18"\nsize = [32, 64, 96]'
HUGE = '{ backbone = "resnet18", batch = 100000000 }'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def own_suite(text: str) -> str:
    Path("mine.toml").write_text(text)
    return "mine.toml"


def started(*arguments: str) -> subprocess.Popen[str]:
    words = [
        sys.executable,
        "-c",
        "from archbench.cli.main import main; main()",
        "sweep",
        *arguments,
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def worker_of(child: subprocess.Popen[str]) -> int:
    """Wait for the worker that a sweep has started; its process id."""
    while child.poll() is None:
        for path in Path(f"/proc/{child.pid}/task").glob("*/children"):
            for pid in path.read_text().split():
                if b"archbench.measure.job.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
        time.sleep(0.02)
    raise AssertionError(child.communicate()[1])


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def records() -> list[Record]:
    return Store("results").read()


def test_a_dry_run_shows_the_networks_the_time_and_what_does_not_build_and_leaves_nothing(capsys):
    assert run(["sweep", "vovnet/table6", "--dry-run"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith(f"{3 * len(suite('vovnet/table6').specs)} jobs: ")
    assert any(line.startswith("vovnet39 + refinedet512 ") for line in lines)
    assert "Estimate: 0 of" in captured.out
    assert max(map(len, lines)) <= 80
    assert not Path("results").exists()


def test_a_dry_run_of_a_count_as_json_is_what_would_be_counted(capsys):
    assert run(["sweep", own_suite(TWO), "--no-measure", "--dry-run", "--json"]) == 0
    commands = json.loads(capsys.readouterr().out)["to_count"]
    assert len(commands) == 2
    assert all(command.startswith("archbench profile ") for command in commands)
    assert not Path("results").exists()


def test_a_dry_run_as_json_is_the_order_of_the_jobs(capsys):
    assert (
        run(
            ["sweep", "vovnet/table4", "--dry-run", "--json", "--repeats", "2", "--order-seed", "5"]
        )
        == 0
    )
    plan = json.loads(capsys.readouterr().out)
    assert Counter(job["command"] for job in plan["jobs"]) == {
        spec.command(): 2 for spec in suite("vovnet/table4").specs
    }
    assert [job["order"] for job in plan["jobs"]] == list(range(1, 13))
    assert {job["order_seed"] for job in plan["jobs"]} == {5}
    assert plan["estimate_s"] > 0


def test_several_suites_are_one_plan_with_each_network_once(capsys):
    run(
        [
            "sweep",
            "vovnet/table4",
            "vovnet/figure4",
            "vovnet/table7",
            "--dry-run",
            "--json",
            "--quick",
        ]
    )
    commands = [job["command"] for job in json.loads(capsys.readouterr().out)["jobs"]]
    assert len(commands) == len(set(commands)) == 10


def planned_engines(capsys: pytest.CaptureFixture[str], *words: str) -> Counter[tuple[str, str]]:
    assert run(["sweep", *words, "--dry-run", "--json", "--repeats", "2"]) == 0
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    return Counter((job["command"].split("--size ")[1].split()[0], job["engine"]) for job in jobs)


def test_each_network_is_planned_once_an_engine(capsys):
    words = [own_suite(TWO), "--engine", "eager", "--engine", "compile", "--engine", "compile"]
    assert planned_engines(capsys, *words) == {
        (size, engine): 2 for size in ("32x32", "64x64") for engine in ("eager", "compile")
    }
    assert run(["sweep", *words, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.count("resnet18") == 4
    assert out.count("compile ") == 2
    assert "0 of 4 network-engine pairs" in out


def test_a_suite_names_its_engines_and_a_flag_others(capsys):
    text = f'engine = ["compile:default", "compile:max-autotune", "compile"]\n{TWO}'
    of_suite = planned_engines(capsys, own_suite(text))
    assert {engine for _, engine in of_suite} == {"compile", "compile:max-autotune"}
    assert {*of_suite.values()} == {2}
    of_flag = planned_engines(capsys, own_suite(text), "--engine", "eager")
    assert {engine for _, engine in of_flag} == {"eager"}


def test_each_engine_takes_the_precisions_that_it_has(capsys):
    engines = ["--engine", "eager", "--engine", "compile"]
    words = ["sweep", own_suite(TWO), *engines, "--dry-run", "--json", "--device", "cpu"]
    assert run([*words, "--precision", "fp32", "--precision", "tf32"]) == 2
    assert capsys.readouterr().err == (
        "error: invalid precision 'tf32': no requested engine supports it (eager, compile)\n"
    )
    assert run([*words, "--precision", "fp32", "--precision", "bf16"]) == 0
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    ways = Counter((job["engine"], job["precision"]) for job in jobs)
    assert ways == {(e, p): 6 for e in ("eager", "compile") for p in ("fp32", "bf16")}


def test_an_engine_of_a_suite_that_is_none_is_one_line(capsys):
    assert run(["sweep", own_suite(f'engine = "onnxrutnime"\n{TWO}'), "--dry-run"]) == 2
    assert capsys.readouterr().err == (
        "error: mine.toml: invalid engine 'onnxrutnime' (did you mean onnxruntime?)\n"
    )


BAD = {
    "an unknown suite": (["vovnet/tabel4"], "did you mean vovnet/table4"),
    "no suite": ([], "SUITE"),
    "an absent file": (["none.toml"], "none.toml cannot be read"),
    "a shard that is none": (["vovnet/table4", "--shard", "2"], "I/N"),
    "a shard beyond the last": (["vovnet/table4", "--shard", "3/2"], "I/N"),
    "a shard zero": (["vovnet/table4", "--shard", "0/2"], "I/N"),
    "no repeats": (["vovnet/table4", "--repeats", "0"], "repeats"),
    "a card that is not there": (["vovnet/table4", "--device", "cuda:99"], "no CUDA device here"),
    "folded norms in training": (["dsnet/table9", "--fold-bn"], "not available for training steps"),
    "a cluster that counts": (["vovnet/table4", "--no-measure", "--ray", "local"], "leave out"),
    "a roofline that is counted": (
        ["vovnet/table4", "--no-measure", "--roofline"],
        "leave out --roofline or --no-measure",
    ),
    "no precision": (["vovnet/table4", "--precision", "fp8"], "fp32, tf32"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_2_and_leaves_no_record(arguments, says, capsys):
    assert run(["sweep", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert records() == []


def test_an_unknown_network_in_a_file_is_one_line_with_the_place(capsys):
    assert (
        run(["sweep", own_suite('include = [{ backbone = "vgg16" }, { backbone = "vgg17" }]')]) == 2
    )
    assert (
        capsys.readouterr().err
        == "error: mine.toml, include 2: unknown backbone 'vgg17'; did you mean vgg16?\n"
    )


def test_a_precision_that_the_device_lacks_ends_the_sweep_with_exit_2(capsys):
    assert run(["sweep", own_suite(TWO), *FAST, "--precision", "tf32"]) == 2
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "error: precision tf32 needs a CUDA device (on a CPU choose from fp32, fp16, bf16)"
    )
    assert records() == []


def test_counting_a_suite_makes_a_record_of_each_network_and_resuming_counts_the_rest(capsys):
    assert run(["sweep", "vovnet/section3.2", "--no-measure"]) == 0
    out = capsys.readouterr().out
    assert "densenet40" in out
    assert max(map(len, out.splitlines())) <= 80
    first = records()
    assert [record.spec for record in first] == list(suite("vovnet/section3.2").specs)
    assert {(record.status, record.settings) for record in first} == {("ok", None)}
    assert len({record.run_id for record in first}) == 1
    assert run(["sweep", "vovnet/section3.2", "vovnet/table1", "--no-measure", "--resume"]) == 0
    assert [record.spec for record in records()] == [
        *suite("vovnet/section3.2").specs,
        *suite("vovnet/table1").specs,
    ]


def test_rows_that_do_not_build_and_networks_that_cannot_be_counted_are_partly_done(capsys):
    assert (
        run(
            [
                "sweep",
                own_suite(
                    'include = "dsod/prose"\nonly = { label = ["DSOD lite", "R-FCN ResNet-50"] }'
                ),
                "--no-measure",
            ]
        )
        == 3
    )
    assert (
        "not built, the paper does not say what its backbone is: DSOD lite"
        in capsys.readouterr().out
    )
    Path("two.toml").write_text(
        'include = [{ backbone = "vgg16", size = 8, options = { fc = "linear" } }, { backbone = '
        '"vgg16" }]'
    )
    assert run(["sweep", "two.toml", "--no-measure", "--json", "--results", "two"]) == 3
    data = json.loads(capsys.readouterr().out)
    assert [record["status"] for record in data["records"]] == ["error", "ok"]
    assert "cannot run" in data["records"][0]["reason"]["message"]


def test_shards_count_together_what_one_process_counts(capsys):
    for index in (1, 2, 3):
        assert (
            run(
                [
                    "sweep",
                    "vovnet/table1",
                    "vovnet/section3.2",
                    "--no-measure",
                    "--shard",
                    f"{index}/3",
                ]
            )
            == 0
        )
    assert Counter(record.spec for record in records()) == Counter(
        [*suite("vovnet/table1").specs, *suite("vovnet/section3.2").specs]
    )


def test_a_sweep_measures_notes_failures_and_runs_nothing_twice(capsys):
    mine = own_suite(f'backbone = "resnet18"\nsize = 32\ninclude = [{HUGE}]')
    assert run(["sweep", mine, *FAST, "--order-seed", "3"]) == 3
    captured = capsys.readouterr()
    assert max(map(len, captured.out.splitlines())) <= 80
    assert "resnet18, 32x32" in captured.out
    assert "oom (out_of_memory)" in captured.out
    found = {record.spec.batch: record for record in records()}
    assert {batch: record.status for batch, record in found.items()} == {
        1: "ok",
        100_000_000: "oom",
    }
    assert len({record.run_id for record in found.values()} - {""}) == 1
    assert sorted(record.conditions["order"] for record in found.values()) == [1, 2]
    assert {record.conditions["order_seed"] for record in found.values()} == {3}
    assert found[1].value("latency_ms") > 0
    assert run(["sweep", mine, *FAST, "--resume", "--json"]) == 3
    captured = capsys.readouterr()
    assert captured.err == "nothing is left to run\n"
    assert {record["status"] for record in json.loads(captured.out)["records"]} == {"ok", "oom"}
    assert len(records()) == 2


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the worker in /proc")
def test_a_killed_worker_is_a_row_an_interruption_ends_in_order_resuming_runs_the_rest():
    mine = own_suite(THREE)
    child = started(mine, *FAST)
    os.kill(worker_of(child), signal.SIGKILL)
    wait_until(records)
    worker_of(child)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert [record.status for record in records()] == ["error", "interrupted"]
    assert records()[0].reason.code == "killed"
    assert "likely the host ran out of memory" in out
    finished = started(mine, *FAST, "--resume")
    finished.communicate(timeout=120)
    assert finished.returncode == 3
    assert Counter(record.status for record in records()) == {"error": 1, "interrupted": 1, "ok": 2}
    assert len({record.spec for record in records() if record.status != "interrupted"}) == 3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the worker in /proc")
def test_a_sweep_that_is_killed_loses_no_record_leaves_nothing_and_repeats_none(monkeypatch):
    temporary = Path("temporary").absolute()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    mine = own_suite(THREE)
    child = started(mine, *FAST, "--repeats", "2")
    wait_until(lambda: len(records()) >= 3)
    worker = worker_of(child)
    child.kill()
    child.communicate()
    wait_until(lambda: not Path(f"/proc/{worker}").exists())
    kept = {record.record_id for record in records()}
    assert len(kept) == 3
    assert list(temporary.glob("archbench-*"))
    assert run(["sweep", mine, *FAST, "--repeats", "2", "--resume"]) == 0
    assert kept < {record.record_id for record in records()}
    assert Counter(Counter(record.spec for record in records()).values()) == {2: 3}
    assert list(temporary.glob("archbench-*")) == []
    named = {record.samples for record in records()}
    assert {f"samples/{path.name}" for path in Path("results/samples").iterdir()} == named


@pytest.mark.slow
def test_two_shards_measure_what_one_process_does():
    mine = own_suite(THREE)
    assert run(["sweep", mine, *FAST, "--results", "whole"]) == 0
    for index in (1, 2):
        assert run(["sweep", mine, *FAST, "--results", "parts", "--shard", f"{index}/2"]) == 0
    whole, parts = (
        Counter((record.spec, record.settings, record.status) for record in Store(name).read())
        for name in ("whole", "parts")
    )
    assert whole == parts
