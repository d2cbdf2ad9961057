"""Jobs: submit, list, look, cancel, retry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api import schemas, shapes
from api.deps import (
    PageNumber,
    PerPage,
    Reader,
    Seed,
    Submitter,
    TheJob,
    TheProject,
    TheService,
    see_project,
)
from api.errors import ApiError
from api.identity import Caller
from api.ratelimit import Limiter
from api.routing import Route, SubmissionRoute
from openforge.control import jobs as queue
from openforge.control.records import Wanted
from openforge.service.service import Service

router = APIRouter(tags=["jobs"], route_class=Route)
submissions = APIRouter(tags=["jobs"], route_class=SubmissionRoute)

Status = Annotated[schemas.Status | None, Query(description="only jobs with this status")]


async def within_limit(request: Request, project: TheProject, _: Submitter) -> None:
    """Count a submission to the project. Raises ApiError 429 when there were too many."""
    limiter: Limiter = request.app.state.limiter
    standing = limiter.hit(request.app.state.policies.submissions, project.id)
    request.state.standing = standing
    if not standing.allowed:
        raise ApiError(429, "too many jobs were submitted to this project; try again later")


async def retry_within_limit(
    request: Request, job: TheJob, service: TheService, caller: Submitter
) -> None:
    """A retry is a submission to the job's project."""
    await within_limit(request, see_project(service, caller, job.project_id), caller)


@submissions.post(
    "/projects/{id}/jobs",
    status_code=202,
    summary="Submit a verification job",
    response_description="It is in the queue",
    dependencies=[Depends(within_limit)],
)
def submit(
    project: TheProject,
    service: TheService,
    seed: Seed,
    response: Response,
    body: schemas.JobCreate | None = None,
) -> schemas.JobSubmitted:
    """Run stages on the project's files as they are now.

    `503` when the queue is full, or when a tool that a stage needs is not installed here.
    """
    asked = body or schemas.JobCreate()
    job = service.submit(project, asked.stages, asked.config_overrides, seed)
    response.headers["Location"] = f"{shapes.ROOT}/jobs/{job.id}"
    return shapes.submitted(job)


@router.get(
    "/projects/{id}/jobs",
    summary="List the jobs of a project",
    response_description="A page of them, newest first",
    response_model_exclude_unset=True,
)
def list_of_project(
    project: TheProject,
    service: TheService,
    page: PageNumber = 1,
    per_page: PerPage = 20,
    status: Status = None,
) -> schemas.Jobs:
    """A project's jobs, newest first."""
    filters = {"project_id": project.id, "status": status and status.value}
    return _page(service, Wanted(page, per_page, "submitted_at", filters))


@router.get(
    "/jobs",
    name="list",
    summary="List jobs",
    response_description="A page of them, newest first",
    response_model_exclude_unset=True,
)
def listing(
    service: TheService,
    caller: Reader,
    page: PageNumber = 1,
    per_page: PerPage = 20,
    status: Status = None,
    project_id: Annotated[
        str | None, Query(max_length=100, description="only this project's")
    ] = None,
) -> schemas.Jobs:
    """The caller's jobs, newest first; those of all users for an administrator."""
    filters = {
        "owner": caller.owner,
        "project_id": _project(service, caller, project_id),
        "status": status and status.value,
    }
    return _page(service, Wanted(page, per_page, "submitted_at", filters))


@router.get(
    "/jobs/{id}",
    summary="Get job status",
    response_description="The job",
    response_model_exclude_unset=True,
)
async def get(job: TheJob, service: TheService) -> schemas.Job:
    """A job with the progress of each stage."""
    return shapes.job(job, service)


@router.post(
    "/jobs/{id}/cancel",
    status_code=202,
    summary="Cancel a job",
    response_description="It is being stopped",
    responses={200: {"model": schemas.Job, "description": "It has ended"}},
    response_model_exclude_unset=True,
)
def cancel(job: TheJob, service: TheService, _: Submitter, response: Response) -> schemas.Job:
    """Stop a job.

    `202` while it is being stopped; `200` when it has ended, however it did, so that asking twice
    does no harm.
    """
    stopped = service.cancel(job)
    if stopped.state.final:
        response.status_code = 200
    return shapes.job(stopped, service)


@submissions.post(
    "/jobs/{id}/retry",
    status_code=202,
    summary="Retry a job",
    response_description="The new job is in the queue",
    dependencies=[Depends(retry_within_limit)],
)
def retry(job: TheJob, service: TheService, seed: Seed, response: Response) -> schemas.JobSubmitted:
    """Run the same stages on the very files that the job saw, as a new job."""
    again = service.retry(job, seed)
    response.headers["Location"] = f"{shapes.ROOT}/jobs/{again.id}"
    return shapes.submitted(again)


def _project(service: Service, caller: Caller, project_id: str | None) -> str | None:
    if project_id is None:
        return caller.project_id
    return see_project(service, caller, project_id).id


def _page(service: Service, wanted: Wanted) -> schemas.Jobs:
    with service.control.read() as connection:
        found = queue.listing(connection, wanted)
    return schemas.Jobs(
        jobs=[shapes.job(row, service) for row in found.rows],
        total=found.total,
        page=wanted.page,
        per_page=wanted.per_page,
    )
