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


def test_property_files_are_not_lost_in_the_cache(project):
    """A design loaded first without its properties has them when they are asked for."""
    files = {
        "rtl/a.sv": "module top (input clk, a); endmodule",
        "formal/p.sv": "module props (input clk, a); always @(posedge clk) assert (a); endmodule\n"
        "bind top props p (.*);",
    }
    assert project(files).properties == ()
    assert len(project(files, extra=["formal/p.sv"]).properties) == 1
    assert project(files).properties == ()


RING = {("A", "B"), ("B", "C"), ("C", "A")}


@pytest.fixture
def machines(project):
    return project({"rtl/m.sv": (DESIGNS / "fsm" / "machines.sv").read_text()}, top="machines")


@pytest.mark.parametrize(
    "signal",
    ["u_struct.r.state", "u_ternary.state", "u_case.state", "u_default.state"],
)
def test_a_state_machine_is_found_however_it_is_written(machines, signal):
    """A struct member, nested ?:, case (1'b1), a default first: the same three arcs, reset to A."""
    (fsm,) = [fsm for fsm in machines.fsms if fsm.signal == signal]
    assert set(fsm.arcs) == RING
    assert fsm.reset_state == "A"
    assert {state.name for state in fsm.states} == {"A", "B", "C"}


def test_a_state_that_is_never_entered_is_listed(machines):
    """A planted extra state is there, with the arc out of it and none into it."""
    (fsm,) = [fsm for fsm in machines.fsms if fsm.signal == "u_extra.state"]
    assert [state.name for state in fsm.states] == ["A", "B", "C", "LOST"]
    assert set(fsm.arcs) == RING | {("LOST", "A")}


def test_counters_and_stored_data_are_no_state_machines(machines):
    """A counter with named limits, and an operation code that comes from outside, have no arcs."""
    assert {fsm.signal for fsm in machines.fsms if fsm.signal.startswith("u_none")} == set()


def test_an_inverted_reset_is_found_at_the_top(machines):
    """``reset = !rst_n`` inside makes rst_n an active-low reset, however often it is seen."""
    (reset,) = machines.resets
    assert (reset.signal, reset.active_low, reset.asynchronous) == ("rst_n", True, True)


def test_a_generate_branch_that_is_not_taken_does_not_count(project):
    """Registers, properties and modules of dead code are not in the design."""
    text = """module top #(parameter ON = 0) (input clk, d, output logic q);
      if (ON) begin : g
        logic dead; always_ff @(posedge clk) dead <= d;
        always_comb a: assert (d);
      end else always_ff @(posedge clk) q <= d;
    endmodule"""
    off = project({"rtl/a.sv": text})
    assert ([r.name for r in off.registers], off.properties) == (["q"], ())
    on = project({"rtl/a.sv": text}, **{"design.parameters": {"ON": 1}})
    assert [r.name for r in on.registers] == ["g.dead"]
    assert len(on.properties) == 1


def test_a_parameter_that_is_not_there_is_refused(project):
    """slang would ignore it, and the wrong design would be verified."""
    text = "module top #(parameter WIDTH = 2) (input [WIDTH-1:0] a); endmodule"
    with pytest.raises(DesignError, match="no parameter 'WIDHT'; did you mean WIDTH"):
        project({"rtl/a.sv": text}, **{"design.parameters": {"WIDHT": 9}})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("@(posedge clk) a |=> b", r"\|=>"),
        ("@(posedge clk) $rose(a) |-> b", r"\|->"),
        ("@(posedge clk) a ##1 b", "##"),
        ("@(posedge clk) a [*2]", "repetition"),
        ("@(posedge clk) s_eventually a", "s_eventually"),
        ("@(posedge clk) not a", "not"),
        ("named", "named"),
        ("sequence_1", "sequence_1"),
        ("@(posedge clk iff b) a", "clock"),
    ],
)
def test_what_proofs_do_not_support_is_named_with_its_line(project, text, word):
    """Each operator outside clocked Boolean expressions is said, never silently left out."""
    source = f"""module top (input clk, a, b);
      property named; @(posedge clk) a; endproperty
      sequence sequence_1; @(posedge clk) a; endsequence
      p: assert property ({text});
      q: assert property (@(posedge clk) disable iff (b) a);
    endmodule"""
    bad, good = project({"rtl/a.sv": source}).properties
    assert not bad.supported
    assert good.supported
    with pytest.raises(AssertionError, match=f"line 4: .*{word}"):
        raise AssertionError(bad.problem)


@pytest.mark.parametrize(
    "around",
    ["default clocking @(posedge clk); endclocking", "default disable iff (b);"],
)
def test_defaults_of_a_module_are_not_supported(project, around):
    """A clock or a disable condition that is written elsewhere would get lost in a proof."""
    clock = "" if "clocking" in around else "@(posedge clk) "
    source = f"module top (input clk, a, b);\n{around}\nassert property ({clock}a); endmodule"
    (found,) = project({"rtl/a.sv": source}).properties
    assert not found.supported
    assert "line 3" in found.problem


