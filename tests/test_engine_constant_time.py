"""The check constant_time on small designs in pairs: proved, leaking, open, empty, refused."""

import json
from collections import defaultdict

import pyarrow.parquet as pq
import pytest
from conftest import needs

from openforge import config, design
from openforge.engines import constant_time
from openforge.engines.constant_time import leaking
from openforge.engines.constant_time.replaying import Replay
from openforge.errors import CheckFailedToRun, ConfigError, DesignError
from openforge.model import Verdict
from openforge.run_folder import RunFolder
from openforge.tools.verilator_replay import Trace

HEAD = """module dut (input logic clk, rst_n, start, input logic [7:0] key, data,
            output logic busy, done, output logic [7:0] q);
"""
# Eight cycles, or fewer if STOP holds; `q` is data.
LOOP = """  logic [3:0] count; logic [7:0] k;
  assign busy = count != 0;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; k <= 0; q <= 0; end
    else begin
      done <= 0;
      if (busy) begin
        count <= count - 1; q <= q ^ k; k <= {k[6:0], k[7]};
        if (STOP) begin count <= 0; done <= 1; end
      end else if (start) begin count <= 8; k <= key; q <= data; end
    end
"""
FIXED, EARLY = LOOP.replace("STOP", "count == 1"), LOOP.replace("STOP", "count == 1 || k == 8'h80")
INTERFACE = {
    "secrets": ["key"],
    "start": {"signal": "start"},
    "done": {"signal": "done"},
    "observables": ["busy", "done"],
}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Run the check on an RTL text; the result and its folder.

    Without `replay`, leaks are believed: building a model for Verilator takes most of the time.
    """
    needs("pyosys", "abc", "python-sat", "verilator", "c++")

    def run(rtl, interface=None, *, top="dut", replay=True, **fields):
        if not replay:
            monkeypatch.setattr(leaking, "replay", believed)
        project = tmp_path / "project"
        project.mkdir()
        (project / "dut.sv").write_text(rtl, encoding="utf-8")
        crypto = {
            "interface": INTERFACE if interface is None else interface,
            "constant_time": {"depth": 30, "self_check": False, **fields},
        }
        text = {
            "project": {"name": "p", "top_module": top},
            "design": {"sources": ["dut.sv"]},
            "verification": {"crypto_verification": crypto},
        }
        (project / "openforge.yaml").write_text(json.dumps(text), encoding="utf-8")
        settings = config.load(project, {})
        folder = RunFolder.create(tmp_path / "constant_time.tmp")
        params = settings.verification.crypto_verification.constant_time
        return constant_time.run(params, design.load(project, settings), folder), folder

    return run


def believed(design, interface, question, leak, *, show, work):
    """A replay of which nobody looks at the values."""
    trace = Trace(defaultdict(lambda: [0] * len(leak.runs[0].inputs)), work / "none.fst")
    trace.waveform.touch()
    return Replay((trace, trace), question.graph.names[leak.net][0], leak.cycle, ())


def body(text, head=HEAD):
    return f"{head}{text}endmodule\n"


def rows(folder, name):
    return pq.read_table(folder.path / "tables" / f"{name}.parquet").to_pylist()


def test_a_fixed_loop_is_proved_for_all_time(check):
    """Structure alone proves it; the result says so, with its latency and a planted leak found."""
    result, folder = check(body(FIXED), self_check=True)
    assert result.verdict is Verdict.PASSED
    assert result.summary == {"violations": 0}
    assert "all cycles, all inputs, all secrets; proved by word-level taint" in result.bounds
    assert any("a leak planted in the design was found" in text for text in result.bounds)
    assert any("start to done, in cycles: 9" in text for text in result.bounds)
    assert {row["cycles"] for row in rows(folder, "latencies")} == {9}
    assert [row["answer"] for row in rows(folder, "steps")] == ["proved"]


def test_an_early_exit_is_a_leak_with_its_place_and_a_pair_that_replays(check):
    """The broken twin: one key bit, the line of the condition, waveforms and stimuli."""
    result, folder = check(body(EARLY))
    assert result.verdict is Verdict.FAILED
    (found,) = [f for f in result.findings if f.rule == "timing-leak"]
    assert (
        found.location.line
        == body(EARLY)
        .splitlines()
        .index(next(line for line in body(EARLY).splitlines() if "k == 8'h80" in line))
        + 1
    )
    assert "Replayed on Verilator" in found.message
    assert all((folder.path / name).is_file() for name in found.evidence)
    assert result.summary["violations"] == 2
    flow = rows(folder, "flow")
    assert (flow[0]["role"], flow[-1]["role"]) == ("secret", "observed")
    assert flow[0]["signal"].startswith("key[")
    assert any(row["role"] == "decision" for row in flow)
    stimuli = json.loads((folder.artifacts / "leak" / "stimuli.json").read_text())
    assert stimuli["differs_in_cycle"] == flow[-1]["cycle"]
    waves = {(r["signal"], r["copy"], r["cycle"]): r["value"] for r in rows(folder, "waves")}
    seen = flow[-1]["signal"], flow[-1]["cycle"]
    assert waves[seen[0], "a", seen[1]] != waves[seen[0], "b", seen[1]]
    assert len([text for text in flow if text["role"] == "secret"]) == 1


def test_a_value_that_cancels_out_is_proved_by_the_product(check):
    """Structure sees a flow that is none: x & y & ~x; the product sees that it is 0."""
    result, folder = check(
        body(LOOP.replace("STOP", "count == 1 || (k[0] & data[0] & ~k[0] & data[1])"))
    )
    assert result.verdict is Verdict.PASSED
    assert rows(folder, "steps")[0]["answer"] == "open"


def test_equality_that_only_holds_by_invariant_is_proved_by_induction(check):
    """Two registers that carry the same secret: their difference is 0 in both copies."""
    loop = LOOP.replace("logic [7:0] k;", "logic [7:0] k, twin;").replace(
        "k <= 0;", "k <= 0; twin <= 0;"
    )
    loop = loop.replace(
        "k <= {k[6:0], k[7]};", "k <= {k[6:0], k[7]}; twin <= {twin[6:0], twin[7]};"
    )
    loop = loop.replace("k <= key;", "k <= key; twin <= key;")
    result, folder = check(body(loop.replace("STOP", "count == 1 || k != twin")))
    assert result.verdict is Verdict.PASSED
    assert "reachability" in {row["step"] for row in rows(folder, "steps")}


def test_a_rare_leak_is_found_by_the_bounded_search(check):
    """One key of 2**24 stops early, and no register ever has the value that is compared."""
    head = HEAD.replace("[7:0] key, data", "[23:0] key, input logic [7:0] data")
    loop = (
        LOOP.replace("logic [7:0] k;", "logic [23:0] k;")
        .replace("{k[6:0], k[7]}", "{k[22:0], k[23]}")
        .replace("q ^ k", "q ^ k[7:0]")
    )
    result, folder = check(
        body(loop.replace("STOP", "count == 1 || (k ^ (k >> 5)) == 24'h5a3c69"), head), replay=False
    )
    assert result.verdict is Verdict.FAILED
    answers = {row["step"]: row["answer"] for row in rows(folder, "steps")}
    assert answers["co-simulation"] == "none found"


DEEP = """  logic [9:0] count; logic k;
  assign busy = count != 0;
  assign q = 0;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; k <= 0; end
    else begin
      done <= 0;
      if (busy) begin
        count <= count - 1;
        if (count == 1 || (count == 5 && k)) begin count <= 0; done <= 1; end
      end else if (start) begin count <= 300; k <= key[3]; end
    end
