"""Statistics against examples that are worked by hand or stand in textbooks."""

from __future__ import annotations

import numpy as np
import pytest

from archbench.report.data import statistics
from archbench.report.data.statistics import (
    apart,
    correlations,
    percentiles,
    ranks,
    ratio_interval,
    spearman,
)


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert ranks([30.0, 10.0, 20.0, 20.0]) == [4.0, 1.0, 2.5, 2.5]
    assert ranks([7.0, 7.0, 7.0]) == [2.0, 2.0, 2.0]
    assert ranks([]) == []


def test_rho_without_ties_is_that_of_the_squared_differences() -> None:
    """1 - 6 * 194 / (10 * 99), the example of hours of television and IQ."""
    iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert spearman(iq, hours) == pytest.approx(-29 / 165)


def test_rho_with_ties_is_the_correlation_of_the_ranks() -> None:
    """Ranks 1 2 3 4 5 against 1 2 3.5 5 3.5: covariance 8, variances 10 and 9.5."""
    assert spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) == pytest.approx(8 / (10 * 9.5) ** 0.5)


def test_rho_does_not_see_scale() -> None:
    assert spearman([1, 2, 3, 4], [1.0, 10.0, 100.0, 1000.0]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [4.0, 0.3, 0.2, -9.0]) == pytest.approx(-1.0)


def test_there_is_no_rho_where_all_are_equal_or_alone() -> None:
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert spearman([1], [1]) is None
    with pytest.raises(ValueError, match="pairs"):
        spearman([1, 2], [1])


def test_resampling_gives_the_same_interval_each_time() -> None:
    column, target = (
        [1.0, 2.0, 3.0, 5.0, 4.0, 6.0, 8.0, 7.0],
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
    )
    (first,), (second,) = correlations([column], target), correlations([column], target)
    assert first == second
    assert first.rho == pytest.approx(1 - 6 * 4 / (8 * 63))
    assert first.interval is not None
    assert 0.6 < first.interval[0] < first.rho < first.interval[1] <= 1


def test_the_better_column_is_best_in_most_resamples() -> None:
    target = [float(n) for n in range(20)]
    near = [n + (2.0 if n % 4 == 0 else 0.0) for n in target]
    far = [target[(7 * i) % 20] for i in range(20)]
    first, second = correlations([near, far], target)
    assert first.best is not None
    assert second.best is not None
    assert first.best > 0.99
    assert first.best + second.best == pytest.approx(1.0)


def test_few_rows_have_a_rho_and_no_interval() -> None:
    (found,) = correlations([[1.0, 2.0, 3.0, 4.0]], [1.0, 2.0, 4.0, 3.0])
    assert found.rho == pytest.approx(0.8)
    assert found.interval is found.best is None


def test_percentiles_leave_out_a_fortieth_at_each_end() -> None:
    assert percentiles(range(1000)) == (25, 974)
    assert percentiles([]) is None


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [((9, 11), (4, 5), (1.8, 2.75)), ((4, 5), (5, 6), (4 / 6, 1.0)), ((2, 2), (4, 4), (0.5, 0.5))],
)
def test_the_range_of_a_ratio(
    left: tuple[float, float], right: tuple[float, float], expected: tuple[float, float]
) -> None:
    assert ratio_interval(left, right) == pytest.approx(expected)


@pytest.mark.parametrize("range_", [(-1.0, 2.0), (0.0, 2.0), (-2.0, -1.0)])
def test_a_range_that_reaches_0_bounds_no_ratio(range_: tuple[float, float]) -> None:
    assert ratio_interval(range_, (1.0, 2.0)) is ratio_interval((1.0, 2.0), range_) is None


def test_how_far_values_lie_apart() -> None:
    assert apart([97.0, 100.0, 102.0]) == pytest.approx(0.05)
    assert apart([0.0, 0.0]) == 0.0


def test_resamples_are_correlated_as_if_each_row_stood_in_them_so_often() -> None:
    left, right = [3.0, 1.0, 2.0, 2.0, 5.0, 1.0], [1.0, 1.0, 4.0, 2.0, 6.0, 0.0]
    counts = np.random.default_rng(1).multinomial(6, [1 / 6] * 6, size=20)
    found = statistics._weighted(
        statistics._deviations(left, counts), statistics._deviations(right, counts), counts
    )
    rows = [[row for row, count in enumerate(drawn) for _ in range(count)] for drawn in counts]
    assert found.tolist() == pytest.approx(
        [spearman([left[row] for row in one], [right[row] for row in one]) for one in rows]
    )


def test_a_column_of_equal_values_explains_nothing() -> None:
    constant, column = correlations(
        [[1.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]
    )
    assert (constant.rho, constant.interval, constant.best) == (None, None, 0)
    assert column.best == 1
