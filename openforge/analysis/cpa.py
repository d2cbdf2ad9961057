"""Correlation power analysis from sums by class: which guess of a key byte fits the traces best.

*Source:* E. Brier, C. Clavier, F. Olivier, "Correlation Power Analysis with a Leakage Model",
CHES 2004. *Limits:* a key that was not found is no proof that there is no leak.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.special

from openforge.analysis.aes import Bytes
from openforge.analysis.leakage_models import Model, true_key
from openforge.analysis.snr import (
    Array,
    Block,
    Reals,
    blocks,
    checked_classes,
    class_totals,
    exact_limit,
    scatter,
)

_TIE = 1e-12  # correlations nearer than this are the same: what differs is rounding


class Sums:
    """What a correlation needs to know of the traces, for one key position; it can be merged.

    `counts` : int64[n_classes], `sums` : [n_classes, S], `total` and `squares` : [S]; int64 when
    traces are integers (then every order of adding and merging gives the same bits), else float64.
    *Limits:* 8 bytes for each class and sample. Float traces with a mean far above their deviation
    lose digits; take the mean off before.
    """

    def __init__(self, n_classes: int, n_samples: int, *, integers: bool = True) -> None:
        kind = np.int64 if integers else np.float64
        self.peak = 0
        self.counts: npt.NDArray[np.int64] = np.zeros(n_classes, dtype=np.int64)
        self.sums: Array = np.zeros((n_classes, n_samples), dtype=kind)
        self.total: Array = np.zeros(n_samples, dtype=kind)
        self.squares: Array = np.zeros(n_samples, dtype=kind)

    def add(self, traces: Array, classes: Array) -> None:
        """Count in `traces`, numbers[n, S], of which trace i is in ``classes[i]``, integers[n].

        Raises ValueError for shapes, classes or numbers that do not fit.
        """
        add_all(traces, [(self, classes)])

    def take(self, block: Block, classes: Array) -> None:
        """Count in a block; `classes` have been checked."""
        n_traces, n_samples = block.values.shape
        if n_samples != len(self.total) or block.total.dtype != self.total.dtype:
            found = f"{n_samples} samples of {block.total.dtype}"
            raise ValueError(f"sums of {len(self.total)} {self.total.dtype} cannot take {found}")
        peak = max(self.peak, block.peak)
        exact_limit(peak, int(self.counts.sum()) + n_traces)
        self.peak = peak
        self.counts += np.bincount(classes, minlength=len(self.counts))
        class_totals(block.values, block.capacity, classes, self.sums)
        self.total += block.total
        self.squares += block.squares

    def merged(self, other: Sums) -> Sums:
        """New sums, as if the traces of both had been added. Raises ValueError if they differ."""
        if self.sums.shape != other.sums.shape or self.sums.dtype != other.sums.dtype:
            raise ValueError("sums of different classes, samples or kinds cannot be merged")
        both = Sums(*self.sums.shape, integers=self.sums.dtype.kind == "i")
        both.peak = max(self.peak, other.peak)
        exact_limit(both.peak, int(self.counts.sum() + other.counts.sum()))
        for name in ("counts", "sums", "total", "squares"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both


def add_all(traces: Array, targets: Sequence[tuple[Sums, Array]]) -> None:
    """Add the same `traces` to the sums of many positions, each with its classes.

    Faster than one by one, as traces are widened and squared once. Raises ValueError as `Sums.add`.
    """
    for sums, classes in targets:
        checked_classes(classes, len(sums.counts), len(traces))
    start = 0
    for block in blocks(traces):
        end = start + len(block.values)
        for sums, classes in targets:
            sums.take(block, classes[start:end])
        start = end


def correlations(sums: Sums, predictions: Array) -> Reals:
    """Pearson's correlation of each guess with each sample: float64[n_guesses, S].

    `predictions` : numbers[n_classes, n_guesses]. With h the prediction and x the sample,
    cov(h, x) = sum over classes of (h - mean h) (sum of x - count * mean x): one matrix product.
    Where h or x does not vary there is no correlation, and the answer is 0.
    """
    if predictions.ndim != 2 or len(predictions) != len(sums.counts):
        found = list(predictions.shape)
        raise ValueError(f"predictions are to be [{len(sums.counts)}, guesses], not {found}")
    n, present = int(sums.counts.sum()), np.flatnonzero(sums.counts)
    if n == 0:
        return np.zeros((predictions.shape[1], len(sums.total)))
    weights = sums.counts[present].astype(np.float64)
    guessed = predictions[present].astype(np.float64)
    varies = guessed.max(axis=0) > guessed.min(axis=0)
    guessed -= weights @ guessed / n
    spread = np.where(varies, np.einsum("c,cg,cg->g", weights, guessed, guessed), 0.0)
    centred = sums.sums[present] - np.outer(weights, sums.total / n)
    scale = np.sqrt(np.outer(spread, scatter(n, sums.total, sums.squares) / n))
    found = np.divide(guessed.T @ centred, scale, out=np.zeros_like(scale), where=scale > 0)
    return np.asarray(np.clip(found, -1.0, 1.0))


@dataclass(frozen=True)
class Rank:
    """How the true guess did. `rank` counts the wrong guesses that are as good or better: 0 is won.

    `best_guess` has the largest |r|, `best_r`, at `sample`; `true_r` and `wrong_r` are the largest
    |r| of the true guess and of the best wrong one.
    """

    best_guess: int
    best_r: float
    sample: int
    rank: int
    true_r: float
    wrong_r: float


def rank(correlations: Reals, true_guess: int) -> Rank:
    """Where `true_guess` stands among all guesses by the largest |r| over the samples.

    A wrong guess that ties with it (to 1e-12) stands before it: a tie recovers no key.
    """
    sizes = np.abs(correlations)
    scores = sizes.max(axis=1)
    best = int(scores.argmax())
    wrong = np.delete(scores, true_guess)
    return Rank(
        best_guess=best,
        best_r=float(scores[best]),
        sample=int(sizes[best].argmax()),
        rank=int((wrong >= scores[true_guess] - _TIE).sum()),
        true_r=float(scores[true_guess]),
        wrong_r=float(wrong.max(initial=0.0)),
    )


def significance(r: float, n: int, n_tests: int) -> float:
    """log10 of the chance that the largest of `n_tests` |r| over `n` traces is so large: <= 0.

    The larger, that is the more careful, of two tails, times `n_tests` (Bonferroni: tests may
    depend on each other): Fisher's atanh(|r|) sqrt(n - 3) as a normal deviate, which is too bold
    far out when n is small, and an upper bound of the exact tail I_{1-r^2}((n - 2)/2, 1/2).
    `n_tests` is guesses times samples, and times positions where the best of them is reported.

    *Source:* R. A. Fisher, "On the 'probable error' of a coefficient of correlation", Metron 1921;
    DLMF 8.17.7-8. *Assumes:* traces are independent and the known data random.
    *Limits:* it says that traces depend on the data, not that the guess is right: with little noise
    a wrong guess is significant too. A key is recovered only if `rank` is 0 as well.
    """
    if n_tests < 1:
        raise ValueError(f"there is to be at least one test, not {n_tests}")
    size = min(abs(r), 1 - 2**-53)
    if n <= 3 or not size > 0:
        return 0.0
    fisher = scipy.special.log_ndtr(-math.atanh(size) * math.sqrt(n - 3)) + math.log(2)
    half = (n - 2) / 2
    beta = math.lgamma(half) + math.lgamma(0.5) - math.lgamma(half + 0.5)
    exact = half * math.log1p(-size * size) - math.log(half) - beta - math.log(size)
    return min(0.0, float(max(fisher, exact)) / math.log(10) + math.log10(n_tests))


@dataclass(frozen=True)
class Target:
    """A key position to attack: `classes` gives the class of each row of known data."""

    position: int
    true_guess: int
    predictions: Array
    classes: Callable[[Bytes], Array]


@dataclass(frozen=True)
class Row:
    """The rank at one position after `traces` traces; `true_r` and `wrong_r` as in `Rank`."""

    position: int
    traces: int
    rank: int
    best_guess: int
    true_r: float
    wrong_r: float


def targets(model: Model, key: bytes, width: int) -> tuple[Target, ...]:
    """Every position of `model` that data of `width` bytes allow, with the right guess for `key`.

    Raises ValueError when the data or the key do not fit the model.
    """

    def classes(position: int) -> Callable[[Bytes], Array]:
        return lambda data: model.selector(data, position)

    return tuple(
        Target(n, true_key(model, key, n), model.predictions(n), classes(n))
        for n in range(model.available(width))
    )


def evolution(
    chunks: Iterable[tuple[Array, Bytes]], attacked: Sequence[Target], checkpoints: Sequence[int]
) -> Iterator[Row]:
    """The rank at each of `attacked` after each number of traces in `checkpoints`, then at the end.

    `chunks` are traces, numbers[n, S], with their known data, uint8[n, k]; all traces are integers
    or all are not. A checkpoint that is never reached gives no row; the last row is always about
    all traces.
    """
    state: list[Sums] = []
    done, reported, marks = 0, 0, sorted({mark for mark in checkpoints if mark > 0})
    for traces, data in chunks:
        if len(traces) != len(data):
            raise ValueError(f"{len(traces)} traces came with {len(data)} rows of data")
        if not state:
            integers = traces.dtype.kind != "f"
            shape = traces.shape[1]
            state = [Sums(len(t.predictions), shape, integers=integers) for t in attacked]
        start = 0
        while start < len(traces):
            stop = min([len(traces), *(mark - done + start for mark in marks if mark > done)])
            part = [t.classes(data[start:stop]) for t in attacked]
            add_all(traces[start:stop], list(zip(state, part, strict=True)))
            done, start = done + stop - start, stop
            if done in marks:
                reported = done
                yield from _rows(attacked, state, done)
    if done > reported:
        yield from _rows(attacked, state, done)


def _rows(attacked: Sequence[Target], state: Sequence[Sums], done: int) -> Iterator[Row]:
    for target, sums in zip(attacked, state, strict=True):
        found = rank(correlations(sums, target.predictions), target.true_guess)
        known = (found.rank, found.best_guess, found.true_r, found.wrong_r)
        yield Row(target.position, done, *known)