"""


def test_a_deep_leak_is_found_by_co_simulation(check):
    """It shows after 295 cycles, far beyond the bounded search."""
    result, _ = check(body(DEEP), depth=10, replay=False)
    assert result.verdict is Verdict.FAILED
    assert "key[3] differs" in result.reason


def test_back_pressure_is_public(check):
    """What a public input does to the timing is no leak."""
    result, _ = check(body(LOOP.replace("STOP", "count == 1 || data == 8'h80")))
    assert result.verdict is Verdict.PASSED


MEMORY = """  logic [7:0] table_q [16]; logic [3:0] at; logic [1:0] wait_q;
  assign busy = wait_q != 0;
  assign q = table_q[at];
  always_ff @(posedge clk) if (start && data[0]) table_q[data[7:4]] <= data;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin at <= 0; wait_q <= 0; done <= 0; end
    else begin
      done <= wait_q == 1;
      if (busy) wait_q <= wait_q - 1;
      else if (start) begin at <= key[3:0]; wait_q <= WAIT; end
    end
"""


@pytest.mark.parametrize(
    ("wait", "verdict"), [("2", "passed"), ("key[3:0] == 3 ? 3 : 2", "failed")]
)
def test_a_table_leaks_by_its_address_only(check, wait, verdict):
    """The word that is read is data; waiting for some addresses is a leak."""
    result, _ = check(body(MEMORY.replace("WAIT", wait)), replay=False)
    assert result.verdict.value == verdict


@pytest.mark.parametrize(("stop", "verdict"), [("0", "passed"), ("word[0]", "failed")])
def test_the_words_of_a_memory_can_be_secret(check, stop, verdict):
    """A key memory by its hierarchical name; what is read from it decides, or not."""
    text = """  logic [7:0] key_mem [4]; logic [7:0] word; logic [2:0] count;
  assign word = key_mem[count[1:0]];
  assign busy = count != 0;
  always_ff @(posedge clk) if (data[7]) key_mem[data[1:0]] <= key;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; q <= 0; end
    else begin
      done <= count == 1 || (busy && STOP);
      if (busy) begin count <= STOP ? 0 : count - 1; q <= q ^ word; end
      else if (start) count <= 5;
    end
