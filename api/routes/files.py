"""The files of a project: upload, list, download, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from api import downloads, schemas, shapes, uploads
from api.deps import Submitter, TheProject, TheService
from api.routing import Route
from openforge.control.records import Project
from openforge.intake import Intake
from openforge.service.service import Service

router = APIRouter(prefix="/projects/{id}", tags=["files"], route_class=Route)

FileName = Annotated[
    str,
    Path(
        max_length=1000,
        description="name of a file, with its folders",
        examples=["rtl/ntt_butterfly.v"],
    ),
]
_MULTIPART = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [uploads.FIELD],
                    "properties": {
                        uploads.FIELD: {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "names may have folders; .zip and .tar are unpacked",
                        }
                    },
                    "additionalProperties": False,
                },
                "example": {uploads.FIELD: ["module ntt_butterfly; endmodule"]},
            }
        },
    }
}


@router.post(
    "/upload",
    summary="Upload design files",
    response_description="The files are in the project",
    openapi_extra=_MULTIPART,
)
async def upload(
    request: Request, project: TheProject, service: TheService, _: Submitter
) -> schemas.Uploaded:
    """Add files, all or none; those of the same name are replaced.

    A project file (openforge.yaml) among them is checked. Jobs that were submitted before do not
    see the change.
    """
    try:
        files = await uploads.files(request)
        names = await run_in_threadpool(_take, service, project, files)
    finally:
        await request.close()
    return schemas.Uploaded(uploaded=len(names), project_id=project.id, files=list(names))


def _take(service: Service, project: Project, files: list[UploadFile]) -> tuple[str, ...]:
    most = service.settings.upload_mb << 20
    with service.files.incoming() as folder:
        intake = Intake(folder, max_bytes=most)
        for file in files:
            intake.add(file.filename or "", file.file)
        service.take_files(project, folder)
        return intake.names


@router.get("/files", name="list", summary="List files", response_description="The files, by name")
def listing(project: TheProject, service: TheService) -> schemas.ProjectFiles:
    """All files of a project, by name."""
    found = [shapes.file(entry, project.id) for entry in service.files.entries(project)]
    return schemas.ProjectFiles(project_id=project.id, files=found, total=len(found))


@router.get(
    "/files/{name:path}",
    summary="Download a file",
    response_class=Response,
    responses=downloads.RESPONSES,
    openapi_extra=downloads.PARAMETERS,
)
def download(
    name: FileName, request: Request, project: TheProject, service: TheService
) -> Response:
    """A file as it was uploaded."""
    return downloads.respond(request, service.files.file(project, name), name)


@router.delete(
    "/files/{name:path}",
    status_code=204,
    summary="Delete a file",
    response_description="It is gone",
)
def delete(name: FileName, project: TheProject, service: TheService, _: Submitter) -> None:
    """Remove a file from the project; jobs that were submitted before still see it."""
    service.drop_file(project, name)
