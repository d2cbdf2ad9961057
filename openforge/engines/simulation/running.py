"""Running the planned tests: each in a simulator process and a folder of its own, in parallel."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from openforge import events
from openforge.config import SimulationSection
from openforge.design import Design
from openforge.engines.simulation.benches import Planned, folders
from openforge.engines.simulation.judge import Judgement, Status, judge
from openforge.engines.simulation.output import Output
from openforge.errors import ToolError
from openforge.run_folder import RunFolder
from openforge.tools import cocotb, links, process, verilator_coverage

MEMORY_BYTES = 2 << 30
_LOG_BYTES = 64 << 20
_WRITTEN = ("results.xml", "coverage.dat", "dump.fst")  # what a simulation leaves in its folder
_SHOWN_LINES = 100
_KEPT_LOG_BYTES = 1 << 19  # of the beginning and of the end of a test's log


@dataclass(frozen=True)
class TestRun:
    """A test that was run. `folder` is where its files are; `wave` its waveform, if it left one."""

    __test__ = False  # not a test class of pytest

    planned: Planned
    judgement: Judgement
    duration_s: float
    folder: Path
    points: tuple[verilator_coverage.Point, ...] = ()
    wave: Path | None = None
    unstable: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """How the test ended."""
        return self.judgement.status


def cores() -> int:
    """How many simulations may run at once: the cores, capped by ``OPENFORGE_JOBS``."""
    given = os.environ.get("OPENFORGE_JOBS", "")
    available = len(os.sched_getaffinity(0))
    return max(1, min(available, int(given))) if given.isdecimal() else available


def run_all(
    runs: Sequence[Planned],
    params: SimulationSection,
    design: Design,
    folder: RunFolder,
    *,
    trace: bool,
) -> tuple[TestRun, ...]:
    """Run every planned test; the results are in the order of `runs`."""
    done: dict[int, TestRun] = {}
    names = artifact_names(runs)
    events.progress(0, len(runs), "tests")
    with ThreadPoolExecutor(cores()) as pool:
        futures = {
            pool.submit(
                _run_twice,
                planned,
                params,
                design,
                folder.work / "tests" / f"{number}",
                trace=trace,
            ): number
            for number, planned in enumerate(runs)
        }
        for future in as_completed(futures):
            number = futures[future]
            run = done[number] = future.result()
            text = f"{run.planned}: {run.status}"
            text += f": {run.judgement.message}" if run.judgement.message else ""
            events.log(text, "INFO" if run.status in (Status.PASSED, Status.SKIPPED) else "ERROR")
            _keep_log(run, folder, f"logs/{names[number]}.log")
            events.progress(len(done), len(runs), "tests")
    return tuple(done[number] for number in range(len(runs)))


def artifact_names(runs: Sequence[Planned]) -> list[str]:
    """A file name without ending for each of `runs`, safe on any system and each another one."""
    names: list[str] = []
    for number, planned in enumerate(runs):
        name = f"{planned.bench.name}.{planned.name}.seed{planned.seed}"
        name = re.sub(r"[^A-Za-z0-9_.=-]+", "_", name)[:150].lstrip(".")
        names.append(f"{name}.{number}" if name in names else name)
    return names


def _run_twice(
    planned: Planned, params: SimulationSection, design: Design, work: Path, *, trace: bool
) -> TestRun:
    """Run a test; if it failed without a waveform, run it once more to get one."""
    if planned.test and planned.test.skip:
        return TestRun(planned, Judgement(Status.SKIPPED, "marked skip=True"), 0.0, work)
    first = _run(planned, params, design, work, trace=trace)
    if trace or first.status is not Status.FAILED:
        return first
    again = _run(planned, params, design, work.with_name(f"{work.name}-traced"), trace=True)
    unstable = "" if again.status is first.status else f"failed, then {again.status}"
    return replace(first, wave=again.wave if not unstable else None, unstable=unstable)


def _run(
    planned: Planned, params: SimulationSection, design: Design, work: Path, *, trace: bool
) -> TestRun:
    work.mkdir(parents=True)
    links.show(design.project_dir, work, without=_WRITTEN)
    simulation = planned.simulation
    said = Output(simulation.unfinished)
    limits = process.Limits(
        timeout_s=params.timeout_seconds,
        memory_bytes=MEMORY_BYTES,
        log_bytes=_LOG_BYTES,
        processes=64,
    )
    ended = process.run(
        [*simulation.start, *(simulation.trace if trace else ()), *_plusargs(planned, params)],
        cwd=work,
        log=_log(work),
        limits=limits,
        env=_environment(planned, design),
        readable=[*simulation.readable, design.project_dir],
        writable=[work],
        on_line=_Listener(planned.name, said),
    )
    judgement = judge(planned, ended, said, folder=work, design=design)
    points: tuple[verilator_coverage.Point, ...] = ()
    if simulation.coverage and judgement.status in (Status.PASSED, Status.FAILED):
        try:
            points = verilator_coverage.read(work / "coverage.dat", design.top)
        except ToolError as error:
            judgement = Judgement(Status.CRASHED, str(error), "\n".join(ended.tail))
    wave = work / "dump.fst"
    complete = judgement.status in (Status.PASSED, Status.FAILED, Status.SKIPPED)
    kept = wave if trace and complete and wave.is_file() and not wave.is_symlink() else None
    return TestRun(
        planned,
        judgement,
        round(ended.duration_s, 3),
        work,
        points,
        kept,
        warnings=tuple(said.warnings),
    )


def _plusargs(planned: Planned, params: SimulationSection) -> list[str]:
    words = [f"+{name}={value}" for name, value in params.plusargs.items()]
    if planned.simulation.coverage or planned.simulation.trace == ("--trace",):
        words.append(f"+verilator+seed+{planned.seed % (1 << 31) or 1}")
    return words


def _environment(planned: Planned, design: Design) -> dict[str, str]:
    if planned.test is None:
        return {}
    return cocotb.test_environment(
        planned.simulation.top,
        planned.bench.path.stem,
        folders(planned.bench, design),
        planned.test,
        planned.seed,
    )


class _Listener:
    """Passes a test's output on to `said`, and shows its beginning."""

    def __init__(self, name: str, said: Output) -> None:
        self._name, self._said, self._shown = name, said, 0

    def __call__(self, line: str) -> None:
        self._said.take(line)
        self._shown += 1
        if self._shown <= _SHOWN_LINES:
            events.log(f"{self._name}: {line}", "DEBUG")
        elif self._shown == _SHOWN_LINES + 1:
            events.log(f"{self._name}: further output is in its log", "DEBUG")


def _log(work: Path) -> Path:
    return work.with_name(f"{work.name}.log")


def _keep_log(run: TestRun, folder: RunFolder, name: str) -> None:
    """Keep the beginning and the end of a test's log as an artifact."""
    log = _log(run.folder)
    if not log.is_file():
        return
    target = folder.artifacts / name
    target.parent.mkdir(exist_ok=True)
    size = log.stat().st_size
    with log.open("rb") as source, target.open("xb") as copy:
        if size <= 2 * _KEPT_LOG_BYTES:
            shutil.copyfileobj(source, copy)
            return
        copy.write(source.read(_KEPT_LOG_BYTES))
        copy.write(f"\n[... {size - 2 * _KEPT_LOG_BYTES:,} bytes left out ...]\n".encode())
        source.seek(-_KEPT_LOG_BYTES, os.SEEK_END)
        copy.write(source.read())
