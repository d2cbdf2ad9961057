"""The words of the OpenAPI document: what is said of the service, of its errors and headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SUMMARY = "Every verdict is a notebook that anyone can run again"
DESCRIPTION = """Verification of cryptographic hardware: create a project, upload its files, submit
a job, follow it, and read what it concluded.

**Answers.** `status` is the state of a job or stage until it is done, and its verdict from then on:
only `passed` is passed. Moments are RFC 3339 in UTC, durations read `2.1s`, `5m30s` or `1h05m`.
Lists have pages: `page` counts from 1, `total` is that of all pages.

**Errors** have one format, whatever goes wrong: `{"error": {"code", "message", "details"}}`. Any
address can also answer `404`, with another method `405` (the header `Allow` names those there are),
and `415` to a body of a kind that it does not take. Bodies of requests are JSON of at most 1 MB;
uploads are `multipart/form-data`.

**Tokens** go into `Authorization: Bearer <token>` or `X-API-Key: <token>`. They are made at
`/api/v1/tokens` by an administrator, or with `openforge token create`. Without
`OPENFORGE_AUTH_ENABLED=true` none is needed, and the service answers its own machine only.

**Rate limits.** Every response says in `X-RateLimit-*` (and in the IETF's `RateLimit` fields) which
limit it was counted against, and what is left of it; `429` says in `Retry-After` when to ask again.

**Idempotency.** Every POST can carry an `Idempotency-Key`: for 24 hours the same request with it
gets the same answer, and is carried out once. An answer that was given before carries
`Idempotent-Replayed: true`. Only what was carried out is kept: after an error the request is
tried anew.

**Streams.** `GET /api/v1/jobs/{id}/stream` is a WebSocket (`ws://`, or `wss://` behind TLS). It
sends JSON texts, one a message: all of the job from its start, or after number `?since=`, until
its end, and is closed then.

| `type` | has |
|---|---|
| `log` | `stage`, `level`, `message` |
| `progress` | `stage`, and what is counted: `tests_complete`, `tests_total`, or another unit |
| `stage_complete` | `stage`, `status` |
| `job_complete` | `status`; it is the last one |
| `heartbeat` | nothing: the job is quiet |

All but `heartbeat` have `seq`, the number that `since` takes, and all but `job_complete` and
`heartbeat` a `timestamp`. A token goes into the same headers; a browser, which cannot send them,
gets a ticket at `/api/v1/jobs/{id}/stream-ticket` and opens `.../stream?ticket=<ticket>`. A request
that is refused is answered with an error as above, before the connection is upgraded. A reader that
is too slow is sent away with code 1008.
"""

TAGS = {
    "projects": "A design and what is known of it.",
    "files": "The files of a project.",
    "jobs": "Verification runs: submit, follow, cancel, retry.",
    "results": "What a job concluded.",
    "artifacts": "The files that a job left: waveforms, coverage, tables, logs, notebooks.",
    "reports": "A job in one file.",
    "webhooks": "Being told of events.",
    "tokens": "Who may do what. For administrators.",
    "health": "How the service is.",
}

WEBHOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "job.queued": ("Job submitted to queue", {"status": "queued", "summary": {}}),
    "job.started": ("Job execution begins", {"status": "running", "summary": {}}),
    "job.completed": ("Job finished successfully: it passed", {"status": "passed"}),
    "job.failed": (
        "Job ended with any other status: a verification or infrastructure error",
        {"status": "failed", "summary": {"tests_passed": 9, "tests_failed": 1}},
    ),
    "job.cancelled": ("Job cancelled by user", {"status": "cancelled", "summary": {}}),
    "stage.completed": (
        "Individual stage within a job completed",
        {"status": "passed", "summary": {"tests_passed": 10, "tests_failed": 0}}
        | {"stage": "simulation"},
    ),
}
RECEIVED = "Any 2xx: the message has arrived. `410` switches the webhook off; all else is retried"
SIGNED = {
    "X-OpenForge-Signature": (
        "`sha256=` and the HMAC-SHA256 of the raw body, in hex, with the secret as key",
        "sha256=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
    ),
    "webhook-id": ("names the message; the same at every attempt", "msg_abc123"),
    "webhook-timestamp": ("when this attempt was made, seconds since 1970", "1768473630"),
    "webhook-signature": (
        "Standard Webhooks 1.0: `v1,` and a signature of id, timestamp and body, in base64",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}

SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a token: `of_...`"},
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "a token: `of_...`",
    },
}


@dataclass(frozen=True)
class Header:
    """A response header. `always` says that no response that can have it is without."""

    said: str
    example: str | int
    always: bool = True

    def shape(self) -> dict[str, Any]:
        """As OpenAPI writes it."""
        kind = "integer" if isinstance(self.example, int) else "string"
        return {
            "description": self.said,
            "required": self.always,
            "schema": {"type": kind},
            "example": self.example,
        }


HEADERS = {
    "X-Request-ID": Header(
        "names the request in the service's log; a client can choose it", "5f1d0b7a"
    ),
    "X-RateLimit-Limit": Header("requests in the window", 300),
    "X-RateLimit-Remaining": Header("requests that are left", 299),
    "X-RateLimit-Reset": Header("when the window ends, seconds since 1970", 1768473060),
    "RateLimit-Policy": Header("draft-ietf-httpapi-ratelimit-headers-11", '"results";q=300;w=60'),
    "RateLimit": Header("draft-ietf-httpapi-ratelimit-headers-11", '"results";r=299;t=60'),
    "Retry-After": Header("seconds to wait", 10),
    "WWW-Authenticate": Header("how to say who one is", "Bearer"),
    "Allow": Header("the methods of the address", "GET, PUT"),
    "Location": Header("where the new thing is", "/api/v1/jobs/job_xyz789"),
    "Idempotent-Replayed": Header("`true`: the answer of an earlier request", "true", always=False),
}
EVERYWHERE = (
    "X-Request-ID",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit-Policy",
    "RateLimit",
)


# Where the example of a model does not fit an answer: what is to be said instead.
EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("jobs_cancel", "200"): {
        "status": "cancelled",
        "progress": {
            "lint": {"status": "passed", "duration": "2.1s"},
            "simulation": {"status": "cancelled"},
            "formal": {"status": "cancelled"},
        },
        "finished_at": "2026-01-15T10:30:12Z",
        "duration": "10.0s",
        "cancel_requested": True,
    },
    ("jobs_retry", "202"): {"job_id": "job_new456", "retry_of": "job_xyz789"}
    | {"url": "/api/v1/jobs/job_new456"},
    ("webhooks_ping", "202"): {
        "event": "ping",
        "job_id": None,
        "state": "pending",
        "next_attempt_at": "2026-01-15T10:40:30Z",
        "attempts": [],
        "payload": {
            "event": "ping",
            "timestamp": "2026-01-15T10:40:30Z",
            "webhook_id": "wh_def456",
        },
    },
    ("webhooks_redeliver", "202"): {
        "state": "pending",
        "next_attempt_at": "2026-01-15T10:45:30Z",
    },
    ("health_get", "503"): {
        "status": "unavailable",
        "problems": ["the disk is nearly full: jobs wait"],
        "disk_free_mb": 120,
    },
}


@dataclass(frozen=True)
class ErrorWords:
    """What an error status means, and an example of one."""

    said: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


ERRORS = {
    400: ErrorWords(
        "Invalid request or configuration",
        "Invalid openforge.yaml: unknown field 'simlation'",
        {"field": "verification.simlation", "suggestion": "verification.simulation"},
    ),
    401: ErrorWords(
        "Missing or invalid token",
        "a token is needed; send 'Authorization: Bearer <token>' or 'X-API-Key: <token>'",
        headers=("WWW-Authenticate",),
    ),
    403: ErrorWords(
        "The token may not do that, or the request comes from a foreign host or origin",
        "this token may not do that: it needs the scope 'submit'",
    ),
    404: ErrorWords("Not found", "there is no project 'proj_abc123'"),
    405: ErrorWords(
        "The address has no such method",
        "this method is not for this address",
        headers=("Allow",),
    ),
    409: ErrorWords(
        "The name is taken, or the Idempotency-Key is in use or was used for another request",
        "there is a project called 'ntt-butterfly' already",
    ),
    413: ErrorWords(
        "The body is too large", "the body is larger than 1 MB", {"limit_bytes": 1048576}
    ),
    415: ErrorWords(
        "The body is of another type",
        "a body of type application/json is expected, found 'text/plain'",
    ),
    416: ErrorWords("The file has no such part", "the file has 4096 bytes"),
    422: ErrorWords(
        "A tool that was needed at once returned an error",
        "the report template templates/brief.html cannot be used: 'job' is undefined",
    ),
    429: ErrorWords(
        "Too many requests",
        "too many requests: 300 in 60 s are allowed; try again later",
        {"policy": "results"},
        ("Retry-After",),
    ),
    500: ErrorWords(
        "Server error",
        "The server failed. Its log has the reason under this request id.",
        {"request_id": "5f1d0b7a"},
    ),
    503: ErrorWords(
        "The queue is full, a tool is missing, or there is no room",
        "the queue is full: 1,000 jobs wait; try again later",
        headers=("Retry-After",),
    ),
}
