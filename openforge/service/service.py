"""The service: everything behind HTTP but HTTP. One a workspace; made and closed by its host."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pydantic import JsonValue

from openforge import checks, config, jobs
from openforge.control import jobs as queue
from openforge.control import projects
from openforge.control.database import Control
from openforge.control.records import Job, Project
from openforge.errors import Busy, NotFound, ToolMissing
from openforge.ids import new_id
from openforge.model import Stage, State
from openforge.record import PROJECT, JobRecord, read_job
from openforge.service import ends, leftovers
from openforge.service.courier import Courier
from openforge.service.files import ProjectFiles
from openforge.service.settings import ServiceSettings
from openforge.service.slots import Slots
from openforge.service.vault import Vault
from openforge.tools import locate
from openforge.workspace import Workspace, ask_to_cancel

LOCK = "service.lock"


class UnderWay:
    """Requests that are being carried out, by whatever tells them apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: set[tuple[str, str]] = set()

    def begin(self, request: tuple[str, str]) -> bool:
        """Whether nobody else carries it out; from now on somebody does."""
        with self._lock:
            free = request not in self._now
            self._now.add(request)
            return free

    def end(self, request: tuple[str, str]) -> None:
        """It is done."""
        with self._lock:
            self._now.discard(request)


class Service:
    """Jobs, projects and webhooks of one workspace. Methods can be called by several threads.

    Raises Busy when another service has the workspace.
    """

    def __init__(self, workspace: Path, settings: ServiceSettings) -> None:
        workspace.mkdir(parents=True, exist_ok=True)
        self._lock = _take(workspace / LOCK)
        self.under_way = UnderWay()
        self.workspace, self.settings = Workspace(workspace), settings
        self.workspace.runs.mkdir(exist_ok=True)
        self.control = Control(workspace)
        self.vault = Vault(workspace)
        self.files = ProjectFiles(workspace)
        self.courier = Courier(self.control, self.vault, settings)
        self.slots = Slots(
            self.control,
            workspace,
            count=settings.jobs_at_a_time,
            changed=self._changed,
            may_start=self.has_room,
        )

    def start(self) -> None:
        """Settle what an earlier service left, then take jobs."""
        leftovers.settle(self.control, self.workspace, self.files)
        self.slots.start()

    def drain(self) -> None:
        """Wait for running jobs, put back those that take too long."""
        self.slots.stop(self.settings.drain_s)

    def close(self) -> None:
        """Let the workspace go."""
        self.control.close()
        self._lock.close()

    def has_room(self) -> bool:
        """Whether the workspace's disk has room for another job."""
        return shutil.disk_usage(self.workspace.path).free >= self.settings.min_free_mb << 20

    def require_room(self) -> None:
        """Raises QueueFull when the queue takes no job now."""
        with self.control.read() as connection:
            queue.require_room(connection, self.settings.queue_capacity)

    def submit(
        self,
        project: Project,
        stages: Sequence[Stage] | None,
        overrides: Mapping[str, JsonValue],
        seed: str | None = None,
    ) -> Job:
        """A queued job on the project's files as they are now; the same one for the same `seed`.

        Raises QueueFull, ToolMissing, NotFound (no files), ConfigError, OpenForgeError.
        """
        job_id = new_id("job", seed)
        with self.control.read() as connection:
            there = queue.find(connection, job_id) if seed else None
            if there:
                return there
            queue.require_room(connection, self.settings.queue_capacity)
        require_tools(stages or ())
        with self.files.locked(project.id):
            with self.control.read() as connection:
                project = projects.get(connection, project.id)
            folder = self.files.folder(project)
            said = {**_said_later(project, folder), **overrides}
            if seed:
                self._drop_remains(job_id)
            record = jobs.submit(self.workspace, folder, stages, said, job_id=job_id, service=True)
        return self._enqueue(record, project)

    def retry(self, job: Job, seed: str | None = None) -> Job:
        """A new job on the very files of `job`, with its stages and overrides.

        Raises QueueFull, ToolMissing, NotFound (the project is deleted), OpenForgeError.
        """
        job_id = new_id("job", seed)
        with self.control.read() as connection:
            there = queue.find(connection, job_id) if seed else None
            if there:
                return there
            project = projects.get(connection, job.project_id)
            queue.require_room(connection, self.settings.queue_capacity)
        require_tools(job.stages)
        if seed:
            self._drop_remains(job_id)
        record = jobs.submit(
            self.workspace,
            self.record(job).path / PROJECT,
            job.stages,
            job.overrides,
            job_id=job_id,
            service=True,
        )
        return self._enqueue(record, project, retry_of=job.id)

    def cancel(self, job: Job) -> Job:
        """Stop `job`: at once if it waits, soon if it runs, not at all if it has ended."""
        with self.control.write() as connection:
            job = queue.ask_to_cancel(connection, job.id)
        self._stop(job)
        self._changed()
        return job

    def delete_project(self, project: Project) -> None:
        """Cancel what the project has waiting and running, remove its files, free its name.

        Jobs that were run remain: they are the record.
        """
        with self.control.write() as connection:
            projects.delete(connection, project.id)
            open_ = queue.of_state(connection, State.QUEUED, State.RUNNING, project_id=project.id)
            stopped = [queue.ask_to_cancel(connection, job_id) for job_id in open_]
        for job in stopped:
            self._stop(job)
        with self.files.locked(project.id):
            self.files.forget(project.id)
        self._changed()

    def take_files(self, project: Project, incoming: Path) -> Project:
        """Add the files in the folder `incoming` to the project, all or none.

        Raises ConfigError when there is a project file among them that is not valid.
        """
        told: dict[str, Any] = {}
        if (incoming / config.FILE).is_file():
            said = config.load(incoming).project
            told = said.model_dump(include={"top_module", "target_pdk", "description"})
        with self.files.locked(project.id):
            with self.control.read() as connection:
                project = projects.get(connection, project.id)
            revision = self.files.with_files(project, incoming)
            return self._switch(project, revision, {k: v for k, v in told.items() if v})

    def drop_file(self, project: Project, name: str) -> Project:
        """Remove one file of the project. Raises NotFound."""
        with self.files.locked(project.id):
            with self.control.read() as connection:
                project = projects.get(connection, project.id)
            return self._switch(project, self.files.without_file(project, name), {})

    def record(self, job: Job) -> JobRecord:
        """The run folder of `job`. Raises NotFound when it was removed."""
        return read_job(self.workspace.runs / job.id)

    def _stop(self, job: Job) -> None:
        """Have the folder of a job that is to be cancelled say so."""
        with contextlib.suppress(NotFound, ValueError):  # it was removed by hand
            record = self.record(job)
            if job.state is State.RUNNING:
                ask_to_cancel(record)
            elif job.state is State.CANCELLED:
                ends.settle(record, job)

    def _drop_remains(self, job_id: str) -> None:
        """Remove what a killed service had made of a job that is in no queue."""
        shutil.rmtree(self.workspace.runs / job_id, ignore_errors=True)

    def _switch(self, project: Project, revision: int, values: dict[str, Any]) -> Project:
        try:
            with self.control.write() as connection:
                changed = projects.change(connection, project.id, {**values, "revision": revision})
        except BaseException:
            self.files.forget(project.id, but=(project.revision - 1, project.revision))
            raise
        # Somebody may be reading the one before; it goes with the next change.
        self.files.forget(project.id, but=(project.revision, revision))
        return changed

    def _enqueue(self, record: JobRecord, project: Project, retry_of: str | None = None) -> Job:
        job = queue.new(
            job_id=record.id,
            project_id=project.id,
            owner=project.owner,
            stages=record.file.stages,
            overrides=record.file.overrides,
            files_sha256=record.file.files_sha256,
        )
        try:
            require_tools(record.file.stages)
            with self.control.write() as connection:
                projects.get(connection, project.id)  # it may have been deleted meanwhile
                job = queue.enqueue(
                    connection,
                    job.model_copy(update={"retry_of": retry_of}),
                    self.settings.queue_capacity,
                )
        except BaseException:
            shutil.rmtree(record.path, ignore_errors=True)
            raise
        self._changed()
        return job

    def _changed(self) -> None:
        self.slots.wake()
        self.courier.wake()


def require_tools(stages: Sequence[Stage]) -> None:
    """Raises ToolMissing when a check of `stages` cannot be run here."""
    for stage in stages:
        mine = [check for check in checks.CHECKS if check.stage is stage]
        if not mine:
            raise ToolMissing(f"no check of stage '{stage.value}' is installed here")
        for check in mine:
            for name in check.tools:
                locate.program(name)


def _said_later(project: Project, folder: Path) -> dict[str, JsonValue]:
    """What was said of the project after its file was uploaded: the last word counts."""
    if not (folder / config.FILE).is_file():
        raise NotFound(f"project '{project.name}' has no {config.FILE}; upload one")
    said = config.load(folder).project
    fields = ("top_module", "target_pdk")
    later = {name: getattr(project, name) for name in fields if getattr(project, name)}
    return {
        f"project.{name}": value for name, value in later.items() if getattr(said, name) != value
    }


def _take(path: Path) -> IO[bytes]:
    """Hold the workspace for this process. Raises Busy."""
    lock = path.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Busy(
            f"another OpenForge service uses the workspace {path.parent}; stop it, or choose "
            "another with --workspace"
        ) from None
    return lock
