"""Connections whose other side does not go on are ended: uvicorn 0.54 would wait for ever.

A request's head must be complete in time, and what is sent must be taken. That holds for all
answers alike: files, logs that are followed, WebSockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class _Deadline:
    """Calls `end` unless it is stopped in time; starting it again changes nothing."""

    def __init__(self, end: Callable[[], None], seconds: float) -> None:
        self._end, self._seconds = end, seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._end)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Taken:
    """Ends a connection when nothing at all of what waits to be sent is taken for a while."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport, self._seconds = transport, seconds
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = 0

    def watch(self) -> None:
        """Look again after the time; slow is fine, as long as it goes on."""
        self._waiting = self._transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() < self._waiting:
            self.watch()
        else:
            self._transport.abort()


class HttpConnection(H11Protocol):
    """An HTTP connection: each head within `head_s`, something taken within each `slow_s`."""

    head_s: float
    slow_s: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._head = _Deadline(transport.abort, self.head_s)
        self._taken = _Taken(transport, self.slow_s)
        self._head.start()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; a request that has begun need not hurry any more."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The connection is another protocol's from now on."""
        self._head.stop()
        super().handle_websocket_upgrade(event)

    def pause_writing(self) -> None:
        """The other side does not take what is sent."""
        super().pause_writing()
        self._taken.watch()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._taken.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._head.stop()
        self._taken.stop()
        super().connection_lost(exc)

    def _look(self) -> None:
        under_way = self.cycle is not None and not self.cycle.response_complete
        if under_way or self.transport.get_protocol() is not self:
            self._head.stop()
        else:
            self._head.start()


class SocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket: the same for its handshake, and for what is sent."""

    head_s: float
    slow_s: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the handshake."""
        super().connection_made(transport)
        self._head = _Deadline(self.transport.abort, self.head_s)
        self._taken = _Taken(self.transport, self.slow_s)
        self._head.start()

    def handle_connect(self, event: Any) -> None:
        """The handshake is complete."""
        self._head.stop()
        super().handle_connect(event)

    def pause_writing(self) -> None:
        """The other side does not take what is sent."""
        super().pause_writing()
        self._taken.watch()

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self._taken.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._head.stop()
        self._taken.stop()
        super().connection_lost(exc)


def with_limits(kind: type[Any], *, head_s: float, slow_s: float) -> type[Any]:
    """`kind` with its limits: uvicorn makes the objects itself, and passes none."""
    return type(kind.__name__, (kind,), {"head_s": head_s, "slow_s": slow_s})
