"""What a finished simulation says of its test. Never better than the evidence it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from openforge.design import Design
from openforge.engines.simulation import output
from openforge.engines.simulation.benches import Planned
from openforge.engines.simulation.output import Output
from openforge.errors import ToolError
from openforge.model import Location
from openforge.tools import cocotb
from openforge.tools.process import Completed, Outcome

_BENCH_UNFINISHED = 3  # exit code of compat/bench_main.cpp


class Status(StrEnum):
    """How a test ended. The last two are no verdict on the design."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    TIMEOUT = "timeout"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Judgement:
    """The status of a test with its reasons."""

    status: Status
    message: str = ""
    traceback: str = ""
    location: Location | None = None
    sim_time_ns: float | None = None


def judge(
    planned: Planned,
    ended: Completed,
    said: Output,
    *,
    folder: Path,
    design: Design,
) -> Judgement:
    """Judge a run from how it `ended`, what it `said` and what it left in `folder`."""
    worthless = _without_evidence(ended, said)
    if worthless:
        return worthless
    if planned.test is None:
        return _bench(planned, ended, said, design)
    tail = "\n".join(ended.tail)
    try:
        cases = cocotb.read_results(folder / "results.xml")
    except ToolError as error:
        return Judgement(
            Status.CRASHED, f"the simulator {_how(ended)} before the test did: {error}", tail
        )
    wanted = (planned.test.module, planned.test.name)
    mine = [case for case in cases if (case.module, case.name) == wanted]
    if not mine or len(mine) != len(cases):
        return Judgement(Status.CRASHED, "results.xml does not tell of this test alone", tail)
    return _python(mine, ended, said, design.project_dir)


def _without_evidence(ended: Completed, said: Output) -> Judgement | None:
    """The judgement of a run that shows nothing, however its test ended; else None."""
    tail = "\n".join(ended.tail)
    if ended.outcome is Outcome.TIMEOUT:
        return Judgement(Status.TIMEOUT, f"did not end within {ended.duration_s:.0f} s", tail)
    if ended.outcome not in (Outcome.EXITED, Outcome.SIGNALLED):
        return Judgement(Status.CRASHED, f"was ended: {ended.outcome.value} reached", tail)
    if said.missing:
        text = (
            f"$readmem did not find '{said.missing}', so the memory was never loaded; name the "
            "file by its path in the project"
        )
        return Judgement(Status.CRASHED, text, tail)
    return None


def _python(
    cases: Sequence[cocotb.TestCase], ended: Completed, said: Output, project: Path
) -> Judgement:
    order = (cocotb.Status.FAILED, cocotb.Status.SKIPPED, cocotb.Status.PASSED)
    worst = min(cases, key=lambda case: order.index(case.status))
    tail = "\n".join(ended.tail)
    time = worst.sim_time_ns
    # A line that only looks like an error may be the test's own: it needs the exit code with it.
    wrong = said.reported or (bool(said.errors) and not ended.ok)
    if wrong and (worst.status is not cocotb.Status.FAILED or worst.kind == "SimFailure"):
        return _simulator_error(said, tail, project, time)
    if worst.status is cocotb.Status.FAILED:
        kind = f"{worst.kind}: " if worst.kind else ""
        place = cocotb.failure_place(worst.traceback, project)
        return Judgement(Status.FAILED, kind + worst.message, worst.traceback, place, time)
    if not ended.ok:
        return Judgement(
            Status.CRASHED,
            f"the test said '{worst.status}', then the simulator {_how(ended)}",
            tail,
        )
    status = Status.SKIPPED if worst.status is cocotb.Status.SKIPPED else Status.PASSED
    return Judgement(status, worst.message, sim_time_ns=time)


def _bench(planned: Planned, ended: Completed, said: Output, design: Design) -> Judgement:
    tail = "\n".join(ended.tail)
    if said.reported or said.errors:
        return _simulator_error(said, tail, design.project_dir, None)
    unfinished = ended.outcome is Outcome.EXITED and ended.returncode == _BENCH_UNFINISHED
    if unfinished or (ended.ok and not said.finished):
        text = "nothing was left to simulate, but $finish was not reached"
        return Judgement(Status.FAILED, text, tail)
    if not ended.ok:
        return Judgement(Status.CRASHED, f"the simulator {_how(ended)}", tail)
    for source in design.sources:
        if f"{source.path}:" in said.finish:
            name = source.path.relative_to(design.project_dir).as_posix()
            text = f"the design ended the simulation, by $finish in {name}, before the bench did"
            return Judgement(Status.FAILED, text, tail, Location(file=name))
    if planned.simulation.names_finish and not said.finish:
        text = "the output does not say which $finish was reached; end its lines, which may be long"
        return Judgement(Status.CRASHED, text, tail)
    return Judgement(Status.PASSED)


def _simulator_error(said: Output, tail: str, project: Path, time: float | None) -> Judgement:
    """A failure that the simulator itself reported: an assertion, $error, $fatal or $stop."""
    message, place = output.first_error(said.errors, project)
    return Judgement(Status.FAILED, message, tail, place, time)


def _how(ended: Completed) -> str:
    if ended.outcome is Outcome.SIGNALLED:
        return f"was killed by signal {-ended.returncode}"
    return f"ended with code {ended.returncode}"
