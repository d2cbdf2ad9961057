"""Simulated traces as counts: in pieces, by several workers, always with the same sums."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.bitsliced import LANES, ProbingSet, Simulation
from openforge.analysis.histograms import Histograms, merged

_PIECE = 1 << 13  # batches that a worker is given at a time: 4 million traces
_PILOT = 2  # batches from which the range of the power is guessed
_TOGGLE_BYTES = 8 << 20  # of a worker's table of toggles
_TABLE_CELLS = 1 << 21  # of all tables that a worker fills at a time, 8 MB
_Found = TypeVar("_Found")


def n_workers() -> int:
    """How many workers there are: one a processor that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def batches_of(n_traces: int) -> int:
    """The batches for at least `n_traces` traces."""
    return -(-n_traces // LANES)


def histograms(simulation: Simulation, n_batches: int) -> Iterator[tuple[int, Histograms]]:
    """The power of the traces, growing: numbers of traces and their histograms so far.

    The numbers double from the first batch on; the last one is all of `n_batches`.
    """
    bins = _Bins(simulation)
    so_far: Histograms | None = None
    marks = [*itertools.takewhile(lambda b: b < n_batches, (2**k for k in range(64))), n_batches]
    for first, end in itertools.pairwise([0, *marks]):
        for part in _each(first, end, bins.counted):
            so_far = part if so_far is None else merged(so_far, part)
        assert so_far is not None
        yield end * LANES, so_far


class _Bins:
    """Where the power of each cycle is expected; widened when it was elsewhere."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        power = simulation.power(0, _PILOT).astype(np.int64)
        self._low, self._high = power.min(axis=0), power.max(axis=0)
        self._margin = 32

    def counted(self, first: int, count: int) -> Histograms:
        """The histograms of some batches."""
        margin = self._margin
        while True:
            spread = self._high - self._low + margin
            origin = np.maximum(self._low - spread, 0)
            n_bins = int((self._high + spread - origin).max()) + 1
            counts, outside = self._simulation.histogram(first, count, origin, n_bins)
            if not outside:
                self._margin = max(margin, self._margin)
                return Histograms(counts, origin)
            margin *= 4


def toggles(simulation: Simulation, n_batches: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """In how many traces each vector changed, some cycles at a time: int64[cycles, n_nets, 2].

    With each part comes its first cycle. The last index: traces of the fixed class, all traces.
    Memory does not grow with the number of cycles: each part is simulated from the beginning.
    """
    window = max(1, _TOGGLE_BYTES // (8 * simulation.tape.n_nets))
    for begin in range(0, simulation.n_cycles, window):
        end = min(begin + window, simulation.n_cycles)

        def counted(
            first: int, count: int, begin: int = begin, end: int = end
        ) -> NDArray[np.uint32]:
            return simulation.toggles(first, count, begin, end)

        found = np.zeros((end - begin, simulation.tape.n_nets, 2), np.int64)
        for part in _each(0, n_batches, counted):
            found += part
        yield begin, found


def tables(
    simulation: Simulation, n_batches: int, sets: Sequence[ProbingSet]
) -> Iterator[NDArray[np.uint64]]:
    """How often each joint value of each probing set occurred: uint64[n_cycles, 2, cells] each.

    As many sets as fit into memory are simulated at a time.
    """
    for group in _groups(sets, 2 * simulation.n_cycles):

        def counted(
            first: int, n: int, group: Sequence[ProbingSet] = group
        ) -> list[NDArray[np.uint32]]:
            return simulation.tables(first, n, group)

        found = [np.zeros((simulation.n_cycles, 2, 1 << s.bits), np.uint64) for s in group]
        for part in _each(0, n_batches, counted):
            for number, more in enumerate(part):
                found[number] += more
        yield from found


def _groups(sets: Sequence[ProbingSet], rows: int) -> Iterator[list[ProbingSet]]:
    """The sets in their order, in groups whose tables of `rows` rows fit into memory."""
    group: list[ProbingSet] = []
    cells = 0
    for one in sets:
        size = rows << one.bits
        if group and cells + size > _TABLE_CELLS:
            yield group
            group, cells = [], 0
        group.append(one)
        cells += size
    if group:
        yield group


def class_sizes(counts: Histograms) -> tuple[int, int]:
    """How many traces of the fixed and of the random class there are."""
    fixed, random = counts.counts[:, 0].sum(axis=1)
    return int(fixed), int(random)


def _each(first: int, end: int, work: Callable[[int, int], _Found]) -> Iterator[_Found]:
    """What `work` says of pieces of the batches; all sums over it are the same for any pieces."""
    workers = n_workers()
    size = max(1, min(_PIECE, -(-(end - first) // workers)))
    pieces = [(start, min(size, end - start)) for start in range(first, end, size)]
    if len(pieces) == 1:
        yield work(*pieces[0])
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda piece: work(*piece), pieces)
