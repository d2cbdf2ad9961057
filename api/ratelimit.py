"""How often a caller may ask: policies, where a caller stands, and the headers that say so."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

from limits.errors import StorageError
from limits.storage import Storage
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """At most `limit` requests in a window of `window_s` seconds, which the first one opens."""

    name: str
    limit: int
    window_s: int

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.limit < 0 or self.window_s < 1:
            raise ValueError(f"expected a-z0-9-, limit >= 0 and window_s >= 1, found {self}")


@dataclass(frozen=True)
class Standing:
    """What a policy leaves one caller: `remaining` requests until `reset_at` (epoch seconds)."""

    policy: Policy
    remaining: int
    reset_at: int
    allowed: bool


class Limiter:
    """Counts against policies, in fixed windows.

    Limits
    ------
    A window may begin in the middle of another caller's minute, and up to twice the limit can
    pass within one window's length, around its end. A refused request counts, too. While the
    store fails (a full disk), everything is allowed and the log says so: a limit protects the
    service, it must not be what stops it.
    """

    def __init__(self, store: Storage) -> None:
        self._store = store

    def hit(self, policy: Policy, *key: str, cost: int = 1) -> Standing:
        """Where the caller `key` stands after `cost` more requests."""
        name = _key(policy, key)
        return self._standing(policy, name, lambda: self._store.incr(name, policy.window_s, cost))

    def look(self, policy: Policy, *key: str) -> Standing:
        """Where the caller `key` stands; `allowed` says whether one more request would be."""
        name = _key(policy, key)
        standing = self._standing(policy, name, lambda: self._store.get(name))
        return replace(standing, allowed=standing.remaining > 0)

    def _standing(self, policy: Policy, name: str, count_of: Callable[[], int]) -> Standing:
        try:
            count, reset_at = count_of(), self._store.get_expiry(name)
        except StorageError as error:
            _LOG.error("requests cannot be counted, all are allowed", extra={"reason": str(error)})
            count, reset_at = 0, time.time() + policy.window_s
        remaining = max(0, policy.limit - count)
        return Standing(policy, remaining, math.ceil(reset_at), count <= policy.limit)


def headers(standing: Standing, now: float) -> dict[str, str]:
    """The header fields that tell a caller its standing; `now` in epoch seconds.

    Both the common ``X-RateLimit-*`` and the fields of the IETF, and ``Retry-After`` (never
    before the reset) when the request was not allowed.

    Source: draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4.
    """
    policy = standing.policy
    left_s = min(policy.window_s, max(0, math.ceil(standing.reset_at - now)))  # reset_at is rounded
    fields = {
        "X-RateLimit-Limit": str(policy.limit),
        "X-RateLimit-Remaining": str(standing.remaining),
        "X-RateLimit-Reset": str(standing.reset_at),
        "RateLimit-Policy": f'"{policy.name}";q={policy.limit};w={policy.window_s}',
        "RateLimit": f'"{policy.name}";r={standing.remaining};t={left_s}',
    }
    if not standing.allowed:
        fields["Retry-After"] = str(max(1, left_s))
    return fields


class RateLimitMiddleware:
    """Counts each HTTP request, refuses what is too much, and puts the standing on each response.

    A handler may show another standing: ``request.state.standing = Standing(...)`` before its
    response starts. When one fails, the headers are left in ``scope["state"]["error_headers"]``
    for the middleware above, which makes the response.
    """

    def __init__(
        self,
        app: ASGIApp,
        limiter_of: Callable[[Scope], Limiter],
        choose: Callable[[Scope], tuple[Policy, tuple[str, ...]]],
        refuse: Callable[[Scope, Standing], Response],
    ) -> None:
        self.app = app
        self._limiter_of = limiter_of
        self._choose = choose
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        policy, key = self._choose(scope)
        standing = self._limiter_of(scope).hit(policy, *key)
        state = scope.setdefault("state", {})
        state["standing"] = standing

        async def send_with_headers(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                message.setdefault("headers", [])
                MutableHeaders(scope=message).update(headers(state["standing"], time.time()))
            await send(message)

        app = self.app if standing.allowed else self._refuse(scope, standing)
        try:
            await app(scope, receive, send_with_headers)
        except Exception:
            state["error_headers"] = headers(state["standing"], time.time())
            raise


def _key(policy: Policy, key: tuple[str, ...]) -> str:
    # Quoted, so that no caller's name can reach into the key of another one.
    parts = (quote(part, safe="", errors="surrogatepass") for part in key)
    return "/".join((policy.name, str(policy.window_s), *parts))
