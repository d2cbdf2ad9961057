"""Request ids, the log, metrics, and what a failure looks like from outside."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from api import log_lines
from api.metrics import Metrics, Work
from api.observe import ObserveMiddleware


def make_app(metrics, tmp_path):
    app = FastAPI()
    router = APIRouter(prefix="/inner/{b}")

    @router.get("/x/{c}")
    @router.get("/y/{c}")
    def x(b, c, request: Request):
        request.state.caller = SimpleNamespace(user="ada")
        request.state.job_id = "j1"
        return log_lines.request_id()

    @app.get("/fails")
    def fails():
        raise RuntimeError("a secret reason")

    @app.get("/half")
    async def half():
        async def parts():
            yield b"first"
            raise RuntimeError("too late")

        return StreamingResponse(parts())

    @app.get("/gone")
    def gone():
        raise ClientDisconnect

    @app.get("/cached")
    def cached(response: Response):
        response.headers["Cache-Control"] = "max-age=60"

    @app.websocket("/socket/{n}")
    async def socket(websocket: WebSocket, n: str):
        if n == "early":
            raise RuntimeError("before accepting")
        await websocket.accept()
        await websocket.send_text(metrics.render(Work({}, {}))[0].decode())
        await websocket.receive_text()
        raise RuntimeError("after accepting")

    app.include_router(router, prefix="/api/v1")
    app.include_router(router, prefix="/api/v2")
    app.mount("/files", StaticFiles(directory=tmp_path))
    app.add_middleware(ObserveMiddleware, metrics=metrics)
    return app


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def app(metrics, tmp_path):
    (tmp_path / "here.txt").write_text("x")
    return make_app(metrics, tmp_path)


@pytest.fixture
def client(app):
    return TestClient(app)


@pytest.fixture
def lines():
    """What the service's log says at INFO: a function that returns the lines, read back."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log_lines.JsonLines())
    config = log_lines.configure_logging("info")
    levels = {name: logger["level"] for name, logger in config["loggers"].items()}
    levels[""] = config["root"]["level"]
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    logging.getLogger().removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def requests(lines):
    return [line for line in lines() if line["message"] == "request"]


