"""Fixed-against-random t-tests of orders 1 to 3, from histograms or from central moments.

*Source:* Schneider and Moradi, "Leakage Assessment Methodology", CHES 2015, sections 4 and 5
(univariate). Order d compares the means of a preprocessed trace: ``x``, ``(x - mean)^2``,
``((x - mean) / stddev)^3``, with the mean and standard deviation (biased) of its own class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from openforge.analysis.histograms import Counts, Histograms, n_traces

_LN2, _LN10 = math.log(2.0), math.log(10.0)
_MAX_NUMBERS = 1 << 20  # bins worked on at once: 8 MB an array
_ROUNDING = 64 * np.finfo(np.float64).eps  # a variance this small against its terms is rounding
_EQUAL = 1e-12  # relative difference of two means that is rounding
_SMALLEST = 1e-280  # below, logarithms are computed from the series
_BY_ALL = 2  # the largest order in which the variance of all traces is looked at
_TERMS = 12  # of the series; each is at most 1/50 of the one before at _SMALLEST
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments by class (0 = fixed, 1 = random) and sample.

    ``n : int64[2]`` traces, ``mean : float64[2, n_samples]``, ``central : float64[2, 5,
    n_samples]``: the central moments 2 to 6, ``sum((x - mean)^k) / n``. The central moments must
    have been summed around the mean, or from exact integers: from float power sums they are noise.
    """

    n: npt.NDArray[np.int64]
    mean: Floats
    central: Floats


@dataclass(frozen=True, eq=False)
class TValues:
    """The tests, each field ``[n_orders, n_samples]``, in the order of `orders`.

    `t` is positive where the fixed class has the larger mean. `log10_p` is -log10 of the two-sided
    p-value, `dof` Welch and Satterthwaite's degrees of freedom. All values are finite.

    `degenerate` marks where the preprocessed values are constant in both classes. If the constants
    are equal, t is 0. If they differ, there is no variance to compare with, and p is the
    probability that random labels separate the values: ``2 / C(n, n_fixed)`` (its square root for
    order 2, whose values depend on the class); t is the normal deviate of that p, so it is large
    but finite, grows with the square root of the traces, and few traces are weak evidence.
    """

    orders: tuple[int, ...]
    t: Floats
    log10_p: Floats
    dof: Floats
    degenerate: npt.NDArray[np.bool_]


def t_values(histograms: Histograms, orders: Sequence[int] = (1, 2, 3)) -> TValues:
    """The tests of the traces behind `histograms`: `t_from_moments` of `moments_of`."""
    return t_from_moments(moments_of(histograms), orders)


def moments_of(histograms: Histograms) -> Moments:
    """The moments of the traces behind `histograms`, in units of its values.

    Sums of values are exact integers; central moments are summed around the mean in float64.
    ValueError if a class has no traces or the sums would not fit 63 bits.
    """
    n = n_traces(histograms)
    if not n.all() or int(n.max()) * histograms.counts.shape[2] >= 1 << 63:
        raise ValueError(f"{n[0]} fixed and {n[1]} random traces have no usable moments")
    n_samples, n_bins = histograms.counts.shape[1:]
    mean, central = np.empty((2, n_samples)), np.empty((2, 5, n_samples))
    block = max(1, _MAX_NUMBERS // n_bins)
    for kind in (0, 1):
        for first in range(0, n_samples, block):
            part = slice(first, first + block)
            mean[kind, part], central[kind, :, part] = _moments(
                histograms.counts[kind, part], int(n[kind])
            )
    mean += histograms.origin
    powers = histograms.step ** np.arange(2, 7)
    return Moments(n.astype(np.int64), mean * histograms.step, central * powers[:, None])


def _moments(counts: Counts, n: int) -> tuple[Floats, Floats]:
    """The mean and central moments of histograms of `n` traces, in bins."""
    bins = np.arange(counts.shape[1])
    total = (counts * bins.astype(np.uint64)).sum(axis=1).astype(np.int64)
    whole, part = np.divmod(total, n)
    distance = (bins[None, :] - whole[:, None]) - (part / n)[:, None]
    power, weights = distance.copy(), counts / n
    central = np.empty((5, len(counts)))
    for row in central:
        power *= distance
        row[:] = (weights * power).sum(axis=1)
    return whole + part / n, central


def t_from_moments(moments: Moments, orders: Sequence[int] = (1, 2, 3)) -> TValues:
    """Welch's test of each order at each sample.

    ``t = (m_f - m_r) / sqrt(v_f/n_f + v_r/n_r)`` with the mean m and unbiased variance v of the
    preprocessed values. By Schneider and Moradi, with central moments c_k: order 2 has ``m = c_2``
    and ``v = c_4 - c_2^2``; order 3 has ``m = c_3 / c_2^1.5`` and ``v = (c_6 - c_3^2) / c_2^3``.

    *Difference:* these v take the mean and stddev of a class as known. That changes nothing for
    order 2. For order 3 it is too large for normal noise (15 instead of 6), but too small by up to
    a factor of 4 for a sample with two equally likely values, whose |t| would reach 4.5 by chance
    in one of 40 cases. The larger of v and the true asymptotic variance (delta method) is taken.

    p is Student's, the larger one of t and of the same difference over the variance of all traces
    together (orders 1 and 2), and in order 1 never below the chance that random labels part two
    values. Welch's variance alone is too small where one class happens to be nearly constant: with
    256 traces a class, order 2 would reject three times as often as stated.

    *Limits:* with few traces of rare or very skewed values p is approximate. A
    class that is constant counts as having skewness 0. ValueError if an order is not 1, 2 or 3, or
    a class has fewer than two traces.
    """
    if not set(orders) <= {1, 2, 3} or moments.n.min() < 2:
        raise ValueError(f"orders {tuple(orders)} with {moments.n.tolist()} traces")
    rows = [_test(moments, order) for order in orders]
    shape = (len(rows), moments.mean.shape[1])
    t, log10_p, dof = (
        np.array([row[field] for row in rows], dtype=np.float64).reshape(shape)
        for field in range(3)
    )
    degenerate = np.array([row[3] for row in rows], dtype=np.bool_).reshape(shape)
    return TValues(tuple(orders), t, log10_p, dof, degenerate)


def _test(moments: Moments, order: int) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]:
    """One order: t, -log10 p, degrees of freedom, degenerate."""
    n = moments.n[:, None].astype(np.float64)
    mean, variance = _preprocessed(moments, order)
    difference = mean[0] - mean[1]
    share = variance / (n - 1)  # the unbiased variance, divided by n
    square = share.sum(axis=0)
    degenerate = square == 0
    usable = np.where(degenerate, 1.0, square)
    t = np.where(degenerate, 0.0, difference / np.sqrt(usable))
    inverse = ((share / usable) ** 2 / (n - 1)).sum(axis=0)  # by shares, which do not underflow
    dof = np.where(degenerate, moments.n.sum() - 2.0, 1 / np.where(degenerate, 1.0, inverse))
    ln_p = _ln_student(t, dof)
    if order <= _BY_ALL:
        together = difference / np.sqrt(np.where(degenerate, 1.0, _of_all(moments, order)))
        ln_p = np.maximum(ln_p, _ln_student(together, np.full_like(dof, n.sum() - 2)))
    if order == 1:
        ln_p = np.maximum(ln_p, _ln_separated(moments.n, order))
    apart = degenerate & (np.abs(difference) > _EQUAL * np.abs(mean).max(axis=0))
    certain = _ln_separated(moments.n, order)
    deviate: float = special.ndtri_exp(certain - _LN2)
    t = np.where(apart, -np.sign(difference) * float(deviate), t)
    return t, np.maximum(0.0, np.where(apart, certain, ln_p) / -_LN10) + 0.0, dof, degenerate


