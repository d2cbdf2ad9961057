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

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from openforge.analysis.bitsliced import ProbingSet, Simulation
from openforge.analysis.gates import Gates
from openforge.analysis.stimulus import FRESH

_MOST_BITS = 14  # of a table
_LEAST_BITS = 8
_MOST_CELLS = 1 << 23  # of all tables of a worker, 32 MB
_MOST_SETS = 3000
_MOST_PAIRS = 3000
_WIDEST_PAIRED = 64
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
    left_out
        How many were left out, for there are too many or they are too wide.
    """

    sets: tuple[ProbingSet, ...]
    nets: tuple[int, ...]
    hashed: int
    left_out: int


def probes(simulation: Simulation, *, transitions: bool) -> Probes:
    """The largest probing sets of the netlist; those that others contain say nothing more."""
    moving = _moving(simulation)
    found = _maximal(_cones(simulation.gates, moving))
    kept = {mask: net for mask, net in found.items() if mask.bit_count() <= _TOO_WIDE}
    chosen = sorted(kept.items(), key=lambda item: (item[0].bit_count(), item[1]))[:_MOST_SETS]
    bits = _bits(simulation, [_size(mask, moving, transitions) for mask, _ in chosen])
    sets, nets, hashed, paired = [], [], 0, set[tuple[int, int]]()
    for mask, net in chosen:
        made = _set(simulation, mask, moving, transitions, bits)
        sets.append(made)
        nets.append(net)
        if not made.exact:
            hashed += 1
            members = list(_members(mask))
            if len(members) <= _WIDEST_PAIRED and len(paired) < _MOST_PAIRS:
                paired |= set(combinations(members, 2))
    for first, second in sorted(paired):
        sets.append(_set(simulation, 1 << first | 1 << second, moving, transitions, bits))
        nets.append(first)
    return Probes(tuple(sets), tuple(nets), hashed, len(found) - len(chosen))


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


def _maximal(cones: Iterable[tuple[int, int]]) -> dict[int, int]:
    """The masks that no other contains, each with the net at which it was found first."""
    first: dict[int, int] = {}
    for mask, net in cones:
        if mask:
            first.setdefault(mask, net)
    kept: dict[int, int] = {}
    holders: dict[int, list[int]] = {}  # masks that were kept, by each of their members
    for mask in sorted(first, key=lambda m: -m.bit_count()):
        rare = min((holders.get(member, []) for member in _members(mask)), key=len)
        if not any(mask & other == mask for other in rare):
            kept[mask] = first[mask]
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


def _bits(simulation: Simulation, sizes: Iterable[int]) -> int:
    """The bits of the largest tables, so that all of them fit into memory."""
    sizes = list(sizes)
    for bits in range(_MOST_BITS, _LEAST_BITS, -1):
        if sum(2 * simulation.n_cycles << min(bits, size) for size in sizes) <= _MOST_CELLS:
            return bits
    return _LEAST_BITS


def _set(
    simulation: Simulation, mask: int, moving: Mapping[int, bool], transitions: bool, bits: int
) -> ProbingSet:
    nets = list(_members(mask))
    earlier = [net for net in nets if transitions and moving[net]]
    vectors = [int(simulation.tape.vector[net]) for net in (*nets, *earlier)]
    before = [False] * len(nets) + [True] * len(earlier)
    return ProbingSet(tuple(vectors), tuple(before), min(bits, len(vectors)))
