"""What cocotb leaves behind, as read by OpenForge."""

import json
from pathlib import Path

import pytest

from openforge.errors import ToolError
from openforge.tools import cocotb
from openforge.tools.cocotb import Status

LOGS = Path(__file__).parent / "logs"


def test_captured_results():
    """A results.xml of cocotb 2.1 gives status, message, traceback and simulated time."""
    cases = {c.name: c for c in cocotb.read_results(LOGS / "cocotb-2.1.0-results.xml")}
    assert {name: c.status for name, c in cases.items()} == {
        "good": Status.PASSED,
        "bad": Status.FAILED,
        "skipped": Status.SKIPPED,
        "par/n=1": Status.FAILED,
        "par/n=2": Status.FAILED,
    }
    assert cases["good"].sim_time_ns == 40 and cases["bad"].kind == "AssertionError"
    place = cocotb.failure_place(cases["bad"].traceback, Path("/project"))
    assert (place.file, place.line) == ("tb/test_x.py", 15)
    (sva,) = cocotb.read_results(LOGS / "cocotb-2.1.0-results-sva.xml")
    assert sva.status is Status.FAILED and sva.kind == "SimFailure"
    assert cocotb.failure_place(sva.traceback, Path("/project")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<testsuites>",
        "<testsuites><testcase/></testsuites>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><testsuites/>",
        '<a><testcase classname="m" name="n" time="soon"/></a>',
    ],
)
def test_other_results_are_refused(text):
    """Anything but what cocotb writes is an error, entity tricks included."""
    with pytest.raises(ToolError):
        cocotb.parse_results(text)


def test_results_through_a_link_are_refused(tmp_path):
    """A test cannot make OpenForge read a file of the host for its result."""
    (tmp_path / "results.xml").symlink_to(LOGS / "cocotb-2.1.0-results.xml")
    with pytest.raises(ToolError, match="cocotb left no results"):
        cocotb.read_results(tmp_path / "results.xml")


def test_discovery(tmp_path):
    """Tests are listed once, by stage; an import error carries the module's traceback."""
    path = tmp_path / "tests.json"
    tests = [
        {"module": "m", "name": n, "skip": False, "stage": s}
        for n, s in (("late", 2), ("a", 0), ("a", 0))
    ]
    path.write_text(json.dumps({"tests": tests}))
    assert [t.full for t in cocotb.read_discovery(path)] == ["m.a", "m.late"]
    path.write_text(json.dumps({"error": "SyntaxError: x", "traceback": "in line 3"}))
    with pytest.raises(ToolError, match="SyntaxError: x\nin line 3"):
        cocotb.read_discovery(path)
    for text in ("", "[]", "{}", '{"tests": [{}]}'):
        path.write_text(text)
        with pytest.raises(ToolError):
            cocotb.read_discovery(path)


def test_one_test_is_asked_for_exactly():
    """The filter is the full name, quoted: a name with special characters is no pattern."""
    env = cocotb.test_environment("top", "m", [Path("/tb")], cocotb.TestName("m", "t/a=1.5"), 7)
    assert env["COCOTB_TEST_FILTER"] == r"^m\.t/a=1\.5$" and env["COCOTB_RANDOM_SEED"] == "7"
