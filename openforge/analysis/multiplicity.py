"""How large a statistic must be when many tests are made: levels, thresholds, Holm's procedure.

*Assumes* that each p-value is valid (under its null hypothesis, P(p <= u) <= u). Sidak's correction
holds for independent tests and for two-sided normal tests with any correlation (Sidak, 1967);
Holm's holds under any dependence. Levels and p-values are kept as logarithms where they can be
too small for a float.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

TVLA_THRESHOLD = 4.5  # |t| of TVLA (Goodwill et al., NIAT 2011; ISO/IEC 17825)
_LN10 = math.log(10.0)


def level_of(threshold: float) -> float:
    """The probability that one standard normal statistic exceeds `threshold` in size.

    ``2 * (1 - Phi(threshold))``: 6.8e-6 for 4.5. ValueError if `threshold` is negative or NaN.
    """
    if not threshold >= 0:
        raise ValueError(f"a threshold of {threshold}")
    return math.erfc(threshold / math.sqrt(2))


def corrected_threshold(level: float, n_tests: int) -> float:
    """The threshold on |t| of each of `n_tests` tests, for a family-wise error of `level`.

    The probability that any of them exceeds it by chance is `level`. It is the two-sided normal
    quantile of Sidak's level ``1 - (1 - level)^(1/n_tests)``.
    *Source:* Sidak, JASA 62 (1967), 626-633. *Assumes* many traces, such that t is normal.
    ValueError if `level` is not between 0 and 1, or there is no test.
    """
    quantile: float = special.ndtri_exp(_ln_sidak(level, n_tests) - math.log(2.0))
    return -float(quantile)


def corrected_log10_p(level: float, n_tests: int) -> float:
    """What -log10(p) of each of `n_tests` tests must exceed, at the family-wise error `level`.

    ``-log10(1 - (1 - level)^(1/n_tests))``, errors and assumptions of `corrected_threshold`.
    """
    return -_ln_sidak(level, n_tests) / _LN10


def _ln_sidak(level: float, n_tests: int) -> float:
    if not 0 < level < 1 or n_tests < 1:
        raise ValueError(f"a level of {level} for {n_tests} tests")
    return math.log(-math.expm1(math.log1p(-level) / n_tests))


def holm(log10_p: npt.ArrayLike, level: float) -> npt.NDArray[np.bool_]:
    """Which null hypotheses are rejected with a family-wise error of at most `level`.

    `log10_p` are -log10(p), of any shape; the answer has that shape. In ascending order of p, the
    i-th of n (from 0) is rejected while ``p <= level / (n - i)``. *Source:* Holm, Scandinavian
    Journal of Statistics 6 (1979), 65-70. ValueError on NaN, or if `level` is not between 0 and 1.
    """
    values = np.asarray(log10_p, dtype=np.float64)
    if np.isnan(values).any() or not 0 < level < 1:
        raise ValueError(f"a p-value is NaN, or the level is not in (0, 1): {level}")
    flat = values.ravel()
    order = np.argsort(-flat, kind="stable")
    needed = np.log10(np.arange(len(flat), 0, -1)) - math.log10(level)
    passed = np.logical_and.accumulate(flat[order] >= needed)
    rejected = np.zeros(len(flat), dtype=np.bool_)
    rejected[order[passed]] = True
    return rejected.reshape(values.shape)
