"""The formal check on small designs in pairs: each verdict is seen, with what it rests on."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openforge import config, design
from openforge.engines import formal
from openforge.errors import CheckFailedToRun, DesignError, OpenForgeError
from openforge.model import State, Verdict
from openforge.run_folder import RunFolder

HEAD = "module dut (input logic clk, rst_n, input logic [3:0] a, output logic [3:0] q);\n"
REG = "  always_ff @(posedge clk or negedge rst_n) if (!rst_n) q <= 0; else q <= "


def check(tmp_path, rtl, *, props=None, top="dut", parameters=None, reset=None, **formal_fields):
    """The result of the check, its rows by name, and its folder."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "dut.sv").write_text(rtl, encoding="utf-8")
    fields = {"depth": 12, "timeout_seconds": 60, **formal_fields}
    if props is not None:
        (project / "formal").mkdir()
        (project / "formal" / "props.sv").write_text(props, encoding="utf-8")
        fields["properties"] = "[formal/props.sv]"
    lines = "".join(f"    {key}: {value}\n" for key, value in fields.items())
    (project / "openforge.yaml").write_text(
        f"project:\n  name: p\n  top_module: {top}\ndesign:\n  sources: [dut.sv]\n"
        f"  parameters: {parameters or {}}\n"
        f"verification:\n  formal:\n{lines}"
        + (f"  crypto_verification: {{interface: {{reset: {reset}}}}}\n" if reset else ""),
        encoding="utf-8",
    )
    settings = config.load(project, {})
    folder = RunFolder.create(tmp_path / "formal.tmp")
    result = formal.run(settings.verification.formal, design.load(project, settings), folder)
    table = folder.path / "tables" / "properties.parquet"
    rows = {row["name"]: row for row in pq.read_table(table).to_pylist()} if table.exists() else {}
    return result, rows, folder


def body(text):
    return f"{HEAD}{text}\nendmodule\n"


def source(name):
    return (Path(__file__).parent / "designs" / name).read_text(encoding="utf-8")


def test_a_true_property_is_proven_and_a_cover_reached(tmp_path):
    """Induction proves the range; the cover point is reached."""
    result, rows, folder = check(tmp_path, source("formal_counter_good.sv"), top="formal_counter")
    assert result.verdict is Verdict.PASSED
    assert rows["a_range"]["status"] == "proven"
    assert (rows["c_top"]["status"], rows["c_top"]["cycle"]) == ("covered", 10)
    assert "seen again in Yosys' simulator" in rows["c_top"]["message"]
    assert (folder.artifacts / rows["c_top"]["waveform"]).is_file()
    assert "rst_n is low (active) in cycle 0 and free from then on" in result.assumptions


def test_a_planted_fault_is_found_replayed_and_shown(tmp_path):
    """The broken twin fails in cycle 11, at its line, with a waveform that has the signal."""
    from pywellen import Waveform

    result, rows, folder = check(tmp_path, source("formal_counter_broken.sv"), top="formal_counter")
    assert result.verdict is Verdict.FAILED
    row = rows["a_range"]
    assert (row["status"], row["cycle"], row["line"]) == ("failed", 11, 6)
    assert "seen again in Yosys' simulator" in row["message"]
    assert row["waveform"] == "counterexamples/a_range.fst"
    wave = Waveform(str(folder.artifacts / row["waveform"]))
    assert "formal_counter.q" in {str(var.full_name) for var in wave.all_vars()}
    (found,) = [f for f in result.findings if f.rule == "property-failed"]
    assert found.location.line == 6
    assert "assert (q < 10)" in found.excerpt
    assert found.evidence == ("artifacts/counterexamples/a_range.fst",)
    assert (folder.path / found.evidence[0]).is_file()


def test_a_condition_that_never_holds_is_vacuous(tmp_path):
    """An assertion under an impossible condition is not a pass."""
    rtl = body(REG + "a & 4'd7;\n always_comb if (rst_n && q == 9) a_v: assert (a == 1);")
    result, rows, _ = check(tmp_path, rtl)
    assert result.verdict is Verdict.FAILED
    assert rows["a_v"]["status"] == "vacuous"


