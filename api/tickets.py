"""One-use tickets: a browser cannot send a token with a WebSocket."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors import ApiError
from api.identity import Caller

TICKET_S = 30
_MAX_TICKETS = 10_000


class Tickets:
    """Tickets that were given out and not used yet; only in the memory of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, tuple[float, str, Caller]] = {}

    def issue(self, job_id: str, caller: Caller) -> str:
        """A ticket for one stream of `job_id`, within 30 seconds."""
        now, ticket = time.monotonic(), secrets.token_urlsafe(32)
        with self._lock:
            self._open = {k: v for k, v in self._open.items() if v[0] > now}
            if len(self._open) >= _MAX_TICKETS:
                raise ApiError(503, "too many tickets are open; try again later")
            self._open[ticket] = (now + TICKET_S, job_id, caller)
        return ticket

    def redeem(self, ticket: str, job_id: str) -> Caller | None:
        """Who got `ticket` for `job_id`; it is used up."""
        with self._lock:
            end, wanted, caller = self._open.pop(ticket, (0.0, "", None))
        return caller if time.monotonic() < end and wanted == job_id else None


class Streams:
    """How many streams each user has open."""

    def __init__(self, limit: int) -> None:
        self._limit, self._open = limit, Counter[str]()

    @property
    def total(self) -> int:
        """All open streams."""
        return self._open.total()

    @contextmanager
    def counted(self, user: str) -> Iterator[None]:
        """One stream of `user`. Raises ApiError 429 when there are too many."""
        if self._open[user] >= self._limit:
            raise ApiError(
                429, f"a user has at most {self._limit} streams open", {"limit": self._limit}
            )
        self._open[user] += 1
        try:
            yield
        finally:
            self._open[user] -= 1
