"""Gated clocks -> enables: the two forms of clock gates that have no glitches.

``clk & e`` for registers of the rising edge, where e is stable while the clock is high: the output
of a latch that is open while the clock is low (an integrated clock gate), or a function of inputs
alone, which change while it is low. ``clk | x``, where x is a function of registers of the rising
edge, which change while the clock is high. A register behind such a gate is a register of the clock
with an enable. Any other clock that is no input stays as it is, to be refused by `clocking`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from openforge.analysis.cells import Bit, Cell, Graph

_CONJUNCTIONS = {"$and", "$logic_and", "$_AND_"}
_DISJUNCTIONS = {"$or", "$logic_or", "$_OR_"}
_INVERTERS = {"$not", "$logic_not", "$_NOT_"}
_LATCHES = {"$dlatch", "$_DLATCH_N_", "$_DLATCH_P_"}
_FINE = re.compile(r"\$_(DFF|ALDFF)_([NP01]+)_")
_WORD = {"$dff": "$dffe", "$adff": "$adffe", "$aldff": "$aldffe"}


@dataclass(frozen=True)
class _Literal:
    """A bit, or its complement."""

    bit: Bit
    inverted: bool = False

    def __invert__(self) -> _Literal:
        return _Literal(self.bit, not self.inverted)


def ungated(graph: Graph) -> Graph:
    """`graph` with enables instead of clock gates; what is no gate of these forms stays."""
    return _Gates(graph).ungated()


class _Gates:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._inputs = graph.input_bits
        self._new: list[Cell] = []
        self._next = graph.highest + 1

    def ungated(self) -> Graph:
        changed: dict[str, Cell] = {}
        for cell in self._graph.cells:
            clock = self._clock(cell)
            if clock is None or clock.bit in self._inputs:
                continue
            found = self._enable(clock)
            if found is not None:
                changed[cell.name] = self._enabled(cell, *found)
        if not changed:
            return self._graph
        cells = [changed.get(cell.name, cell) for cell in self._graph.cells]
        return replace(self._graph, cells=tuple(self._read([*cells, *self._new])))

    def _clock(self, cell: Cell) -> _Literal | None:
        """What a register takes its value at the rising edge of, if it can be given an enable."""
        if cell.type in _WORD:
            return _Literal(cell.inputs["CLK"][0], cell.number("CLK_POLARITY") == 0)
        match = _FINE.fullmatch(cell.type)
        return _Literal(cell.inputs["C"][0], match[2].startswith("N")) if match else None

    def _literal(self, bit: Bit) -> _Literal:
        """What a bit is, behind inverters."""
        driver = self._graph.drivers.get(bit) if isinstance(bit, int) else None
        if driver is None or driver.cell.type not in _INVERTERS:
            return _Literal(bit)
        return ~self._literal(driver.cell.inputs["A"][driver.position])

    def _conjunction(self, of: _Literal) -> tuple[bool, tuple[_Literal, _Literal]] | None:
        """A literal as the conjunction of two others, or (True first) its complement."""
        found = ~self._literal(of.bit) if of.inverted else self._literal(of.bit)
        driver = self._graph.drivers.get(found.bit) if isinstance(found.bit, int) else None
        if driver is None or driver.cell.type not in _CONJUNCTIONS | _DISJUNCTIONS:
            return None
        ports = (driver.cell.inputs["A"], driver.cell.inputs["B"])
        if any(driver.position >= len(port) for port in ports):
            return None
        a, b = (self._literal(port[driver.position]) for port in ports)
        if driver.cell.type in _DISJUNCTIONS:
            return not found.inverted, (~a, ~b)
        return found.inverted, (a, b)

    def _enable(self, clock: _Literal) -> tuple[Bit, _Literal] | None:
        """The clock behind a gate, and what enables it; None when it is no gate that is known."""
        found = self._conjunction(clock)
        if found is None:
            return None
        complement, (a, b) = found
        for own, other in ((a, b), (b, a)):
            if own.bit not in self._inputs or own.inverted != complement:
                continue
            if not complement:  # clk & other
                held = self._latched(other, own.bit)
                if held is not None:
                    return own.bit, held
                if self._sources(other.bit) <= {"input"} and not self._reads(other.bit, own.bit):
                    return own.bit, other
            elif self._sources(other.bit) <= {"register"}:  # clk | ~other
                return own.bit, other
        return None

    def _latched(self, literal: _Literal, clock: Bit) -> _Literal | None:
        """What a latch holds that is open while `clock` is low; None if it is no such latch."""
        driver = self._graph.drivers.get(literal.bit) if isinstance(literal.bit, int) else None
        if driver is None or driver.cell.type not in _LATCHES:
            return None
        cell = driver.cell
        word = cell.type == "$dlatch"
        gate = self._literal(cell.inputs["EN" if word else "E"][0])
        low = cell.number("EN_POLARITY") == 0 if word else cell.type == "$_DLATCH_N_"
        if gate.bit != clock or gate.inverted == low:
            return None
        held = self._while_low(cell.inputs["D"][driver.position], clock)
        return ~held if literal.inverted else held

    def _while_low(self, bit: Bit, clock: Bit) -> _Literal:
        """What a bit is while `clock` is low: a front end may say when a latch is open twice."""
        driver = self._graph.drivers.get(bit) if isinstance(bit, int) else None
        if driver is None or driver.cell.type not in ("$mux", "$_MUX_"):
            return _Literal(bit)
        chosen = self._literal(driver.cell.inputs["S"][0])
        if chosen.bit != clock:
            return _Literal(bit)
        branch = driver.cell.inputs["B" if chosen.inverted else "A"]
        return self._while_low(branch[driver.position], clock)

    def _cone(self, bit: Bit) -> Iterator[tuple[Bit, Cell | None]]:
        """The bits on which `bit` depends in the same cycle, each with its driver."""
        seen, stack = {bit}, [bit]
        while stack:
            here = stack.pop()
            driver = self._graph.drivers.get(here) if isinstance(here, int) else None
            yield here, driver.cell if driver else None
            if driver and not (driver.cell.is_register or _FINE.match(driver.cell.type)):
                for bits in driver.cell.inputs.values():
                    stack += set(bits) - seen
                    seen |= set(bits)

    def _sources(self, bit: Bit) -> set[str]:
        """What a bit is computed from: inputs, registers of the rising edge, or other things."""
        found = set()
        for here, cell in self._cone(bit):
            if cell is None:
                found.add("input" if here in self._inputs else "constant")
            elif (clock := self._clock(cell)) is not None:
                found.add("other" if clock.inverted else "register")
            elif _keeps_state(cell):
                found.add("other")
        return found - {"constant"}

    def _reads(self, bit: Bit, wanted: Bit) -> bool:
        return any(here == wanted for here, _ in self._cone(bit))

    def _enabled(self, cell: Cell, clock: Bit, enable: _Literal) -> Cell:
        word = cell.type in _WORD
        bit = self._inverse(enable.bit, cell, word=word) if enable.inverted else enable.bit
        if word:
            kind = _WORD[cell.type]
            inputs = {**cell.inputs, "CLK": (clock,), "EN": (bit,)}
            params = {**cell.params, "CLK_POLARITY": "1", "EN_POLARITY": "1"}
            return replace(cell, type=kind, inputs=inputs, params=params)
        match = _FINE.fullmatch(cell.type)
        assert match is not None
        family, signs = match[1], "P" + match[2][1:]
        kind = f"$_{family}E_{signs}P_"
        return replace(cell, type=kind, inputs={**cell.inputs, "C": (clock,), "E": (bit,)})

    def _inverse(self, bit: Bit, near: Cell, *, word: bool) -> Bit:
        """The complement of a bit, from a cell of its own."""
        name, out = f"{near.name}$enable", self._next
        self._next += 1
        self._new.append(
            Cell(
                name=name,
                type="$not" if word else "$_NOT_",
                params={"A_WIDTH": "1", "Y_WIDTH": "1", "A_SIGNED": "0"},
                inputs={"A": (bit,)},
                outputs={"Y": (out,)},
                src=near.src,
            )
        )
        return out

    def _read(self, cells: list[Cell]) -> list[Cell]:
        """Without the gates and latches that nothing reads any more."""
        kept = cells
        ports = {bit for v in self._graph.signals.values() if v.direction for bit in v.bits}
        while True:
            read = ports | {bit for c in kept for bits in c.inputs.values() for bit in bits}
            left = [c for c in kept if not self._only_gates(c, read)]
            if len(left) == len(kept):
                return left
            kept = left

    def _only_gates(self, cell: Cell, read: set[Bit]) -> bool:
        kinds = _CONJUNCTIONS | _DISJUNCTIONS | _INVERTERS | _LATCHES | {"$mux", "$_MUX_"}
        return cell.type in kinds and read.isdisjoint(
            bit for bits in cell.outputs.values() for bit in bits
        )


def _keeps_state(cell: Cell) -> bool:
    kept = cell.is_register or cell.is_memory or cell.is_black_box
    return kept or cell.type in _LATCHES or bool(_FINE.match(cell.type))