def test_a_constant_property_is_vacuous(tmp_path):
    """A property that is true as written says nothing."""
    result, rows, _ = check(tmp_path, body(REG + "a;\n always_comb a_c: assert (1'b1);"))
    assert (result.verdict, rows["a_c"]["status"]) == (Verdict.FAILED, "vacuous")


@pytest.mark.parametrize(
    "assumed",
    [
        "always_comb begin assume (a < 3); assume (a > 5); end",
        "logic [3:0] n = 0; always_ff @(posedge clk) n <= n + 1; always_comb assume (n < 4);",
    ],
)
def test_contradicting_assumptions_make_everything_vacuous(tmp_path, assumed):
    """Assumptions that no run fulfils, at once or later, prove nothing."""
    rtl = body(REG + f"a;\n {assumed}\n always_comb if (rst_n) a_p: assert (q != 9);")
    result, rows, _ = check(tmp_path, rtl)
    assert result.verdict is Verdict.FAILED
    assert rows["a_p"]["status"] in ("vacuous", "failed")


def test_contradicting_assumptions_are_said_as_such(tmp_path):
    """The reason names the assumptions."""
    rtl = body(
        REG + "a;\n always_comb begin assume (a < 3); assume (a > 5); end\n"
        " always_comb if (rst_n) a_p: assert (q < 8);"
    )
    result, rows, _ = check(tmp_path, rtl)
    assert rows["a_p"]["status"] == "vacuous"
    assert "assumptions" in result.reason


DEEP = (
    "  logic [40:0] n; assign q = n[3:0];\n"
    "  always_ff @(posedge clk or negedge rst_n) if (!rst_n) n <= 0;\n"
    "    else n <= (n == 41'd1_000_000_000) ? 41'd0 : n + 41'd1;\n"
    "  always_comb if (rst_n) a_deep: assert (n != 41'd1_500_000_000);"
)


def test_what_is_neither_proven_nor_refuted_is_bounded(tmp_path):
    """A deep counter without PDR: inconclusive, with the depth that was reached."""
    result, rows, _ = check(tmp_path, body(DEEP), engines="[smtbmc bitwuzla]", depth=6)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert (rows["a_deep"]["status"], rows["a_deep"]["depth"]) == ("bounded", 6)


def test_bmc_never_passes(tmp_path):
    """Mode bmc gives a bound for what induction would prove at once."""
    rtl = source("formal_counter_good.sv")
    result, rows, _ = check(tmp_path, rtl, top="formal_counter", mode="bmc")
    assert (result.verdict, rows["a_range"]["status"]) == (Verdict.INCONCLUSIVE, "bounded")
    assert rows["a_range"]["depth"] == 12


def test_pdr_alone_proves_and_refutes(tmp_path):
    """Without an SMT engine PDR gives both answers, and its counterexample is replayed."""
    rtl = body(
        REG + "a & 4'd7;\n always_comb if (rst_n) begin a_t: assert (q < 8);\n"
        " a_f: assert (q != 5); end"
    )
    _, rows, _ = check(tmp_path, rtl, engines="[abc pdr]")
    assert (rows["a_t"]["status"], rows["a_f"]["status"]) == ("proven", "failed")
    assert rows["a_f"]["cycle"] == 2


def test_an_unreachable_cover_fails_when_proven_and_is_open_otherwise(tmp_path):
    """`q == 9` cannot be; a deep value is only not reached."""
    rtl = body(REG + "a & 4'd7;\n always_comb if (rst_n) c_no: cover (q == 9);")
    result, rows, _ = check(tmp_path, rtl)
    assert (result.verdict, rows["c_no"]["status"]) == (Verdict.FAILED, "unreachable")


def test_unsupported_operators_are_an_error_with_their_line(tmp_path):
    """`|->` is named with its place, never dropped."""
    rtl = body(REG + "a;\n a_i: assert property (@(posedge clk) a == 1 |-> q == 1);")
    with pytest.raises(CheckFailedToRun, match=r"dut\.sv:3.*a_i"):
        check(tmp_path, rtl)


def test_a_module_that_does_not_bind_is_an_error(tmp_path):
    """Properties that nobody instantiates are not silently ignored."""
    props = "module lonely (input logic clk); always_comb a: assert (clk); endmodule\n"
    with pytest.raises(CheckFailedToRun, match="lonely"):
        check(tmp_path, body(REG + "a;"), props=props)


