"""The simulation check: verdicts, waveforms, coverage, and what hostile tests can(not) do."""

import shutil
import socket
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import needs

from openforge import config, design
from openforge.engines import simulation
from openforge.engines.simulation import running
from openforge.errors import DesignError, OpenForgeError, ToolError
from openforge.model import State, Verdict
from openforge.run_folder import RunFolder

DESIGNS = Path(__file__).parent / "designs"
TICK = (
    "import cocotb\nfrom cocotb.triggers import Timer\n"
    "@cocotb.test()\nasync def t(dut):\n    await Timer(1, 'ns')\n"
)
RTL = "module tiny(input logic clk, output logic q); always_ff @(posedge clk) q <= ~q; endmodule\n"


class Project:
    """A project in a folder of its own, and the check run on it."""

    def __init__(self, path):
        self.path = path
        self.folder = None

    def check(self, settings, *, top="traffic", sources=("*.sv",), **more):
        """The result of the check with the section `settings`; its files are in `folder`."""
        text = yaml.safe_dump(
            {
                "project": {"name": "demo", "top_module": top},
                "design": {"sources": list(sources), **more},
                "verification": {"simulation": settings},
            }
        )
        (self.path / "openforge.yaml").write_text(text)
        loaded = config.load(self.path)
        number = sum(1 for _ in self.path.parent.glob("run*"))
        self.folder = RunFolder.create(self.path.parent / f"run{number}.tmp")
        return simulation.run(
            loaded.verification.simulation, design.load(self.path, loaded), self.folder
        )

    def table(self, name):
        """The rows of a table of the last check."""
        return pq.read_table(self.folder.path / "tables" / f"{name}.parquet").to_pylist()

    def tests(self):
        """The rows of the table of tests, by name and seed."""
        return {(row["name"], row["seed"]): row for row in self.table("tests")}


@pytest.fixture
def project(tmp_path):
    needs("verilator", "c++", "cocotb")
    shutil.copytree(DESIGNS / "sim_traffic", tmp_path / "a próject")
    return Project(tmp_path / "a próject")


def bare(project, *modules):
    """Replace the project's benches: a tiny design, and the texts of test modules."""
    shutil.rmtree(project.path)
    (project.path / "tb").mkdir(parents=True)
    (project.path / "tiny.sv").write_text(RTL)
    for number, text in enumerate(modules):
        (project.path / "tb" / f"test_{number}.py").write_text(text)
    return project


def rules(result):
    return {finding.rule for finding in result.findings}


def test_all_pass(project):
    """Tests that pass with goals that are met give 'passed', with all coverage and waveforms."""
    goals = {"line": 80, "branch": 90, "fsm": 100, "user": 100}
    result = project.check(
        {
            "testbenches": ["tb/test_good.py"],
            "coverage_goals": goals,
            "waves": True,
            "seeds": 2,
        }
    )
    assert result.verdict is Verdict.PASSED, result.reason
    assert result.summary["tests_passed"] == 4 and result.summary["tests_failed"] == 0
    assert result.summary["coverage"]["fsm"] == 100.0
    assert set(result.summary["coverage"]) == {"line", "branch", "toggle", "user", "fsm"}
    assert result.bounds[0].startswith("4 test runs, seeds 1..2, ")
    rows = project.tests()
    assert set(rows) == {(name, n) for name in ("every_arc", "reset_only") for n in (1, 2)}
    assert rows["every_arc", 2]["waveform"] == "waves/test_good.every_arc.seed2.fst"
    assert (project.folder.artifacts / rows["every_arc", 2]["waveform"]).stat().st_size > 100
    assert rows["every_arc", 1]["sim_time_ns"] > 100
    logs = [
        (project.folder.artifacts / f"logs/test_good.reset_only.seed{n}.log").read_text()
        for n in (1, 2)
    ]
    assert "random module with 1" in logs[0] and "random module with 2" in logs[1]
    root = ET.parse(project.folder.artifacts / "coverage.xml").getroot()
    lines = {row["line"]: row["hits"] for row in project.table("coverage") if row["kind"] == "line"}
    hit = sum(hits > 0 for hits in lines.values())
    assert (root.get("lines-covered"), root.get("lines-valid")) == (f"{hit}", f"{len(lines)}")
    assert result.summary["coverage"]["line"] == int(1000 * hit / len(lines)) / 10
    files = [e.get("filename") for e in root.iter("class")]
    assert files == ["traffic.sv"] and float(root.get("line-rate")) > 0.8
    assert {row["kind"] for row in project.table("coverage")} == {
        "line",
        "branch",
        "toggle",
        "user",
        "fsm_state",
        "fsm_arc",
    }
    assert {row["file"] for row in project.table("coverage")} == {"traffic.sv"}


