"""The folders on disk that jobs live in: ``<workspace>/runs/<job>/``."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openforge.errors import NotFound, OpenForgeError
from openforge.ids import new_id
from openforge.record import CANCEL_FILE, JOB_FILE, LOCK_FILE, JobFile, JobRecord, read_job


@dataclass(frozen=True)
class Workspace:
    """Where runs are kept. `path` is absolute; it is made when it is first written to."""

    path: Path

    @property
    def runs(self) -> Path:
        """The folder of all jobs."""
        return self.path / "runs"

    def new_job_folder(self, job_id: str | None = None) -> Path:
        """A new, empty folder for a job. Raises OpenForgeError when it cannot be made."""
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            path = self.runs / (job_id or new_id("job"))
            path.mkdir()
        except OSError as error:
            raise OpenForgeError(
                f"cannot write to the workspace {self.path}: {error.strerror}; "
                "choose another with --workspace or OPENFORGE_WORKSPACE"
            ) from error
        return path

    def jobs(self) -> list[JobRecord]:
        """All jobs, the newest first; folders that hold no readable job are left out."""
        if not self.runs.is_dir():
            return []
        found = []
        for path in sorted(self.runs.iterdir(), reverse=True):
            try:
                found.append(read_job(path))
            except (NotFound, ValueError):
                continue
        return found

    def job(self, name: str) -> JobRecord:
        """The job whose id is, or alone begins with, `name`; "last" is the newest.

        Raises NotFound, naming what there is.
        """
        jobs = self.jobs()
        if name == "last" and jobs:
            return jobs[0]
        found = [j for j in jobs if j.id == name] or [j for j in jobs if j.id.startswith(name)]
        if len(found) == 1 and name:
            return found[0]
        what = "no job" if not found or not name else f"{len(found)} jobs"
        raise NotFound(f"{what} in {self.path} called '{name}'; `openforge list` shows all jobs")


def write_job(path: Path, file: JobFile) -> None:
    """Replace ``job.json`` in the job folder `path`; a reader sees the old or the new one."""
    scratch = path / f"{JOB_FILE}.{os.getpid()}"
    with scratch.open("w", encoding="utf-8") as out:
        out.write(file.model_dump_json(indent=2))
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(path / JOB_FILE)


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Hold the job folder `path`: its job counts as running as long as this process lives.

    Raises OpenForgeError when another process holds it.
    """
    with (path / LOCK_FILE).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OpenForgeError(f"{path.name} is already being run by another process") from None
        yield


def ask_to_cancel(job: JobRecord) -> None:
    """Leave word that `job` is to stop; its runner looks for it several times a second."""
    (job.path / CANCEL_FILE).touch()