def test_a_bound_module_is_checked(tmp_path):
    """A bound module sees the design and its assumption is reported with its line."""
    props = (
        "module p (input logic rst_n, input logic [3:0] a, q);\n"
        "  always_comb assume (a < 8);\n  always_comb if (rst_n) a_b: assert (q < 8);\n"
        "endmodule\nbind dut p u_p (.*);\n"
    )
    result, rows, _ = check(tmp_path, body(REG + "a;"), props=props)
    assert (result.verdict, rows["u_p.a_b"]["status"]) == (Verdict.PASSED, "proven")
    assert "a < 8 (formal/props.sv:2)" in result.assumptions


def test_no_properties_is_skipped(tmp_path):
    """Nothing to prove is no pass."""
    result, _, _ = check(tmp_path, body(REG + "a;"))
    assert (result.verdict, bool(result.reason)) == (Verdict.SKIPPED, True)


def test_a_property_in_a_module_used_twice_counts_twice(tmp_path):
    """One instance fails and the other is proven: two verdicts."""
    rtl = (
        "module s (input logic rst_n, input logic [3:0] d);\n"
        "  always_comb if (rst_n) a_s: assert (d < 8);\nendmodule\n"
        + body(REG + "a;\n s u0 (.rst_n, .d(q & 4'd7));\n s u1 (.rst_n, .d(q));")
    )
    result, rows, _ = check(tmp_path, rtl)
    assert (rows["u0.a_s"]["status"], rows["u1.a_s"]["status"]) == ("proven", "failed")
    assert result.summary == {
        "properties_proven": 1,
        "properties_failed": 1,
        "properties_inconclusive": 0,
    }


def test_memories_and_synchronous_resets(tmp_path):
    """What was written is read back; the register is only right from cycle 1 on."""
    rtl = body(
        "  logic [3:0] m [16]; logic [3:0] w, at; logic was;\n"
        "  always_ff @(posedge clk) begin m[a] <= ~a; w <= a; end\n"
        "  always_ff @(posedge clk) if (!rst_n) was <= 0; else was <= 1;\n"
        "  assign q = m[w];\n always_comb a_m: assert (!was || q == ~w);"
    )
    result, rows, _ = check(tmp_path, rtl)
    assert (result.verdict, rows["a_m"]["status"]) == (Verdict.PASSED, "proven")
    assert any("checked from cycle 1" in text for text in result.assumptions)


def test_a_design_without_clock(tmp_path):
    """Combinational properties need neither clock nor reset."""
    rtl = (
        "module dut (input logic [3:0] a, output logic [4:0] q);\n assign q = a + 5'd1;\n"
        " always_comb begin a_t: assert (q > a); a_f: assert (q != 16); end\nendmodule\n"
    )
    _, rows, _ = check(tmp_path, rtl)
    assert (rows["a_t"]["status"], rows["a_f"]["status"]) == ("proven", "failed")


def test_two_clocks(tmp_path):
    """Two clocks use the multi-clock model; a true property holds and a false one fails."""
    rtl = (
        "module dut (input logic clk, input logic clk2, input logic d);\n"
        " logic [1:0] x = 0, y = 0;\n always_ff @(posedge clk) x <= {x[0], d} & 2'd1;\n"
        " always_ff @(posedge clk2) y <= x;\n"
        " always_comb begin a_t: assert (y < 2); a_f: assert (y < 1); end\nendmodule\n"
    )
    result, rows, _ = check(tmp_path, rtl)
    assert (rows["a_t"]["status"], rows["a_f"]["status"]) == ("proven", "failed")
    assert any("several clocks" in text for text in result.assumptions)


def test_an_engine_that_breaks_is_an_error(tmp_path, monkeypatch):
    """When the only solver cannot start there is no verdict at all."""
    from openforge.tools import sby

    monkeypatch.setattr(sby, "_SHIMS", tmp_path / "nowhere")
    (tmp_path / "nowhere").mkdir()
    result, _, _ = check(tmp_path, source("formal_counter_good.sv"), top="formal_counter")
    assert (result.state, result.verdict) == (State.ERROR, None)


