"""THE registry of checks, one line each in flow order, and `start`, which notebooks call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from openforge import check as checking
from openforge import config, design, snapshot
from openforge.check import Check
from openforge.engines import constant_time, formal, lint, side_channel, simulation
from openforge.errors import NotFound, OpenForgeError
from openforge.model import Result, Stage, State, Verdict
from openforge.record import PROJECT, CheckRecord, JobFile, read_job
from openforge.run_folder import SUFFIX, RunFolder
from openforge.settings import Settings
from openforge.workspace import Workspace, owned, write_job

RUN_DIR = "OPENFORGE_RUN_DIR"  # set by the runner: the open run folder of the check

CHECKS = (
    Check(
        "lint",
        Stage.LINT,
        "Lint",
        "IEEE 1800-2017",
        "verification.lint",
        ("verilator", "slang"),
        lint.run,
    ),
    Check(
        "simulation",
        Stage.SIMULATION,
        "Simulation",
        "cocotb testbenches, IEEE 1800-2017",
        "verification.simulation",
        ("verilator", "slang", "cocotb", "pywellen", "c++"),
        simulation.run,
    ),
    Check(
        "formal",
        Stage.FORMAL,
        "Formal verification",
        "SystemVerilog assertions, IEEE 1800-2017",
        "verification.formal",
        ("slang", "pyosys", "sby", "abc", "z3", "bitwuzla", "pywellen"),
        formal.run,
    ),
    Check(
        "constant_time",
        Stage.CRYPTO,
        "Constant time",
        "two-safety: self-composition (Barthe, D'Argenio, Rezk 2004)",
        "verification.crypto_verification.constant_time",
        ("slang", "pyosys", "abc", "python-sat", "verilator", "c++"),
        constant_time.run,
    ),
    Check(
        "side_channel",
        Stage.CRYPTO,
        "Side channel",
        "TVLA (Goodwill et al. 2011; ISO/IEC 17825), robust probing (Faust et al. 2018)",
        "verification.crypto_verification.side_channel",
        ("slang", "pyosys", "verilator", "c++"),
        side_channel.run,
    ),
)


def find(name: str) -> Check:
    """The check called `name`. Raises NotFound, naming those there are."""
    for entry in CHECKS:
        if entry.id == name:
            return entry
    raise NotFound(f"there is no check '{name}'; there are {', '.join(c.id for c in CHECKS)}")


def start(
    name: str, project_dir: str | Path = ".", overrides: Mapping[str, JsonValue] | None = None
) -> CheckRecord:
    """Run the check `name` on the project in `project_dir` and return its record.

    `overrides` are dotted paths into openforge.yaml, e.g. ``{"verification.formal.depth": 20}``.
    In a notebook that a job runs, the job's run folder is used; anywhere else (JupyterLab, a
    script) a job of its own is made in the workspace, so that nothing is ever run unrecorded.

    Raises OpenForgeError when the check could not be run.
    """
    entry, project = find(name), Path(project_dir).resolve()
    given = os.environ.get(RUN_DIR)
    if given is None:
        return _start_alone(entry, project, overrides or {})
    folder = RunFolder(Path(given))
    result = _run(entry, project, overrides or {}, folder)
    return CheckRecord(entry.id, entry.stage, folder.path, result.state, None)


def _run(
    entry: Check, project: Path, overrides: Mapping[str, JsonValue], folder: RunFolder
) -> Result:
    settings = config.load(project, overrides)
    return checking.start(entry, settings, design.load(project, settings), folder)


def _start_alone(entry: Check, project: Path, overrides: Mapping[str, JsonValue]) -> CheckRecord:
    """Make a job of one check, run it in this process and seal it."""
    settings = config.load(project, overrides)
    path = Workspace(Settings().workspace).new_job_folder()
    begun = datetime.now(UTC)
    now = begun.isoformat()
    job = JobFile(
        job_id=path.name,
        project=settings.project.name,
        source=str(project),
        stages=(entry.stage,),
        checks={entry.id: entry.stage},
        overrides=dict(overrides),
        submitted_at=now,
        started_at=now,
        state=State.RUNNING,
    )
    with owned(path):
        write_job(path, job)
        snapshot.take(project, path / PROJECT)
        snapshot.require_same(project, path / PROJECT, config.patterns(settings))
        folder = RunFolder.create(path / f"{entry.id}{SUFFIX}")

        def end(state: State, verdict: Verdict | None, error: str) -> None:
            ended = datetime.now(UTC)
            folder.seal(entry.id, state, verdict, error, now, (ended - begun).total_seconds())
            done = {"state": State.DONE, "finished_at": ended.isoformat()}
            write_job(path, job.model_copy(update=done))

        try:
            result = _run(entry, path / PROJECT, overrides, folder)
        except BaseException as problem:
            ours = isinstance(problem, OpenForgeError)
            said = str(problem) if ours else f"{type(problem).__name__}: {problem}"
            end(State.ERROR, None, said)
            raise
        end(result.state, result.verdict, result.reason if result.state is State.ERROR else "")
    return read_job(path).check(entry.id)
