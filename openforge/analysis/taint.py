"""Which nets can depend on given nets, by structure alone: information flow over cells.

Sound and cheap: a net that is not tainted is a function of untainted inputs and of state that was
equal, for all time. Memories stay whole, with one flag for each bit of their words.

*Limits:* what is tainted may still be equal: a value can cancel out, or never be let through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from openforge.analysis import operators
from openforge.analysis.cells import Bit, Cell, Graph

_RIPPLE = {"$add", "$sub", "$mul", "$neg"}  # output bit i depends on input bits 0 to i
_PARTIAL = {"$div", "$mod", "$divfloor", "$modfloor", "$shiftx"}  # not defined for all values
_UNKNOWN = ("x", "z")


@dataclass(frozen=True)
class Step:
    """A net became tainted: from the net `source` (None: by itself) through `cell`."""

    source: int | None
    cell: Cell | None


@dataclass(frozen=True)
class Taint:
    """The tainted nets, each with the step by which it was reached first."""

    steps: Mapping[int, Step] = field(repr=False)

    def __contains__(self, bit: Bit) -> bool:
        return bit in self.steps or bit in _UNKNOWN

    def path(self, bit: int) -> list[tuple[int, Cell | None]]:
        """A shortest way from a source to `bit`: nets, each with the cell that drives it."""
        way: list[tuple[int, Cell | None]] = []
        here: int | None = bit
        while here is not None:
            step = self.steps[here]
            way.append((here, step.cell))
            here = step.source
        return way[::-1]


def spread(
    graph: Graph,
    sources: Iterable[int],
    *,
    memories: Iterable[str] = (),
    stops: Iterable[int] = (),
    unknown: bool = True,
) -> Taint:
    """Everything that can depend on `sources`, or on the contents of `memories`.

    With `unknown`, nets without a driver, outputs of black boxes and x are sources, too.
    Nets in `stops` never become tainted (but may be sources).
    """
    return _Spreading(graph, frozenset(memories), frozenset(stops), unknown=unknown).run(sources)


class _Spreading:
    def __init__(
        self, graph: Graph, memories: frozenset[str], stops: frozenset[int], *, unknown: bool
    ) -> None:
        self._graph, self._stops, self._unknown = graph, stops, unknown
        self._users: dict[int, list[tuple[Cell, str, int]]] = {}
        for cell in graph.cells:
            for port, bits in cell.inputs.items():
                for position, bit in enumerate(bits):
                    if isinstance(bit, int):
                        self._users.setdefault(bit, []).append((cell, port, position))
        self._steps: dict[int, Step] = {}
        self._secret = memories
        self._queue: list[int] = []

    def run(self, sources: Iterable[int]) -> Taint:
        for bit in sources:
            self._add(bit, Step(None, None), force=True)
        for bit in self._graph.undriven if self._unknown else ():
            self._add(bit, Step(None, None))
        for cell in self._graph.cells:
            for born in self._born(cell):
                self._add(born, Step(None, cell))
        done = 0
        while done < len(self._queue):  # breadth first: shortest ways
            bit = self._queue[done]
            done += 1
            for cell, port, position in self._users.get(bit, ()):
                for reached in influenced(cell, port, position):
                    self._add(reached, Step(bit, cell))
        return Taint(self._steps)

    def _born(self, cell: Cell) -> Iterator[Bit]:
        """The outputs of `cell` that are tainted by themselves."""
        if cell.is_memory and cell.memory_name in self._secret:
            yield from cell.outputs["RD_DATA"]
        if not self._unknown:
            return
        if cell.is_black_box:
            for bits in cell.outputs.values():
                yield from bits
        for port, bits in cell.inputs.items():
            for position, bit in enumerate(bits):
                if bit in _UNKNOWN:
                    yield from influenced(cell, port, position)
        if cell.type in _PARTIAL and _may_be_undefined(cell):
            yield from cell.outputs["Y"]

    def _add(self, bit: Bit, step: Step, *, force: bool = False) -> None:
        if isinstance(bit, int) and bit not in self._steps and (force or bit not in self._stops):
            self._steps[bit] = step
            self._queue.append(bit)


def _may_be_undefined(cell: Cell) -> bool:
    """Whether a division may be by zero, or a ``$shiftx`` may look outside of its vector."""
    amount = cell.inputs["B"]
    if cell.type != "$shiftx":
        return "1" not in amount
    if cell.number("B_SIGNED") or not cell.number("Y_WIDTH"):
        return True
    free = [bit if bit in ("0", "1") else "1" for bit in amount]
    highest = sum(1 << n for n, bit in enumerate(free) if bit == "1")
    return highest + cell.number("Y_WIDTH") > len(cell.inputs["A"])


def influenced(cell: Cell, port: str, position: int) -> Iterator[Bit]:
    """The output bits of `cell` that one of its input bits can influence, in whatever cycle."""
    if operators.is_bitwise(cell):
        yield from _bitwise(cell, port, position)
    elif cell.type in _RIPPLE:
        yield from cell.outputs["Y"][position:]
    elif cell.is_register and port in ("D", "AD"):
        yield cell.outputs["Q"][position]
    elif cell.is_memory:
        yield from _memory(cell, port, position)
    else:
        for bits in cell.outputs.values():
            yield from bits


def _bitwise(cell: Cell, port: str, position: int) -> Iterator[Bit]:
    out, size = cell.outputs["Y"], len(cell.inputs[port])
    if port == "S" and cell.type == "$mux":
        yield from out
        return
    if position < len(out):
        yield out[position]
    if position == size - 1 and cell.number(f"{port}_SIGNED"):
        yield from out[size:]


def _memory(cell: Cell, port: str, position: int) -> Iterator[Bit]:
    """A word's bit taints that bit of every read; an address or enable taints what it selects."""
    width, data = cell.number("WIDTH"), cell.outputs["RD_DATA"]
    if port in ("WR_DATA", "WR_EN"):
        yield from data[position % width :: width]
    elif port in ("RD_ADDR", "RD_EN", "RD_ARST", "RD_SRST"):
        number = position // (cell.number("ABITS") if port == "RD_ADDR" else 1)
        yield from data[number * width : (number + 1) * width]
    else:
        yield from data
