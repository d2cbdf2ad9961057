"""A client of the service that costs little itself; `benchmarks/service.py` runs it as a process.

    python benchmarks/load_client.py poll URL TOKEN SECONDS CONNECTIONS RATE JOB...
    python benchmarks/load_client.py watch URL TOKEN SECONDS CONNECTIONS

`poll` asks for the status of the jobs, RATE times a second in all (0: as fast as it is answered),
`watch` holds WebSockets on jobs that run. A JSON object on stdout tells what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

_REPLAY_S = 1.0  # what comes right after connecting happened before


@dataclass
class Tally:
    """What happened: times in ms; `late_ms` counts from when a request was to be sent."""

    seconds: float = 0.0
    answers: int = 0
    ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


class Connection(asyncio.Protocol):
    """A kept-alive connection that asks one thing at a time."""

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, url: str) -> Connection:
        """A new one."""
        place = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, place.hostname or "", place.port or 0)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: it is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def ask(self, request: bytes) -> int:
        """The status of the answer, all of which has come. Raises ConnectionError."""
        if self._transport is None:
            raise ConnectionResetError("closed between requests")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """asyncio's: a part of the answer."""
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._data = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's: it is closed."""
        self._transport = None
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed in a request"))


@dataclass(frozen=True)
class Target:
    """Where to ask, as whom, for how long, over how many connections."""

    url: str
    token: str
    seconds: float
    connections: int

    def get(self, path: str) -> bytes:
        """A GET request."""
        place = urlsplit(self.url)
        lines = [f"GET /api/v1{path} HTTP/1.1", f"Host: {place.netloc}"]
        lines += [f"Authorization: Bearer {self.token}"] if self.token else []
        return "\r\n".join([*lines, "", ""]).encode()


async def poll(target: Target, rate: float, jobs: list[str]) -> Tally:
    """Ask for `jobs` in turn; each connection keeps to a timetable of its own if there is one."""
    tally = Tally()
    period = target.connections / rate if rate else 0.0
    opened = [await Connection.open(target.url) for _ in range(target.connections)]
    began = time.perf_counter()
    pollers = []
    for number, connection in enumerate(opened):
        times = itertools.count(began + period * number / target.connections, period)
        request = target.get(f"/jobs/{jobs[number % len(jobs)]}")
        pollers.append(_poller(connection, target, request, times, tally))
    await asyncio.gather(*pollers)
    tally.seconds = time.perf_counter() - began
    return tally


async def _poller(
    connection: Connection, target: Target, request: bytes, times: Iterator[float], tally: Tally
) -> None:
    end = time.perf_counter() + target.seconds
    for planned in times:
        if max(planned, time.perf_counter()) > end:
            return
        await asyncio.sleep(max(0.0, planned - time.perf_counter()))
        sent = time.perf_counter()
        try:
            status = await connection.ask(request)
        except ConnectionError as error:
            tally.errors[str(error)] += 1
            connection = await Connection.open(target.url)
            continue
        now = time.perf_counter()
        tally.answers += 1
        tally.ms.append((now - sent) * 1000)
        tally.late_ms.append((now - planned) * 1000)
        if status != 200:
            tally.errors[f"status {status}"] += 1


async def watch(target: Target) -> Tally:
    """Hold sockets on jobs that run; `ms` are the ages of the messages that came live."""
    tally, running = Tally(), asyncio.Queue[str](maxsize=1)
    began = time.perf_counter()
    tasks = [asyncio.create_task(_find_running(target, running))]
    tasks += [
        asyncio.create_task(_watcher(target, running, tally)) for _ in range(target.connections)
    ]
    done, _ = await asyncio.wait(tasks, timeout=target.seconds, return_when="FIRST_EXCEPTION")
    for task in done:
        task.result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tally.seconds = time.perf_counter() - began
    return tally


async def _find_running(target: Target, running: asyncio.Queue[str]) -> None:
    """Put the ids of running jobs into the queue, in turn."""
    place = urlsplit(target.url)
    while True:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        request = target.get("/jobs?status=running").replace(
            b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
        )
        writer.write(request)
        text = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        for job in json.loads(text)["jobs"]:
            await running.put(job["job_id"])
        await asyncio.sleep(0.02)


async def _watcher(target: Target, running: asyncio.Queue[str], tally: Tally) -> None:
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    base = target.url.replace("http", "ws", 1)
    while True:
        url = f"{base}/api/v1/jobs/{await running.get()}/stream"
        try:
            async with connect(url, additional_headers=headers, proxy=None) as socket:
                live = time.time() + _REPLAY_S
                async for text in socket:
                    _take(json.loads(text), live, tally)
        except InvalidStatus as refused:
            tally.errors[f"status {refused.response.status_code}"] += 1
            await asyncio.sleep(0.5)
        except ConnectionClosed as closed:
            tally.errors[str(closed)] += 1


def _take(message: dict[str, str], live: float, tally: Tally) -> None:
    tally.answers += 1
    at = message.get("timestamp")
    if at and (happened := datetime.fromisoformat(at).timestamp()) > live:
        tally.ms.append((time.time() - happened) * 1000)


def _come_first() -> None:
    """Have as much time as the service has: clients are usually other machines."""
    with contextlib.suppress(OSError):  # it takes a privilege
        Path("/proc/self/autogroup").write_text("-10", encoding="ascii")


def main() -> None:
    """Do what the command line says."""
    _come_first()
    kind, url, token, seconds, connections, *more = sys.argv[1:]
    target = Target(url, token, float(seconds), int(connections))
    work = poll(target, float(more[0]), more[1:]) if kind == "poll" else watch(target)
    print(json.dumps(asdict(asyncio.run(work))))


if __name__ == "__main__":
    main()
