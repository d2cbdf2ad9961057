"""Information flow: what is not tainted never differs, whatever the secrets are."""

import random

import pytest
from analysis_graphs import Maker

from openforge.analysis import taint
from openforge.analysis.cells import Cell, Graph, Vector
from openforge.analysis.lanes import Lanes
from openforge.analysis.machine import Origin, machine

_PAIRS = 64
_CYCLES = 12


def random_design(seed):
    """Registers, memories, operators; in every second graph also x and an undriven net."""
    maker = Maker(seed, unknown=seed % 2 == 0, widest=4)
    maker.inputs(1, 2, 1, 3)
    if seed % 4 == 0:
        maker.undriven()
    states = maker.states(2, 1, 2, starting=1)
    maker.operators(4)
    first = maker.reads("m", 2, 3, 2, abits=2)
    maker.operators(3)
    second = maker.reads("u.n", 2, 4, 1, abits=2)
    maker.operators(12)
    maker.registers(states)
    maker.memory(first, 2, "".join(maker.draw.choice("01") for _ in range(6)))
    maker.memory(second, 1, "01" * 4)
    return maker.graph(maker.nets[-4:])


def both(draw):
    """Equal bits for both copies."""
    value = draw.getrandbits(_PAIRS)
    return value | value << _PAIRS


def differing(graph, secret, memory, shared, draw):
    """The nets that differ between two copies in some of many runs; shared nets are equal."""
    made = machine(graph, [*graph.drivers, *graph.input_bits])
    lanes = Lanes(made, 2 * _PAIRS)
    half = (1 << _PAIRS) - 1
    alive, found = half, set()
    for name in memory:
        rows = lanes.contents[name]
        rows[:] = [
            [[draw.randrange(4)] for _ in range(rows.shape[1])] for _ in range(rows.shape[0])
        ]
    held = {v.literal: both(draw) for v in made.variables}
    for _ in range(_CYCLES):
        given = {}
        for variable in made.variables:
            free = variable.origin is not Origin.INPUT or variable.net in secret
            fresh = draw.getrandbits(2 * _PAIRS) if free else both(draw)
            given[variable.literal] = (
                fresh if free or draw.random() < 0.5 else held[variable.literal]
            )
        lanes.settle(given)
        for net in shared:
            value = lanes.value(made.literal(net))
            alive &= ~(value ^ value >> _PAIRS)
        for net, literal in made.literals.items():
            value = lanes.value(literal)
            if (value ^ value >> _PAIRS) & alive:
                found.add(net)
        lanes.clock()
    return found


@pytest.mark.parametrize("seed", range(150))
def test_what_is_not_tainted_never_differs(seed):
    """Random netlists with secret inputs, secret memories, x, and declassified nets."""
    draw = random.Random(seed)
    graph = random_design(seed)
    secret = set(draw.sample(sorted(graph.input_bits - {graph.signals["clk"].bits[0]}), 2))
    memory = draw.sample(sorted(graph.memories), draw.randint(0, 1))
    shared = draw.sample(sorted(graph.drivers), draw.randint(0, 2))
    nets = [*graph.drivers, *graph.input_bits, *graph.undriven]
    found = taint.flow(graph, nets, secret, memories=memory, stops=shared)
    missed = differing(graph, secret, memory, shared, draw) - found.reached.keys()
    assert not missed, [graph.drivers.get(net) for net in missed]


def test_the_random_netlists_are_not_trivial():
    """In most of them something stays untainted, and something that is tainted differs."""
    kept = different = 0
    for seed in range(20):
        draw = random.Random(seed)
        graph = random_design(seed)
        secret = {graph.signals["i0"].bits[0]}
        found = taint.flow(graph, graph.drivers, secret)
        kept += any(bit not in found.reached for bit in graph.drivers)
        different += bool(differing(graph, secret, (), (), draw) & graph.drivers.keys())
    assert kept > 10 and different > 10


