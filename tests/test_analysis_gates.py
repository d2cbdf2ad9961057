"""Cells -> gates and registers of one kind: what each cell means, and what is refused."""

import importlib.resources
import random
import re

import pytest
from gate_reference import COMBINATIONAL, FAMILIES, graph_of, integer, run

from openforge.analysis.bitsliced import Model, simulation
from openforge.analysis.cells import Cell
from openforge.analysis.gates import FALSE, TRUE, Kind, gates
from openforge.analysis.stimulus import FRESH, Stimulus
from openforge.errors import DesignError


def cells_of_yosys():
    """The cells in Yosys' own library of cells, each with its pins."""
    path = importlib.resources.files("pyosys") / "share" / "simcells.v"
    found = re.findall(r"^module \\(\$_\S+) \(([^)]*)\);", path.read_text("utf-8"), re.MULTILINE)
    return {name: [pin.strip() for pin in pins.split(",")] for name, pins in found}


REGISTERS = {
    name: pins
    for name, pins in cells_of_yosys().items()
    if re.fullmatch(rf"\$_({'|'.join(FAMILIES)})_P[NP01]*_", name)
}


def evaluated(found, values):
    """The nets of a netlist without registers, by number."""
    known = {0: 0, **values}

    def read(literal):
        return known[literal >> 1] ^ (literal & 1)

    for gate in found.gates:
        x, y, z = read(gate.x), read(gate.y), read(gate.z)
        value = {Kind.AND: x & y, Kind.XOR: x ^ y, Kind.MUX: y if z else x, Kind.BUF: x}[gate.kind]
        known[gate.out] = value ^ gate.inverted
    return known


