"""Histograms of simulated power by class and sample: exact integers that add in any order.

A histogram keeps everything that a univariate test needs of the traces, whatever their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FIXED, RANDOM = 0, 1
_RESOLUTION = 4  # steps in one standard deviation of noise, at least
_COARSEST = 64  # steps in a standard deviation of noise, about
_REACH = 9.0  # standard deviations; beyond is 2.3e-19 of the noise, less than one in 2^62 draws
_MAX_DRAWS = 1 << 22  # numbers held at once while noise is drawn: 32 MB
Counts = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Histograms:
    """How often each value was seen, by class (0 = fixed, 1 = random) and sample.

    ``counts : uint64[2, n_samples, n_bins]``, ``origin : int64[n_samples]``. The value of bin ``b``
    of sample ``s`` is ``(origin[s] + b) * step``, in the unit of the power model (toggles).
    ValueError if the shapes or types do not fit.
    """

    counts: Counts
    origin: Integers
    step: float = 1.0

    def __post_init__(self) -> None:
        shape = self.counts.shape
        if len(shape) != 3 or shape[0] != 2 or 0 in shape or self.origin.shape != shape[1:2]:
            raise ValueError(f"histograms of shape {shape}, origins of shape {self.origin.shape}")
        if self.counts.dtype != np.uint64 or self.origin.dtype != np.int64:
            raise ValueError(f"counts are {self.counts.dtype}, origins are {self.origin.dtype}")
        if not 0 < self.step < math.inf:
            raise ValueError(f"a step of {self.step}")


def of_traces(traces: npt.ArrayLike, labels: npt.ArrayLike) -> Histograms:
    """The histograms of stored traces.

    ``traces : int[n_traces, n_samples]``, ``labels : bool or uint8[n_traces]`` (0 = fixed, 1 =
    random). Slow: for small sets. ValueError if there is no sample, or other labels.
    """
    rows, classes = np.asarray(traces, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    if rows.ndim != 2 or classes.shape != rows.shape[:1]:
        raise ValueError(f"traces of shape {rows.shape} with labels of shape {classes.shape}")
    if ((classes != FIXED) & (classes != RANDOM)).any():
        raise ValueError("a label is neither 0 (fixed) nor 1 (random)")
    origin = rows.min(axis=0) if len(rows) else np.zeros(rows.shape[1], dtype=np.int64)
    n_bins = int((rows - origin).max(initial=0)) + 1
    counts = np.zeros((2, rows.shape[1], n_bins), dtype=np.uint64)
    for kind in (FIXED, RANDOM):
        for sample, column in enumerate((rows - origin)[classes == kind].T):
            counts[kind, sample] = np.bincount(column, minlength=n_bins)
    return Histograms(counts, origin)


def n_traces(histograms: Histograms) -> Counts:
    """The number of traces of each class, ``uint64[2]``; ValueError if samples disagree."""
    totals: Counts = histograms.counts.sum(axis=2, dtype=np.uint64)
    if (totals != totals[:, :1]).any():
        raise ValueError("the samples do not have the same number of traces")
    first: Counts = totals[:, 0]
    return first


def merged(one: Histograms, two: Histograms) -> Histograms:
    """The histograms of the traces of both: exact, and the same bits in any order and grouping.

    Bins are aligned, and empty bins at the ends are cut so that the layout depends on the traces
    alone. A sample without traces has origin 0. ValueError if the samples or steps differ.
    """
    if one.origin.shape != two.origin.shape:
        raise ValueError(f"{len(one.origin)} samples against {len(two.origin)}")
    if one.step != two.step:
        raise ValueError(f"a step of {one.step} against {two.step}")
    spans = [_spans(one), _spans(two)]
    low = np.minimum(spans[0][0], spans[1][0])
    high = np.maximum(spans[0][1], spans[1][1])
    occupied = low < high
    origin = np.where(occupied, low, 0)
    n_bins = int((high - low)[occupied].max(initial=1))
    counts = np.zeros((2, len(origin), n_bins), dtype=np.uint64)
    for part, (first, end) in zip((one, two), spans, strict=True):
        for sample in np.flatnonzero(first < end):
            old, new = part.origin[sample], origin[sample]
            taken = part.counts[:, sample, first[sample] - old : end[sample] - old]
            counts[:, sample, first[sample] - new : end[sample] - new] += taken
    return Histograms(counts, origin, one.step)


def _spans(histograms: Histograms) -> tuple[Integers, Integers]:
    """For each sample the first value seen and the one after the last; first > last if none."""
    seen = (histograms.counts != 0).any(axis=0)
    n_bins = seen.shape[1]
    limits = np.iinfo(np.int64)
    some = seen.any(axis=1)
    first = np.where(some, histograms.origin + seen.argmax(axis=1), limits.max)
    end = np.where(some, histograms.origin + n_bins - seen[:, ::-1].argmax(axis=1), limits.min)
    return first, end


def with_noise(histograms: Histograms, stddev: float, seed: int) -> Histograms:
    """The histograms of the same traces with Gaussian noise added to each sample of each trace.

    A bin with count ``c`` is spread by one draw of ``multinomial(c, q)``; ``q`` is the normal law
    of standard deviation `stddev` (the unit of the values) rounded to the step. That is the exact
    law of histograms of traces with rounded noise, independent between traces and samples, and
    its cost does not depend on the number of traces. The step is divided by a whole number such
    that it is at most a quarter of `stddev`. A `stddev` of 0 changes nothing. Where `stddev` is
    above 64 steps, values are rounded to larger steps first, up or down at random, so that no mean
    moves.

    *Limits:* noise beyond 9 standard deviations (2.3e-19 of it) is put at 9; rounding adds
    step^2/12 to the variance of the noise, and large steps up to step^2/4. ValueError if `stddev`
    is negative or not finite.
    """
    if not 0 <= stddev < math.inf:
        raise ValueError(f"noise with a standard deviation of {stddev}")
    if stddev == 0:
        return histograms
    draws = np.random.Generator(np.random.Philox(seed))
    coarser = int(stddev / histograms.step / _COARSEST)
    if coarser > 1:
        histograms = _rounded(histograms, coarser, draws)
    finer = max(1, math.ceil(_RESOLUTION * histograms.step / stddev))
    step = histograms.step / finer
    law = _rounded_normal(stddev / step)
    reach = len(law) // 2
    n_samples, n_bins = histograms.counts.shape[1:]
    width = (n_bins - 1) * finer + len(law)
    counts = np.zeros((2, n_samples, width), dtype=np.uint64)
    for kind, sample in np.ndindex(2, n_samples):
        _spread(histograms.counts[kind, sample], counts[kind, sample], finer, law, draws)
    return Histograms(counts, histograms.origin * finer - reach, step)


def _rounded(histograms: Histograms, factor: int, draws: np.random.Generator) -> Histograms:
    """The same traces in steps that are `factor` times as large, rounded without a bias."""
    n_bins = histograms.counts.shape[2]
    origin = histograms.origin // factor
    counts = np.zeros((*histograms.counts.shape[:2], n_bins // factor + 3), dtype=np.uint64)
    for kind, sample in np.ndindex(counts.shape[:2]):
        row = histograms.counts[kind, sample]
        bins = np.flatnonzero(row)
        lower, rest = np.divmod(histograms.origin[sample] + bins, factor)
        up = draws.binomial(row[bins].astype(np.int64), rest / factor).astype(np.uint64)
        np.add.at(counts[kind, sample], lower - origin[sample], row[bins] - up)
        np.add.at(counts[kind, sample], lower - origin[sample] + 1, up)
    return Histograms(counts, origin, histograms.step * factor)


def _rounded_normal(stddev: float) -> npt.NDArray[np.float64]:
    """The probabilities of -r .. r for a centred normal law of `stddev` rounded to integers."""
    reach = math.ceil(_REACH * stddev)
    edges = (np.arange(reach + 1) - 0.5) / stddev
    above = special.ndtr(-edges)  # the probability of j and more
    half = above - np.append(above[1:], 0.0)
    half[0] = special.erf(0.5 / stddev / math.sqrt(2))
    law = np.concatenate([half[:0:-1], half])
    return np.asarray(law / law.sum(), dtype=np.float64)


def _spread(
    row: Counts,
    out: Counts,
    finer: int,
    law: npt.NDArray[np.float64],
    draws: np.random.Generator,
) -> None:
    """Add the spread bins of `row` to `out`; only occupied bins draw, so padding is harmless."""
    # numpy divides by what is left of 1: drawn last, rare values would have rounding for a law
    order = np.argsort(law, kind="stable")
    occupied = np.flatnonzero(row)
    block = max(1, _MAX_DRAWS // len(law))
    for first in range(0, len(occupied), block):
        bins = occupied[first : first + block]
        spread = draws.multinomial(row[bins].astype(np.int64), law[order])
        for column, shift in zip(spread.T, order, strict=True):
            out[bins * finer + shift] += column.astype(np.uint64)