def graph_of(*cells, inputs=(2,), out=9):
    """A graph with the input bits `inputs` and one output."""
    signals = {f"i{n}": Vector(f"i{n}", (n,), direction="input") for n in inputs}
    signals["o"] = Vector("o", (out,), direction="output")
    return Graph("top", signals, cells)


@pytest.mark.parametrize("kind", ["$anyseq", "$anyconst", "$allseq", "$allconst"])
def test_a_cell_that_makes_values_is_not_trusted(kind):
    """What a cell without inputs returns is not known to be equal in both copies."""
    graph = graph_of(Cell("c", kind, {"WIDTH": "1"}, {}, {"Y": (9,)}))
    assert taint.flow(graph, [9], ()).reached == {9: (9,)}


def test_a_bidirectional_port_is_not_trusted():
    """An inout port that nothing drives is undriven, even if nothing reads it."""
    graph = Graph("top", {"pad": Vector("pad", (2,), direction="inout")}, ())
    assert 2 in graph.undriven
    assert 2 in taint.flow(graph, [2], ()).reached


def test_a_black_box_is_not_trusted():
    """Ports of a module without content are tainted, in which direction they may be."""
    graph = graph_of(Cell("u", "pll", {}, {"a": (2,)}, {"y": (9,)}))
    assert taint.flow(graph, [9], ()).reached
    assert not taint.flow(graph, [9], (), unknown=False).reached
    assert taint.flow(graph, [9], [2], unknown=False).reached


def inverters():
    """Net 2 inverted twice: 3, 9."""
    first = Cell("a", "$not", {}, {"A": (2,)}, {"Y": (3,)})
    second = Cell("b", "$not", {}, {"A": (3,)}, {"Y": (9,)})
    return graph_of(first, second)


def test_a_way_leads_from_the_source_to_the_net():
    """All nets between are there; what was looked at is known."""
    found = taint.flow(inverters(), [9, 3], [2])
    assert found.reached == {9: (2, 3, 9), 3: (2, 3)}
    assert taint.cone(inverters(), [3]) == {2, 3}


def test_a_stop_is_not_followed_but_may_be_a_source():
    """A declassified net keeps what is behind it away."""
    assert not taint.flow(inverters(), [9], [2], stops=[3]).reached
    assert taint.flow(inverters(), [9], [3], stops=[3]).reached == {9: (3, 9)}


def test_add_ripples_upwards_only():
    """A secret in the highest bit of an operand leaves the lower bits of a sum clean."""
    cell = Cell("a", "$add", {"Y_WIDTH": "10"}, {"A": (2, 3), "B": (4, 5)}, {"Y": (8, 9)})
    graph = graph_of(cell, inputs=(2, 3, 4, 5))
    assert set(taint.flow(graph, [8, 9], [3]).reached) == {9}


def memory_graph():
    """A memory of two words of two bits; inputs: read address 3, write address 4, enable 5."""
    maker = Maker(0, unknown=False)
    maker.inputs(1, 1, 1, 2)
    data = maker.fresh(2)
    maker.memory(("m", 2, 2, 1, (3,), data), 1, "0110")
    cell = maker.cells.pop()
    given = {**cell.inputs, "WR_ADDR": (4,), "WR_EN": (5, "1"), "WR_DATA": (6, 7)}
    return graph_of(
        Cell("m", cell.type, cell.params, given, cell.outputs), inputs=range(2, 8), out=data[0]
    ), data


@pytest.mark.parametrize(
    ("source", "reached"), [(3, {0, 1}), (4, {0, 1}), (5, {0}), (6, {0}), (7, {1}), (None, {0, 1})]
)
def test_a_memory_passes_on_what_is_written_and_where(source, reached):
    """Addresses reach all bits of a read, data and enables their own; contents may be secret."""
    graph, data = memory_graph()
    secret = {"memories": ["m"]} if source is None else {}
    found = taint.flow(graph, data, () if source is None else [source], **secret)
    assert set(found.reached) == {data[n] for n in reached}
    assert not taint.flow(graph, data, ()).reached
