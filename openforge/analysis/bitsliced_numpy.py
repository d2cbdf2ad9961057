"""The simulation in numpy: slower than the compiled part, with the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.bitsliced_draws import Words, variables
from openforge.analysis.folding import Op
from openforge.analysis.stimulus import (
    CLASS_SLOT,
    FRESH,
    LANES,
    WORDS,
    bits_of,
    random_words,
)
from openforge.analysis.tape import GROUP, Tape

if TYPE_CHECKING:
    from openforge.analysis.bitsliced import Simulation
    from openforge.analysis.bitsliced_arrays import ProbingSet

_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_BATCHES = 8  # that are simulated together


@dataclass
class _Cycle:
    """A cycle of some batches.

    `state` are the vectors after it and `before` those before it, uint64[n_nets, words]; `counts`
    are what each vector adds to each trace's power, by the changes that it made.
    """

    number: int
    first: int
    state: Words
    before: Words
    changes: list[tuple[slice, Words]]
    classes: NDArray[np.bool_]


class Engine:
    """Runs simulations in numpy."""

    def power(self, simulation: Simulation, first: int, n_batches: int) -> NDArray[np.uint32]:
        """See `bitsliced.Simulation.power`."""
        found = np.zeros((n_batches * LANES, simulation.n_cycles), np.uint32)
        for cycle in _cycles(simulation, first, n_batches):
            power = _power(simulation.tape, cycle)
            start = (cycle.first - first) * LANES
            found[start : start + len(power), cycle.number] = power
        return found

    def histogram(
        self,
        simulation: Simulation,
        first: int,
        n_batches: int,
        origin: NDArray[np.int64],
        n_bins: int,
    ) -> tuple[NDArray[np.uint64], int]:
        """See `bitsliced.Simulation.histogram`."""
        found = np.zeros((2, simulation.n_cycles, n_bins), np.uint64)
        outside = 0
        for cycle in _cycles(simulation, first, n_batches):
            bins = _power(simulation.tape, cycle).astype(np.int64) - origin[cycle.number]
            inside = (bins >= 0) & (bins < n_bins)
            outside += int((~inside).sum())
            for label in (False, True):
                chosen = bins[inside & (cycle.classes == label)]
                counts = np.bincount(chosen, minlength=n_bins).astype(np.uint64)
                found[int(label), cycle.number] += counts
        return found, outside

    def toggles(
        self, simulation: Simulation, first: int, n_batches: int, begin: int, end: int
    ) -> NDArray[np.uint32]:
        """See `bitsliced.Simulation.toggles`."""
        found = np.zeros((end - begin, simulation.tape.n_nets, 2), np.uint32)
        for cycle in _cycles(simulation, first, n_batches):
            if begin <= cycle.number < end:
                fixed = np.packbits(~cycle.classes, bitorder="little").view(np.uint64)
                for where, changes in cycle.changes:
                    change = changes & _kept(simulation.tape.weight[where])
                    row = found[cycle.number - begin, where]
                    row[:, 0] += np.bitwise_count(change & fixed).sum(axis=1, dtype=np.uint32)
                    row[:, 1] += np.bitwise_count(change).sum(axis=1, dtype=np.uint32)
        return found

    def values(self, simulation: Simulation, batch: int, vectors: NDArray[np.uint32]) -> Words:
        """See `bitsliced.Simulation.values`."""
        return np.stack([cycle.state[vectors] for cycle in _cycles(simulation, batch, 1)])

    def tables(
        self, simulation: Simulation, first: int, n_batches: int, sets: Sequence[ProbingSet]
    ) -> list[NDArray[np.uint32]]:
        """See `bitsliced.Simulation.tables`."""
        found = [np.zeros((simulation.n_cycles, 2, 1 << s.bits), np.uint32) for s in sets]
        for cycle in _cycles(simulation, first, n_batches):
            for table, probes in zip(found, sets, strict=True):
                cell = np.zeros(len(cycle.classes), np.uint32)
                hashes = probes.hashes()
                for vector, earlier, number in zip(
                    probes.vectors, probes.before, hashes, strict=True
                ):
                    bits = bits_of((cycle.before if earlier else cycle.state)[vector])
                    cell ^= np.where(bits, number, np.uint32(0))
                cell = probes.cells(cell)
                for label in (0, 1):
                    chosen = cell[cycle.classes == bool(label)]
                    table[cycle.number, label] += np.bincount(
                        chosen, minlength=table.shape[2]
                    ).astype(np.uint32)
        return found


def _kept(weight: NDArray[np.uint8]) -> Words:
    """A mask for each vector: all of it if it counts, else nothing."""
    return np.where(weight.astype(bool), _ALL, np.uint64(0))[:, None]


def poked(simulation: Simulation, batch: int) -> dict[int, NDArray[np.bool_]]:
    """What is poked into registers, by vector: bool[512]."""
    run, plan = _Run(simulation, np.array([batch], np.uint64)), simulation.plan
    pairs = zip(plan.poke_vector, plan.poke_source, strict=True)
    return {int(vector): bits_of(run.source(int(source))) for vector, source in pairs}


def _power(tape: Tape, cycle: _Cycle) -> NDArray[np.uint32]:
    total = np.zeros(len(cycle.classes), np.uint32)
    for where, change in cycle.changes:
        counted = change[tape.weight[where] == 1]
        if len(counted):
            bits = np.unpackbits(counted.view(np.uint8), axis=1, bitorder="little")
            total += bits.sum(axis=0, dtype=np.uint32)
    return total


def _cycles(simulation: Simulation, first: int, n_batches: int) -> Iterator[_Cycle]:
    for start in range(first, first + n_batches, _BATCHES):
        batches = np.arange(start, min(start + _BATCHES, first + n_batches), dtype=np.uint64)
        yield from _Run(simulation, batches).cycles()


class _Run:
    """Some batches, simulated together: word w of batch b is column 8 b + w."""

    def __init__(self, simulation: Simulation, batches: NDArray[np.uint64]) -> None:
        self.simulation, self._batches = simulation, batches
        self._tape, self._plan = simulation.tape, simulation.plan
        width = len(batches) * WORDS
        start = simulation.start.astype(bool)
        self._state = np.where(start, _ALL, np.uint64(0))[:, None].repeat(width, axis=1)
        self.classes = self.slot(CLASS_SLOT)
        self._variables = variables(simulation.stimulus, self.classes, self.slot)
        self._changes: list[tuple[slice, Words]] = []

    def cycles(self) -> Iterator[_Cycle]:
        """The cycles of the batches."""
        plan = self._plan
        for vector, source in zip(plan.poke_vector, plan.poke_source, strict=True):
            self._state[vector] = self.source(int(source))
        if len(plan.poke_vector):
            self._settle()
        classes = bits_of(self.classes)
        for number in range(plan.n_cycles):
            self._changes = []
            before = self._state.copy()
            self._clock(number)
            if self.simulation.model == 2:
                self._settle_delayed()
            else:
                self._settle()
            if self.simulation.model == 1:
                self._changes = [(slice(None), self._values())]
            yield _Cycle(number, int(self._batches[0]), self._state, before, self._changes, classes)

    def slot(self, slot: int) -> Words:
        """The random vectors of a slot."""
        n_slots = self._plan.n_slots
        return random_words(self.simulation.key, self._batches, slot, n_slots).reshape(-1)

    def source(self, source: int) -> Words:
        """The words of a source."""
        if source < 2:
            return np.full(self._state.shape[1], _ALL if source else 0, np.uint64)
        return self._variables[source - 2] if source < FRESH else self.slot(source - FRESH)

    def _values(self) -> Words:
        flipped = np.where(self._tape.complemented.astype(bool), _ALL, np.uint64(0))[:, None]
        return np.asarray((self._state ^ flipped) & _kept(self._tape.weight))

    def _put(self, where: slice, value: Words) -> bool:
        change = self._state[where] ^ value
        self._state[where] = value
        if change.any():
            self._changes.append((where, change))
            return True
        return False

    def _clock(self, cycle: int) -> None:
        tape, plan = self._tape, self._plan
        taken = self._state[tape.d]
        groups = np.repeat(tape.d_inverted[::GROUP], GROUP).astype(bool)
        taken ^= np.where(groups, _ALL, np.uint64(0))[:, None]
        self._put(slice(tape.first_register, tape.first_register + tape.n_registers), taken)
        start, end = plan.event_start[cycle : cycle + 2]
        inputs = slice(GROUP, GROUP + tape.n_inputs)
        value = self._state[inputs].copy()
        events = zip(plan.event_vector[start:end], plan.event_source[start:end], strict=True)
        for vector, source in events:
            value[vector - GROUP] = self.source(int(source))
        self._put(inputs, value)

    def _settle(self) -> None:
        for number in range(len(self._tape.op)):
            where, value = self._block(number)
            self._put(where, value)

    def _settle_delayed(self) -> None:
        """As the compiled part: each step reads what the step before has left."""
        busy = True
        while busy:
            busy = False
            for number in reversed(range(len(self._tape.op))):
                where, value = self._block(number)
                busy |= self._put(where, value)

    def _block(self, number: int) -> tuple[slice, Words]:
        tape = self._tape
        first, size = int(tape.first[number]), int(tape.groups[number]) * GROUP
        begin = int(tape.operand[number])
        a, b, c = (self._state[column[begin : begin + size]] for column in (tape.a, tape.b, tape.c))
        return slice(first, first + size), _OPERATIONS[Op(tape.op[number])](a, b, c)


_OPERATIONS: dict[Op, Callable[[Words, Words, Words], Words]] = {
    Op.AND: lambda a, b, _: a & b,
    Op.ANDN: lambda a, b, _: a & ~b,
    Op.NOR: lambda a, b, _: ~(a | b),
    Op.XOR: lambda a, b, _: a ^ b,
    Op.MUX: lambda a, b, c: (b & c) | (a & ~c),
    Op.MUXN: lambda a, b, c: (b & c) | ~(a | c),
    Op.COPY: lambda a, _, __: a,
}