def test_the_time_limit_is_a_bound_not_a_verdict(tmp_path):
    """A hard property in one second is inconclusive, with a reason."""
    rtl = (
        "module dut (input logic clk, input logic [31:0] a, b, output logic [63:0] q);\n"
        " always_ff @(posedge clk) q <= a * b;\n"
        " always_comb a_h: assert (q != 64'd1000000016000000063);\nendmodule\n"
    )
    result, rows, _ = check(tmp_path, rtl, timeout_seconds=4)
    assert result.state is State.DONE
    assert result.verdict is not Verdict.PASSED
    assert rows["a_h"]["status"] in ("bounded", "unknown", "failed")


def test_a_broken_design_is_an_error(tmp_path):
    """What cannot be elaborated cannot be checked."""
    with pytest.raises(OpenForgeError):
        check(tmp_path, body("  assign q = nothing;"))


def test_equal_properties_each_get_a_verdict(tmp_path):
    """Yosys may not merge properties that optimise to the same thing."""
    rtl = body(
        REG + "a;\n logic z; assign z = q != 3;\n"
        " a_1: assert property (@(posedge clk) disable iff (!rst_n) z == (q != 3));\n"
        " a_2: assert property (@(posedge clk) disable iff (!rst_n) (q != 3) == z);\n"
        " a_3: assert property (@(posedge clk) disable iff (!rst_n) z);\n"
        " a_4: assert property (@(posedge clk) disable iff (!rst_n) z);"
    )
    _, rows, _ = check(tmp_path, rtl)
    assert [rows[f"a_{n}"]["status"] for n in range(1, 5)] == ["proven"] * 2 + ["failed"] * 2


DRIVEN_TWICE = {
    "outputs": ("dbg", "  wire dbg; assign dbg = a[0];\n assign dbg = a[1];\n"),
    "constants": ("dbg", "  wire dbg; assign dbg = 1'b0; assign dbg = 1'b1;\n"),
    "instances": ("dbg", "  wire dbg; s u0 (a[0], dbg); s u1 (a[1], dbg);\n"),
    "a_register": ("dbg", "  wire dbg; assign dbg = q[0]; s u0 (a[1], dbg);\n"),
    "blocks": (
        "dbg",
        "  reg dbg; always @(posedge clk) dbg <= a[0]; always @(posedge clk) dbg <= a[1];\n",
    ),
    "an_input": ("a", "  assign a[1] = a[0];\n"),
    "an_input_by_an_instance": ("a", "  s u0 (a[0], a[1]);\n"),
}
INVERTER = "module s (input i, output wire o); assign o = ~i; endmodule\n"
WIRES = HEAD.replace("input logic", "input wire")


@pytest.mark.parametrize("case", DRIVEN_TWICE)
def test_a_net_with_several_drivers_is_refused(tmp_path, case):
    """Yosys would join the drivers and with them the inputs: no proof, but the net's place."""
    name, driving = DRIVEN_TWICE[case]
    rtl = f"{WIRES}{driving}{REG} a & 7;\n always_comb if (rst_n) a_p: assert (q < 8);\nendmodule\n"
    with pytest.raises(DesignError, match=rf"several drivers(?s:.*)dut\.sv:[12]:\d+: '{name}'"):
        check(tmp_path, rtl + INVERTER)


def test_drivers_of_different_bits_and_wired_gates_are_no_conflict(tmp_path):
    """One driver a bit is enough, wherever it stands; a `wand` is the conjunction."""
    rtl = body(
        REG + "a;\n wire [1:0] w; assign w[0] = a[0]; s u (a[1], w[1]);\n"
        " wand both; assign both = a[0];\n assign both = a[1];\n wire open;\n"
        " always_comb begin a_w: assert (w == {~a[1], a[0]}); a_b: assert (both == &a[1:0]);\n"
        " a_f: assert (both == a[0]); end"
    )
    _, rows, _ = check(tmp_path, rtl + INVERTER)
    found = {name: row["status"] for name, row in rows.items()}
    assert found == {"a_w": "proven", "a_b": "proven", "a_f": "failed"}


def test_tristate_is_refused_with_its_place(tmp_path):
    """No engine knows of a net that nobody drives."""
    rtl = body(
        REG + "a;\n wire t; assign t = a[0] ? a[1] : 1'bz;\n always_comb a_t: assert (t == a[1]);"
    )
    with pytest.raises(CheckFailedToRun, match="tribuf"):
        check(tmp_path, rtl)