@pytest.mark.parametrize("kind", sorted(COMBINATIONAL))
def test_truth_tables(kind):
    """Every gate of Yosys' library is what its name says, also for constants at its pins."""
    ports, function = COMBINATIONAL[kind]
    for number in range(4 ** len(ports)):
        pins = [number // 4**n % 4 for n in range(len(ports))]  # 0, 1: constants; 2, 3: inputs
        inputs = {port: 10 + n for n, port in enumerate(ports)}
        bits = [str(p) if p < 2 else 10 + n for n, p in enumerate(pins)]
        found = gates(graph_of(inputs, [(kind, dict(zip(ports, bits, strict=True)), 20)]), None)
        given = {found.inputs[10 + n]: p & 1 for n, p in enumerate(pins)}
        values = evaluated(found, given)
        assert values[found.nets[20]] == function(*(p & 1 for p in pins)) & 1


def test_all_registers_of_yosys():
    """Every register of Yosys' library (rising edge) does what its name says, for 40 cycles."""
    assert len(REGISTERS) > 50
    inputs = {"clk": 2} | {name: 3 + n for n, name in enumerate(("D", "E", "R", "S", "L", "AD"))}
    cells, initial = [], {}
    for number, (kind, pins) in enumerate(REGISTERS.items()):
        used = {pin: 2 if pin == "C" else inputs[pin] for pin in pins if pin != "Q"}
        cells.append((kind, used, 100 + number))
        initial[100 + number] = "01"[number % 2]
    graph = graph_of(inputs, cells, initial)
    found = gates(graph, "clk")
    nets, draw = list(found.inputs.values()), random.Random(3)
    events = [{n: FRESH + 1 + 6 * c + k for k, n in enumerate(nets)} for c in range(40)]
    idle = [{net: draw.random() < 0.5 for net in nets} for _ in range(2)]
    stimulus = Stimulus(40, 250, (), (), tuple(idle), tuple(events))
    sim = simulation(found, stimulus, Model.HAMMING_DISTANCE, 9)
    seen = run(graph, found, stimulus, 9, 0)
    for (kind, _, bit), *values in zip(
        cells, *sim.values(0, [found.nets[c[2]] for c in cells]), strict=True
    ):
        assert [integer(v) for v in values] == [cycle.values[bit] for cycle in seen[1:]], kind


def test_literals():
    """Inputs and nets have numbers of their own; constants, x and what nothing drives are 0."""
    graph = graph_of({"clk": 2, "a": 3}, [("$_NOT_", {"A": 3}, 10), ("$_BUF_", {"A": 77}, 11)])
    found = gates(graph, "clk")
    assert found.literal("0") == found.literal("x") == found.literal("z") == FALSE
    assert found.literal("1") == TRUE
    assert found.literal(77) == FALSE
    assert found.literal(2) == FALSE  # the clock is no net
    assert found.inputs == {3: found.nets[3]}
    assert found.counted == 3
    assert evaluated(found, {found.nets[3]: 0})[found.nets[11]] == 0


def test_order_does_not_matter():
    """Gates come out after what they read, whatever the order of the cells."""
    cells = [("$_NOT_", {"A": 99 + n if n else 3}, 100 + n) for n in range(30)]
    random.Random(1).shuffle(cells)
    found = gates(graph_of({"a": 3}, cells), None)
    known = {0, *found.inputs.values()}
    for gate in found.gates:
        assert gate.x >> 1 in known
        known.add(gate.out)


def test_registers_break_loops():
    """A register may read what is computed of it, as may gates of a register inside a cell."""
    cells = [("$_NOT_", {"A": 10}, 11), ("$_DFFE_PN0P_", {"C": 2, "D": 11, "R": 3, "E": 11}, 10)]
    assert len(gates(graph_of({"clk": 2, "r": 3}, cells), "clk").registers) == 1


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([("$_DLATCH_P_", {"E": 3, "D": 4}, 10)], ["latches", "$_DLATCH_P_", "t.sv:1"]),
        ([("$_TBUF_", {"A": 3, "E": 4}, 10)], ["tri-states", "$_TBUF_", "t.sv:1"]),
        ([("$_FF_", {"D": 3}, 10)], ["$_FF_", "t.sv:1"]),
        ([("$_SR_PP_", {"S": 3, "R": 4}, 10)], ["$_SR_PP_", "t.sv:1"]),
        ([("$add", {"A": 3, "B": 4}, 10)], ["gates and registers were expected", "$add"]),
        ([("vendor_ram", {"A": 3}, 10)], ["modules without content", "vendor_ram", "t.sv:1"]),
        (
            [("$_NAND_", {"A": 3, "B": 11}, 10), ("$_NAND_", {"A": 4, "B": 10}, 11)],
            ["combinational loop", "n10", "n11"],
        ),
        (
            [("$_DFF_PP0_", {"C": 2, "D": 3, "R": 11}, 10), ("$_BUF_", {"A": 10}, 11)],
            ["combinational loop", "n10"],  # through the reset of a register
        ),
    ],
)
def test_refusals(cells, expected):
    """What has no settled values, or keeps state otherwise, is refused: what, and where."""
    with pytest.raises(DesignError) as caught:
        gates(graph_of({"clk": 2, "a": 3, "b": 4}, cells), "clk")
    assert all(words in str(caught.value) for words in expected)


def test_long_refusals_are_cut():
    """Of many places the first five are said, and how many more there are."""
    cells = [("$_TBUF_", {"A": 3, "E": 4}, 10 + n) for n in range(9)]
    with pytest.raises(DesignError, match=r"t\.sv:5\) and 4 more"):
        gates(graph_of({"a": 3, "b": 4}, cells), None)


def test_all_other_cells_of_yosys_are_refused():
    """A cell of Yosys' library is known, or refused: none is read as something else."""
    for name, pins in cells_of_yosys().items():
        if name in COMBINATIONAL or re.fullmatch(rf"\$_({'|'.join(FAMILIES)})_[NP01]+_", name):
            continue
        out = pins[-1]
        inputs = {p: (3 + n,) for n, p in enumerate(pins[:-1])}
        graph = graph_of({f"i{n}": 3 + n for n in range(len(pins))}, [])
        cell = Cell("c", name, {}, inputs, {out: (50,)}, "t.sv:1")
        with pytest.raises(DesignError, match=r"expected"):
            gates(graph.extended([cell], {}), None)