def test_failures(project):
    """A failing assert or SVA is 'failed', with place, cycle, traceback and waveform."""
    result = project.check(
        {"testbenches": ["tb/test_mixed.py"], "coverage_goals": {"toggle": 100, "fsm": 100}},
        defines={"LIMIT": "10"},
    )
    assert result.verdict is Verdict.FAILED
    rows = project.tests()
    assert {key[0]: row["status"] for key, row in rows.items()} == {
        "short": "passed",
        "wrong": "failed",
        "counts/steps=3": "passed",
        "counts/steps=30": "failed",
        "left_out": "skipped",
        "draws": "passed",
    }
    wrong = next(f for f in result.findings if "wrong" in f.message)
    assert "the light should be red" in wrong.message and " in cycle 5" in wrong.message
    assert (wrong.location.file, wrong.location.line) == ("tb/test_mixed.py", 19)
    assert "test_mixed.py" in rows["wrong", 1]["traceback"]
    breach = next(f for f in result.findings if "steps=30" in f.message)
    assert "a_limit" in breach.message
    assert (breach.location.file, breach.location.line) == ("traffic.sv", 38)
    for finding in (wrong, breach):
        assert (project.folder.path / finding.evidence[0]).is_file()
    assert rows["short", 1]["waveform"] is None
    missing = [f.message for f in result.findings if f.rule == "fsm-arc"]
    assert any("YELLOW -> RED" in message for message in missing)
    assert {"coverage-goal", "test-failed", "fsm-state"} <= rules(result)
    assert result.summary["coverage"]["fsm"] < 100 and "goal is 100 %" in result.reason
    assert (
        result.reason.startswith("2 tests failed: ") and "5 test runs, seed 1," in result.bounds[0]
    )


def test_failing_test_gets_its_waveform_without_fsm_coverage(project):
    """Where nothing is traced at first, a failing test is run again for its waveform."""
    result = project.check(
        {
            "testbenches": ["tb/test_mixed.py"],
            "coverage": False,
            "seed": 7,
        }
    )
    assert result.verdict is Verdict.FAILED and result.summary["coverage"] == {}
    row = project.tests()["wrong", 7]
    assert (project.folder.artifacts / row["waveform"]).is_file()
    assert sum(r["waveform"] is not None for r in project.tests().values()) == 1
    assert not (project.folder.artifacts / "coverage.xml").exists()


