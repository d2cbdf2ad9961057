"""Levels and thresholds of many tests, against 60-digit arithmetic and slow references."""

import math

import numpy as np
import pytest

from openforge.analysis.multiplicity import (
    corrected_log10_p,
    corrected_threshold,
    level_of,
)


def test_levels_of_known_thresholds():
    """The normal table, TVLA's 4.5, and a threshold that is far out."""
    assert level_of(0) == 1
    assert level_of(1.959963984540054) == pytest.approx(0.05, rel=1e-12)
    assert level_of(4.5) == pytest.approx(6.795346249460121e-06, rel=1e-12)
    assert level_of(30) == pytest.approx(9.813421e-198, rel=1e-6)


@pytest.mark.parametrize(
    ("level", "n_tests", "log10_p", "threshold"),
    # -log10 of the share, and the two-sided normal quantile of it
    [
        (0.05, 1, 1.301029995663981, 1.9599639845400545),
        (0.05, 20, 2.602059991327962, 3.0233414397391476),
        (1e-05, 1000, 8.0, 5.73072886823629),
        (1e-12, 1000000000, 20.999999999999996, 9.576901455425329),
        (1e-300, 1000000000000, 311.99999999999994, 37.80337711627555),
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


@pytest.mark.parametrize("level", [0, 1, -0.1, math.nan])
def test_what_is_no_level_is_refused(level):
    """By both functions, and no tests too."""
    for function in (corrected_threshold, corrected_log10_p):
        with pytest.raises(ValueError, match="a level of"):
            function(level, 3)
    with pytest.raises(ValueError, match="for 0 tests"):
        corrected_threshold(0.05, 0)
    with pytest.raises(ValueError, match="threshold of -1"):
        level_of(-1)
