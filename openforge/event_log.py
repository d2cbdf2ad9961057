"""The events of a job: one sequence, one file a check, whoever listens."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

Event = dict[str, JsonValue]
Emit = Callable[[Event], None]

FILE = "log.jsonl"
MAX_BYTES = 64 << 20


class EventLog:
    """Numbers the events of a job; `listener` gets each, from the thread in which it arose.

    A listener that raises ends the check that the event came from: an event is never lost quietly.
    """

    def __init__(self, listener: Emit) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    @contextmanager
    def open(self, folder: Path, *, stage: str, check: str) -> Iterator[Emit]:
        """A function that records events of one check in ``<folder>/log.jsonl``."""
        with (folder / FILE).open("a", encoding="utf-8") as file:

            def emit(event: Event) -> None:
                with self._lock:
                    numbered = {
                        "seq": next(self._numbers),
                        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
                        "stage": stage,
                        "check": check,
                        **event,
                    }
                    if file.tell() < MAX_BYTES or event["type"] != "log":
                        file.write(json.dumps(numbered) + "\n")
                        file.flush()
                self._listener(numbered)

            yield emit
