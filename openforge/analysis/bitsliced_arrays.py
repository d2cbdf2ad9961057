"""Stimuli as arrays for a tape, the values before a trace, and probing sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openforge.analysis.folding import Op
from openforge.analysis.gates import Gates, Kind
from openforge.analysis.stimulus import GAMMA, Source, Stimulus, mixed
from openforge.analysis.tape import GROUP, Tape

_U32 = np.uint32


@dataclass(frozen=True)
class PlanArrays:
    """A `Stimulus` for a tape, in the layout of ``of_plan`` (openforge/native/bitsliced.c)."""

    n_cycles: int
    n_slots: int
    kind: NDArray[np.uint8]
    x: NDArray[np.uint32]
    y: NDArray[np.uint32]
    slot: NDArray[np.uint32]
    modulus: NDArray[np.uint64]
    fixed: NDArray[np.uint64]
    n_shares: NDArray[np.uint32]
    width: NDArray[np.uint32]
    group_slot: NDArray[np.uint32]
    group_first: NDArray[np.uint32]
    group_mode: NDArray[np.uint8]
    n_share_bits: int
    event_start: NDArray[np.uint32]
    event_vector: NDArray[np.uint32]
    event_source: NDArray[np.uint32]
    poke_vector: NDArray[np.uint32]
    poke_source: NDArray[np.uint32]


@dataclass(frozen=True)
class ProbingSet:
    """Vectors that are looked at together.

    Attributes
    ----------
    vectors, before
        The vectors, and of each whether its value of the cycle before is meant.
    bits
        There are ``2 ** bits`` cells. With as many bits as vectors, each joint value has its own;
        with fewer, joint values are hashed, and some share a cell.
    """

    vectors: tuple[int, ...]
    before: tuple[bool, ...]
    bits: int

    @property
    def exact(self) -> bool:
        """Whether each joint value has a cell of its own."""
        return len(self.vectors) <= self.bits

    def hashes(self) -> NDArray[np.uint32]:
        """What each vector adds, by xor, to the number of the cell, or to what is hashed."""
        if self.exact:
            return np.array([1 << n for n in range(len(self.vectors))], _U32)
        numbers = np.arange(1, len(self.vectors) + 1, dtype=np.uint64)
        return (mixed(numbers * GAMMA) >> np.uint64(32)).astype(_U32)

    def cells(self, words: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The cells of what `hashes` have added up to."""
        if self.exact:
            return words
        words = (words ^ words >> _U32(16)) * _U32(0x7FEB352D)
        words = (words ^ words >> _U32(15)) * _U32(0x846CA68B)
        return words >> _U32(32 - self.bits)


def arrays(stimulus: Stimulus, tape: Tape) -> PlanArrays:
    """`stimulus` for `tape`. What drives nothing that is evaluated is left out."""
    variables, groups = stimulus.variables, stimulus.groups
    sizes = [group.n_shares * group.width for group in groups]
    events = [_sorted(cycle, tape) for cycle in stimulus.events]
    pokes = _sorted(stimulus.pokes, tape)
    return PlanArrays(
        n_cycles=stimulus.n_cycles,
        n_slots=stimulus.n_slots,
        kind=np.array([variable.draw for variable in variables], np.uint8),
        x=np.array([variable.x for variable in variables], _U32),
        y=np.array([variable.y for variable in variables], _U32),
        slot=np.array([variable.slot for variable in variables], _U32),
        modulus=np.array([group.modulus for group in groups], np.uint64),
        fixed=np.array([group.fixed for group in groups], np.uint64),
        n_shares=np.array([group.n_shares for group in groups], _U32),
        width=np.array([group.width for group in groups], _U32),
        group_slot=np.array([group.slot for group in groups], _U32),
        group_first=np.cumsum([0, *sizes])[:-1].astype(_U32),
        group_mode=np.array([group.sum for group in groups], np.uint8),
        n_share_bits=sum(sizes),
        event_start=np.cumsum([0, *map(len, events)]).astype(_U32),
        event_vector=np.array([vector for cycle in events for vector, _ in cycle], _U32),
        event_source=np.array([source for cycle in events for _, source in cycle], _U32),
        poke_vector=np.array([vector for vector, _ in pokes], _U32),
        poke_source=np.array([source for _, source in pokes], _U32),
    )


def _sorted(changes: Mapping[int, Source], tape: Tape) -> list[tuple[int, Source]]:
    placed = ((int(tape.vector[net]), source) for net, source in changes.items())
    return sorted(pair for pair in placed if pair[0] >= 0)


def start_values(
    gates: Gates, tape: Tape, prologue: Sequence[Mapping[int, bool]]
) -> NDArray[np.uint8]:
    """The vectors at the end of the prologue, which is the same in all traces: uint8[n_nets]."""
    value = bytearray(gates.n_nets)
    for register in gates.registers:
        value[register.q] = register.initial
    for number, inputs in enumerate(prologue):
        if number:
            _clock(gates, value)
        for net, bit in inputs.items():
            value[net] = bit
        _settle(gates, value)
    start = np.zeros(tape.n_nets, np.uint8)
    used = tape.vector >= 0
    vectors = tape.vector[used]
    start[vectors] = np.frombuffer(bytes(value), np.uint8)[used] ^ tape.complemented[vectors]
    _pad(tape, start)
    start[0] = 0
    return start


def _clock(gates: Gates, value: bytearray) -> None:
    taken = [value[register.d >> 1] ^ (register.d & 1) for register in gates.registers]
    for register, bit in zip(gates.registers, taken, strict=True):
        value[register.q] = bit


def _settle(gates: Gates, value: bytearray) -> None:
    for gate in gates.gates:
        x = value[gate.x >> 1] ^ (gate.x & 1)
        y = value[gate.y >> 1] ^ (gate.y & 1)
        if gate.kind is Kind.AND:
            x &= y
        elif gate.kind is Kind.XOR:
            x ^= y
        elif gate.kind is Kind.MUX and value[gate.z >> 1] ^ (gate.z & 1):
            x = y
        value[gate.out] = x ^ gate.inverted


def _pad(tape: Tape, start: NDArray[np.uint8]) -> None:
    """What unused vectors of a block hold for ever: the block's operation on zeros."""
    placed = np.zeros(tape.n_nets, bool)
    placed[tape.vector[tape.vector >= 0]] = True
    for op, first, groups in zip(tape.op, tape.first, tape.groups, strict=True):
        if op in (Op.NOR, Op.MUXN):
            block = np.arange(first, first + groups * GROUP)
            start[block[~placed[block]]] = 1
    for n in np.flatnonzero(tape.d_inverted):
        vector = tape.first_register + n // GROUP * GROUP
        block = np.arange(vector, vector + GROUP)
        start[block[~placed[block]]] = 1
