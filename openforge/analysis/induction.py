"""The largest set of registers that stay equal in both copies, found by induction (Houdini).

All registers that start equal are assumed to be equal; those that one cycle can make different are
dropped, until none is. If everything that is observed is then equal, it is for all time.

*Source:* C. Flanagan, K. R. M. Leino, "Houdini, an annotation assistant for ESC/Java", FME 2001.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pysat.solvers import Solver

from openforge.analysis.aig import FALSE, TRUE, Aig
from openforge.analysis.machine import Machine, Memory
from openforge.analysis.product import Couple, Equal, Frame, Product, merged_state
from openforge.analysis.two_safety import Question, ResetSequence

_SOLVER = "glucose4"  # a solver of python-sat that can be told when to give up
_CONFLICTS = 20_000
_LANES = 512


@dataclass(frozen=True)
class Induction:
    """`equal` is inductive. `proved`: so is everything observed. `structural`: no solver needed."""

    equal: Equal
    proved: bool
    structural: bool
    calls: int
    open: tuple[int, ...]


def at_start(product: Product) -> Equal:
    """What is equal before the first cycle that counts.

    Power-up states are equal, but for what holds a secret. In strict mode only initial values are,
    and what the reset sequence makes equal whatever was there before.
    """
    question, machine = product.question, product.machine
    latches = set(range(len(machine.latches))) - _held(product)
    memories = set(machine.memories) - question.memories.keys()
    if not question.strict:
        return Equal(frozenset(latches), frozenset(memories))
    return _resetting(product, frozenset(latches), frozenset(memories))[-1]


def always(product: Product, equal: Equal) -> Equal:
    """Those of `equal` that are equal in every cycle, also in those of the reset sequence.

    `equal` is inductive from the first cycle that counts, which in strict mode is after the reset.
    """
    if not product.question.strict:
        return equal
    latches, memories = equal.latches, equal.memories
    for then in _resetting(product, latches - _held(product), memories):
        latches, memories = latches & then.latches, memories & then.memories
    return Equal(latches, memories)


def _held(product: Product) -> frozenset[int]:
    """The latches that hold a secret."""
    latches = enumerate(product.machine.latches)
    return frozenset(n for n, latch in latches if latch.net in product.question.held)


def _resetting(
    product: Product, candidates: frozenset[int], memories: frozenset[str]
) -> list[Equal]:
    """What of `candidates` and `memories` is equal before each cycle of the reset, and after it.

    By structure; memories are equal as long as nothing that may differ is written to them.
    """
    question, aig = product.question, Aig()
    state: list[Couple] = [
        _known(aig, latch.initial) if n in candidates else (aig.variable(), aig.variable())
        for n, latch in enumerate(product.machine.latches)
    ]
    memories = frozenset(name for name in memories if _is_known(product.machine.memories[name]))
    found = []
    for cycle in range(question.reset_cycles + 1):
        equal = frozenset(n for n in candidates if state[n][0] == state[n][1])
        found.append(Equal(equal, memories))
        if cycle < question.reset_cycles:
            frame = product.frame(aig, state, memories, _constantly(question.reset))
            memories = frozenset(name for name in memories if frame.written[name] == FALSE)
            state = frame.following
    return found


def _constantly(reset: ResetSequence | None) -> Callable[[int], int]:
    active = reset.active if reset else 0
    return lambda _: active


def _is_known(memory: Memory) -> bool:
    """Whether every bit of a memory has an initial value."""
    return not any(set(text) - {"0", "1"} for text in memory.initial)


def _known(aig: Aig, initial: int | None) -> Couple:
    return (aig.variable(), aig.variable()) if initial is None else (initial, initial)


def induct(question: Question, machine: Machine, *, deadline: float) -> Induction:
    """An inductive set of equal registers, and whether it makes what is observed equal.

    It is the largest, but for registers of which a solver could not tell within its budget. Past
    `deadline` (time.monotonic) only what structure alone keeps equal is kept: still inductive.
    """
    product = Product(question, machine)
    found, calls = _Houdini(product, at_start(product)).run(deadline)
    left, more = _different(product, found)
    calls += more
    return Induction(found, not left, calls == 0 and not left, calls, left)


class _Houdini:
    def __init__(self, product: Product, start: Equal) -> None:
        self._product = product
        self._equal = start
        self.calls = 0
        self._rounds = 0

    def run(self, deadline: float) -> tuple[Equal, int]:
        while True:
            self._rounds += 1
            aig = Aig()
            frame = self._product.frame(
                aig, merged_state(self._product, aig, self._equal), self._equal.memories
            )
            pending = self._pending(aig, frame)
            if not pending:
                return self._equal, self.calls
            late = time.monotonic() >= deadline
            dropped = set(pending) if late else self._refuted(aig, frame, pending)
            if not dropped:
                return self._equal, self.calls
            self._equal = Equal(
                self._equal.latches - dropped,
                self._equal.memories - dropped,
            )

    def _pending(self, aig: Aig, frame: Frame) -> dict[int | str, int]:
        """What may stop to be equal: by latch or memory, the literal that says that it does."""
        pending: dict[int | str, int] = {}
        for n in self._equal.latches:
            a, b = frame.following[n]
            if a != b:
                pending[n] = aig.differ(a, b)
        for name, bad in frame.written.items():
            if bad != FALSE:
                pending[name] = bad
        return pending

    def _refuted(self, aig: Aig, frame: Frame, pending: dict[int | str, int]) -> set[int | str]:
        """Those of `pending` that one cycle can make different: all that are found at a time."""
        values = simulated(aig, _LANES, self._rounds)
        fine = values(frame.held)
        dropped = {key for key, bad in pending.items() if values(bad) & fine}
        if dropped:
            return dropped
        with Encoded(aig, [frame.held, *pending.values()]) as solver:
            rest = dict(pending)
            while rest:
                self.calls += 1
                model = solver.some([frame.held], rest.values())
                if model is None:
                    break
                if model is GAVE_UP:  # then it is one at a time, or not at all
                    return dropped | self._unsure(frame, rest, solver)
                seen = {key for key, bad in rest.items() if model(bad)}
                dropped |= seen
                rest = {key: bad for key, bad in rest.items() if key not in seen}
        return dropped

    def _unsure(self, frame: Frame, rest: dict[int | str, int], solver: Encoded) -> set[int | str]:
        """Those of `rest` that the solver refutes, or cannot decide, alone."""
        self.calls += len(rest)
        return {key for key, bad in rest.items() if solver.some([frame.held], [bad]) is not None}


def _different(product: Product, equal: Equal) -> tuple[tuple[int, ...], int]:
    """The observed nets that can differ in one cycle although `equal` holds, and solver calls."""
    aig = Aig()
    frame = product.frame(aig, merged_state(product, aig, equal), equal.memories)
    nets = product.question.observed
    open_ = [(net, aig.differ(a, b)) for net, (a, b) in zip(nets, frame.observed, strict=True)]
    open_ = [(net, bad) for net, bad in open_ if bad != FALSE]
    if not open_:
        return (), 0
    with Encoded(aig, [frame.held, *(bad for _, bad in open_)]) as solver:
        return tuple(
            net for net, bad in open_ if solver.some([frame.held], [bad]) is not None
        ), len(open_)


class Model:
    """A solver's assignment: the value of each literal that was encoded."""

    def __init__(self, values: Sequence[int]) -> None:
        self._values = values

    def __call__(self, literal: int) -> bool:
        """The value of a literal; False for a variable that does not matter."""
        if literal <= TRUE:
            return literal == TRUE
        node = literal >> 1
        positive = node < len(self._values) and self._values[node] > 0
        return positive != bool(literal & 1)