"""
    result, folder = check(body(text.replace("STOP", stop)), {**INTERFACE, "secrets": ["key_mem"]})
    assert result.verdict.value == verdict
    if verdict == "failed":
        assert any(row["signal"].startswith("key_mem") for row in rows(folder, "flow")) or any(
            "key_mem" in f.message for f in result.findings
        )


@pytest.mark.parametrize(("stop", "verdict"), [("0", "passed"), ("key_q[2]", "failed")])
def test_a_register_can_be_secret_although_a_public_bus_loads_it(check, stop, verdict):
    """The value in the register is the secret; the bus that wrote it is public."""
    text = """  logic [7:0] key_q; logic [2:0] count;
  assign busy = count != 0;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; q <= 0; key_q <= 0; end
    else begin
      done <= count == 1 || (busy && STOP);
      if (key[0] && data == 1) key_q <= data;
      if (busy) begin count <= STOP ? 0 : count - 1; q <= q ^ key_q; end
      else if (start) count <= 5;
    end
"""
    result, _ = check(body(text.replace("STOP", stop)), {**INTERFACE, "secrets": ["key_q"]})
    assert result.verdict.value == verdict


def test_what_is_declassified_may_differ_and_is_listed(check):
    """Without the declaration it is a leak; with it, runs are compared as long as it is equal."""
    text = """  logic [3:0] count; logic retry;
  assign busy = count != 0;
  assign retry = key[0];
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; q <= 0; end
    else begin
      done <= count == 1;
      if (busy) count <= count - 1;
      else if (start) begin count <= retry ? 9 : 5; q <= key; end
    end
"""
    declared = {**INTERFACE, "declassify": [{"signal": "retry", "reason": "by specification"}]}
    result, _ = check(body(text), declared)
    assert result.verdict is Verdict.PASSED
    assert any("retry may depend on secrets (by specification)" in a for a in result.assumptions)


def test_declassifying_one_signal_hides_no_other_leak(check):
    """The same with a second way from another key bit."""
    text = """  logic [3:0] count; logic retry;
  assign busy = count != 0;
  assign retry = key[0];
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; q <= 0; end
    else begin
      done <= count == 1;
      if (busy) count <= count - 1;
      else if (start) begin count <= (retry ? 9 : 5) + key[4]; q <= key; end
    end
