"""What a machine does in its lanes is what Verilator does with the same inputs."""

import json
import random
from pathlib import Path

import pytest
from conftest import needs

from openforge import design, netlist
from openforge.analysis import cells, defaults
from openforge.analysis.lanes import Lanes
from openforge.analysis.machine import Origin, machine
from openforge.config import Config
from openforge.tools import verilator, verilator_replay
from openforge.tools.verilator_replay import Stimulus

pytestmark = pytest.mark.xdist_group("lanes")  # what they share takes long to make

OPERATORS = Path(__file__).parent / "designs" / "analysis" / "operators.sv"
_MODULES = 40
_CYCLES = 200
_BINARY = ("+", "-", "*", "&", "|", "^", "~^", "<<", ">>", "<<<", ">>>", "/", "%")
_TRUTH = ("<", "<=", ">", ">=", "==", "!=", "&&", "||")
_UNARY = ("~", "-", "!", "&", "|", "^", "~&", "~|", "~^")


def expression(draw, names, depth):
    """A random expression over `names`, which have widths."""
    if depth == 0 or draw.random() < 0.1:
        name, width = draw.choice(names)
        low = draw.randrange(width)
        constant = f"{draw.randint(2, 9)}'{draw.choice(('', 's'))}d{draw.getrandbits(2)}"
        selected = f"{name}[{draw.randrange(low, width)}:{low}]"
        return draw.choice((name, name, name, selected, constant))

    def part():
        return expression(draw, names, depth - 1)

    return draw.choice(
        (
            lambda: f"({part()} {draw.choice(_BINARY)} {part()})",
            lambda: f"({part()} {draw.choice(_BINARY)} {part()})",
            lambda: f"({part()} {draw.choice(_BINARY)} {part()})",
            lambda: f"({part()} {draw.choice(_TRUTH)} {part()})",
            lambda: f"({draw.choice(_UNARY)}({part()}))",
            lambda: f"({part()} ? {part()} : {part()})",
            lambda: f"{{{part()}, {part()}}}",
            lambda: f"{{2{{{part()}}}}}",
            lambda: f"{draw.choice(('$signed', '$unsigned'))}({part()})",
            lambda: f"{draw.randint(1, 12)}'({part()})",
        )
    )()


def module(number):
    """A module with two random wires, a register and an output that is made of them."""
    draw = random.Random(number)
    ports, names = [], []
    for name in "abc":
        width, sign = draw.randint(2, 8), draw.choice(("", "signed "))
        ports.append(f"input logic {sign}[{width - 1}:0] {name}")
        names.append((name, width))
    lines = []
    for name in "wxr":
        width, sign = draw.randint(2, 10), draw.choice(("", "signed "))
        value = expression(draw, names, 2)
        lines.append(f"  logic {sign}[{width - 1}:0] {name};")
        if name == "r":
            reset = draw.choice(("", "or posedge rst"))
            lines.append(f"  always_ff @(posedge clk {reset})")
            lines.append(f"    if (rst) {name} <= 3; else if (a[0]) {name} <= {value};")
        else:
            lines.append(f"  assign {name} = {value};")
        names.append((name, width))
    lines.append(f"  assign y = {expression(draw, names, 3)};")
    head = f"module m{number}(input logic clk, input logic rst, {', '.join(ports)},"
    return "\n".join((f"{head} output logic [15:0] y);", *lines, "endmodule", ""))


def top(count):
    """All modules under one top, beside the written one."""
    text, inputs, outputs = "", [], []
    for line in OPERATORS.read_text().split(");", 1)[0].splitlines()[2:]:
        (inputs if line.strip().startswith("input") else outputs).append(line.rstrip().rstrip(","))
    instances = ["  operators u_operators(.*);"]
    for n in range(count):
        outputs.append(f"    output logic [15:0] y{n}")
        instances.append(f"  m{n} u{n}(.clk, .rst, .a(a), .b(b), .c(c), .y(y{n}));")
        text += module(n)
    inputs.append("    input logic [7:0] c")
    ports = ",\n".join((*inputs, *outputs))
    return f"{text}module top (\n{ports}\n);\n" + "\n".join(instances) + "\nendmodule\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    needs("verilator", "c++")
    folder = tmp_path_factory.mktemp("project")
    (folder / "operators.sv").write_text(OPERATORS.read_text())
    (folder / "top.sv").write_text(top(_MODULES))
    return folder


