"""Exact-moment test of 2 x K tables: whether what a probing set sees depends on the class.

A chi-square or G test of a sparse table (cells with one, two or three traces) raises false alarms,
because its cells do not follow the law that it assumes. Here every cell is judged given its total,
where its law is known exactly, and the p-value is a proven bound: it can be too large, and never
too small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

_LN10 = math.log(10.0)
_LN_PINELIS = math.log(2.0 / 9.0) + 3.0  # the constant 2 e^3 / 9
_BERRY_ESSEEN = 0.56  # Shevtsova, Doklady Mathematics 82 (2010): independent, not identical
_SCREEN = 3.0  # standard deviations above which a sharper bound is tried
_ENOUGH = 40.0  # -log10 p above which it is not
_DENSE = 0.99  # share of chi-square's variance above which the general bound is as good
_LARGE = 512  # cell totals up to which a cell's law is enumerated
_HALVINGS = 50
_MAX_NUMBERS = 1 << 22  # cells worked on at once
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TableTests:
    """The tests of a batch of tables, one entry a table.

    `log10_p` : float64, -log10 of an upper bound on p. `informative` : int64, the cells with at
    least two traces; a table without any says nothing. `statistic` : float64, the sum that is
    tested, and `deviate` : float64, that sum in standard deviations of the null hypothesis.
    """

    log10_p: Floats
    informative: Integers
    statistic: Floats
    deviate: Floats


def table_tests(counts: npt.ArrayLike) -> TableTests:
    """Whether the cell that a trace falls into depends on its class.

    `counts` : uint64[..., 2, K], traces by class and cell; the answer's fields have the shape
    ``[...]``. With a cell's counts a, b and total m, ``T = sum over m >= 2 of ((a-b)^2 / m - 1)``.
    Given the totals, a is Binomial(m, 1/2), so T has mean 0 and variance ``2 sum (1 - 1/m)``.

    p is the smaller of two bounds on P(T' >= T). (1) T plus the number of cells is the squared
    length of a projection of random signs, so ``p <= 4.47 P(chi2_k >= T + k)``, k informative
    cells. *Source:* Pinelis, Annals of Statistics 22 (1994), 357-368. It costs 0.65 in log10 p, and
    more in sparse tables. (2) Where T is large, Chernoff's bound with the cells' exact laws,
    sharpened by the Berry-Esseen theorem under the tilted law; it is close in large sparse tables.

    *Assumes* that the class of each trace is a fair coin of its own, thrown independently of the
    traces. With classes of a size that is fixed, cells depend on each other: see `Limits`.
    *Limits:* fixed sizes (half and half) take freedom from T, whose mean falls below 0; simulations
    show no false alarms, but the bound is proven for the coin. At p of 1e-8 to 1e-10 the bound is
    up to 1 decade above the exact p in tables of one kind of cells and up to 2 decades where few
    cells are large and few are small; far below it is looser. ValueError if there are not two rows.
    """
    table = np.asarray(counts)
    if table.ndim < 2 or table.shape[-2] != 2 or table.shape[-1] == 0:
        raise ValueError(f"a table of counts has the shape [2, K], not {table.shape}")
    flat = table.reshape(-1, *table.shape[-2:])
    size = max(1, _MAX_NUMBERS // flat.shape[-1])
    parts = [_batch(flat[first : first + size]) for first in range(0, len(flat), size)]
    log10_p, informative, statistic, deviate = (
        np.concatenate([part[field] for part in parts]) if parts else np.zeros(0)
        for field in range(4)
    )
    shape = table.shape[:-2]
    return TableTests(
        log10_p.reshape(shape),
        informative.astype(np.int64).reshape(shape),
        statistic.reshape(shape),
        deviate.reshape(shape),
    )


def _batch(tables: npt.NDArray[np.generic]) -> tuple[Floats, Integers, Floats, Floats]:
    """-log10 p, informative cells, T and its deviate of ``[n, 2, K]`` tables."""
    fixed, random = (tables[:, kind].astype(np.int64) for kind in (0, 1))
    total = fixed + random
    weighed = total >= 2
    m = np.where(weighed, total, 1).astype(np.float64)
    difference = (fixed - random).astype(np.float64)
    statistic = ((difference * difference / m - 1) * weighed).sum(axis=1)
    variance = (2 * (1 - 1 / m)).sum(axis=1)
    informative = weighed.sum(axis=1)
    deviate = statistic / np.sqrt(np.where(variance > 0, variance, 1.0))
    ln_p = _ln_projection(statistic, informative)
    sparse = variance < 2 * _DENSE * informative
    for index in np.flatnonzero(sparse & (deviate > _SCREEN) & (ln_p > -_ENOUGH * _LN10)):
        cells = total[index][weighed[index]]
        ln_p[index] = min(ln_p[index], _ln_tilted(cells, float(statistic[index])))
    return np.maximum(0.0, -ln_p / _LN10) + 0.0, informative, statistic, deviate


def _ln_projection(statistic: Floats, cells: Integers) -> Floats:
    """ln of Pinelis's bound, at most 0."""
    half = np.maximum(cells, 1) / 2
    x = np.maximum(statistic + cells, 0.0) / 2
    p: Floats = special.gammaincc(half, x)
    far = p < 1e-280
    # Gamma(a, x) <= x^a e^-x / (x - max(a - 1, 0)) for x > a - 1
    y = np.where(far, x, half + 1)
    bound = half * np.log(y) - y - special.gammaln(half) - np.log(y - np.maximum(half - 1, 0.0))
    ln_tail = np.where(far, bound, np.log(np.where(far, 1.0, p)))
    return np.where(cells > 0, np.minimum(0.0, ln_tail + _LN_PINELIS), 0.0)


@dataclass(frozen=True, eq=False)
class _Laws:
    """The exact laws of cells: all values of (a-b)^2/m - 1, cell kind after cell kind.

    `value`, `ln_weight` : float64[n_values]; `start` : where each kind begins; `kind` : the kind of
    each value; `copies` : how many cells of each kind; `large` : cells that are not enumerated.
    """

    value: Floats
    ln_weight: Floats
    start: Integers
    kind: Integers
    copies: Floats
    large: int


def _laws(cells: Integers) -> _Laws:
    totals, copies = np.unique(cells[cells <= _LARGE], return_counts=True)
    lengths = totals // 2 + 1
    kind = np.repeat(np.arange(len(totals)), lengths)
    start = np.cumsum(lengths) - lengths
    m = totals[kind].astype(np.float64)
    few = np.arange(len(kind)) - start[kind]  # the smaller of the two counts
    ln_weight = special.gammaln(m + 1) - special.gammaln(few + 1) - special.gammaln(m - few + 1)
    ln_weight = ln_weight + np.where(2 * few < m, math.log(2.0), 0.0) - m * math.log(2.0)
    large = int((cells > _LARGE).sum())
    return _Laws(
        (m - 2 * few) ** 2 / m - 1, ln_weight, start, kind, copies.astype(np.float64), large
    )


def _tilt(laws: _Laws, s: float) -> tuple[float, float, Floats]:
    """The sum K(s) of ln E exp(s w) of all cells, its slope, and the tilted weights.

    A large cell's is bounded by a squared normal deviate's, ``-ln(1 - 2s)/2 - s``, for s < 1/2.
    """
    exponent = laws.ln_weight + s * laws.value
    top = np.maximum.reduceat(exponent, laws.start)
    weight = np.exp(exponent - top[laws.kind])
    mass = np.add.reduceat(weight, laws.start)
    weight /= mass[laws.kind]
    mean = np.add.reduceat(weight * laws.value, laws.start)
    height, slope = float(laws.copies @ (top + np.log(mass))), float(laws.copies @ mean)
    if laws.large:
        height += laws.large * (-0.5 * math.log1p(-2 * s) - s)
        slope += laws.large * (1 / (1 - 2 * s) - 1)
    return height, slope, weight


def _ln_tilted(cells: Integers, statistic: float) -> float:
    """ln of the bound of Chernoff, with Berry and Esseen's factor where all laws are enumerated.

    Under the law tilted by s, ``P(T' >= T) = exp(K - s T) E[exp(-s (T' - T)); T' >= T]``. The
    expectation is at most 1, and at most ``erfcx(s sigma / sqrt 2) / 2 + 2 D`` where D bounds the
    distance of the tilted law from a normal one with its mean. Any s whose mean is at most T gives
    a valid bound, so the search for the best need not be exact.
    """
    laws = _laws(cells)
    if not len(laws.start):
        return 0.0
    low, high = 0.0, 0.5 - 1e-9 if laws.large else 64.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _tilt(laws, middle)[1] < statistic else (low, middle)
    height, _, weight = _tilt(laws, low)
    chernoff = height - low * statistic
    if laws.large:
        return min(0.0, chernoff)
    mean = np.add.reduceat(weight * laws.value, laws.start)
    away = laws.value - mean[laws.kind]
    variance, third = (
        float(laws.copies @ np.add.reduceat(weight * np.abs(away) ** k, laws.start)) for k in (2, 3)
    )
    factor = 0.5 * float(special.erfcx(low * math.sqrt(variance / 2)))
    factor += 2 * _BERRY_ESSEEN * third / variance**1.5
    return min(0.0, chernoff + math.log(min(1.0, factor)))
