"""A netlist of single-bit gates, normalised: what a bit-sliced simulation evaluates.

Whatever Yosys' fine-grained cells are called, here are four kinds of gates over literals and one
kind of register. What a register cell does beyond storing (enable, synchronous and asynchronous
reset or load) is said by *hidden* gates: they have their meaning, but are inside the cell, so they
are no nets of the design and nothing counts them.

*Source:* the Yosys manual, "Internal cell library", gates.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from openforge.analysis.cells import Bit, Cell, Graph
from openforge.analysis.source import named, place
from openforge.errors import DesignError

Literal = int
"""Twice the number of a net, plus 1 for its complement. 0 is false and 1 is true."""

FALSE, TRUE = 0, 1
_MOST = 5


class Kind(IntEnum):
    """What a gate computes of its literals x, y and z."""

    AND = 0  # x and y
    XOR = 1  # x xor y
    MUX = 2  # y if z else x
    BUF = 3  # x


@dataclass(frozen=True)
class Gate:
    """A gate: `out` is a net, `inverted` its output, `hidden` says that it is inside a cell."""

    kind: Kind
    out: int
    inverted: bool
    x: Literal
    y: Literal = FALSE
    z: Literal = FALSE
    hidden: bool = False


@dataclass(frozen=True)
class Register:
    """A register: net `q` takes the literal `d` at the active edge of the clock.

    `initial` is its value before the first edge; what has none starts from 0. `hidden` says that
    `q` is inside a cell; `seen` is then the net outside, which is `q` unless an asynchronous reset
    or load is active.
    """

    q: int
    d: Literal
    initial: bool
    hidden: bool = False
    seen: int = 0


@dataclass(frozen=True)
class Gates:
    """A netlist. Nets are numbered from 1; net 0 is the constant.

    `inputs` are the nets of input bits but the clock's, by their bits in `graph`; `nets` maps every
    other bit that has a driver. `gates` are in topological order.
    """

    graph: Graph = field(repr=False)
    n_nets: int
    inputs: Mapping[int, int]
    nets: Mapping[int, int]
    gates: tuple[Gate, ...] = field(repr=False)
    registers: tuple[Register, ...] = field(repr=False)

    def literal(self, bit: Bit) -> Literal:
        """The literal of a bit of the graph; what nothing drives, and x, is 0."""
        if isinstance(bit, str):
            return TRUE if bit == "1" else FALSE
        return 2 * self.nets.get(bit, 0)

    def reached(self, nets: Iterable[int]) -> set[int]:
        """The nets that depend on `nets`, in whatever cycle, themselves among them."""
        readers: dict[int, list[int]] = defaultdict(list)
        for gate in self.gates:
            for literal in (gate.x, gate.y, gate.z):
                readers[literal >> 1].append(gate.out)
        for register in self.registers:
            readers[register.d >> 1].append(register.q)
        stack = [net for net in nets if net]
        found = set(stack)
        while stack:
            fresh = {net for net in readers[stack.pop()] if net not in found}
            found |= fresh
            stack += fresh
        return found

    @property
    def counted(self) -> int:
        """How many nets a count of all nets takes in: inputs, registers, gates."""
        visible = sum(not gate.hidden for gate in self.gates)
        return len(self.inputs) + visible + sum(not reg.hidden for reg in self.registers)


_SIMPLE: dict[str, tuple[Kind, bool, bool, bool]] = {
    # kind; whether A, B and the output are inverted
    "$_AND_": (Kind.AND, False, False, False),
    "$_NAND_": (Kind.AND, False, False, True),
    "$_OR_": (Kind.AND, True, True, True),
    "$_NOR_": (Kind.AND, True, True, False),
    "$_ANDNOT_": (Kind.AND, False, True, False),
    "$_ORNOT_": (Kind.AND, True, False, True),
    "$_XOR_": (Kind.XOR, False, False, False),
    "$_XNOR_": (Kind.XOR, False, False, True),
    "$_MUX_": (Kind.MUX, False, False, False),
    "$_NMUX_": (Kind.MUX, False, False, True),
    "$_NOT_": (Kind.BUF, False, False, True),
    "$_BUF_": (Kind.BUF, False, False, False),
}
_REGISTER = re.compile(
    r"\$_(?P<family>SDFFCE|SDFFE|SDFF|ALDFFE|ALDFF|DFFSRE|DFFSR|DFFE|DFF)_(?P<signs>[NP01]+)_"
)


def gates(graph: Graph, clock: str | None) -> Gates:
    """The normalised netlist of a flat graph of fine-grained cells, clocked by input `clock`.

    Raises DesignError, with places, for black boxes, cells that are no gates or registers (latches,
    tri-states) and combinational loops.
    """
    return _Builder(graph, clock).netlist()


class _Builder:
    def __init__(self, graph: Graph, clock: str | None) -> None:
        self._graph = graph
        clocks = set(graph.signals[clock].bits) if clock else set()
        self._count = 0
        self._inputs = {
            bit: self._new()
            for port in graph.inputs
            for bit in port.bits
            if isinstance(bit, int) and bit not in clocks
        }
        self._nets = dict(self._inputs)
        self._gates: list[Gate] = []
        self._registers: list[Register] = []

    def netlist(self) -> Gates:
        _refuse_others(self._graph)
        for cell in self._graph.cells:
            for port, bits in cell.outputs.items():
                del port
                for bit in bits:
                    if isinstance(bit, int):
                        self._nets[bit] = self._new()
        for cell in self._graph.cells:
            if cell.type in _SIMPLE:
                self._gate(cell)
            else:
                self._register(cell)
        ordered = tuple(_ordered(self._gates, self._graph, self._nets))
        return Gates(
            graph=self._graph,
            n_nets=self._count + 1,
            inputs=self._inputs,
            nets=self._nets,
            gates=ordered,
            registers=tuple(self._registers),
        )

    def _new(self) -> int:
        self._count += 1
        return self._count

    def _literal(self, bit: Bit) -> Literal:
        if isinstance(bit, str):
            return TRUE if bit == "1" else FALSE
        return 2 * self._nets.get(bit, 0)

    def _pin(self, cell: Cell, port: str) -> Literal:
        return self._literal(cell.inputs[port][0])

    def _gate(self, cell: Cell) -> None:
        kind, invert_a, invert_b, inverted = _SIMPLE[cell.type]
        x = self._pin(cell, "A") ^ invert_a
        y = self._pin(cell, "B") ^ invert_b if kind is not Kind.BUF else FALSE
        z = self._pin(cell, "S") if kind is Kind.MUX else FALSE
        out = cell.outputs["Y"][0]
        if isinstance(out, int):
            self._gates.append(Gate(kind, self._nets[out], inverted, x, y, z))

    def _mux(self, x: Literal, y: Literal, z: Literal) -> Literal:
        """A hidden multiplexer."""
        net = self._new()
        self._gates.append(Gate(Kind.MUX, net, inverted=False, x=x, y=y, z=z, hidden=True))
        return 2 * net

    def _register(self, cell: Cell) -> None:
        match = _REGISTER.fullmatch(cell.type)
        out = cell.outputs["Q"][0]
        assert match is not None  # others were refused
        if not isinstance(out, int):
            return
        family, signs = match["family"], iter(match["signs"][1:])  # the first is the clock's
        q, d = self._nets[out], self._pin(cell, "D")
        initial = self._graph.initial.get(out) == "1"
        loads = list(self._loads(cell, family, signs))
        enable = self._pin(cell, "E") ^ (next(signs) == "N") if family.endswith("E") else TRUE
        if family == "SDFFCE":  # the enable is stronger than the reset
            for value, when in loads:
                d = self._mux(d, value, when)
            loads = []
        if enable != TRUE:
            d = self._mux(2 * q, d, enable)
        for value, when in loads:
            d = self._mux(d, value, when)
        if family.startswith("SDFF") or not loads:
            self._registers.append(Register(q, d, initial))
            return
        stored = self._new()  # asynchronous: what is stored is not always what is seen
        self._registers.append(Register(stored, d, initial, hidden=True, seen=q))
        *inner, (value, when) = loads
        seen = 2 * stored
        for inner_value, inner_when in inner:
            seen = self._mux(seen, inner_value, inner_when)
        self._gates.append(Gate(Kind.MUX, q, inverted=False, x=seen, y=value, z=when))

    def _loads(
        self, cell: Cell, family: str, signs: Iterator[str]
    ) -> Iterator[tuple[Literal, Literal]]:
        """What is loaded whatever D is, and when; the last one wins."""
        if family.startswith("ALDFF"):
            yield self._pin(cell, "AD"), self._pin(cell, "L") ^ (next(signs) == "N")
        elif family.startswith("DFFSR"):
            set_low, reset_low = next(signs) == "N", next(signs) == "N"
            yield TRUE, self._pin(cell, "S") ^ set_low
            yield FALSE, self._pin(cell, "R") ^ reset_low
        elif "R" in cell.inputs:
            low = next(signs) == "N"
            value = TRUE if next(signs) == "1" else FALSE
            yield value, self._pin(cell, "R") ^ low


def _refuse_others(graph: Graph) -> None:
    odd = [c for c in graph.cells if c.type not in _SIMPLE and not _REGISTER.fullmatch(c.type)]
    boxes = [cell for cell in odd if cell.is_black_box]
    if boxes:
        raise DesignError(
            "modules without content have no power that can be simulated: "
            + _listed(f"{named(c.type)} ({place(c.src) or named(c.name)})" for c in boxes)
        )
    if odd:
        raise DesignError(
            "gates and registers were expected, found cells that keep state or drive nets "
            "otherwise (latches, tri-states): "
            + _listed(f"{named(c.type)} ({place(c.src) or named(c.name)})" for c in odd)
        )


def _listed(texts: Iterator[str]) -> str:
    found = list(dict.fromkeys(texts))
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return ", ".join(found[:_MOST]) + more


def _ordered(gates: list[Gate], graph: Graph, nets: Mapping[int, int]) -> Iterator[Gate]:
    """The gates in topological order. Raises DesignError for a loop."""
    drivers = {gate.out: gate for gate in gates}
    waiting = {
        gate.out: len({lit >> 1 for lit in (gate.x, gate.y, gate.z)} & drivers.keys())
        for gate in gates
    }
    readers: dict[int, list[Gate]] = {}
    for gate in gates:
        for net in {lit >> 1 for lit in (gate.x, gate.y, gate.z)} & drivers.keys():
            readers.setdefault(net, []).append(gate)
    ready = [gate for gate in gates if not waiting[gate.out]]
    done = 0
    for gate in ready:  # it grows
        yield gate
        done += 1
        for reader in readers.get(gate.out, ()):
            waiting[reader.out] -= 1
            if not waiting[reader.out]:
                ready.append(reader)
    if done < len(gates):
        stuck = {net for net, count in waiting.items() if count}
        names = (graph.called(bit) for bit, net in nets.items() if net in stuck)
        raise DesignError(f"a combinational loop has no settled values: {_listed(names)}")
