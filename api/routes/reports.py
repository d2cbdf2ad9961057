"""Reports of a job, made when they are asked for."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from api import downloads, schemas
from api.deps import TheJob, TheService
from api.errors import ApiError
from api.routing import Route
from openforge import report
from openforge.errors import OpenForgeError, ToolError
from openforge.report import Format

router = APIRouter(prefix="/jobs/{id}/reports", tags=["reports"], route_class=Route)

TEMPLATES = "templates"  # folder of the workspace: the operator's, nothing can be uploaded to it
_KINDS = {
    Format.HTML: ("text/html", "html"),
    Format.MARKDOWN: ("text/markdown", "md"),
    Format.JSON: ("application/json", "json"),
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report, to be saved",
        "model": schemas.JsonReport,
        "content": {
            "text/html": {"schema": {"type": "string"}, "example": "<!DOCTYPE html>..."},
            "text/markdown": {"schema": {"type": "string"}, "example": "# ntt-butterfly: passed"},
        },
        "headers": downloads.SAVED,
    }
}


@router.post("", summary="Generate a report", response_class=Response, responses=_FILE)
def generate(
    job: TheJob, service: TheService, body: schemas.ReportCreate | None = None
) -> Response:
    """One self-contained file.

    It shows what the run folders say, and says so loudly when one was changed after it was sealed.
    `422` when the template cannot be used.
    """
    asked = body or schemas.ReportCreate()
    missing = [stage for stage in asked.include or () if stage not in job.stages]
    if missing:
        message = f"job {job.id} did not run the stage '{missing[0].value}'"
        raise ApiError(400, message, {"field": "include", "suggestion": ", ".join(job.stages)})
    if asked.template is not None and asked.format is Format.JSON:
        raise ApiError(400, "a JSON report has a fixed shape: no template", {"field": "template"})
    template = _template(service.workspace.path / TEMPLATES, asked.template)
    record = service.record(job)
    try:
        data = report.report(record, asked.format, asked.include, template)
    except OpenForgeError as error:
        raise ToolError(str(error)) from error
    kind, suffix = _KINDS[asked.format]
    headers = {
        "Content-Disposition": downloads.disposition(f"{job.id}.{suffix}"),
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    }
    return Response(data, media_type=kind, headers=headers)


def _template(folder: Path, name: str | None) -> Path | None:
    """The operator's template called `name`: it is looked up, never made into a path."""
    if name is None:
        return None
    there = {path.name: path for path in folder.glob("*") if path.is_file()}
    if name in there:
        return there[name]
    near = difflib.get_close_matches(name, there, n=1)
    raise ApiError(
        400,
        f"there is no report template {name!a}",
        {"field": "template", "suggestion": near[0] if near else None},
    )
