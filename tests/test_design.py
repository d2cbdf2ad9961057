"""Elaboration: what is found in a design, and what is said of one that does not elaborate."""

from pathlib import Path

import pytest
from conftest import needs

from openforge import config, design
from openforge.errors import ConfigError, DesignError

DESIGNS = Path(__file__).parent / "designs"


@pytest.fixture
def project(tmp_path):
    """Make a project of sources given as texts or bytes; returns a function that loads it."""

    def make(files, top="top", extra=(), **overrides):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        text = f"project: {{name: p, top_module: {top}}}\ndesign:\n  sources: ['rtl/**/*.sv']\n"
        (tmp_path / "openforge.yaml").write_text(text)
        loaded = config.load(tmp_path, overrides)
        return design.load(tmp_path, loaded, [tmp_path / name for name in extra])

    return make


@pytest.fixture
def styles(project):
    return project({"rtl/styles.sv": (DESIGNS / "fsm" / "styles.sv").read_text()}, top="styles")


def test_ports_clocks_resets_and_registers(styles):
    """Packages, structs, interfaces and generate blocks are understood."""
    assert styles.elaborated
    assert {port.name: port.width for port in styles.ports}["x"] == 4
    assert styles.clocks == ("clk",)
    resets = {r.signal: (r.active_low, r.asynchronous) for r in styles.resets}
    assert resets == {"rst_n": (True, True), "rst": (False, False)}
    names = {register.name for register in styles.registers}
    assert {"u_two.state_q", "u_one.state", "g_delay[0].q", "g_delay[1].q", "item_q"} <= names


def test_state_machines_in_two_styles(styles):
    """An enum in two processes and localparams in one: states, arcs and reset state are found."""
    machines = {fsm.signal: fsm for fsm in styles.fsms}
    two, one = machines["u_two.state_q"], machines["u_one.state"]
    assert [state.name for state in two.states] == ["IDLE", "RUN", "DONE"]
    assert set(two.arcs) == {("IDLE", "RUN"), ("RUN", "DONE"), ("DONE", "RUN"), ("DONE", "IDLE")}
    assert {state.name for state in one.states} == {"A", "B", "C"}
    assert set(one.arcs) == {("A", "B"), ("B", "C"), ("C", "A")}
    assert (two.reset_state, one.reset_state) == ("IDLE", "A")


def test_properties_and_what_is_not_supported(styles):
    """An implication is named with its place; an immediate assertion is fine."""
    found = {item.name: item for item in styles.properties}
    assert found["a_small"].supported
    assert not found["a_next"].supported
    assert "|->" in found["a_next"].problem
    assert found["a_next"].location.line == 58


def test_parameters_and_defines_reach_the_design(project):
    """Values of openforge.yaml change what is elaborated."""
    text = "module top #(parameter W=2) (input [W-1:0] a, output b); assign b = `BIT; endmodule"
    loaded = project(
        {"rtl/a.sv": text},
        **{"design.parameters": {"W": 9}, "design.defines": {"BIT": "a[8]"}},
    )
    assert loaded.ports[0].width == 9


def test_the_hash_follows_content(project):
    """The same content has the same hash; any change of a source or parameter another one."""
    text = "module top #(parameter W=2) (input a, output b); assign b = a; endmodule"
    first = project({"rtl/a.sv": text})
    assert project({"rtl/a.sv": text}).content_hash == first.content_hash
    assert project({"rtl/a.sv": text + " "}).content_hash != first.content_hash
    changed = project({"rtl/a.sv": text}, **{"design.parameters": {"W": 3}})
    assert changed.content_hash != first.content_hash


def test_a_damaged_cache_entry_is_not_used(project, shared_cache):
    """A cache entry that cannot be read is made again."""
    text = "module top (input a, output b); assign b = ~a; endmodule"
    first = project({"rtl/a.sv": text})
    (shared_cache / "designs" / f"{first.content_hash}.json").write_text("{")
    assert project({"rtl/a.sv": text}) == first


def test_syntax_errors_are_findings(project):
    """A broken source is a design that did not elaborate, with places, not an exception."""
    broken = project({"rtl/a.sv": "module top (input a output b);\nendmodule"})
    assert not broken.elaborated
    assert broken.diagnostics[0].location.file == "rtl/a.sv"
    assert broken.diagnostics[0].excerpt.startswith("module top")
    with pytest.raises(DesignError, match="does not elaborate"):
        broken.require_elaborated()


def test_top_not_found_names_the_nearest(project):
    """A typing error in the top module's name is answered with the right one."""
    with pytest.raises(DesignError, match="did you mean counter"):
        project({"rtl/a.sv": "module counter; endmodule"}, top="conter")
    with pytest.raises(DesignError, match="no module at all"):
        project({"rtl/a.sv": ""}, top="conter")


def test_binary_sources_are_refused_and_odd_comments_are_not(project):
    """A binary file is named; bytes that are not UTF-8 in a comment are harmless."""
    with pytest.raises(DesignError, match="rtl/a.sv is a binary file"):
        project({"rtl/a.sv": b"\x7fELF\0\0\1\2"})
    assert project({"rtl/a.sv": b"// caf\xe9\nmodule top; endmodule"}).elaborated


def test_host_files_cannot_be_included(project):
    """Neither an absolute nor a climbing include shows a host file's content."""
    needs("bubblewrap")
    for name in ("/etc/passwd", "../../../../../../etc/passwd"):
        broken = project({"rtl/a.sv": f'`include "{name}"\nmodule top; endmodule'})
        assert not broken.elaborated
        assert not any("root:" in (d.excerpt or "") + d.message for d in broken.diagnostics)


def test_missing_sources_are_a_configuration_error(project):
    """A glob that matches nothing says which one."""
    with pytest.raises(ConfigError, match="rtl"):
        project({"src/a.sv": "module top; endmodule"})


def test_blanks_and_accents_in_paths(project):
    """Paths are passed as they are, whatever characters they have."""
    loaded = project({'rtl/é "a" b/x y.sv': "module top (input a); endmodule"})
    assert loaded.elaborated
    assert loaded.ports[0].location.file == 'rtl/é "a" b/x y.sv'


def test_a_property_module_that_is_not_bound_is_named(project):
    """Properties that nobody instantiates would silently not be checked."""
    files = {
        "rtl/a.sv": "module top (input clk, a); endmodule",
        "formal/p.sv": "module props (input clk, a); always @(posedge clk) assert (a); endmodule",
    }
    assert project(files, extra=["formal/p.sv"]).unbound == ("props",)
    files["formal/p.sv"] += "\nbind top props p (.*);"
    bound = project(files, extra=["formal/p.sv"])
    assert bound.unbound == ()
    assert [item.name.rsplit(".")[0] for item in bound.properties] == ["p"]


def test_a_design_without_a_clock(project):
    """A combinational design elaborates and has no clocks."""
    loaded = project({"rtl/a.sv": "module top (input a, output b); assign b = !a; endmodule"})
    assert loaded.elaborated
    assert loaded.clocks == ()