"""
    declared = {**INTERFACE, "declassify": [{"signal": "retry", "reason": "by specification"}]}
    result, _ = check(body(text), declared, replay=False)
    assert result.verdict is Verdict.FAILED
    assert "key[4]" in result.findings[0].message


@pytest.mark.parametrize(
    ("assume", "verdict"),
    [
        ((), "failed"),
        (("data != 8'h33",), "passed"),
        (("data[7:4] == 3", "stable(data)"), "failed"),
    ],
)
def test_an_assumption_excludes_runs_and_no_more(check, assume, verdict):
    """The leak needs data == 0x33: excluded, or not, by what is assumed."""
    loop = LOOP.replace("STOP", "count == 1 || (data == 8'h33 && k[0])")
    result, _ = check(body(loop), {**INTERFACE, "assume": list(assume)}, replay=False)
    assert result.verdict.value == verdict


def test_an_input_that_is_stable_cannot_change_between_cycles(check):
    """A leak that needs data to change while it works is excluded by stable(data)."""
    loop = LOOP.replace("[7:0] k;", "[7:0] k, first;").replace(
        "k <= key;", "k <= key; first <= data;"
    )
    loop = loop.replace("STOP", "count == 1 || (data != first && k[0])")
    loop = loop.replace("q <= 0; end", "q <= 0; first <= 0; end")
    result, _ = check(body(loop), {**INTERFACE, "assume": ["stable(data)"]})
    assert result.verdict is Verdict.PASSED


@pytest.mark.parametrize("assume", [["data > 8'hff"], ["data == 1", "data == 2"]])
def test_contradictory_assumptions_prove_nothing(check, assume):
    """No run is left: inconclusive, and the reason says why."""
    result, _ = check(body(FIXED), {**INTERFACE, "assume": assume})
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "contradict" in result.reason


def test_a_secret_that_reaches_nothing_is_no_proof(check):
    """The key is not used: inconclusive."""
    unused = FIXED.replace("k <= key", "k <= data")
    result, _ = check(body(unused))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the secret key reaches no output" in result.reason


def test_an_observable_that_cannot_change_is_no_proof(check):
    """`stuck` is a register, but 0 after the reset for ever."""
    head = HEAD.replace("output logic busy", "output logic stuck, busy")
    text = FIXED + "  always_ff @(posedge clk) stuck <= rst_n & stuck & key[0];\n"
    result, _ = check(body(text, head), {**INTERFACE, "observables": ["busy", "stuck"]})
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "stuck" in result.reason


def test_a_reset_of_the_wrong_polarity_never_ends(check):
    """Held in reset for ever, nothing moves: that is said, and is no proof."""
    wrong = {**INTERFACE, "reset": {"signal": "rst_n", "active": "high", "cycles": 2}}
    result, _ = check(body(FIXED), wrong)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the reset never ends" in result.reason


NO_RESET = """  logic [3:0] count; logic [7:0] k; logic fast;
  assign busy = count != 0;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; q <= 0; end
    else begin
      done <= count == 1;
      if (busy) begin count <= count - 1; q <= q ^ k; end
      else if (start) begin count <= fast ? 3 : 5; end
    end
  always_ff @(posedge clk) begin if (data == 1) fast <= 1; if (start) k <= key; end
