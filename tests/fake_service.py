"""A service that says whatever a test wants, lies and half answers too, and records requests."""

import contextlib
import io
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from openforge import bundle

JOB_ID, PROJECT_ID = "job_1", "proj_1"


@dataclass(frozen=True)
class Answer:
    """What is sent: `said` as JSON, or bytes as they are. `cut` breaks the connection after it."""

    said: object
    status: int = 200
    headers: dict = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Request:
    """What arrived; `path` is without the root of the API."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes


class Fake:
    """Answers each route ("GET /jobs") from a list, whose last one is given again and again.

    In the place of an `Answer` there can be a function of the `Request` that returns one.
    """

    def __init__(self):
        self.requests, self._answers = [], {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = False  # so that closing waits for all of them
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def on(self, route, *answers):
        """Give `answers` to the requests of `route`, from now on."""
        with self._lock:
            self._answers[route] = list(answers)

    def asked(self, route):
        """The requests of `route` so far."""
        return [r for r in self.requests if f"{r.method} {r.path}" == route]

    def answer(self, request):
        """The answer to `request`, which is recorded."""
        with self._lock:
            self.requests.append(request)
            answers = self._answers.get(f"{request.method} {request.path}")
            if not answers:
                return error(404, f"nothing at {request.path}")
            found = answers.pop(0) if len(answers) > 1 else answers[0]
        found = found(request) if callable(found) else found
        if request.method == "POST" and request.path.endswith("/jobs"):
            self._seal(request, found.said)
        return found

    def _seal(self, request, said):
        """A job is on what was uploaded last, and with the overrides that it was given."""
        uploads = [r for r in self.requests if r.path.endswith("/upload")]
        if uploads and isinstance(said, dict) and "job_id" in said:
            archive = uploads[-1].body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
            said.setdefault("files_sha256", bundle.digest(io.BytesIO(archive)))
            said.setdefault("config_overrides", json.loads(request.body)["config_overrides"])


def error(status, message, suggestion=None, **headers):
    """An error as the contract has it; ``Retry_After="1"`` is a header."""
    details = {"suggestion": suggestion} if suggestion else {}
    body = {"error": {"code": "CODE", "message": message, "details": details}}
    return Answer(body, status, {k.replace("_", "-"): v for k, v in headers.items()})


def job(status="passed", stages=("lint",), **values):
    """A job as the service shows it."""
    return {
        "job_id": JOB_ID,
        "project_id": PROJECT_ID,
        "status": status,
        "stages": list(stages),
        "progress": {stage: {"status": status, "duration": "1.5s"} for stage in stages},
        "submitted_at": "2026-01-15T10:30:00Z",
        "error": None,
        **values,
    }


def line(seq, message, stage="lint", level="INFO"):
    """A line of a log, as NDJSON."""
    moment = "2026-01-15T10:30:01Z"
    said = {"seq": seq, "timestamp": moment, "stage": stage, "level": level, "message": message}
    return json.dumps(said).encode() + b"\n"


def results(overall="passed", **stages):
    """Results as the service shows them; lint passed, unless `stages` says otherwise."""
    shown = stages or {"lint": {"status": "passed"}}
    return {"job_id": JOB_ID, "overall_status": overall, "stages": shown}


def report(**values):
    """A report in JSON."""
    result = {"summary": {"warnings": 0, "errors": 0}, "findings": []}
    check = {"status": "passed", "error": "", "duration_s": 1.5, "result": result}
    return {**results(), "project": "minimal", "checks": {"lint": check}, **values}


def ready(fake, names):
    """Have `fake` take a project with files called `names`, and run a job on it that passes."""
    listed = {"files": [{"name": name} for name in names]}
    fake.on("POST /projects", Answer({"id": PROJECT_ID, "name": "minimal"}, 201))
    fake.on(f"GET /projects/{PROJECT_ID}/files", Answer(listed))
    fake.on(f"POST /projects/{PROJECT_ID}/upload", Answer({"files": list(names)}))
    fake.on(f"POST /projects/{PROJECT_ID}/jobs", Answer(job("queued"), 202))
    fake.on(f"GET /jobs/{JOB_ID}", Answer(job("running")), Answer(job()))
    fake.on(f"GET /jobs/{JOB_ID}/logs", Answer(line(1, "hello")))
    fake.on(f"GET /jobs/{JOB_ID}/results", Answer(results()))
    fake.on(f"POST /jobs/{JOB_ID}/reports", Answer(report()))


def wait_for(condition, seconds=20.0):
    """Wait until `condition` holds; whether it does."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


def _handler(fake):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self):
            place = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(place.query).items()}
            path = place.path.removeprefix("/api/v1")
            request = Request(self.command, path, query, dict(self.headers), self._body())
            self._send(fake.answer(request))

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  (names of http.server)

        def _body(self):
            if self.headers.get("Transfer-Encoding") == "chunked":
                raise NotImplementedError
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _send(self, answer):
            said = answer.said
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            # A client that reads too much, or not all, or has gone, is what some tests are about.
            with contextlib.suppress(OSError):
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                # What is cut has promised more than it sends.
                self.send_header("Content-Length", str(len(body) + 10 * answer.cut))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_):
            """Nothing on stderr."""

    return Handler
