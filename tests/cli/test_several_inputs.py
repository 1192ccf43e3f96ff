"""`archbench profile` at several inputs and batches: their order, failures, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archbench.cli.main import run
from archbench.measure.job import counting
from archbench.measure.job.supervisor import RefusedError
from archbench.reasons import Reason, Status
from archbench.records import Cause, Metric, Record, Store
from archbench.settings import Settings
from archbench.spec import Spec

OOM = Cause(Reason.OUT_OF_MEMORY, "latency", "no memory is left")
Ends = dict[int, Status | Exception]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ends], list[Spec]]:
    """Stand in for the jobs: a batch takes 10 ms per image, or ends as it is told to."""

    def jobs_that(ends: Ends) -> list[Spec]:
        asked: list[Spec] = []

        def job(spec: Spec, settings: Settings, store: Store, **_: Any) -> Record:
            asked.append(spec)
            status = ends.get(spec.batch, Status.OK)
            time = Metric(10.0 * spec.batch, "ms", "host clock", "model")
            environment = {"device": "cpu", "device_name": "Example CPU", "threads": 2}
            record = Record(spec, settings, Status.OK, environment=environment)
            if status is Status.OK:
                return store.append(replace(record, measured={"latency_ms": time}))
            if isinstance(status, Exception):
                raise status
            return store.append(replace(record, status=status, reason=OOM))

        monkeypatch.setattr("archbench.measure.job.supervisor.run_job", job)
        return asked

    return jobs_that


def profile(*words: str) -> int:
    return run(["profile", "mobilenet", "--quick", "--device", "cpu", *words])


def refusal(phase: str) -> RefusedError:
    spec = Spec("mobilenet", None, 224, 224, 1000, batch=2)
    cause = Cause(Reason.REFUSED, phase, "it cannot be so")
    return RefusedError(Record(spec, Settings(), Status.ERROR, reason=cause))


def test_each_input_and_batch_is_a_record_in_their_order(
    jobs: Callable[[Ends], list[Spec]], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = jobs({})
    assert profile("--size", "320x160, 64", "--batch", "4,1,4") == 0
    order = [("320x160", 4), ("320x160", 1), ("64x64", 4), ("64x64", 1)]
    assert [(spec.size, spec.batch) for spec in asked] == order
    assert [(each.spec.size, each.spec.batch) for each in Store("results").read()] == order
    captured = capsys.readouterr()
    rows = [line.rsplit(maxsplit=2) for line in captured.out.splitlines()[3:]]
    assert rows == [
        ["mobilenet, 320x160, batch 4", "40.00", "100.00"],
        ["mobilenet, 320x160", "10.00", "100.00"],
        ["mobilenet, 64x64, batch 4", "40.00", "100.00"],
        ["mobilenet, 64x64", "10.00", "100.00"],
    ]
    assert "2 of 4: mobilenet, 320x160, 1000 classes\n" in captured.err


def test_json_is_a_list_of_records(
    jobs: Callable[[Ends], list[Spec]], capsys: pytest.CaptureFixture[str]
) -> None:
    jobs({})
    assert profile("--batch", "1,2", "--repeats", "2", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["spec"]["batch"] for record in records] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ({2: Status.OOM}, 3),
        ({1: Status.OOM, 2: Status.ERROR, 4: Status.OOM}, 1),
        ({2: refusal("build")}, 3),
    ],
)
def test_what_fails_is_a_record_and_the_others_follow(
    jobs: Callable[[Ends], list[Spec]],
    capsys: pytest.CaptureFixture[str],
    ends: Ends,
    code: int,
) -> None:
    asked = jobs(ends)
    assert profile("--batch", "1,2,4") == code
    assert [spec.batch for spec in asked] == [1, 2, 4]
    assert sorted(record.spec.batch for record in Store("results").read()) == [1, 2, 4]
    assert "mobilenet, 224x224, batch 2" in capsys.readouterr().out


def test_an_interruption_ends_them_all(jobs: Callable[[Ends], list[Spec]]) -> None:
    asked = jobs({2: Status.INTERRUPTED})
    assert profile("--batch", "1,2,4") == 130
    assert [spec.batch for spec in asked] == [1, 2]


def test_an_interruption_while_they_are_counted_keeps_those_that_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A past bug: the exit code was 0."""
    count = counting.count

    def interrupted(spec: Spec, **asked: Any) -> Any:
        if spec.width == 64:
            raise KeyboardInterrupt
        return count(spec, **asked)

    monkeypatch.setattr("archbench.measure.sweep.queues.count_network", interrupted)
    assert run(["count", "mobilenet", "--size", "32,64,96"]) == 130
    assert [record.spec.width for record in Store("results").read()] == [32]
    assert "mobilenet, 32x32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("endings", "code"), [((Status.ERROR, Status.INTERRUPTED), 130), ((Status.OOM,) * 3, 1)]
)
def test_repeats_that_did_not_end_well_have_no_median(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    endings: tuple[Status, ...],
    code: int,
) -> None:
    """A past bug: an interruption after a failure exited with 1, and the table of the failed
    process was called the median one.
    """
    left = iter(endings)

    def job(spec: Spec, settings: Settings, store: Store, **_: Any) -> Record:
        time = Metric(10.0, "ms", "host clock", "model")
        record = Record(spec, settings, next(left), OOM, measured={"latency_ms": time})
        return store.append(record)

    monkeypatch.setattr("archbench.measure.job.supervisor.run_job", job)
    assert profile("--repeats", "3") == code
    assert "the median one" not in capsys.readouterr().out