def test_a_restriction_is_an_unsupported_assumption(project):
    """``restrict`` is no kind of its own and must not break the record."""
    source = "module top (input clk, a); restrict property (@(posedge clk) a); endmodule"
    (found,) = project({"rtl/a.sv": source}).properties
    assert (found.kind.value, found.supported) == ("assume", False)


def test_names_of_properties_are_unique(project):
    """Two unlabelled assertions on one line can be told apart."""
    source = "module top (input a, b); always_comb begin assert (a); assert (b); end endmodule"
    names = [found.name for found in project({"rtl/a.sv": source}).properties]
    assert names == ["assert_1", "assert_1_2"]


def test_a_header_beside_the_sources_is_part_of_the_hash(project):
    """An included file that no glob names, changed, makes another design."""
    files = {
        "rtl/a.sv": '`include "../common/w.svh"\nmodule top (input [`W-1:0] a); endmodule',
        "common/w.svh": "`define W 3",
    }
    first = project(files)
    files["common/w.svh"] = "`define W 5"
    second = project(files)
    assert (first.ports[0].width, second.ports[0].width) == (3, 5)
    assert first.content_hash != second.content_hash


def test_a_cache_entry_with_other_content_is_not_used(project, shared_cache):
    """Well-formed JSON that is not what was stored is made again, too."""
    text = "module top (input a, output b); assign b = ~(~a); endmodule"
    first = project({"rtl/a.sv": text})
    entry = shared_cache / "designs" / f"{first.content_hash}.json"
    for damaged in ("{}", entry.read_text().replace("input", "inout")):
        entry.write_text(damaged)
        assert project({"rtl/a.sv": text}) == first


def test_host_files_are_refused_without_a_sandbox_too(project, tmp_path, monkeypatch):
    """Without a sandbox the include is a finding that shows nothing of the file."""
    secret = tmp_path.parent / f"{tmp_path.name}_secret.svh"
    secret.write_text("module hidden_42(; endmodule")
    monkeypatch.setenv("OPENFORGE_SANDBOX", "off")
    (tmp_path / "link.svh").symlink_to(secret)
    for name in (str(secret), f"../../{secret.name}", "../link.svh"):
        broken = project({"rtl/a.sv": f'`include "{name}"\nmodule top; endmodule'})
        assert not broken.elaborated
        assert [found.rule for found in broken.diagnostics] == ["include-outside"]
        assert "hidden_42" not in broken.model_dump_json()


def test_bytes_that_are_not_utf8_are_a_warning(project):
    """The finding names the file and the line; the design is elaborated all the same."""
    found = project({"rtl/a.sv": b"module top;\n// caf\xe9\nendmodule"})
    assert found.elaborated
    (warning,) = found.diagnostics
    assert (warning.rule, warning.level.value, str(warning.location)) == (
        "not-utf8",
        "warning",
        "rtl/a.sv:2",
    )


def test_a_name_that_is_not_utf8_ends_in_a_clear_message(project):
    """An identifier of odd bytes is an error of the design, not a crash."""
    text = b"module top; wire \\caf\xe9 ; assign caf\xe9 = 1; endmodule"
    assert not project({"rtl/a.sv": text}).elaborated


def test_names_with_unused_in_them_are_not_reported(project):
    """As in Verilator, such a name says by itself what it is for."""
    text = """module top (input a, input unused_b, input c, output d);
      wire _unused_ok = &{1'b0, c};
      assign d = a;
      logic forgotten;
    endmodule"""
    assert [found.rule for found in project({"rtl/a.sv": text}).diagnostics] == ["unused-variable"]


def test_loop_counters_and_locals_are_no_registers(project):
    """Only what keeps a value from one clock to the next is a register."""
    text = """module top (input clk, input [3:0] a, output logic [3:0] q, output logic r);
      integer i;
      always @(posedge clk) begin : block
        logic local_value;
        for (i = 0; i < 4; i = i + 1) q[i] <= a[3 - i];
        for (int j = 0; j < 4; j++) local_value = a[j];
        r = local_value;
      end
    endmodule"""
    assert {found.name for found in project({"rtl/a.sv": text}).registers} == {"q", "r"}


def test_an_include_with_an_odd_name_is_not_lost_in_the_cache(project):
    """Whatever the name of what a source includes, a change of it is another design."""
    files = {
        "rtl/top.sv": 'module top(output logic q);\n`include "body.params"\nendmodule\n',
        "rtl/body.params": "assign q = 1;\n",
    }
    first = project(files)
    assert first.elaborated
    again = project({**files, "rtl/body.params": "assign q = nowhere;\n"})
    assert not again.elaborated
    assert first.content_hash != again.content_hash
