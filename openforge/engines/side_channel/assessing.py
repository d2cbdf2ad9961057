"""Tests of what was simulated, with one level for all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from openforge.analysis import multiplicity, welch
from openforge.analysis.bitsliced import Simulation
from openforge.analysis.contingency import table_tests
from openforge.analysis.histograms import Histograms, with_noise
from openforge.analysis.net_tests import net_tests
from openforge.analysis.probing import Probes
from openforge.analysis.stimulus import CLASS_SLOT, LANES, key_of, random_words
from openforge.analysis.tape import Tape
from openforge.analysis.welch import Moments, TValues
from openforge.engines.side_channel import gathering
from openforge.engines.side_channel.stimulating import Campaign

MOST_TESTED = 1 << 20
"""Traces of a campaign with which nets are tested, at most."""

MOST_PROBED = 1 << 18
"""Traces of a campaign with which probing sets are tested, at most."""

_TOGETHER = 16  # tables that are tested at a time
_FAR = 1 << 20  # beyond all numbers of campaigns: the stream of noise is no other's

Singles = NDArray[np.float32]
Progress = tuple[int, int, float, int]
"""Traces so far, order, the t of largest size, and its cycle."""


@dataclass(frozen=True)
class Family:
    """Tests of one kind. `log10_p` is what a single one must exceed to reject."""

    name: str
    n_tests: int
    log10_p: float


@dataclass(frozen=True, eq=False)
class Assessed:
    """A campaign: its power, and the tests of it.

    `progress` has, for growing numbers of traces, the t of largest size: (traces, order, t, cycle).
    `z` and `net_log10_p` are of the nets, float32[n_cycles, n_vectors] (of `settled_tape`, whose
    vectors have the nets `net_of`), and `n_net_tests` says how many of them could differ at all;
    `set_deviate` and `set_log10_p` are of the probing sets, float32[n_sets, n_cycles]. `moved` are
    the nets that changed, or were 1 in the model of weights, in some trace.
    """

    campaign: Campaign
    simulation: Simulation
    power: Histograms
    moments: Moments
    t: TValues
    progress: tuple[Progress, ...]
    n_traces: int
    n_tested: int
    n_probed: int
    z: Singles
    net_log10_p: Singles
    n_net_tests: int
    probes: Probes | None
    set_deviate: Singles
    set_log10_p: Singles
    n_set_tests: int
    moved: frozenset[int]
    settled_tape: Tape
    net_of: Mapping[int, int]


def assess(  # noqa: PLR0917  (what a campaign is tested with)
    campaign: Campaign,
    simulation: Simulation,
    settled: Simulation,
    probes: Probes | None,
    n_traces: int,
    orders: Sequence[int],
    noise_stddev: float,
) -> Assessed:
    """The tests of a campaign. `settled` is without glitches, for nets and probing sets."""
    n_batches = gathering.batches_of(n_traces)
    progress: list[Progress] = []
    for traces, found in gathering.histograms(simulation, n_batches):
        power = found
        if noise_stddev:
            power = with_noise(found, noise_stddev, key_of(campaign.seed, campaign.number + _FAR))
        if min(gathering.class_sizes(power)) > 1:
            t = welch.t_values(power, orders)
            progress += largest(traces, t)
    n_tested = min(n_batches, gathering.batches_of(MOST_TESTED))
    z, log10_p, seen, n_net_tests = _net_tests(settled, n_tested)
    net_of = _net_of(settled)
    n_probed = min(n_batches, gathering.batches_of(MOST_PROBED))
    set_deviate, set_log10_p, n_set_tests = _set_tests(settled, probes, n_probed)
    return Assessed(
        campaign=campaign,
        simulation=simulation,
        power=power,
        moments=welch.moments_of(power),
        t=t,
        progress=tuple(progress),
        n_traces=n_batches * LANES,
        n_tested=n_tested * LANES,
        n_probed=n_probed * LANES,
        z=z,
        net_log10_p=log10_p,
        n_net_tests=n_net_tests,
        probes=probes,
        set_deviate=set_deviate,
        set_log10_p=set_log10_p,
        n_set_tests=n_set_tests,
        moved=frozenset(net_of[vector] for vector in np.flatnonzero(seen).tolist()),
        settled_tape=settled.tape,
        net_of=net_of,
    )


def largest(traces: int, t: TValues) -> Iterator[Progress]:
    """The t of largest size of each order, after so many traces."""
    for row, order in enumerate(t.orders):
        cycle = int(np.abs(t.t[row]).argmax())
        yield traces, order, float(t.t[row, cycle]), cycle


def _sizes(simulation: Simulation, n_batches: int) -> tuple[int, int]:
    """The traces of each class in the first batches."""
    batches = np.arange(n_batches, dtype=np.uint64)
    words = random_words(simulation.key, batches, CLASS_SLOT, simulation.stimulus.n_slots)
    random = int(np.bitwise_count(words).sum())
    return n_batches * LANES - random, random


def _net_tests(
    simulation: Simulation, n_batches: int
) -> tuple[Singles, Singles, NDArray[np.bool_], int]:
    """The deviate and -log10 p of each vector in each cycle; which moved; how many were tested."""
    n_fixed, n_random = _sizes(simulation, n_batches)
    shape = simulation.n_cycles, simulation.tape.n_nets
    z, log10_p, n_tests = np.zeros(shape, np.float32), np.zeros(shape, np.float32), 0
    moved = np.zeros(simulation.tape.n_nets, bool)
    for begin, counts in gathering.toggles(simulation, n_batches):
        fixed, every = counts[..., 0], counts[..., 1]
        moved |= (every > 0).any(axis=0)
        counted = (simulation.tape.weight == 1)[None, :] & (every > 0)
        counted &= every < n_fixed + n_random
        tests = net_tests(fixed[counted], (every - fixed)[counted], n_fixed, n_random)
        z[begin : begin + len(counts)][counted] = tests.z
        log10_p[begin : begin + len(counts)][counted] = tests.log10_p
        n_tests += int(counted.sum())
    return z, log10_p, moved, n_tests


def _net_of(simulation: Simulation) -> dict[int, int]:
    """The net of each vector; of those that share one, the visible one, which comes first."""
    pairs = enumerate(simulation.tape.vector.tolist())
    return {vector: net for net, vector in reversed(list(pairs)) if vector >= 0}


def _set_tests(
    simulation: Simulation, probes: Probes | None, n_batches: int
) -> tuple[Singles, Singles, int]:
    """The deviate and -log10 p of each probing set in each cycle, and how many say something."""
    sets = probes.sets if probes else ()
    shape = len(sets), simulation.n_cycles
    deviate, log10_p, n_tests = np.zeros(shape, np.float32), np.zeros(shape, np.float32), 0
    number = 0
    for tables in _alike(gathering.tables(simulation, n_batches, sets)):
        tests = table_tests(tables)
        says = (tables.sum(axis=2) > 0).sum(axis=2) > 1  # one cell holds no difference
        rows = slice(number, number + len(tables))
        deviate[rows] = np.where(says, tests.deviate, 0)
        log10_p[rows] = np.where(says, tests.log10_p, 0)
        n_tests += int(says.sum())
        number += len(tables)
    return deviate, log10_p, n_tests


def _alike(tables: Iterable[NDArray[np.uint64]]) -> Iterator[NDArray[np.uint64]]:
    """Tables of one size after each other, some together: uint64[n, n_cycles, 2, cells]."""
    for _, run in groupby(tables, key=lambda table: table.shape):
        while some := list(islice(run, _TOGETHER)):
            yield np.stack(some)


def families(assessed: Sequence[Assessed], threshold: float, n_guesses: int) -> dict[str, Family]:
    """The families of tests, among which the level of a single |t| > `threshold` is shared.

    `n_guesses` are the tests of an attack, 0 without one.
    """
    level = multiplicity.level_of(threshold)
    sizes = {
        "power": sum(found.t.t.size for found in assessed),
        "net": sum(found.n_net_tests for found in assessed),
        "probing set": sum(found.n_set_tests for found in assessed),
        "attack": n_guesses,
    }
    used = {name: size for name, size in sizes.items() if size}
    share = level / max(1, len(used))
    return {
        name: Family(name, size, multiplicity.corrected_log10_p(share, size))
        for name, size in used.items()
    }
