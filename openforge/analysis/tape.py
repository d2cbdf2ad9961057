"""A netlist as data for a bit-sliced simulation: blocks of like gates, in an order of evaluation.

Every net is one vector of bits, a bit a trace. Nets are numbered as they are written, eight at a
time: inputs, registers, then gates in blocks of one operation. A vector may hold the complement of
its net (`Tape.complemented`), which makes six operations out of all kinds of gates. A block has a
*flag*, set when one of its nets has changed; a block is skipped unless something that it reads has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.folding import Folded, Op, Slot
from openforge.analysis.gates import Gates, Register

GROUP = 8  # nets that are written together
_MOST_GROUPS = 4  # of a block: larger blocks are skipped less often
_U32 = np.uint32


@dataclass(frozen=True)
class Tape:
    """A netlist to be evaluated, for inputs of which some are constant.

    Vectors are numbered from 0, which is all zeros; there are `n_nets` of them, unused ones among
    them (their `weight` is 0). Input vectors begin at 8, registers at `first_register`. Flags are
    numbered: one a group of inputs, one a group of registers, one a block.

    Attributes
    ----------
    op, counted, first, groups, operand
        uint8[n_blocks], then uint32[n_blocks]: operation, whether its nets count, first vector
        written, number of groups of eight, where its operands begin in `a`, `b` and `c` (uint32,
        vectors that are read).
    depends
        For each group of registers and each block, the flags that it depends on: where they begin
        (uint32[n + 1]) in words (uint32) and masks (uint64) of 64 flags.
    d, d_inverted
        uint32 and uint8 a register: the vector that it takes, and whether inverted.
    complemented, weight
        uint8 a vector: whether it holds the complement of its net; whether it counts.
    vector
        int64 a net of `Gates`: its vector; -1 for a net that is constant or not evaluated.
    constant
        int8 a net of `Gates`: its value when it is constant, else -1.
    """

    n_nets: int
    first_register: int
    n_registers: int
    n_inputs: int
    n_flags: int
    op: NDArray[np.uint8]
    counted: NDArray[np.uint8]
    first: NDArray[np.uint32]
    groups: NDArray[np.uint32]
    operand: NDArray[np.uint32]
    a: NDArray[np.uint32]
    b: NDArray[np.uint32]
    c: NDArray[np.uint32]
    depends: tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint64]]
    d: NDArray[np.uint32]
    d_inverted: NDArray[np.uint8]
    complemented: NDArray[np.uint8]
    weight: NDArray[np.uint8]
    vector: NDArray[np.int64]
    constant: NDArray[np.int8]

    @property
    def n_counted(self) -> int:
        """How many nets count."""
        return int(self.weight.sum())


def tape(gates: Gates, constants: Mapping[int, bool], *, delays: bool = False) -> Tape:
    """The tape of `gates` for inputs of which `constants` (by net) never change.

    What follows from the constants is not evaluated. With `delays`, every gate stays where it is,
    so that each has a delay of its own; without, a gate that only copies is read past.
    """
    folded = Folded(gates, constants, delays=delays)
    registers = sorted(gates.registers, key=lambda register: folded.taken(register) & 1)
    return _Numbering(folded, registers, list(_blocks(folded.slots))).tape()


def _blocks(slots: Sequence[Slot]) -> Iterator[list[Slot]]:
    """The gates in blocks of one operation, each after what it reads.

    Of the operations with gates that are ready, the one with most of them comes next, eight gates
    at a time as long as some operation has eight.
    """
    driver = {slot.net: number for number, slot in enumerate(slots)}
    readers: dict[int, list[int]] = defaultdict(list)
    waiting = [0] * len(slots)
    for number, slot in enumerate(slots):
        for net in {slot.a, slot.b, slot.c} & driver.keys():
            waiting[number] += 1
            readers[net].append(number)
    ready: dict[tuple[Op, int], list[int]] = defaultdict(list)  # what does not count is apart
    for number, slot in enumerate(slots):
        if not waiting[number]:
            ready[slot.op, slot.weight].append(number)
    while any(ready.values()):
        kind = max(ready, key=lambda key: len(ready[key]))
        count = len(ready[kind]) // GROUP * GROUP or len(ready[kind])
        taken, ready[kind] = ready[kind][:count], ready[kind][count:]
        size = GROUP * _MOST_GROUPS
        for start in range(0, count, size):
            yield [slots[number] for number in taken[start : start + size]]
        for number in taken:
            for reader in readers[slots[number].net]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready[slots[reader].op, slots[reader].weight].append(reader)


class _Numbering:
    """Vectors for nets, in the order in which they are written."""

    def __init__(
        self,
        folded: Folded,
        registers: Sequence[Register],
        blocks: Sequence[Sequence[Slot]],
    ) -> None:
        self._folded, self._blocks = folded, blocks
        self._vector = np.full(folded.gates.n_nets, -1, np.int64)
        self._vector[0] = 0
        self._weight: list[int] = [0] * GROUP
        self._flag: list[int] = [-1] * GROUP  # of each vector
        self._n_flags = 0
        self._registers = [list(run) for run in _by_inversion(folded, registers)]

    def tape(self) -> Tape:
        self._number(self._folded.inputs, [1] * len(self._folded.inputs))
        first_register = len(self._weight)
        placed: list[Register | None] = []
        for run in self._registers:
            seen = [self._folded.seen.get(reg.q) for reg in run]
            counts = [int(not r.hidden or s is not None) for r, s in zip(run, seen, strict=True)]
            self._number([reg.q for reg in run], counts)
            for register, net in zip(run, seen, strict=True):
                if net is not None:
                    self._vector[net] = self._vector[register.q]
            placed += [*run, *[None] * (-len(run) % GROUP)]
        first = []
        for block in self._blocks:
            first.append(len(self._weight))
            self._number([s.net for s in block], [s.weight for s in block], whole=True)
        a, b, c, operand = self._operands()
        d = np.array([self._d(reg) for reg in placed], np.uint32)
        reading = [d[n : n + GROUP] for n in range(0, len(d), GROUP)]
        for begin, block in zip(operand, self._blocks, strict=True):
            end = begin + _padded(len(block))
            reading.append(np.concatenate([a[begin:end], b[begin:end], c[begin:end]]))
        complemented = np.zeros(len(self._weight), np.uint8)
        used = self._vector >= 0
        complemented[self._vector[used]] |= np.array(self._folded.complemented, np.uint8)[used]
        count = self._folded.gates.n_nets
        return Tape(
            n_nets=len(self._weight),
            first_register=first_register,
            n_registers=len(placed),
            n_inputs=first_register - GROUP,
            n_flags=self._n_flags,
            op=np.array([block[0].op for block in self._blocks], np.uint8),
            counted=np.array([block[0].weight for block in self._blocks], np.uint8),
            first=np.array(first, _U32),
            groups=np.array([_padded(len(block)) // GROUP for block in self._blocks], _U32),
            operand=np.array(operand, _U32),
            a=a,
            b=b,
            c=c,
            depends=self._depends(reading),
            d=d,
            d_inverted=np.array([self._d_inverted(reg) for reg in placed], np.uint8),
            complemented=complemented,
            weight=np.array(self._weight, np.uint8),
            vector=self._vector,
            constant=np.array([self._folded.value(net) for net in range(count)], np.int8),
        )

    def _number(self, nets: Sequence[int], weights: Sequence[int], *, whole: bool = False) -> None:
        """Give `nets` the next vectors, with a flag for each eight of them, or for the `whole`."""
        start, size = len(self._weight), _padded(len(nets))
        self._vector[np.array(nets, np.int64)] = np.arange(start, start + len(nets))
        self._weight += [*weights, *[0] * (size - len(nets))]
        for group in range(size // GROUP):
            self._flag += [self._n_flags + (0 if whole else group)] * GROUP
        self._n_flags += 1 if whole and size else size // GROUP

    def _operands(self) -> tuple[NDArray[np.uint32], ...]:
        sizes = [_padded(len(block)) for block in self._blocks]
        operand = np.cumsum([0, *sizes])
        a, b, c = (np.zeros(operand[-1], _U32) for _ in range(3))
        for start, block in zip(operand.tolist(), self._blocks, strict=False):
            end = start + len(block)
            a[start:end] = self._vector[[slot.a for slot in block]]
            b[start:end] = self._vector[[slot.b for slot in block]]
            c[start:end] = self._vector[[slot.c for slot in block]]
        return a, b, c, operand[:-1]

    def _d(self, register: Register | None) -> int:
        return int(self._vector[self._folded.taken(register) >> 1]) if register else 0

    def _d_inverted(self, register: Register | None) -> int:
        return self._folded.taken(register) & 1 if register else 0

    def _depends(
        self, reading: Sequence[NDArray[np.uint32]]
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint64]]:
        flags = np.array(self._flag, np.int64)
        start, words, masks = [0], list[int](), list[int]()
        for vectors in reading:
            found = np.unique(flags[vectors])
            packed: dict[int, int] = defaultdict(int)
            for flag in found[found >= 0].tolist():
                packed[flag // 64] |= 1 << flag % 64
            words += packed.keys()
            masks += packed.values()
            start.append(len(words))
        return np.array(start, _U32), np.array(words, _U32), np.array(masks, np.uint64)


def _padded(count: int) -> int:
    return -(-count // GROUP) * GROUP


def _by_inversion(folded: Folded, registers: Sequence[Register]) -> Iterator[list[Register]]:
    """Registers in runs, those that take a complement apart: a group is inverted as a whole."""
    for inverted in (0, 1):
        run = [r for r in registers if folded.taken(r) & 1 == inverted]
        if run:
            yield run
