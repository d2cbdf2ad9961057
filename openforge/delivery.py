"""One attempt to deliver a webhook, to a receiver that may be anyone's and may be hostile.

The name is resolved once, all its addresses are checked, and the connection goes to one of exactly
these; TLS still asks for a certificate of the *name*. A connection serves one attempt, so none can
carry a later message past the check. Redirects are not followed, proxies of the environment are
not used, and time and size are bounded as a whole, whatever the receiver does.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpcore

from openforge.addresses import (
    Blocked,
    Lookup,
    NoAddress,
    Target,
    check_url,
    resolve,
    system_lookup,
)
from openforge.plain import plain

TIMEOUT_S = 15.0  # Standard Webhooks 1.0 advises 15 to 30 s
MAX_REPLY_BYTES = 64 * 1024  # header and body
KEPT_BYTES = 1024
MAX_ADDRESSES = 4  # a name with hundreds of addresses must not become a port scan

_NOT_CONNECTED = (httpcore.ConnectError, httpcore.ConnectTimeout)
_logger = logging.getLogger("openforge")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True)
class Answer:
    """How one attempt ended. `error` is a plain sentence for the receiver's owner, or empty.

    `status` is None when no reply came; `body` holds the first 1 KiB of the reply as text that is
    safe to show.
    """

    status: int | None
    error: str
    duration_s: float
    body: str

    @property
    def ok(self) -> bool:
        """The receiver took the message: a 2xx, whole or cut off at 64 KiB, in time."""
        return self.status is not None and 200 <= self.status < 300 and not self.error


@dataclass
class _Reply:
    """What has been read so far; kept outside the attempt so that a time limit does not lose it."""

    status: int | None = None
    ended: bool = False
    body: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        # Not final: a character that the cut at 1 KiB broke in two is left out
        return plain(codecs.getincrementaldecoder("utf-8")("replace").decode(self.body))

    def verdict(self) -> str:
        """The error that the status alone is."""
        if self.status is None or 200 <= self.status < 300:
            return ""
        if 300 <= self.status < 400:
            return f"redirects are not followed ({self.status})"
        return f"the receiver answered {self.status}"


class _Full(Exception):
    """The reply is larger than we read."""


class _Metered(httpcore.AsyncNetworkStream):
    """A stream that gives at most 64 KiB.

    Counting here leaves no way around: neither endless 1xx replies, headers or bodies, nor chunks
    that hold nothing.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream, reply: _Reply) -> None:
        self._stream = stream
        self._reply = reply
        self._left = MAX_REPLY_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._left:
            raise _Full
        data = await self._stream.read(min(max_bytes, self._left), timeout)
        self._left -= len(data)
        self._reply.ended = not data
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Sender:
    """Delivers webhooks; holds settings only, so it may live long and serve many tasks at once.

    Parameters
    ----------
    allow_private
        Also ``http`` and addresses that are not public; see `openforge.addresses`.
    timeout_s
        For a whole attempt: look-up, connection, TLS, request and reply.
    lookup
        Resolves names; tests give their own.
    tls
        Whom to trust; without it the system's and certifi's certificate authorities. It is set
        to offer HTTP/1.1 only.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout_s: float = TIMEOUT_S,
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._lookup = lookup
        self._tls = tls or httpcore.default_ssl_context()
        self._tls.set_alpn_protocols(["http/1.1"])

    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body`, a JSON text, to `url` with `headers` besides our own; never raises.

        The body goes out as it is: it is what was signed. A header of ours (``Host``,
        ``Content-Type`` ...) or one with a line break is an error, and then nothing is sent.
        """
        started = time.monotonic()
        reply = _Reply()
        try:
            async with asyncio.timeout(self._timeout_s):
                error = await self._attempt(url, headers, body, reply)
        except TimeoutError:
            error = f"timed out after {self._timeout_s:g} s"
        except Exception:
            # The boundary of an attempt: a defect here must not stop what goes to other receivers
            _logger.exception("a webhook could not be delivered")
            error = "internal error; the log of the server has the details"
        return Answer(reply.status, error, time.monotonic() - started, reply.text)

    async def _attempt(
        self, url: str, headers: Mapping[str, str], body: bytes, reply: _Reply
    ) -> str:
        """Fill `reply`; returns the error, if any, as a sentence."""
        try:
            target = check_url(url, allow_private=self._allow_private)
            request = _request(target, headers, body)
            addresses = await resolve(
                target.host, target.port, allow_private=self._allow_private, lookup=self._lookup
            )
            stream = await self._connect(addresses, target.port)
        except NoAddress as exc:
            return str(exc)
        except Blocked as exc:
            return f"blocked: {exc}"
        except _NOT_CONNECTED as exc:
            return _cause(exc)
        try:
            return await self._exchange(stream, target, request, reply)
        finally:
            await stream.aclose()  # httpcore 1.0.9 leaves it open when a TLS handshake is cancelled

    async def _connect(self, addresses: tuple[str, ...], port: int) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one, none getting more than a third."""
        *others, last = addresses[:MAX_ADDRESSES]
        for address in others:
            try:
                return await self._open(address, port)
            except _NOT_CONNECTED:
                continue
        return await self._open(last, port)

    async def _open(self, address: str, port: int) -> httpcore.AsyncNetworkStream:
        # AnyIO looks nothing up when it is given an address, as it is here
        return await httpcore.AnyIOBackend().connect_tcp(address, port, self._timeout_s / 3)

    async def _exchange(
        self,
        stream: httpcore.AsyncNetworkStream,
        target: Target,
        request: httpcore.Request,
        reply: _Reply,
    ) -> str:
        try:
            if target.scheme == "https":
                stream = await stream.start_tls(self._tls, target.host)
        except _NOT_CONNECTED as exc:
            return f"TLS: {_cause(exc)}"
        try:
            metered = _Metered(stream, reply)
            async with httpcore.AsyncHTTP11Connection(request.url.origin, metered) as connection:
                response = await connection.handle_async_request(request)
                reply.status = response.status
                async for chunk in response.aiter_stream():
                    reply.body += chunk[: KEPT_BYTES - len(reply.body)]
        except _Full:
            if reply.status is None:
                return "the header of the reply is longer than 64 KiB"
        except (httpcore.NetworkError, httpcore.TimeoutException) as exc:
            return _cause(exc)
        except httpcore.RemoteProtocolError:
            if reply.ended:
                return "the connection was closed before the reply was complete"
            return "the reply is not valid HTTP/1.1"
        return reply.verdict()


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> httpcore.Request:
    """The request. Raises `Blocked` for a header that is ours to set, or could be more than one."""
    ours = {
        "Host": target.authority,
        "User-Agent": "OpenForge-Webhook/1",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    taken = {name.lower() for name in (*ours, "Transfer-Encoding", "Expect", "Upgrade")}
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Blocked("a header has characters that are not allowed in one")
        if name.lower() in taken:
            raise Blocked(f"the header {name} is set by OpenForge")
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    return httpcore.Request("POST", url, headers=[*ours.items(), *headers.items()], content=body)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _cause(exc: BaseException) -> str:
    """The reason of a network error in words; no paths, no addresses of objects."""
    for cause in _chain(exc):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate verify failed: {cause.verify_message.rstrip('.')}"
        if isinstance(cause, ssl.SSLError):  # its errno is OpenSSL's number, not the system's
            reason: str | None = getattr(cause, "reason", None)
            return reason.lower().replace("_", " ") if reason else "the connection was closed"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    if isinstance(exc, httpcore.TimeoutException):
        return "the connection timed out"
    return "the connection was closed"
