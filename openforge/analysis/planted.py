"""A leak put into a design on purpose: what cannot find this one has found nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from openforge.analysis.cells import Cell
from openforge.analysis.two_safety import Question


def planted(question: Question) -> Question | None:
    """`question` for a design whose first observed net is xored with a secret of the last cycle.

    None where there is no secret bit.
    """
    graph = question.graph
    source = next(_sources(question), None)
    if source is None:
        return None
    last = max(_numbers(question), default=1)
    register, leaking = last + 1, last + 2
    one = {"WIDTH": "1", "A_WIDTH": "1", "B_WIDTH": "1", "Y_WIDTH": "1"}
    cells = (
        Cell("$planted", "$dff", one, {"D": (source,)}, {"Q": (register,)}),
        Cell(
            "$planted_xor",
            "$xor",
            one,
            {"A": (question.observed[0],), "B": (register,)},
            {"Y": (leaking,)},
        ),
    )
    return replace(
        question,
        graph=replace(graph, cells=(*graph.cells, *cells)),
        observed=(leaking,),
        start=None,
        done=None,
    )


def _sources(question: Question) -> Iterator[int]:
    """Nets that carry a secret: an input, a register, a memory's read port."""
    yield from sorted(question.secret)
    yield from sorted(question.held)
    for name in question.memories:
        memory = question.graph.memories[name]
        yield from (bit for bit in memory.outputs["RD_DATA"] if isinstance(bit, int))


def _numbers(question: Question) -> Iterator[int]:
    for cell in question.graph.cells:
        for bits in (*cell.inputs.values(), *cell.outputs.values()):
            yield from (bit for bit in bits if isinstance(bit, int))
    for vector in question.graph.signals.values():
        yield from (bit for bit in vector.bits if isinstance(bit, int))
