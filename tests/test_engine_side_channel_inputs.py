"""What the check side_channel is given: annotations, designs that it refuses, recorded inputs."""

import json

import pytest
from side_channel_projects import (
    BODY,
    CONTROL,
    DESIGNS,
    EXAMPLES,
    HEAD,
    PLAIN,
    REFRESH,
    believe,
    run,
    write,
)

from openforge.errors import CheckFailedToRun, ConfigError, DesignError, InterfaceError
from openforge.model import Verdict

USED, L = "key ^ data ^ {8{l}}", "  logic l;\n"
ON = {"num_traces": 10_000}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Run the check on an RTL text, without replays."""
    believe(monkeypatch)

    def go(rtl, interface=PLAIN, files=None, *, top="dut", **fields):
        project = write(tmp_path / "project", rtl, interface, files, top=top)
        return run(tmp_path, project, **{**ON, **fields})

    return go


def with_l(text):
    """A design in which `l`, which `text` drives, takes part."""
    return HEAD + L + text + BODY.replace("key ^ data", USED)


@pytest.mark.parametrize(
    ("rtl", "interface", "error", "says"),
    [
        (HEAD + BODY, {**CONTROL}, CheckFailedToRun, "no secrets are declared"),
        (
            HEAD + BODY.replace("key ^ data", "data"),
            PLAIN,
            CheckFailedToRun,
            "no output of the design depends on the secrets key",
        ),
        (
            HEAD + "  logic [7:0] k; assign k = 8'h5a;\n" + BODY.replace("key ^", "k ^ key ^"),
            {**PLAIN, "secrets": ["k"]},
            CheckFailedToRun,
            "constant in the netlist: k",
        ),
        (
            HEAD + "  logic [7:0] k; assign k = key ^ data;\n" + BODY.replace("key ^ data", "k"),
            {**PLAIN, "secrets": ["k"]},
            CheckFailedToRun,
            "'k' is constant or driven by other nets",
        ),
        (
            HEAD
            + "  logic [7:0] m [4]; always_ff @(posedge clk) if (start) m[data[1:0]] <= key;\n"
            + BODY.replace("key ^ data", "key ^ m[data[3:2]]"),
            {**PLAIN, "secrets": ["m"]},
            CheckFailedToRun,
            "'m' is a memory",
        ),
        (
            HEAD + BODY.replace("done <= start", "done <= 0"),
            PLAIN,
            CheckFailedToRun,
            "'done' does not come within 4096 cycles after 'start'",
        ),
        (
            HEAD + BODY.replace("done <= start", "done <= start & key[0]"),
            PLAIN,
            CheckFailedToRun,
            "'done' does not come within 4096 cycles",
        ),
        (
            HEAD.replace("[7:0] key,", "[7:0] key, input logic [6:0] more, input logic [7:0]")
            + BODY,
            {**CONTROL, "shares": {"k": ["key", "more"]}},
            InterfaceError,
            "'key' has 8, 'more' has 7",
        ),
        (
            HEAD + BODY,
            {**CONTROL, "shares": {"k": ["key", "key"]}},
            InterfaceError,
            "bits of another share",
        ),
        (HEAD + BODY, {**CONTROL, "shares": {"k": ["key"]}}, InterfaceError, "two shares or more"),
        (
            HEAD + BODY,
            {**CONTROL, "shares": {"k": {"of": ["key", "data"], "modulus": 3329}}},
            InterfaceError,
            "values below 3329 need 12 bits, the shares have 8",
        ),
        (
            with_l("  always_latch if (start) l = key[0];\n"),
            PLAIN,
            DesignError,
            "latches cannot be analysed",
        ),
        (
            with_l("  logic m; assign l = m ^ key[0]; assign m = l & data[0];\n"),
            PLAIN,
            DesignError,
            "combinational loop",
        ),
        (
            "(* blackbox *) module bb (input logic a, output logic y); endmodule\n"
            + with_l("  bb u (.a(key[0]), .y(l));\n"),
            PLAIN,
            DesignError,
            r"modules without content .*bb",
        ),
        (with_l("  bb u (.a(key[0]), .y(l));\n"), PLAIN, DesignError, "unknown module 'bb'"),
        (
            with_l("  always_ff @(posedge other) l <= key[0];\n").replace(
                "input logic clk,", "input logic other, clk,"
            ),
            PLAIN,
            DesignError,
            "one clock was expected, found 2",
        ),
    ],
    ids=lambda value: value[-40:].strip() if isinstance(value, str) else "",
)
def test_what_cannot_be_checked_is_an_error_that_says_why(check, rtl, interface, error, says):
    """No verdict, and what to do about it."""
    with pytest.raises(error, match=says):
        check(rtl, interface, enabled=True)


def test_done_that_never_comes_says_what_to_look_at(check):
    """The message names the fields that may be wrong."""
    with pytest.raises(CheckFailedToRun) as raised:
        check(HEAD + BODY.replace("done <= start", "done <= 0"))
    for field in ("interface.done", "interface.start", "constants", "side_channel.stimulus"):
        assert field in str(raised.value)


def test_without_shares_it_is_skipped_unless_asked_for(tmp_path, monkeypatch):
    """A design that claims nothing is not failed for it; any field of the section asks for it."""
    believe(monkeypatch)
    project = write(tmp_path / "project", HEAD + BODY, PLAIN)
    skipped = run(tmp_path / "a", project)
    assert skipped.verdict is Verdict.SKIPPED
    assert "neither shares nor randoms are declared" in skipped.reason
    assert run(tmp_path / "b", project, enabled=True).verdict is Verdict.FAILED
    assert run(tmp_path / "c", project, num_traces=5000).verdict is Verdict.FAILED
    off = run(tmp_path / "d", project, enabled=False)
    assert (off.verdict, "switched off" in off.reason) == (Verdict.SKIPPED, True)


def test_without_secrets_it_is_skipped(tmp_path):
    """Nothing is declared: the reason names the field."""
    ran = run(tmp_path, write(tmp_path / "project", HEAD + BODY, CONTROL))
    assert ran.verdict is Verdict.SKIPPED
    assert "crypto_verification.interface.secrets" in ran.reason


def test_shares_are_enough_to_be_checked(tmp_path):
    """With shares declared nothing else has to be said."""
    rtl = (DESIGNS / "refresh_good.sv").read_text()
    ran = run(tmp_path, write(tmp_path / "project", rtl, REFRESH, top="refresh"))
    assert ran.verdict is Verdict.PASSED
    assert any("probing sets" in bound for bound in ran.result.bounds)


def test_arithmetic_shares_have_no_bit_to_compare(check):
    """random_vs_random needs a bit that can be chosen."""
    shared = {**CONTROL, "shares": {"k": {"of": ["key", "data"], "modulus": 251}}}
    with pytest.raises(CheckFailedToRun, match="use fixed_vs_random"):
        check(HEAD + BODY, shared, test="random_vs_random")


THREE = """module dut (input logic clk, rst_n, start, input logic [11:0] a0, a1, a2,
            output logic done, output logic [11:0] q0, q1, q2);
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin q0 <= 0; q1 <= 0; q2 <= 0; done <= 0; end
    else begin done <= start; if (start) begin q0 <= a0; q1 <= a1; q2 <= a2; end end
