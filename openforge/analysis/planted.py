"""Designs with something added: a leak to be found, a question to be asked of one copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from openforge.analysis.cells import Bit, Cell, Graph
from openforge.analysis.two_safety import Question

_MOST_SOURCES = 64


def planted(question: Question) -> Question | None:
    """`question` for a design whose first observed net is xored with the parity of the secrets.

    Of the last cycle, and of at most 64 bits of them. None where there is no secret bit.
    """
    sources = tuple(islice(_sources(question), _MOST_SOURCES))
    if not sources:
        return None
    extended = _Extended(question.graph)
    late = extended.register(extended.cell("$reduce_xor", {"A": sources}))
    leaking = extended.cell("$xor", {"A": (question.observed[0],), "B": (late,)})
    return replace(question, graph=extended.graph(), observed=(leaking,), start=None, done=None)


def changing(question: Question, watched: Iterable[int]) -> Question:
    """A question that leaks exactly if one of the nets `watched` can change outside of a reset.

    Its one secret is an input of its own, which lets what changes be seen. So all that answers
    questions of two copies also tells whether something can happen in one.
    """
    extended = _Extended(question.graph)
    nets = tuple(watched)
    past = tuple(extended.register(net) for net in nets)
    change = extended.cell("$ne", {"A": nets, "B": past})
    gate = extended.input("$seen")
    shown = extended.cell("$and", {"A": (change,), "B": (gate,)})
    if question.reset:
        reset = question.reset.net
        idle = extended.cell("$not", {"A": (reset,)}) if question.reset.active else reset
        lasting = extended.cell("$and", {"A": (idle,), "B": (extended.register(idle),)})
        shown = extended.cell("$and", {"A": (shown,), "B": (lasting,)})
    return replace(
        question,
        graph=extended.graph(),
        observed=(shown,),
        secret=frozenset({gate}),
        held=frozenset(),
        memories={},
        shared=(),
        strict=False,
    )


def _sources(question: Question) -> Iterator[int]:
    """Nets that carry a secret: an input, a register, a memory's read port."""
    yield from sorted(question.secret)
    yield from sorted(question.held)
    for name in question.memories:
        memory = question.graph.memories[name]
        yield from (bit for bit in memory.outputs["RD_DATA"] if isinstance(bit, int))


class _Extended:
    """A graph with cells of one output bit, and inputs, added to it."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._next = graph, graph.highest + 1
        self._cells: list[Cell] = []
        self._inputs: dict[str, int] = {}

    def _net(self) -> int:
        self._next += 1
        return self._next - 1

    def input(self, name: str) -> int:
        """A new input."""
        self._inputs[name] = self._net()
        return self._inputs[name]

    def register(self, data: int) -> int:
        """What `data` was in the cycle before."""
        out = self._net()
        name = f"$planted{out}"
        self._cells.append(Cell(name, "$dff", {"WIDTH": "1"}, {"D": (data,)}, {"Q": (out,)}))
        return out

    def cell(self, kind: str, inputs: Mapping[str, tuple[Bit, ...]]) -> int:
        """The output of a new cell."""
        out = self._net()
        params = {f"{port}_WIDTH": f"{len(bits):b}" for port, bits in inputs.items()}
        self._cells.append(
            Cell(f"$planted{out}", kind, {**params, "Y_WIDTH": "1"}, inputs, {"Y": (out,)})
        )
        return out

    def graph(self) -> Graph:
        """The whole."""
        return self._graph.extended(self._cells, self._inputs)