"""


@pytest.mark.parametrize(("strict", "verdict"), [(False, "passed"), (True, "failed")])
def test_equal_power_up_is_an_assumption_that_strict_drops(check, strict, verdict):
    """A register that no reset sets decides about the timing."""
    result, _ = check(body(NO_RESET), strict=strict)
    assert result.verdict.value == verdict
    equal = "registers and memories have the same contents in both copies at power-up"
    assert (equal in result.assumptions) is not strict


def test_strict_accepts_what_the_reset_makes_equal(check):
    """All that decides is reset; data registers may start with anything."""
    result, _ = check(body(FIXED), strict=True)
    assert result.verdict is Verdict.PASSED


def test_a_net_without_a_driver_is_no_proof(check):
    """It may differ between the copies; a leak cannot be shown, so neither is claimed."""
    loop = LOOP.replace("logic [7:0] k;", "logic [7:0] k; logic open_net;")
    result, _ = check(body(loop.replace("STOP", "count == 1 || open_net")))
    assert result.verdict is Verdict.INCONCLUSIVE


def test_an_empty_module_may_return_anything(check):
    """The key goes into a box without content: what comes out may depend on it."""
    box = "(* blackbox *) module box (input logic [7:0] i, output logic o); endmodule\n"
    loop = LOOP.replace("logic [7:0] k;", "logic [7:0] k; logic o; box u_box (.i(k), .o(o));")
    result, _ = check(body(loop.replace("STOP", "count == 1 || o")) + box)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_no_answer_in_time_is_inconclusive_with_its_depth(check):
    """A leak that needs a 40 bit product: neither proved nor found."""
    head = HEAD.replace("[7:0] key, data", "[19:0] key, input logic [19:0] data")
    loop = (
        LOOP.replace("logic [7:0] k;", "logic [19:0] k;")
        .replace("{k[6:0], k[7]}", "{k[18:0], k[19]}")
        .replace("q ^ k", "q ^ k[7:0]")
        .replace("q <= data;", "q <= data[7:0];")
    )
    stop = "count == 1 || 40'(k) * 40'(data) == 40'd618970019642 "
    result, folder = check(body(loop.replace("STOP", stop), head), timeout_seconds=4)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "time limit 4 s" in result.reason
    assert rows(folder, "flow")[0]["signal"].startswith("key")


def test_nothing_is_secret_is_skipped_or_an_error(check):
    """Without secrets there is nothing to check; asked for, that is an error that says why."""
    result, _ = check(body(FIXED), {})
    assert result.verdict is Verdict.SKIPPED
    assert "no secrets are declared" in result.reason


def test_enabled_without_secrets_is_an_error(check):
    """The project asks for the check and names no secret."""
    with pytest.raises(CheckFailedToRun, match="no secrets are declared"):
        check(body(FIXED), {}, enabled=True)


def test_switched_off_is_skipped(check):
    """`enabled: false`."""
    result, _ = check(body(FIXED), enabled=False)
    assert (result.verdict, result.reason) == (
        Verdict.SKIPPED,
        "switched off: constant_time.enabled is false",
    )


def test_the_short_fields_are_the_interface(check):
    """`constant_time.secrets` says the same as `interface.secrets`."""
    interface = {k: v for k, v in INTERFACE.items() if k != "secrets"}
    result, _ = check(body(EARLY), interface, secrets=["key"], replay=False)
    assert result.verdict is Verdict.FAILED


LATCH = "  always_latch if (start) q = key;\n  assign busy = start; assign done = q[0];\n"
COMB_LOOP = "  logic a, b; assign a = b ^ key[0]; assign b = a & start; assign busy = a;\n"
TWO_CLOCKS = (
    "  always_ff @(posedge clk) done <= key[0];\n"
    "  always_ff @(posedge start) busy <= key[1];\n  assign q = key;\n"
)


@pytest.mark.parametrize(
    ("text", "interface", "error", "says"),
    [
        (FIXED, {**INTERFACE, "secrets": ["clk"]}, ConfigError, "clk"),
        (FIXED, {**INTERFACE, "secrets": ["kez"]}, ConfigError, "key"),
        (
            FIXED,
            {**INTERFACE, "secrets": ["key[9:8]"]},
            ConfigError,
            r"\[9:8\] is outside of 'key'",
        ),
        (FIXED, {**INTERFACE, "observables": ["bussy"]}, ConfigError, "busy"),
        (FIXED, {**INTERFACE, "assume": ["data + "]}, DesignError, "no Verilog"),
        (FIXED, {**INTERFACE, "assume": ["key != 0"]}, ConfigError, "secret"),
        (EARLY, {**INTERFACE, "assume": ["public(busy)"]}, DesignError, "what is to be shown"),
        (LATCH, INTERFACE, DesignError, "latch"),
        (COMB_LOOP, {**INTERFACE, "observables": ["busy"]}, DesignError, "combinational loop"),
        (TWO_CLOCKS, INTERFACE, DesignError, "clock"),
    ],
)
def test_bad_input_has_a_clear_message(check, text, interface, error, says):
    """What cannot be asked is an error that says what and where."""
    with pytest.raises(error, match=says):
        check(body(text), interface)


def test_no_observable_is_an_error(check):
    """A design with data outputs only."""
    head = "module dut (input logic clk, input logic [7:0] key, output logic [7:0] data_out);\n"
    text = "  always_ff @(posedge clk) data_out <= key ^ 8'h5a;\n"
    with pytest.raises(ConfigError, match="observables"):
        check(body(text, head), {"secrets": ["key"]})


def test_a_design_without_registers_is_checked_too(check):
    """Logic alone: a request that depends on the key in the same cycle."""
    head = "module dut (input logic [7:0] key, input logic en, output logic req, output [7:0] q);\n"
    text = "  assign req = en & ^key; assign q = key;\n"
    result, _ = check(body(text, head), {"secrets": ["key"], "observables": ["req"]})
    assert result.verdict is Verdict.FAILED


def test_a_self_check_that_fails_is_an_error(check, monkeypatch):
    """An engine that cannot find a planted leak has no verdict."""
    from openforge.engines.constant_time import steps

    real = steps.run

    def blind(task, folder, **more):
        answer = real(task, folder, **more)
        return answer.__class__() if folder.name == "planted-leak" else answer

    monkeypatch.setattr(steps, "run", blind)
    with pytest.raises(CheckFailedToRun, match="planted"):
        check(body(FIXED), self_check=True)


def test_a_leak_that_does_not_replay_is_an_error(check, monkeypatch):
    """Verilator shows no difference: one of the engines is wrong, and nothing is claimed."""
    from openforge.tools import verilator_replay

    real = verilator_replay.Replayer.run

    def same(self, stimulus, observe, out, **more):
        trace = real(self, stimulus, observe, out, **more)
        still = {name: (0,) * len(values) for name, values in trace.values.items()}
        return verilator_replay.Trace(still, trace.waveform)

    monkeypatch.setattr(verilator_replay.Replayer, "run", same)
    with pytest.raises(CheckFailedToRun, match="internal contradiction"):
        check(body(EARLY))


def test_strict_does_not_believe_memories_without_contents(check):
    """A table that nothing loads decides about the timing."""
    text = """  logic [3:0] count; logic fast_q [4]; logic fast;
  assign busy = count != 0; assign fast = fast_q[data[1:0]];
  always_ff @(posedge clk) if (data[7]) fast_q[data[3:2]] <= data[4];
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; q <= 0; end
    else begin
      done <= count == 1;
      if (busy) begin count <= count - 1; q <= q ^ key; end
      else if (start) count <= fast ? 3 : 5;
    end