endmodule
"""


@pytest.mark.parametrize("modulus", [None, 3329, 4096])
def test_three_shares_pass_where_they_never_meet(check, modulus):
    """Boolean or arithmetic; the self-check finds its planted leak in all of them."""
    names = ["a0", "a1", "a2"]
    share = names if modulus is None else {"of": names, "modulus": modulus}
    ran = check(THREE, {**CONTROL, "shares": {"a": share}})
    assert (ran.verdict, ran.reason) == (Verdict.PASSED, "")


ENABLED = """module dut (input logic clk, rst_n, en, input logic [3:0] a0, a1, data,
            output logic [3:0] q, output logic busy);
  logic [3:0] s0, s1;
  assign busy = en;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin s0 <= 0; s1 <= 0; q <= 0; end
    else if (en) begin s0 <= a0; s1 <= a1; q <= s0 ^ s1; end
endmodule
"""
NO_DONE = {
    "clock": "clk",
    "reset": {"signal": "rst_n", "active": "low", "cycles": 2},
    "shares": {"a": ["a0", "a1"]},
    "observables": ["busy"],
}


@pytest.mark.parametrize("cycles", [None, 6])
def test_a_public_control_is_tried_both_ways(check, cycles):
    """Without a `done` nothing says that `en` must be 1 for anything to happen: both are tried."""
    fields = {} if cycles is None else {"cycles": cycles}
    ran = check(ENABLED, NO_DONE, **fields)
    assert ran.verdict is Verdict.FAILED
    assert any("en = 1" in bound for bound in ran.result.bounds)


def test_a_design_that_stays_in_reset_is_no_pass(check):
    """With the active level of the reset the wrong way round no register ever moves."""
    wrong = {**NO_DONE, "reset": {"signal": "rst_n", "active": "high", "cycles": 2}}
    ran = check(ENABLED, wrong, cycles=6)
    assert ran.verdict is not Verdict.PASSED


def recorded(check, text, **fields):
    """A run with a recorded stimulus."""
    return check(HEAD + BODY, PLAIN, {"s.csv": text}, stimulus="s.csv", **fields)


def test_a_recorded_stimulus_is_replayed_cycle_by_cycle(check):
    """Start in the second cycle: the register that keeps the key moves in the third."""
    ran = recorded(check, "start, data\n0, 0\n1, 0x5a\n0, 0b11\n0,7\n")
    assert ran.verdict is Verdict.FAILED
    assert any("as recorded, 4 cycles" in bound for bound in ran.result.bounds)
    (cycle,) = {row["cycle"] for row in ran.rows("leaking") if row["name"] == "q[2]"}
    assert cycle == 2
    assert {row["cycle"] for row in ran.rows("t_values")} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stat,data\n1,2\n", "the design has no input 'stat'"),
        ("done\n1\n", "the design has no input 'done'"),
        ("start,key\n1,2\n", "'key' is not public"),
        ("clk\n1\n", "'clk' is not public"),
        ("start,data\n1,2\n0,x\n", "s.csv:3: a number was expected for 'data', found 'x'"),
        ("start,data\n1,256\n", "256 does not fit 'data' of 8 bits"),
        ("start,data\n1,-1\n", "-1 does not fit 'data'"),
        ("start,data\n1," + "9" * 5000 + "\n", "a number was expected for 'data'"),
        ("start,data\n1\n", "s.csv:2: 2 values expected, found 1"),
        ("start,data\n", "no row of values below its header"),
        ("", "no row of values below its header"),
        (b"\xff\xfe\x00\x01", "s.csv is no CSV text"),
        ("start\n" + "0\n" * 5000, "more than 4096 cycles"),
        ("start,data\n0,1\n0,1\n", "'done' does not come within 2 cycles"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_recorded_stimulus_that_is_wrong_says_where(check, text, says):
    """The file, the line and what was expected."""
    with pytest.raises(CheckFailedToRun, match=says):
        recorded(check, text)


def test_a_recorded_stimulus_that_is_not_there_is_an_error(check):
    """A pattern that matches nothing."""
    with pytest.raises(ConfigError, match="side_channel.stimulus"):
        check(HEAD + BODY, PLAIN, stimulus="none.csv")


def test_a_planted_fault_of_the_examples_is_where_they_say(tmp_path, monkeypatch):
    """dom-and-broken: the line that is marked LEAK is among the findings."""
    believe(monkeypatch)
    ran = run(tmp_path, EXAMPLES / "dom-and-broken", num_traces=10_000)
    source = (EXAMPLES / "dom-and-broken/rtl/dom_and.sv").read_text().splitlines()
    marked = next(n for n, line in enumerate(source, 1) if "// LEAK" in line)
    wrong = {row["line"] for row in ran.rows("source_heat") if row["leaking"]}
    assert ran.verdict is Verdict.FAILED
    assert marked in wrong, json.dumps(sorted(wrong))


def test_randomness_alone_is_no_secret(tmp_path):
    """Without secrets and shares there is nothing that power could tell."""
    rtl = (
        "module dut (input logic clk, input logic [3:0] r, output logic [3:0] q);\n"
        "  always_ff @(posedge clk) q <= r;\nendmodule\n"
    )
    project = write(tmp_path / "p", rtl, {"clock": "clk", "randoms": ["r"], "observables": ["q"]})
    with pytest.raises(CheckFailedToRun, match="no secrets are declared"):
        run(tmp_path, project, enabled=True)
