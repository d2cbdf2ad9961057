"""What goes over the wire: requests and responses, as the REST contract names them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

from openforge.control.records import WebhookEvent
from openforge.control.tokens import Scope
from openforge.model import Stage
from openforge.report import Format

_PROJECT, _JOB = "proj_abc123", "job_xyz789"
_MOMENT = "2026-01-15T10:30:00Z"

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", min_length=1, max_length=100),
]
Module = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$", max_length=1000)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
Pdk = Literal["sky130", "gf180mcu", "ihp-sg13g2", "gf22fdx"]


class Body(BaseModel):
    """A request body: unknown fields are errors, and values are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(extra="forbid")


def example(**values: Any) -> ConfigDict:
    """The configuration of a model with an example for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class ErrorDetails(BaseModel):
    """What was wrong; which fields there are depends on the error."""

    model_config = ConfigDict(extra="allow")

    field: str | None = Field(None, description="dotted path of the wrong field")
    suggestion: str | None = Field(None, description="the nearest right name")


class ErrorBody(Answer):
    """An error."""

    code: str = Field(description="one word to act upon", examples=["VALIDATION_ERROR"])
    message: str = Field(
        description="a sentence for people",
        examples=["Invalid openforge.yaml: unknown field 'simlation'"],
    )
    details: ErrorDetails


class Error(Answer):
    """The one format of all errors."""

    error: ErrorBody


class ProjectCreate(Body):
    """A new project."""

    model_config = example(
        name="ntt-butterfly",
        top_module="ntt_butterfly",
        target_pdk="sky130",
        description="NTT butterfly unit for ML-KEM",
    )

    name: Name = Field(description="letters, digits, hyphens; one project of a user has it")
    top_module: Module | None = Field(None, description="top module; the project file's, if not")
    target_pdk: Pdk | None = Field(None, description="process")
    description: str = Field("", max_length=10_000, description="for people")


class ProjectUpdate(Body):
    """What is to be changed of a project; what is not named stays."""

    model_config = example(description="NTT butterfly unit for ML-KEM, pipelined")

    name: Name | None = Field(None, description="a new name")
    top_module: Module | None = Field(None, description="top module of the next jobs")
    target_pdk: Pdk | None = Field(None, description="process")
    description: str | None = Field(None, max_length=10_000, description="for people")


class Project(Answer):
    """A project."""

    model_config = example(
        id=_PROJECT,
        name="ntt-butterfly",
        top_module="ntt_butterfly",
        target_pdk="sky130",
        description="NTT butterfly unit for ML-KEM",
        created_at=_MOMENT,
        updated_at=_MOMENT,
        status="created",
        url=f"/api/v1/projects/{_PROJECT}",
    )

    id: str
    name: str
    top_module: str | None
    target_pdk: str | None
    description: str
    created_at: str
    updated_at: str
    status: Literal["created", "active"] = Field(
        description="`created` until files are uploaded, `active` from then on"
    )
    url: str


class Projects(Answer):
    """A page of projects."""

    projects: list[Project]
    total: int
    page: int
    per_page: int


class Uploaded(Answer):
    """What was taken of an upload."""

    model_config = example(
        uploaded=3,
        project_id=_PROJECT,
        files=["ntt_butterfly.v", "mod_reduce.v", "openforge.yaml"],
    )

    uploaded: int
    project_id: str
    files: list[str]


class File(Answer):
    """A file of a project."""

    name: str
    size_bytes: int
    modified_at: str
    url: str


class Files(Answer):
    """All files of a project."""

    project_id: str
    files: list[File]
    total: int


class JobCreate(Body):
    """A job to run."""

    model_config = example(
        stages=["lint", "simulation", "formal"],
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
        job_id=_JOB,
        project_id=_PROJECT,
        status="queued",
        stages=["lint", "simulation", "formal"],
        submitted_at=_MOMENT,
        estimated_duration="5m30s",
        url=f"/api/v1/jobs/{_JOB}",
    )

    job_id: str
    project_id: str
    status: str
    stages: list[Stage]
    submitted_at: str
    estimated_duration: str | None = Field(
        description="median of like jobs of this project, else of all; null where there was none"
    )
    retry_of: str | None = None
    url: str


class StageProgress(Answer):
    """How far a stage is."""

    status: str
    duration: str | None = None
    progress: str | None = None

    @model_serializer(mode="wrap")
    def _only_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, str]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Job(Answer):
    """A job. `status` is its state until it is done, and its verdict from then on."""

    model_config = example(
        job_id=_JOB,
        project_id=_PROJECT,
        status="running",
        stages=["lint", "simulation", "formal"],
        progress={
            "lint": {"status": "passed", "duration": "2.1s"},
            "simulation": {"status": "running", "progress": "7/10 tests"},
            "formal": {"status": "queued"},
        },
        submitted_at=_MOMENT,
        started_at="2026-01-15T10:35:02Z",
        finished_at=None,
        attempt=1,
        cancel_requested=False,
        url=f"/api/v1/jobs/{_JOB}",
    )

    job_id: str
    project_id: str
    status: str
    stages: list[Stage]
    progress: dict[str, StageProgress]
    submitted_at: str
    started_at: str | None
    finished_at: str | None
    duration: str | None = None
    estimated_duration: str | None = None
    attempt: int = Field(description="how often it was started; more than once after a crash")
    cancel_requested: bool
    retry_of: str | None = None
    error: str | None = Field(None, description="why there is no verdict")
    url: str


class Jobs(Answer):
    """A page of jobs."""

    jobs: list[Job]
    total: int
    page: int
    per_page: int


class LogLine(Answer):
    """A line of a job's log."""

    timestamp: str
    stage: str
    level: str
    message: str
    seq: int = Field(description="place in the job's events; `since` takes it")


