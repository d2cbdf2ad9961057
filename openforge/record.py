"""Reading what runs left on disk: jobs and the checks in them. Nothing here writes.

The folders are the truth. A job is running exactly while its runner holds the lock file, so a
runner that was killed cannot leave a job that claims to run for ever.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from openforge.errors import NotFound
from openforge.event_log import CHECK_EVENTS, JOB_EVENTS, read_events
from openforge.model import Record, Result, Stage, State, Verdict, overall_status, status_of
from openforge.run_folder import MANIFEST, SUFFIX, Manifest, read_manifest

if TYPE_CHECKING:
    import pandas as pd

JOB_FILE, LOCK_FILE, CANCEL_FILE, PROJECT = "job.json", "lock", "cancel", "project"
REPORT = "report.html"


class JobFile(Record):
    """``job.json``: what was asked for, and how far the runner got.

    `service` says that a service keeps the job: while nobody runs it, it waits to be started
    (again). `attempt` counts the starts.
    `files_sha256` is `openforge.snapshot.digest` of the files, for a service.
    """

    job_id: str
    project: str
    source: str
    stages: tuple[Stage, ...]
    checks: dict[str, Stage]
    overrides: dict[str, JsonValue] = {}
    submitted_at: str
    started_at: str | None = None
    finished_at: str | None = None
    state: State = State.QUEUED
    error: str = ""
    service: bool = False
    attempt: int = 1
    files_sha256: str = ""


@dataclass(frozen=True)
class CheckRecord:
    """One check of a job, finished or not. `path` is its folder (``.tmp`` while it runs)."""

    id: str
    stage: Stage
    path: Path
    state: State
    manifest: Manifest | None

    @property
    def verdict(self) -> Verdict | None:
        """The sealed verdict; inside the notebook that is still running, the result's."""
        if self.manifest:
            return self.manifest.verdict
        return self.result.verdict if self.state is State.DONE and self.result else None

    @property
    def status(self) -> str:
        """The verdict when the check is done, its state otherwise."""
        return status_of(self.state, self.verdict)

    @property
    def error(self) -> str:
        """Why there is no verdict, empty when nothing went wrong."""
        return self.manifest.error if self.manifest else ""

    @cached_property
    def result(self) -> Result | None:
        """What the check concluded; None while it runs and when it ended without a result."""
        file = self.path / "result.json"
        return Result.model_validate_json(file.read_text("utf-8")) if file.is_file() else None

    def table(self, name: str) -> pd.DataFrame:
        """Table `name` of this check; empty, with its columns, when the check has none."""
        import pandas as pd

        from openforge.tables import TABLES

        file = self.path / "tables" / f"{name}.parquet"
        return pd.read_parquet(file) if file.is_file() else TABLES[name].empty_table().to_pandas()

    def events(self) -> Iterator[dict[str, Any]]:
        """The lines of ``log.jsonl``; a half-written last line is left out."""
        yield from read_events(self.path / CHECK_EVENTS)


@dataclass(frozen=True)
class JobRecord:
    """One job. `path` is ``runs/<job>``."""

    path: Path
    file: JobFile

    @property
    def id(self) -> str:
        """The job's id."""
        return self.file.job_id

    @cached_property
    def state(self) -> State:
        """The state in ``job.json``; without a runner, ``error``, or waiting for its service."""
        if self.file.state.final or _is_locked(self.path / LOCK_FILE):
            return self.file.state
        return State.QUEUED if self.file.service else State.ERROR

    @property
    def error(self) -> str:
        """Why the job as a whole ended in error, if it did."""
        if self.state is State.ERROR and not self.file.state.final:
            return "interrupted: the process that ran this job has gone away"
        return self.file.error

    @cached_property
    def checks(self) -> tuple[CheckRecord, ...]:
        """The checks in flow order."""
        return tuple(self._check(name, stage) for name, stage in self.file.checks.items())

    @property
    def status(self) -> str:
        """The one word for the whole job."""
        if self.state is not State.DONE:
            return self.state.value
        return overall_status([check.status for check in self.checks])

    def stage_status(self, stage: Stage) -> str:
        """The one word for all checks of `stage`."""
        return overall_status([check.status for check in self.checks if check.stage is stage])

    def check(self, name: str) -> CheckRecord:
        """The check called `name`. Raises NotFound."""
        for check in self.checks:
            if check.id == name:
                return check
        raise NotFound(f"job {self.id} has no check '{name}'; it has {', '.join(self.file.checks)}")

    def events(self) -> list[dict[str, Any]]:
        """The events of all attempts in the order in which they happened."""
        return list(read_events(self.path / JOB_EVENTS))

    def _check(self, name: str, stage: Stage) -> CheckRecord:
        sealed = self.path / name
        if (sealed / MANIFEST).is_file():
            manifest = read_manifest(sealed)
            return CheckRecord(name, stage, sealed, manifest.state, manifest)
        running = self.path / f"{name}{SUFFIX}"
        state = State.RUNNING if running.is_dir() else State.QUEUED
        if self.state.final:  # it was under way, or waiting, when the job ended
            state = State.CANCELLED if self.state is State.CANCELLED else State.ERROR
        return CheckRecord(name, stage, running if running.is_dir() else sealed, state, None)


def read_job(path: Path) -> JobRecord:
    """The job in the folder `path`. Raises NotFound when there is none."""
    try:
        text = (path / JOB_FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no job '{path.name}' in {path.parent}") from None
    return JobRecord(path, JobFile.model_validate_json(text))


def _is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