def test_padding_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["count", "resnet18", "-d", "mask-rcnn-fpn", "--size", "96,100", "--batch", "1,2"]) == 0
    )
    assert capsys.readouterr().err.count("mask-rcnn-fpn pads images: the input is") == 1


def test_a_device_that_cannot_is_one_line(
    jobs: Callable[[Ends], list[Spec]], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = jobs({1: refusal("preflight")})
    assert profile("--batch", "1,2") == 2
    assert capsys.readouterr().err.endswith("error: it cannot be so\n")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--batch", "1,two"], "invalid batch 'two' (a whole number, or several: 1,2,4,8)"),
        (["--batch", "1,,2"], "invalid batch '1,,2' (one value, or several separated by commas)"),
        (["--batch", ""], "invalid batch ''"),
        (["--batch", "1,0"], "invalid batch 0 (1 or more"),
        (["--size", "64,0"], "invalid size 0x0 (sides of at least 1 pixel)"),
        (["--size", "64,12.5"], "invalid size '12.5' (a side, 320, or WIDTHxHEIGHT"),
        (["--batch", "1,2", "--layers"], "several inputs or batches are given: leave out"),
    ],
)
def test_bad_values_are_refused_before_anything_runs(
    jobs: Callable[[Ends], list[Spec]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    asked = jobs({})
    assert profile(*words) == 2
    assert says in capsys.readouterr().err
    assert asked == []
    assert not Path("results").exists()


def test_several_inputs_are_counted_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["count", "mobilenet", "--size", "64,128"]) == 0
    rows = [line.split()[-2:] for line in capsys.readouterr().out.splitlines()[3:]]
    assert rows == [["4.23", "0.047"], ["4.23", "0.186"]]
    assert [record.spec.width for record in Store("results").read()] == [64, 128]


def test_profile_ends_with_the_ids_and_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["count", "mobilenet", "--size", "32,64"]) == 0
    (path,) = Path("results").glob("*.jsonl")
    first, second = (record.record_id for record in Store("results").read())
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"records {first}, {second} in {path}"
    assert run(["count", "mobilenet", "--size", "32", "--json"]) == 0
    captured = capsys.readouterr()
    newest = json.loads(captured.out)["record_id"]
    assert captured.err.splitlines()[-1] == f"record {newest} in {path}"
    assert run(["compare", "--baseline", newest[:8], "--csv"]) == 0
    assert run(["compare", "--baseline", "last"]) == 0


def test_an_engine_that_cannot_is_told_before_anything_runs(
    jobs: Callable[[Ends], list[Spec]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A past bug: one batch was refused so, and several were as many records of failures."""
    asked = jobs({})
    words = ["--engine", "onnxruntime", "--precision", "bf16", "--batch"]
    for batches in ("1", "1,2"):
        assert profile(*words, batches) == 2
        assert "invalid precision 'bf16' for engine onnxruntime" in capsys.readouterr().err
    assert asked == []
    assert not Path("results").exists()
