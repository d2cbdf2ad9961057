"""What routes are given: the service, the caller, and things the caller may see.

They are coroutines that do not wait: a read of one row takes less time than the way to a thread
and back, and readers of SQLite wait for nobody.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Path, Query, Request

from api.errors import ApiError
from api.identity import Caller
from openforge.control import jobs as queue
from openforge.control import projects
from openforge.control import webhooks as hooks
from openforge.control.records import Job, Project, Webhook
from openforge.control.tokens import Scope
from openforge.errors import NotFound
from openforge.service.service import Service

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


async def service_of(request: Request) -> Service:
    """The service of this application."""
    found: Service = request.app.state.service
    return found


def _caller(request: Request, scope: Scope) -> Caller:
    return permit(request.state.caller, scope)


def permit(caller: Caller, scope: Scope) -> Caller:
    """`caller`, if there is one that may do what needs `scope`. Raises ApiError 401 or 403."""
    if caller.user is None:
        said = "the token is not valid" if caller.wrong else "a token is needed"
        hint = "send 'Authorization: Bearer <token>' or 'X-API-Key: <token>'"
        raise ApiError(401, f"{said}; {hint}", headers={"WWW-Authenticate": "Bearer"})
    if scope not in caller.scopes:
        raise ApiError(403, f"this token may not do that: it needs the scope '{scope.value}'")
    return caller


async def reader(request: Request) -> Caller:
    """A caller that may look."""
    return _caller(request, Scope.READ)


async def submitter(request: Request) -> Caller:
    """A caller that may change things."""
    return _caller(request, Scope.SUBMIT)


async def admin(request: Request) -> Caller:
    """A caller that may do everything, with no project only."""
    caller = _caller(request, Scope.ADMIN)
    if caller.project_id:
        raise ApiError(403, "this token is for one project only")
    return caller


TheService = Annotated[Service, Depends(service_of)]
Reader = Annotated[Caller, Depends(reader)]
Submitter = Annotated[Caller, Depends(submitter)]
Admin = Annotated[Caller, Depends(admin)]
ProjectId = Annotated[
    str, Path(alias="id", max_length=100, description="a project", examples=["proj_abc123"])
]
JobId = Annotated[
    str, Path(alias="id", max_length=100, description="a job", examples=["job_xyz789"])
]
WebhookId = Annotated[
    str, Path(alias="id", max_length=100, description="a webhook", examples=["wh_def456"])
]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="page, from 1")]
PerPage = Annotated[int, Query(ge=1, le=100, description="rows a page")]


async def seed(request: Request) -> str | None:
    """From what the ids of a request with an Idempotency-Key follow."""
    found: str | None = getattr(request.state, "seed", None)
    return found


Seed = Annotated[str | None, Depends(seed)]


def see_project(service: Service, caller: Caller, project_id: str) -> Project:
    """A project of the caller. Raises NotFound, also for another user's: nobody learns of it."""
    with service.control.read() as connection:
        found = projects.get(connection, clean(project_id))
    if not caller.is_admin and found.owner != caller.user:
        raise NotFound(f"there is no project '{project_id}'")
    _bound(caller, found.id)
    return found


def see_job(service: Service, caller: Caller, job_id: str) -> Job:
    """A job of the caller. Raises NotFound, also for another user's."""
    with service.control.read() as connection:
        found = queue.get(connection, clean(job_id))
    if not caller.is_admin and found.owner != caller.user:
        raise NotFound(f"there is no job '{job_id}'")
    _bound(caller, found.project_id)
    return found


def see_webhook(service: Service, caller: Caller, webhook_id: str) -> Webhook:
    """A webhook of the caller. Raises NotFound, also for another user's."""
    with service.control.read() as connection:
        found = hooks.get(connection, clean(webhook_id))
    if not caller.is_admin and found.owner != caller.user:
        raise NotFound(f"there is no webhook '{webhook_id}'")
    _bound(caller, found.project_id)
    return found


def clean(text: str) -> str:
    """`text` without what no identifier has and no database takes. Raises NotFound."""
    if _UNPRINTABLE.search(text):
        raise NotFound(f"there is nothing called {text[:100]!a}")
    return text


def _bound(caller: Caller, project_id: str | None) -> None:
    if caller.project_id and caller.project_id != project_id:
        raise ApiError(403, "this token is for another project")


async def the_project(service: TheService, caller: Reader, project_id: ProjectId) -> Project:
    """The project of the address."""
    return see_project(service, caller, project_id)


async def the_job(request: Request, service: TheService, caller: Reader, job_id: JobId) -> Job:
    """The job of the address; the request's line in the log names it."""
    found = see_job(service, caller, job_id)
    request.state.job_id = found.id
    return found


async def the_webhook(service: TheService, caller: Reader, webhook_id: WebhookId) -> Webhook:
    """The webhook of the address."""
    return see_webhook(service, caller, webhook_id)


TheProject = Annotated[Project, Depends(the_project)]
TheJob = Annotated[Job, Depends(the_job)]
TheWebhook = Annotated[Webhook, Depends(the_webhook)]
