"""How a difference travels: from the secret, cycle by cycle, to what is observed.

*Source:* dynamic program slicing (B. Korel, J. Laski, 1988), on nets that differ between two runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from openforge.analysis import operators
from openforge.analysis.cells import Bit, Cell
from openforge.analysis.lanes import Lanes
from openforge.analysis.machine import Machine, Origin
from openforge.analysis.shrink import hold, start
from openforge.analysis.two_safety import Leak, Question, Run

_CHOICES = {("$mux", "S"), ("$pmux", "S"), ("$bmux", "S"), ("$bwmux", "S"), ("$shiftx", "B")}
_ENABLES = ("EN", "SRST", "ARST", "ALOAD")


@dataclass(frozen=True)
class Hop:
    """`net` differs in `cycle`, as the output of `cell` (None: an input), through its `port`."""

    net: int
    cycle: int
    cell: Cell | None
    port: str = ""

    @property
    def decides(self) -> bool:
        """Whether the difference chose here between values, instead of being one of them."""
        if self.cell is None:
            return False
        kind = (self.cell.type, self.port)
        enables = self.cell.is_register and self.port in _ENABLES
        address = self.cell.is_memory and self.port not in ("WR_DATA", "")
        return kind in _CHOICES or enables or address


def trace(question: Question, machine: Machine, leak: Leak) -> tuple[Hop, ...]:
    """The way of a leak: nets that differ, from a secret to the observed net, in order of time."""
    return _Slice(question, _different(question, machine, leak), leak).way()


def state_after_reset(question: Question, machine: Machine, run: Run) -> dict[int, int]:
    """The registers' bits, by net, when the reset of `run` has ended."""
    lanes = Lanes(machine, 1)
    inputs = {v.net: v.literal for v in machine.variables if v.origin is Origin.INPUT}
    start(lanes, [run])
    for given in run.inputs[: question.reset_cycles]:
        lanes.settle({literal: given.get(net, 0) for net, literal in inputs.items()})
        lanes.clock()
    return {latch.net: value for latch, value in zip(machine.latches, lanes.state, strict=True)}


def _different(question: Question, machine: Machine, leak: Leak) -> list[set[int]]:
    """For each cycle, the nets that are not the same in both runs."""
    lanes = Lanes(machine, 2)
    inputs = {v.net: v.literal for v in machine.variables if v.origin is Origin.INPUT}
    start(lanes, leak.runs)
    found = []
    for cycle in range(leak.cycle + 1):
        if cycle == question.reset_cycles:
            hold(lanes, leak.runs)
        first, second = (run.inputs[cycle] for run in leak.runs)
        lanes.settle(
            {lit: first.get(net, 0) | second.get(net, 0) << 1 for net, lit in inputs.items()}
        )
        found.append(
            {net for net, literal in machine.literals.items() if lanes.value(literal) in (1, 2)}
        )
        lanes.clock()
    return found


class _Slice:
    def __init__(self, question: Question, different: list[set[int]], leak: Leak) -> None:
        self._question, self._different, self._leak = question, different, leak

    def way(self) -> tuple[Hop, ...]:
        """A shortest way back from the leak to a source, turned around."""
        goal = (self._leak.net, self._leak.cycle)
        came: dict[tuple[int, int], tuple[Hop, tuple[int, int] | None]] = {}
        queue: list[tuple[tuple[int, int], tuple[int, int] | None]] = [(goal, None)]
        seen = {goal}
        done = 0
        while done < len(queue):
            (net, cycle), before = queue[done]
            done += 1
            driver = self._question.graph.drivers.get(net)
            cell = driver.cell if driver else None
            came[net, cycle] = (Hop(net, cycle, cell), before)
            causes = list(self._causes(net, cycle))
            if not causes:
                return self._forward(came, (net, cycle))
            for _, other, when in causes:
                if (other, when) not in seen:
                    seen.add((other, when))
                    queue.append(((other, when), (net, cycle)))
        return (Hop(*goal, None),)

    def _forward(
        self,
        came: dict[tuple[int, int], tuple[Hop, tuple[int, int] | None]],
        source: tuple[int, int],
    ) -> tuple[Hop, ...]:
        hops = [came[source][0]]
        here: tuple[int, int] | None = source
        while here is not None:
            following = came[here][1]
            if following is not None:
                net, cycle = following
                port = next(p for p, n, t in self._causes(net, cycle) if (n, t) == here)
                hops.append(Hop(net, cycle, came[following][0].cell, port))
            here = following
        return tuple(hops)

    def _causes(self, net: int, cycle: int) -> Iterator[tuple[str, int, int]]:
        """Ports, nets and cycles of the differences that made `net` differ in `cycle`."""
        driver = self._question.graph.drivers.get(net)
        if driver is None:
            return
        cell, position = driver.cell, driver.position
        if cell.is_register:
            yield from self._before(cell, position, cycle)
        elif cell.is_memory:
            yield from self._memory(cell, position, cycle)
        elif operators.is_bitwise(cell):
            for port, place in sorted(operators.bit_inputs(cell, position), reverse=True):
                yield from self._those(port, [cell.inputs[port][place]], cycle)
        else:
            for port in sorted(cell.inputs, reverse=True):  # a select before what it selects
                yield from self._those(port, cell.inputs[port], cycle)

    def _those(self, port: str, bits: Iterable[Bit], cycle: int) -> Iterator[tuple[str, int, int]]:
        for bit in bits:
            if isinstance(bit, int) and cycle >= 0 and bit in self._different[cycle]:
                yield port, bit, cycle

    def _before(self, cell: Cell, position: int, cycle: int) -> Iterator[tuple[str, int, int]]:
        for port in ("ARST", "ALOAD"):
            yield from self._those(port, cell.inputs.get(port, ()), cycle)
        if cycle == self._question.reset_cycles and cell.outputs["Q"][position] in (
            self._question.held
        ):
            return  # the secret was put there
        for port in _ENABLES:
            yield from self._those(port, cell.inputs.get(port, ()), cycle - 1)
        yield from self._those("D", [cell.inputs["D"][position]], cycle - 1)
        if cycle > 0 and cell.outputs["Q"][position] in self._different[cycle - 1]:
            yield "Q", cell.outputs["Q"][position], cycle - 1  # type: ignore[misc]

    def _memory(self, cell: Cell, position: int, cycle: int) -> Iterator[tuple[str, int, int]]:
        """A read differs by its address, or by the latest write that differed."""
        abits, width = cell.number("ABITS"), cell.number("WIDTH")
        port = position // width
        address = cell.inputs["RD_ADDR"][port * abits : (port + 1) * abits]
        found = list(self._those("RD_ADDR", address, cycle))
        yield from found
        for when in range(cycle - 1, -1, -1) if not found else ():
            writes = [
                hit
                for name in ("WR_EN", "WR_ADDR", "WR_DATA")
                for hit in self._those(name, cell.inputs.get(name, ()), when)
            ]
            if writes:
                yield from writes
                return
