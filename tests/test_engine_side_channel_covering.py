"""What traces do not reach: no pass where the operation is elsewhere, and no leak is hidden."""

import pytest
from side_channel_projects import CONTROL, believe, run, write

from openforge.model import Verdict

HEAD = """module dut (input logic clk, rst_n, start{ports}, input logic [3:0] x0, x1,
            output logic done, output logic [3:0] q0, q1);
  logic [3:0] g0, g1;
  logic [7:0] n;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin {{g0, g1, n, done, q0, q1}} <= '0; end
    else begin
      n <= start ? 8'd1 : n + {{7'd0, |n & ~&n}};
      q1 <= '0;
{body}
    end
endmodule
"""
SHARED = {**CONTROL, "shares": {"x": ["x0", "x1"]}}
UNSHARED = "      q0 <= g0 ^ g1;\n"


def check(folder, body, *, ports="", interface=SHARED, **fields):
    """The check on a design that loads both shares and adds them, when `body` lets it."""
    rtl = HEAD.format(ports="".join(f", {name}" for name in ports), body=body)
    return run(folder, write(folder / "p", rtl, interface), enabled=True, **fields)


@pytest.mark.parametrize(
    ("body", "interface", "says"),
    [
        (
            "if (start) g0 <= x0; if (n == 100) g1 <= x1; done <= n == 2;",
            SHARED,
            "after the traces",
        ),
        (
            "if (start) g0 <= x0; if (n == 200) g1 <= x1; done <= n == 2;",
            {**SHARED, "done": {"cycles": 10}},
            "after the traces",
        ),
        (
            "if (start) begin g0 <= x0; if (n != 0) g1 <= x1; end done <= start;",
            SHARED,
            "x1 changes no register",
        ),
    ],
    ids=["later than done", "later than cycles", "never"],
)
def test_what_does_not_take_place_is_no_pass(tmp_path, body, interface, says):
    """The second share is loaded after the traces end, or by an operation that does not happen."""
    ran = check(tmp_path, body + UNSHARED, interface=interface)
    assert ran.verdict is Verdict.INCONCLUSIVE
    assert says in ran.reason


@pytest.mark.parametrize("condition", ["c[0] & ~c[1]", "~c[0] & c[1]", "c[0] & c[1]", "~|c"])
def test_a_leak_in_one_setting_of_the_controls_is_found(tmp_path, monkeypatch, condition):
    """Two settings are tried, and controls that are drawn for each trace."""
    believe(monkeypatch)
    given = condition.replace("c[0]", "c0").replace("c[1]", "c1").replace("~|c", "~(c0 | c1)")
    body = f"if (start) begin g0 <= x0; if ({given}) g1 <= x1; end done <= start;"
    ran = check(tmp_path, body + UNSHARED, ports=("c0", "c1"))
    assert ran.verdict is Verdict.FAILED


def test_a_setting_that_takes_longer_is_tried(tmp_path, monkeypatch):
    """With c = 1 the operation ends in cycle 90, and the shares meet in cycle 80."""
    believe(monkeypatch)
    body = "if (start) g0 <= x0; if (c && n == 80) g1 <= x1; done <= c ? n == 90 : start;"
    ran = check(tmp_path, body + UNSHARED, ports=("c",))
    assert ran.verdict is Verdict.FAILED


def test_a_wide_gate_hides_no_small_one(tmp_path, monkeypatch):
    """A sum that sees both shares, inside of one that sees too much to be looked at as a whole."""
    believe(monkeypatch)
    rtl = """module dut (input logic clk, rst_n, start, input logic [1:0] a, b, input logic r,
            input logic [299:0] w, output logic done, z0, z1);
  wire t0 = (a[0] & b[0]) ^ r;
  wire t1 = ((r ^ (a[0] & b[1])) ^ (a[1] & b[0])) ^ (a[1] & b[1]);
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin done <= 0; z0 <= 0; z1 <= 0; end
    else begin done <= start; z0 <= t0; z1 <= t1 ^ (^w); end
endmodule
"""
    shares = {"a": ["a[0]", "a[1]"], "b": ["b[0]", "b[1]"]}
    project = write(tmp_path / "p", rtl, {**CONTROL, "shares": shares, "randoms": ["r", "w"]})
    ran = run(tmp_path, project, enabled=True)
    assert ran.verdict is Verdict.FAILED
    assert "leaking-probe" in ran.rules()
