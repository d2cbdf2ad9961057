"""Following a job: its file of events, read by each follower at its own pace.

The file is the buffer: a follower that was away goes on from any number, and nothing is kept in
memory for one that is slow.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from openforge.control import jobs as queue
from openforge.event_log import JOB_EVENTS
from openforge.service.service import Service

_POLL_S = 0.1
_BLOCK = 2 << 20  # longer than any line

Message = dict[str, Any]


async def follow(service: Service, job_id: str, since: int) -> AsyncIterator[list[Message]]:
    """Messages of the contract from number `since` + 1 on, to the end of the job, in batches.

    An empty batch says that nothing happened for the heartbeat's time.
    """
    tail = _Tail(service.workspace.runs / job_id / JOB_EVENTS, since)
    quiet = time.monotonic()
    while True:
        # Asked before reading: what was written before the end has been read when we stop.
        status = await asyncio.to_thread(_final_status, service, job_id)
        while batch := await asyncio.to_thread(tail.read):
            quiet = time.monotonic()
            yield batch
        if status:
            last = {"type": "job_complete", "status": status, "seq": tail.last + 1}
            yield [last]
            return
        if time.monotonic() - quiet >= service.settings.heartbeat_s:
            quiet = time.monotonic()
            yield []
        await asyncio.sleep(_POLL_S)


def _final_status(service: Service, job_id: str) -> str | None:
    with service.control.read() as connection:
        job = queue.get(connection, job_id)
    return job.status if job.state.final else None


class _Tail:
    """Reads what is new in a file of events."""

    def __init__(self, path: Path, since: int) -> None:
        self._path, self.last = path, since
        self._position = 0

    def read(self) -> list[Message]:
        """The next messages, at most a block of them; none when there is nothing new."""
        while True:
            try:
                with self._path.open("rb") as file:
                    file.seek(self._position)
                    block = file.read(_BLOCK)
            except FileNotFoundError:  # nothing has run yet
                return []
            whole = block.rfind(b"\n") + 1
            if not whole:
                return []
            self._position += whole
            found = [message(json.loads(line)) for line in block[:whole].splitlines()]
            fresh = [m for m in found if m and m["seq"] > self.last]
            if fresh:
                self.last = fresh[-1]["seq"]
                return fresh


def message(event: Message) -> Message | None:
    """An event as the contract writes it; None for one that it does not have."""
    kind, common = event["type"], {"type": event["type"], "stage": event.get("stage", "")}
    placed = {"seq": event["seq"], "timestamp": moment(event["timestamp"])}
    match kind:
        case "log":
            said = {"message": event["message"], "level": event["level"]}
            return {**common, **said, **placed}
        case "progress":
            done, total, unit = event["done"], event["total"], event["unit"]
            return {**common, f"{unit}_complete": done, f"{unit}_total": total, **placed}
        case "stage_complete":
            return {**common, "status": event["status"], **placed}
    return None


def moment(text: str) -> str:
    """A moment as the contract writes it: in UTC, with a Z."""
    return text.replace("+00:00", "Z")
