"""The events of a job: one sequence in one file, and each check's part of it in its folder.

``events.jsonl`` in the job's folder is what streams are read from, whoever writes it and however
often the job is started; ``log.jsonl`` belongs to the record of a check.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pydantic import JsonValue

Event = dict[str, JsonValue]
Emit = Callable[[Event], None]

JOB_EVENTS, CHECK_EVENTS = "events.jsonl", "log.jsonl"
MAX_BYTES = 64 << 20
_TAIL_BYTES = 1 << 20  # longer than any line


class EventLog:
    """Numbers the events of a job; `listener` gets each, from the thread in which it arose.

    A listener that raises ends the check that the event came from: an event is never lost quietly.
    The numbers go on where an earlier start of the job ended.
    """

    def __init__(self, folder: Path, listener: Emit) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        path = folder / JOB_EVENTS
        self._number = _mend(path)
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tell(self, event: Mapping[str, JsonValue]) -> None:
        """Record an event of the job as a whole, or of a stage."""
        self._record(event, self._file)

    @contextmanager
    def open(self, folder: Path, *, stage: str, check: str) -> Iterator[Emit]:
        """A function that records events of one check, in ``<folder>/log.jsonl`` as well."""
        with (folder / CHECK_EVENTS).open("a", encoding="utf-8") as file:
            about = {"stage": stage, "check": check}
            yield lambda event: self._record({**about, **event}, self._file, file)

    def _record(self, event: Mapping[str, JsonValue], *files: IO[str]) -> None:
        with self._lock:
            self._number += 1
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            numbered: Event = {"seq": self._number, "timestamp": now, **event}
            line = json.dumps(numbered) + "\n"
            for file in files:
                if file.tell() < MAX_BYTES or event["type"] != "log":
                    file.write(line)
                    file.flush()
        self._listener(numbered)


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file of events; a half-written last line is left out, as is a file missing."""
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.endswith("\n"))


def _mend(path: Path) -> int:
    """Cut off what a killed writer left half-written; the number of the last whole event."""
    if not path.is_file():
        return 0
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        start = file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        file.truncate(start + whole)
    lines = tail[:whole].splitlines()
    return int(json.loads(lines[-1])["seq"]) if lines else 0
