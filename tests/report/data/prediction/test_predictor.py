"""Predictions: their intervals, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf, log

import numpy as np
import pytest
from made_up_work import COSTS, network, noisy, sample

from archbench.report.data.prediction import (
    Error,
    Network,
    Prediction,
    Predictor,
    Refusal,
    Sample,
    Work,
)

NEXT = network(1000)


def predicted(samples: list[Sample], asked: Network = NEXT) -> Prediction:
    found = Predictor(samples).predict(asked)
    assert isinstance(found, Prediction), found
    return found


def refused(samples: list[Sample], asked: Network = NEXT) -> str:
    found = Predictor(samples).predict(asked)
    assert isinstance(found, Refusal), found
    return found.why


def test_without_noise_a_prediction_is_exact_and_its_interval_a_point() -> None:
    found = predicted([sample(number) for number in range(40)])
    exact = float(np.dot(COSTS, NEXT.work))
    assert found.value == pytest.approx(exact)
    assert found.interval == pytest.approx((exact, exact))
    assert found.error == Error(40, *(pytest.approx(wanted, abs=1e-6) for wanted in (0, 0, 1)))


def test_errors_are_told_of_predicted_over_measured() -> None:
    ratios = [1.0, 1.1, 0.9, 1.2, 0.8, 1.3, 0.7, 1.4, 0.5, 1.0, 1.0]
    error = Error.of(ratios)
    assert (error.networks, error.median) == (11, pytest.approx(0.2))
    assert error.p90 == pytest.approx(np.quantile(np.abs(np.array(ratios) - 1), 0.9))
    assert error.factor == pytest.approx(2.0), "the widest of eleven: 0.9 x 12 ranks"


def test_of_many_the_interval_leaves_a_tenth_out() -> None:
    ratios = [exp(number / 1000) for number in range(1000)]
    assert log(Error.of(ratios).factor) == pytest.approx(0.9, abs=0.01)


def test_intervals_hold_nine_times_of_ten() -> None:
    """Over make-believe devices, of the next network of each."""
    held = []
    for seed in range(200):
        found = predicted(noisy(30, seed=seed))
        drawn = np.random.default_rng(1000 + seed).normal(0, 0.1)
        truth = float(np.dot(COSTS, NEXT.work)) * exp(drawn)
        held.append(found.interval[0] <= truth <= found.interval[1])
    assert 0.85 <= sum(held) / len(held) <= 0.97


def test_its_own_families_do_not_count() -> None:
    samples = [sample(number) for number in range(40)]
    own = [sample(number, *NEXT.families, times=10.0) for number in range(100, 140)]
    assert predicted([*samples, *own]) == predicted(samples)


def test_below_eight_networks_nothing_is_predicted() -> None:
    assert "7 networks of other families" in refused([sample(number) for number in range(7)])
    own = [sample(number, *NEXT.families) for number in range(100, 110)]
    assert "0 networks of other families" in refused(own)


def test_networks_of_one_family_cannot_be_held_against_one_another() -> None:
    alike = [sample(number, "backbone vgg") for number in range(20)]
    assert refused(alike).startswith("0 of 20 networks can be cross-validated")
    mixed = [*alike, *(sample(number) for number in range(100, 103))]
    assert refused(mixed).startswith("3 of 23 networks")


def test_a_network_related_to_all_others_is_fitted_on_and_not_cross_validated() -> None:
    hub = sample(0, "backbone", "detector")
    samples = [
        hub,
        *(sample(number, "backbone", f"detector {number}") for number in range(1, 11)),
        *(sample(number, f"backbone {number}", "detector") for number in range(11, 21)),
    ]
    found = predicted(samples)
    assert (found.networks, found.error.networks) == (21, 20)


@pytest.mark.parametrize("kind", Work._fields)
def test_what_lies_beyond_the_measured_is_refused(kind: str) -> None:
    samples = [sample(number) for number in range(40)]
    most = max(getattr(each.network.work, kind) for each in samples)
    work = NEXT.work._replace(**{kind: 1.01 * most})
    words = {"bytes": "bytes moved"}.get(kind, kind.replace("_", "-"))
    assert f"{words}" in refused(samples, replace(NEXT, work=work))
    assert predicted(samples, replace(NEXT, work=NEXT.work._replace(**{kind: most})))


def test_a_batch_that_nobody_measured_is_refused() -> None:
    samples = [sample(number) for number in range(40)]
    assert refused(samples, replace(NEXT, batch=8)).startswith("images per call: 8")


def test_what_nothing_is_known_of_is_refused() -> None:
    """All that was measured is explained by bytes, and the asked network moves none."""
    idle = Work(0.0, 0.0, 0.0, 0.0)
    samples = [
        Sample(Network(idle._replace(bytes=number), 1, frozenset({str(number)})), number + 1.0)
        for number in range(12)
    ]
    assert Error.of([0.0] * 8).factor == inf
    assert "say nothing" in refused(samples, Network(idle, 1, frozenset({"new"})))
