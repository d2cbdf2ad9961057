"""Gates with what is constant folded in: what is left to be evaluated, as operations on vectors.

A vector holds a net or its complement, so that conjunctions, disjunctions and their inverses are
three operations, and parities and choices three more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from openforge.analysis.gates import FALSE, TRUE, Gate, Gates, Kind, Literal, Register


class Op(IntEnum):
    """What a block computes of the vectors a, b and c."""

    AND = 0  # a & b
    ANDN = 1  # a & ~b
    NOR = 2  # ~a & ~b
    XOR = 3  # a ^ b
    MUX = 4  # c ? b : a
    MUXN = 5  # c ? b : ~a
    COPY = 6  # a


@dataclass
class Slot:
    """A gate as it is evaluated: operation and operands as literals of roots."""

    op: Op
    net: int
    a: int
    b: int
    c: int
    weight: int


class Folded:
    """A netlist for inputs of which some never change; see `openforge.analysis.tape`."""

    def __init__(self, gates: Gates, constants: Mapping[int, bool], *, delays: bool) -> None:
        self._gates, self._delays = gates, delays
        # of each net: the literal that it is read as, over nets that have a vector
        self._read: list[Literal] = [2 * net for net in range(gates.n_nets)]
        self._read[0] = FALSE
        for net, value in constants.items():
            self._read[net] = TRUE if value else FALSE
        self._constant = set(constants)
        self._complemented = [False] * gates.n_nets
        self._slots: list[Slot] = []
        hidden = (register.q for register in gates.registers if register.hidden)
        self.seen: dict[int, int | None] = dict.fromkeys(hidden)
        """Of a register inside a cell, the net that is always the same and counts for it."""

        for gate in gates.gates:
            self._place(gate)

    @property
    def inputs(self) -> list[int]:
        """The input nets that change."""
        return [net for net in self._gates.inputs.values() if net not in self._constant]

    @property
    def slots(self) -> list[Slot]:
        """What is evaluated, in topological order."""
        return self._slots

    def read(self, literal: Literal) -> Literal:
        """The literal to read instead of one of `Gates`: of a net with a vector, or a constant."""
        return self._read[literal >> 1] ^ (literal & 1)

    def stored(self, literal: Literal) -> Literal:
        """A literal that is read, in terms of what vectors hold."""
        return literal ^ self._complemented[literal >> 1]

    def value(self, net: int) -> int:
        """The value of a constant net, else -1."""
        return self._read[net] if self._read[net] <= TRUE else -1

    @property
    def complemented(self) -> list[bool]:
        """Of each net, whether its vector holds the complement."""
        return self._complemented

    @property
    def gates(self) -> Gates:
        """The netlist."""
        return self._gates

    def taken(self, register: Register) -> Literal:
        """What a register takes, in terms of what vectors hold."""
        return self.stored(self.read(register.d))

    def _place(self, gate: Gate) -> None:
        x, y, z = (self.read(literal) for literal in (gate.x, gate.y, gate.z))
        same = _same(gate.kind, x, y, z)
        if same is not None and same <= TRUE:
            self._read[gate.out] = same ^ gate.inverted
            self._constant.add(gate.out)
            return
        shows = same is not None and self.seen.get(same >> 1, 0) is None and not same & 1
        if same is not None and shows and not gate.hidden:
            self.seen[same >> 1] = gate.out
            self._read[gate.out] = same
            return
        if same is not None:
            if not self._delays:
                self._read[gate.out] = same ^ gate.inverted
            if not gate.hidden or self._delays:
                self._copy(gate, same)
            return
        x, y, z = (self.stored(literal) for literal in (x, y, z))
        if gate.kind is Kind.AND:
            op, a, b = _conjunction(x, y)
            self._add(gate, op, (a, b, 0), gate.inverted)
        elif gate.kind is Kind.XOR:
            self._add(gate, Op.XOR, (x >> 1, y >> 1, 0), bool((x ^ y) & 1) ^ gate.inverted)
        else:
            x, y = (y, x) if z & 1 else (x, y)
            op = Op.MUXN if (x ^ y) & 1 else Op.MUX
            self._add(gate, op, (x >> 1, y >> 1, z >> 1), bool(y & 1) ^ gate.inverted)

    def _copy(self, gate: Gate, same: Literal) -> None:
        source = self.stored(same)
        self._add(gate, Op.COPY, (source >> 1, 0, 0), bool(source & 1) ^ gate.inverted)

    def _add(self, gate: Gate, op: Op, operands: tuple[int, int, int], complemented: bool) -> None:
        self._complemented[gate.out] = complemented
        self._slots.append(Slot(op, gate.out, *operands, int(not gate.hidden)))


def _conjunction(x: Literal, y: Literal) -> tuple[Op, int, int]:
    if x & 1 and y & 1:
        return Op.NOR, x >> 1, y >> 1
    if x & 1:
        x, y = y, x
    return (Op.ANDN if y & 1 else Op.AND), x >> 1, y >> 1


def _same(kind: Kind, x: Literal, y: Literal, z: Literal) -> Literal | None:
    """The literal that a gate is the same as, before its output is inverted; None for none."""
    if kind is Kind.BUF:
        return x
    if kind is Kind.AND:
        return _same_conjunction(x, y)
    return _same_parity(x, y) if kind is Kind.XOR else _same_choice(x, y, z)


def _same_conjunction(x: Literal, y: Literal) -> Literal | None:
    if FALSE in (x, y) or x == y ^ 1:
        return FALSE
    if x in (TRUE, y):
        return y
    return x if y == TRUE else None


def _same_parity(x: Literal, y: Literal) -> Literal | None:
    if x >> 1 == y >> 1 or x <= TRUE or y <= TRUE:  # one of them is constant, or both cancel
        return x ^ y if x <= TRUE or y <= TRUE else (x ^ y) & 1
    return None


def _same_choice(x: Literal, y: Literal, z: Literal) -> Literal | None:
    if x == y or z == FALSE:
        return x
    if z == TRUE:
        return y
    if {x, y} == {FALSE, TRUE}:
        return z ^ x
    return None
