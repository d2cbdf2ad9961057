"""Rows of the control database as frozen records, and what is asked for in lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from openforge.model import Record, Stage, State

T = TypeVar("T")


class WebhookEvent(StrEnum):
    """What a webhook can be told of."""

    QUEUED = "job.queued"
    STARTED = "job.started"
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    STAGE_COMPLETED = "stage.completed"


class Project(Record):
    """A project. `revision` counts the changes of its files; 0 means that there are none yet."""

    id: str
    owner: str
    name: str
    top_module: str | None
    target_pdk: str | None
    description: str
    revision: int
    created_at: str
    updated_at: str
    deleted_at: str | None = None

    @property
    def status(self) -> str:
        """``created`` until files are uploaded, ``active`` from then on."""
        return "active" if self.revision else "created"


class StageEnd(Record):
    """How a stage of a job ended."""

    stage: Stage
    status: str
    duration_s: float


class Job(Record):
    """A job as the queue sees it; its run folder says the rest."""

    id: str
    project_id: str
    owner: str
    state: State
    status: str
    stages: tuple[Stage, ...]
    overrides: dict[str, JsonValue]
    files_sha256: str
    retry_of: str | None
    submitted_at: str
    started_at: str | None
    finished_at: str | None
    duration_s: float | None
    estimate_s: float | None
    attempt: int
    crashes: int
    cancel_asked: bool
    error: str
    ended: tuple[StageEnd, ...] = ()


class Token(Record):
    """What is kept of a token: never the token."""

    id: str
    prefix: str
    name: str
    user: str
    scopes: frozenset[str]
    project_id: str | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class Webhook(Record):
    """A registered webhook; `secret` is encrypted."""

    id: str
    owner: str
    project_id: str | None
    url: str
    events: tuple[WebhookEvent, ...]
    secret: bytes
    active: bool
    inactive_reason: str
    failing_since: float | None
    created_at: str


class Attempt(Record):
    """One try to deliver; numbered when it is kept."""

    number: int = 0
    at: str
    status_code: int | None
    error: str
    duration_s: float


class Delivery(Record):
    """One message to one webhook; `body` is sent to the byte."""

    number: int
    id: str
    webhook_id: str
    job_id: str | None
    event: str
    body: str
    state: str
    attempts: int
    next_at: float
    created_at: str
    tries: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """Which rows of a list, and in which order. `page` counts from 1."""

    page: int = 1
    per_page: int = 20
    sort: str = ""
    filters: dict[str, Any] = field(default_factory=dict)


class Listing(Record, Generic[T]):
    """One page of a list, and how many there are in all."""

    rows: tuple[T, ...]
    total: int
