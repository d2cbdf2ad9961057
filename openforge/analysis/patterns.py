"""Values that a design compares with: what decides is more often met when stimuli contain them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openforge.analysis.cells import Cell, Graph

_EQUALITIES = {"$eq", "$ne", "$eqx", "$nex", "$logic_not", "$reduce_and"}
_FEWEST_BITS = 2
_MOST = 200


@dataclass(frozen=True)
class Pattern:
    """Bits of a word: those in `mask` are as in `value`."""

    mask: int
    value: int


def mined(graph: Graph) -> tuple[Pattern, ...]:
    """What the comparisons of `graph` with constants ask of the words that they look at.

    A bit counts at the position that it has in the signal it is named after; what is compared may
    have come there from an input, unchanged.
    """
    found: dict[Pattern, None] = {}
    for cell in graph.cells:
        if cell.type in _EQUALITIES and len(found) < _MOST:
            found.update(dict.fromkeys(_patterns(graph, cell)))
    return tuple(found)


def _patterns(graph: Graph, cell: Cell) -> Iterator[Pattern]:
    """One pattern for each signal that a comparison with a constant looks at."""
    words: dict[str, Pattern] = {}
    for bit, wanted in _compared(cell):
        if bit in graph.names and wanted in ("0", "1"):
            name, position = graph.names[bit]
            before = words.get(name, Pattern(0, 0))
            one = 1 << position
            words[name] = Pattern(before.mask | one, before.value | (one if wanted == "1" else 0))
    for pattern in words.values():
        if pattern.mask.bit_count() >= _FEWEST_BITS:
            yield pattern


def _compared(cell: Cell) -> Iterator[tuple[int, str]]:
    """The nets of a comparison, each with the constant that it is compared with."""
    a = cell.inputs["A"]
    b = cell.inputs.get("B", ("1" if cell.type == "$reduce_and" else "0",) * len(a))
    for left, right in zip(a, b, strict=False):
        if isinstance(left, int) and isinstance(right, str):
            yield left, right
        elif isinstance(right, int) and isinstance(left, str):
            yield right, left
