"""What the lines of a simulator's output are taken for."""

from pathlib import Path

import pytest

from openforge.engines.simulation.output import Output, first_error

PROJECT = Path("/project")


def said(*lines):
    output = Output("nothing is left")
    for line in lines:
        output.take(line)
    return output


@pytest.mark.parametrize(
    ("line", "file", "number", "message"),
    [
        ("[70] %Error: s.sv:3: Assertion failed in s.a", "s.sv", 3, "Assertion failed in s.a"),
        ("state [70] %Error: s.sv:3: bad: q", "s.sv", 3, "bad: q"),
        ("q=1 ERROR: /project/r:tl/d:ut.sv:12: bad", "r:tl/d:ut.sv", 12, "bad"),
        ("FATAL: /project/a.sv:1: ", "a.sv", 1, "FATAL: /project/a.sv:1:"),
    ],
)
def test_errors_are_found_anywhere_in_a_line(line, file, number, message):
    """Text written before an error, or colons in the path, do not hide it."""
    text, place = first_error(said(line).errors, PROJECT)
    assert (text, place.file, place.line) == (message, file, number)


def test_what_icarus_reports_for_certain():
    """Only the line that ends Icarus' own report of an error counts, not that of a warning."""
    assert said("ERROR: a.sv:1: x", "       Time: 35 Scope: tb.u").reported
    assert not said("WARNING: a.sv:1: x", "         Time: 35 Scope: tb.u").reported
    assert not said("ERROR: expected.txt:12: as it should be").reported
    assert not said("see 'Time: 35 Scope: tb'").reported


def test_an_end_without_finish():
    """The line of the simulator that nothing is left to do says that $finish was not reached."""
    assert said("a", "b").finished and not said("a", "nothing is left").finished


def test_a_warning_is_kept_once():
    """The same warning at another time is the same warning."""
    lines = [f"[{time}] %Warning: a.sv:1: a.a_p: too large" for time in (10, 20)]
    assert said(*lines, "WARNING: b.sv:2: x").warnings == [
        "%Warning: a.sv:1: a.a_p: too large",
        "WARNING: b.sv:2: x",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "%Warning: rtl/rom.hex:0: $readmem file not found",
        "ERROR: /p/a.sv:1: $readmemh: Unable to open rtl/rom.hex for reading.",
    ],
)
def test_a_memory_file_that_is_not_there(line):
    """Both simulators name the file that $readmemh did not find."""
    assert said(line).missing == "rtl/rom.hex" and said("fine").missing == ""


def test_a_system_task_of_icarus_that_fails():
    """Icarus' errors of its own system tasks are certain, too."""
    assert said("x ERROR: /p/a.sv:1: $readmemh: Invalid input character: z").reported
