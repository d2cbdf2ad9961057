"""How every route is called: POST requests with an Idempotency-Key are carried out once.

The key is taken before the work begins, together with a seed from which the ids of what is made
follow, so that a request that is sent again after a crash finds what the first one made.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api import uploads
from api.deps import permit
from api.errors import ApiError
from api.identity import Caller
from openforge.control import idempotency
from openforge.control.tokens import Scope
from openforge.errors import OpenForgeError
from openforge.service.service import Service

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_MAX_KEPT_BYTES = 1 << 20
_KEPT_HEADERS = (
    "content-type",
    "content-disposition",
    "content-security-policy",
    "location",
    "etag",
)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Route(APIRoute):
    """A route whose POST requests can carry an Idempotency-Key."""

    def get_route_handler(self) -> Handler:
        """The handler, with the key looked after."""
        handle = super().get_route_handler()
        if self.methods != {"POST"}:
            return handle

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            caller: Caller = request.state.caller
            if key is None or caller.user is None:
                return await handle(request)
            if not _KEY.fullmatch(key):
                raise ApiError(
                    400, f"{HEADER} must be 1 to 255 visible characters", {"field": HEADER}
                )
            # A key is one token's: what it got, another token of the user may not see.
            return await _Once(request, f"{caller.user} {caller.token_id}", key).carry_out(handle)

        return once


class SubmissionRoute(Route):
    """A route that needs room in the queue: it is refused before its body is read.

    With an Idempotency-Key the body must be read, to find the answer that it may have already;
    whether there is room is then found when the job is queued.
    """

    def get_route_handler(self) -> Handler:
        """The handler, behind the queue."""
        handle = super().get_route_handler()

        async def if_there_is_room(request: Request) -> Response:
            permit(request.state.caller, Scope.SUBMIT)
            if HEADER not in request.headers:
                await run_in_threadpool(request.app.state.service.require_room)
            return await handle(request)

        return if_there_is_room


class _Once:
    """One request with a key."""

    def __init__(self, request: Request, user: str, key: str) -> None:
        self._request, self._user, self._key = request, user, key
        self._service: Service = request.app.state.service

    async def carry_out(self, handle: Handler) -> Response:
        """The answer of the first request with this key, or of this one if it is the first."""
        fingerprint = await self._fingerprint()
        if not self._service.under_way.begin((self._user, self._key)):
            message = "a request with this key is being carried out; ask again later"
            raise ApiError(409, message, {"field": HEADER}, {"Retry-After": "1"})
        try:
            kept = await run_in_threadpool(self._claim, fingerprint)
            if kept is not None:
                return kept
            try:
                response = await handle(self._request)
            except (HTTPException, RequestValidationError, OpenForgeError):
                await run_in_threadpool(self._forget)
                raise
            await run_in_threadpool(self._keep, response)
            return response
        finally:
            self._service.under_way.end((self._user, self._key))

    async def _fingerprint(self) -> str:
        """What makes two requests the same; of an upload its files, not how they are packed."""
        request = self._request
        digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}".encode())
        if uploads.is_upload(request):
            digest.update(await uploads.fingerprint(request))
        else:
            digest.update(b"\n" + await request.body())
        return digest.hexdigest()

    def _claim(self, fingerprint: str) -> Response | None:
        with self._service.control.write() as connection:
            claim = idempotency.claim(connection, self._user, self._key, fingerprint)
        if not claim.same:
            raise ApiError(409, f"this {HEADER} was used for another request", {"field": HEADER})
        if claim.answer is not None and claim.status is not None:
            return _replay(claim.status, json.loads(self._service.vault.open(claim.answer)))
        self._request.state.seed = claim.seed
        return None

    def _forget(self) -> None:
        """What was refused may be tried again, also with another body."""
        with contextlib.suppress(OperationalError), self._service.control.write() as connection:
            idempotency.forget(connection, self._user, self._key)

    def _keep(self, response: Response) -> None:
        """Keep the answer; where that fails the next request finds what this one made."""
        if len(response.body) > _MAX_KEPT_BYTES:  # a report: it is made again
            return
        headers = {k: v for k, v in response.headers.items() if k in _KEPT_HEADERS}
        body = base64.b64encode(bytes(response.body)).decode()
        text = self._service.vault.seal(json.dumps({"headers": headers, "body": body}).encode())
        with contextlib.suppress(OperationalError), self._service.control.write() as connection:
            idempotency.answer(connection, self._user, self._key, response.status_code, text)


def _replay(status: int, kept: dict[str, Any]) -> Response:
    headers = {**kept["headers"], REPLAYED: "true"}
    return Response(base64.b64decode(kept["body"]), status, headers)
