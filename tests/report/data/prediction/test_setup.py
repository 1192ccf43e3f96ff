"""Predictions by records: which of them count, with which counts, and what is left uncounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from made_up_work import network, noisy

from archbench.reasons import Status
from archbench.records import Metric, Record
from archbench.report.data.configurations import configurations
from archbench.report.data.prediction import (
    Networks,
    Prediction,
    Refusal,
    SetupPredictor,
    answers,
)
from archbench.settings import Settings
from archbench.spec import Spec, UsageError

ASKED = Spec("asked", None, 224, 224, 1000)


def counts(number: int) -> dict[str, float]:
    work = network(number).work
    return {
        "macs_all": work.multiply_adds + work.depthwise,
        "macs_depthwise": work.depthwise,
        "bytes_all": work.bytes,
        "call_count": work.calls,
    }


def records(**changes: Any) -> list[Record]:
    """Thirty networks of a device with noise; of each other family a batch 1 forward pass."""
    return [
        Record(
            spec=Spec(f"family {number}", None, 224, 224, 1000),
            settings=Settings(),
            status=Status.OK,
            counted=counts(number),
            measured={"latency_ms": Metric(sample.value, "ms")},
            environment={"device_name": "Example GPU", "uuid": "GPU-1"},
            time_utc=f"2026-01-01T00:00:{number:02}+00:00",
        )
        for number, sample in enumerate(noisy(30))
    ]


class Counter:
    """Counts networks, and says which it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Spec] = []

    def __call__(self, spec: Spec) -> Mapping[str, Any]:
        self.asked.append(spec)
        if spec.backbone == "uncountable":
            raise UsageError("its code is gone")
        return counts(1000 if spec.backbone == "asked" else int(spec.backbone.split()[-1]))


def predictor(given: list[Record], count: Counter | None = None) -> SetupPredictor:
    networks = Networks(count or Counter(), lambda spec: frozenset({spec.backbone}))
    return SetupPredictor(configurations(given), networks)


def value(found: Prediction | Refusal) -> float:
    assert isinstance(found, Prediction), found
    return found.value


def value_or_none(spec: Spec) -> float | None:
    """What the records predict of one of their own; None at the edge of their range."""
    found = predictor(records()).predict(spec, "latency_ms")
    return found.value if isinstance(found, Prediction) else None


def test_what_records_counted_is_not_counted_again() -> None:
    given, count = records(), Counter()
    given[3] = replace(given[3], counted={"macs_all": 10**9})
    assert value(predictor(given, count).predict(ASKED, "latency_ms")) > 0
    assert count.asked == [given[3].spec, ASKED]
    assert value(predictor(records()).predict(ASKED, "latency_ms")) == value(
        predictor(given).predict(ASKED, "latency_ms")
    )


def test_nothing_is_counted_where_too_few_were_measured() -> None:
    count = Counter()
    found = predictor(records()[:7], count).predict(ASKED, "latency_ms")
    assert isinstance(found, Refusal)
    assert count.asked == []


def test_training_says_nothing_of_inference_nor_one_figure_of_another() -> None:
    given = [replace(each, spec=replace(each.spec, mode="train")) for each in records()]
    trained = predictor(given)
    assert trained.words("train") == ["latency_ms"]
    assert trained.words("infer") == []
    assert isinstance(trained.predict(ASKED, "latency_ms"), Refusal)
    assert isinstance(trained.predict(replace(ASKED, mode="train"), "total_ms"), Refusal)
    assert value(trained.predict(replace(ASKED, mode="train"), "latency_ms"))


def test_what_cannot_be_counted_is_refused_and_of_records_left_out() -> None:
    gone = replace(ASKED, backbone="uncountable")
    assert predictor(records()).predict(gone, "latency_ms") == Refusal(
        "its multiply-adds are only partly known"
    )
    given = records()
    given[0] = replace(given[0], spec=gone, counted=None)
    found = predictor(given).predict(ASKED, "latency_ms")
    assert isinstance(found, Prediction)
    assert found.error.networks == 29


def test_energy_is_of_an_image_and_of_the_card_with_most_networks() -> None:
    """Twice the images in a call take twice the energy, and an image the same."""
    given = [
        replace(each, measured={"energy_per_image_j": Metric(sample.value / batch, "J")})
        for batch in (1, 2)
        for each, sample in zip(records(), noisy(30), strict=True)
        for each in [replace(each, spec=replace(each.spec, batch=batch))]
    ]
    found = predictor(given)
    one = value(found.predict(ASKED, "energy_per_image_j"))
    of_call = value(predictor(records()).predict(ASKED, "latency_ms"))
    assert 0.3 * of_call < one < of_call
    other = [
        replace(
            each, environment={**each.environment, "uuid": "GPU-2"}, time_utc=f"2027-{number:04}"
        )
        for number, each in enumerate(given[:5])
    ]
    left = predictor([*given[5:], *other]).predict(ASKED, "energy_per_image_j")
    assert isinstance(left, Prediction)
    assert left == predictor(given[5:]).predict(ASKED, "energy_per_image_j")
    few = predictor([*given[:4], *other]).predict(ASKED, "energy_per_image_j")
    assert isinstance(few, Refusal), "five networks on the card with most"


def test_energy_of_another_machine_predicts_none() -> None:
    given = [
        replace(
            each,
            measured={"energy_per_image_j": Metric(1.0 + number, "J")},
            environment={"device": "cpu", "host": ("one", "another")[number % 2]},
        )
        for number, each in enumerate(records()[:14])
    ]
    assert isinstance(predictor(given).predict(ASKED, "energy_per_image_j"), Refusal)


def test_a_prediction_stands_beside_no_energy_of_another_card() -> None:
    given = [
        replace(
            each,
            measured={"energy_per_image_j": Metric(1.0 + number, "J")},
            environment={"device_name": "GPU", "uuid": "one" if number else "another"},
        )
        for number, each in enumerate(records())
    ]
    networks = Networks(Counter(), lambda spec: frozenset({spec.backbone}))
    specs = [each.spec for each in given[:2]]
    first, second = answers(specs, {"a": configurations(given)}, networks)
    assert (first.measured, second.measured and second.measured.value) == (None, 2.0)


@pytest.mark.parametrize("extreme", [1e-300, 1e300])
def test_a_figure_beyond_all_reason_breaks_nothing(extreme: float) -> None:
    given = records()
    given[0] = replace(given[0], measured={"latency_ms": Metric(extreme, "ms")})
    found = predictor(given).predict(ASKED, "latency_ms")
    assert isinstance(found, Prediction | Refusal)


def test_answers_are_of_each_setup_and_never_mix_what_was_measured() -> None:
    own = next(each for each in records() if value_or_none(each.spec))
    asked = own.spec
    other = [replace(each, settings=Settings(precision="bf16")) for each in records()]
    networks = Networks(Counter(), lambda spec: frozenset({spec.backbone}))
    by_setup = {"a": configurations(records()), "b": configurations(other)}
    first, second = answers([asked], by_setup, networks)
    assert (first.setup, second.setup) == ("a", "b")
    assert second.command.endswith("--precision bf16")
    assert first.measured
    row = first.row()
    assert row["measured"] == own.value("latency_ms")
    assert row["predicted"] != row["measured"]
    assert row["fitted_on"] == 29
