"""Webhooks, what was sent to them, and what they are sent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from api.schemas.common import (
    JOB,
    MOMENT,
    PROJECT,
    WEBHOOK,
    Absent,
    Answer,
    Body,
    Moment,
    Span,
    Status,
    absent,
    example,
)
from openforge.control.records import WebhookEvent
from openforge.model import Stage

_URL = "https://your-server.com/openforge-events"
_EVENTS = ["job.completed", "job.failed"]
_WEBHOOK = {
    "webhook_id": WEBHOOK,
    "url": _URL,
    "events": _EVENTS,
    "active": True,
    "project_id": PROJECT,
    "inactive_reason": None,
    "created_at": MOMENT,
}
_PAYLOAD = {
    "event": "job.completed",
    "timestamp": "2026-01-15T10:40:30Z",
    "job_id": JOB,
    "project_id": PROJECT,
    "status": "passed",
    "summary": {"tests_passed": 10, "properties_proven": 4, "crypto_checks_passed": 3},
}
_DELIVERY = {
    "delivery_id": "msg_abc123",
    "webhook_id": WEBHOOK,
    "event": "job.completed",
    "job_id": JOB,
    "state": "delivered",
    "created_at": "2026-01-15T10:40:30Z",
    "next_attempt_at": None,
    "attempts": [
        {
            "number": 1,
            "at": "2026-01-15T10:40:31Z",
            "status_code": 204,
            "error": None,
            "duration": "0.2s",
        }
    ],
    "payload": _PAYLOAD,
}


class WebhookCreate(Body):
    """A webhook to register."""

    model_config = example(
        url=_URL,
        events=_EVENTS,
        secret="your-webhook-secret",  # noqa: S106  (the contract's example)
        project_id=PROJECT,
    )

    url: Annotated[str, StringConstraints(min_length=1, max_length=2048)] = Field(
        description="https (where the operator allows it, http), a public host, no user name, no "
        "fragment; redirects are not followed",
        json_schema_extra={"format": "uri"},
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

    model_config = example(**_WEBHOOK)

    webhook_id: str = Field(description="names the webhook in addresses")
    url: str = Field(description="where messages go")
    events: list[WebhookEvent] = Field(description="what it is told of")
    active: bool = Field(description="whether anything is sent to it")
    project_id: str | None = Field(description="only jobs of this project; null: of all")
    inactive_reason: str | None = Field(description="why nothing is sent any more")
    created_at: Moment = Field(description="when it was registered")


class Webhooks(Answer):
    """Registered webhooks, newest first."""

    model_config = example(webhooks=[_WEBHOOK], total=1)

    webhooks: list[Webhook] = Field(description="newest first")
    total: int = Field(description="how many there are")


class DeliveryAttempt(Answer):
    """One try to deliver."""

    number: int = Field(description="counts from 1")
    at: Moment = Field(description="when it ended")
    status_code: int | None = Field(description="the receiver's; null when it did not answer")
    error: str | None = Field(description="why it does not count as delivered")
    duration: Span = Field(description="how long it took")


class Delivery(Answer):
    """A message to a webhook, and how it fared."""

    model_config = example(**_DELIVERY)

    delivery_id: str = Field(description="the header `webhook-id`; the same at every attempt")
    webhook_id: str = Field(description="to whom it is sent")
    event: str = Field(description="what it tells: one of the webhook's events, or `ping`")
    job_id: str | None = Field(description="the job that it is about; null for `ping`")
    state: Literal["pending", "delivered", "failed"] = Field(description="what became of it")
    created_at: Moment = Field(description="when it was written")
    next_attempt_at: Moment | None = Field(description="when it is tried again, if it is")
    attempts: list[DeliveryAttempt] = Field(description="oldest first")
    payload: dict[str, JsonValue] = Field(description="the body that is sent")


class Deliveries(Answer):
    """A page of deliveries, newest first."""

    model_config = example(deliveries=[_DELIVERY], total=1, page=1, per_page=20)

    deliveries: list[Delivery] = Field(description="those of this page")
    total: int = Field(description="on all pages")
    page: int = Field(description="this page, from 1")
    per_page: int = Field(description="how many a page has")


class WebhookPayload(Answer):
    """What a webhook is sent. A receiver should put up with fields that it does not know."""

    model_config = example(**_PAYLOAD) | ConfigDict(
        extra="allow", json_schema_serialization_defaults_required=False
    )

    event: WebhookEvent
    timestamp: Moment = Field(description="when it happened")
    job_id: str = Field(description="the job")
    project_id: str = Field(description="its project")
    status: Status = Field(description="of the job; of the stage for `stage.completed`")
    summary: dict[str, int] = Field(
        description="numbers of the stages that have them: `tests_passed`, `tests_failed`, "
        "`properties_proven`, `properties_failed`, `crypto_checks_passed`"
    )
    stage: Stage | Absent = absent("the stage, for `stage.completed`")
