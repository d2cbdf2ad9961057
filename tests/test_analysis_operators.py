"""What every cell means: against integers for all small inputs, and against Verilator."""

import random

import pytest
from analysis_graphs import COMBINATIONAL, REGISTERS, Maker, Reference, meaning, shape

from openforge.analysis import defaults, taint
from openforge.analysis.cells import Cell, Graph, Vector
from openforge.analysis.lanes import Lanes
from openforge.analysis.machine import Origin, machine

_SHAPES = 15


def single(draw, kind, widest=3):
    """A graph of one cell whose inputs are inputs."""
    ports, width, params = shape(draw, kind, widest)
    net, inputs, signals = 2, {}, {}
    for port, size in ports.items():
        inputs[port] = tuple(range(net, net + size))
        signals[port] = Vector(port, inputs[port], direction="input")
        net += size
    outputs = tuple(range(net, net + width))
    signals["Y"] = Vector("Y", outputs, direction="output")
    return Graph("top", signals, (Cell("c", kind, params, inputs, {"Y": outputs}),))


def table(graph):
    """For each output, its value for all values of the inputs, as one integer; None where x."""
    (cell,) = graph.cells
    nets = [bit for bits in cell.inputs.values() for bit in bits]
    rows = []
    for value in range(1 << len(nets)):
        given = {bit: value >> n & 1 for n, bit in enumerate(nets)}
        rows.append(meaning(cell, {p: [given[b] for b in bits] for p, bits in cell.inputs.items()}))
    return nets, list(zip(*rows, strict=True))


@pytest.mark.parametrize("kind", COMBINATIONAL)
def test_a_cell_computes_what_integers_do(kind):
    """For random widths and signs, all values of the inputs at once, one a lane."""
    draw = random.Random(f"cell {kind}")
    for _ in range(_SHAPES):
        graph = single(draw, kind)
        (cell,) = graph.cells
        nets, wanted = table(graph)
        made = machine(graph, cell.outputs["Y"])
        lanes = Lanes(made, 1 << len(nets))
        literals = {v.net: v.literal for v in made.variables if v.origin is Origin.INPUT}
        given = {
            literals[net]: sum((value >> n & 1) << value for value in range(lanes.count))
            for n, net in enumerate(nets)
            if net in literals
        }
        for free in (0, lanes.every):  # what is x follows its variable, so both values are seen
            unknown = {v.literal: free for v in made.variables if v.origin is Origin.UNKNOWN}
            lanes.settle(given | unknown)
            for bit, column in zip(cell.outputs["Y"], wanted, strict=True):
                value = lanes.value(made.literal(bit))
                found = [value >> lane & 1 for lane in range(lanes.count)]
                expected = [free & 1 if bit is None else bit for bit in column]
                assert found == expected, (cell, bit)


@pytest.mark.parametrize("kind", COMBINATIONAL)
def test_what_an_output_depends_on_misses_nothing(kind):
    """An input bit whose change changes an output bit is among those that it depends on."""
    draw = random.Random(f"influence {kind}")
    for _ in range(_SHAPES):
        graph = single(draw, kind)
        (cell,) = graph.cells
        nets, columns = table(graph)
        for position, column in enumerate(columns):
            known = set(taint.depends(cell, "Y", position))
            for index, net in enumerate(nets):
                changes = any(column[v] != column[v ^ 1 << index] for v in range(1 << len(nets)))
                assert net in known or not changes, (cell, position, net)


@pytest.mark.parametrize("seed", range(120))
def test_a_machine_does_what_the_interpreter_does(seed):
    """Registers of every type, memories, x and undriven nets, over some cycles, in every lane."""
    graph = sequential(seed)
    reference = Reference(graph)
    everything = list(graph.drivers)
    made = machine(graph, everything)
    assert {v.net for v in made.variables if v.origin is Origin.UNDRIVEN} <= graph.undriven
    draw = random.Random(seed)
    lanes = Lanes(made, 3)
    states = [(tuple(b or 0 for b in reference.initial()[0]), reference.initial()[1])] * 3
    free = dict.fromkeys(reference.unknown, 0)
    for _ in range(6):
        given = [{bit: draw.getrandbits(1) for bit in graph.input_bits} for _ in range(3)]
        lanes.settle(
            {
                v.literal: sum(g[v.net] << lane for lane, g in enumerate(given))
                for v in made.variables
                if v.origin is Origin.INPUT
            }
        )
        ran = [reference.cycle(s, g, free) for s, g in zip(states, given, strict=True)]
        for bit in everything:
            value = sum(values[bit] << lane for lane, (values, _) in enumerate(ran))
            assert lanes.value(made.literal(bit)) == value, (bit, graph.drivers[bit])
        states = [following for _, following in ran]
        lanes.clock()


def sequential(seed):
    """A graph with registers, a memory or two, operators, and in some something unknown."""
    maker = Maker(seed, unknown=seed % 3 == 0)
    maker.inputs(1, 2, 1)
    if seed % 5 == 0:
        maker.undriven()
    states = maker.states(1, 2, 1)
    maker.operators(4)
    first = maker.reads("m", 2, 3, 2, abits=2)
    second = maker.reads("u.n", 1, 4, 1, abits=2)
    maker.operators(8)
    maker.registers(states, REGISTERS)
    draw = maker.draw
    maker.memory(first, 2, "".join(draw.choice("01x") for _ in range(6)))
    maker.memory(second, draw.randint(0, 1), "x")
    return maker.graph(maker.nets[-3:])


def test_a_table_is_looked_up_with_what_it_returned():
    """A read whose address is what another port of the same memory returns is no loop."""
    maker = Maker(1)
    maker.inputs(2)
    address = tuple(maker.nets)
    middle, last = maker.fresh(2), maker.fresh(2)
    maker.memory(("m", 2, 4, 2, (*address, *middle), (*middle, *last)), 0, "00011011")
    graph = maker.graph(last)
    made = machine(graph, last)
    lanes = Lanes(made, 4)
    lanes.settle({made.literal(address[0]): 0b1010, made.literal(address[1]): 0b1100})
    found = [
        sum((lanes.value(made.literal(bit)) >> lane & 1) << n for n, bit in enumerate(last))
        for lane in range(4)
    ]
    assert found == [0, 1, 2, 3]


@pytest.mark.parametrize("covered", [1, 2, 3, 4])
def test_a_default_is_dead_only_if_every_value_is_covered(covered):
    """The x of a case over two bits goes when all four values are named, and not before."""
    maker = Maker(0)
    maker.inputs(2, 1)
    selector, data = tuple(maker.nets[:2]), maker.nets[2]
    hits = maker.fresh(covered)
    for value, hit in enumerate(hits):
        constant = (str(value & 1), str(value >> 1))
        maker.cells.append(
            Cell(
                f"e{value}", "$eq", {"Y_WIDTH": "1"}, {"A": selector, "B": constant}, {"Y": (hit,)}
            )
        )
    out = maker.fresh(1)
    ports = {"A": ("x",), "B": (data,) * covered, "S": hits}
    maker.cells.append(Cell("p", "$pmux", {"WIDTH": "1"}, ports, {"Y": out}))
    mended = defaults.without_dead(maker.graph(out))
    assert mended.cells[-1].inputs["A"] == (("0",) if covered == 4 else ("x",))