"""
    result, _ = check(body(text), strict=True)
    assert result.verdict is not Verdict.PASSED


@pytest.mark.parametrize(
    ("mode", "says"), [("assign mode = key[7] & key[6];", ""), ("assign mode = k[7];", "speaks of")]
)
def test_a_public_signal_is_about_what_the_design_is_given(check, mode, says):
    """Logic of inputs can be public by assumption; what the design keeps cannot."""
    loop = LOOP.replace("logic [7:0] k;", f"logic [7:0] k; logic mode; {mode}")
    loop = loop.replace("STOP", "count == 1 || mode")
    interface = {**INTERFACE, "assume": ["public(mode)"]}
    if says:
        with pytest.raises(DesignError, match=says):
            check(body(loop), interface)
        return
    result, _ = check(body(loop), interface)
    assert result.verdict is Verdict.PASSED
    assert "assumed in every cycle: public(mode)" in result.assumptions
    assert "all inputs that the assumptions allow" in result.bounds[0]


@pytest.mark.parametrize(
    ("assume", "verdict"),
    [("data < 10", "failed"), ("data >= 0", "passed"), ("data < 0", "failed")],
)
def test_a_signed_input_is_signed_in_an_assumption(check, assume, verdict):
    """A leak for negative operands only."""
    head = HEAD.replace("[7:0] key, data", "[7:0] key, input logic signed [7:0] data")
    loop = LOOP.replace("STOP", "count == 1 || (data < 0 && k[0])")
    result, _ = check(body(loop, head), {**INTERFACE, "assume": [assume]}, replay=False)
    assert result.verdict.value == verdict


@pytest.mark.parametrize("self_check", [True, False])
def test_a_secret_that_is_declassified_altogether_is_no_proof(check, self_check):
    """Nothing is left that could differ."""
    head = HEAD.replace("output logic busy", "output logic [7:0] shown, output logic busy")
    text = FIXED + "  assign shown = key;\n"
    declared = {**INTERFACE, "declassify": [{"signal": "shown", "reason": "why not"}]}
    result, _ = check(body(text, head), declared, self_check=self_check)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "every bit of the secret key is declassified" in result.reason


def test_a_secret_bit_that_is_declassified_leaves_the_others(check):
    """The self-check plants a leak that the other bits show."""
    head = HEAD.replace("output logic busy", "output logic shown, busy")
    text = FIXED + "  assign shown = ~key[0];\n"
    declared = {**INTERFACE, "declassify": [{"signal": "shown", "reason": "its parity is public"}]}
    result, _ = check(body(text, head), declared, self_check=True)
    assert result.verdict is Verdict.PASSED


def test_one_bit_that_is_declassified_inverted_leaves_nothing(check):
    """The only secret bit is known to everybody."""
    head = HEAD.replace("output logic busy", "output logic shown, busy")
    text = FIXED.replace("k <= key", "k <= {8{key[0]}}") + "  assign shown = ~key[0];\n"
    declared = {
        **INTERFACE,
        "secrets": ["key[0]"],
        "declassify": [{"signal": "shown", "reason": "why not"}],
    }
    result, _ = check(body(text, head), declared, self_check=True)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no two runs with different secrets" in result.reason


LONG = DEEP.replace("count == 1 || (count == 5 && k)", "count == 1").replace("300", "LENGTH")
LONG = LONG.replace("assign q = 0;", "assign q = {7'b0, k};")


@pytest.mark.parametrize("length", ["900", "1023"])
def test_a_long_operation_is_proved_and_its_end_is_seen(check, length):
    """`done` comes after a thousand cycles: longer than random runs, not than operations."""
    result, _ = check(body(LONG.replace("LENGTH", length)))
    assert result.verdict is Verdict.PASSED
    assert any(f"in cycles: {int(length) + 1}" in bound for bound in result.bounds)


def test_a_rare_event_is_known_to_be_possible(check):
    """An error output that one operand of 2**24 raises: no random run shows it, the search does."""
    head = HEAD.replace("[7:0] key, data", "[7:0] key, input logic [23:0] data").replace(
        "output logic busy", "output logic err, busy"
    )
    text = FIXED.replace("q <= data", "q <= data[7:0]")
    text += "  always_ff @(posedge clk) err <= rst_n && (data ^ (data >> 5)) == 24'h5a3c69;\n"
    result, _ = check(body(text, head), {**INTERFACE, "observables": ["busy", "err"]})
    assert result.verdict is Verdict.PASSED
    assert not any("not seen to change" in bound for bound in result.bounds)


def test_a_proof_that_random_runs_refute_is_an_error(check, monkeypatch):
    """Engines that contradict each other have no verdict."""
    from openforge.analysis import taint

    monkeypatch.setattr(taint, "flow", lambda *_, **__: taint.Taint({}, frozenset()))
    with pytest.raises(CheckFailedToRun, match="internal contradiction: word-level taint"):
        check(body(EARLY))


def test_memories_with_negative_addresses_are_read_and_replayed(check):
    """A secret table declared as [-2:1]; one of its words decides."""
    text = """  logic [7:0] words_q [-2:1]; logic [2:0] count; logic signed [1:0] at;
  logic [7:0] word; assign word = words_q[at]; assign at = count[1:0];
  assign busy = count != 0;
  always_ff @(posedge clk) if (data[7]) words_q[$signed(data[1:0])] <= key;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin count <= 0; done <= 0; q <= 0; end
    else begin
      done <= count == 1 || (busy && word[3]);
      if (busy) begin count <= word[3] ? 0 : count - 1; q <= q ^ word; end
      else if (start) count <= 7;
    end