def _of_all(moments: Moments, order: int) -> Floats:
    """The variance of a difference of means if labels say nothing: that of all traces together.

    Of ``x`` or, in order 2, of ``(x - mean)^2`` with the mean of all traces.
    """
    n = moments.n[:, None].astype(np.float64)
    share = n / n.sum()
    distance = moments.mean - (share * moments.mean).sum(axis=0)
    c2, c3, c4, _, _ = moments.central.swapaxes(0, 1)
    second = (share * (c2 + distance**2)).sum(axis=0)
    spread = second
    if order == _BY_ALL:
        fourth = c4 + 4 * c3 * distance + 6 * c2 * distance**2 + distance**4
        spread = np.maximum((share * fourth).sum(axis=0) - second * second, 0.0)
    return np.asarray(np.where(spread > 0, spread, 1.0) * (1 / n).sum(axis=0))


def _preprocessed(moments: Moments, order: int) -> tuple[Floats, Floats]:
    """The mean and (biased) variance of the preprocessed values, ``[2, n_samples]`` each."""
    c2, c3, c4, c5, c6 = moments.central.swapaxes(0, 1)
    if order == 1:
        return moments.mean, c2
    if order == 2:
        spread = c4 - c2 * c2
        return c2, np.where(spread <= _ROUNDING * c4, 0.0, spread)
    scale = np.sqrt(np.where(c2 > 0, c2, 1.0))
    m3, m4, m5, m6 = c3 / scale**3, c4 / scale**4, c5 / scale**5, c6 / scale**6
    known = m6 - m3 * m3
    # variance of x^3 - 3x - 1.5 m3 (x^2 - 1) for standardised x
    estimated = known - 6 * m4 + 9 + 2.25 * m3 * m3 * (m4 - 1) - 3 * m3 * m5 + 12 * m3 * m3
    return m3, np.where(c2 > 0, np.maximum(np.maximum(known, estimated), 0.0), 0.0)


def _ln_separated(n: npt.NDArray[np.int64], order: int) -> float:
    """The logarithm of the probability that random labels part constant classes; see `TValues`."""
    a, b = (float(count) for count in n)
    ln_choices: float = special.gammaln(a + b + 1) - special.gammaln(a + 1) - special.gammaln(b + 1)
    return min(0.0, _LN2 - float(ln_choices) * (1.0 if order == 1 else 0.5))


def _ln_student(t: Floats, dof: Floats) -> Floats:
    """The logarithm of the two-sided p-value of Student's t, for any size of both.

    ``p = I_x(dof/2, 1/2)`` with ``x = dof / (dof + t^2)``, by scipy while p is a usable float, then
    by the series ``x^a y^(b-1) / (a B(a, b)) * 2F1(1/2, 1; a+1; -dof/t^2)``, y = 1 - x.
    """
    square = t * t
    a = dof / 2
    near = square < dof  # the smaller of x and y has no rounding that matters
    p: Floats = np.where(
        near,
        special.betaincc(0.5, a, square / (dof + square)),
        special.betainc(a, 0.5, dof / (dof + square)),
    )
    small = p < _SMALLEST
    ratio = np.where(small, dof / np.where(small, square, 1.0), 0.0)
    series, term = np.ones_like(p), np.ones_like(p)
    for k in range(_TERMS):
        term *= -ratio * (0.5 + k) / (a + 1 + k)
        series += term
    with np.errstate(divide="ignore"):
        tail: Floats = (
            -a * np.log1p(square / dof)
            + 0.5 * np.log1p(ratio)
            - np.log(a)
            - special.betaln(a, 0.5)
            + np.log(series)
        )
        return np.where(small, tail, np.log(p))
