"""Verilator as a simulator: its command line, its errors, its run-time objects."""

from pathlib import Path

import pytest
from conftest import needs

from openforge.errors import OpenForgeError
from openforge.tools import verilator, verilator_runtime

LOG = Path(__file__).parent / "logs" / "verilator-5.48-errors.log"


def model(**changes):
    return verilator.Model(
        **{
            "top": "top",
            "sources": (Path("/project/a b.sv"),),
            "main": Path("/main.cpp"),
            **changes,
        }
    )


def test_command_line():
    """Parameters, macros, folders and coverage reach Verilator; kinds share a switch."""
    needs("verilator")
    words = [
        str(word)
        for word in verilator.argv(
            model(
                coverage=frozenset({"line", "branch"}),
                parameters={"W": "8"},
                defines={"D": "1"},
                includes=(Path("/project/inc"),),
            ),
            Path("/out"),
        )
    ]
    assert words[0].endswith("verilator_bin") and words[-1] == "/project/a b.sv"
    assert words.count("--coverage-line") == 1 and "--coverage-toggle" not in words
    assert {"-GW=8", "-DD=1", "-I/project/inc", "--assert", "--vpi"} <= set(words)
    assert "--vpi" not in verilator.argv(model(vpi=False), Path("/out"))


@pytest.mark.parametrize("bad", [{"top": "--exe"}, {"defines": {"A;B": "1"}}, {"top": ""}])
def test_names_that_are_options_are_refused(bad):
    """A name cannot smuggle a switch into the command line."""
    needs("verilator")
    with pytest.raises(OpenForgeError, match="no Verilog name"):
        verilator.argv(model(**bad), Path("/out"))


def test_errors():
    """Errors become findings with relative places; warnings and the closing line do not."""
    found = verilator.errors(LOG.read_text().splitlines(), Path("/project"))
    assert [(f.rule, str(f.location) if f.location else None) for f in found] == [
        ("verilator", "rtl/a.sv:7:5"),
        ("UNSUPPORTED", "rtl/b.sv:12:3"),
        ("verilator", None),
    ]
    assert found[0].message == "syntax error, unexpected endmodule, expecting ';'"


def test_runtime_objects_are_built_once(tmp_path):
    """The second call finds the objects of the first, and leaves nothing else behind."""
    needs("verilator", "c++")
    first = verilator_runtime.runtime(jobs=2, log=tmp_path / "a.log")
    stamps = [path.stat().st_mtime_ns for path in first.objects]
    assert verilator_runtime.runtime(jobs=2, log=tmp_path / "b.log") == first
    assert [path.stat().st_mtime_ns for path in first.objects] == stamps
    assert not [p for p in first.header.parent.parent.iterdir() if p.name.startswith(".")]