def test_hostile_tests(project, tmp_path, shared_cache, monkeypatch):
    """Tests that hang, exit, eat memory or lie are an error; they reach nothing outside."""
    needs("bubblewrap")
    monkeypatch.setattr(running, "MEMORY_BYTES", 500 << 20)
    outside = tmp_path / "outside"
    outside.mkdir()
    bare(project)
    shutil.copy(DESIGNS / "sim_hostile" / "test_hostile.py", project.path / "tb")
    targets = [outside, project.path, *sorted((shared_cache / "verilator").glob("*"))]
    (project.path / "tb" / "targets").write_text("\n".join(map(str, targets)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        (project.path / "tb" / "port").write_text(str(server.getsockname()[1]))
        result = project.check(
            {"testbenches": ["tb/test_hostile.py"], "timeout_seconds": 8}, top="tiny"
        )
    assert result.state is State.ERROR and result.verdict is None
    rows = {name: row for (name, _), row in project.tests().items()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "fine": "passed",
        "never_ends": "timeout",
        "leaves": "crashed",
        "claims_and_leaves": "crashed",
        "eats_memory": "crashed",
        "prints_much": "passed",
        "reaches_out": "passed",
    }
    assert "memory limit" in rows["eats_memory"]["message"]
    assert "8 s" in rows["never_ends"]["message"] and "never_ends" in result.reason
    assert not list(tmp_path.rglob("openforge_escaped"))
    assert not list(shared_cache.rglob("openforge_escaped"))
    log = project.folder.artifacts / "logs" / "test_hostile.prints_much.seed1.log"
    assert log.stat().st_size < 2 << 20 and b"left out" in log.read_bytes()


def test_hostile_rtl_touches_nothing(project, tmp_path):
    """$system and $readmemh see the sandbox only; what they want of the host is not there."""
    needs("bubblewrap")
    bare(project, TICK)
    (project.path / "tiny.sv").write_text(
        "module tiny(input logic clk, output logic [7:0] q);\n"
        f'initial $system("touch {tmp_path}/escaped; touch {project.path}/escaped");\n'
        'logic [7:0] memory [0:9];\ninitial $readmemh("/etc/passwd", memory);\n'
        "always_ff @(posedge clk) q <= memory[0];\nendmodule\n"
    )
    result = project.check({"testbenches": ["tb/*.py"], "coverage": False}, top="tiny")
    assert not list(tmp_path.rglob("escaped"))
    assert result.state is State.ERROR and rules(result) == {"test-crashed", "simulator-warning"}
    for finding in result.findings:
        assert "/etc/passwd" in finding.message and "not f" in finding.message
    logs = b"".join(path.read_bytes() for path in project.folder.artifacts.rglob("*.log"))
    assert b"/etc/passwd" in logs and b"root:" not in logs


@pytest.mark.parametrize(
    ("loop", "verdict", "message"),
    [
        ("initial while (1) n = n + 1;", None, "did not end within 2 s"),
        ("always_comb n = ~n;", Verdict.FAILED, "did not converge"),
    ],
)
def test_rtl_that_never_ends(project, loop, verdict, message):
    """A design that simulates for ever at one point in time is never passed."""
    bare(project, TICK)
    (project.path / "tiny.sv").write_text(
        f"module tiny(input logic clk, output logic q);\nint n;\n{loop}\n"
        "always_ff @(posedge clk) q <= n[0];\nendmodule\n"
    )
    settings = {"testbenches": ["tb/*.py"], "coverage": False, "timeout_seconds": 2}
    result = project.check(settings, top="tiny")
    assert result.verdict is verdict
    assert message in project.tests()["t", 1]["message"]


def test_modules_without_tests(project):
    """No test, or a module that cannot be imported, is an error that says so: never 'passed'."""
    bare(project, "import cocotb\n")
    with pytest.raises(ToolError, match=r"tb/test_0\.py: no cocotb test found"):
        project.check({"testbenches": ["tb/test_0.py"]}, top="tiny")
    (project.path / "tb" / "test_0.py").write_text("import cocotb\ndef broken(:\n")
    with pytest.raises(ToolError, match="SyntaxError"):
        project.check({"testbenches": ["tb/test_0.py"]}, top="tiny")
    (project.path / "tb" / "helper.py").write_text("import cocotb\n1 / 0\n")
    (project.path / "tb" / "test_0.py").write_text("import helper\n")
    with pytest.raises(ToolError, match="division by zero") as told:
        project.check({"testbenches": ["tb/test_0.py"]}, top="tiny")
    frames = [line for line in str(told.value).splitlines() if line.startswith("  File ")]
    assert len(frames) == 2 and "test_0.py" in frames[0] and "helper.py" in frames[1]
    (project.path / "tb" / "test_0.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(ToolError, match="SystemExit"):
        project.check({"testbenches": ["tb/test_0.py"]}, top="tiny")
    (project.path / "tb" / "test_0.py").write_text("import os\nos._exit(0)\n")
    with pytest.raises(ToolError, match="could not be listed"):
        project.check({"testbenches": ["tb/test_0.py"]}, top="tiny")


def test_nothing_was_simulated(project):
    """Without benches the check is skipped; with tests that do nothing it is inconclusive."""
    assert project.check({}).verdict is Verdict.SKIPPED
    bare(project, "import cocotb\n@cocotb.test(skip=True)\nasync def t(dut):\n    pass\n")
    result = project.check({"testbenches": ["tb/*.py"]}, top="tiny")
    assert result.verdict is Verdict.INCONCLUSIVE and "skipped" in result.reason
    (project.path / "tb" / "test_0.py").write_text(TICK.replace("await Timer(1, 'ns')", "pass"))
    result = project.check({"testbenches": ["tb/*.py"], "coverage": False}, top="tiny")
    assert result.verdict is Verdict.INCONCLUSIVE and "never simulated" in result.reason
    assert rules(result) == {"test-no-time"}


def test_a_test_that_depends_on_chance_is_told(project):
    """Where the second run of a failing test passes, a finding says that it is not repeatable."""
    bare(
        project,
        "import cocotb, os\n@cocotb.test()\nasync def t(dut):\n"
        "    assert os.getcwd().endswith('-traced'), 'only now'\n",
    )
    result = project.check({"testbenches": ["tb/*.py"], "coverage": False}, top="tiny")
    assert result.verdict is Verdict.FAILED
    assert rules(result) == {"test-failed", "test-nondeterministic"}
    assert project.table("tests")[0]["waveform"] is None


def test_names_that_are_no_modules(project):
    """A bench that cannot be imported by its name is refused before anything is built."""
    bare(project)
    (project.path / "tb" / "test-x.py").write_text("")
    with pytest.raises(OpenForgeError, match="cannot be a module's name"):
        project.check({"testbenches": ["tb/*.py"]}, top="tiny")


def test_goal_that_cannot_be_measured(project):
    """A goal for something the design does not have is an error, not a pass."""
    bare(project, "import cocotb\n@cocotb.test()\nasync def t(dut):\n    pass\n")
    result = project.check({"testbenches": ["tb/*.py"], "coverage_goals": {"fsm": 50}}, top="tiny")
    assert result.state is State.ERROR and "goal for fsm coverage" in result.reason


def test_design_that_verilator_rejects(project):
    """What slang accepts and Verilator does not is an error with Verilator's first message."""
    bare(project, "import cocotb\n@cocotb.test()\nasync def t(dut):\n    pass\n")
    (project.path / "tiny.sv").write_text(
        "module tiny(input logic clk, output logic q);\nevent a, b;\n"
        "always_ff @(posedge clk) q <= ~q;\ninitial begin wait_order(a, b); end\nendmodule\n"
    )
    with pytest.raises(DesignError, match=r"(?s)Verilator cannot build.*tiny\.sv:4.*wait_order"):
        project.check({"testbenches": ["tb/*.py"]}, top="tiny")


def test_systemverilog_benches(project):
    """A bench passes at its $finish; an $error, or an end without $finish, fails it."""
    result = project.check({"testbenches": ["tb/*_tb.sv"], "coverage": {"fsm": False}})
    assert result.verdict is Verdict.FAILED
    rows = {name: row for (name, _), row in project.tests().items()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "traffic_tb": "passed",
        "traffic_bad_tb": "failed",
        "traffic_stuck_tb": "failed",
    }
    assert "$finish was not reached" in rows["traffic_stuck_tb"]["message"]
    bad = next(f for f in result.findings if "traffic_bad_tb" in f.message)
    assert (bad.location.file, bad.location.line) == ("tb/traffic_bad_tb.sv", 10)
    assert (project.folder.artifacts / rows["traffic_bad_tb"]["waveform"]).is_file()
    assert {row["file"] for row in project.table("coverage")} == {"traffic.sv"}


def test_icarus(project):
    """Icarus Verilog runs the same tests; state machines are the only coverage it gives."""
    needs("icarus")
    result = project.check(
        {
            "tool": "icarus",
            "testbenches": ["tb/test_good.py", "tb/*_tb.sv"],
            "coverage_goals": {"fsm": 100},
        }
    )
    assert {key[0]: row["status"] for key, row in project.tests().items()} == {
        "every_arc": "passed",
        "reset_only": "passed",
        "traffic_tb": "passed",
        "traffic_bad_tb": "failed",
        "traffic_stuck_tb": "failed",
    }
    assert result.summary["coverage"] == {"fsm": 100.0}
    result = project.check(
        {"tool": "icarus", "testbenches": ["tb/test_good.py"], "coverage_goals": {"line": 50}}
    )
    assert result.state is State.ERROR and "does not measure" in result.reason


WRITES = """module tiny(input logic clk, output logic q);
  initial q = 0;
  always @(posedge clk) q <= ~q;
  always @(posedge clk) begin $write("state "); if (q BAD) $error("bad q"); end
endmodule
"""
CLOCKED = """import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
@cocotb.test()
async def t(dut):
    Clock(dut.clk, 10, unit="ns").start()
    for _ in range(20):
        await FallingEdge(dut.clk)
"""
TINY_BENCH = """module tiny_tb;
  logic clk = 0; wire q;
  tiny dut(.*);
  always #5 clk = ~clk;
  initial begin repeat (20) @(negedge clk); $finish; end
endmodule
"""


def only(project, settings, rtl=RTL, test=CLOCKED, **more):
    """The result of a project of one module, `rtl`, and one test, Python or SystemVerilog."""
    bare(project)
    (project.path / "tiny.sv").write_text(rtl)
    name = "tiny_tb.sv" if test.startswith("module") else "test_0.py"
    (project.path / "tb" / name).write_text(test)
    settings = {"testbenches": [f"tb/{name}"], "coverage": False, **settings}
    return project.check(settings, top="tiny", **more)


@pytest.mark.parametrize("test", [CLOCKED, TINY_BENCH])
@pytest.mark.parametrize("tool", ["icarus", "verilator"])
def test_an_error_after_a_write_is_seen(project, tool, test):
    """An $error fails the test also where the design has written to the line before."""
    needs(tool)
    bad = only(project, {"tool": tool}, WRITES.replace("BAD", ""), test)
    assert bad.verdict is Verdict.FAILED and "bad q" in bad.findings[0].message
    assert (bad.findings[0].location.file, bad.findings[0].location.line) == ("tiny.sv", 4)
    good = only(project, {"tool": tool}, WRITES.replace("BAD", "=== 2"), test)
    assert good.verdict is Verdict.PASSED, good.reason


@pytest.mark.parametrize("tool", ["icarus", "verilator"])
def test_a_python_test_may_print_what_it_likes(project, tool):
    """Text of a Python test is not taken for the simulator's report of an error."""
    needs(tool)
    text = CLOCKED + "    print('ERROR: expected.txt:12: as it should be')\n"
    assert only(project, {"tool": tool}, test=text).verdict is Verdict.PASSED


DELAYED = """module tiny(input logic clk, output logic [3:0] q);
  initial begin q = 1; #DELAY q = 9; end
endmodule
"""


@pytest.mark.parametrize("tool", ["icarus", "verilator"])
def test_delays_of_the_design_take_their_time(project, tool):
    """A delay in the RTL lasts as long as it says, for Python tests in both simulators."""
    needs(tool)
    text = CLOCKED + "    assert int(dut.q.value) == 9\n"
    early = only(project, {"tool": tool}, DELAYED.replace("DELAY", "1000"), text)
    assert early.verdict is Verdict.FAILED and "1 == 9" in early.findings[0].message
    late = only(project, {"tool": tool}, DELAYED.replace("DELAY", "100"), text)
    assert late.verdict is Verdict.PASSED, late.reason


@pytest.mark.parametrize(
    "declared",
    ["logic [511:0] k", "logic [7:0] k [64]", "logic [7:0] _k", "struct packed {logic a;} k"],
)
def test_toggles_of_any_signal_count(project, declared):
    """A wide register, a memory and a name with '_' that never toggle keep the goal from 100 %."""
    name = "_k" if "_k" in declared else "k"
    rtl = (
        "module tiny(input logic clk, output logic q);\ninitial q = 0;\n"
        f"always_ff @(posedge clk) q <= ~q;\n{declared};\n"
        f"always_ff @(posedge clk) if (clk && !clk) {name} <= {{default: '1}};\nendmodule\n"
    ).replace("{default: '1}", "'{default: '1}" if "[64]" in declared else "'1")
    settings = {"coverage": {"fsm": False}, "coverage_goals": {"toggle": 100}}
    result = only(project, settings, rtl)
    assert result.verdict is Verdict.FAILED and "toggle coverage is" in result.reason
    assert not any("leaves out" in text for text in result.assumptions)


def test_what_coverage_leaves_out_is_said(project):
    """What Verilator does not count is an assumption of the result, with its place or name."""
    rtl = (
        "module tiny(input logic clk, output logic q);\ninitial q = 0;\n"
        "always_ff @(posedge clk) q <= ~q;\nlogic [31:0] memory [4096];\n"
        "// verilator coverage_off\n"
        "always_ff @(posedge clk) if (q) memory[0] <= 1;\nendmodule\n"
    )
    said = only(project, {"coverage": {"fsm": False}}, rtl).assumptions
    assert any("coverage_off: tiny.sv:5" in text for text in said)
    assert any("leaves out memory (131072 bits)" in text for text in said)
    plain = only(project, {"coverage": {"fsm": False}})
    assert not any("leaves out" in text for text in plain.assumptions)


@pytest.mark.parametrize("tool", ["icarus", "verilator"])
def test_a_finish_of_the_design_passes_no_bench(project, tool):
    """A $finish in the RTL, before the bench has checked anything, is not the bench's."""
    needs(tool)
    rtl = RTL.replace("endmodule", "initial q = 0; always @(posedge clk) if (q) $finish; endmodule")
    bench = TINY_BENCH.replace("$finish", "$fatal(1)")
    if tool == "icarus":
        with pytest.raises(DesignError, match=r"tiny\.sv:1: a \$finish in the design"):
            only(project, {"tool": tool}, rtl, bench)
    else:
        result = only(project, {"tool": tool}, rtl, bench)
        assert (
            result.verdict is Verdict.FAILED and "$finish in tiny.sv" in result.findings[0].message
        )
    assert only(project, {"tool": tool}, test=TINY_BENCH).verdict is Verdict.PASSED


def test_assertions_that_fail_silently_are_said(project):
    """An else branch without $error keeps an assertion from failing the test: it is listed."""
    rtl = RTL.replace(
        "endmodule", 'always @(posedge clk) a_q: assert (!q) else WORD("q is high"); endmodule'
    )
    result = only(project, {}, rtl.replace("WORD", "$warning"))
    assert any("fails no test: a_q (tiny.sv:1" in text for text in result.assumptions)
    assert "q is high" in result.findings[0].message
    result = only(project, {}, rtl.replace("WORD", "$error"))
    assert result.verdict is Verdict.FAILED
    assert not any("fails no test" in text for text in result.assumptions)


def test_icarus_uses_a_parameter_or_refuses_it(project):
    """Icarus would go on with the default of a parameter whose value is no literal."""
    needs("icarus")
    rtl = "module tiny #(parameter LIMIT = 9)(input logic clk, output logic [3:0] q);\n"
    rtl += "assign q = LIMIT;\nendmodule\n"
    test = CLOCKED + "    assert int(dut.q.value) == 3\n"
    good = only(project, {"tool": "icarus"}, rtl, test, parameters={"LIMIT": "3"})
    assert good.verdict is Verdict.PASSED, good.reason
    for value in ("2+1", "4'b1x"):
        with pytest.raises(DesignError, match=r"takes literals only.*tiny\.LIMIT"):
            only(project, {"tool": "icarus"}, rtl, test, parameters={"LIMIT": value})


ROM = """module tiny(input logic clk, output logic [7:0] q);
  logic [7:0] rom [2];
  initial $readmemh("FILE", rom);
  always @(posedge clk) q <= rom[1];
endmodule
"""


@pytest.mark.parametrize("tool", ["icarus", "verilator"])
def test_memory_files_of_the_project(project, tool):
    """A memory is loaded from a file of the project; one that is not there is an error."""
    needs(tool)
    test = CLOCKED + "    assert int(dut.q.value) == 0x2a\n"
    bare(project, test)
    (project.path / "rtl").mkdir()
    (project.path / "rtl" / "rom.hex").write_text("11\n2a\n")
    settings = {"tool": tool, "testbenches": ["tb/test_0.py"], "coverage": False}
    (project.path / "tiny.sv").write_text(ROM.replace("FILE", "rtl/rom.hex"))
    result = project.check(settings, top="tiny")
    assert result.verdict is Verdict.PASSED, result.reason
    (project.path / "tiny.sv").write_text(ROM.replace("FILE", "rom.hex"))
    (project.path / "tb" / "test_0.py").write_text(CLOCKED)
    result = project.check(settings, top="tiny")
    assert result.state is State.ERROR and "did not find 'rom.hex'" in result.reason
    assert project.tests()["t", 1]["status"] == "crashed"


def test_a_cover_property_counts_in_each_instance(project):
    """One of two instances that never sees the event keeps the goal for user points from 100 %."""
    rtl = """module part(input logic clk, input logic v); c_v: cover property (@(posedge clk) v);
endmodule
module tiny(input logic clk, output logic q);
  initial q = 0;
  always_ff @(posedge clk) q <= ~q;
  part u0(.clk, .v(q));
  part u1(.clk, .v(SECOND));
endmodule
"""
    settings = {"coverage": {"fsm": False}, "coverage_goals": {"user": 100, "line": 100}}
    for test in (CLOCKED, TINY_BENCH):
        bad = only(project, settings, rtl.replace("SECOND", "1'b0"), test)
        assert bad.verdict is Verdict.FAILED and "50.0 % (1 of 2)" in bad.reason
        names = {r["name"]: r["hits"] > 0 for r in project.table("coverage") if r["kind"] == "user"}
        assert names == {"u0.c_v": True, "u1.c_v": False}
        good = only(project, settings, rtl.replace("SECOND", "!q"), test)
        assert good.verdict is Verdict.PASSED, good.reason


def test_a_finish_behind_much_text_is_seen(project):
    """However much was written to the line before, a $finish is told to be the bench's or not."""
    long = 'repeat (9000) $write("0123456789"); $finish;'
    bench = TINY_BENCH.replace("$finish;", long)
    assert only(project, {}, test=bench).verdict is Verdict.PASSED
    rtl = RTL.replace("endmodule", f"initial begin #20 {long} end endmodule")
    assert only(project, {}, rtl, TINY_BENCH).verdict is Verdict.FAILED
