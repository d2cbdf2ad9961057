"""The netlist: cells, memories and places of a design, cached."""

import dataclasses
import json

import pytest

from openforge import config, design, netlist
from openforge.errors import DesignError
from openforge.tools import yosys

TEXT = """package p; typedef struct packed {logic [3:0] a; logic b;} pair_t; endpackage
interface link; logic valid; modport out (output valid); endinterface
module child import p::*; (input logic clk, input pair_t x, output pair_t y, link.out l);
  always_ff @(posedge clk) y <= x;
  assign l.valid = y.b;
endmodule
module top import p::*; #(parameter int N = 2) (input logic clk, input pair_t x [N],
    input logic [3:0] address, output pair_t y [N], output logic [7:0] z, output logic [N-1:0] v);
  logic [7:0] memory [16];
  initial $readmemh("m.hex", memory);
  always_ff @(posedge clk) begin memory[address] <= {2{x[0].a}}; z <= memory[address]; end
  link links [N] ();
  for (genvar i = 0; i < N; i++) begin : g
    child u (.clk, .x(x[i]), .y(y[i]), .l(links[i]));
    assign v[i] = links[i].valid;
  end
endmodule
"""


@pytest.fixture
def project(tmp_path):
    """Load a project of one source; `top` is its top module."""

    def make(text=TEXT, top="top", **overrides):
        root = tmp_path / "a project"
        (root / "my rtl").mkdir(parents=True, exist_ok=True)
        (root / "my rtl" / "é.sv").write_text(text)
        (root / "my rtl" / "m.hex").write_text("a5\n" * 16)
        yaml = f"project: {{name: p, top_module: {top}}}\ndesign: {{sources: ['my rtl/*.sv']}}\n"
        (root / "openforge.yaml").write_text(yaml)
        return design.load(root, config.load(root, overrides))

    return make


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def modules(path):
    return json.loads(path.read_text(encoding="utf-8"))["modules"]


def test_structs_interfaces_and_memories(project, work):
    """One flat module, registers of the instances, the memory whole with its content."""
    found = modules(netlist.netlist(project(**{"design.parameters": {"N": 3}}), work))
    assert list(found) == ["top"]
    cells = found["top"]["cells"].values()
    kinds = [cell["type"] for cell in cells]
    assert kinds.count("$mem_v2") == 1
    assert sum("dff" in kind for kind in kinds) >= 4
    (memory,) = [cell for cell in cells if cell["type"] == "$mem_v2"]
    assert memory["parameters"]["INIT"] == "10100101" * 16


def test_cells_have_places_in_the_project(project, work, tmp_path):
    """Attributes name the source relative to the project, wherever Yosys ran."""
    found = project()
    top = modules(netlist.netlist(found, work))["top"]
    places = {
        yosys.located(net["attributes"]["src"], cwd=tmp_path, project=tmp_path)
        for net in top["netnames"].values() if "src" in net["attributes"]
    }  # fmt: skip
    assert {place.file for place in places} == {"my rtl/é.sv"}
    assert {3, 7, 8} <= {place.line for place in places}


def test_the_hierarchy_can_be_kept(project, work):
    """Not flattened, there is a module for each kind of instance."""
    found = modules(netlist.netlist(project(), work, flatten=False))
    assert len(found) > 1
    assert "top" in found


def test_the_second_time_it_comes_from_the_cache(
    project, work, tmp_path, shared_cache, monkeypatch
):
    """Yosys does not run again for the same content; a damaged entry is not used."""
    loaded = project(TEXT + "// cached\n")
    first = netlist.netlist(loaded, work).read_bytes()
    again = tmp_path / "again"
    again.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(yosys, "run_script", None)
        assert netlist.netlist(loaded, again).read_bytes() == first
    entries = (shared_cache / "netlists").glob("*.json")
    kept = [path for path in entries if path.read_bytes() == first]
    assert kept
    for entry in kept:
        entry.write_bytes(first[:-10])
    assert netlist.netlist(loaded, again).read_bytes() == first


def test_a_design_that_yosys_cannot_read(project, work):
    """What slang says to Yosys is in the message: delays have no netlist."""
    delayed = TEXT.replace("assign l.valid", "assign #3 l.valid")
    with pytest.raises(DesignError, match=r"unsynthesizable timing control(?s:.*)read\.log"):
        netlist.netlist(project(delayed), work)


def test_a_design_that_does_not_elaborate_has_no_netlist(project, work):
    """The first errors are said."""
    with pytest.raises(DesignError, match="does not elaborate"):
        netlist.netlist(project("module top (input a output b); endmodule"), work)


def test_a_netlist_of_another_design_is_refused(project, work, monkeypatch):
    """Parameters that a front end ignores change the ports, and that is seen."""
    loaded = project(TEXT + "// other\n", **{"design.parameters": {"N": 4}})
    with monkeypatch.context() as patch:
        read = yosys.read_slang
        patch.setattr(
            yosys, "read_slang", lambda r, w: read(dataclasses.replace(r, parameters={}), w)
        )
        with pytest.raises(DesignError, match="ports are not those of 'top': .*v"):
            netlist.netlist(loaded, work)
    assert len(modules(netlist.netlist(loaded, work))["top"]["ports"]["v"]["bits"]) == 4
