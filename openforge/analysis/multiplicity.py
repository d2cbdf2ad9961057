"""How large a statistic must be when many tests are made: levels and thresholds.

*Assumes* that each p-value is valid (under its null hypothesis, P(p <= u) <= u). Bonferroni's
correction holds whatever the dependence of the tests is. Levels and p-values are kept as logarithms
where they can be too small for a float.
"""

from __future__ import annotations

import math

from scipy import special

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

    The probability that any of them exceeds it by chance is at most `level`. It is the two-sided
    normal quantile of ``level / n_tests`` (Bonferroni). *Assumes* many traces, such that t is
    normal.
    ValueError if `level` is not between 0 and 1, or there is no test.
    """
    quantile: float = special.ndtri_exp(_ln_share(level, n_tests) - math.log(2.0))
    return -float(quantile)


def corrected_log10_p(level: float, n_tests: int) -> float:
    """What -log10(p) of each of `n_tests` tests must exceed, at the family-wise error `level`.

    ``-log10(level / n_tests)``, errors and assumptions of `corrected_threshold`.
    """
    return -_ln_share(level, n_tests) / _LN10


def _ln_share(level: float, n_tests: int) -> float:
    if not 0 < level < 1 or n_tests < 1:
        raise ValueError(f"a level of {level} for {n_tests} tests")
    return math.log(level) - math.log(n_tests)
