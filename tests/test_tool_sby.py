"""SymbiYosys: the .sby text, and what captured logs of version 0.70 are read as."""

from pathlib import Path

from openforge.tools import sby

LOGS = Path(__file__).parent / "logs"
SMT = ("smtbmc --keep-going bitwuzla", "smtbmc --keep-going z3")


def _lines(name):
    return (LOGS / name).read_text(encoding="utf-8").splitlines()


def test_failures_come_with_their_step_and_witness():
    """A failing base case names each assertion once, with the step and the trace."""
    status, reports = sby.parse(_lines("sby_0.70_fail.log"), SMT)
    hits = [hit for report in reports if report.part == "basecase" for hit in report.hits]
    assert status is sby.Status.FAIL
    assert hits
    assert all(hit.witness and hit.witness.endswith(".yw") and hit.step >= 0 for hit in hits)


def test_covers_come_with_their_step():
    """Each cover point that was reached has its cycle."""
    status, reports = sby.parse(_lines("sby_0.70_cover.log"), ("smtbmc bitwuzla",))
    steps = {hit.name: hit.step for report in reports for hit in report.hits}
    assert steps["of_alive"] == 1
    assert status in (sby.Status.PASS, sby.Status.FAIL)


def test_a_log_without_an_end_is_an_error():
    """A killed run has no verdict, whatever an engine said before."""
    lines = [line for line in _lines("sby_0.70_cover.log") if "DONE" not in line]
    assert sby.parse(lines, ("smtbmc bitwuzla",))[0] is sby.Status.ERROR


def test_contradicting_assumptions_are_seen():
    """PREUNSAT is neither a pass nor a failure of an assertion."""
    lines = [
        "SBY 10:00:00 [run] engine_0.basecase: ##   0:00:00  Checking assumptions in step 3..",
        "SBY 10:00:00 [run] engine_0.basecase: ##   0:00:00  Assumptions are unsatisfiable!",
        "SBY 10:00:00 [run] engine_0.basecase: ##   0:00:00  Status: PREUNSAT",
        "SBY 10:00:00 [run] DONE (ERROR, rc=16)",
    ]
    status, (report,) = sby.parse(lines, SMT)
    assert (status, report.contradiction, report.step) == (sby.Status.ERROR, True, 3)


def test_the_configuration_has_what_the_task_says():
    """Mode, depth, engines and top are in the text."""
    task = sby.Task("t", "prove", 7, SMT, "module", "dut", 12.4, multiclock=True)
    text = sby.config(task)
    assert "mode prove\ndepth 7\n" in text
    assert "timeout 12\nmulticlock on" in text
    assert "hierarchy -top dut" in text