class Logs(Answer):
    """Lines of a job's log, oldest first."""

    logs: list[LogLine]


class Results(Answer):
    """What a job concluded; stages that have not ended show their state."""

    model_config = example(
        job_id=_JOB,
        overall_status="passed",
        stages={
            "lint": {"status": "passed", "warnings": 2, "errors": 0},
            "simulation": {
                "status": "passed",
                "tests_passed": 10,
                "tests_failed": 0,
                "coverage": {"line": 96.4, "toggle": 89.7, "fsm": 100.0},
            },
        },
    )

    job_id: str
    overall_status: str
    stages: dict[str, dict[str, JsonValue]]


class CryptoResults(Answer):
    """What the crypto checks of a job concluded, by check."""

    job_id: str
    overall_status: str
    crypto: dict[str, dict[str, JsonValue]]


class CoverageFile(Answer):
    """Coverage of one source file; `missed_lines` reads "4-6, 9"."""

    name: str
    kinds: dict[str, dict[str, JsonValue]]
    missed_lines: str


class Coverage(Answer):
    """Coverage of a job's simulation, percent by kind."""

    job_id: str
    coverage: dict[str, float | None]
    goals: dict[str, float]
    files: list[CoverageFile]


class Artifact(Answer):
    """A file that a job left."""

    name: str
    size_bytes: int
    sha256: str | None
    media_type: str
    url: str


class Artifacts(Answer):
    """All files that a job left."""

    job_id: str
    artifacts: list[Artifact]
    total: int


class ReportCreate(Body):
    """Which report is wanted."""

    model_config = example(format="html", include=["simulation", "formal"], template=None)

    format: Annotated[Format, Field(strict=False)] = Field(
        Format.HTML, description="what kind of file"
    )
    include: Annotated[list[Annotated[Stage, Field(strict=False)]], Field(max_length=10)] | None = (
        Field(None, description="stages to show; default: all of the job")
    )
    template: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="name of a template that the operator keeps in the workspace"
    )


class WebhookCreate(Body):
    """A webhook to register."""

    model_config = example(
        url="https://your-server.com/openforge-events",
        events=["job.completed", "job.failed"],
        secret="your-webhook-secret",  # noqa: S106  (the contract's example)
        project_id=_PROJECT,
    )

    url: Annotated[str, StringConstraints(min_length=1, max_length=2048)] = Field(
        description="https; redirects are not followed"
    )
    events: list[Annotated[WebhookEvent, Field(strict=False)]] = Field(
        min_length=1, max_length=10, description="what to be told of"
    )
    secret: Annotated[str, StringConstraints(min_length=8, max_length=500)] = Field(
        description="signs what is sent; cannot be read back", json_schema_extra={"writeOnly": True}
    )
    project_id: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="only jobs of this project; default: of all"
    )


class Webhook(Answer):
    """A registered webhook."""

    model_config = example(
        webhook_id="wh_def456",
        url="https://your-server.com/openforge-events",
        events=["job.completed", "job.failed"],
        active=True,
        project_id=_PROJECT,
        inactive_reason=None,
        created_at=_MOMENT,
    )

    webhook_id: str
    url: str
    events: list[WebhookEvent]
    active: bool
    project_id: str | None
    inactive_reason: str | None = Field(description="why nothing is sent any more")
    created_at: str


class Webhooks(Answer):
    """Registered webhooks, newest first."""

    webhooks: list[Webhook]
    total: int


class DeliveryAttempt(Answer):
    """One try to deliver."""

    number: int
    at: str
    status_code: int | None = Field(description="the receiver's; null when it did not answer")
    error: str | None
    duration: str


class Delivery(Answer):
    """A message to a webhook, and how it fared."""

    delivery_id: str = Field(description="the header `webhook-id`; the same at every attempt")
    webhook_id: str
    event: str
    job_id: str | None
    state: Literal["pending", "delivered", "failed"]
    created_at: str
    next_attempt_at: str | None
    attempts: list[DeliveryAttempt]
    payload: dict[str, JsonValue]


class Deliveries(Answer):
    """A page of deliveries, newest first."""

    deliveries: list[Delivery]
    total: int
    page: int
    per_page: int


class TokenCreate(Body):
    """A token to make."""

    model_config = example(name="ci", user="alice", scopes=["submit"], expires_in_days=90)

    name: Annotated[Line, StringConstraints(min_length=1)] = Field(description="what it is for")
    user: Annotated[Line, StringConstraints(min_length=1)] = Field(
        description="whose projects it opens"
    )
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field(
        min_length=1, max_length=3, description="`submit` includes `read`, `admin` includes all"
    )
    project_id: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="only this project"
    )
    expires_in_days: float | None = Field(
        None, gt=0, le=3650, strict=False, description="default: never"
    )


class Token(Answer):
    """What is known of a token."""

    token_id: str
    prefix: str
    name: str
    user: str
    scopes: list[Scope]
    project_id: str | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class NewToken(Token):
    """A new token; `token` is shown this once."""

    token: str


class Tokens(Answer):
    """All tokens, newest first."""

    tokens: list[Token]
    total: int


class Ticket(Answer):
    """Opens one stream of one job, once."""

    ticket: str
    expires_in_s: int


class ToolState(Answer):
    """A tool here."""

    available: bool
    version: str | None
    required: bool


class Queue(Answer):
    """The queue."""

    queued: int
    running: int
    capacity: int
    jobs_at_a_time: int


class Health(Answer):
    """How the service is; anything but `ok` says why in `problems`."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: some stage cannot run; `unavailable` (503): no job can"
    )
    version: str
    problems: list[str]
    tools: dict[str, ToolState]
    queue: Queue | None
    disk_free_mb: int
    database: Literal["ok", "error"]
    sandbox: str
