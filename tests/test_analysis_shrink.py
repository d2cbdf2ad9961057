"""Making a leak small: it stays a leak, and what is left is needed."""

import itertools
import time
from dataclasses import replace

import pytest
from analysis_graphs import Maker
from analysis_pairs import question

from openforge.analysis import cosimulation, divergence
from openforge.analysis.cells import Cell
from openforge.analysis.shrink import confirm, differences, shrink
from openforge.analysis.two_safety import Leak, Question, Run


def later():
    return time.monotonic() + 60


def leaks(count, **kind):
    """Found leaks of random designs, with their questions and machines."""
    for seed in range(count):
        asked = question(seed, **kind)
        made = asked.machine()
        leak, _ = cosimulation.search(asked, made, seed=1, cycles=(20,), deadline=later())
        if leak:
            yield asked, made, leak


@pytest.mark.parametrize("kind", [{}, {"memory": True}, {"strict": True}])
def test_a_small_leak_is_still_one(kind):
    """It is shown again, only secrets differ in it, and it is no longer than the found one."""
    for asked, made, leak in leaks(40, **kind):
        small = shrink(asked, made, leak, deadline=later())
        again = confirm(asked, made, small.runs)
        assert (again.net, again.cycle) == (small.net, small.cycle)
        assert len(small.runs[0].inputs) == len(small.runs[1].inputs) == small.cycle + 1
        places = differences(small)
        assert places and len(places) <= len(differences(leak))
        for what, where in places:
            assert what != "input" or where in asked.secret
            assert what != "held" or where in asked.held
            assert what != "registers"
            assert what != "words" or where[1] in asked.memories[where[0]]
        for run in small.runs:
            for cycle, given in enumerate(run.inputs):
                assert all(given.get(n, bit) == bit for n, bit in asked.constants.items())
                if asked.reset and asked.reset.net in given:
                    held = given[asked.reset.net] == asked.reset.active
                    assert held or cycle >= asked.reset_cycles


def adder(width):
    """The carry of two secrets' sum is observed: it takes one bit to change it."""
    maker = Maker(0)
    maker.inputs(width, width, 3)
    a, b = tuple(maker.nets[:width]), tuple(maker.nets[width : 2 * width])
    total = maker.fresh(width + 1)
    params = {"Y_WIDTH": format(width + 1, "b")}
    maker.cells.append(Cell("c", "$add", params, {"A": a, "B": b}, {"Y": total}))
    (state,) = maker.fresh(1)
    maker.cells.append(
        Cell("r", "$dff", {}, {"CLK": maker.clock, "D": total[-1:]}, {"Q": (state,)})
    )
    maker.initial[state] = "0"
    return Question(maker.graph([state]), (state,), secret=frozenset({*a, *b}))


def test_a_known_leak_gets_as_small_as_it_can():
    """One bit of one operand differs, and what does not matter is 0."""
    asked = adder(8)
    made = asked.machine()
    leak, _ = cosimulation.search(asked, made, seed=3, cycles=(6,), deadline=later())
    public = asked.graph.signals["i2"].bits
    noise = [
        replace(run, inputs=tuple({**c, public[0]: 1} for c in run.inputs)) for run in leak.runs
    ]
    small = shrink(asked, made, replace(leak, runs=tuple(noise)), deadline=later())
    assert len(differences(small)) == 1
    assert small.cycle == 1
    assert not any(given.get(net) for run in small.runs for given in run.inputs for net in public)


def test_equal_runs_are_no_leak():
    """Two equal runs, and runs that break what is assumed, show nothing."""
    asked = adder(2)
    made = asked.machine()
    leak, _ = cosimulation.search(asked, made, seed=3, cycles=(6,), deadline=later())
    assert confirm(asked, made, (leak.runs[0], leak.runs[0])) is None
    shared = replace(asked, shared=tuple(asked.secret))
    assert confirm(shared, shared.machine(), leak.runs) is None
    never = replace(asked, assumed=asked.observed)
    assert confirm(never, never.machine(), leak.runs) is None


def test_differences_are_those_of_every_kind():
    """Inputs, registers, held registers and words, each by its place."""
    one = Run(({2: 0, 3: 1},), {4: 0}, {5: 1}, {"m": {0: 3, 1: 4}})
    two = Run(({2: 1, 3: 1},), {4: 1}, {5: 1}, {"m": {0: 3, 1: 5}})
    assert differences(Leak((one, two), 9, 0)) == (
        ("input", 2),
        ("registers", 4),
        ("words", ("m", 1)),
    )


def connected(before, after, asked):
    """Whether the hop `after` takes its difference from `before`."""
    cell = after.cell
    if before.net == after.net:  # a register keeps it
        return cell.is_register and before.cycle == after.cycle - 1
    if cell.is_register and after.port not in ("ARST", "ALOAD"):
        late = 1
    elif cell.is_memory and after.port.startswith("WR"):
        return before.net in cell.inputs[after.port] and before.cycle < after.cycle
    else:
        late = 0
    return before.net in cell.inputs[after.port] and before.cycle == after.cycle - late


@pytest.mark.parametrize("kind", [{}, {"memory": True}])
def test_a_trace_leads_from_a_secret_to_what_is_observed(kind):
    """Every hop differs in its cycle and is driven by the hop before it."""
    lengths = set()
    for asked, made, leak in leaks(60, **kind):
        small = shrink(asked, made, leak, deadline=later())
        way = divergence.trace(asked, made, small)
        different = divergence._different(asked, made, small)
        assert (way[-1].net, way[-1].cycle) == (small.net, small.cycle)
        assert all(hop.net in different[hop.cycle] for hop in way)
        first = way[0]
        driver = asked.graph.drivers.get(first.net)
        if driver is None:
            assert first.net in asked.secret
        elif driver.cell.is_memory:
            assert driver.cell.memory_name in asked.memories
        else:
            assert first.net in asked.held
        for before, after in itertools.pairwise(way):
            assert connected(before, after, asked), (before, after)
        lengths.add(len(way))
    assert len(lengths) > 3


def test_a_choice_decides():
    """A hop through a select, an enable or an address decides; one through data does not."""
    mux = Cell("m", "$mux", {}, {}, {})
    register, memory = Cell("r", "$dffe", {}, {}, {}), Cell("m", "$mem_v2", {}, {}, {})
    hop = divergence.Hop
    assert hop(1, 0, mux, "S").decides and not hop(1, 0, mux, "A").decides
    assert hop(1, 0, register, "EN").decides and not hop(1, 0, register, "D").decides
    assert hop(1, 0, memory, "RD_ADDR").decides and not hop(1, 0, memory, "WR_DATA").decides
    assert not hop(1, 0, None).decides
