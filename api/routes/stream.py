"""The WebSocket on which a job tells what it does, and tickets for browsers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect, WebSocketState

from api import errors, schemas, streams
from api.deps import Reader, TheJob, permit, see_job
from api.errors import ApiError
from api.identity import Caller
from api.ratelimit import Limiter, headers
from api.routing import Route
from api.tickets import TICKET_S, Streams, Tickets
from openforge.control import tokens
from openforge.control.tokens import Scope
from openforge.service.service import Service

router = APIRouter(prefix="/jobs/{id}", tags=["jobs"], route_class=Route)


@router.post(
    "/stream-ticket",
    status_code=201,
    summary="Get a ticket for a stream",
    response_description="The ticket",
)
def stream_ticket(job: TheJob, caller: Reader, request: Request) -> schemas.Ticket:
    """A ticket that opens `/jobs/{id}/stream?ticket=...` once, within 30 seconds.

    A browser needs one: it cannot send a token with a WebSocket.
    """
    tickets: Tickets = request.app.state.tickets
    return schemas.Ticket(ticket=tickets.issue(job.id, caller), expires_in_s=TICKET_S)


@router.websocket("/stream")
async def stream(
    socket: WebSocket,
    id: str,  # noqa: A002  (as it stands in the address)
    since: Annotated[int, Query(ge=0, le=1 << 53)] = 0,
) -> None:
    """All messages of a job from the start (or after number `since`), to its end."""
    service: Service = socket.app.state.service
    open_streams: Streams = socket.app.state.streams
    try:
        caller = permit(_caller(socket, id), Scope.READ)
        job = await run_in_threadpool(see_job, service, caller, id)
        with open_streams.counted(str(caller.user)):
            await socket.accept()
            await _serve(socket, service, job.id, since)
    except errors.KNOWN as error:
        if socket.client_state is not WebSocketState.CONNECTING:
            raise
        await socket.send_denial_response(errors.respond(error, service.workspace.path))


def _caller(socket: WebSocket, job_id: str) -> Caller:
    """Who is asking: by token, or by ticket. Wrong tickets count as wrong tokens."""
    caller: Caller = socket.state.caller
    given = socket.query_params.get("ticket")
    if given is None:
        return caller
    tickets: Tickets = socket.app.state.tickets
    found = tickets.redeem(given, job_id)
    if found is None or not _is_alive(socket, found):
        _count_guess(socket)
        raise ApiError(401, "the ticket is not valid: it is used up, too old, or for another job")
    return found


def _is_alive(socket: WebSocket, caller: Caller) -> bool:
    """Whether the token that got a ticket was not revoked meanwhile."""
    service: Service = socket.app.state.service
    with service.control.read() as connection:
        return not caller.token_id or tokens.is_alive(connection, caller.token_id)


def _count_guess(socket: WebSocket) -> None:
    limiter: Limiter = socket.app.state.limiter
    address = socket.client.host if socket.client else ""
    standing = limiter.hit(socket.app.state.policies.failed_logins, address)
    if not standing.allowed:
        raise ApiError(
            429, "too many wrong tokens; try again later", headers=headers(standing, time.time())
        )


async def _serve(socket: WebSocket, service: Service, job_id: str, since: int) -> None:
    """Send until the job has ended, the reader has gone, or it does not keep up."""
    sender = asyncio.create_task(_send_all(socket, service, job_id, since))
    reader = asyncio.create_task(_drain(socket))
    done, waiting = await asyncio.wait({sender, reader}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for task in done:
        task.result()


async def _send_all(socket: WebSocket, service: Service, job_id: str, since: int) -> None:
    """Send messages as fast as they are taken; `api.connections` cuts off who takes none."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it has gone while we sent
        async for batch in streams.follow(service, job_id, since):
            for message in batch or [{"type": "heartbeat"}]:
                await socket.send_text(json.dumps(message))
        await socket.close()


async def _drain(socket: WebSocket) -> None:
    """Nothing is expected from a reader; hear of its leaving."""
    with contextlib.suppress(WebSocketDisconnect):
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
