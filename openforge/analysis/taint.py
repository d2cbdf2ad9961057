"""Whether nets can depend on given nets, by structure alone: information flow over cells.

Sound and cheap: a net that no source reaches is a function of other inputs and of state that was
equal, for all time. Flow is followed backwards, from what is asked about, so that the work is in
its cone and not in the whole design. Memories stay whole, each bit of their words for itself.

*Limits:* what a source reaches may still be equal: a value can cancel out, or never be let through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from openforge.analysis import operators
from openforge.analysis.cells import Bit, Cell, Driver, Graph

_RIPPLE = {"$add", "$sub", "$mul", "$neg"}  # output bit i depends on input bits 0 to i
_PARTIAL = {"$div", "$mod", "$divfloor", "$modfloor", "$shiftx"}  # not defined for all values
_UNKNOWN = ("x", "z")


@dataclass(frozen=True)
class Taint:
    """`reached` are the goals that depend on a source, each with a shortest way from one to it.

    `seen` are all nets that were looked at.
    """

    reached: Mapping[int, tuple[int, ...]]
    seen: frozenset[int] = field(repr=False)


def flow(
    graph: Graph,
    goals: Iterable[int],
    sources: Iterable[int],
    *,
    memories: Iterable[str] = (),
    stops: Iterable[int] = (),
    unknown: bool = True,
) -> Taint:
    """Which of `goals` can depend on `sources`, or on the contents of `memories`.

    With `unknown`, nets without a driver, outputs of black boxes and x are sources, too. What
    `stops` depend on is not followed, unless they are sources themselves.
    """
    search = _Search(graph, frozenset(sources), frozenset(memories), frozenset(stops), unknown)
    ways = {goal: search.run(goal) for goal in goals}
    return Taint({goal: way for goal, way in ways.items() if way}, frozenset(search.clean))


def cone(graph: Graph, goals: Iterable[int]) -> frozenset[int]:
    """All nets on which one of `goals` depends by structure, in whatever cycle; `goals` as well."""
    return flow(graph, goals, (), unknown=False).seen


class _Search:
    def __init__(
        self,
        graph: Graph,
        sources: frozenset[int],
        memories: frozenset[str],
        stops: frozenset[int],
        unknown: bool,
    ) -> None:
        self._graph, self._sources, self._memories = graph, sources, memories
        self._stops, self._unknown = stops, unknown
        self.clean: set[int] = set()  # nets that no source reaches

    def run(self, goal: int) -> tuple[int, ...]:
        """A shortest way from a source to `goal`; empty if there is none."""
        seen: dict[int, int | None] = {goal: None}
        queue = [goal]
        for net in queue:  # it grows
            if self._is_source(net):
                return tuple(_way(net, seen))
            if net in self._stops:
                continue
            driver = self._graph.drivers.get(net)
            for bit in depends(driver.cell, driver.port, driver.position) if driver else ():
                if isinstance(bit, int) and bit not in seen and bit not in self.clean:
                    seen[bit] = net
                    queue.append(bit)
        self.clean.update(seen)
        return ()

    def _is_source(self, net: int) -> bool:
        if net in self._sources:
            return True
        driver = self._graph.drivers.get(net)
        if driver is None:
            return self._unknown and net not in self._graph.input_bits and net not in self._stops
        if driver.cell.is_memory and driver.cell.memory_name in self._memories:
            return True
        return self._unknown and net not in self._stops and self._is_unknown(driver)

    @staticmethod
    def _is_unknown(driver: Driver) -> bool:
        """Whether what a cell drives may be anything, whatever its inputs are."""
        cell = driver.cell
        if cell.is_black_box or not cell.inputs:  # $anyseq and its like have no inputs
            return True
        if cell.type in _PARTIAL and _may_be_undefined(cell):
            return True
        return any(bit in _UNKNOWN for bit in depends(cell, driver.port, driver.position))


def _way(source: int, following: Mapping[int, int | None]) -> Iterator[int]:
    here: int | None = source
    while here is not None:
        yield here
        here = following[here]


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


def depends(cell: Cell, port: str, position: int) -> Iterator[Bit]:
    """The input bits of `cell` that can influence one of its output bits, in whatever cycle.

    All of them for a cell that is not known. A clock carries no data.
    """
    if operators.is_bitwise(cell):
        for name, place in operators.bit_inputs(cell, position):
            yield cell.inputs[name][place]
    elif cell.type in _RIPPLE:
        for bits in cell.inputs.values():
            yield from bits[: position + 1]
    elif cell.is_register:
        for name, bits in cell.inputs.items():
            if name != "CLK":
                yield from [bits[position]] if name in ("D", "AD") else bits
    elif cell.is_memory and port == "RD_DATA":
        yield from _read(cell, position)
    else:
        for bits in cell.inputs.values():
            yield from bits


def _read(cell: Cell, position: int) -> Iterator[Bit]:
    """What a read depends on: its address, that bit of what was written, and where and when."""
    width, abits, inputs = cell.number("WIDTH"), cell.number("ABITS"), cell.inputs
    port, bit = position // width, position % width
    yield from inputs["RD_ADDR"][port * abits : (port + 1) * abits]
    if cell.params["RD_CLK_ENABLE"][::-1][port : port + 1] == "1":
        for name in ("RD_EN", "RD_ARST", "RD_SRST"):
            yield from inputs[name][port : port + 1]
    yield from inputs["WR_DATA"][bit::width]
    yield from inputs["WR_EN"][bit::width]
    yield from inputs["WR_ADDR"]
