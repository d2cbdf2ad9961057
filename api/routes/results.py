"""What a job concluded: verdicts, crypto checks, coverage."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api import schemas
from api.deps import TheJob, TheService
from api.routing import Route
from openforge import report, view_coverage, view_rows
from openforge.control.records import Job
from openforge.errors import NotFound
from openforge.model import Stage
from openforge.record import JobRecord
from openforge.service.service import Service

router = APIRouter(prefix="/jobs/{id}/results", tags=["results"], route_class=Route)


@router.get(
    "",
    summary="Get all results",
    response_description="The results, by stage",
    response_model_exclude_unset=True,
)
def get(job: TheJob, service: TheService) -> schemas.Results:
    """The results of all stages.

    `overall_status` is the worst; an `error` is never read as passed.
    """
    return schemas.Results(**_shape(job, service))


@router.get(
    "/crypto",
    summary="Get crypto results",
    response_description="The results, by check",
    response_model_exclude_unset=True,
)
def crypto(job: TheJob, service: TheService) -> schemas.CryptoResults:
    """The results of the crypto checks. `404` when the job has none."""
    shape = _shape(job, service)
    if Stage.CRYPTO not in job.stages:
        raise NotFound(f"job {job.id} did not run the stage 'crypto'")
    return schemas.CryptoResults(
        job_id=job.id,
        overall_status=shape["overall_status"],
        crypto=shape["stages"].get(Stage.CRYPTO.value, {}),
    )


@router.get(
    "/coverage", summary="Get coverage data", response_description="Coverage by kind and by file"
)
def coverage(job: TheJob, service: TheService) -> schemas.Coverage:
    """Coverage of the job's simulation, as a whole and by file. `404` when none was measured."""
    shown = _coverage(service.record(job))
    if not shown:
        raise NotFound(f"job {job.id} has no coverage: none was measured, or it is still running")
    files = [
        schemas.CoverageFile(name=f["name"], kinds=f["kinds"], missed_lines=f["missed"])
        for f in shown["files"]
    ]
    return schemas.Coverage(
        job_id=job.id, coverage=shown["percent"], goals=shown["goals"], files=files
    )


def _shape(job: Job, service: Service) -> dict[str, Any]:
    """The shape of the contract; the queue knows better than the folder whether a job waits."""
    shape = report.results_json(service.record(job))
    return {**shape, "overall_status": job.status}


def _coverage(record: JobRecord) -> dict[str, Any]:
    for check in record.checks:
        if check.stage is Stage.SIMULATION and check.manifest:
            return view_coverage.coverage(check, view_rows.rows(check, "coverage"))
    return {}
