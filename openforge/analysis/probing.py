"""Probing sets: what one probe in a circuit with glitches, and between two cycles, can see.

A probe on a net sees, through glitches, every stable signal (register or input) from which the net
is computed, and in the moment of the clock edge the values of two cycles.

*Source:* Faust, Grosso, Merino Del Pozo, Paglialonga, Standaert, "Composable Masking Schemes in the
Presence of Physical Defaults & the Robust Probing Model", TCHES 2018 (glitch- and
transition-extended probes). *Limits:* one probe at a time, so first order; a set of more signals
than a table has bits is hashed, which never raises a false alarm and may miss a weak dependence, so
that all pairs of its signals are looked at as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from openforge.analysis.bitsliced import ProbingSet, Simulation
from openforge.analysis.gates import Gates
from openforge.analysis.stimulus import FRESH

_MOST_BITS = 14  # of an exact table
_HASHED_BITS = 12
_MOST_SETS = 4000
_MOST_HASHED = 500
_MOST_PAIRS = 3000
_TOO_WIDE = 256


@dataclass(frozen=True)
class Probes:
    """The sets to be looked at.

    Attributes
    ----------
    sets, nets
        The sets, and of each the net of `Gates` at which the probe is (of a pair: one of them).
    hashed
        How many sets have more signals than their table has bits.
    paired
        Whether all pairs of signals of these sets are among the sets.
    left_out
        How many were left out, for there are too many or they are too wide.
    """

    sets: tuple[ProbingSet, ...]
    nets: tuple[int, ...]
    hashed: int
    paired: bool
    left_out: int


def probes(simulation: Simulation, secret: Collection[int], *, transitions: bool) -> Probes:
    """The largest probing sets that fit exact tables, and the larger ones, hashed.

    A set that another one contains says nothing more, if that one is exact; what is hashed may miss
    what a part of it shows, so it replaces nothing. Sets in which no signal depends on `secret`
    nets, in whatever cycle, cannot leak.
    """
    moving = _moving(simulation)
    reached = _mask(simulation.gates.reached(secret) & moving.keys())
    cones = {
        mask: net
        for mask, net in reversed(list(_cones(simulation.gates, moving)))
        if mask & reached
    }
    sizes = {mask: _size(mask, moving, transitions) for mask in cones}
    narrow = _maximal(mask for mask in cones if sizes[mask] <= _MOST_BITS)
    wide = _maximal(mask for mask in cones if sizes[mask] > _MOST_BITS)
    few = [mask for mask in wide if mask.bit_count() <= _TOO_WIDE]
    hashed = sorted(few, key=lambda mask: (mask.bit_count(), mask))[:_MOST_HASHED]
    exact = sorted(narrow, key=lambda mask: (mask.bit_count(), mask))[:_MOST_SETS]
    pairs = sorted({pair for mask in hashed for pair in combinations(_members(mask), 2)})
    made = [(mask, cones[mask]) for mask in (*exact, *hashed)]
    made += [(1 << first | 1 << second, first) for first, second in pairs[:_MOST_PAIRS]]
    return Probes(
        sets=tuple(_set(simulation, mask, moving, transitions) for mask, _ in made),
        nets=tuple(net for _, net in made),
        hashed=len(hashed),
        paired=len(pairs) <= _MOST_PAIRS,
        left_out=len(narrow) - len(exact) + len(wide) - len(hashed),
    )


def _mask(nets: Iterable[int]) -> int:
    mask = 0
    for net in nets:
        mask |= 1 << net
    return mask


def _moving(simulation: Simulation) -> Mapping[int, bool]:
    """The stable nets that can differ between traces, and whether they change after cycle 0."""
    gates, stimulus = simulation.gates, simulation.stimulus
    found: dict[int, bool] = {}
    for number, events in enumerate(stimulus.events):
        for net, source in events.items():
            if source >= 2:
                found[net] = found.get(net, False) or number > 0 or source >= FRESH
    found |= dict.fromkeys((r.q for r in gates.registers if not r.hidden), True)
    found |= {g.out: True for g in gates.gates if _stored(simulation, g.out)}
    shown = {int(simulation.tape.vector[net]) for net in found}
    for register in gates.registers:  # of which nothing outside its cell is always the same
        if register.hidden and int(simulation.tape.vector[register.q]) not in shown:
            found[register.q] = True
    return {net: moves for net, moves in found.items() if simulation.tape.vector[net] >= 0}


def _stored(simulation: Simulation, net: int) -> bool:
    """Whether a net is the output of a register whose reset is inside its cell."""
    vector, tape = int(simulation.tape.vector[net]), simulation.tape
    return tape.first_register <= vector < tape.first_register + tape.n_registers


def _cones(gates: Gates, moving: Mapping[int, bool]) -> Iterator[tuple[int, int]]:
    """For each net that is computed, and each stable one, the stable nets it depends on: a mask."""
    cone = [0] * gates.n_nets
    for net in moving:
        cone[net] = 1 << net
        yield cone[net], net
    for gate in gates.gates:
        if gate.out not in moving:
            cone[gate.out] = cone[gate.x >> 1] | cone[gate.y >> 1] | cone[gate.z >> 1]
            if not gate.hidden:
                yield cone[gate.out], gate.out


def _maximal(masks: Iterable[int]) -> list[int]:
    """The masks that no other one contains."""
    kept: list[int] = []
    holders: dict[int, list[int]] = {}  # masks that were kept, by each of their members
    for mask in sorted(set(masks), key=lambda m: (-m.bit_count(), m)):
        rare = min((holders.get(member, []) for member in _members(mask)), key=len)
        if not any(mask & other == mask for other in rare):
            kept.append(mask)
            for member in _members(mask):
                holders.setdefault(member, []).append(mask)
    return kept


def _members(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _size(mask: int, moving: Mapping[int, bool], transitions: bool) -> int:
    return sum(1 + (transitions and moving[net]) for net in _members(mask))


def _set(
    simulation: Simulation, mask: int, moving: Mapping[int, bool], transitions: bool
) -> ProbingSet:
    nets = list(_members(mask))
    earlier = [net for net in nets if transitions and moving[net]]
    vectors = [int(simulation.tape.vector[net]) for net in (*nets, *earlier)]
    before = [False] * len(nets) + [True] * len(earlier)
    exact = len(vectors) <= _MOST_BITS
    return ProbingSet(tuple(vectors), tuple(before), len(vectors) if exact else _HASHED_BITS)
