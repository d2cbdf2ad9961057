"""Simulation: every test of every bench in a simulator of its own, with coverage of the design."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openforge import events
from openforge.config import SimulationSection
from openforge.design import Design
from openforge.engines.simulation import (
    benches,
    cobertura,
    coverage,
    fsm_coverage,
    report,
    running,
    simulators,
    uncounted,
)
from openforge.engines.simulation.judge import Status
from openforge.engines.simulation.running import TestRun
from openforge.errors import ToolError
from openforge.model import Result, Stage, Verdict
from openforge.run_folder import RunFolder
from openforge.tools import cocotb, waves

__all__ = ["run"]


def run(params: SimulationSection, design: Design, folder: RunFolder) -> Result:
    """Build, run every test with every seed, measure coverage and compare it with the goals.

    ``failed`` when a test fails or a goal is missed; a state of ``error`` when a test times out or
    crashes, with everything that was seen; ``skipped`` without benches. Raises an OpenForgeError
    when there is nothing to run the tests with: a design that does not build, a bench that cannot
    be imported or has no tests.
    """
    if not params.testbenches:
        return Result(
            check="simulation",
            stage=Stage.SIMULATION,
            verdict=Verdict.SKIPPED,
            reason=f"no benches are configured ({benches.FIELD} is empty)",
        )
    design.require_elaborated()
    found = benches.find(params, design)
    if not found:
        raise ToolError(f"{benches.FIELD} matches no test module")
    planned = benches.plan(params, _offers(params, design, found, folder))
    wanted = params.waves or (params.coverage.fsm and bool(design.fsms))
    runs = running.run_all(planned, params, design, folder, trace=wanted)
    kept = _keep_waves(runs, params, folder)
    return _report(params, design, folder, runs, kept)


def _offers(
    params: SimulationSection, design: Design, found: Sequence[benches.Bench], folder: RunFolder
) -> list[tuple[benches.Bench, simulators.Simulation, Sequence[cocotb.TestName | None]]]:
    """The benches with their simulations and tests; modules are listed in parallel."""
    jobs, work = running.cores(), folder.work
    python = [bench for bench in found if bench.python]
    offers: list[tuple[benches.Bench, simulators.Simulation, Sequence[cocotb.TestName | None]]] = []
    if python:
        events.log("Building the simulation model")
        simulation = simulators.for_python(params, design, work, jobs)
        with ThreadPoolExecutor(jobs) as pool:
            tests = list(
                pool.map(
                    lambda pair: benches.discover(
                        pair[1], simulation, design, work / "discovery" / f"{pair[0]}"
                    ),
                    enumerate(python),
                )
            )
        offers += [(bench, simulation, tests[n]) for n, bench in enumerate(python)]
    for number, bench in enumerate(b for b in found if not b.python):
        events.log(f"Building the bench {bench.name}")
        built = simulators.for_bench(params, design, bench.path, work / f"bench{number}", jobs)
        offers.append((bench, built, (None,)))
    return offers


def _keep_waves(
    runs: Sequence[TestRun], params: SimulationSection, folder: RunFolder
) -> dict[int, str]:
    """Keep the waveforms of failing tests, or of all if asked for; artifact names by number."""
    names = running.artifact_names([run.planned for run in runs])
    kept = {}
    for number, test in enumerate(runs):
        if test.wave and (params.waves or test.status is Status.FAILED):
            kept[number] = folder.keep(test.wave, f"waves/{names[number]}.fst")
    return kept


def _report(
    params: SimulationSection,
    design: Design,
    folder: RunFolder,
    runs: Sequence[TestRun],
    kept: dict[int, str],
) -> Result:
    kinds = simulators.kinds(params)
    points = coverage.collect(
        (test.points for test in runs),
        kinds=kinds,
        project=design.project_dir,
        benches=frozenset(test.planned.bench.path.resolve() for test in runs),
    )
    shares = coverage.shares(points)
    problems: list[str] = []
    machines: tuple[fsm_coverage.Machine, ...] = ()
    files = [test.wave for test in runs if test.wave and test.planned.bench.python]
    if params.coverage.fsm and design.fsms and files:
        try:
            machines = fsm_coverage.measure(design, files, folder.work)
        except ToolError as error:
            problems.append(str(error))
    share = fsm_coverage.share(machines)
    if share:
        shares["fsm"] = share
    if points:
        (folder.artifacts / "coverage.xml").write_text(cobertura.write(points), encoding="utf-8")
    folder.table("tests", report.test_rows(runs, kept))
    folder.table("coverage", [*coverage.rows(points), *fsm_coverage.rows(machines)])
    findings = (
        *report.test_findings(runs, kept, _last_cycles(runs, design, folder.work)),
        *fsm_coverage.findings(machines),
    )
    return report.conclude(
        params,
        design,
        runs,
        shares=shares,
        findings=findings,
        problems=problems,
        assumptions=uncounted.assumptions(design, points, kinds),
        cycles=coverage.cycles(points, design.clocks, design.top),
    )


def _last_cycles(runs: Sequence[TestRun], design: Design, work: Path) -> dict[int, int]:
    """The clock cycle (from 0) in which each failing test ended, where its waveform tells."""
    failing = [
        (number, test.wave)
        for number, test in enumerate(runs)
        if test.status is Status.FAILED and test.wave and test.planned.bench.python
    ]
    if not failing or not design.clocks:
        return {}
    names = fsm_coverage.signal_names(design.top, design.clocks[0])
    try:
        found = waves.read([wave for _, wave in failing], [names], work)
    except ToolError as error:
        events.log(f"no clock cycles of the failures: {error}", "WARNING")
        return {}
    return {
        number: rises - 1
        for (number, _), (changes,) in zip(failing, found, strict=True)
        if changes and (rises := sum(value == 1 for _, value in changes)) > 0
    }
