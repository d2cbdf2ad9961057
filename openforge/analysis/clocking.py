"""The one clock of a netlist, with its edge; what else keeps state is refused.

What reads the interface of a design counts in cycles of this clock. *Assumes* that there are no
other domains, so everything that would make one is an error that names its places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from openforge.analysis.cells import Bit, Cell, Graph, Vector
from openforge.analysis.source import named, place
from openforge.errors import DesignError

_LATCHES = {"$dlatch", "$adlatch", "$dlatchsr", "$sr", "$ff"}
_TRISTATE = "$tribuf"
_MOST = 5


@dataclass(frozen=True)
class Clock:
    """An input of one bit, and whether its rising edge is the active one."""

    name: str
    rising: bool


@dataclass(frozen=True)
class _Use:
    bit: Bit
    rising: bool
    cell: Cell


def clocking(graph: Graph) -> Clock | None:
    """What clocks every register and memory port of `graph`; None when there is neither.

    Raises DesignError, with places, for latches, tri-states, a memory that is written without a
    clock, several clocks or both edges, a clock that is not an input, and one that is also data.
    """
    _refuse_other_state(graph.cells)
    uses = [use for cell in graph.cells for use in _uses(cell)]
    if not uses:
        return None
    inputs = {bit: port for port in graph.inputs for bit in port.bits}
    _refuse_derived(graph, uses, inputs)
    first = {use.bit: use for use in reversed(uses)}
    if len(first) > 1:
        found = sorted(_at(named(inputs[bit].name), use.cell) for bit, use in first.items())
        raise DesignError(f"one clock was expected, found {len(first)}: {_cut(', '.join(found))}")
    bit, use = next(iter(first.items()))
    name = named(inputs[bit].name)
    other = next((u for u in uses if u.rising != use.rising), None)
    if other:
        pair = sorted((use, other), key=lambda u: not u.rising)
        edges = f"{_at('rising', pair[0].cell)}, {_at('falling', pair[1].cell)}"
        raise DesignError(f"one edge of the clock '{name}' was expected, found both: {edges}")
    _refuse_data(graph.cells, bit, name)
    return Clock(inputs[bit].name, use.rising)


def _uses(cell: Cell) -> Iterator[_Use]:
    if cell.is_register:
        yield _Use(cell.inputs["CLK"][0], cell.number("CLK_POLARITY") == 1, cell)
    elif cell.is_memory:
        for way in ("WR", "RD"):
            enabled, rising = cell.number(f"{way}_CLK_ENABLE"), cell.number(f"{way}_CLK_POLARITY")
            for n, bit in enumerate(cell.inputs.get(f"{way}_CLK", ())):
                if enabled >> n & 1:
                    yield _Use(bit, bool(rising >> n & 1), cell)


def _refuse_other_state(cells: Iterable[Cell]) -> None:
    latches, drivers, writers = [], [], []
    for cell in cells:
        if cell.type in _LATCHES:
            latches.append(cell)
        elif cell.type == _TRISTATE:
            drivers.append(cell)
        elif cell.is_memory and cell.number("WR_CLK_ENABLE") != (1 << cell.number("WR_PORTS")) - 1:
            writers.append(cell)
    for found, what, cure in (
        (latches, "latches", "assign the signal on every path, or make it a register"),
        (drivers, "tri-state drivers", "have an output and its enable instead"),
        (writers, "memories that are written without a clock", "write them at a clock edge"),
    ):
        if found:
            raise DesignError(f"{what} cannot be analysed: {_places(found)}; {cure}")


def _refuse_derived(graph: Graph, uses: Sequence[_Use], inputs: dict[Bit, Vector]) -> None:
    derived = {use.bit: use for use in reversed(uses) if use.bit not in inputs}
    if derived:
        found = ", ".join(_at(named(graph.called(bit)), use.cell) for bit, use in derived.items())
        raise DesignError(
            f"a clock that is an input was expected, found one that is gated or derived: "
            f"{_cut(found)}; use an enable instead"
        )
    for use in uses:
        if len(inputs[use.bit].bits) != 1:
            raise DesignError(
                f"a clock that is an input of its own was expected, found a bit of a vector: "
                f"{_at(named(graph.called(use.bit)), use.cell)}"
            )


def _refuse_data(cells: Iterable[Cell], clock: Bit, name: str) -> None:
    found = [
        cell
        for cell in cells
        if any(
            clock in bits and not (port == "CLK" or port.endswith("_CLK"))
            for port, bits in cell.inputs.items()
        )
    ]
    if found:
        raise DesignError(f"the clock '{name}' is also used as data: {_places(found)}")


def _places(cells: Sequence[Cell]) -> str:
    found = dict.fromkeys(place(cell.src) or named(cell.name) for cell in cells)
    return _cut(", ".join(list(found)[:_MOST]), len(found) - _MOST)


def _at(what: str, cell: Cell) -> str:
    where = place(cell.src)
    return f"{what} ({where})" if where else what


def _cut(text: str, more: int = 0) -> str:
    text = text if len(text) <= 400 else f"{text[:397]}..."
    return f"{text} and {more} more" if more > 0 else text