@pytest.fixture(scope="module")
def elaborated(project, tmp_path_factory):
    """The design's netlist, as read and without what cannot be chosen."""
    config = Config.model_validate(
        {
            "project": {"name": "p", "top_module": "top"},
            "design": {"sources": ["operators.sv", "top.sv"]},
        }
    )
    found = design.load(project, config)
    work = tmp_path_factory.mktemp("work")
    tree = json.loads(netlist.netlist(found, work).read_text())
    read = cells.graph(tree, "top")
    return read, defaults.without_dead(read)


@pytest.fixture(scope="module")
def stimuli(elaborated):
    """Random inputs by port, one mapping a cycle, and the ports that are seen."""
    draw = random.Random(5)
    widths = {v.name: len(v.bits) for v in elaborated[0].inputs if v.name != "clk"}
    cycles = []
    for _ in range(_CYCLES):
        given = {name: draw.getrandbits(width) for name, width in widths.items()}
        given["rst"] = int(draw.random() < 0.1)
        given["rst_n"] = int(draw.random() < 0.9)
        for name in ("a", "b", "sa", "sb"):
            if draw.random() < 0.2:
                given[name] = draw.choice((0, 1, (1 << widths[name]) - 1, 1 << widths[name] - 1))
        cycles.append(given)
    return cycles


@pytest.fixture(scope="module")
def seen(project, elaborated, stimuli, tmp_path_factory, shared_cache):
    """What Verilator shows, by output."""
    model = verilator.Model(
        top="top",
        sources=(project / "operators.sv", project / "top.sv"),
        main=verilator_replay.MAIN,
    )
    folder = tmp_path_factory.mktemp("model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENFORGE_CACHE", str(shared_cache))
        replayer = verilator_replay.build(model, folder / "model", project=project, jobs=1)
    stimulus = Stimulus("clk", True, {"rst": 0, "rst_n": 1}, stimuli)
    names = [v.name for v in elaborated[0].outputs]
    return replayer.run(stimulus, names, folder / "run").values


def simulated(graph, stimuli, unknown=0):
    """What a lane shows, by output, with `unknown` for every x."""
    outputs = {v.name: v.bits for v in graph.outputs}
    made = machine(graph, [bit for bits in outputs.values() for bit in bits])
    lanes = Lanes(made, 1)
    literals = {v.net: v.literal for v in made.variables if v.origin is Origin.INPUT}
    found = {name: [] for name in outputs}
    for given in stimuli:
        values = {v.literal: unknown for v in made.variables if v.origin is Origin.UNKNOWN}
        for vector in graph.inputs:
            for n, bit in enumerate(vector.bits):
                if bit in literals:
                    values[literals[bit]] = (given.get(vector.name, 0) >> n & 1) * lanes.every
        lanes.settle(values)
        for name, bits in outputs.items():
            found[name].append(
                sum((lanes.value(made.literal(bit)) & 1) << n for n, bit in enumerate(bits))
            )
        lanes.clock()
    return found


def test_lanes_do_what_verilator_does(elaborated, stimuli, seen):
    """Every operator, every kind of register and memory, and random expressions."""
    found = simulated(elaborated[1], stimuli)
    different = {
        name: next(
            n for n, (a, b) in enumerate(zip(seen[name], found[name], strict=True)) if a != b
        )
        for name in seen
        if list(seen[name]) != found[name]
    }
    assert not different


def test_the_comparison_sees_every_output_move(seen):
    """No output of the written design is constant."""
    assert not [
        name for name, values in seen.items() if not name.startswith("y") and len(set(values)) < 2
    ]


def test_without_dead_changes_nothing(elaborated, stimuli):
    """Defaults that cannot be chosen are gone, and the behaviour is the same."""
    read, mended = elaborated
    assert read != mended
    assert simulated(read, stimuli[:60], 1) == simulated(mended, stimuli[:60], 1)
