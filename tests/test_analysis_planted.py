"""A leak that is put into a design is found by what finds leaks, and proved away by nothing."""

import time

import pytest
from analysis_pairs import question, truth

from openforge.analysis import cosimulation, taint
from openforge.analysis.induction import induct
from openforge.analysis.planted import planted
from openforge.analysis.two_safety import Question


def later():
    return time.monotonic() + 60


@pytest.mark.parametrize("kind", [{}, {"memory": True}, {"strict": True}])
def test_a_planted_leak_is_a_leak(kind):
    """In random designs: never proved, by structure or induction, where it really differs."""
    leaking = found = 0
    for seed in range(40):
        asked = planted(question(seed, **kind))
        sources = [*asked.secret, *asked.held]
        flow = taint.flow(
            asked.graph,
            asked.observed,
            sources,
            memories=asked.memories,
            stops=asked.shared,
            unknown=False,
        )
        if not flow.reached:
            assert asked.shared  # what is declassified may be all there is
        if truth(asked).first is None:
            assert asked.assumed or asked.shared or asked.constants
            continue
        leaking += 1
        made = asked.machine()
        assert not induct(asked, made, deadline=later()).proved
        leak, _ = cosimulation.search(asked, made, seed=1, cycles=(20,), deadline=later())
        found += leak is not None
        assert leak is None or leak.net == asked.observed[0]
    assert leaking > 20 and found >= leaking * 0.9


def test_where_there_is_no_secret_there_is_nothing_to_plant():
    """A question without secrets has no planted leak."""
    asked = question(1)
    assert planted(Question(asked.graph, asked.observed)) is None


def test_a_planted_leak_does_not_change_the_question():
    """The graph only grows, and what is assumed stays."""
    for seed in range(10):
        asked = question(seed, memory=True)
        other = planted(asked)
        assert other.graph.cells[:-3] == asked.graph.cells
        new = [bit for cell in other.graph.cells[-3:] for bit in cell.outputs.popitem()[1]]
        old = {b for c in asked.graph.cells for bits in c.outputs.values() for b in bits}
        assert not old & set(new)
        assert (other.assumed, other.shared, other.reset) == (
            asked.assumed,
            asked.shared,
            asked.reset,
        )
