"""Levels and thresholds of many tests, against 60-digit arithmetic and slow references."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openforge.analysis.multiplicity import (
    TVLA_THRESHOLD,
    corrected_log10_p,
    corrected_threshold,
    holm,
    level_of,
)


def test_levels_of_known_thresholds():
    """The normal table, TVLA's 4.5, and a threshold that is far out."""
    assert level_of(0) == 1
    assert level_of(1.959963984540054) == pytest.approx(0.05, rel=1e-12)
    assert level_of(TVLA_THRESHOLD) == pytest.approx(6.795346249460121e-06, rel=1e-12)
    assert level_of(30) == pytest.approx(9.813421e-198, rel=1e-6)


@pytest.mark.parametrize(
    ("level", "n_tests", "log10_p", "threshold"),
    # mpmath, 60 digits: Sidak's level, and the root of erfc(z / sqrt(2)) = level
    [
        (0.05, 1, 1.301029995663981, 1.959963984540054),
        (0.05, 20, 2.591526193342109, 3.01599453348994),
        (1e-05, 1000, 7.999997830690026, 5.730728021038474),
        (1e-12, 1000000000, 20.99999999999978, 9.576901455425278),
        (1e-300, 1000000000000, 312.0, 37.80337711627555),
    ],
)
def test_corrections_are_accurate(level, n_tests, log10_p, threshold):
    """To 1e-12, also for levels of which 1 - level is 1."""
    assert corrected_log10_p(level, n_tests) == pytest.approx(log10_p, rel=1e-12)
    assert corrected_threshold(level, n_tests) == pytest.approx(threshold, rel=1e-12)


def test_one_test_needs_no_correction():
    """The threshold for the level of a threshold is that threshold."""
    for threshold in (0.5, 3.0, 4.5, 12.0):
        assert corrected_threshold(level_of(threshold), 1) == pytest.approx(threshold, rel=1e-9)


def test_many_independent_tests_exceed_as_often_as_stated():
    """The largest of 50 normal statistics exceeds the threshold for 5 % in 5 % of the cases."""
    largest = np.abs(np.random.default_rng(2).normal(size=(20_000, 50))).max(axis=1)
    exceeded = (largest > corrected_threshold(0.05, 50)).mean()
    assert exceeded == pytest.approx(0.05, abs=5 * math.sqrt(0.05 * 0.95 / 20_000))


def slow_holm(p_values, level):
    """Reject the smallest p while it is small enough for those that are left."""
    left = sorted(range(len(p_values)), key=lambda index: p_values[index])
    rejected = [False] * len(p_values)
    while left and p_values[left[0]] <= level / len(left):
        rejected[left.pop(0)] = True
    return rejected


@given(st.lists(st.sampled_from([1e-9, 0.001, 0.004, 0.011, 0.012, 0.024, 0.2, 1.0]), max_size=12))
def test_holm_is_the_step_down_procedure(p_values):
    """As the slow reference; ties share their fate."""
    log10_p = [-math.log10(p) for p in p_values]
    assert holm(log10_p, 0.05).tolist() == slow_holm(p_values, 0.05)


def test_holm_on_a_known_example():
    """Textbook p-values 0.01, 0.04, 0.03, 0.005 at 5 %: the first and the last."""
    table = -np.log10([[0.01, 0.04], [0.03, 0.005]])
    assert holm(table, 0.05).tolist() == [[True, False], [False, True]]
    assert holm([math.inf, 1e6, 0.0], 1e-300).tolist() == [True, True, False]


@pytest.mark.parametrize("level", [0, 1, -0.1, math.nan])
def test_what_is_no_level_is_refused(level):
    """By all functions, and a NaN among p-values and no tests too."""
    for function in (corrected_threshold, corrected_log10_p):
        with pytest.raises(ValueError, match="a level of"):
            function(level, 3)
    with pytest.raises(ValueError, match="not in"):
        holm([1.0], level)
    with pytest.raises(ValueError, match="NaN"):
        holm([math.nan], 0.05)
    with pytest.raises(ValueError, match="for 0 tests"):
        corrected_threshold(0.05, 0)
    with pytest.raises(ValueError, match="threshold of -1"):
        level_of(-1)