BUGGY = f"{REG} a;"
HARMLESS = f"{REG} a & 7;"
HIDING = {
    "SYNTHESIS": f"`ifdef SYNTHESIS\n{HARMLESS}\n`else\n{BUGGY}\n`endif",
    "FORMAL": f"`ifdef FORMAL\n{HARMLESS}\n`else\n{BUGGY}\n`endif",
    "YOSYS": f"`ifdef YOSYS\n{HARMLESS}\n`else\n{BUGGY}\n`endif",
    **{
        word: f"// {word} translate_off\n{BUGGY}\n`define SEEN\n// {word} translate_on\n"
        f"`ifndef SEEN\n{HARMLESS}\n`endif"
        for word in ("synopsys", "synthesis", "pragma", "xilinx")
    },
}


@pytest.mark.parametrize("word", HIDING)
def test_the_proof_sees_the_text_that_is_simulated(tmp_path, word):
    """No macro of a tool and no comment hides the fault from the proof."""
    rtl = body(f"{HIDING[word]}\n always_comb if (rst_n) a_p: assert (q < 8);")
    _, rows, _ = check(tmp_path, rtl)
    assert rows["a_p"]["status"] == "failed"


@pytest.mark.parametrize(
    "delayed",
    [
        "wire [3:0] w; assign #7 w = a; assign q = w; always_comb a_p: assert (w == a);",
        "initial begin q = 1; #10 q = 9; end always_comb a_p: assert (q == 9);",
        "always @(posedge clk) q <= #1 a; always_comb a_p: assert (q < 9);",
        "initial begin q = 1; wait (a == 3) q = 9; end always_comb a_p: assert (q == 9);",
        "wire #3 w = a[0]; assign q = w; always_comb a_p: assert (w == a[0]);",
        "wire w; and #3 g (w, a[0]); assign q = w; always_comb a_p: assert (w == a[0]);",
        "initial begin q = 1; @(posedge clk) q = 9; end always_comb a_p: assert (q == 9);",
    ],
)
def test_delays_are_refused_with_their_place(tmp_path, delayed):
    """Time inside a statement has no meaning for a proof, and is not dropped."""
    with pytest.raises(OpenForgeError, match=r"dut\.sv:2"):
        check(tmp_path, body(delayed))


@pytest.mark.parametrize(
    "promise", ["unique", "unique0", "priority", "(* full_case, parallel_case *)"]
)
def test_promises_about_a_case_are_not_believed(tmp_path, promise):
    """Without a match nothing happens, of two matches the first counts, as in simulators."""
    rtl = body(
        f"  always_comb begin q = 0; {promise} case (1'b1) a[0]: q = 1; a[1]: q = 2; endcase end\n"
        " always_comb begin a_z: assert (a[1:0] != 0 || q == 0);\n"
        " a_one: assert (!a[0] || q == 1); a_f: assert (q != 2); end"
    )
    _, rows, _ = check(tmp_path, rtl)
    found = {name: row["status"] for name, row in rows.items()}
    assert found == {"a_z": "proven", "a_one": "proven", "a_f": "failed"}


READS = (
    "  function logic f(input logic x); logic t; t = x & a[1]; return t; endfunction\n"
    "  function automatic int g(input int n); return n < 1 ? 0 : g(n - 1); endfunction\n"
    "  logic t; logic [3:0] m [2];\n"
)


@pytest.mark.parametrize(
    ("block", "missing"),
    [
        ("always @(a) q = a & {4{rst_n}};", "rst_n"),
        ("always @(a or clk) begin t = rst_n; q = {4{t}} & a; end", "rst_n"),
        ("always @(a[0]) q = a;", "a"),
        ("always @* q = f(rst_n);", "a"),
        ("always @(rst_n) q = f(rst_n);", "a"),
        ("always @(a) begin q = 0; q[a[1:0]] = m[0][0]; end", "m"),
        ("always @(a) begin : l a_l: assert (a < 9 || rst_n); q = a; end", "rst_n"),
    ],
)
def test_an_incomplete_sensitivity_list_is_refused(tmp_path, block, missing):
    """A simulator would keep an old value there, a netlist has none."""
    rtl = body(READS + f"  {block}\n always_comb a_p: assert (q != 9 || a == 9);")
    with pytest.raises(CheckFailedToRun, match=rf"dut\.sv:5:\d+: .*list lacks {missing}:"):
        check(tmp_path, rtl)