"""
    result, _ = check(body(text), {**INTERFACE, "secrets": ["words_q"]}, self_check=True)
    assert result.verdict is Verdict.FAILED


def test_outputs_that_were_taken_for_data_are_told(check):
    """Nobody said what is observed: what was left out by its name is a note."""
    result, _ = check(body(FIXED), {"secrets": ["key"]})
    assert result.verdict is Verdict.PASSED
    (note,) = [f.message for f in result.findings if f.rule == "not-observed"]
    assert note.startswith("taken for data, and not compared: q")


def test_a_rare_word_of_a_memory_is_met(check):
    """One word of 2**24, loaded over a public port, takes longer: stimuli have what is compared."""
    head = HEAD.replace("input logic [7:0] key, data", "input logic [23:0] data, input [7:0] key")
    text = """  logic [23:0] words_q [16]; logic [23:0] word; logic [1:0] wait_q; logic [3:0] at;
  assign word = words_q[at]; assign busy = wait_q != 0; assign q = word[7:0];
  always_ff @(posedge clk) if (key[7]) words_q[data[3:0]] <= data;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin at <= 0; wait_q <= 0; done <= 0; end
    else begin
      done <= wait_q == 1;
      if (busy) wait_q <= wait_q - (word == 24'h5a3c61 && wait_q == 3 ? 0 : 1);
      else if (start) begin at <= key[3:0]; wait_q <= 3; end
    end
"""
    interface = {**INTERFACE, "secrets": ["key[3:0]"]}
    result, _ = check(body(text, head), interface, replay=False)
    assert result.verdict is Verdict.FAILED
    assert "co-simulation" in result.bounds[0]


SMALL = """module dut (input logic clk, rst_n, input logic [7:0] key, d, input logic ld,
            output logic tick, valid, output logic [7:0] q);
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin tick <= 0; q <= 0; end else begin tick <= ~tick; q <= q ^ key; end
"""
ONE = {"secrets": ["key"], "observables": ["valid"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "  logic v; always_comb begin v = 0; assert (!key[0]) else v = 1; end\n"
            "  assign valid = v ^ tick;\n",
            "an assertion whose action",
        ),
        (
            "  logic v; always_ff @(posedge clk) begin v <= 0; assert (!key[0]) v <= 1; end\n"
            "  assign valid = v ^ tick;\n",
            "an assertion whose action",
        ),
        (
            "  logic v, x; function automatic logic se(); x = 1; return 1; endfunction\n"
            "  always_comb begin x = 0; v = key[0] && se(); end assign valid = x ^ tick;\n",
            "an operand that changes a signal",
        ),
        (
            "  logic t, k, l; always @(posedge clk) l <= t ^ k;\n"
            "  always @(posedge clk) k <= key[0];\n"
            "  always @(posedge clk) t = key[0]; assign valid = tick ^ l;\n",
            "'t' is assigned with =",
        ),
        (
            "  logic t, w, k, l; assign w = t; always @(posedge clk) l <= w ^ k;\n"
            "  always @(posedge clk) k <= key[0]; always @(posedge clk) t = key[0];\n"
            "  assign valid = tick ^ l;\n",
            "'t' is assigned with =",
        ),
        (
            "  logic k, m, l, late; always @(clk) late <= clk;\n"
            "  always @(posedge clk) begin k <= key[0]; m <= k; end\n"
            "  always @(posedge late) l <= k;\n"
            "  assign valid = tick ^ m ^ l;\n",
            "a clock that is assigned with <=",
        ),
        (
            "  (* init = 1'b1 *) logic z; always @(posedge clk) z <= z;\n"
            "  assign valid = z ? tick : key[0];\n",
            "the attribute",
        ),
        (
            "`ifdef __slang__\n  assign valid = tick;\n"
            "`else\n  assign valid = tick ^ key[0];\n`endif\n",
            "the macro __slang_",
        ),
        (
            "  function g(input z); g = key[0] & (z | 1); endfunction\n  logic y;\n"
            "  always @(*) y = g(ld); assign valid = tick ^ y ^ key[0];\n",
            "the sensitivity list",
        ),
    ],
)
def test_what_a_netlist_says_otherwise_is_refused(check, text, says):
    """Simulators show a leak that the netlist does not have: refused, with the place."""
    with pytest.raises(CheckFailedToRun, match=says):
        check(body(text, SMALL), ONE)


@pytest.mark.parametrize(
    "text",
    [
        '  logic v; always_comb begin v = tick; assert (v == tick) else $error("no"); end\n'
        "  assign valid = v;\n",
        "  function automatic logic f(logic x); logic y; y = ~x; return y; endfunction\n"
        "  assign valid = tick && f(ld);\n",
        "  logic t; always @(posedge clk) begin t = ld; valid <= t ^ tick; end\n",
        "  logic [7:0] a, b; always @(posedge clk) for (int i = 0; i < 8; i++) a[i] <= d[i];\n"
        "  always @(posedge clk) for (int i = 0; i < 8; i++) b[i] <= a[i];\n"
        "  assign valid = tick & b[0];\n",
    ],
)
def test_what_only_looks_like_it_is_checked(check, text):
    """Messages, functions without effects, variables of one block, counters of loops."""
    result, _ = check(body(text, SMALL), ONE)
    assert result.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("text", "interface"),
    [
        # a secret register that the reset sets, whose other value is 0
        (
            "  logic k; always_ff @(posedge clk or negedge rst_n)\n"
            "    if (!rst_n) k <= 1; else if (ld) k <= d[0];\n  assign valid = tick ^ (k & !ld);\n",
            {**ONE, "secrets": ["k"]},
        ),
        # one bit of it is secret, and another one lets it through
        (
            "  logic [7:0] k; always_ff @(posedge clk or negedge rst_n)\n"
            "    if (!rst_n) k <= 8'hf0; else if (ld) k <= d;\n"
            "  assign valid = tick ^ (k[0] & k[7] & !ld);\n",
            {**ONE, "secrets": ["k[0]"]},
        ),
        # another asynchronous reset, active from the beginning
        (
            "  logic s, z; always @(posedge clk or posedge ld) if (ld) s <= 1; else s <= 0;\n"
            "  always_ff @(posedge clk) z <= 1; assign valid = tick ^ (s & key[0] & ~z);\n",
            {**ONE, "reset": {"signal": "rst_n", "active": "low", "cycles": 2}},
        ),
    ],
)
def test_leaks_that_are_hard_to_replay_are_replayed(check, text, interface):
    """Registers are set whole, and asynchronous resets act."""
    result, _ = check(body(text, SMALL), interface)
    assert result.verdict is Verdict.FAILED


def test_an_x_is_equal_to_no_value(check):
    """``===`` with x is false for every key."""
    result, _ = check(body("  assign valid = tick ^ (key[0] === 1'bx);\n", SMALL), ONE)
    assert result.verdict is Verdict.PASSED


def test_the_self_check_waits_for_the_end_of_a_long_reset(check):
    """A reset of a hundred cycles, and a secret register."""
    interface = {
        **INTERFACE,
        "secrets": ["k"],
        "reset": {"signal": "rst_n", "active": "low", "cycles": 100},
    }
    result, _ = check(body(FIXED), interface, self_check=True)
    assert result.verdict is Verdict.PASSED
