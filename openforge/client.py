"""A service over HTTP: one method a route. Decides nothing and prints nothing.

The token goes to the one server that was named and nowhere else: redirects are errors, and it is
sent in the clear to this machine only. Nothing that the server says is believed before it has the
expected form, and no answer is read without a limit.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import httpx
from pydantic import JsonValue

from openforge import __version__, client_answer
from openforge.client_answer import Answered, NoAnswer, Raw
from openforge.client_records import (
    File,
    Job,
    LogLine,
    Project,
    Report,
    Results,
    checked,
    parsed,
)
from openforge.errors import OpenForgeError
from openforge.plain import plain

API = "/api/v1"
MAX_LINES = 10_000  # that a service gives of a log at once
_PER_PAGE = 100
_MAX_ANSWER, _MAX_REPORT = 64 << 20, 512 << 20
_TIMEOUT = httpx.Timeout(60, connect=10, read=300)  # a large upload is looked at for a while
_STREAM_TIMEOUT = httpx.Timeout(60, connect=10)  # a quiet stream says so every 15 s

T = TypeVar("T")


class Client:
    """A service at `url`. `notice` is told, in a sentence, whenever a request is sent again.

    Requests are repeated a few times when the connection breaks, once the service has answered at
    all, and when the service asks for it: each of them can be, without doing anything twice.
    Every method raises `Answered` for an error of the service, and OpenForgeError when there is no
    answer, or none that makes sense.
    """

    def __init__(
        self, url: str, token: str = "", notice: Callable[[str], None] = lambda sentence: None
    ) -> None:
        self.url = url.rstrip("/").removesuffix(API)
        self.notice = notice
        self._met = False
        try:
            place = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise OpenForgeError(f"{url[:80]!a} is not the address of a service: {error}") from None
        local = _is_loopback(place.host)
        headers = {"User-Agent": f"openforge/{__version__}"}
        if token:
            _require_safe(place, local=local)
            headers["Authorization"] = f"Bearer {token}"
        # What is meant for this machine goes through no proxy.
        self._http = httpx.Client(headers=headers, timeout=_TIMEOUT, trust_env=not local)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def create_project(self, values: Mapping[str, JsonValue]) -> Project:
        """A new project. `Answered` 409 when the user has one of that name."""
        return self._get(Project, "POST", "/projects", json=values)

    def change_project(self, project_id: str, values: Mapping[str, JsonValue]) -> Project:
        """The project with other values."""
        return self._get(Project, "PUT", f"/projects/{project_id}", json=values)

    def projects(self, at_most: int, name: str | None = None) -> list[Project]:
        """The projects that can be seen, or those of that name."""
        query = {} if name is None else {"name": name}
        return self._listing(Project, "/projects", at_most, query)

    def files(self, project_id: str) -> tuple[str, ...]:
        """The names of a project's files."""
        found = self._get(dict[str, Any], "GET", f"/projects/{project_id}/files").get("files")
        return tuple(file.name for file in checked(list[File], found))

    def upload(self, project_id: str, archive: BinaryIO) -> tuple[str, ...]:
        """Add what a tar holds to a project's files, all or nothing; the names it has there."""
        part = {"files[]": ("project.tar", archive, "application/x-tar")}
        said = self._get(dict[str, Any], "POST", f"/projects/{project_id}/upload", files=part)
        return tuple(checked(list[str], said.get("files")))

    def delete_file(self, project_id: str, name: str) -> None:
        """Remove a file of a project, if it is there."""
        try:
            self._send("DELETE", f"/projects/{project_id}/files/{quote(name)}")
        except Answered as error:
            if error.status != 404:
                raise

    def submit(
        self,
        project_id: str,
        stages: Sequence[str] | None,
        overrides: Mapping[str, JsonValue],
        key: str,
    ) -> Job:
        """A new job; the same one whenever it is asked for with the same `key`."""
        body = {"config_overrides": overrides} | ({"stages": list(stages)} if stages else {})
        headers = {"Idempotency-Key": key}
        return self._get(Job, "POST", f"/projects/{project_id}/jobs", json=body, headers=headers)

    def job(self, job_id: str) -> Job:
        """A job, with the progress of its stages."""
        return self._get(Job, "GET", f"/jobs/{job_id}")

    def jobs(self, at_most: int) -> list[Job]:
        """The newest jobs."""
        return self._listing(Job, "/jobs", at_most, {})

    def cancel(self, job_id: str) -> Job:
        """Have a job stopped, soon."""
        return self._get(Job, "POST", f"/jobs/{job_id}/cancel")

    def results(self, job_id: str) -> tuple[Results, JsonValue]:
        """What a job concluded: as a record, and as the service wrote it."""
        said = self._get(dict[str, Any], "GET", f"/jobs/{job_id}/results")
        return checked(Results, said), said

    def report(self, job_id: str, format_: str) -> bytes:
        """A job's report, as one file."""
        body = {"format": format_}
        return self._send("POST", f"/jobs/{job_id}/reports", limit=_MAX_REPORT, json=body).body

    def report_data(self, job_id: str) -> Report:
        """A job's report, as a record."""
        return parsed(Report, self.report(job_id, "json"))

    def log(self, job_id: str, stage: str | None, tail: int) -> list[LogLine]:
        """The last `tail` lines of a job's log, at most `MAX_LINES`."""
        query = {"tail": tail} | ({"stage": stage} if stage else {})
        found = self._get(dict[str, Any], "GET", f"/jobs/{job_id}/logs", params=query)
        return checked(list[LogLine], found.get("logs"))

    def follow(self, job_id: str, since: int) -> Iterator[LogLine]:
        """The lines after number `since` as they are written, to the end of the job.

        It may end, or raise `NoAnswer`, before that: go on with the number of the last line.
        """
        query: dict[str, str | int] = {"follow": "true", "since": since, "tail": MAX_LINES}
        place = f"{self.url}{API}/jobs/{job_id}/logs"
        with (
            self._reaching(),
            self._http.stream("GET", place, params=query, timeout=_STREAM_TIMEOUT) as response,
        ):
            if response.status_code != 200:
                raise client_answer.error_of(client_answer.read(response, _MAX_ANSWER), self.url)
            for line in client_answer.lines(response):
                yield parsed(LogLine, line)

    def _listing(self, kind: type[T], path: str, at_most: int, query: Mapping[str, str]) -> list[T]:
        """The first rows of a listing, which comes in pages."""
        found: list[T] = []
        for page in range(1, 1 + -(-at_most // _PER_PAGE)):
            place = {**query, "page": page, "per_page": min(at_most, _PER_PAGE)}
            answer = self._get(dict[str, Any], "GET", path, params=place)
            rows = checked(list[kind], answer.get(path.removeprefix("/")))  # type: ignore[valid-type]
            found += rows
            if len(rows) < _PER_PAGE:
                break
        return found[:at_most]

    def _get(self, kind: type[T], method: str, path: str, **content: Any) -> T:
        return parsed(kind, self._send(method, path, **content).body)

    def _send(self, method: str, path: str, *, limit: int = _MAX_ANSWER, **content: Any) -> Raw:
        """The answer to a request that is sent until there is one."""
        attempt = 0
        while True:
            problem: OpenForgeError
            try:
                answer = self._once(method, path, limit, content)
            except NoAnswer as error:
                waits = client_answer.WAITS_S if self._met else ()
                problem, pause_s = error, waits[attempt] if attempt < len(waits) else None
            else:
                self._met = True
                if answer.good:
                    return answer
                problem = client_answer.error_of(answer, self.url)
                pause_s = client_answer.pause_s(answer, attempt)
            if pause_s is None:
                raise problem
            self.notice(f"{problem}; trying again in {pause_s:.3g} s")
            time.sleep(pause_s)
            attempt += 1

    def _once(self, method: str, path: str, limit: int, content: Mapping[str, Any]) -> Raw:
        for _, file, _ in content.get("files", {}).values():
            file.seek(0)
        with (
            self._reaching(),
            self._http.stream(method, f"{self.url}{API}{path}", **content) as response,
        ):
            return client_answer.read(response, limit)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            why = plain(str(error))[:300] or type(error).__name__
            raise NoAnswer(f"the service at {self.url} cannot be reached: {why}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_safe(url: httpx.URL, *, local: bool) -> None:
    """Raises OpenForgeError when a token would go over a network in the clear."""
    if url.scheme != "https" and not local and os.environ.get("OPENFORGE_INSECURE") != "1":
        raise OpenForgeError(
            f"the token would go to {url.host} in the clear; use https, or set "
            "OPENFORGE_INSECURE=1 where the network can be trusted"
        )
