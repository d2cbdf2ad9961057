"""What is refused before anybody looks at a request: foreign hosts and origins, and bodies.

Without tokens the service answers this machine only, so a web page must not reach it: not by a
name that it has pointed here (DNS rebinding), and not by a form (cross-site requests).
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.errors import ApiError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAX_JSON_BYTES = 1 << 20
MAX_UPLOAD_S = 3600.0
_MULTIPART_OVERHEAD = 1 << 20  # boundaries and headers of up to 5,000 parts
_SAFE = ("GET", "HEAD", "OPTIONS")
_UPLOAD = re.compile(r"/api/v1/projects/[^/]+/upload/?")


class HostMiddleware:
    """Refuses a Host that is not one of `hosts` (empty: any), and an Origin that is not the Host.

    A foreign Origin may read what is public to everybody; it may not change or stream anything.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...]) -> None:
        self._app, self._hosts = app, {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or connection."""
        if scope["type"] in ("http", "websocket") and (refusal := self._refusal(scope)):
            said = (refusal.status_code, refusal.detail, refusal.details, refusal.headers)
            response = errors.response(*said)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if "content-length" in headers and "transfer-encoding" in headers:
            said = "a body has a Content-Length or a Transfer-Encoding, not both"
            return ApiError(400, said, headers={"Connection": "close"})
        if len(hosts) != 1:
            return ApiError(400, "exactly one Host header is expected", {"field": "Host"})
        if self._hosts and _name(hosts[0]) not in self._hosts:
            return ApiError(403, f"this service does not answer to the host {hosts[0][:100]!a}")
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if origin is not None and changes and _netloc(origin) != hosts[0]:
            return ApiError(403, f"requests from the origin {origin[:100]!a} are not accepted")
        return None


class BodyMiddleware:
    """Refuses bodies of the wrong kind and size, the size counted while they arrive."""

    def __init__(self, app: ASGIApp, *, upload_bytes: int, idle_s: float) -> None:
        self._app, self._upload_bytes, self._idle_s = app, upload_bytes, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        upload = scope["method"] == "POST" and _UPLOAD.fullmatch(scope["path"]) is not None
        limit = self._upload_bytes if upload else MAX_JSON_BYTES
        slack = _MULTIPART_OVERHEAD if upload else 0
        refusal = _kind(headers, upload=upload) or _announced(headers, limit, slack)
        if refusal:
            response = errors.response(refusal.status_code, refusal.detail, refusal.details)
            await response(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit, slack, self._idle_s), send)


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _netloc(origin: str) -> str | None:
    """Host and port of an Origin; None for what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _kind(headers: Headers, *, upload: bool) -> ApiError | None:
    length = headers.get("content-length", "0")
    if length == "0" and "transfer-encoding" not in headers:
        return None
    wanted = "multipart/form-data" if upload else "application/json"
    found = headers.get("content-type", "").partition(";")[0].strip().lower()
    if found == wanted:
        return None
    return ApiError(415, f"a body of type {wanted} is expected, found {found[:100]!a}")


def _announced(headers: Headers, limit: int, slack: int) -> ApiError | None:
    length = headers.get("content-length", "0")
    return _too_large(limit) if length.isdecimal() and int(length) > limit + slack else None


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body is larger than {limit >> 20} MB", {"limit_bytes": limit})


def _counted(receive: Receive, limit: int, slack: int, idle_s: float) -> Receive:
    """`receive` that raises ApiError when too much arrives, or nothing for too long."""
    seen, clock, done = 0, asyncio.get_running_loop().time, False
    end = clock() + MAX_UPLOAD_S

    async def counted() -> Message:
        nonlocal seen, done
        if done:  # what comes now is the disconnect, which may take its time
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), min(idle_s, max(0.0, end - clock())))
        except TimeoutError:
            raise ApiError(
                400, f"the body did not arrive: nothing for {idle_s:g} s, or not all in an hour"
            ) from None
        seen += len(message.get("body", b""))
        done = message["type"] != "http.request" or not message.get("more_body", False)
        if seen > limit + slack:
            raise _too_large(limit)
        return message

    return counted
