"""The pipe over which a check in a kernel sends its events (see `openforge.events`)."""

from __future__ import annotations

import json
import os
import select
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import JsonValue

_KNOWN: dict[str, dict[str, type]] = {
    "log": {"level": str, "message": str},
    "progress": {"done": int, "total": int, "unit": str},
}
_MAX_BUFFER = 1 << 16


class EventPipe:
    """A named pipe and the thread that reads it; all events are delivered when it closes."""

    def __init__(self, emit: Callable[[dict[str, JsonValue]], None]) -> None:
        self._emit = emit
        self._folder = tempfile.TemporaryDirectory(prefix="of-events-")
        self.path = Path(self._folder.name) / "events"
        os.mkfifo(self.path, 0o600)
        # Read and write: so that the end of one writer is not the end of the pipe.
        self._handle = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._stop, self._stopped = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)

    def __enter__(self) -> EventPipe:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._stopped)
        self._thread.join()
        os.close(self._handle)
        os.close(self._stop)
        self._folder.cleanup()

    def _read(self) -> None:
        rest, over = b"", False
        while not over:
            ready, _, _ = select.select([self._handle, self._stop], [], [])
            over = self._stop in ready
            while True:
                try:
                    data = os.read(self._handle, 1 << 16)
                except BlockingIOError:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if event := parse(line):
                        self._emit(event)
                rest = rest[-_MAX_BUFFER:]


def parse(line: bytes) -> dict[str, JsonValue] | None:
    """The event in a line, or None for anything that is not one: the sender is not trusted."""
    try:
        event: Any = json.loads(line)
        fields = _KNOWN[event["type"]]
        if all(type(event[name]) is kind for name, kind in fields.items()):
            return {"type": event["type"], **{name: event[name] for name in fields}}
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