@pytest.mark.parametrize(
    "block",
    [
        "always @(a or rst_n) q = a & {4{rst_n}};",
        "always @(a, rst_n) begin : l logic u; t = rst_n; u = t; q = {4{u}} & a; end",
        "always @* begin q = 0; for (int i = 0; i < 4; i++) q[i] = a[i] & rst_n; end",
        "always_comb q = {4{rst_n}} & (a & {3'd7, f(1'b1) ? a[0] : a[0]});",
        "always @(a, rst_n) q = a & {4{rst_n}} & ~4'(g(2));",
    ],
)
def test_a_complete_sensitivity_list_is_none_the_worse(tmp_path, block):
    """Local variables, loop counters and functions of their arguments need not be listed."""
    rtl = body(READS + f"  {block}\n always_comb a_p: assert (q == (a & {{4{{rst_n}}}}));")
    _, rows, _ = check(tmp_path, rtl)
    assert rows["a_p"]["status"] == "proven"


@pytest.mark.parametrize("attribute", ["anyconst", "anyseq", "init = 3", "gclk"])
def test_attributes_that_only_yosys_knows_are_refused(tmp_path, attribute):
    """A simulator ignores them, so a proof may not lean on them."""
    rtl = body(REG + f"a;\n (* {attribute} *) logic k;\n always_comb a_p: assert (k || !k);")
    with pytest.raises(CheckFailedToRun, match=r"dut\.sv:3:\d+: the attribute"):
        check(tmp_path, rtl)


@pytest.mark.parametrize(("used", "fine"), [("t", False), ("s", True)])
def test_a_bind_that_binds_nothing_is_an_error(tmp_path, used, fine):
    """Also when another bind of the same properties is in use."""
    rtl = "".join(f"module {n} (input logic [3:0] d); endmodule\n" for n in "st")
    rtl += body(REG + "a & 7;\n s u (.d(q & 4'd7));")
    props = (
        "module p (input logic [3:0] d); always_comb a_p: assert (d < 8); endmodule\n"
        f"bind s p u_p (.*);\nbind {used} p u_p2 (.*);\n"
    )
    if fine:
        assert check(tmp_path, rtl, props=props)[0].verdict is Verdict.PASSED
    else:
        with pytest.raises(CheckFailedToRun, match=r"formal/props\.sv:3:6: 'bind t'"):
            check(tmp_path, rtl, props=props)


def test_division_by_zero_gives_any_value(tmp_path):
    """It is x in the standard and something else in each tool; a guarded division is sound."""
    rtl = body(
        "  logic [3:0] d, m, s, c; assign d = q / a, m = q % a, c = q / 4'd3;\n"
        "  assign s = a == 0 ? 4'd0 : q / a;\n" + REG + "a;\n always_comb begin\n"
        " a_d: assert (a != 0 || d == 15); a_0: assert (a != 0 || d == 0);\n"
        " a_m: assert (a != 0 || m == q); a_m0: assert (a != 0 || m == 0);\n"
        " t_s: assert (s <= q); t_c: assert (c < 6); t_d: assert (a == 0 || d <= q);\n"
        " t_m: assert (a == 0 || m < a); end"
    )
    _, rows, _ = check(tmp_path, rtl)
    for name, row in rows.items():
        assert row["status"] == ("proven" if name.startswith("t") else "failed"), name


def test_signed_division_by_zero_gives_any_value(tmp_path):
    """A quotient of signed numbers, in a module of its own."""
    rtl = (
        "module s (input logic signed [3:0] x, y, output logic signed [3:0] z);\n"
        "  assign z = x / y;\nendmodule\n"
        + body(
            REG + "a;\n logic signed [3:0] z; s u (.x(q), .y(a), .z(z));\n always_comb begin\n"
            " a_z: assert (a != 0 || z == -4'sd1); t_z: assert (a != 1 || z == $signed(q)); end"
        )
    )
    _, rows, _ = check(tmp_path, rtl)
    assert (rows["a_z"]["status"], rows["t_z"]["status"]) == ("failed", "proven")


