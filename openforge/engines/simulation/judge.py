"""What a finished simulation says of its test. Never better than the evidence it left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from openforge.engines.simulation.benches import Planned
from openforge.errors import ToolError
from openforge.model import Location
from openforge.tools import cocotb
from openforge.tools.process import Completed, Outcome

# Verilator: "[70000] %Error: s.sv:3: Assertion failed in s.a_small"; Icarus: "ERROR: s.sv:3: ..."
SIMULATOR_ERROR = re.compile(
    r"(?:\[(?P<time>\d+)\] )?(?:%(?:Error|Fatal)|ERROR|FATAL)(?:-\w+)?: "
    r"(?P<file>[^:]+):(?P<line>\d+):\s*(?P<message>.*)"
)
_STOPPED = re.compile(r"\$stop called at")
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
    errors: Sequence[str],
    *,
    finished: bool,
    folder: Path,
    project: Path,
) -> Judgement:
    """Judge a run from how it `ended` and what it left in `folder`.

    `errors` are the lines of its output that match `SIMULATOR_ERROR` or a ``$stop``; `finished`
    is False if the simulator said that ``$finish`` was not reached.
    """
    tail = "\n".join(ended.tail)
    if ended.outcome is Outcome.TIMEOUT:
        return Judgement(Status.TIMEOUT, f"did not end within {ended.duration_s:.0f} s", tail)
    if ended.outcome not in (Outcome.EXITED, Outcome.SIGNALLED):
        return Judgement(Status.CRASHED, f"was ended: {ended.outcome.value} reached", tail)
    if planned.test is None:
        return _bench(planned, ended, errors, finished=finished, project=project)
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
    return _python(mine, ended, errors, project)


def _python(
    cases: Sequence[cocotb.TestCase], ended: Completed, errors: Sequence[str], project: Path
) -> Judgement:
    order = (cocotb.Status.FAILED, cocotb.Status.SKIPPED, cocotb.Status.PASSED)
    worst = min(cases, key=lambda case: order.index(case.status))
    tail = "\n".join(ended.tail)
    time = worst.sim_time_ns
    if errors and (worst.status is not cocotb.Status.FAILED or worst.kind == "SimFailure"):
        return _simulator_error(errors, tail, project, time)
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


def _bench(
    planned: Planned, ended: Completed, errors: Sequence[str], *, finished: bool, project: Path
) -> Judgement:
    tail = "\n".join(ended.tail)
    if errors:
        return _simulator_error(errors, tail, project, None)
    unfinished = ended.outcome is Outcome.EXITED and ended.returncode == _BENCH_UNFINISHED
    if unfinished or (ended.ok and not finished):
        text = "nothing was left to simulate, but $finish was not reached"
        return Judgement(Status.FAILED, text, tail)
    if not ended.ok:
        return Judgement(Status.CRASHED, f"the simulator {_how(ended)}", tail)
    return Judgement(Status.PASSED)


def _simulator_error(
    errors: Sequence[str], tail: str, project: Path, time: float | None
) -> Judgement:
    """A failure that the simulator itself reported: an assertion, $error, $fatal or $stop."""
    found = [match for match in map(SIMULATOR_ERROR.search, errors) if match]
    if not found:
        return Judgement(Status.FAILED, errors[0].strip(), tail, sim_time_ns=time)
    first = found[0]
    # The first line names the file without its folder, the one about $stop has all of it.
    same = [m for m in found if Path(m["file"]).name == Path(first["file"]).name]
    full = next((m for m in same if Path(m["file"]).is_relative_to(project)), None)
    file = Path(full["file"]).relative_to(project).as_posix() if full else Path(first["file"]).name
    return Judgement(
        Status.FAILED,
        first["message"] or errors[0].strip(),
        tail,
        Location(file=file, line=int(first["line"])),
        time,
    )


def is_error(line: str) -> bool:
    """Whether an output line is the simulator's own report of a failure."""
    return bool(SIMULATOR_ERROR.match(line) or _STOPPED.search(line))


def is_warning(line: str) -> bool:
    """Whether an output line is the simulator's own warning, e.g. of a memory file not found."""
    return line.startswith(("%Warning", "WARNING: "))


def _how(ended: Completed) -> str:
    if ended.outcome is Outcome.SIGNALLED:
        return f"was killed by signal {-ended.returncode}"
    return f"ended with code {ended.returncode}"
