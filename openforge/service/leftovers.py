"""What an earlier service left when it was killed: settled before a new one takes jobs."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from openforge.control import jobs, outbox, projects
from openforge.control.database import Control
from openforge.errors import NotFound
from openforge.event_log import JOB_EVENTS
from openforge.model import State
from openforge.record import read_job
from openforge.service import ends
from openforge.service.files import ProjectFiles
from openforge.workspace import Workspace

_ABANDONED_S = 24 * 3600.0  # a job folder without a job.json: somebody may be filling it


def settle(control: Control, workspace: Workspace, files: ProjectFiles) -> None:
    """Bring folders and database to say the same, and remove what was never acknowledged."""
    _recover(control, workspace)
    for path in workspace.runs.iterdir():
        _clean(control, path)
    for project_id in files.project_ids():
        with control.read() as connection:
            alive = projects.is_alive(connection, project_id)
        if not alive:
            files.forget(project_id)
    with control.write() as connection:
        outbox.prune(connection)


def _recover(control: Control, workspace: Workspace) -> None:
    """Decide about the jobs that were running."""
    with control.read() as connection:
        running = jobs.of_state(connection, State.RUNNING)
    for job_id in running:
        try:
            record = read_job(workspace.runs / job_id)
        except (NotFound, ValueError):
            record = None
        ends.recover(control, record, job_id, crashed=True)


def _clean(control: Control, path: Path) -> None:
    """Make a job's folder say what the queue says; remove one that is in no queue and never ran.

    Jobs that are none of a service's are left alone, and so is every record of a run, whatever the
    database knows: it may be a new one.
    """
    try:
        record = read_job(path)
    except (NotFound, ValueError):
        _drop_abandoned(path)
        return
    if not record.file.service:
        return
    with control.read() as connection:
        known = jobs.find(connection, path.name)
    if known:
        ends.settle(record, known)
    elif record.file.state is State.QUEUED and not (path / JOB_EVENTS).exists():
        shutil.rmtree(path, ignore_errors=True)


def _drop_abandoned(path: Path) -> None:
    """Remove a folder without a readable job.json, unless somebody may be filling it."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rmdir()  # only if it is empty
