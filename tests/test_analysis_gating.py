"""Clock gates become enables when they cannot glitch, and stay to be refused when they can."""

import pytest
from conftest import needs
from side_channel_projects import PLAIN, run, write

from openforge import config, design, netlist, netlist_gates
from openforge.analysis import gating
from openforge.analysis.clocking import clocking
from openforge.errors import DesignError
from openforge.model import Verdict

MODULE = """module dut (input logic clk, rst_n, start, input logic [7:0] key, data,
            output logic done, output logic [7:0] q);
  logic gclk, held, v, idle;
  logic [7:0] r;
  {gate}
  always_ff @(posedge gclk or negedge rst_n) if (!rst_n) r <= '0; else r <= key ^ data;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin v <= 0; done <= 0; q <= '0; idle <= 1; end
    else begin v <= start; idle <= !start; done <= v; if (v) q <= r; end
endmodule
"""
GOOD = {
    "latch and and": "always_latch if (!clk) held = start;\n  assign gclk = clk & held;",
    "latch and nor": "always_latch if (!clk) held = start;\n  assign gclk = ~(~clk | ~held);",
    "and of inputs": "assign gclk = clk & start;",
    "or of a register": "assign gclk = clk | idle;",
    "or of an inverted register": "assign gclk = clk | ~v;",
}
BAD = {
    "and of a register": "assign gclk = clk & v;",
    "or of an input": "assign gclk = clk | ~start;",
    "latch of the other level": "always_latch if (clk) held = start;\n  assign gclk = clk & held;",
    "and of both": "assign gclk = clk & (start | v);",
    "xor": "assign gclk = clk ^ start;",
}


def graphs(folder, gate):
    """The design as words and as gates."""
    needs("slang", "pyosys")
    project = write(folder / "p", MODULE.format(gate=gate), PLAIN)
    found = design.load(project, config.load(project, {}))
    work = folder / "work"
    work.mkdir()
    return netlist.graph(found, work), netlist_gates.graph(found, work)


@pytest.mark.parametrize("gate", GOOD.values(), ids=GOOD)
def test_a_gate_without_glitches_is_an_enable(tmp_path, gate):
    """One clock is left, and the eight registers behind the gate have an enable."""
    words, bits = graphs(tmp_path, gate)
    with pytest.raises(DesignError):
        clocking(words)
    assert clocking(gating.ungated(words)).name == "clk"
    for graph, name in ((words, "$aldffe"), (bits, "$_ALDFFE_PNP_")):
        free = gating.ungated(graph)
        enabled = [cell for cell in free.cells if cell.type == name]
        assert sum(len(cell.outputs["Q"]) for cell in enabled) == 8
        assert not any("latch" in cell.type.lower() for cell in free.cells)


@pytest.mark.parametrize("gate", BAD.values(), ids=BAD)
def test_any_other_gate_stays(tmp_path, gate):
    """It may glitch, so that no enable has its meaning."""
    for graph in graphs(tmp_path, gate):
        assert not any("DFFE" in c.type.upper() for c in gating.ungated(graph).cells)
    with pytest.raises(DesignError, match="gated or derived|also used as data|latches"):
        clocking(gating.ungated(graphs_words(tmp_path)))


def graphs_words(folder):
    """The words of the project that `graphs` has written."""
    project = next(path.parent for path in folder.rglob("openforge.yaml"))
    found = design.load(project, config.load(project, {}))
    return netlist.graph(found, folder / "work")


def test_verilator_shows_the_same_values(tmp_path):
    """A replayed pair of traces: the enable means what the gate does."""
    needs("verilator", "c++")
    project = write(tmp_path / "p", MODULE.format(gate=GOOD["or of a register"]), PLAIN)
    ran = run(tmp_path, project, enabled=True)
    assert ran.verdict is Verdict.FAILED
    assert any("replayed on Verilator" in bound for bound in ran.result.bounds), ran.result.bounds