@pytest.mark.parametrize("label", ["", "a: "])
@pytest.mark.parametrize("turned", [False, True])
def test_properties_on_one_line_are_not_mixed_up(tmp_path, label, turned):
    """The one that fails is the one that is wrong, by its column, in blocks or not."""
    wrong, right = (f"{label}assert (q != 3);", f"{label}assert (4'(q + 1) != q);")
    first, second = (right, wrong) if turned else (wrong, right)
    rtl = body(
        f"{REG} a; always_comb begin : b if (rst_n) begin : x {first} end "
        f"if (rst_n) begin : y {second} end end"
    )
    _, rows, _ = check(tmp_path, rtl)
    found = [row["status"] for row in rows.values()]
    assert found == (["proven", "failed"] if turned else ["failed", "proven"])


@pytest.mark.parametrize("label", ["", "a: "])
def test_a_property_of_many_instances_is_told_of_the_right_one(tmp_path, label):
    """Of the instances at several depths only the faulty one fails."""
    rtl = (
        "module s (input logic [3:0] d);\n"
        f"  always_comb begin : b {label}assert (d < 8); end\nendmodule\n"
        "module m (input logic [3:0] d, e); s x (d); s y (e); endmodule\n"
        + body(
            REG + "a & 7;\n s u (q); m v (q, q + 4'd1); s w (q); m v2 (q, q);\n"
            " for (genvar i = 0; i < 12; i++) begin : g s z (q ^ (i == 9 ? 4'd8 : 4'd0)); end"
        )
    )
    _, rows, _ = check(tmp_path, rtl, depth=5)
    failed = {name.rpartition(".")[0] for name, row in rows.items() if row["status"] == "failed"}
    assert failed == {"v.y", "g[9].z"}
    assert len(rows) == 18


ENDING = (
    "  logic [7:0] n = 0; always_ff @(posedge clk) n <= n + 1;\n"
    "  always_comb assume (n < 20); always_comb a_p: assert (n != 25);"
)


@pytest.mark.parametrize(("depth", "status"), [(12, "proven"), (24, "vacuous")])
def test_how_long_the_assumptions_were_seen_to_hold_is_said(tmp_path, depth, status):
    """An assumption that ends all runs in cycle 20: seen with the depth, or else said."""
    result, rows, _ = check(tmp_path, body(REG + f"a;\n{ENDING}"), depth=depth)
    assert rows["a_p"]["status"] == status
    said = any("seen for 12 cycles; that runs can go on after" in text for text in result.bounds)
    assert said == (status == "proven")


def test_assumptions_are_told_as_they_are_written(tmp_path):
    """Over lines, with neighbours on the line, without comments, with what they depend on."""
    rtl = body(
        REG + "a & 7;\n always_comb assume (a < 8 && // small\n (a != 3)); always_comb\n"
        " if (rst_n) assume (a != 4); always_comb if (rst_n) a_p: assert (q != 4);\n"
        " assume property (@(posedge clk) disable iff (!rst_n) a != 5);"
    )
    result, _, _ = check(tmp_path, rtl)
    assert result.assumptions[-3:] == (
        "a < 8 && (a != 3) (dut.sv:3)",
        "a != 4 where its statement is reached (dut.sv:5)",
        "@(posedge clk) disable iff (!rst_n) a != 5 where its statement is reached (dut.sv:6)",
    )


NINE = (
    "module dut (input logic clk, {name}, input logic [3:0] a, output logic [3:0] q);\n"
    " logic [3:0] bad {start}; always_ff @(posedge clk{edge}) if ({name}) bad <= {to};"
    " else bad <= bad;\n assign q = bad;\n always_comb a_p: assert (bad < 8);\nendmodule\n"
)


@pytest.mark.parametrize(
    "case",
    [
        ("clear", "", "= 9", "0", "failed"),
        ("soft_rst", "", "= 9", "0", "failed"),
        ("load", " or posedge load", "= 9", "0", "failed"),
        ("load", " or posedge load", "", "a", "failed"),
        ("preset", "", "", "0", "failed"),
        ("rst", "", "= 9", "0", "failed"),
        ("rst", "", "= 7", "0", "proven"),
        ("rst", "", "", "0", "proven"),
        ("rst_i", "", "", "0", "proven"),
        ("rst", " or posedge rst", "= 9", "0", "proven"),
        ("power_on", " or posedge power_on", "", "0", "proven"),
    ],
)
def test_only_a_reset_is_active_in_cycle_0(tmp_path, case):
    """A clear or a load is an input like others; an initial value counts from cycle 0 on."""
    name, edge, start, to, status = case
    rtl = NINE.format(name=name, edge=edge, start=start, to=to)
    result, rows, _ = check(tmp_path, rtl)
    assert rows["a_p"]["status"] == status
    if start == "= 9" and not edge:
        assert rows["a_p"]["cycle"] == 0
    if status == "proven":
        assert f"{name} is high (active) in cycle 0 and free from then on" in result.assumptions


