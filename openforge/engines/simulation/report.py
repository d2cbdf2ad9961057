"""From test runs and coverage to the tables, findings and the verdict of the check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from openforge.config import SimulationSection
from openforge.design import Design
from openforge.engines.simulation import goals
from openforge.engines.simulation.coverage import Share
from openforge.engines.simulation.judge import Status
from openforge.engines.simulation.running import TestRun
from openforge.model import Finding, Level, Metric, Result, Stage, State, Verdict
from openforge.plain import counted, some

_MAX_WARNINGS = 50
_BROKEN = (Status.TIMEOUT, Status.CRASHED)
_RULES = {
    Status.FAILED: "test-failed",
    Status.TIMEOUT: "test-timeout",
    Status.CRASHED: "test-crashed",
}


def test_rows(runs: Sequence[TestRun], kept: Mapping[int, str]) -> list[Mapping[str, Any]]:
    """The rows of the table ``tests``; `kept` has the artifact names of waveforms, by number."""
    return [
        {
            "module": run.planned.bench.name,
            "name": run.planned.name,
            "seed": run.planned.seed,
            "status": run.status.value,
            "duration_s": run.duration_s,
            "sim_time_ns": run.judgement.sim_time_ns,
            "message": run.judgement.message,
            "traceback": run.judgement.traceback,
            "waveform": kept.get(number),
        }
        for number, run in enumerate(runs)
    ]


def test_findings(
    runs: Sequence[TestRun], kept: Mapping[int, str], cycles: Mapping[int, int]
) -> tuple[Finding, ...]:
    """Tests that failed or show nothing, and the simulator's warnings.

    `cycles` has the last clock cycle, by number.
    """
    found: list[Finding] = []
    for number, run in enumerate(runs):
        if _took_no_time(run):
            found.append(
                Finding(
                    rule="test-no-time",
                    level=Level.WARNING,
                    tool="simulation",
                    message=f"{run.planned}: passed without letting time pass",
                )
            )
        rule = _RULES.get(run.status)
        if rule is None:
            continue
        when = f" in cycle {cycles[number]}" if number in cycles else ""
        found.append(
            Finding(
                rule=rule,
                level=Level.ERROR,
                tool="simulation",
                message=f"{run.planned}: {run.status}{when}: {run.judgement.message}",
                location=run.judgement.location,
                evidence=(f"artifacts/{kept[number]}",) if number in kept else (),
            )
        )
        if run.unstable:
            found.append(
                Finding(
                    rule="test-nondeterministic",
                    level=Level.WARNING,
                    tool="simulation",
                    message=f"{run.planned}: run twice with the same seed it {run.unstable}",
                )
            )
    said = dict.fromkeys(warning for run in runs for warning in run.warnings)
    found += [
        Finding(rule="simulator-warning", level=Level.WARNING, tool="simulation", message=warning)
        for warning in list(said)[:_MAX_WARNINGS]
    ]
    return tuple(found)


def _took_no_time(run: TestRun) -> bool:
    """Whether a test passed without simulating anything: until time passes, nothing moves."""
    return run.status is Status.PASSED and run.judgement.sim_time_ns == 0


def conclude(
    params: SimulationSection,
    design: Design,
    runs: Sequence[TestRun],
    *,
    shares: Mapping[str, Share],
    findings: Iterable[Finding],
    cycles: int | None,
    problems: Sequence[str],
    assumptions: Sequence[str] = (),
) -> Result:
    """The result of the check. `problems` say what could not be measured."""
    counts = Counter(run.status for run in runs)
    missed = goals.missed(params, shares)
    unmeasured = (*problems, *goals.unmeasured(params, shares))
    state, verdict, reason = _verdict(runs, counts, missed, unmeasured)
    return Result(
        check="simulation",
        stage=Stage.SIMULATION,
        state=state,
        verdict=verdict,
        reason=reason,
        findings=(*findings, *missed),
        bounds=(_bound(params, runs, cycles),),
        assumptions=(*_assumptions(params, design, runs), *assumptions),
        metrics=_metrics(counts, shares, cycles),
        summary=_summary(counts, shares),
    )


def _verdict(
    runs: Sequence[TestRun],
    counts: Counter[Status],
    missed: Sequence[Finding],
    unmeasured: Sequence[str],
) -> tuple[State, Verdict | None, str]:
    broken = [run for run in runs if run.status in _BROKEN]
    if broken:
        names = [f"{run.planned}: {run.status}: {run.judgement.message}" for run in broken]
        text = f"{counted(len(broken), 'test')} did not run to the end: {some(names)}"
        return State.ERROR, None, text
    if unmeasured:
        return State.ERROR, None, "; ".join(unmeasured)
    reasons = []
    if counts[Status.FAILED]:
        names = [str(run.planned) for run in runs if run.status is Status.FAILED]
        reasons.append(f"{counted(len(names), 'test')} failed: {some(names)}")
    if missed:
        reasons.append("; ".join(finding.message for finding in missed))
    if reasons:
        return State.DONE, Verdict.FAILED, "; ".join(reasons)
    passed = [run for run in runs if run.status is Status.PASSED]
    if not passed:
        return State.DONE, Verdict.INCONCLUSIVE, "every test is skipped, so nothing was simulated"
    if all(_took_no_time(run) for run in passed):
        reason = "no test let time pass, so the design was never simulated"
        return State.DONE, Verdict.INCONCLUSIVE, reason
    return State.DONE, Verdict.PASSED, ""


def _bound(params: SimulationSection, runs: Sequence[TestRun], cycles: int | None) -> str:
    ran = [run for run in runs if run.status is not Status.SKIPPED]
    seeds = f"seed {params.seed}"
    if params.seeds > 1:
        seeds = f"seeds {params.seed}..{params.seed + params.seeds - 1}"
    length = f", {counted(cycles, 'clock cycle')} in all" if cycles is not None else ""
    return f"{counted(len(ran), 'test run')}, {seeds}{length}"


def _assumptions(
    params: SimulationSection, design: Design, runs: Sequence[TestRun]
) -> tuple[str, ...]:
    found = ["simulation shows the presence of bugs, never their absence"]
    if params.tool == "verilator":
        found.append("two-state simulation: registers start at 0, X is not modelled")
    if any(not run.planned.bench.python for run in runs):
        found.append("a SystemVerilog bench fails by $error, $fatal, $stop or an assertion")
        if design.parameters:
            found.append("SystemVerilog benches set the design's parameters themselves")
    silent = [f"{p.name} ({p.location})" for p in design.properties if p.silent]
    if silent:
        found.append(
            "an assertion whose own else branch calls no $error, $fatal or $stop fails no test: "
            + some(silent)
        )
    skipped = sum(run.status is Status.SKIPPED for run in runs)
    return (*found, f"skipped: {counted(skipped, 'test')}") if skipped else tuple(found)


def _metrics(
    counts: Counter[Status], shares: Mapping[str, Share], cycles: int | None
) -> tuple[Metric, ...]:
    found = [Metric(name=f"tests_{status}", value=counts[status]) for status in Status]
    found += [
        Metric(name=f"coverage_{kind}", value=share.percent, unit="%")
        for kind, share in shares.items()
    ]
    return (*found, Metric(name="cycles", value=cycles)) if cycles is not None else tuple(found)


def _summary(counts: Counter[Status], shares: Mapping[str, Share]) -> dict[str, JsonValue]:
    """The fields of the REST contract; a test without a verdict counts as failed there."""
    bad = counts[Status.FAILED] + sum(counts[status] for status in _BROKEN)
    return {
        "tests_passed": counts[Status.PASSED],
        "tests_failed": bad,
        "coverage": {kind: share.percent for kind, share in shares.items()},
    }
