"""Lint: both tools, no doubles, waivers, and a crash is never a pass."""

import pytest

from openforge import config, design
from openforge.engines import lint
from openforge.errors import OpenForgeError, ToolError
from openforge.model import Finding, Level, Location, Verdict
from openforge.run_folder import RunFolder
from openforge.tools import process, verilator_lint

GOOD = """module top (input logic clk, input logic [3:0] x, output logic [3:0] y);
  always_ff @(posedge clk) y <= x;
endmodule
"""
STRICT = {"verification.lint.fail_on": "warning"}
TRUNCATES = GOOD.replace("[3:0] y", "[2:0] y")


@pytest.fixture
def check(tmp_path):
    """Run lint on one source; returns its result."""
    count = iter(range(100))

    def run(source, waivers=None, **overrides):
        project = tmp_path / "p"
        (project / "rtl").mkdir(parents=True, exist_ok=True)
        (project / "rtl" / "top.sv").write_text(source)
        if waivers is not None:
            (project / "waivers.yaml").write_text(waivers)
            overrides["verification.lint.waivers"] = ["waivers.yaml"]
        text = "project: {name: p, top_module: top}\ndesign: {sources: [rtl/*.sv]}\n"
        (project / "openforge.yaml").write_text(text)
        loaded = config.load(project, overrides)
        folder = RunFolder.create(tmp_path / f"run{next(count)}")
        return lint.run(loaded.verification.lint, design.load(project, loaded), folder)

    return run


def test_a_clean_design_passes(check):
    """No findings, and the verdict says by which rules."""
    result = check(GOOD)
    assert result.verdict is Verdict.PASSED
    assert result.findings == ()
    assert result.summary == {"warnings": 0, "errors": 0}
    assert "verilator and slang" in result.bounds[0]


def test_one_fault_is_one_finding_of_both_tools(check):
    """Both tools see the truncation; it is reported once, with place and source line."""
    result = check(TRUNCATES)
    widths = [f for f in result.findings if "WIDTH" in f.rule]
    assert len(widths) == 1
    assert widths[0].tool == "verilator, slang"
    assert (widths[0].location.file, widths[0].location.line) == ("rtl/top.sv", 2)
    assert "y <= x" in widths[0].excerpt


def test_warnings_fail_only_where_asked(check):
    """`fail_on` decides which level fails."""
    assert check(TRUNCATES).verdict is Verdict.PASSED
    failed = check(TRUNCATES, **{"verification.lint.fail_on": "warning"})
    assert failed.verdict is Verdict.FAILED
    assert "fail_on" in failed.reason


def test_a_syntax_error_fails(check):
    """A source that cannot be read is a failed lint with a place, not a crash."""
    result = check("module top (input a output b);\nendmodule\n")
    assert result.verdict is Verdict.FAILED
    assert any(f.level is Level.ERROR and f.location.line == 1 for f in result.findings)


def test_a_waiver_with_its_reason(check):
    """A waived finding stays visible with its reason, and does not fail the check."""
    strict = {"verification.lint.fail_on": "warning"}
    waiver = "- {rule: '*', file: rtl/*, reason: upper bits are zero by design}\n"
    result = check(TRUNCATES, waivers=waiver, **strict)
    assert result.verdict is Verdict.PASSED
    assert {f.waived_by for f in result.findings} == {"upper bits are zero by design"}
    other = check(TRUNCATES, waivers="- {rule: LATCH, reason: none here}\n", **strict)
    assert other.verdict is Verdict.FAILED
    assert any(f.rule == "unused-waiver" for f in other.findings)


def test_a_waiver_needs_a_reason(check):
    """A waiver without a reason is refused, naming the file."""
    with pytest.raises(OpenForgeError, match=r"waivers\.yaml"):
        check(TRUNCATES, waivers="- {rule: LATCH}\n")


def test_a_crashed_tool_is_never_a_pass(check, monkeypatch):
    """Verilator ending by a signal, or failing without a word, is an error."""
    real = process.run

    def crash(argv, **more):
        if "--lint-only" in map(str, argv):
            argv = ["sh", "-c", "kill -SEGV $$"]
        return real(argv, **more)

    monkeypatch.setattr(verilator_lint.process, "run", crash)
    with pytest.raises(ToolError, match="signalled"):
        check(GOOD)


def test_a_failure_without_findings_is_an_error(check, monkeypatch):
    """Exit code 1 and nothing to show for it is an error, with the tool's words."""
    real = process.run

    def fail(argv, **more):
        if "--lint-only" in map(str, argv):
            argv = ["sh", "-c", "echo odd; exit 1"]
        return real(argv, **more)

    monkeypatch.setattr(verilator_lint.process, "run", fail)
    with pytest.raises(ToolError, match="no readable answer"):
        check(GOOD)


def test_merge_keeps_what_is_different():
    """Two findings of one tool on one line both stay; the heavier level of a double counts."""

    def finding(tool, rule, level, column):
        place = Location(file="a.sv", line=1, column=column)
        return Finding(
            rule=rule, level=level, message=f"{tool} {column}", location=place, tool=tool
        )

    merged = lint.merge(
        [
            finding("verilator", "WIDTHTRUNC", Level.WARNING, 3),
            finding("verilator", "WIDTHTRUNC", Level.WARNING, 9),
            finding("slang", "width-trunc", Level.ERROR, 3),
        ]
    )
    assert [(f.tool, f.level) for f in merged] == [
        ("verilator, slang", Level.ERROR),
        ("verilator", Level.WARNING),
    ]


@pytest.mark.parametrize(
    ("source", "waived"),
    [
        ("this is no verilog;", "{message: '*'"),
        ("module top; nothing n(); endmodule", "{rule: '*'"),
    ],
)
def test_a_waived_error_is_no_pass(check, source, waived):
    """Tools stop at an error, so with it waived the rest was not looked at."""
    result = check(source, f"- {waived}, reason: known}}\n", **STRICT)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "what follows is unknown" in result.reason


def test_findings_that_were_cut_are_no_pass(check):
    """A waiver for what is told does not cover what was not."""
    many = "".join(f"wire [3:0] x{i} = 8'hff;\n" for i in range(2100))
    waiver = "- {rule: '*', reason: all of it}\n"
    source = f"module top;\n{many}endmodule\n"
    result = check(source, waiver, **{**STRICT, "verification.lint.tools": ["slang"]})
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "only the first 2000" in result.reason


def test_rules_that_a_source_switches_off_are_said(check):
    """A comment can silence a linter; the verdict says where."""
    source = (
        "module top(input [3:0] a, output b);\n// verilator lint_off UNUSEDSIGNAL\n"
        "assign b = a[0];\nendmodule\n"
    )
    result = check(source, **{"verification.lint.tools": ["verilator"]})
    assert result.verdict is Verdict.PASSED
    assert result.assumptions == ("rtl/top.sv switches rules off in line 2",)