GAVE_UP = Model([])


class Encoded:
    """The cones of some literals of a graph in a SAT solver (Tseitin's clauses)."""

    def __init__(self, aig: Aig, roots: Iterable[int]) -> None:
        self._solver = Solver(name=_SOLVER)
        self._next = len(aig.fanins) + 1
        self._solver.add_clause([-(len(aig.fanins))])  # stands for the constant 0
        self._zero = len(aig.fanins)
        done: set[int] = {0}
        stack = [literal >> 1 for literal in roots]
        while stack:
            node = stack.pop()
            pair = aig.fanins[node]
            if node in done or pair is None:
                continue
            done.add(node)
            a, b = self._term(pair[0]), self._term(pair[1])
            for clause in ([-node, a], [-node, b], [node, -a, -b]):
                self._solver.add_clause(clause)
            stack += [pair[0] >> 1, pair[1] >> 1]

    def _term(self, literal: int) -> int:
        if literal <= TRUE:
            return -self._zero if literal else self._zero
        return -(literal >> 1) if literal & 1 else literal >> 1

    def some(self, required: Iterable[int], wanted: Iterable[int]) -> Model | None:
        """An assignment with all of `required` and one of `wanted`; None if there is none.

        It is GAVE_UP when the solver could not tell within its budget.
        """
        switch = self._next
        self._next += 1
        self._solver.add_clause([-switch, *(self._term(x) for x in wanted)])
        given = [switch, *(self._term(x) for x in required)]
        self._solver.conf_budget(_CONFLICTS)
        found = self._solver.solve_limited(assumptions=given)
        if found is None:
            return GAVE_UP
        return Model([0, *self._solver.get_model()]) if found else None

    def prefer(self, literals: Iterable[int]) -> None:
        """The values to be tried first."""
        self._solver.set_phases([self._term(x) for x in literals])

    def forbid(self, literals: Iterable[int]) -> None:
        """Never again all of these at once."""
        self._solver.add_clause([-self._term(x) for x in literals])

    def __enter__(self) -> Encoded:
        return self

    def __exit__(self, *_: object) -> None:
        self._solver.delete()


def simulated(aig: Aig, lanes: int, seed: int) -> Callable[[int], int]:
    """Values of all literals for random variables, as integers of `lanes` bits."""
    draw, every = random.Random(seed), (1 << lanes) - 1  # noqa: S311  (stimuli, not keys)
    values = [0, every] * len(aig.fanins)
    for node, pair in enumerate(aig.fanins):
        if node:
            value = draw.getrandbits(lanes) if pair is None else values[pair[0]] & values[pair[1]]
            values[2 * node], values[2 * node + 1] = value, value ^ every
    return values.__getitem__
