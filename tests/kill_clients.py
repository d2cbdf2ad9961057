"""Clients of a service that may be killed at any moment, and what they know of it afterwards."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from openforge import signature
from openforge.model import State

ENDINGS = ("job.completed", "job.failed", "job.cancelled")
SECRET = "kill-rounds-secret"
_PROJECT = """\
project: {name: tiny, top_module: tiny, language: sv2017}
design: {sources: [rtl/*.sv]}
verification: {lint: {tools: [verilator]}}
"""
_RTL = """\
// revision %d
module tiny (input logic clk, input logic d, output logic q);
  always_ff @(posedge clk) q <= d;
endmodule
"""
_BOUNDARY = "kill-rounds-boundary"
_TIMEOUT_S = 20.0
_OPEN_ERRANDS = 4  # of a client, that wait for an answer
_CLIENTS, _POLLERS, _PROJECTS = 4, 2, 3
_REFUSALS = 2  # of one message: fewer than there are attempts
_RANK = {State.QUEUED.value: 0, State.RUNNING.value: 1}  # an end comes after both


@dataclass
class Ledger:
    """What clients were told; shared by their threads."""

    asked: set[str] = field(default_factory=set)
    jobs: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        """One more of `what`."""
        with self.lock:
            self.counts[what] += 1

    def problem(self, text: str) -> None:
        """Something that must not be."""
        with self.lock:
            self.problems.append(text)

    def accepted(self, key: str, job_id: str) -> None:
        """The service has said that `key` is `job_id`."""
        with self.lock:
            known = self.jobs.setdefault(key, job_id)
        if known != job_id:
            self.problem(f"doubled: {key} is {known} and {job_id}")

    def acknowledged(self) -> list[str]:
        """The ids of all jobs that the service has said to have."""
        with self.lock:
            return list(self.jobs.values())


class Api:
    """Requests to the service on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        kind: str = "application/json",
        **more: str,
    ) -> tuple[int, Any] | None:
        """Status and body of the answer; None when no whole answer came. `more` are headers."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if body:
            headers["Content-Type"] = kind
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()
        return answer.status, json.loads(text or b"null")

    def make(self, path: str, **values: Any) -> dict[str, Any]:
        """What POST has made of `values`; fails when it was not made."""
        answer = self.ask("POST", path, json.dumps(values).encode())
        assert answer and answer[0] == 201, answer
        made: dict[str, Any] = answer[1]
        return made


@dataclass(frozen=True)
class Errand:
    """A request that is sent, always with its key, until it is answered with `wanted`."""

    key: str
    path: str
    body: bytes
    kind: str
    wanted: int


def job_errand(key: str, project_id: str) -> Errand:
    """Submit a lint job."""
    body = json.dumps({"stages": ["lint"]}).encode()
    return Errand(key, f"/projects/{project_id}/jobs", body, "application/json", 202)


def upload_errand(key: str, project_id: str, revision: int) -> Errand:
    """Upload the tiny project, which differs from its other revisions in a comment."""
    parts = ""
    for name, text in (("openforge.yaml", _PROJECT), ("rtl/tiny.sv", _RTL % revision)):
        head = f'Content-Disposition: form-data; name="files[]"; filename="{name}"'
        parts += f"--{_BOUNDARY}\r\n{head}\r\n\r\n{text}\r\n"
    body = f"{parts}--{_BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    return Errand(key, f"/projects/{project_id}/upload", body, kind, 200)


class Client(threading.Thread):
    """Submits jobs and uploads files; what is not answered is sent again, at once or later."""

    def __init__(self, name: str, load: Load) -> None:
        super().__init__(name=name, daemon=True)
        self._load, self._random = load, random.Random(f"{name}.{load.seed}")
        self._made = 0

    def run(self) -> None:
        """Go on until told to stop, and then until everything is answered."""
        todo: list[Errand] = []
        while todo or not self._load.over.is_set():
            if len(todo) < _OPEN_ERRANDS and self._load.invited(wait_s=0.0 if todo else 0.2):
                todo.append(self._new())
            if todo:
                errand = self._random.choice(todo)
                if self._settled(errand):
                    todo.remove(errand)
                else:
                    time.sleep(self._random.uniform(0.02, 0.3))

    def _new(self) -> Errand:
        self._made += 1
        key = f"{self.name}-{self._made}"
        project_id = self._random.choice(self._load.projects)
        if self._random.random() < 0.15:
            return upload_errand(f"{key}-upload", project_id, self._made)
        self._load.ledger.asked.add(key)
        return job_errand(key, project_id)

    def _settled(self, errand: Errand) -> bool:
        """Whether nothing more is to be asked for `errand`: its answer came, mostly."""
        ledger = self._load.ledger
        self._load.asking.set()
        answer = self._load.api.ask(
            "POST", errand.path, errand.body, kind=errand.kind, Idempotency_Key=errand.key
        )
        if answer is None:
            ledger.count("requests that were cut off or refused")
            return False
        status, said = answer
        if status == errand.wanted:
            if status == 202:
                ledger.accepted(errand.key, said["job_id"])
            return self._random.random() < 0.8  # some ask again for what they know already
        if status in (429, 503) or (status == 409 and "carried out" in said["error"]["message"]):
            ledger.count("requests to be sent later (409, 429, 503)")
            return False
        ledger.problem(f"{errand.key}: answered {status}: {said['error']['message']}")
        return status < 500


class Poller(threading.Thread):
    """Reads: a job that was acknowledged is there, and its story only goes forward."""

    def __init__(self, name: str, load: Load) -> None:
        super().__init__(name=name, daemon=True)
        self._load, self._random = load, random.Random(f"{name}.{load.seed}")
        self._seen: dict[str, tuple[int, int, str]] = {}

    def run(self) -> None:
        """Go on until told to stop."""
        while not self._load.done.wait(0.05):
            known = self._load.ledger.acknowledged()
            if not known:
                continue
            job_id = self._random.choice(known[-40:])
            answer = self._load.api.ask("GET", f"/jobs/{job_id}")
            if answer:
                self._load.ledger.count("reads answered")
                self._look(job_id, *answer)

    def _look(self, job_id: str, status: int, said: dict[str, Any]) -> None:
        if status != 200:
            self._load.ledger.problem(f"lost: {job_id} was acknowledged, GET says {status}")
            return
        word = said["status"]
        found = (_RANK.get(word, 2), said["attempt"], word)
        before = self._seen.get(job_id, (0, 0, ""))
        back = found[1] < before[1] or (before[0] == 2 and found != before)
        if back:
            self._load.ledger.problem(f"backwards: {job_id} was {before}, is {found}")
        self._seen[job_id] = found


@dataclass
class Message:
    """One message as the receiver got it, `times` times; `taken` when one was answered 2xx."""

    event: str
    job_id: str
    status: str
    body: bytes
    times: int = 0
    refused: int = 0
    taken: bool = False


class Receiver(ThreadingHTTPServer):
    """Takes webhooks by ``webhook-id``; is slow at times, and refuses some with 500 at first."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, seed: int, ledger: Ledger) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: dict[str, Message] = {}
        self.ledger, self._random, self._lock = ledger, random.Random(seed), threading.Lock()
        threading.Thread(target=self.serve_forever, name="receiver", daemon=True).start()

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://127.0.0.1:{self.server_port}/hook"

    def close(self) -> None:
        """Take nothing more."""
        self.shutdown()
        self.server_close()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer a message with, after a while."""
        right = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        signed = headers.get("x-openforge-signature") == f"sha256={right}"
        if not (signed and signature.verify(SECRET, headers, body)):
            self.ledger.problem(f"signature: {headers} {body[:200]!r}")
        with self._lock:
            delay = self._random.uniform(0.1, 0.8) if self._random.random() < 0.1 else 0.0
            refuse = self._random.random() < 0.15
            message = self._message(headers["webhook-id"], body)
            refuse = refuse and message.refused < _REFUSALS
            message.refused += refuse
        time.sleep(delay)
        if not refuse:
            message.taken = True
        return 500 if refuse else 204

    def events(self) -> dict[str, Counter[str]]:
        """By job: how many distinct messages of each event were taken."""
        found: dict[str, Counter[str]] = {}
        with self._lock:
            for message in self.messages.values():
                if message.taken:
                    found.setdefault(message.job_id, Counter())[message.event] += 1
        return found

    def ended(self) -> int:
        """How many jobs are known to have ended."""
        with self._lock:
            return sum(m.taken and m.event in ENDINGS for m in self.messages.values())

    def _message(self, message_id: str, body: bytes) -> Message:
        said = json.loads(body)
        fresh = Message(said["event"], said["job_id"], said["status"], body)
        message = self.messages.setdefault(message_id, fresh)
        message.times += 1
        if message.body != body:
            self.ledger.problem(f"message {message_id} came with two bodies")
        return message


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.take({k.lower(): v for k, v in self.headers.items()}, body)
        try:
            self.send_response(status)
            self.end_headers()
        except OSError:  # the sender was killed
            self.server.ledger.count("deliveries whose sender went away")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Load:
    """Everything that uses the service.

    `asking` is set when a client sends a request, `over` ends submissions, `done` the readers.
    """

    seed: int
    api: Api
    receiver: Receiver
    ledger: Ledger
    projects: list[str] = field(default_factory=list)
    invitations: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    asking: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    clients: list[Client] = field(default_factory=list)
    pollers: list[Poller] = field(default_factory=list)

    def begin(self) -> None:
        """Make projects with files and a webhook, then let the clients loose."""
        for n in range(_PROJECTS):
            project_id = self.api.make("/projects", name=f"tiny-{n}")["id"]
            errand = upload_errand("", project_id, 0)
            answer = self.api.ask("POST", errand.path, errand.body, kind=errand.kind)
            assert answer and answer[0] == 200, answer
            self.projects.append(project_id)
        events = ["job.queued", "job.started", "stage.completed", *ENDINGS]
        self.api.make("/webhooks", url=self.receiver.url, events=events, secret=SECRET)
        self.clients = [Client(f"client-{n}", self) for n in range(_CLIENTS)]
        self.pollers = [Poller(f"poller-{n}", self) for n in range(_POLLERS)]
        for thread in (*self.clients, *self.pollers):
            thread.start()

    def invite(self, errands: int) -> None:
        """Let the clients begin some more errands."""
        self.invitations.release(errands)

    def invited(self, wait_s: float) -> bool:
        """Whether an errand may be begun now; each invitation is for one."""
        return not self.over.is_set() and self.invitations.acquire(timeout=wait_s)
