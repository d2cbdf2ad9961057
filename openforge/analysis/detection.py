"""How many traces a leak needs to be seen, and how small a leak a number of traces would show.

*Assumes* a Welch test with many traces (t is normal with unit variance) and equal variances of
the classes; effects are in standard deviations of one trace (Cohen's d). Below about 100 traces a
class these numbers are a little too good.
"""

from __future__ import annotations

import math

from scipy import special

from openforge.analysis.multiplicity import level_of

_POWER = 0.9


def traces_to_detect(t: float, n_traces: int, threshold: float) -> int | None:
    """The number of traces at which the leak behind `t` would reach `threshold`; None if none.

    ``n_traces * (threshold / |t|)^2``, rounded up, at least 2: t grows with the square root of
    the traces. *Limits:* an extrapolation of one estimate. The t of a point that was chosen as the
    largest of many is too large by chance, so the number is too small unless |t| is well above the
    threshold. ValueError if `t` is NaN, or there are no traces or no threshold.
    """
    if math.isnan(t) or n_traces < 1 or not threshold > 0:
        raise ValueError(f"t = {t} from {n_traces} traces, threshold {threshold}")
    if t == 0:
        return None
    needed = n_traces * (threshold / abs(t)) * (threshold / abs(t))
    return max(2, math.ceil(needed)) if needed < math.inf else None


def smallest_effect(n_fixed: int, n_random: int, threshold: float, power: float = _POWER) -> float:
    """The standardised difference of means that a test finds with probability `power`, or more.

    ``d = (threshold + Phi^-1(power)) / sqrt(n_fixed * n_random / (n_fixed + n_random))``: the test
    finds it when |t| exceeds `threshold`. The chance to cross on the other side is left out, which
    makes d no smaller. ValueError if a class is empty or `power` is not between the level of the
    test and 1.
    """
    if min(n_fixed, n_random) < 1:
        raise ValueError(f"{n_fixed} fixed and {n_random} random traces")
    return _shift(threshold, power) / math.sqrt(n_fixed * n_random / (n_fixed + n_random))


def required_traces(effect: float, threshold: float, power: float = _POWER) -> int:
    """The traces, half of each class, with which `smallest_effect` is at most `effect`.

    ``4 * ((threshold + Phi^-1(power)) / effect)^2``, rounded up to an even number of at least 4.
    ValueError if `effect` is not positive, and as in `smallest_effect`.
    """
    if not 0 < effect < math.inf:
        raise ValueError(f"an effect of {effect}")
    return 2 * max(2, math.ceil(2 * (_shift(threshold, power) / effect) ** 2))


def _shift(threshold: float, power: float) -> float:
    """The mean of t at which it exceeds `threshold` with probability `power`."""
    if not level_of(threshold) < power < 1:
        raise ValueError(f"a power of {power} at a threshold of {threshold}")
    quantile: float = special.ndtri(power)
    return threshold + float(quantile)
