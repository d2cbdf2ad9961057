"""The files that a job left."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response

from api import downloads, schemas, shapes
from api.deps import TheJob, TheService
from api.routing import Route
from openforge import artifacts

router = APIRouter(prefix="/jobs/{id}/artifacts", tags=["artifacts"], route_class=Route)


@router.get(
    "", name="list", summary="List artifacts", response_description="The files, in flow order"
)
def listing(job: TheJob, service: TheService) -> schemas.Artifacts:
    """All files of the checks that have ended, and the report."""
    found = [
        schemas.Artifact(
            name=artifact.name,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            media_type=artifact.media_type,
            url=f"{shapes.ROOT}/jobs/{job.id}/artifacts/{quote(artifact.name)}",
        )
        for artifact in artifacts.listing(service.record(job))
    ]
    return schemas.Artifacts(job_id=job.id, artifacts=found, total=len(found))


@router.get(
    "/{name:path}",
    summary="Download an artifact",
    response_class=Response,
    responses=downloads.RESPONSES,
    openapi_extra=downloads.PARAMETERS,
)
def download(
    name: Annotated[
        str,
        Path(
            max_length=1000,
            description="full name of a file, or the last part of it",
            examples=["simulation/coverage.xml"],
        ),
    ],
    request: Request,
    job: TheJob,
    service: TheService,
) -> Response:
    """A file, by its full name or, where only one has it, by the last part of it: `coverage.xml`.

    `trace.fst` is the waveform of the first failure, else the first there is.
    """
    found = artifacts.find(service.record(job), name)
    return downloads.respond(
        request, found.path, found.name, media_type=found.media_type, etag=found.sha256
    )
