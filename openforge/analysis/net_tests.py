"""Fixed-against-random test of how often each net toggled: exact, also for rare toggles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

_LN2, _LN10 = math.log(2.0), math.log(10.0)
_INTERESTING = 0.1  # a bound on p below which it is made sharp
_TERMS = 64  # of the tail that are summed before the rest is bounded
_SMALL = 16  # counts up to which Stirling's error is computed from the gamma function
_NEAR = 0.1  # relative distance from the mean up to which a series is used
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NetTests:
    """For each net `z`, the deviate of the two proportions, and `log10_p`; ``float64[...]``.

    `z` is positive where the fixed class toggled more often; it is for display and may be far from
    normal where toggles are rare. The verdict belongs to `log10_p`, -log10 of the two-sided p.
    """

    z: Floats
    log10_p: Floats


def net_tests(fixed: npt.ArrayLike, random: npt.ArrayLike, n_fixed: int, n_random: int) -> NetTests:
    """Whether the nets toggle equally often in both classes.

    `fixed`, `random` : int64[...], in how many of the `n_fixed`, `n_random` traces a net toggled.
    ``z = (a/n_f - b/n_r) / sqrt(q (1-q) (1/n_f + 1/n_r))``, q the pooled proportion; 0 where that
    is 0 or 1. p is twice the tail of the hypergeometric law of `a` given ``a + b`` (Fisher's exact
    test, two-sided by doubling), at most 1. No normal approximation is used for p: the first 64
    terms of the tail are summed, and the rest is bounded by a geometric series, as the ratio of
    terms falls. So p is never too small. Below 0.1 it is exact (1e-9) where the tail has at most 64
    terms, and else too large by about the factor ``1 + 1/z^2`` at most; above, the bound is coarse.

    *Assumes* traces independent of each other, with labels independent of what is not the secret.
    *Limits:* doubling and discreteness make it conservative for rare toggles. ValueError if a count
    is negative or larger than its number of traces, or a class is empty.
    """
    a, b = np.broadcast_arrays(
        np.asarray(fixed, dtype=np.int64), np.asarray(random, dtype=np.int64)
    )
    if min(n_fixed, n_random) < 1:
        raise ValueError(f"{n_fixed} fixed and {n_random} random traces")
    if ((a < 0) | (b < 0) | (a > n_fixed) | (b > n_random)).any():
        raise ValueError(f"a count is not between 0 and {n_fixed} (fixed) or {n_random} (random)")
    n = float(n_fixed), float(n_random)
    x, y = a.astype(np.float64), b.astype(np.float64)
    pooled = (x + y) / (n[0] + n[1])
    variance = pooled * (1 - pooled) * (1 / n[0] + 1 / n[1])
    difference = x / n[0] - y / n[1]
    z = difference / np.sqrt(np.where(variance > 0, variance, 1.0))
    # the tail away from the mean is the upper one of the class that toggled more often
    more = difference >= 0
    ln_tail = _ln_upper_tail(
        np.where(more, x, y), x + y, np.where(more, n[0], n[1]), np.where(more, n[1], n[0])
    )
    return NetTests(z, np.maximum(0.0, -(ln_tail + _LN2) / _LN10) + 0.0)


def _ln_upper_tail(x: Floats, m: Floats, own: Floats, other: Floats) -> Floats:
    """An upper bound on ln P(X >= x), X = how many of `m` toggles are among `own` traces."""
    first = _ln_hypergeometric(x, m, own, other)
    ln_sum = _ln_geometric(_ratio(x, m, own, other))
    sharp = np.asarray(first + ln_sum < math.log(_INTERESTING))
    if sharp.any():
        chosen = [np.asarray(value)[sharp] for value in (x, m, own, other)]
        ln_sum = np.where(sharp, 0.0, ln_sum)
        ln_sum[sharp] = _ln_terms(*chosen)
    return first + ln_sum


def _ln_terms(x: Floats, m: Floats, own: Floats, other: Floats) -> Floats:
    """ln of the tail divided by its first term: 64 terms and a bound of the rest."""
    total, term = np.ones_like(x), np.ones_like(x)
    for step in range(_TERMS):
        term = term * _ratio(x + step, m, own, other)
        if not (term > 1e-17 * total).any():
            return np.log(total)
        total += term
    rest = term * np.expm1(_ln_geometric(_ratio(x + _TERMS, m, own, other)))
    return np.log(total + rest)


def _ratio(x: Floats, m: Floats, own: Floats, other: Floats) -> Floats:
    """P(X = x + 1) / P(X = x); it falls with x."""
    up = np.maximum(m - x, 0.0) * np.maximum(own - x, 0.0)
    ratio: Floats = up / ((x + 1) * (other - m + x + 1))
    return ratio


def _ln_geometric(ratio: Floats) -> Floats:
    """ln(1 + r + r^2 + ...); infinite where the terms do not fall yet."""
    falls = ratio < 1
    return np.where(falls, -np.log1p(-np.where(falls, ratio, 0.0)), math.inf)


def _ln_hypergeometric(x: Floats, m: Floats, own: Floats, other: Floats) -> Floats:
    """ln P(X = x), as a ratio of binomial laws, which have no cancelling factorials.

    *Source:* Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000.
    """
    n = own + other
    success, failure = own / n, other / n
    chosen = _ln_binomial(x, m, success, failure) + _ln_binomial(own - x, n - m, success, failure)
    return chosen - _ln_binomial(own, n, success, failure)


def _ln_binomial(x: Floats, n: Floats, success: Floats, failure: Floats) -> Floats:
    """ln of the binomial law of `n` trials at `x`; `success` + `failure` = 1."""
    rest = n - x
    inside = (x > 0) & (rest > 0)
    u, v, w = (np.where(inside, value, 1.0) for value in (x, rest, n))
    w = np.where(inside, w, 2.0)
    law = _stirling(w) - _stirling(u) - _stirling(v) - _deviance(u, w * success)
    law = law - _deviance(v, w * failure) + 0.5 * np.log(w / (2 * math.pi * u * v))
    edge = special.xlogy(x, success) + special.xlogy(rest, failure)
    return np.where(inside, law, edge)


def _stirling(n: Floats) -> Floats:
    """ln(n!) minus Stirling's formula, for n >= 1."""
    small = np.minimum(n, _SMALL)
    exact = special.gammaln(small + 1) - (small + 0.5) * np.log(small) + small
    exact = exact - 0.5 * math.log(2 * math.pi)
    square = n * n
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / square) / square) / square) / n
    return np.where(n <= _SMALL, exact, series)


def _deviance(x: Floats, mean: Floats) -> Floats:
    """x ln(x / mean) + mean - x, without cancellation where x is near to the mean."""
    distance = mean - x
    u = distance / x
    near = np.abs(u) < _NEAR
    s = np.where(near, u, 0.0)
    v = s / (2 + s)
    square = v * v
    # ln(1 + u) = 2 atanh(v): u - ln(1 + u) = u v - 2 (v^3/3 + v^5/5 + ...)
    odd = v * square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square * (1 / 9))))
    far = np.where(near, 0.0, u)
    return x * np.where(near, s * v - 2 * odd, far - np.log1p(far))
