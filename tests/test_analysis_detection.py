"""Traces that a leak needs and effects that traces would show, by simulation and known values."""

import math

import numpy as np
import pytest

from openforge.analysis.detection import required_traces, smallest_effect, traces_to_detect


def test_traces_grow_with_the_square_of_what_is_missing():
    """Half the threshold needs four times the traces; no t needs infinitely many."""
    assert traces_to_detect(4.5, 1000, 4.5) == 1000
    assert traces_to_detect(-2.25, 1000, 4.5) == 4000
    assert traces_to_detect(3, 1000, 4) == 1778
    assert traces_to_detect(1e9, 10, 4.5) == 2
    assert traces_to_detect(0, 1000, 4.5) is None
    assert traces_to_detect(1e-200, 1000, 4.5) is None
    for t, n, threshold in ((math.nan, 10, 4.5), (1, 0, 4.5), (1, 10, 0)):
        with pytest.raises(ValueError, match="t ="):
            traces_to_detect(t, n, threshold)


def test_the_textbook_sample_size():
    """Effect 0.5 at 5 % with a power of 80 %: 63 a group (Cohen; 64 with Student's law)."""
    assert required_traces(0.5, 1.959964, 0.8) == 2 * 63


def test_a_million_traces_show_this_effect():
    """4.5 with a power of 90 %: d = (4.5 + 1.2815516) * 2 / sqrt(n)."""
    assert smallest_effect(500_000, 500_000, 4.5) == pytest.approx(0.0115631, rel=1e-5)
    assert smallest_effect(10**6, 10**6, 4.5) < smallest_effect(10**6, 10**3, 4.5)


def test_traces_and_effects_are_inverse():
    """With the traces that an effect requires it is found, with two fewer it is not."""
    for effect in (0.5, 0.03, 0.00123):
        half = required_traces(effect, 5.0, 0.95) // 2
        assert smallest_effect(half, half, 5.0, 0.95) <= effect
        assert smallest_effect(half - 1, half - 1, 5.0, 0.95) > effect


def test_the_power_is_as_stated():
    """Of 3000 simulated tests with that effect, 90 % exceed the threshold."""
    n, draw = 400, np.random.default_rng(8)
    effect = smallest_effect(n, n, 3.0)
    one, two = draw.normal(effect, 1, (3000, n)), draw.normal(0, 1, (3000, n))
    t = (one.mean(1) - two.mean(1)) / np.sqrt((one.var(1, ddof=1) + two.var(1, ddof=1)) / n)
    assert (np.abs(t) > 3).mean() == pytest.approx(0.9, abs=5 * math.sqrt(0.09 / 3000))


def test_what_has_no_meaning_is_refused():
    """Powers below the level or of 1, empty classes, no effect."""
    for power in (1.0, 0.0, 1e-6, math.nan):
        with pytest.raises(ValueError, match="a power of"):
            smallest_effect(10, 10, 4.5, power)
    with pytest.raises(ValueError, match="0 fixed"):
        smallest_effect(0, 10, 4.5)
    for effect in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="an effect of"):
            required_traces(effect, 4.5)
