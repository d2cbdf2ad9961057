"""Sums of traces by class, and the signal-to-noise ratio that they give.

*Source:* S. Mangard, "Hardware Countermeasures against DPA - A Statistical Analysis of Their
Effectiveness", CT-RSA 2004.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]

_BLOCK_VALUES = 1 << 24  # widened to 16 bits, 32 MB
_WORTH = 64  # rows that a narrow sum has to take before it is worth its while
_EXACT_SINGLE = 256  # 256 squares of values up to 256 are exact in float32: 2^24


@dataclass(frozen=True)
class Block:
    """Some traces, prepared for sums: `values` may be added `capacity` at a time in their dtype.

    `peak` is the largest size of a value; `total` and `squares` are sums for each sample, int64
    (exact) or float64.
    """

    values: Array
    capacity: int
    peak: int
    total: Array
    squares: Array


def widened(values: Array, peak: int) -> tuple[Array, int]:
    """`values` in a dtype in which at least 64 of size `peak` can be added, and how many can be."""
    if values.dtype.kind == "f":
        return values.astype(np.float64, copy=False), len(values) + 1
    kinds = (np.int16, np.int32) if values.dtype.kind == "i" else (np.uint16, np.uint32)
    for kind in (*kinds, np.int64):
        capacity = int(np.iinfo(kind).max) // max(peak, 1)
        if capacity >= _WORTH or kind is np.int64:
            break
    return values.astype(kind, copy=False), capacity


def blocks(traces: Array) -> Iterator[Block]:
    """`traces`, numbers[n, S], in blocks of rows that are ready to be summed.

    Raises ValueError for what is no table of finite numbers, or numbers too large for exact sums.
    """
    if traces.ndim != 2 or traces.dtype.kind not in "biuf":
        found = f"{traces.dtype}{list(traces.shape)}"
        raise ValueError(f"traces are to be real numbers[n, samples], not {found}")
    step = max(1, _BLOCK_VALUES // max(traces.shape[1], 1))
    for start in range(0, len(traces), step):
        yield _block(traces[start : start + step])


def exact_limit(peak: int, n_traces: int) -> None:
    """Nothing, if sums of squares of `n_traces` of size `peak` fit int64; else ValueError."""
    if peak * peak * n_traces >= 1 << 63:
        raise ValueError(f"{n_traces} traces with values up to {peak} do not have exact sums")


def _block(rows: Array) -> Block:
    rows = rows.astype(np.uint8) if rows.dtype.kind == "b" else rows
    if rows.dtype.kind == "f":
        values, capacity = widened(rows, 0)
        if not np.isfinite(values).all():
            raise ValueError("traces have values that are not finite")
        squares = np.einsum("ij,ij->j", values, values)
        return Block(values, capacity, 0, values.sum(axis=0), squares)
    peak = max(-int(rows.min()), int(rows.max())) if rows.size else 0
    exact_limit(peak, len(rows))
    values, capacity = widened(rows, peak)
    total = values.sum(axis=0, dtype=np.int64)
    return Block(values, capacity, peak, total, _squares(values, peak))


def _squares(values: Array, peak: int) -> Array:
    """The exact sum of squares for each sample, int64[S]."""
    if peak > _EXACT_SINGLE:
        wide = values.astype(np.int64, copy=False)
        return np.asarray(np.einsum("ij,ij->j", wide, wide))
    found = np.zeros(values.shape[1], dtype=np.int64)
    for start in range(0, len(values), _EXACT_SINGLE):
        part = values[start : start + _EXACT_SINGLE].astype(np.float32)
        found += np.einsum("ij,ij->j", part, part).astype(np.int64)
    return found


def class_totals(values: Array, capacity: int, classes: Array, out: Array) -> None:
    """Add to each row of `out`, [n_classes, S], the sum of the rows of `values` in that class.

    A matrix of zeros and ones times `values`: its rows are classes, or pieces of a class of at most
    `capacity` rows so that no sum overflows. Nothing but sums is ever stored.
    """
    counts = np.bincount(classes, minlength=len(out))
    present = np.flatnonzero(counts)
    counts = counts[present]
    short = classes.astype(np.uint16) if len(out) <= 1 << 16 else classes  # sorted by radix
    order = np.argsort(short, kind="stable")
    pieces = -(-counts // capacity)
    first = np.cumsum(pieces) - pieces
    nth = np.arange(pieces.sum()) - np.repeat(first, pieces)
    begins = np.repeat(np.cumsum(counts) - counts, pieces) + nth * capacity
    pointers = np.append(begins, len(values))
    entries = (np.ones(len(values), dtype=values.dtype), order, pointers)
    members = scipy.sparse.csr_array(entries, shape=(len(begins), len(values)))
    sums = members @ values
    if len(begins) > len(present):
        sums = np.add.reduceat(sums, first, axis=0, dtype=out.dtype)
    if len(present) == len(out):
        out += sums
    else:
        out[present] += sums


def checked_classes(classes: Array, n_classes: int, n_traces: int) -> Array:
    """`classes` as they are. Raises ValueError unless there is one in range for each trace."""
    if classes.shape != (n_traces,) or classes.dtype.kind not in "iu":
        raise ValueError(f"there are to be {n_traces} classes, not {list(classes.shape)}")
    if n_traces and not (classes.min() >= 0 and classes.max() < n_classes):
        raise ValueError(f"classes are to be 0 to {n_classes - 1}")
    return classes


def scatter(counts: Any, total: Array, squares: Array) -> Reals:
    """``n * sum(x^2) - sum(x)^2``, n^2 times the variance: exact for integers, zero is zero.

    For float sums, what cannot be told from rounding is zero.
    """
    if total.dtype.kind == "f":
        found = np.maximum(counts * squares - total * total, 0.0)
        noise = 4 * np.finfo(np.float64).eps * counts * squares * np.sqrt(np.maximum(counts, 1))
        return np.where(found > noise, found, 0.0)
    n = np.asarray(counts)
    if int(n.max(initial=0)) * int(squares.max(initial=0)) >= 1 << 63:
        n, total, squares = (part.astype(object) for part in (n, total, squares))
    return np.asarray(n * squares - total * total, dtype=np.float64)


class Moments:
    """Counts, sums and sums of squares of traces for each class; they can be merged.

    `counts` : int64[n_classes], `sums` and `squares` : [n_classes, S]; int64 when traces are
    integers (every order of adding gives the same bits), else float64. *Limits:* 16 bytes for each
    class and sample. Float traces with a mean far above their deviation lose digits.
    """

    def __init__(self, n_classes: int, n_samples: int, *, integers: bool = True) -> None:
        kind = np.int64 if integers else np.float64
        self.peak = 0
        self.counts: npt.NDArray[np.int64] = np.zeros(n_classes, dtype=np.int64)
        self.sums: Array = np.zeros((n_classes, n_samples), dtype=kind)
        self.squares: Array = np.zeros((n_classes, n_samples), dtype=kind)

    def add(self, traces: Array, classes: Array) -> None:
        """Count in `traces`, numbers[n, S], of which trace i is in ``classes[i]``, integers[n].

        Raises ValueError for shapes, classes or numbers that do not fit.
        """
        checked_classes(classes, len(self.counts), len(traces))
        start = 0
        for block in blocks(traces):
            if block.total.dtype != self.sums.dtype or len(block.total) != self.sums.shape[1]:
                found = f"{len(block.total)} samples of {block.total.dtype}"
                wanted = f"{self.sums.shape[1]} samples of {self.sums.dtype}"
                raise ValueError(f"traces have {found}, not {wanted}")
            part = classes[start : start + len(block.values)]
            start += len(part)
            self.peak = max(self.peak, block.peak)
            exact_limit(self.peak, int(self.counts.sum()) + len(part))
            self.counts += np.bincount(part, minlength=len(self.counts))
            class_totals(block.values, block.capacity, part, self.sums)
            wide, capacity = widened(block.values, block.peak**2)
            class_totals(wide * wide, capacity, part, self.squares)

    def merged(self, other: Moments) -> Moments:
        """New moments, as if both had seen all traces. Raises ValueError if they differ."""
        if self.sums.shape != other.sums.shape or self.sums.dtype != other.sums.dtype:
            raise ValueError("moments of different classes, samples or kinds cannot be merged")
        both = Moments(*self.sums.shape, integers=self.sums.dtype.kind == "i")
        both.peak = max(self.peak, other.peak)
        exact_limit(both.peak, int(self.counts.sum() + other.counts.sum()))
        for name in ("counts", "sums", "squares"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both


@dataclass(frozen=True)
class Snr:
    """The signal-to-noise ratio of each sample, float64[S], never NaN.

    `corrected` is the one to report; `plain` is what is usually printed (see `ratio`). Where
    `noiseless`, bool[S], traces of a class are all equal: the ratio is inf if classes differ and
    0 if they do not. `used` classes have two traces or more; `single` have one, `empty` none, and
    they count for nothing. With fewer than two used classes every ratio is 0 and means nothing.
    """

    corrected: Reals
    plain: Reals
    signal: Reals
    noise: Reals
    noiseless: npt.NDArray[np.bool_]
    used: int
    single: int
    empty: int


def ratio(moments: Moments) -> Snr:
    """The variance of class means over the mean of class variances, at each sample.

    With C used classes of n_c traces, mean m_c and variance v_c (divided by n_c - 1):
    noise = mean(v_c); signal = sum((m_c - mean m)^2) / (C - 1) - mean(v_c / n_c), as the mean of
    n_c traces itself has a variance of v_c / n_c; corrected = signal / noise. Signal and noise are
    unbiased, so `corrected` is about 0, and as often below as above, where there is no signal.
    plain = sum((m_c - mean m)^2) / C over mean(v_c (n_c - 1) / n_c) is too large by about 1 / n_c.
    Each class counts the same, however many traces it has.

    *Source:* Mangard 2004, section 3; the correction is that of a one-way analysis of variance
    with random effects. *Limits:* noise is what the class does not explain, also other bytes.
    """
    counts = moments.counts
    use = counts > 1
    n = counts[use].astype(np.float64)[:, None]
    empty, single = int((counts == 0).sum()), int((counts == 1).sum())
    if len(n) < 2:
        zero = np.zeros(moments.sums.shape[1])
        return Snr(zero, zero, zero, zero, zero == 0, len(n), single, empty)
    spread = scatter(counts[use][:, None], moments.sums[use], moments.squares[use])
    variances = spread / (n * (n - 1))
    means = moments.sums[use] / n
    between = means.var(axis=0, ddof=1)
    between[means.max(axis=0) == means.min(axis=0)] = 0.0  # not what rounding makes of it
    noise = variances.mean(axis=0)
    signal = between - (variances / n).mean(axis=0)
    plain_noise = (variances * (n - 1) / n).mean(axis=0)
    return Snr(
        corrected=_divided(signal, noise),
        plain=_divided(between * (len(n) - 1) / len(n), plain_noise),
        signal=signal,
        noise=noise,
        noiseless=noise == 0,
        used=len(n),
        single=single,
        empty=empty,
    )


def _divided(signal: Reals, noise: Reals) -> Reals:
    without = np.where(signal > 0, np.inf, 0.0)
    return np.divide(signal, noise, out=without, where=noise > 0)
