"""A design -> gates: the same values and power on Verilator, places, caching, refusals."""

import json
import re

import pytest
from conftest import needs
from gate_replay import EXAMPLES, compare

from openforge import config, design, netlist_gates
from openforge.analysis.gates import gates
from openforge.errors import DesignError, OpenForgeError
from openforge.interface import effective, resolve
from openforge.tools import yosys

PROJECT = """\
project:
  name: t
  top_module: t
  target_pdk: sky130
  description: t
  version: 1.0.0
  language: sv2017
design:
  sources: [rtl/*.sv]
verification:
  crypto_verification:
    interface: {observables: [q]}
"""


def project(folder, text):
    """A project with one source."""
    (folder / "rtl").mkdir(parents=True)
    (folder / "openforge.yaml").write_text(PROJECT, "utf-8")
    (folder / "rtl" / "t.sv").write_text(text, "utf-8")
    return folder


def loaded(folder, text):
    """A design of one source, and a folder to work in."""
    given = project(folder / "project", text)
    work = folder / "work"
    work.mkdir()
    return design.load(given, config.load(given)), work


REGISTERS = """\
module t(input logic clk, rst_n, set, clear, en, input logic [3:0] d, output logic [3:0] q);
  logic [3:0] e, f, g, h, mem[3];
  logic [3:0] idle;
  always_ff @(posedge clk) if (en) e <= d ^ idle; else if (set) e <= idle;
  always_ff @(posedge clk) if (clear) f <= 4'd5; else if (en) f <= e;
  always_ff @(posedge clk) if (en) begin if (clear) g <= 4'd3; else g <= f + d; end
  always_ff @(posedge clk or negedge rst_n) if (!rst_n) h <= 4'd9; else if (set) h <= g;
  always_ff @(posedge clk) begin {idle[0], idle[1]} <= {idle[1], idle[0]}; idle[3:2] <= h[1:0]; end
  always_ff @(posedge clk) if (set) mem[d[1:0] % 3] <= h;
  assign q = mem[e[0] ? 1 : 2] - (idle * f);
endmodule
"""


@pytest.mark.parametrize("name", ["dom-and", "isw-and", "fifo"])
def test_values_and_power_are_those_of_verilator(name, tmp_path):
    """All nets of 64 traces in every cycle, and the power of every cycle, are Verilator's."""
    needs("verilator", "pyosys", "c++")
    found = compare(EXAMPLES / name, tmp_path / "work")
    assert not found.different
    assert not found.different_verilog
    assert found.equal_power
    assert found.n_bits > 100_000


def test_registers_and_memories_on_verilator(tmp_path):
    """Enables, resets of both kinds, swaps and a memory are what Verilator makes of them."""
    needs("verilator", "pyosys", "c++")
    found = compare(project(tmp_path / "project", REGISTERS), tmp_path / "work")
    assert not found.different
    assert not found.different_verilog
    assert found.equal_power


STARTS = """\
module t(input logic clk, a, output logic q);
  logic [1:0] x = 2'b10;
  initial q = 1'b1;
  always_ff @(posedge clk) begin q <= a ^ x[0]; x <= {x[0], x[1]}; end
endmodule
"""


def test_initial_values_on_verilator(tmp_path):
    """Registers start from their initial values."""
    needs("verilator", "pyosys", "c++")
    found = compare(project(tmp_path / "project", STARTS), tmp_path / "work")
    assert not found.different
    assert found.equal_power


def test_verilog_has_initial_values(tmp_path):
    """``gates.v`` says from which values registers start, as ``gates.json`` does."""
    needs("pyosys")
    made, work = loaded(tmp_path, STARTS)
    tree = json.loads(netlist_gates.gates(made, work).read_text("utf-8"))
    starts = [
        n["attributes"]["init"]
        for n in tree["modules"]["t"]["netnames"].values()
        if "init" in n["attributes"]
    ]
    assert sorted(starts) == ["1", "10"]
    assert re.search(r"init|1'h1|2'h2", (work / "gates.v").read_text("utf-8"))


def test_only_gates_and_registers(tmp_path):
    """Every cell has outputs of one bit, is a gate or a register, and has a place in the source."""
    needs("pyosys")
    made, work = loaded(tmp_path, REGISTERS)
    graph = netlist_gates.graph(made, work)
    found = gates(graph, "clk")
    assert len(found.registers) == 4 * 5 + 12
    assert all(cell.type.startswith("$_") for cell in graph.cells)
    assert not [cell.type for cell in graph.cells if not cell.src.startswith("rtl/t.sv:")]
    places = {cell.src.partition(":")[2].partition(".")[0] for cell in graph.cells}
    assert {"4", "5", "6", "7", "8", "10"} <= places
    text = (work / "gates.v").read_text("utf-8")
    kinds = {cell.type for cell in graph.cells}
    assert sum(text.count(f"\\{kind} ") for kind in kinds) == len(graph.cells)