def sample(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_a_request_has_an_id_inside_and_outside(client):
    """The id in the code's context is the one on the response, and differs each time."""
    seen = [client.get("/api/v1/inner/b/x/c") for _ in range(2)]
    assert [r.json() for r in seen] == [r.headers["x-request-id"] for r in seen]
    assert len({r.json() for r in seen}) == 2
    assert log_lines.request_id() is None


@pytest.mark.parametrize("given", ["abc-DEF_1.2", "x" * 64])
def test_a_good_id_of_the_client_is_kept(client, given):
    """So that a caller can follow its request through the log."""
    response = client.get("/api/v1/inner/b/x/c", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == response.json() == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\x0b", 'a"b', "é", "a/b"])
def test_a_bad_id_of_the_client_is_replaced(client, given):
    """Anything but a short plain word."""
    response = client.get("/nowhere", headers={b"X-Request-ID": given.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


def test_each_request_is_one_line(client, lines):
    """Method, path, status, duration, client, user and id; never the query."""
    response = client.get("/api/v1/inner/b/x/c?token=hidden", headers={"Authorization": "hidden"})
    (line,) = requests(lines)
    assert line.pop("duration_ms") > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("timestamp"))
    assert line == {
        "level": "INFO",
        "logger": "api.observe",
        "message": "request",
        "request_id": response.json(),
        "method": "GET",
        "path": "/api/v1/inner/b/x/c",
        "status": 200,
        "client": "testclient",
        "user": "ada",
        "job_id": "j1",
    }
    assert "hidden" not in json.dumps(lines())


def test_a_path_cannot_forge_a_line(client, lines):
    """Control characters are escaped, so one request stays one line."""
    client.get("/a%0a{%22message%22:%20%22forged%22}%0d%1b%e2%80%a8")
    (line,) = lines()
    assert line["path"] == '/a\n{"message": "forged"}\r\x1b\u2028'


def test_lines_name_the_job_they_are_about(client, lines):
    """Where a route has found one, and what a logger says beside its message."""
    client.get("/api/v1/inner/b/x/c")
    client.get("/cached")
    logging.getLogger("openforge").warning("inside", extra={"job_id": "j2", "attempt": 1})
    one, none, other = lines()
    assert one["job_id"] == "j1"
    assert "job_id" not in none
    assert (other["job_id"], other["attempt"]) == ("j2", 1)


def test_every_response_has_the_security_headers(client):
    """Also errors and failures; a response may choose how it is cached, no more."""
    for path in ("/api/v1/inner/b/x/c", "/nowhere", "/fails", "/cached"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == ("max-age=60" if path == "/cached" else "no-store")


def test_a_failure_is_logged_and_not_told(client, lines, metrics):
    """The client learns the request id, the log has the traceback under it."""
    response = client.get("/fails")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (500, "INTERNAL_ERROR")
    assert error["details"] == {"request_id": response.headers["x-request-id"]}
    assert "secret" not in response.text
    failed, request = lines()
    assert "RuntimeError: a secret reason" in failed["exc_info"]
    assert failed["request_id"] == request["request_id"] == response.headers["x-request-id"]
    labels = {"method": "GET", "route": "/fails", "status": "500"}
    assert sample(metrics, "openforge_http_requests_total", **labels) == 1


def test_a_failure_carries_the_headers_left_for_it(app, metrics):
    """What a middleware below left in `error_headers` is on the answer."""

    class Below:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            scope["state"]["error_headers"] = {"X-RateLimit-Limit": "7"}
            await self.app(scope, receive, send)

    app.user_middleware.append(Middleware(Below))
    assert TestClient(app).get("/fails").headers["x-ratelimit-limit"] == "7"


def call(app, path, error=None):
    """What the app sends for a GET of `path`; `error` is what sending raises."""
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if error:
            raise error
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_response_that_had_begun_is_left_unfinished(app, lines):
    """The server then cuts the connection, so that half a body is not taken for a whole one."""
    sent = call(app, "/half")
    assert [m.get("status") or m.get("body") for m in sent] == [200, b"first"]
    assert [line["message"] for line in lines()] == ["the request failed", "request"]


@pytest.mark.parametrize(("path", "error"), [("/gone", None), ("/cached", BrokenPipeError())])
def test_a_client_that_leaves_is_no_error(app, lines, path, error):
    """Neither when reading from it fails nor when sending to it does."""
    assert call(app, path, error) == []
    assert [line["level"] for line in lines()] == ["INFO"]


def test_a_request_without_a_response_is_logged_as_gone(app, lines):
    """Under the number that nginx made common."""
    call(app, "/gone")
    assert requests(lines)[0]["status"] == 499


@pytest.mark.parametrize(
    ("request_line", "route"),
    [
        ("GET /api/v1/inner/1/x/2", "/api/v1/inner/{b}/x/{c}"),
        ("GET /api/v2/inner/1/y/2", "/api/v2/inner/{b}/y/{c}"),
        ("POST /api/v2/inner/1/y/2", "/api/v2/inner/{b}/y/{c}"),
        ("GET /files/here.txt", "/files/{path}"),
        ("GET /files/not/here.txt", "/files/{path}"),
        ("GET /openapi.json", "/openapi.json"),
        ("GET /nowhere/1", "unmatched"),
        ("GET /", "unmatched"),
    ],
)
@pytest.mark.parametrize("root_path", ["", "/behind"])
def test_routes_are_counted_by_their_template(app, metrics, request_line, route, root_path):
    """The full template, prefixes included; never a path that a client made up."""
    method, path = request_line.split()
    client = TestClient(app, base_url=f"http://testserver{root_path}", root_path=root_path)
    status = client.request(method, path).status_code
    labels = {"method": method, "route": route}
    total = sample(metrics, "openforge_http_requests_total", **labels, status=str(status))
    count = sample(metrics, "openforge_http_request_duration_seconds_count", **labels)
    assert (total, count) == (1, 1)


def test_unknown_methods_are_counted_together(client, metrics):
    """A client cannot fill the memory with names of methods."""
    for method in ("BREW", "WHEN"):
        client.request(method, "/nowhere")
    labels = {"method": "OTHER", "route": "unmatched", "status": "404"}
    assert sample(metrics, "openforge_http_requests_total", **labels) == 2
    assert b"BREW" not in metrics.render(Work({}, {}))[0]


def test_all_metrics_are_there_for_prometheus(metrics):
    """Under these names, in a registry of their own."""
    work = Work({"queued": 3, "running": 2, "passed": 1}, {"delivered": 1})
    text, media_type = metrics.render(work)
    for line in (
        "openforge_websockets 0.0",
        "openforge_jobs_submitted_total 6.0",
        'openforge_jobs_finished_total{status="passed"} 1.0',
        "openforge_queue_depth 3.0",
        "openforge_jobs_running 2.0",
        'openforge_webhook_deliveries_total{outcome="delivered"} 1.0',
    ):
        assert line in text.decode().splitlines()
    assert media_type.startswith("text/plain; version=0.0.4")
    assert b"passed" not in Metrics().render(Work({}, {}))[0]


def test_an_open_websocket_is_counted_until_it_fails(client, lines, metrics):
    """The gauge goes up and down, the failure is logged, the client gets 1011 and one line."""
    with client.websocket_connect("/socket/1?token=hidden") as socket:
        assert "openforge_websockets 1.0" in socket.receive_text()
        socket.send_text("go on")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1011
    assert sample(metrics, "openforge_websockets") == 0
    (line,) = requests(lines)
    assert (line["method"], line["path"], line["status"]) == ("WEBSOCKET", "/socket/1", 101)
    assert "hidden" not in json.dumps(lines())


def test_a_websocket_whose_client_leaves_is_no_error(client, lines, metrics):
    """Disconnecting is how WebSockets end."""
    with client.websocket_connect("/socket/1") as socket:
        socket.receive_text()
    assert sample(metrics, "openforge_websockets") == 0
    assert {line["level"] for line in lines()} == {"INFO"}


def test_a_websocket_that_fails_early_gets_the_same_error(client, metrics):
    """Before it is accepted, the answer is an ordinary 500."""
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/socket/early"),
    ):
        pass
    assert denied.value.status_code == 500
    assert denied.value.json()["error"]["code"] == "INTERNAL_ERROR"
    assert sample(metrics, "openforge_websockets") == 0


SERVER = """
import asyncio, logging, sys
import uvicorn, websockets
from fastapi import FastAPI, WebSocket
from api.log_lines import configure_logging
from api.metrics import Metrics, Work
from api.observe import ObserveMiddleware

app = FastAPI()

@app.get("/read")
def read():
    logging.getLogger("httpx").info("GET https://host/?token=hidden")
    logging.getLogger("openforge.x").debug("from the library")

@app.websocket("/socket")
async def socket(websocket: WebSocket):
    await websocket.accept()
    await websocket.close()

app.add_middleware(ObserveMiddleware, metrics=Metrics())

async def main():
    config = uvicorn.Config(app, port=0, ws="websockets-sansio",
        log_config=configure_logging("DEBUG"), access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with websockets.connect(f"ws://127.0.0.1:{port}/socket?token=hidden") as client:
        await client.wait_closed()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /read?token=hidden HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    await reader.read()
    writer.close()
    server.should_exit = True
    await task

asyncio.run(main())
"""


def test_a_real_server_logs_json_and_no_query():
    """Under uvicorn, with our own loggers at their most verbose."""
    done = subprocess.run(
        [sys.executable, "-c", SERVER], capture_output=True, text=True, check=True, timeout=30
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert "hidden" not in done.stderr + done.stdout
    asked = [(x["method"], x["path"], x["status"]) for x in lines if x["message"] == "request"]
    assert asked == [("WEBSOCKET", "/socket", 101), ("GET", "/read", 200)]
    assert any(x["message"].startswith("Uvicorn running") for x in lines)
    assert any(x["message"] == "from the library" and "request_id" in x for x in lines)
    assert not any("WebSocket" in x["message"] for x in lines)
