"""Projects: create, list, look, change, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api import schemas, shapes
from api.deps import PageNumber, PerPage, Reader, Seed, Submitter, TheProject, TheService
from api.errors import ApiError
from api.routing import Route
from openforge.control import projects
from openforge.control.database import now
from openforge.control.records import Project, Wanted
from openforge.ids import new_id

router = APIRouter(prefix="/projects", tags=["projects"], route_class=Route)

Status = Annotated[schemas.ProjectStatus | None, Query(description="only these")]
Sort = Annotated[
    schemas.ProjectSort, Query(description="moments: newest first; names: A to Z; `-` reverses")
]
Name = Annotated[
    str | None, Query(max_length=100, pattern=schemas.NAME, description="only the one called so")
]


@router.post(
    "", status_code=201, summary="Create a project", response_description="The new project"
)
def create(
    body: schemas.ProjectCreate,
    service: TheService,
    caller: Submitter,
    seed: Seed,
    response: Response,
) -> schemas.Project:
    """A new project without files. `409` when the caller has one of that name."""
    if caller.project_id:
        raise ApiError(403, "this token is for one project: it cannot make others")
    made = now()
    project = Project(
        id=new_id("proj", seed),
        owner=str(caller.user),
        **body.model_dump(),
        revision=0,
        created_at=made,
        updated_at=made,
    )
    with service.control.write() as connection:
        found = shapes.project(projects.create(connection, project))
    response.headers["Location"] = found.url
    return found


@router.get("", name="list", summary="List projects", response_description="A page of them")
def listing(
    service: TheService,
    caller: Reader,
    page: PageNumber = 1,
    per_page: PerPage = 20,
    status: Status = None,
    sort: Sort = schemas.ProjectSort.CREATED_AT,
    name: Name = None,
) -> schemas.Projects:
    """The caller's projects; those of all users for an administrator."""
    filters = {
        "owner": caller.owner,
        "id": caller.project_id,
        "status": status and status.value,
        "name": name,
    }
    wanted = Wanted(page, per_page, sort.value, filters)
    with service.control.read() as connection:
        found = projects.listing(connection, wanted)
    return schemas.Projects(
        projects=[shapes.project(row) for row in found.rows],
        total=found.total,
        page=page,
        per_page=per_page,
    )


@router.get("/{id}", summary="Get a project", response_description="The project")
def get(project: TheProject) -> schemas.Project:
    """One project."""
    return shapes.project(project)


@router.put("/{id}", summary="Update a project", response_description="The project as it is now")
def update(
    body: schemas.ProjectUpdate, project: TheProject, service: TheService, _: Submitter
) -> schemas.Project:
    """Change some fields.

    A top module that is named here counts for the next jobs, until a project file with another one
    is uploaded.
    """
    values = body.model_dump(exclude_unset=True)
    with service.control.write() as connection:
        return shapes.project(projects.change(connection, project.id, values))


@router.delete(
    "/{id}", status_code=204, summary="Delete a project", response_description="It is gone"
)
def delete(project: TheProject, service: TheService, _: Submitter) -> None:
    """The project and its files are gone, jobs that wait or run are cancelled, its name is free.

    Jobs that were run, and their results, remain: they are the record.
    """
    service.delete_project(project)
