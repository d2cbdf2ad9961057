"""Solutions of assumptions: they fulfil them, and there are many."""

import pytest
from analysis_graphs import Maker, Reference
from analysis_pairs import question

from openforge.analysis import constraints
from openforge.analysis.cells import Cell
from openforge.analysis.constraints import ContradictionError
from openforge.analysis.two_safety import Question


def asked_about(kind, width=4, **changes):
    """A question that assumes that a reduction of an input is 1."""
    maker = Maker(0)
    maker.inputs(width, 1)
    out = maker.fresh(1)
    maker.cells.append(
        Cell("c", kind, {"Y_WIDTH": "1"}, {"A": tuple(maker.nets[:width])}, {"Y": out})
    )
    return Question(maker.graph(out), out, assumed=out, **changes)


def test_without_assumptions_there_is_nothing_to_solve():
    """No assumption, no solutions."""
    asked = question(1)
    free = Question(asked.graph, asked.observed)
    assert constraints.solutions(free, free.machine(), 1) == []


def test_solutions_fulfil_and_are_different():
    """Each is another one; all there are when they are few; the seed decides which come first."""
    asked = asked_about("$reduce_xor")
    found = constraints.solutions(asked, asked.machine(), 1)
    values = [tuple(s.values()) for s in found]
    assert len(set(values)) == len(values) == 8
    assert all(sum(value) % 2 for value in values)
    wide = asked_about("$reduce_or", 20)
    one, again, other = (constraints.solutions(wide, wide.machine(), n) for n in (1, 1, 2))
    assert one == again != other and len(one) == 64
    ones = [sum(solution.values()) for solution in one]
    assert 5 < sum(ones) / len(ones) < 15


def test_solutions_have_the_constants():
    """An input with one value has it in every solution."""
    asked = asked_about("$reduce_or", constants={3: 0, 4: 1})
    found = constraints.solutions(asked, asked.machine(), 1)
    assert {(s[3], s[4]) for s in found} == {(0, 1)} and len(found) == 4


def test_secrets_differ_for_one_public_part():
    """Some solutions have the same public part and another secret."""
    asked = asked_about("$reduce_or", 20, secret=frozenset({3, 4}))
    found = constraints.solutions(asked, asked.machine(), 1)
    publics = [tuple(bit for net, bit in s.items() if net not in asked.secret) for s in found]
    assert len(set(publics)) <= len(publics) // 2 + 1
    assert len({tuple(s.values()) for s in found}) == len(found) == 64


def test_a_contradiction_is_an_error():
    """An assumption that no inputs fulfil is refused, as is one against the constants."""
    asked = asked_about("$reduce_and", constants={3: 0})
    with pytest.raises(ContradictionError, match="no inputs fulfil"):
        constraints.solutions(asked, asked.machine(), 1)


def test_an_assumption_about_registers_alone_has_one_solution():
    """There is nothing to choose for the inputs."""
    maker = Maker(0)
    maker.inputs(1)
    state = maker.fresh(1)
    maker.cells.append(Cell("r", "$dff", {}, {"CLK": maker.clock, "D": ("1",)}, {"Q": state}))
    asked = Question(maker.graph(state), state, assumed=state)
    assert constraints.solutions(asked, asked.machine(), 1) == [{}]


def test_random_assumptions():
    """Whatever is assumed of the inputs holds, by the slow interpreter, in some state."""
    solved = 0
    for seed in range(40):
        asked = question(seed)
        if not asked.assumed or asked.graph.registers[0].type.startswith("$a"):
            continue
        try:
            found = constraints.solutions(asked, asked.machine(), seed)
        except ContradictionError:
            continue
        reference = Reference(asked.graph)
        states = [
            (tuple(n >> i & 1 for i in range(len(reference.latches))), ())
            for n in range(1 << len(reference.latches))
        ]
        for solution in found:
            inputs = dict.fromkeys(asked.graph.input_bits, 0) | solution
            seen = [reference.cycle(state, inputs, {})[0] for state in states]
            assert any(all(values[net] for net in asked.assumed) for values in seen)
            solved += 1
    assert solved > 5
