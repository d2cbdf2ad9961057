"""Toggle counts of nets: Fisher's test against integers, and calibration with rare toggles."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openforge.analysis.net_tests import net_tests


def slow(a, b, n_fixed, n_random):
    """-log10 of twice the hypergeometric tail, in exact integers."""
    own, other = (n_fixed, n_random) if a * n_random >= b * n_fixed else (n_random, n_fixed)
    x, m = (a if own == n_fixed and a * n_random >= b * n_fixed else b), a + b
    ways = sum(math.comb(own, k) * math.comb(other, m - k) for k in range(x, min(m, own) + 1))
    p = min(Fraction(1), 2 * Fraction(ways, math.comb(own + other, m)))
    return math.log10(p.denominator) - math.log10(p.numerator)


@st.composite
def counts(draw):
    """Small classes, with counts that are often near each other, rare or saturated."""
    n_fixed, n_random = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    a = draw(st.integers(0, n_fixed))
    near = a * n_random // n_fixed
    b = draw(st.one_of(st.integers(0, n_random), st.integers(max(0, near - 30), near)))
    return a, b, n_fixed, n_random


@settings(max_examples=300, deadline=None)
@given(counts())
def test_p_is_exact_and_never_too_small(case):
    """To 1e-9 where p is below 0.1; above, it may be bounded by 1."""
    expected, answer = slow(*case), float(net_tests(*case).log10_p)
    assert answer <= expected + 1e-9 * (1 + expected)
    if expected > 1:
        assert answer == pytest.approx(expected, rel=1e-9)


def test_known_values():
    """Three toggles in 10^6 traces, Fisher's tea, and a saturated net."""
    assert net_tests(3, 0, 500_000, 500_000).log10_p == pytest.approx(math.log10(4), abs=1e-5)
    assert net_tests(0, 30, 500_000, 500_000).log10_p == pytest.approx(29 * math.log10(2), abs=1e-3)
    assert 0.3 < net_tests(3, 1, 4, 4).log10_p <= -math.log10(34 / 70)
    quiet = net_tests([0, 50], [0, 70], 50, 70)
    assert quiet.z.tolist() == [0, 0]
    assert quiet.log10_p == pytest.approx([0, 0], abs=1e-12)
    assert net_tests(0, 4, 4, 4).log10_p == pytest.approx(math.log10(35))


def test_the_sign_and_size_of_z():
    """The pooled two-proportion deviate, positive where the fixed class toggled more."""
    z = net_tests([60, 40], [40, 60], 100, 200).z
    pooled = 100 / 300
    expected = (0.6 - 0.2) / math.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 200))
    assert z[0] == pytest.approx(expected)
    assert z[1] == pytest.approx(0.1 / math.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 200)))
    assert net_tests(1, 9, 100, 100).z < 0


@pytest.mark.parametrize("n", [10**6, 10**12])
def test_large_counts_are_close_to_the_normal_law(n):
    """At |z| of 5 and 30 the bound is too large by a few percent, and not too small."""
    for z in (5.0, 30.0):
        shift = round(z * math.sqrt(n / 8))
        answer = net_tests(n // 4 + shift // 2, n // 4 - shift // 2, n // 2, n // 2)
        size = float(abs(answer.z))
        ln_normal = math.log(math.erfc(size / math.sqrt(2)))
        if n > 10**6:  # the hypergeometric law itself is not normal enough before
            loss = -ln_normal / math.log(10) - answer.log10_p
            assert -1e-4 < loss < math.log10(1 + 1 / size**2) + 1e-3
        assert answer.log10_p == pytest.approx(-ln_normal / math.log(10), rel=0.01)


@pytest.mark.parametrize("mean", [0.7, 3.0, 40.0, 5000.0])
@pytest.mark.parametrize("share", [1, 20])
def test_null_counts_are_not_called_leaks(mean, share):
    """Among 20000 nets that do not leak, p <= 0.01 in at most 1 %, also for rare toggles."""
    n_fixed, n_random, draw = 100_000, 100_000 // share, np.random.default_rng(7)
    a = draw.binomial(n_fixed, mean / n_fixed, 20_000)
    b = draw.binomial(n_random, mean / n_fixed, 20_000)
    limit = 0.01 + 5 * math.sqrt(0.01 / 20_000)
    for x, y in ((a, b), (n_fixed - a, n_random - b)):
        assert (net_tests(x, y, n_fixed, n_random).log10_p >= 2).mean() <= limit


def test_a_small_dependence_is_found():
    """Half a percent more toggles in 10^6 traces."""
    draw = np.random.default_rng(1)
    a, b = draw.binomial(10**6, 0.305, 100), draw.binomial(10**6, 0.3, 100)
    answer = net_tests(a, b, 10**6, 10**6)
    assert (answer.log10_p > 4).all()
    assert (answer.z > 0).all()


def test_shapes_and_errors():
    """Any shape is answered; impossible counts and empty classes are refused."""
    assert net_tests(np.zeros((2, 3), int), np.ones((2, 3), int), 5, 5).log10_p.shape == (2, 3)
    for a, b in ((6, 0), (0, 6), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="between 0 and 5"):
            net_tests(a, b, 5, 5)
    with pytest.raises(ValueError, match="0 fixed"):
        net_tests(0, 0, 0, 5)
