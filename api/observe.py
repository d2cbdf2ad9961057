"""Around every request: its id, its line in the log, its metrics, and what to do when it fails."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from api import log_lines
from api.metrics import Metrics
from api.route_templates import RouteTemplates

REQUEST_ID_HEADER = "X-Request-ID"
GONE = 499
"""The status logged when a client went away before its response began (nginx's number for it)."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_LOG = logging.getLogger(__name__)


class ObserveMiddleware:
    """The outermost middleware: the last one that is added with ``app.add_middleware``.

    Puts ``scope["state"]["request_id"]`` in place, and the id on the response. A failure below is
    logged with its traceback and answered with INTERNAL_ERROR; the answer carries what
    `api.ratelimit` left in ``scope["state"]["error_headers"]``. When the response had begun, it is
    left unfinished, and the server cuts the connection.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._templates: RouteTemplates | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or serve one WebSocket."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if self._templates is None:
            self._templates = RouteTemplates(scope["app"].routes)
        exchange = _Exchange(scope, receive, send, self._metrics)
        with log_lines.for_request(exchange.request_id):
            try:
                await self.app(scope, exchange.receive, exchange.send)
            except Exception as error:  # the boundary: nothing above could answer
                if not exchange.lost(error):
                    _LOG.error("the request failed", exc_info=error)
                    with contextlib.suppress(OSError):  # the client left in the meantime
                        await exchange.fail()
            finally:
                exchange.done(self._templates.of(scope))


class _Exchange:
    """One request and what became of it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, metrics: Metrics) -> None:
        asked = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        self.request_id = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(16)
        self._scope, self._receive, self._send, self._metrics = scope, receive, send, metrics
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self.request_id
        self._began = time.perf_counter()
        self._status: int | None = None
        self._open = False  # a WebSocket that both sides hold open
        self._unsent: OSError | None = None

    async def receive(self) -> Message:
        """ASGI's receive, noting when the client leaves."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._closed()
        return message

    async def send(self, message: Message) -> None:
        """ASGI's send, with our headers on whatever begins the response."""
        kind = message["type"]
        if kind.endswith(("response.start", "websocket.accept")):
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            headers.update({REQUEST_ID_HEADER: self.request_id, **_SECURITY_HEADERS})
            headers.setdefault("Cache-Control", "no-store")
            self._status = message.get("status", 101)
        elif kind == "websocket.close":
            self._status = self._status or 403  # closed before it was accepted
            self._closed()
        try:
            await self._send(message)
        except OSError as error:
            self._unsent = error
            raise
        if kind == "websocket.accept":
            self._open = True
            self._metrics.websockets.inc()

    def lost(self, error: Exception) -> bool:
        """Whether `error` says that the client is gone, which is no failure of ours."""
        return error is self._unsent or isinstance(error, ClientDisconnect | WebSocketDisconnect)

    async def fail(self) -> None:
        """Tell the client that the server failed, as far as it can still be told."""
        socket = self._scope["type"] == "websocket"
        deniable = "websocket.http.response" in self._scope.get("extensions", {})
        if self._status is None and (not socket or deniable):
            error = {
                "code": "INTERNAL_ERROR",
                "message": "The server failed. Its log has the reason under this request id.",
                "details": {"request_id": self.request_id},
            }
            response = JSONResponse({"error": error}, 500, self._state.get("error_headers"))
            await response(self._scope, self.receive, self.send)
        elif self._open or (socket and self._status is None):
            await self.send({"type": "websocket.close", "code": 1011})

    def done(self, route: str) -> None:
        """Log and count the exchange."""
        self._closed()
        seconds = time.perf_counter() - self._began
        method = self._scope.get("method", "WEBSOCKET")
        status = self._status or GONE
        if self._scope["type"] == "http":
            self._metrics.answered(method, route, status, seconds)
        line = {
            "method": method,
            "path": self._scope["path"],
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            "client": (self._scope.get("client") or (None,))[0],
            "user": getattr(self._state.get("caller"), "user", None),
        }
        if job_id := self._state.get("job_id"):
            line["job_id"] = job_id
        _LOG.info("request", extra=line)

    def _closed(self) -> None:
        if self._open:
            self._open = False
            self._metrics.websockets.dec()
