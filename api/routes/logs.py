"""The log of a job: its last lines, or line by line as it is written."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api import schemas, streams
from api.deps import TheJob, TheService
from api.routing import Route
from api.tickets import Streams
from openforge.event_log import JOB_EVENTS
from openforge.model import Stage
from openforge.service.service import Service

router = APIRouter(prefix="/jobs/{id}", tags=["jobs"], route_class=Route)

_MAX_BYTES = 4 << 20
NDJSON, SSE = "application/x-ndjson", "text/event-stream"
_FIELDS = ("timestamp", "stage", "level", "message", "seq")
_LINE = (
    '{"timestamp": "2026-01-15T10:35:03Z", "stage": "simulation", "level": "INFO", '
    '"message": "Running test_ntt_butterfly...", "seq": 18}'
)
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The lines; with `follow=true` one at a time, to the end of the job",
        "content": {
            NDJSON: {"schema": {"type": "string"}, "example": f"{_LINE}\n"},
            SSE: {"schema": {"type": "string"}, "example": f"id: 17\ndata: {_LINE}\n\n"},
        },
    },
    204: {"description": "Nothing is left to follow (`Last-Event-ID` was the last of the job)"},
}


@router.get("/logs", summary="Get job logs", response_model=schemas.Logs, responses=_STREAMED)
async def logs(
    request: Request,
    job: TheJob,
    service: TheService,
    stage: Annotated[Stage | None, Query(description="only this stage")] = None,
    tail: Annotated[int, Query(ge=1, le=10_000, description="at most the last so many")] = 1000,
    follow: Annotated[bool, Query(description="stream what comes, too")] = False,
    since: Annotated[int, Query(ge=0, le=1 << 53, description="only lines after this one")] = 0,
    last_event_id: Annotated[
        str | None, Header(max_length=20, description="as `since`; browsers send it")
    ] = None,
) -> Response:
    """The last lines of a job's log.

    With `follow=true` they come as NDJSON, or as server-sent events when that is accepted, and go
    on until the job has ended.
    """
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        since = int(last_event_id)
    events = service.workspace.runs / job.id / JOB_EVENTS
    lines = await run_in_threadpool(last_lines, events, stage, tail, since)
    if not follow:
        return JSONResponse({"logs": lines})
    sse = SSE in request.headers.get("accept", "")
    if sse and last_event_id and job.state.final and not lines:
        return Response(status_code=204)
    first = lines[0]["seq"] - 1 if lines and not since else since  # nothing is skipped after it
    body = _followed(service, job.id, first, stage, sse=sse)
    return _Followed(body, media_type=SSE if sse else NDJSON)


class _Followed(StreamingResponse):
    """A stream that counts among those of its user while it is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises ApiError 429 when the user has too many."""
        followers: Streams = scope["app"].state.followers
        with followers.counted(str(scope["state"]["caller"].user)):
            await super().__call__(scope, receive, send)


def last_lines(path: Path, stage: Stage | None, tail: int, since: int) -> list[dict[str, Any]]:
    """The last `tail` log lines of a file of events, at most 4 MB; only those are parsed."""
    kept: deque[bytes] = deque()
    size = 0
    wanted = f'"stage": "{stage.value}"'.encode() if stage else b""
    if path.is_file():
        with path.open("rb") as lines:
            for line in lines:
                if b'"type": "log"' in line and wanted in line and line.endswith(b"\n"):
                    kept.append(line)
                    size += len(line)
                    while len(kept) > tail or size > _MAX_BYTES:
                        size -= len(kept.popleft())
    found = (streams.message(json.loads(line)) for line in kept)
    return [_line(m) for m in found if m and _is_line(m, stage) and m["seq"] > since]


def _is_line(message: streams.Message, stage: Stage | None) -> bool:
    return message["type"] == "log" and stage in (None, message["stage"])


def _line(message: streams.Message) -> dict[str, Any]:
    return {name: message[name] for name in _FIELDS}


async def _followed(
    service: Service, job_id: str, since: int, stage: Stage | None, *, sse: bool
) -> AsyncIterator[str]:
    async for batch in streams.follow(service, job_id, since):
        if not batch:
            yield ": still running\n\n" if sse else "\n"
        for message in batch:
            if message["type"] == "job_complete" and sse:
                said = json.dumps({"status": message["status"]})
                yield f"id: {message['seq']}\nevent: end\ndata: {said}\n\n"
            if _is_line(message, stage):
                text = json.dumps(_line(message))
                yield f"id: {message['seq']}\ndata: {text}\n\n" if sse else f"{text}\n"
