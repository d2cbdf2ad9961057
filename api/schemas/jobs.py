"""Jobs: what is asked for, how far it is, and its log."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from api.schemas.common import (
    JOB,
    MOMENT,
    PROJECT,
    Absent,
    Address,
    Answer,
    Body,
    Moment,
    Span,
    Status,
    absent,
    example,
)
from openforge.model import Stage

_URL = f"/api/v1/jobs/{JOB}"
_STAGES = ["lint", "simulation", "formal"]
_DIGEST = "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"
_JOB = {
    "job_id": JOB,
    "project_id": PROJECT,
    "status": "running",
    "stages": _STAGES,
    "progress": {
        "lint": {"status": "passed", "duration": "2.1s"},
        "simulation": {"status": "running", "progress": "7/10 tests"},
        "formal": {"status": "queued"},
    },
    "submitted_at": MOMENT,
    "started_at": "2026-01-15T10:30:02Z",
    "finished_at": None,
    "duration": None,
    "estimated_duration": "5m30s",
    "attempt": 1,
    "cancel_requested": False,
    "retry_of": None,
    "files_sha256": _DIGEST,
    "config_overrides": {"verification.simulation.coverage": True},
    "error": None,
    "url": _URL,
}
_LINE = {
    "timestamp": "2026-01-15T10:35:03Z",
    "stage": "simulation",
    "level": "INFO",
    "message": "Compiling with Verilator 5.028...",
    "seq": 17,
}


class JobCreate(Body):
    """A job to run; `{}` runs what the project file asks for."""

    model_config = example(
        stages=_STAGES,
        config_overrides={
            "verification.simulation.coverage": True,
            "verification.formal.depth": 40,
        },
    )

    # Strict validation would refuse the words of an enum that was not parsed from JSON.
    stages: (
        Annotated[list[Annotated[Stage, Field(strict=False)]], Field(min_length=1, max_length=10)]
        | None
    ) = Field(None, description="what to run; without it, the project file's or all there are")
    config_overrides: dict[str, JsonValue] = Field(
        {}, max_length=200, description="dotted paths into openforge.yaml and their values"
    )


class JobSubmitted(Answer):
    """A job that waits in the queue."""

    model_config = example(
        job_id=JOB,
        project_id=PROJECT,
        status="queued",
        stages=_STAGES,
        submitted_at=MOMENT,
        estimated_duration="5m30s",
        retry_of=None,
        files_sha256=_DIGEST,
        config_overrides={"verification.simulation.coverage": True},
        url=_URL,
    )

    job_id: str = Field(description="names the job in addresses")
    project_id: str = Field(description="whose files are verified")
    status: Status
    stages: list[Stage] = Field(description="what will run, in order")
    submitted_at: Moment = Field(description="when it was submitted")
    estimated_duration: Span | None = Field(
        description="median of like jobs of this project, else of all; null where there was none"
    )
    retry_of: str | None = Field(None, description="the job whose files and stages these are")
    files_sha256: str = Field(description="digest of the files that it is about")
    config_overrides: dict[str, JsonValue] = Field(
        description="what differs from the project file; it belongs to the verdict"
    )
    url: Address = Field(description="where its state can be asked for")


class StageProgress(Answer):
    """How far a stage is."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    status: Status
    duration: Span | Absent = absent("how long it took; there once it has ended")
    progress: str | Absent = absent("what is done, while it runs", examples=["7/10 tests"])


class Job(Answer):
    """A job. `status` is its state until it is done, and its verdict from then on."""

    model_config = example(**_JOB)

    job_id: str = Field(description="names the job in addresses")
    project_id: str = Field(description="whose files are verified")
    status: Status
    stages: list[Stage] = Field(description="what runs, in order")
    progress: dict[str, StageProgress] = Field(description="by stage")
    submitted_at: Moment = Field(description="when it was submitted")
    started_at: Moment | None = Field(description="when it was started; null while it waits")
    finished_at: Moment | None = Field(description="when it ended; null until then")
    duration: Span | None = Field(None, description="how long it took; null until it has ended")
    estimated_duration: Span | None = Field(
        None, description="median of like jobs when it was submitted; null where there was none"
    )
    attempt: int = Field(description="how often it was started; more than once after a crash")
    cancel_requested: bool = Field(description="whether somebody asked to stop it")
    retry_of: str | None = Field(None, description="the job whose files and stages these are")
    files_sha256: str = Field(description="digest of the files that it is about")
    config_overrides: dict[str, JsonValue] = Field(
        description="what differs from the project file; it belongs to the verdict"
    )
    error: str | None = Field(None, description="why there is no verdict")
    url: Address = Field(description="where it is")


class Jobs(Answer):
    """A page of jobs, newest first."""

    model_config = example(jobs=[_JOB], total=1, page=1, per_page=20)

    jobs: list[Job] = Field(description="those of this page")
    total: int = Field(description="on all pages")
    page: int = Field(description="this page, from 1")
    per_page: int = Field(description="how many a page has")


class LogLine(Answer):
    """A line of a job's log."""

    model_config = example(**_LINE)

    timestamp: Moment = Field(description="when it was written")
    stage: str = Field(description="the stage that wrote it; empty for the job as a whole")
    level: str = Field(description="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    message: str = Field(description="what it says")
    seq: int = Field(description="place in the job's events, from 1; `since` takes it")


class Logs(Answer):
    """Lines of a job's log, oldest first."""

    model_config = example(logs=[_LINE])

    logs: list[LogLine] = Field(description="oldest first")


class Ticket(Answer):
    """Opens one stream of one job, once."""

    model_config = example(ticket="dGhpcyBpcyBqdXN0IGFuIGV4YW1wbGU", expires_in_s=30)

    ticket: str = Field(description="goes into `?ticket=` of the stream's address")
    expires_in_s: int = Field(description="how long it can be used, seconds")