def test_the_reset_of_the_project_file_is_taken(tmp_path):
    """Whatever its name; and one that is not there is refused."""
    rtl = NINE.format(name="clear", edge="", start="", to="0")
    result, rows, _ = check(tmp_path, rtl, reset="{signal: clear, active: high}")
    assert rows["a_p"]["status"] == "proven"
    assert "clear is high (active) in cycle 0 and free from then on" in result.assumptions


def test_a_reset_that_is_not_there_is_refused(tmp_path):
    """A name in the project file that no input has."""
    with pytest.raises(CheckFailedToRun, match="no input 'rst'"):
        check(tmp_path, body(REG + "a;\n always_comb a_p: assert (q < 8);"), reset="{signal: rst}")


def test_what_depends_on_no_register_is_checked_in_cycle_0(tmp_path):
    """Inputs have values before a synchronous reset has acted, and so has a started memory."""
    rtl = (
        "module dut (input logic clk, rst, input logic [3:0] a, output logic [3:0] q);\n"
        " logic [3:0] m [2]; initial begin m[0] = 9; m[1] = 9; end logic seen = 0, r;\n"
        " always_ff @(posedge clk) begin m[a[0]] <= 0; seen <= 1; if (rst) r <= 0; end\n"
        " always_comb begin a_a: assert (a != 3 || seen); a_m: assert (m[a[1]] != 9 || seen);\n"
        " a_i: assert (a != 3 || !rst); a_r: assert (!r); end\nassign q = 0;\nendmodule\n"
    )
    _, rows, _ = check(tmp_path, rtl)
    assert {name: row["cycle"] for name, row in rows.items()} == {
        "a_a": 0, "a_m": 0, "a_i": 0, "a_r": None
    }  # fmt: skip


@pytest.mark.parametrize("engines", ["[smtbmc bitwuzla]", "[abc pdr]"])
@pytest.mark.parametrize("clocks", ["clk", "clk2"])
def test_a_reached_cover_has_a_waveform(tmp_path, engines, clocks):
    """From whichever engine, with one clock or two."""
    rtl = (
        "module dut (input logic clk, clk2, output logic [1:0] x, y);\n initial x = 0;\n"
        f" always @(posedge clk) x <= x + 1;\n always @(posedge {clocks}) y <= x;\n"
        " always_comb c_y: cover (y == 2 && x == 3);\nendmodule\n"
    )
    _, rows, folder = check(tmp_path, rtl, engines=engines)
    assert rows["c_y"]["status"] == "covered"
    assert rows["c_y"]["waveform"] == "covers/c_y.fst"
    assert (folder.artifacts / "covers/c_y.fst").stat().st_size > 0


def test_files_that_are_links_are_like_others(tmp_path):
    """A source and a property file that are links inside the project are read and matched."""
    project, folder = tmp_path / "p", RunFolder.create(tmp_path / "formal.tmp")
    (project / "shared").mkdir(parents=True)
    (project / "shared" / "dut.sv").write_text(body(f"{REG}q + 1;"))
    (project / "shared" / "props.sv").write_text(
        "module props(input logic clk, input logic [3:0] q);\n"
        "always @(posedge clk) low: assert (q < 3);\nendmodule\n"
        "bind dut props u_props (.*);\n"
    )
    for name in ("dut.sv", "props.sv"):
        (project / name).symlink_to(f"shared/{name}")
    (project / "openforge.yaml").write_text(
        "project: {name: p, top_module: dut}\ndesign: {sources: [dut.sv]}\n"
        "verification: {formal: {properties: [props.sv], depth: 8, timeout_seconds: 60}}\n"
    )
    settings = config.load(project, {})
    result = formal.run(settings.verification.formal, design.load(project, settings), folder)
    assert result.verdict is Verdict.FAILED
