"""The fit against closed forms, against a search, and what a family says of itself."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_work import COSTS, sample
from numpy.typing import NDArray

from archbench.report.data.prediction.fitting import coefficients, crossed, non_negative
from archbench.report.data.prediction.work import Network, Sample, Work


def solved(rows: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    return non_negative((rows.T @ rows)[None], (rows.T @ target)[None])[0]


def test_exact_costs_are_found_whatever_their_scale() -> None:
    samples = [sample(number) for number in range(12)]
    assert coefficients(samples, [frozenset()])[0] == pytest.approx(COSTS, rel=1e-6)
    assert crossed(samples) == pytest.approx([1.0] * 12, rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_no_neighbour_with_coefficients_above_zero_is_better(seed: int) -> None:
    """The optimum by its own conditions (Karush, Kuhn, Tucker), of targets that pull below 0."""
    draw = np.random.default_rng(seed)
    rows, target = draw.uniform(size=(9, 4)), draw.normal(size=9)
    found = solved(rows, target)
    slope = rows.T @ (rows @ found - target)
    assert (found >= 0).all()
    assert (slope >= -1e-9).all()
    assert found * slope == pytest.approx(0.0, abs=1e-9)


def test_what_would_be_negative_is_nothing_and_the_rest_is_fitted_without_it() -> None:
    rows = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    assert solved(rows, np.array([4.0, 3.0, 2.0])) == pytest.approx([3.0, 0.0])


def test_columns_that_say_the_same_share_a_coefficient_and_none_is_negative() -> None:
    rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    found = solved(rows, np.array([5.0, 10.0, 15.0]))
    assert (found >= 0).all()
    assert rows @ found == pytest.approx([5.0, 10.0, 15.0])


def test_a_kind_of_work_that_no_sample_has_costs_nothing() -> None:
    samples = [
        Sample(Network(Work(number, 0.0, 0.0, 0.0), 1, frozenset()), 2.0 * number)
        for number in range(1, 9)
    ]
    assert coefficients(samples, [frozenset()])[0] == pytest.approx([2.0, 0.0, 0.0, 0.0])


def test_a_family_is_never_predicted_by_itself() -> None:
    """The one family that takes ten times as long as its work says is predicted at a tenth."""
    samples = [sample(number) for number in range(10)]
    slow = [sample(100 + number, "slow", times=10.0) for number in range(4)]
    assert crossed([*samples, *slow])[10:] == pytest.approx([0.1] * 4, rel=1e-6)


def test_either_family_in_common_keeps_a_sample_out() -> None:
    related = [sample(1, "a", "x"), sample(2, "a", "y", times=5.0), sample(3, "b", "x", times=9.0)]
    others = [sample(number, "c", "z") for number in range(10, 14)]
    without = coefficients([*related, *others], [frozenset({"a", "x"})])[0]
    assert without == pytest.approx(coefficients(others, [frozenset()])[0])
    assert without == pytest.approx(COSTS, rel=1e-6)


def test_what_has_too_few_others_is_not_predicted() -> None:
    assert crossed([]) == []
    assert crossed([sample(number) for number in range(4)]) == []
    assert len(crossed([sample(number) for number in range(5)])) == 5
