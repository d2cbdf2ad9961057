"""Job folders made up for tests: every kind of check and outcome, and names meant to do harm."""

import json
import math

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


def make(
    workspace, job_id="job_1", *, project=EVIL, state=State.DONE, checks=("lint",), sealers=None
):
    """A finished job in `workspace` with the `checks` named, and how each of them is to end.

    `sealers` says of some checks who writes them.
    """
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
        sealer = {**_SEALERS, **(sealers or {})}[name]
        sealer(RunFolder.create(path / f"{name}.tmp"))
    return read_job(path)


def make_full(workspace, job_id="job_1", **options):
    """A job with a failed lint, a simulation that passed, and a formal check in error."""
    return make(workspace, job_id, checks=("lint", "simulation", "formal"), **options)


def make_leaking(workspace, job_id="job_1", **options):
    """A job with a side_channel check that failed, with every table, and names meant to do harm."""
    sealers = {"side_channel": leaking}
    return make(workspace, job_id, checks=("side_channel",), sealers=sealers, **options)


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


def leaking(folder):
    """A failed side_channel check: two campaigns of ten cycles, a leak in cycle 6, a key found."""
    for name, found in power_tables().items():
        folder.table(name, found)
    place = {"file": "rtl/alu.sv", "line": 2}
    result = Result(
        check="side_channel",
        stage=Stage.CRYPTO,
        verdict=Verdict.FAILED,
        reason="first-order leak: |t| 107.3 in cycle 6, above the corrected threshold 5.61",
        bounds=("order 1 and 2, 1,024 traces, 10 cycles",),
        assumptions=("the first operation after a reset",),
        findings=(
            Finding(
                rule="power-leak",
                level=Level.ERROR,
                message=f"{EVIL} depends on the secret in cycle 6",
                location=Location(**place),
                tool="openforge",
            ),
        ),
        metrics=(
            Metric(name="corrected_threshold", value=5.61),
            Metric(name="family_wise_level", value=0.0001),
            Metric(name="tests", value=8388),
            Metric(name="traces", value=1024),
            Metric(name="traces_to_detect", value=64),
        ),
        summary={"max_t_value": 107.3, "threshold": 4.5},
        provenance=provenance({"power_model": "hamming_distance", "num_traces": 1024}),
    )
    finish(folder, result)


def power_tables(name=EVIL):
    """Rows of every table of a side_channel check that leaks in cycle 6; `name` is in all names."""
    campaigns, cycles = ("public inputs fixed", "public inputs random"), range(10)
    wave = [math.sin(7.3 * n) for n in range(400)]  # what is to look like chance
    t_values = [
        {
            "series": series,
            "order": order,
            "cycle": cycle,
            "t": (107.3 if order == 1 else -14.2) / (row + 1) if cycle == 6 else 2 * wave[cycle],
            "log10_p": 500.0 if cycle == 6 else 0.5,
        }
        for row, series in enumerate(campaigns)
        for order in (1, 2)
        for cycle in cycles
    ]
    means = [2, 30, 55, 61, 58, 40, 44, 30, 12, 3]
    power = [
        {
            "series": series,
            "cycle": cycle,
            "mean_fixed": means[cycle] + (5.0 if cycle == 6 else 0.0),
            "std_fixed": 3.0,
            "mean_random": float(means[cycle]),
            "std_random": 4.0,
        }
        for series in campaigns
        for cycle in cycles
    ]
    progress = [
        {
            "series": series,
            "order": order,
            "traces": traces,
            "t": (107.3 if order == 1 else -14.2) / (row + 1) * math.sqrt(traces / 1024),
            "cycle": 6,
        }
        for row, series in enumerate(campaigns)
        for order in (1, 2)
        for traces in (16, 64, 256, 1024)
    ]
    return {
        "t_values": t_values,
        "power": power,
        "t_progress": progress,
        "distribution": _distribution(campaigns[0]),
        **_places(name, campaigns[0]),
        **_key(name),
    }


def _distribution(series):
    return [
        {
            "series": series,
            "order": order,
            "cycle": 6,
            "value": float(value),
            "fixed": int(200 * math.exp(-((value - 49) ** 2) / 18)),
            "random": int(160 * math.exp(-((value - 44) ** 2) / 32)),
        }
        for order in (1, 2)
        for value in range(30, 62)
    ]


def _places(name, series):
    place = {"file": "rtl/alu.sv", "line": 2}
    found = {"series": series, "cycle": 6, **place}
    heat = [
        {"name": f"u_{net}.{name}", "cycle": cycle, "z": z, **place}
        for net in range(12)
        for cycle in range(10)
        for z in [(-577.0 / (net + 1) if cycle == 6 else math.sin(net + 10 * cycle) * 3)]
    ]
    kept = {"signal": f"u_0.{name}", "cycle": 0, "value": "0"}
    waves = [
        {**kept, "copy": copy, "cycle": cycle, "value": str(int(cycle == 6 and copy == "b"))}
        for copy in "ab"
        for cycle in range(10)
    ]
    wrong = {"kind": "net", "name": f"u_0.{name}", "statistic": -577.0, "log10_p": 512.5}
    probe = {"kind": "probing set", "name": f"probe.{name}", "statistic": 33.25, "log10_p": 21.0}
    return {
        "leaking": [
            {"position": 0, **wrong, **found},
            {"position": 1, **probe, "members": f"a0, {name}", **found, "line": None},
        ],
        "net_heat": heat,
        "source_heat": [
            {**place, "log10_p": 512.5, "nets": 12, "leaking": 2},
            {**place, "line": 3, "log10_p": 1.5, "nets": 4, "leaking": 0},
        ],
        "waves": waves,
        "interface": [{"field": "shares", "value": name, "given": True}],
        "steps": [{"position": 0, "step": "simulate", "answer": name, "duration_s": 0.5}],
    }


def _key(name):
    ranks = [
        {
            "target": f"S-box {name}",
            "position": byte,
            "traces": traces,
            "rank": max(0, 120 - 30 * byte - 25 * step),
            "guess": 17,
            "correlation": -0.1 * step - 0.01 * byte,
            "wrong": (0.6 + 0.02 * byte) / (step + 1),
        }
        for byte in range(4)
        for step, traces in enumerate((16, 64, 256, 1024))
    ]
    snr = [
        {"target": f"S-box {name}", "position": byte, "cycle": cycle, "snr": snr}
        for byte in range(4)
        for cycle in range(10)
        for snr in [1.5 if cycle == 6 else 0.002]
    ]
    return {"cpa_ranks": ranks, "snr": snr}


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
