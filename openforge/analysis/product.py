"""Two copies of a machine in one graph: whatever is equal in both is there once.

Public inputs and registers that are known to be equal are one variable for both copies, and
structural hashing then merges all logic that depends on them alone. What a memory returns is open:
equal in both copies if the contents and the address are.

*Assumes:* nothing of the contents of memories, of nets without a driver and of x, which may all
differ between the copies. What is proven of a product therefore holds for the design.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from openforge.analysis.aig import FALSE, Aig
from openforge.analysis.machine import Machine, Memory, Origin, ReadPort, Variable
from openforge.analysis.two_safety import Question

Couple = tuple[int, int]
"""A literal of the first copy and the same of the second."""


@dataclass(frozen=True)
class Equal:
    """What is equal in both copies: latches by their place in `Machine.latches`, and memories."""

    latches: frozenset[int]
    memories: frozenset[str]


@dataclass
class Frame:
    """One cycle of both copies.

    `held` says whether all that is assumed holds; `written` has, by memory, a literal that holds if
    its contents may be unequal after the cycle although they were equal before.
    """

    following: list[Couple]
    observed: list[Couple]
    held: int
    written: dict[str, int]
    variables: list[tuple[str, int]] = field(default_factory=list)


class Product:
    """Makes cycles of both copies of `machine` in the graph `aig`."""

    def __init__(self, question: Question, machine: Machine) -> None:
        self.question, self.machine = question, machine
        self._inputs = {variable.literal >> 1: variable for variable in machine.variables}
        self._latches = {latch.literal >> 1: n for n, latch in enumerate(machine.latches)}
        self._reads: dict[int, tuple[Memory, ReadPort, int]] = {
            literal >> 1: (memory, port, n)
            for memory in machine.memories.values()
            for port in memory.reads
            for n, literal in enumerate(port.data)
        }

    def frame(
        self,
        aig: Aig,
        state: Sequence[Couple],
        memories: frozenset[str],
        reset: Callable[[int], int] = lambda literal: literal,
    ) -> Frame:
        """A cycle from `state`, with `memories` that are equal in both copies.

        `reset` makes of the reset input's variable what the copies get.
        """
        made = _Frame(self, aig, state, memories, reset)
        return made.build()

    def input(self, node: int) -> Variable | None:
        """The input variable at `node` of the machine."""
        return self._inputs.get(node)

    def latch(self, node: int) -> int | None:
        """The latch at `node`."""
        return self._latches.get(node)

    def read(self, node: int) -> tuple[Memory, ReadPort, int] | None:
        """The memory, read port and bit position at `node`."""
        return self._reads.get(node)


class _Frame:
    def __init__(
        self,
        product: Product,
        aig: Aig,
        state: Sequence[Couple],
        memories: frozenset[str],
        reset: Callable[[int], int],
    ) -> None:
        self._product, self._aig, self._state = product, aig, state
        self._memories, self._reset = memories, reset
        size = len(product.machine.aig.fanins)
        self._first, self._second = [FALSE] * size, [FALSE] * size
        self._variables: list[tuple[str, int]] = []
        self._open_reads: dict[int, tuple[int, int]] = {}

    def build(self) -> Frame:
        first, second, conj = self._first, self._second, self._aig.conj
        for node, pair in enumerate(self._product.machine.aig.fanins):
            if pair is None:
                first[node], second[node] = self._leaf(node)
                continue
            a, b = pair
            x, y = first[a >> 1] ^ (a & 1), first[b >> 1] ^ (b & 1)
            u, v = second[a >> 1] ^ (a & 1), second[b >> 1] ^ (b & 1)
            first[node] = joined = conj(x, y)
            second[node] = joined if (u == x and v == y) else conj(u, v)
        machine = self._product.machine
        question = self._product.question
        return Frame(
            following=[self._couple(latch.next) for latch in machine.latches],
            observed=[self._couple(machine.literal(net)) for net in question.observed],
            held=self._held(),
            written={name: self._written(machine.memories[name]) for name in self._memories},
            variables=self._variables,
        )

    def _couple(self, literal: int) -> Couple:
        sign = literal & 1
        return self._first[literal >> 1] ^ sign, self._second[literal >> 1] ^ sign

    def _new(self, name: str) -> int:
        literal = self._aig.variable()
        self._variables.append((name, literal))
        return literal

    def _leaf(self, node: int) -> Couple:
        latch = self._product.latch(node)
        if latch is not None:
            return self._state[latch]
        variable = self._product.input(node)
        if variable is not None:
            return self._input(variable)
        read = self._product.read(node)
        return self._data(*read) if read else (FALSE, FALSE)

    def _input(self, variable: Variable) -> Couple:
        question = self._product.question
        if variable.origin is not Origin.INPUT:
            return self._new(""), self._new("")
        net = variable.net
        if net in question.constants:
            return question.constants[net], question.constants[net]
        if net in question.secret:
            return self._new(f"a{net}"), self._new(f"b{net}")
        literal = self._new(f"p{net}")
        if question.reset and net == question.reset.net:
            literal = self._reset(literal)
        return literal, literal

    def _data(self, memory: Memory, port: ReadPort, position: int) -> Couple:
        """What a read returns: free, but the same for the same address of the same contents."""
        first = self._new("")
        if memory.name not in self._memories:
            return first, self._new("")
        couples = [self._couple(literal) for literal in port.address]
        if all(a == b for a, b in couples):
            return first, first
        key = id(port)
        if position == 0:
            same = self._aig.equal([a for a, _ in couples], [b for _, b in couples])
            self._open_reads[key] = (same, 0)
        same, _ = self._open_reads[key]
        return first, self._aig.choose(same, first, self._new(""))

    def _held(self) -> int:
        question, machine = self._product.question, self._product.machine
        known = [self._couple(machine.literal(net)) for net in question.assumed]
        equal = [self._couple(machine.literal(net)) for net in question.shared]
        return self._aig.all_of(
            [literal for couple in known for literal in couple]
            + [self._aig.differ(a, b) ^ 1 for a, b in equal]
        )

    def _written(self, memory: Memory) -> int:
        aig = self._aig
        bad = []
        for port in memory.writes:
            enable = [self._couple(literal) for literal in port.enable]
            address = [self._couple(literal) for literal in port.address]
            data = [self._couple(literal) for literal in port.data]
            writes = aig.any_of(a for a, _ in enable)
            bad.append(aig.any_of(aig.differ(a, b) for a, b in enable))
            bad.append(aig.conj(writes, aig.any_of(aig.differ(a, b) for a, b in address)))
            for (on, _), (a, b) in zip(enable, data, strict=True):
                bad.append(aig.conj(on, aig.differ(a, b)))
        return aig.any_of(bad)


def merged_state(product: Product, aig: Aig, equal: Equal) -> list[Couple]:
    """A state of which only this is known: what is `equal`. Held registers are never equal."""
    state = []
    for n, _ in enumerate(product.machine.latches):
        first = aig.variable()
        state.append((first, first) if n in equal.latches else (first, aig.variable()))
    return state
