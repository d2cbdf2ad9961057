"""Defaults that can never be chosen: the x that is left where a case statement is complete.

Yosys gives a multiplexer whose selects cover every value an x as its default. It is unreachable,
but looks like a value that nothing is known of.
"""

from __future__ import annotations

import dataclasses

from openforge.analysis import operators
from openforge.analysis.aig import Aig
from openforge.analysis.cells import Bit, Cell, Graph

_MAX_LEAVES = 12  # bits that are compared: all of their values are tried
_MAX_CELLS = 5000
_MAX_DEPTH = 50
_THROUGH = {
    "$eq",
    "$ne",
    "$eqx",
    "$nex",
    "$not",
    "$logic_not",
    "$logic_and",
    "$logic_or",
    "$reduce_or",
    "$reduce_and",
    "$reduce_bool",
    "$or",
    "$and",
}


def without_dead(graph: Graph) -> Graph:
    """`graph`, with 0 for the defaults of ``$pmux`` cells that cannot be chosen."""
    return dataclasses.replace(graph, cells=tuple(_mended(graph, cell) for cell in graph.cells))


def _mended(graph: Graph, cell: Cell) -> Cell:
    if cell.type != "$pmux" or "x" not in cell.inputs["A"] or not _complete(graph, cell):
        return cell
    default = tuple("0" if bit == "x" else bit for bit in cell.inputs["A"])
    return dataclasses.replace(cell, inputs={**cell.inputs, "A": default})


def _complete(graph: Graph, cell: Cell) -> bool:
    """Whether one of the selects of a ``$pmux`` holds for every value of what they compare."""
    cone = _Cone(graph)
    try:
        selects = [cone.literal(bit) for bit in cell.inputs["S"]]
    except _TooWideError:
        return False
    return cone.always(cone.aig.any_of(selects))


class _TooWideError(Exception):
    """More is compared than can be tried."""


class _Cone:
    """The comparisons behind some nets, down to leaves of which any value is possible."""

    def __init__(self, graph: Graph) -> None:
        self.aig = Aig()
        self._graph = graph
        self._literals: dict[Bit, int] = {"0": 0, "1": 1}
        self._leaves: list[int] = []
        self._cells = 0
        self._depth = 0

    def literal(self, bit: Bit) -> int:
        if bit not in self._literals:
            driver = self._graph.drivers.get(bit) if isinstance(bit, int) else None
            if driver is not None and driver.cell.type in _THROUGH:
                self._compute(driver.cell)
            else:
                self._leaf(bit)
        return self._literals[bit]

    def _leaf(self, bit: Bit) -> None:
        if len(self._leaves) == _MAX_LEAVES or not isinstance(bit, int):
            raise _TooWideError
        self._literals[bit] = self.aig.variable()
        self._leaves.append(self._literals[bit])

    def _compute(self, cell: Cell) -> None:
        self._cells += 1
        self._depth += 1
        if self._cells > _MAX_CELLS or self._depth > _MAX_DEPTH:
            raise _TooWideError
        ports = {port: [self.literal(b) for b in bits] for port, bits in cell.inputs.items()}
        for position, bit in enumerate(cell.outputs["Y"]):
            if operators.is_bitwise(cell):
                needs = operators.bit_inputs(cell, position)
                given = {port: ports[port][n] for port, n in needs}
                self._literals[bit] = operators.bit_of(self.aig, cell, given)
        if not operators.is_bitwise(cell):
            word = operators.word_of(self.aig, cell, ports, lambda _: [])
            assert word is not None  # the types in _THROUGH are known
            self._literals.update(zip(cell.outputs["Y"], word, strict=True))
        self._depth -= 1

    def always(self, goal: int) -> bool:
        """Whether `goal` holds for all values of the leaves: one bit for each of them."""
        count = 1 << len(self._leaves)
        every = (1 << count) - 1
        values = [0] * len(self.aig.fanins)
        for n, leaf in enumerate(self._leaves):
            block = ((1 << (1 << n)) - 1) << (1 << n)  # 0s, then as many 1s
            values[leaf >> 1] = every // ((1 << (2 << n)) - 1) * block
        for node, pair in enumerate(self.aig.fanins):
            if pair is not None:
                left, right = (values[x >> 1] ^ (every if x & 1 else 0) for x in pair)
                values[node] = left & right
        return values[goal >> 1] ^ (every if goal & 1 else 0) == every
