"""The queue: every change of a job's state is one transaction with its outbox rows."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from openforge.control import outbox
from openforge.control.database import now, seconds
from openforge.control.records import Job, Listing, StageEnd, Wanted, WebhookEvent
from openforge.control.rows import page
from openforge.control.tables import jobs as table
from openforge.control.tables import stages as stage_table
from openforge.errors import NotFound, QueueFull
from openforge.model import Stage, State

MAX_RESTARTS = 2  # a job that takes its runner down each time is not started for ever
SORTS = {"submitted_at": table.c.submitted_at, "finished_at": table.c.finished_at}
_HISTORY = 20  # jobs that an estimate rests on
_SETTLED = ("passed", "failed", "inconclusive", "skipped")

Summary = dict[str, JsonValue]


def new(
    *,
    job_id: str,
    project_id: str,
    owner: str,
    stages: Sequence[Stage],
    overrides: Any,
    files_sha256: str = "",
) -> Job:
    """A queued job that is in no database yet."""
    return Job(
        id=job_id,
        project_id=project_id,
        owner=owner,
        state=State.QUEUED,
        status=State.QUEUED.value,
        stages=tuple(stages),
        overrides=overrides,
        files_sha256=files_sha256,
        retry_of=None,
        submitted_at=now(),
        started_at=None,
        finished_at=None,
        duration_s=None,
        estimate_s=None,
        attempt=0,
        crashes=0,
        cancel_asked=False,
        error="",
    )


def enqueue(connection: Connection, job: Job, capacity: int) -> Job:
    """Put `job` into the queue. Raises QueueFull when `capacity` jobs are waiting."""
    require_room(connection, capacity)
    job = job.model_copy(update={"estimate_s": estimate(connection, job)})
    values = job.model_dump(mode="json", exclude={"ended", "stages", "overrides"})
    connection.execute(
        insert(table).values(
            **values,
            stages=json.dumps(job.stages),
            stage_set=_stage_set(job.stages),
            overrides=json.dumps(job.overrides),
        )
    )
    outbox.post(connection, WebhookEvent.QUEUED, job)
    return job


def require_room(connection: Connection, capacity: int) -> None:
    """Raises QueueFull when `capacity` jobs are waiting."""
    waiting = count(connection, State.QUEUED)
    if waiting >= capacity:
        raise QueueFull(f"the queue is full: {waiting} jobs are waiting; try again later")


def claim(connection: Connection) -> Job | None:
    """Start the next job: of the project that has the fewest running, then waited longest."""
    mine = table.alias()
    running = _of_project(mine, func.count(), mine.c.state == State.RUNNING.value)
    last = _of_project(mine, func.coalesce(func.max(mine.c.started_at), ""))
    query = (
        select(table.c.id)
        .where(table.c.state == State.QUEUED.value)
        .order_by(running, last, table.c.submitted_at, table.c.id)
        .limit(1)
    )
    job_id = connection.execute(query).scalar_one_or_none()
    if job_id is None:
        return None
    values = {"started_at": now(), "attempt": table.c.attempt + 1}
    _set(connection, job_id, state=State.RUNNING, status=State.RUNNING.value, **values)
    job = get(connection, job_id)
    if job.attempt == 1:
        outbox.post(connection, WebhookEvent.STARTED, job)
    return job


def stage_ended(connection: Connection, job_id: str, end: StageEnd, summary: Summary) -> None:
    """Record the end of a stage, once however often it is told."""
    job = get(connection, job_id)
    if any(known.stage is end.stage for known in job.ended):
        return
    connection.execute(insert(stage_table).values(job_id=job_id, **end.model_dump(mode="json")))
    outbox.post(
        connection,
        WebhookEvent.STAGE_COMPLETED,
        job,
        status=end.status,
        summary=summary,
        stage=end.stage,
    )


def finish(
    connection: Connection,
    job_id: str,
    state: State,
    status: str,
    *,
    summary: Summary | None = None,
    error: str = "",
) -> bool:
    """Record the end of a job, once; False when it had ended already.

    Only ``passed`` is told as completed: what could not be decided is no success.
    """
    job = get(connection, job_id)
    if job.state.final:
        return False
    ended = now()
    spent = seconds(ended) - seconds(job.started_at) if job.started_at else None
    _set(
        connection,
        job_id,
        state=state,
        status=status,
        finished_at=ended,
        duration_s=spent,
        error=error,
    )
    ending = {"passed": WebhookEvent.COMPLETED, "cancelled": WebhookEvent.CANCELLED}
    event = ending.get(status, WebhookEvent.FAILED)
    outbox.post(connection, event, get(connection, job_id), summary=summary)
    return True


def requeue(connection: Connection, job_id: str, *, crashed: bool) -> bool:
    """Put a running job back, unless it has ended; False when it was started too often already."""
    job = get(connection, job_id)
    if job.state.final:
        return True
    if job.cancel_asked:
        return finish(connection, job_id, State.CANCELLED, "cancelled")
    if crashed and job.crashes >= MAX_RESTARTS:
        return False
    again = stage_table.c.status.not_in(_SETTLED)  # stages without a verdict run again
    connection.execute(delete(stage_table).where(stage_table.c.job_id == job_id, again))
    _set(
        connection,
        job_id,
        state=State.QUEUED,
        status=State.QUEUED.value,
        crashes=job.crashes + int(crashed),
    )
    return True


def ask_to_cancel(connection: Connection, job_id: str) -> Job:
    """Remember that the job is to stop; one that is waiting is cancelled at once."""
    job = get(connection, job_id)
    if not job.state.final:
        _set(connection, job_id, cancel_asked=True)
        if job.state is State.QUEUED:
            finish(connection, job_id, State.CANCELLED, "cancelled")
    return get(connection, job_id)


def get(connection: Connection, job_id: str) -> Job:
    """The job. Raises NotFound."""
    job = find(connection, job_id)
    if job is None:
        raise NotFound(f"there is no job '{job_id}'")
    return job


def find(connection: Connection, job_id: str) -> Job | None:
    """The job, or None."""
    query = select(table).where(table.c.id == job_id)
    row = connection.execute(query).first()
    return _job(row, _ends(connection, [job_id])) if row else None


def listing(connection: Connection, wanted: Wanted) -> Listing[Job]:
    """A page of jobs, newest first; filters: ``owner``, ``project_id``, ``status``."""
    query: Select[Any] = select(table)
    for name in ("owner", "project_id", "status"):
        if wanted.filters.get(name) is not None:
            query = query.where(table.c[name] == wanted.filters[name])
    found = page(connection, query, wanted, SORTS, dict)
    ends = _ends(connection, [row["id"] for row in found.rows])
    jobs = tuple(_from_mapping(row, ends) for row in found.rows)
    return Listing(rows=jobs, total=found.total)


def of_state(connection: Connection, *states: State, project_id: str | None = None) -> list[str]:
    """Ids of the jobs in one of `states`, oldest first."""
    query = select(table.c.id).where(table.c.state.in_(states)).order_by(table.c.submitted_at)
    if project_id:
        query = query.where(table.c.project_id == project_id)
    return list(connection.execute(query).scalars())


def count(connection: Connection, state: State) -> int:
    """How many jobs are in `state`."""
    query = select(func.count()).select_from(table).where(table.c.state == state.value)
    return connection.execute(query).scalar_one()


def by_status(connection: Connection) -> dict[str, int]:
    """How many jobs there are of each status."""
    query = select(table.c.status, func.count()).group_by(table.c.status)
    return dict(connection.execute(query).tuples().all())


def estimate(connection: Connection, job: Job) -> float | None:
    """Seconds that such a job takes: the median of this project's last ones, else of all.

    Jobs are alike that ran the same stages to a verdict. None where there was none.
    """
    alike = [table.c.stage_set == _stage_set(job.stages), table.c.status.in_(_SETTLED)]
    query = select(table.c.duration_s).order_by(table.c.submitted_at.desc()).limit(_HISTORY)
    for where in ([*alike, table.c.project_id == job.project_id], alike):
        spent = connection.execute(query.where(*where)).scalars().all()
        if spent:
            return float(statistics.median(spent))
    return None


def _of_project(mine: Any, what: Any, *where: Any) -> Any:
    same = mine.c.project_id == table.c.project_id
    return select(what).select_from(mine).where(same, *where).scalar_subquery()


def _set(connection: Connection, job_id: str, **values: Any) -> None:
    connection.execute(update(table).where(table.c.id == job_id).values(**values))


def _stage_set(stages: Sequence[Stage]) -> str:
    return " ".join(sorted(set(stages)))


def _ends(connection: Connection, job_ids: Sequence[str]) -> dict[str, list[StageEnd]]:
    query = select(stage_table).where(stage_table.c.job_id.in_(job_ids))
    found: dict[str, list[StageEnd]] = {}
    for job_id, stage, status, duration_s in connection.execute(query):
        end = StageEnd(stage=stage, status=status, duration_s=duration_s)
        found.setdefault(job_id, []).append(end)
    return found


def _job(row: Row[Any], ends: dict[str, list[StageEnd]]) -> Job:
    return _from_mapping(dict(row._mapping), ends)


def _from_mapping(row: dict[str, Any], ends: dict[str, list[StageEnd]]) -> Job:
    kept = {k: v for k, v in row.items() if k not in ("stage_set", "stages", "overrides")}
    return Job(
        **kept,
        stages=json.loads(row["stages"]),
        overrides=json.loads(row["overrides"]),
        ended=tuple(ends.get(row["id"], ())),
    )
