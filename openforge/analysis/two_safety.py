"""The question of constant time, as a property of two copies of a design.

Two copies with the same public inputs and different secrets: can what is observed ever differ?

*Source:* G. Barthe, P. R. D'Argenio, T. Rezk, "Secure information flow by self-composition",
CSFW 2004; K. von Gleissenthall et al., "Iodine: verifying constant-time execution of hardware",
USENIX Security 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from openforge.analysis.cells import Graph, cone
from openforge.analysis.machine import Machine, machine


@dataclass(frozen=True)
class ResetSequence:
    """The reset input `net`, which is held at `active` (0 or 1) in the first `cycles` cycles."""

    net: int
    active: int
    cycles: int


@dataclass(frozen=True)
class Question:
    """What may differ between the copies, and what must not. Nets are those of `graph`.

    Inputs in `secret` may differ, and so may registers in `held` and words (addresses) of
    `memories`, which are secret whatever writes them. Nets in `shared` are taken to be equal in
    both copies, and nets in `assumed` to be 1, in every cycle. `constants` are inputs with one
    value. With `strict`, registers without an initial value may differ before the reset, and
    nothing is observed in it.
    `start` and `done` are what begins and what ends an operation.
    """

    graph: Graph = field(repr=False)
    observed: tuple[int, ...]
    secret: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()
    memories: Mapping[str, frozenset[int]] = field(default_factory=dict)
    shared: tuple[int, ...] = ()
    assumed: tuple[int, ...] = ()
    constants: Mapping[int, int] = field(default_factory=dict)
    reset: ResetSequence | None = None
    strict: bool = False
    start: int | None = None
    done: int | None = None

    @property
    def reset_cycles(self) -> int:
        """How long the reset is held."""
        return self.reset.cycles if self.reset else 0

    @property
    def first_observed(self) -> int:
        """The first cycle in which the copies are compared."""
        return self.reset_cycles if self.strict else 0

    @property
    def wanted(self) -> tuple[int, ...]:
        """All nets that it takes to answer the question."""
        ends = () if self.done is None else (self.done,)
        return (*self.observed, *self.shared, *self.assumed, *ends)

    def reduced(self) -> Question:
        """The same question without the cells on which nothing wanted depends."""
        return replace(self, graph=cone(self.graph, self.wanted))

    def machine(self) -> Machine:
        """The machine of all that is wanted. Raises UnsupportedError."""
        return machine(self.graph, self.wanted)


@dataclass(frozen=True)
class Run:
    """What one copy is given.

    `inputs` hold the bits of the inputs by net, one mapping a cycle. `registers` are set before
    cycle 0; `held` registers and `words` (by memory, then address) after the reset, before cycle
    `reset_cycles`.
    """

    inputs: tuple[Mapping[int, int], ...]
    registers: Mapping[int, int] = field(default_factory=dict)
    held: Mapping[int, int] = field(default_factory=dict)
    words: Mapping[str, Mapping[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Leak:
    """Two runs in which the observed net `net` differs in cycle `cycle`, and not before."""

    runs: tuple[Run, Run]
    net: int
    cycle: int
