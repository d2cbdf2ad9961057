"""From the library's records to what goes over the wire."""

from __future__ import annotations

import json
from urllib.parse import quote

from api import schemas
from openforge.control import records
from openforge.control.database import moment
from openforge.control.tokens import Scope
from openforge.model import State
from openforge.service.files import FileEntry
from openforge.service.service import Service
from openforge.view import span

ROOT = "/api/v1"


def project(found: records.Project) -> schemas.Project:
    """A project."""
    return schemas.Project(
        **found.model_dump(exclude={"owner", "revision", "deleted_at"}),
        status=schemas.ProjectStatus(found.status),
        url=f"{ROOT}/projects/{found.id}",
    )


def file(found: FileEntry, project_id: str) -> schemas.ProjectFile:
    """A file of a project."""
    return schemas.ProjectFile(
        name=found.name,
        size_bytes=found.size_bytes,
        modified_at=moment(found.modified_at_s),
        url=f"{ROOT}/projects/{project_id}/files/{quote(found.name)}",
    )


def submitted(job: records.Job) -> schemas.JobSubmitted:
    """A job that was just submitted."""
    return schemas.JobSubmitted(
        job_id=job.id,
        project_id=job.project_id,
        status=schemas.Status.QUEUED,
        stages=list(job.stages),
        submitted_at=job.submitted_at,
        estimated_duration=_span(job.estimate_s),
        retry_of=job.retry_of,
        files_sha256=job.files_sha256,
        config_overrides=job.overrides,
        url=f"{ROOT}/jobs/{job.id}",
    )


def job(found: records.Job, service: Service) -> schemas.Job:
    """A job with the progress of its stages."""
    return schemas.Job(
        job_id=found.id,
        project_id=found.project_id,
        status=schemas.Status(found.status),
        stages=list(found.stages),
        progress=_progress(found, service),
        submitted_at=found.submitted_at,
        started_at=found.started_at,
        finished_at=found.finished_at,
        duration=_span(found.duration_s),
        estimated_duration=_span(found.estimate_s),
        attempt=found.attempt,
        cancel_requested=found.cancel_asked,
        retry_of=found.retry_of,
        files_sha256=found.files_sha256,
        config_overrides=found.overrides,
        error=found.error or None,
        url=f"{ROOT}/jobs/{found.id}",
    )


def _progress(found: records.Job, service: Service) -> dict[str, schemas.StageProgress]:
    """Stages that ended, by the database; those under way, by their worker; the rest waits.

    In a job that has ended, a stage without an end of its own shares the job's fate.
    """
    ended = {end.stage: end for end in found.ended}
    live = service.slots.progress(found.id) if found.state is State.RUNNING else {}
    rest = found.status if found.state.final else State.QUEUED.value
    shown = {}
    for stage in found.stages:
        if stage in ended:
            end = ended[stage]
            shown[stage.value] = schemas.StageProgress(
                status=schemas.Status(end.status), duration=span(end.duration_s)
            )
        else:
            known = live.get(stage, {"status": rest})
            shown[stage.value] = schemas.StageProgress.model_validate(known)
    return shown


def webhook(found: records.Webhook) -> schemas.Webhook:
    """A webhook, without its secret."""
    return schemas.Webhook(
        webhook_id=found.id,
        url=found.url,
        events=list(found.events),
        active=found.active,
        project_id=found.project_id,
        inactive_reason=found.inactive_reason or None,
        created_at=found.created_at,
    )


def delivery(found: records.Delivery) -> schemas.Delivery:
    """A message to a webhook."""
    waits = found.state == "pending"
    attempts = [
        schemas.DeliveryAttempt(
            number=made.number,
            at=made.at,
            status_code=made.status_code,
            error=made.error or None,
            duration=span(made.duration_s),
        )
        for made in found.tries
    ]
    return schemas.Delivery.model_validate(
        {
            "delivery_id": found.id,
            "webhook_id": found.webhook_id,
            "event": found.event,
            "job_id": found.job_id,
            "state": found.state,
            "created_at": found.created_at,
            "next_attempt_at": moment(found.next_at) if waits else None,
            "attempts": attempts,
            "payload": json.loads(found.body),
        }
    )


def token(found: records.Token) -> schemas.Token:
    """What is known of a token."""
    kept = found.model_dump(exclude={"id", "scopes"})
    scopes = [scope for scope in Scope if scope in found.scopes]
    return schemas.Token(token_id=found.id, scopes=scopes, **kept)


def _span(seconds: float | None) -> str | None:
    return None if seconds is None else span(seconds)
