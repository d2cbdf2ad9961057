"""Job folders made up for tests: every kind of check and outcome, and names meant to do harm."""

import json

from openforge.check import finding_row
from openforge.model import (
    Finding,
    Level,
    Location,
    Metric,
    Provenance,
    Result,
    Stage,
    State,
    ToolUse,
    Verdict,
)
from openforge.record import JobFile, read_job
from openforge.run_folder import RunFolder
from openforge.workspace import write_job

EVIL = "<script>alert('x')</script>\"'&|`{{7*7}}"
SOURCE = "module alu;\n\tassign y = <b>a</b>;\n  wire [3:0] z;\nendmodule\n"
STARTED, ENDED = "2026-01-15T10:30:00.000+00:00", "2026-01-15T10:31:05.500+00:00"


def make(workspace, job_id="job_1", *, project=EVIL, state=State.DONE, checks=("lint",)):
    """A finished job in `workspace` with the `checks` named, and how each of them is to end."""
    path = workspace / "runs" / job_id
    (path / "project" / "rtl").mkdir(parents=True)
    (path / "project" / "rtl" / "alu.sv").write_text(SOURCE)
    stages = {name: _STAGES[name] for name in checks}
    file = JobFile(
        job_id=job_id,
        project=project,
        source="designs/alu",
        stages=tuple(dict.fromkeys(stages.values())),
        checks=stages,
        submitted_at=STARTED,
        started_at=STARTED,
        finished_at=ENDED if state.final else None,
        state=state,
    )
    write_job(path, file)
    for name in checks:
        _SEALERS[name](RunFolder.create(path / f"{name}.tmp"))
    return read_job(path)


def make_full(workspace, job_id="job_1", **options):
    """A job with a failed lint, a simulation that passed, and a formal check in error."""
    return make(workspace, job_id, checks=("lint", "simulation", "formal"), **options)


def provenance(params=None):
    """What a check rests on, with a seed and a tool."""
    return Provenance(
        openforge_version="0.1.0",
        design_hash="c0ffee" * 10,
        params=params or {},
        seed=7,
        tools=(ToolUse(name="verilator", version="5.48.0"),),
        sandbox="bubblewrap 0.8.0",
        started_at=STARTED,
        duration_s=1.5,
    )


def finish(folder, result, *, error="", duration_s=2.125):
    """Write `result` and seal `folder` as the runner does; without a result, as an error."""
    state = result.state if result else State.ERROR
    if result:
        folder.table("findings", [finding_row(f) for f in result.findings])
        folder.table("metrics", [m.model_dump() for m in result.metrics])
        folder.write_json("result.json", result.model_dump_json())
    (folder.path / "notebook.ipynb").write_text(json.dumps({"cells": []}))
    verdict = result.verdict if result else None
    folder.seal(folder.path.stem, state, verdict, error, STARTED, duration_s)


def _lint(folder):
    findings = (
        Finding(
            rule="WIDTHTRUNC",
            level=Level.ERROR,
            message=f"the name {EVIL} is too wide",
            location=Location(file="rtl/alu.sv", line=2, column=9),
            excerpt="\tassign y = <b>a</b>;",
            tool="verilator",
        ),
        Finding(rule="style", level=Level.NOTE, message="waived one", waived_by="agreed upon"),
    )
    result = Result(
        check="lint",
        stage=Stage.LINT,
        verdict=Verdict.FAILED,
        reason="1 error",
        findings=findings,
        metrics=(Metric(name="errors", value=1),),
        summary={"warnings": 0, "errors": 1},
        provenance=provenance({"fail_on": "error"}),
    )
    finish(folder, result)


def _simulation(folder):
    test = {"module": "test_alu", "seed": 7, "status": "passed", "duration_s": 0.5}
    wrong = {"status": "failed", "message": f"{EVIL}\nmore", "traceback": f"at {EVIL}"}
    folder.table(
        "tests",
        [
            {**test, "name": "adds", "sim_time_ns": 1250.0, "message": ""},
            {**test, "name": EVIL, "seed": None, "duration_s": None, **wrong, "waveform": "a.fst"},
        ],
    )
    point = {"file": "rtl/alu.sv", "scope": "alu", "name": "", "kind": "line"}
    folder.table(
        "coverage",
        [
            {**point, "line": 2, "hits": 4},
            {**point, "line": 3, "hits": 0},
            {**point, "kind": "toggle", "line": 2, "name": "y:0->1", "hits": 1},
            {**point, "kind": "fsm_arc", "line": None, "name": f"A->{EVIL}", "hits": 0},
        ],
    )
    result = Result(
        check="simulation",
        stage=Stage.SIMULATION,
        verdict=Verdict.PASSED,
        bounds=("2 test runs",),
        assumptions=("two-state simulation",),
        metrics=(Metric(name="coverage_line", value=50.0, unit="%"),),
        summary={"tests_passed": 2, "tests_failed": 0, "coverage": {"line": 50.0, "fsm": None}},
        provenance=provenance({"coverage_goals": {"line": 95.0, "user": None}}),
    )
    (folder.artifacts / "a.fst").write_bytes(b"waves")
    finish(folder, result)


def _formal(folder):
    folder.table(
        "properties",
        [
            {
                "name": f"u_alu.{EVIL}",
                "kind": "assert",
                "file": "rtl/alu.sv",
                "line": 3,
                "status": "bounded",
                "engine": "smtbmc z3",
                "depth": 12,
                "message": "holds for 12 cycles",
            },
            {"name": "c_done", "kind": "cover", "status": "covered"},
        ],
    )
    result = Result(
        check="formal",
        stage=Stage.FORMAL,
        state=State.ERROR,
        reason="the solver ended with signal 9",
        summary={"properties_proven": 0, "properties_failed": 0, "properties_inconclusive": 1},
    )
    finish(folder, result, error="the solver ended with signal 9")


def _crypto(folder):
    result = Result(
        check=folder.path.stem,
        stage=Stage.CRYPTO,
        verdict=Verdict.SKIPPED,
        reason="no secrets declared",
    )
    finish(folder, result)


def _nothing(folder):
    finish(folder, None, error="the kernel died")


_SEALERS = {
    "lint": _lint,
    "simulation": _simulation,
    "formal": _formal,
    "constant_time": _crypto,
    "side_channel": _nothing,
}
_STAGES = {
    "lint": Stage.LINT,
    "simulation": Stage.SIMULATION,
    "formal": Stage.FORMAL,
    "constant_time": Stage.CRYPTO,
    "side_channel": Stage.CRYPTO,
}
