"""The choice: what is within a budget, the best of it, ties, flags, and what could still win."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archbench.papers.counts import shipped_counts
from archbench.reasons import Flag, Status
from archbench.records import Metric, Record
from archbench.report.data.accuracies import Accuracies, Accuracy, key_of
from archbench.report.data.choice import Asked, Choice, choose
from archbench.report.data.conditions import Condition, bound
from archbench.report.data.contenders import contenders
from archbench.report.tables.choose import _left_out
from archbench.settings import Settings
from archbench.zoo import catalogue

PLACE = {"device": "cpu", "device_name": "Example CPU", "threads": 2}
TIMES = {"resnet50-v1": 60.0, "resnet101-v1": 80.0, "vovnet39": 70.0, "vovnet57": 90.0}
"""Under RefineDet320, AP 30.3, 32.0, 33.5 and 33.9."""


def measured(
    backbone: str,
    total_ms: float | None,
    *,
    detector: str = "refinedet320",
    flags: tuple[Flag, ...] = (),
    memory: float = 1e9,
    **changes: Any,
) -> Record:
    spec = catalogue.resolve(backbone, detector, batch=changes.pop("batch", 1)).spec
    figures = {"mem_host_peak_bytes": Metric(memory, "bytes")}
    if total_ms:
        spread = {"ci95": [0.99 * total_ms, 1.01 * total_ms]}
        figures["total_ms"] = Metric(total_ms, "ms", flags=flags, spread=spread)
    fields: dict[str, Any] = {
        "settings": Settings(),
        "status": Status.OK,
        "counted": dict(shipped_counts(spec) or {"params": 1}),
        "environment": PLACE,
    }
    return Record(spec=spec, measured=figures, **fields | changes)


def records() -> list[Record]:
    return [measured(name, total_ms) for name, total_ms in TIMES.items()]


def found(made: list[Record], *bounds: Condition, **asked: Any) -> Choice:
    choice = choose(made, Asked(bounds, **asked), Accuracies())
    assert choice
    return choice


def most(text: str) -> Condition:
    return bound(text, "<=", "--max")


def names(candidates: list[Any]) -> list[str]:
    return [each.configuration.spec.backbone for each in candidates]


@pytest.mark.parametrize(
    ("milliseconds", "chosen", "within"),
    [(100, "vovnet57", 4), (90, "vovnet57", 4), (89.9, "vovnet39", 3), (60, "resnet50-v1", 1)],
)
def test_the_most_accurate_within_the_budget(milliseconds: float, chosen: str, within: int) -> None:
    choice = found(records(), most(f"latency={milliseconds}ms"))
    assert choice.chosen
    assert names([choice.chosen]) == [chosen]
    assert len(choice.within) == within


def test_nothing_is_within_a_budget_that_is_too_small() -> None:
    choice = found(records(), most("latency=10ms"))
    assert choice.chosen is None
    assert names(choice.shown) == ["vovnet57", "vovnet39", "resnet50-v1"], "the frontier all alike"


def test_the_smallest_above_a_bound() -> None:
    choice = found(records(), bound("ap=33", ">=", "--min"), best="total_ms")
    assert choice.chosen
    assert names([choice.chosen]) == ["vovnet39"]
    assert choice.runner_up
    assert names([choice.runner_up]) == ["vovnet57"]


def test_overlapping_ranges_are_a_tie() -> None:
    made = [measured("vovnet39", 60.5), measured("resnet50-v1", 60.0), measured("vovnet57", 90.0)]
    choice = found(made, best="total_ms")
    assert choice.chosen
    assert names([choice.chosen, *choice.tied]) == ["resnet50-v1", "vovnet39"]


def test_a_range_beyond_the_budget_is_said() -> None:
    choice = found(records(), most("latency=90.5ms"))
    assert [each.within for each in choice.within] == ["perhaps", "yes", "yes", "yes"]


def test_flagged_figures_have_wide_ranges_and_are_no_win() -> None:
    made = [
        measured("vovnet39", 70.0),
        measured("vovnet57", 69.0, flags=(Flag.CI_NOT_MET,)),
    ]
    choice = found(made, most("latency=70ms"))
    assert choice.chosen
    assert names([choice.chosen]) == ["vovnet57"]
    assert choice.chosen.flaws == [Flag.CI_NOT_MET]
    assert choice.chosen.within == "perhaps"
    interval = choice.chosen.figure("total_ms").interval
    assert interval == (pytest.approx(69.0 / 1.03), pytest.approx(69.0 * 1.03))


def test_only_single_images_in_one_engine_and_precision_on_one_device() -> None:
    others = [
        measured("vovnet57", 1.0, settings=Settings(precision="fp16")),
        measured("vovnet57", 1.0, settings=Settings(engine="compile")),
        measured("vovnet57", 1.0, batch=8),
        measured("vovnet57", 1.0, status=Status.OOM),
        measured("vovnet57", 1.0, environment=PLACE | {"device_name": "Other CPU"}),
    ]
    choice = found([*others, *records()[:3]])
    assert set(names(list(choice.candidates))) == {"resnet50-v1", "resnet101-v1", "vovnet39"}
    assert choice.others == {"Other CPU, 2 threads, fp32, contiguous": 1}
    elsewhere = found([*others, *records()[:3]], device="other")
    assert elsewhere.setup.startswith("Other CPU")


def test_setups_that_differ_in_versions_are_told_apart_and_the_newest_is_taken() -> None:
    def measured_with(torch: str, day: int, count: int, **changes: Any) -> list[Record]:
        made = [measured(name, time, **changes) for name, time in list(TIMES.items())[:count]]
        return [
            replace(each, environment=PLACE | {"torch": torch}, time_utc=f"2026-01-{day:02}")
            for each in made
        ]

    old, new = measured_with("2.12.0", 1, 2), measured_with("2.13.0", 2, 2)
    for records in ([*old, *new], [*new, *old]):
        choice = found(records)
        assert choice.setup == "Example CPU, 2 threads, fp32, contiguous, torch 2.13"
        assert choice.others == {"Example CPU, 2 threads, fp32, contiguous, torch 2.12": 2}
    more = found([*new, *old, *measured_with("2.11.0", 1, 3)], engine="any")
    assert more.setup == "Example CPU, 2 threads, fp32, contiguous, torch 2.11, any engine"
    assert list(more.others.values()) == [2, 2]


def test_what_is_left_out_is_said_of_one_network_and_of_energies_of_one_card() -> None:
    (said,) = _left_out(found([*records(), measured("vgg16", None)], best="total_ms"))
    assert said == "Left out: 1 network measured here that lacks total time or AP."
    joules = [
        replace(
            each,
            measured=dict(each.measured) | {"energy_per_image_j": Metric(1.0, "J")},
            environment=PLACE | {"host": host},
        )
        for each, host in zip(records(), ("a", "a", "b", "c"), strict=True)
    ]
    (said,) = _left_out(found(joules, best="energy_per_image_j"))
    assert said == (
        "Left out: 2 networks measured here that lack energy per image on the same card or total "
        "time."
    )


def test_in_any_engine_a_network_is_there_once_an_engine() -> None:
    made = [*records(), measured("vovnet57", 40.0, settings=Settings(engine="compile"))]
    choice = found(made, most("latency=50ms"), engine="any")
    assert choice.chosen
    assert choice.chosen.name == "vovnet57 + refinedet320, compile fp32"
    half = measured("vovnet57", 40.0, settings=Settings(precision="fp16"))
    assert names(found([*records(), half], most("latency=50ms"), precision="any").within) == []


def test_in_any_engine_a_network_is_of_the_newest_version() -> None:
    """A past bug: an older version's record was chosen, and tied with the newer one."""
    made = [
        measured(
            "vovnet39",
            ms,
            settings=Settings(engine="onnxruntime"),
            environment=PLACE | {"engine_versions": {"onnxruntime": version}},
            time_utc=f"2026-0{month}-01T00:00:00+00:00",
        )
        for month, version, ms in ((1, "1.19.0", 30.0), (2, "1.20.0", 30.1))
    ]
    choice = found(made, engine="any")
    (only,) = choice.candidates
    assert only.configuration.newest == made[1]
    assert choice.tied == []


