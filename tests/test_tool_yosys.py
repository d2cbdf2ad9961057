"""Yosys: the command on pyosys, scripts in the sandbox, and reading designs with any path."""

import subprocess
import sys

import pytest

from openforge.errors import ToolError, ToolTimeout
from openforge.model import Location
from openforge.tools import yosys
from openforge.tools.process import Limits
from openforge.tools.yosys import Reading

GOOD = "module top (input a, output b); assign b = ~a; endmodule\n"


def command(folder, *words):
    """Run the `yosys` command in `folder`."""
    return subprocess.run(
        [sys.executable, "-s", yosys.SHIM, *words], cwd=folder, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.v").write_text(GOOD)
    (tmp_path / "good.ys").write_text("read_verilog a.v\nwrite_rtlil a.il\n")
    (tmp_path / "bad.ys").write_text("read_verilog a.v\nno_such_pass\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["-s", "good.ys"],
        ["good.ys"],
        ["-p", "read_verilog a.v; write_rtlil a.il"],
        ["-Q", "-T", "-t", "-p", "read_verilog a.v\nwrite_rtlil a.il"],
        ["-p", "write_rtlil a.il", "a.v"],
    ],
)
def test_commands_come_from_scripts_options_and_files(folder, words):
    """All the ways in which SymbiYosys hands over commands do the same."""
    done = command(folder, *words)
    assert done.returncode == 0, done.stderr
    assert "module" in (folder / "a.il").read_text()


def test_quiet_and_log(folder):
    """With -ql nothing is printed and everything is in the log; with -l it is in both."""
    done = command(folder, "-ql", "q.log", "good.ys")
    assert (done.returncode, done.stdout) == (0, "")
    assert "RTLIL" in (folder / "q.log").read_text()
    done = command(folder, "-l", "l.log", "-p", "read_verilog a.v; stat")
    assert "Parsing" in done.stdout
    assert "Parsing" in (folder / "l.log").read_text()
    assert "top" in (folder / "l.log").read_text().rpartition("statistics")[2]


@pytest.mark.parametrize(
    "words", [["bad.ys"], ["-ql", "x.log", "bad.ys"], ["-l", "x.log", "bad.ys"]]
)
def test_a_pass_that_fails_is_said(folder, words):
    """The exit code is 1 and the error is on stderr, however the log is set."""
    done = command(folder, *words)
    assert done.returncode == 1
    assert "ERROR: No such command: no_such_pass" in done.stderr


def test_odd_words(folder):
    """The version is pyosys', an unknown option is an error."""
    assert command(folder, "-V").stdout.startswith("Yosys 0.")
    assert command(folder, "-Z").returncode == 1


def test_a_script_that_fails_names_error_and_place(tmp_path):
    """A syntax error is reported with its file and line, and the log's path."""
    (tmp_path / "a.sv").write_text("module top (input a output b);\nendmodule")
    script = yosys.read_slang(Reading("top", [tmp_path / "a.sv"]), tmp_path)
    with pytest.raises(ToolError, match=r"a\.sv:1: ERROR: ") as caught:
        yosys.run_script(script, cwd=tmp_path, log=tmp_path / "y.log", writable=[tmp_path])
    assert caught.value.log == tmp_path / "y.log"


def test_a_script_that_never_ends_is_ended(folder, monkeypatch):
    """The time limit is a ToolTimeout, not a failure of the design."""
    endless = folder / "endless.py"
    endless.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(yosys, "SHIM", endless)
    with pytest.raises(ToolTimeout):
        yosys.run_script(
            "read_verilog a.v", cwd=folder, log=folder / "y.log", writable=[folder],
            limits=Limits(timeout_s=0.3),
        )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["plain", "two words", "é ü", "dollar $HOME", 'quote "x"', "semi;colon #1"]
)
def test_slang_reads_any_path(tmp_path, name):
    """Whatever is in a name reaches slang in Yosys, with includes, macros and parameters."""
    source = tmp_path / "p" / name / f"{name}.sv"
    (source.parent / "inc").mkdir(parents=True)
    (source.parent / "inc" / "w.svh").write_text("`define W 4\n")
    source.write_text(
        '`include "w.svh"\nmodule top #(parameter int N = 1, parameter S = "")\n'
        "(output [`W-1:0] a, output [N-1:0] b, output [$bits(S)-1:0] c);\n"
        "assign a = 1; assign b = `V; assign c = S; endmodule"
    )
    work = tmp_path / "work"
    work.mkdir()
    reading = Reading(
        "top", [source], [source.parent / "inc"], {"V": "$bits(a)  + 1"}, {"N": "5", "S": '"$x y"'}
    )
    script = yosys.read_slang(reading, work) + "\nwrite_json o.json\nwrite_rtlil o.il"
    yosys.run_script(
        script, cwd=work, log=work / "y.log", readable=[tmp_path / "p"], writable=[work]
    )
    text = (work / "o.il").read_text("utf-8", "replace")
    assert "wire width 5 output 2 \\b" in text
    assert "wire width 32 output 3 \\c" in text
    found = yosys.relative_json((work / "o.json").read_bytes(), cwd=work, project=tmp_path / "p")
    expected = f'"{name}/{name}.sv:2.'.replace('"x"', '\\"x\\"')
    assert expected.encode() in found


def test_host_files_are_out_of_reach(tmp_path):
    """$readmemh of a host file fails in the sandbox."""
    (tmp_path / "a.sv").write_text(
        "module top (input [3:0] a, output logic [7:0] b);\n logic [7:0] m [16];\n"
        ' initial $readmemh("/etc/passwd", m);\n assign b = m[a]; endmodule'
    )
    script = yosys.read_slang(Reading("top", [tmp_path / "a.sv"]), tmp_path)
    with pytest.raises(ToolError, match=r"/etc/passwd|readmemh"):
        yosys.run_script(script, cwd=tmp_path, log=tmp_path / "y.log", writable=[tmp_path])


def test_places_in_attributes():
    """The first place of a ``src`` attribute counts; one outside the project is none."""
    from pathlib import Path

    root = Path("/p")
    src = "rtl/a b.sv:12.7-12.9|rtl/c.sv:1.1"
    assert yosys.located(src, cwd=root, project=root) == Location(
        file="rtl/a b.sv", line=12, column=7
    )
    assert yosys.located("../p/x.v:3", cwd=Path("/w"), project=root) == Location(file="x.v", line=3)
    assert yosys.located("/etc/x.v:3", cwd=root, project=root) is None
    assert yosys.located("", cwd=root, project=root) is None
