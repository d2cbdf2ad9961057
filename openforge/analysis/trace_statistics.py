"""Means and central moments of stored traces in two classes: what Welch's t of any order needs.

For integer traces the sums of the powers are exact, so that any split into chunks, in any order and
on any number of threads, gives the same bits. The sums are taken by compiled code
(``openforge/native/trace_statistics.c``) where there is some, else by numpy: the same integers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from math import comb
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.trace_sums import BASE, CENTRE, KINDS, Floats, Ints
from openforge.analysis.welch import Moments
from openforge.errors import OpenForgeError

MAX_ORDER = 3
DTYPES = ("uint8", "uint16", "int16", "float32")


@dataclass(frozen=True)
class PowerSums:
    """Exact sums of (x - centre)^k, k = 1..2 order, of integer traces: high * 2^62 + low.

    ``n : int64[2]``; ``high, low : int64[2, 2 order, n_samples]``, 0 <= low < 2^62.
    """

    n: Ints
    high: Ints
    low: Ints
    centre: int


@dataclass(frozen=True)
class CentralSums:
    """Means, and sums of (x - mean)^k, k = 2..2 order, of float traces, in float64.

    ``n : int64[2]``; ``mean : float64[2, n_samples]``; ``sums : float64[2, 2 order - 1,
    n_samples]``.
    """

    n: Ints
    mean: Floats
    sums: Floats


Statistics: TypeAlias = PowerSums | CentralSums


def collect(
    traces: NDArray[Any], labels: NDArray[np.uint8], *, order: int = 3, threads: int | None = None
) -> Statistics:
    """The sums over some traces, from which `moments` makes the moments up to 2 * `order`.

    ``traces : uint8 | uint16 | int16 | float32 [n, n_samples]``; ``labels : uint8[n]``, 0 or 1: the
    class of each trace. `threads`: None for one on each processor.

    Limits: of float traces neither NaN nor infinity is looked for; they make the results NaN.
    Raises OpenForgeError when the arrays do not fit.
    """
    _check(traces, labels, order)
    threads = threads or len(os.sched_getaffinity(0))
    traces = np.ascontiguousarray(traces)
    kind = traces.dtype.name
    one, rows = KINDS[kind]
    groups = [np.flatnonzero(labels == label) for label in (0, 1)]
    size = min(rows, max(1, -(-len(traces) // (2 * threads))))
    parts = [(c, g[at : at + size]) for c, g in enumerate(groups) for at in range(0, len(g), size)]
    found = _empty(kind, traces.shape[1], order)
    with ThreadPoolExecutor(threads) as pool:
        done = pool.map(lambda part: one(traces, part[1], 2 * order), parts)
        for (label, members), sums in zip(parts, done, strict=True):
            found = merge(found, _of_class(found, label, len(members), sums))
    return found


def merge(a: Statistics, b: Statistics) -> Statistics:
    """The statistics of the traces of both; they must be of one kind, order and length.

    Integers: exact. Floats: Pébay, "Formulas for robust, one-pass parallel computation of
    covariances and arbitrary-order statistical moments", SAND2008-6212, equation 2.1.
    """
    if _kind(a) != _kind(b):
        raise OpenForgeError("statistics of other traces, or of another order, do not add up")
    if isinstance(a, PowerSums) and isinstance(b, PowerSums):
        low = a.low + b.low
        high = a.high + b.high + (low >> BASE)
        return PowerSums(a.n + b.n, high, low & ((1 << BASE) - 1), a.centre)
    assert isinstance(a, CentralSums) and isinstance(b, CentralSums)
    return _merge_central(a, b)


def moments(statistics: Statistics) -> Moments:
    """Counts, means and central moments 2 to 6 (with 1 / n) of both classes.

    Of integer traces each value is the float64 next to the exact one. NaN where a moment was not
    collected (order below 3) or a class is empty.
    """
    n = statistics.n
    if isinstance(statistics, PowerSums):
        powers, n_samples = statistics.low.shape[1:]
    else:
        powers, n_samples = statistics.sums.shape[1] + 1, statistics.sums.shape[2]
    mean = np.full((2, n_samples), np.nan)
    central = np.full((2, 5, n_samples), np.nan)
    for label in np.flatnonzero(n):
        if isinstance(statistics, PowerSums):
            mean[label], central[label, : powers - 1] = _exact(statistics, int(label))
        else:
            mean[label] = statistics.mean[label]
            central[label, : powers - 1] = statistics.sums[label] / n[label]
    return Moments(n=n, mean=mean, central=central)


def of_chunks(
    chunks: Iterable[tuple[NDArray[Any], NDArray[np.uint8]]],
    *,
    order: int = 3,
    threads: int | None = None,
) -> Moments:
    """The moments of all `chunks` of (traces, labels); memory does not grow with their number.

    Raises OpenForgeError when there are none, or they do not fit each other.
    """
    each = (collect(traces, labels, order=order, threads=threads) for traces, labels in chunks)
    first = next(each, None)
    if first is None:
        raise OpenForgeError("there are no traces")
    return moments(reduce(merge, each, first))


def _check(traces: NDArray[Any], labels: NDArray[np.uint8], order: int) -> None:
    if not 1 <= order <= MAX_ORDER:
        raise OpenForgeError(f"the order must be 1 to {MAX_ORDER}, not {order}")
    if traces.ndim != 2 or traces.dtype not in [np.dtype(name) for name in DTYPES]:
        found = f"{traces.dtype} with {traces.ndim} dimensions"
        raise OpenForgeError(f"traces must be {', '.join(DTYPES)} [n, n_samples], not {found}")
    if labels.shape != traces.shape[:1]:
        raise OpenForgeError(f"{len(traces)} traces, but labels of the shape {labels.shape}")
    if labels.dtype != np.uint8 or (labels > 1).any():
        raise OpenForgeError("labels must be uint8: 0 (fixed) or 1 (random)")


def _empty(kind: str, n_samples: int, order: int) -> Statistics:
    n = np.zeros(2, np.int64)
    if kind == "float32":
        sums = np.zeros((2, 2 * order - 1, n_samples))
        return CentralSums(n, np.zeros((2, n_samples)), sums)
    none = np.zeros((2, 2 * order, n_samples), np.int64)
    centre = 0 if kind == "uint8" and order == 1 else CENTRE[kind]
    return PowerSums(n, none, none, centre)


def _kind(of: Statistics) -> tuple[object, ...]:
    """What two statistics must have in common to be merged."""
    return (of.centre, of.low.shape) if isinstance(of, PowerSums) else (None, of.sums.shape)


def _of_class(like: Statistics, label: int, n: int, sums: Any) -> Statistics:
    """`sums` of `n` traces of the class `label`, with an empty other class."""
    count = np.zeros(2, np.int64)
    count[label] = n
    if isinstance(like, CentralSums):
        mean, central = np.zeros_like(like.mean), np.zeros_like(like.sums)
        mean[label], central[label] = sums
        return CentralSums(count, mean, central)
    high, low = np.zeros_like(like.high), np.zeros_like(like.low)
    high[label], low[label] = sums
    return PowerSums(count, high, low, like.centre)


def _merge_central(a: CentralSums, b: CentralSums) -> CentralSums:
    n = a.n + b.n
    n_a, n_b = (x.n.astype(float)[:, None] for x in (a, b))
    total = np.maximum(n_a + n_b, 1.0)  # both empty: all sums are 0
    delta = np.where(n_a * n_b > 0, b.mean - a.mean, 0.0)
    mean = np.where(n_a > 0, a.mean + delta * n_b / total, b.mean)
    sums = a.sums + b.sums
    for count, shift, part in ((n_a, -n_b / total, a.sums), (n_b, n_a / total, b.sums)):
        powers = np.cumprod([delta * shift] * (sums.shape[1] + 1), axis=0)  # to the 1st, 2nd, ...
        for p in range(2, sums.shape[1] + 2):
            sums[:, p - 2] += count * powers[p - 1]
            for k in range(1, p - 1):
                sums[:, p - 2] += comb(p, k) * powers[k - 1] * part[:, p - k - 2]
    return CentralSums(n, mean, sums)


def _exact(found: PowerSums, label: int) -> tuple[Floats, Floats]:
    """Mean and central moments of a class: n^(k+1) m_k = sum of (k j) P(k-j) n^(k-j) (-P1)^j."""
    n = int(found.n[label])
    big: Any = found.high[label].astype(object) * (1 << BASE) + found.low[label].astype(object)
    powers = [np.full(big.shape[1], n, object), *big]
    minus = [1]
    for _ in powers[1:]:
        minus.append(minus[-1] * -powers[1])
    rows = []
    for k in range(2, len(powers)):
        terms = (comb(k, j) * n ** (k - j) * powers[k - j] * minus[j] for j in range(k + 1))
        rows.append((sum(terms) / n ** (k + 1)).astype(float))
    mean = ((powers[1] + n * found.centre) / n).astype(float)
    return mean, np.stack(rows)