def test_without_any_record_that_fits_there_is_no_choice() -> None:
    assert choose([measured("vovnet57", 1.0, batch=8)], Asked(), Accuracies()) is None


def families(spec: Any) -> frozenset[str]:
    return frozenset({spec.backbone})


def test_what_nobody_measured_could_still_win() -> None:
    choice = found(records(), most("latency=89ms"))
    found_ones = contenders(choice, families).found
    accuracies = [each.accuracy for each in found_ones]
    assert accuracies == sorted(accuracies, reverse=True)
    assert min(accuracies) > 33.5, "the choice's own is no gain"
    assert not {each.spec for each in found_ones} & {each.spec for each in records()}
    assert found_ones[0].command.startswith("archbench profile ")


def test_a_network_of_an_own_accuracy_is_measured_with_whatever_classes() -> None:
    spec = catalogue.resolve("vovnet39", "refinedet320").spec
    own = Accuracies("mine", {key_of(spec): Accuracy(90.0, "mine.csv")})
    (asked,) = own.networks()
    made = measured("vovnet39", 70.0)
    other = replace(made, spec=replace(made.spec, classes=5))
    assert other.spec.classes != asked.classes
    choice = choose([other], Asked(best="total_ms"), own)
    assert choice
    assert len(choice.candidates) == 1
    assert contenders(choice, families).found == []


def test_what_could_win_is_measured_as_the_others_were() -> None:
    made = [
        replace(each, settings=Settings(engine="compile", threads=1, n_min=7)) for each in records()
    ]
    choice = found(made, most("latency=89ms"), engine="compile")
    (first, *_) = contenders(choice, families).found
    flags = first.command.removeprefix(first.spec.command())
    assert flags.split() == ["--engine", "compile", "--threads", "1"]


def test_a_bound_on_counts_leaves_few() -> None:
    choice = found(records(), most("latency=89ms"), most("params=40M"))
    specs = [each.spec for each in contenders(choice, families).found]
    assert specs
    for spec in specs:
        counts = shipped_counts(spec)
        assert counts
        assert counts["params"] <= 40e6


def test_what_does_more_than_what_is_beyond_is_ruled_out() -> None:
    made = [*records(), measured("snet49", 100.0, detector="thundernet320")]
    loose, tight = (found(made, most(f"latency={ms}ms")) for ms in (89, 1))
    assert contenders(loose, families).outdone > 0
    assert contenders(tight, families).outdone > contenders(loose, families).outdone