def test_nothing_is_restructured(tmp_path):
    """Sums of masks and secrets stay as they are written: the order is what makes them secure."""
    needs("pyosys")
    made, work = loaded(
        tmp_path,
        "module t(input logic clk, a, b, c, d, output logic [1:0] q);\n"
        "always_ff @(posedge clk) q <= {(a ^ b) ^ (c ^ d), ((a ^ c) ^ b) ^ d};\nendmodule\n",
    )
    graph = netlist_gates.graph(made, work)
    kinds = [cell.type for cell in graph.cells]
    assert kinds.count("$_XOR_") == 6
    reads = {
        frozenset(graph.called(bits[0]) for bits in cell.inputs.values())
        for cell in graph.cells
        if cell.type == "$_XOR_"
    }
    assert {frozenset("ab"), frozenset("cd"), frozenset("ac")} <= reads


def test_the_second_time_comes_from_the_cache(tmp_path, monkeypatch):
    """A netlist is made once; a cached one is the same, and a damaged one is made again."""
    needs("pyosys")
    made, work = loaded(tmp_path, STARTS.replace("logic q", "logic q /* cached */"))
    first = netlist_gates.gates(made, work).read_bytes()
    calls = []
    original = yosys.run_script
    monkeypatch.setattr(yosys, "run_script", lambda *a, **k: (calls.append(a), original(*a, **k)))
    (work / "gates.v").unlink()
    assert netlist_gates.gates(made, work).read_bytes() == first
    assert (work / "gates.v").exists()
    assert not calls
    for entry in (netlist_gates.Settings().cache / "gates").glob("*.json"):
        entry.write_text("{}")
    assert netlist_gates.gates(made, work).read_bytes() == first
    assert calls


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("always_latch if (en) q = d;", ["latches", "rtl/t.sv:2"]),
        ("assign q = en ? d : 1'bz;", ["tri-state", "rtl/t.sv:2"]),
        (
            "logic r; always_ff @(posedge clk) r <= d; always_ff @(posedge en) q <= r;",
            ["one clock was expected, found 2", "clk", "en"],
        ),
        (
            "logic r; always_ff @(posedge clk) r <= d; always_ff @(negedge clk) q <= r;",
            ["one edge of the clock", "rtl/t.sv:2"],
        ),
        ("logic g; assign g = clk & en; always_ff @(posedge g) q <= d;", ["gated or derived"]),
        ("always_ff @(posedge clk) q <= d ^ clk;", ["also used as data", "rtl/t.sv:2"]),
        (
            "logic a, b; assign a = ~(b & d); assign b = ~(a & en); assign q = b;",
            ["combinational loop", "a", "b"],
        ),
        ("vendor u(.i(d), .o(q));", ["vendor"]),
    ],
)
def test_refusals(body, expected, tmp_path):
    """What a simulation of gates cannot be right about is refused: what, and where."""
    needs("pyosys")
    made, work = loaded(
        tmp_path, f"module t(input logic clk, en, d, output logic q);\n{body}\nendmodule\n"
    )
    with pytest.raises(OpenForgeError) as caught:
        made.require_elaborated()
        made.require_provable()
        graph = netlist_gates.netlist.graph(made, work)
        section = effective(made.config.verification.crypto_verification.interface, (), ())
        clock = resolve(made, graph, section).clock
        gates(netlist_gates.graph(made, work), clock)
    assert all(words in str(caught.value) for words in expected), caught.value


def test_large_memories_are_refused(tmp_path):
    """A memory that would be too many registers is refused by name, with its size."""
    needs("pyosys")
    made, work = loaded(
        tmp_path,
        "module t(input logic clk, input logic [13:0] a, input logic [8:0] d,"
        " output logic [8:0] q);\nlogic [8:0] store [1 << 14];\n"
        "always_ff @(posedge clk) begin store[a] <= d; q <= store[a]; end\nendmodule\n",
    )
    with pytest.raises(DesignError, match=r"the memory 'store' has 147456 bits; up to 131072"):
        netlist_gates.gates(made, work)
