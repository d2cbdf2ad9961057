"""What comes back over HTTP: read with a limit, and as an exception when it is an error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from openforge.errors import OpenForgeError
from openforge.plain import plain

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # between tries, while a service restarts
MAX_PAUSE_S = 30.0  # a service that asks for more is not waited for
_MAX_ASKED = 3  # how often a service is asked again because it wants it
_MAX_LINE, _MAX_SHOWN = 1 << 20, 2000
_ASK_LATER, _GATEWAY = (409, 429, 503), (502, 503, 504)


class NoAnswer(OpenForgeError):
    """The service cannot be reached, or the connection broke."""


class Answered(OpenForgeError):
    """The service answered with an error; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Raw(NamedTuple):
    """An answer as it came."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def good(self) -> bool:
        """Whether it is what was asked for."""
        return 200 <= self.status < 300


def read(response: httpx.Response, limit: int) -> Raw:
    """The whole of `response`. Raises OpenForgeError when it has more than `limit` bytes."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > limit:
            raise OpenForgeError(f"the service's answer has more than {limit >> 20} MB")
    return Raw(response.status_code, response.headers, bytes(body))


def lines(response: httpx.Response) -> Iterator[bytes]:
    """The lines of a stream as they come; a last one that is cut off is left out.

    Raises OpenForgeError for one that is too long to be a line of a log.
    """
    rest = b""
    for chunk in response.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MAX_LINE:
            raise OpenForgeError("the service's log has a line without an end")
        yield from (line for line in whole if line.strip())


def error_of(answer: Raw, url: str) -> Answered:
    """The error that `answer` of the service at `url` is, as one sentence."""
    if 300 <= answer.status < 400:
        target = plain(answer.headers.get("location", "nowhere"))[:200]
        said = f"redirects to {target}; redirects are not followed: name the right address"
    elif answer.status == 401:
        said = (
            "wants a valid token; `openforge token create` on the server makes one, and "
            "`openforge config set token -` (or OPENFORGE_TOKEN) gives it"
        )
    else:
        said = f"answered {answer.status}: {_message(answer.body)}"
    return Answered(answer.status, f"the service at {url} {said}")


def pause_s(answer: Raw, attempt: int) -> float | None:
    """How long to wait before a request is sent again after `attempt` tries; None: not at all."""
    wanted = _retry_after_s(answer.headers.get("retry-after"))
    if answer.status in _ASK_LATER and wanted is not None:
        return wanted if wanted <= MAX_PAUSE_S and attempt < _MAX_ASKED else None
    if answer.status in _GATEWAY and attempt < len(WAITS_S):  # a proxy, and nobody behind it
        return WAITS_S[attempt]
    return None


def _retry_after_s(value: str | None) -> float | None:
    """Seconds, which RFC 9110 (section 10.2.3) has as a number or as a date."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _message(body: bytes) -> str:
    """What an error of the REST contract says, with the nearest right name."""
    try:
        error = json.loads(body)["error"]
        message = " ".join(plain(str(error["message"])).split())[:_MAX_SHOWN]
        near = error.get("details", {}).get("suggestion")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "no reason was given"
    return f"{message}; did you mean {plain(near)[:200]}?" if isinstance(near, str) else message
