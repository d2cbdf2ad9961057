"""Hostile requests: none gets out of its project, half done, into a 500, or in others' way."""

import base64
import contextlib
import io
import json
import os
import resource
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from conftest import needs, needs_root
from service import start
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from api.app import create_app
from openforge import cli_service
from openforge.control import idempotency
from openforge.service.service import Service
from openforge.service.settings import ServiceSettings

pytestmark = pytest.mark.xdist_group("hostile")  # what they share takes long to make

YAML = b"project: {name: demo, top_module: m}\ndesign: {sources: [m.v]}\n"
VERILOG = b"module m(input a, output b); assign b = a; endmodule\n"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=XX"}
MB, IDLE_S, SLOW_S, MARGIN_S = 1 << 20, 2.0, 1.0, 6.0
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One service without tokens, with small limits, for all tests here."""
    env = {
        "OPENFORGE_IDLE_UPLOAD_S": str(IDLE_S),
        "OPENFORGE_SLOW_READER_S": str(SLOW_S),
        "OPENFORGE_HEARTBEAT_S": "0.5",
        "OPENFORGE_UPLOAD_MB": "2",
        "OPENFORGE_SUBMISSIONS_PER_HOUR": "1000",
    }
    with start(tmp_path_factory.mktemp("hostile") / "workspace", **env) as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    """A client of the service."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as found:
        yield found


@pytest.fixture(scope="module")
def project(client):
    """A project with files, for what must not change it."""
    return new_project(client)


@pytest.fixture(scope="module")
def job(client, project):
    """A job that has ended."""
    needs("verilator", "slang")
    return run(client, project)


@pytest.fixture
def endless(server, client, job):
    """The job as if it were running: its streams do not end. It has much to tell."""
    events = server.workspace / "runs" / job / "events.jsonl"
    kept = events.read_bytes()
    said = {"timestamp": "2026-01-15T10:30:00+00:00", "stage": "lint", "type": "log"}
    said |= {"level": "INFO", "message": "x" * 3900}
    with events.open("a") as file:
        file.writelines(json.dumps({**said, "seq": 10_000 + n}) + "\n" for n in range(4000))
    set_state(server, job, "running")
    yield job
    set_state(server, job, "done")
    events.write_bytes(kept)


def set_state(server, job_id, state):
    """Have the queue believe that the job is in another state."""
    with contextlib.closing(sqlite3.connect(server.workspace / "control.db", timeout=20)) as db:
        db.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, job_id))
        db.commit()


def new_project(client, **files):
    """A project with a design and `files`; returns its id."""
    name = f"p{time.monotonic_ns()}"
    made = client.post("/api/v1/projects", json={"name": name}).json()["id"]
    answer = upload(client, made, ("openforge.yaml", YAML), ("m.v", VERILOG), *files.items())
    assert answer.status_code == 200, answer.text
    return made


def upload(client, project_id, *files):
    """The answer to an upload."""
    parts = [("files[]", file) for file in files]
    return client.post(f"/api/v1/projects/{project_id}/upload", files=parts)


def upload_raw(client, project_id, content, headers=FORM):
    """The answer to a body that no client would make."""
    address = f"/api/v1/projects/{project_id}/upload"
    return client.post(address, content=content, headers=headers)


def part(header, body=b"x", end=b"--XX--\r\n"):
    """A multipart body of one part."""
    disposition = b'Content-Disposition: form-data; name="files[]"; '
    return b"--XX\r\n" + disposition + header + b"\r\n\r\n" + body + b"\r\n" + end


def run(client, project_id):
    """Run lint to its end; returns the job's id."""
    asked = client.post(f"/api/v1/projects/{project_id}/jobs", json={"stages": ["lint"]})
    assert asked.status_code == 202, asked.text
    return ended(client, asked.json()["job_id"])["job_id"]


def ended(client, job_id):
    """The job, when it has ended."""
    end = time.monotonic() + 60
    while (found := client.get(f"/api/v1/jobs/{job_id}").json())["status"] in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def raw(server, data, *, timeout_s=5.0):
    """All that the service says to these bytes, until it closes or says no more."""
    with connect(server, data) as connection:
        connection.settimeout(timeout_s)
        return drain(connection)


def connect(server, data, *, buffer_bytes=None):
    """A connection on which `data` was sent; one with a small buffer feels what is not read."""
    connection = socket.socket()
    if buffer_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(data if isinstance(data, bytes) else data.encode())
    return connection


def drain(connection, timeout_s=10.0):
    """What arrives until the end, or until nothing does, or for so long."""
    said, end = b"", time.monotonic() + timeout_s
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while time.monotonic() < end and (data := connection.recv(65536)):
            said += data
    return said


def get(path, *headers, host="localhost"):
    """A GET request as text."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", *headers)
    return "\r\n".join((*lines, "", ""))


def status(answer):
    """The status of a raw answer."""
    return int(answer.split(b" ", 2)[1])


def held(server, connections):
    """How many of these connections the service still holds."""
    mine = {connection.getsockname()[1] for connection in connections}
    there = psutil.Process(server.process.pid).net_connections(kind="tcp4")
    return sum(bool(c.raddr) and c.raddr.port in mine for c in there)


def until(condition, timeout_s):
    """Whether `condition` becomes true in time."""
    end = time.monotonic() + timeout_s
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def require_untouched(server, client, project_id):
    """The project has its two files, one revision, and nothing waits beside it."""
    found = client.get(f"/api/v1/projects/{project_id}/files").json()["files"]
    assert [file["name"] for file in found] == ["m.v", "openforge.yaml"]
    folder = server.workspace / "projects"
    assert until(lambda: not list((folder / ".incoming").iterdir()), MARGIN_S)
    assert len(list((folder / project_id).iterdir())) == 1


# Names and archives


def test_a_file_name_leads_nowhere(server, client, project):
    """Names that leave the folder, hide, or mean something to a shell or a page are refused."""
    names = ["../x", "/etc/x", "a/../../x", "..", "a//b", "a/", "./a", "a\\b", "a\x01b", "\u202ex"]
    names += ["a" * 200, "a/" * 20 + "x", "con", "NUL.v", ".hidden", "-rf", "a;b", "$(id)", "a'b"]
    names += [
        "<script>.v",
        "x.v.",
        "x.v ",
        "\ufeffx",
        "%2e%2e%2fx",
        "~x",
        "*",
        "a\x00b",
        "a/.git/x",
    ]
    for name in names:
        header = b'filename="' + name.encode() + b'"'
        answer = upload_raw(client, project, part(header))
        assert answer.status_code == 400, (name, answer.text)
        assert answer.text.isascii()
    require_untouched(server, client, project)


def zipped(*members):
    """A zip file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return target.getvalue()


def tarred(kind, name="x", data=b"", link="/etc/passwd"):
    """A tar file of one member."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, len(data)
        archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def test_an_archive_unpacks_in_its_place_or_not_at_all(server, client, project):
    """Ways out, links, devices, bombs, too many files and damaged archives leave nothing."""
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    regular = tarfile.REGTYPE
    for name, data in (
        ("out.zip", zipped(("../x", b"x"))),
        ("root.zip", zipped(("/etc/x", b"x"))),
        ("link.zip", zipped((link, b"/etc/passwd"))),
        ("half.zip", zipped(("ok.v", b"x"), ("../x", b"x"))),
        ("case.zip", zipped(("a.v", b"x"), ("A.v", b"x"))),
        ("bomb.zip", zipped(("b", bytes(50 * MB)))),
        ("many.zip", zipped(*((f"f{n}", b"") for n in range(5001)))),
        ("symlink.tgz", tarred(tarfile.SYMTYPE)),
        ("hardlink.tgz", tarred(tarfile.LNKTYPE)),
        ("device.tgz", tarred(tarfile.CHRTYPE)),
        ("fifo.tgz", tarred(tarfile.FIFOTYPE)),
        ("out.tgz", tarred(regular, "../x", b"x")),
        ("bomb.tar.gz", tarred(regular, "x", bytes(50 * MB))),
        ("short.tgz", tarred(regular, "x", os.urandom(9000))[:4000]),
        ("fake.zip", b"PK\3\4" + b"a" * 100),
    ):
        answer = upload(client, project, (name, data))
        assert answer.status_code == 400, (name, answer.text)
    require_untouched(server, client, project)


def test_a_path_in_the_address_is_looked_up_never_joined(server, project, job):
    """Dots, slashes, NUL and the like, encoded once or twice, find nothing."""
    names = ["..%2fm.v", "%2e%2e/m.v", "%252e%252e/m.v", "../../control.db", "m.v%00", "%ff"]
    names += ["%2fetc%2fpasswd", "..%2f..%2f..%2fcontrol.db", "m.v%0d%0aX:1", "m.v/", "a" * 1001]
    for folder in (f"projects/{project}/files", f"jobs/{job}/artifacts"):
        for name in names:
            answer = raw(server, get(f"/api/v1/{folder}/{name}", "Connection: close"))
            assert status(answer) in (400, 404), (folder, name)
            assert b"root:" not in answer
    for id_ in ("a%00b", "a%0ab", "%ed%a0%80", "..%2f..", "a" * 20_000, "%3Cscript%3E", "'--"):
        for kind in ("projects", "jobs", "webhooks"):
            answer = raw(server, get(f"/api/v1/{kind}/{id_}", "Connection: close"))
            assert status(answer) in (400, 404), (kind, id_)


def test_a_report_template_is_looked_up_never_joined(client, job):
    """Only the operator's own templates can be named."""
    for name in ("../control.db", "/etc/passwd", "..", "", "a\x00b", "<script>", "a" * 300):
        answer = client.post(f"/api/v1/jobs/{job}/reports", json={"template": name})
        assert answer.status_code == 400, (name, answer.text)
        assert answer.json()["error"]["details"]["field"] == "template"


# Bodies


def test_an_upload_of_the_limit_is_taken_and_one_byte_more_is_not(server, client):
    """The limit counts, however the body says its size, and what is refused leaves nothing."""
    own = new_project(client)
    too_large = (400, 413)
    assert upload(client, own, ("more.bin", bytes(2 * MB + 1))).status_code in too_large
    assert upload(client, own, ("a.bin", bytes(MB)), ("b.bin", bytes(MB + 1))).is_error
    start_ = b'--XX\r\nContent-Disposition: form-data; name="files[]"; filename="c.bin"\r\n\r\n'

    def chunks(number):
        yield start_
        yield from (bytes(MB) for _ in range(number))
        yield b"\r\n--XX--\r\n"

    with contextlib.suppress(httpx.WriteError, httpx.ReadError):  # it was cut off: as good
        assert upload_raw(client, own, chunks(5)).status_code == 413
    require_untouched(server, client, own)
    assert upload(client, own, ("all.bin", bytes(2 * MB))).status_code == 200
    assert upload_raw(client, own, chunks(1)).status_code == 200


def test_a_length_that_lies_leaves_nothing(server, client, project):
    """Fewer bytes than were announced, or more."""
    body = part(b'filename="lie.v"', b"x" * 1000)
    head = f"POST /api/v1/projects/{project}/upload HTTP/1.1\r\nHost: localhost\r\n"
    head += "Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: "
    for announced in (len(body) + 100, len(body) - 50):
        with connect(server, f"{head}{announced}\r\n\r\n".encode() + body) as connection:
            connection.shutdown(socket.SHUT_WR)
            drain(connection)
    require_untouched(server, client, project)


def test_a_body_that_stalls_is_ended(server, client, project):
    """An upload, and JSON, of which nothing more arrives."""
    for path, kind, begun in (
        (f"projects/{project}/upload", "multipart/form-data; boundary=XX", "--XX\r\n"),
        ("projects", "application/json", "{"),
    ):
        head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        began = time.monotonic()
        answer = raw(server, f"{head}Connection: close\r\nContent-Length: 1000\r\n\r\n{begun}")
        assert status(answer) == 400
        assert IDLE_S - 0.5 < time.monotonic() - began < IDLE_S + MARGIN_S
    require_untouched(server, client, project)


def test_a_multipart_body_is_plain_or_refused(server, client, project):
    """No boundary, no end, odd charsets, large headers, too many parts, foreign fields."""
    file = part(b'filename="x.v"')
    kind = "multipart/form-data; boundary=XX"
    many = b"".join(part(b'filename="f%d.v"' % n, b"", b"") for n in range(5001))
    cases = [
        ("multipart/form-data", file),
        ("multipart/form-data; boundary=", file),
        ("multipart/form-data; boundary=" + "a" * 5000, file),
        (f"{kind}; charset=undefined", part(b'filename="\xff.v"')),
        (f"{kind}; charset=punycode", part(b'filename="a-b."')),
        (kind, b""),
        (kind, b"garbage"),
        (kind, part(b'filename="x.v"', end=b"")),
        (kind, part(b'filename="x.v"\r\nX: ' + b"a" * MB)),
        (kind, part(b'filename="x.v"' + b"".join(b"\r\nX%d: y" % n for n in range(9999)))),
        (kind, many + b"--XX--\r\n"),
        (kind, part(b'filename=""')),
        (kind, part(b"filename*=UTF-8''..%2fx.v")),
        (kind, part(b'x="y"')),
        (kind, file.replace(b"files[]", b"<b>")),
        (kind, part(b'filename="A.v"', end=b"") + part(b'filename="a.v"')),
        (kind, part(b'filename="q"', end=b"") + part(b'filename="q/x.v"')),
        (kind, part(b'filename="m.v/x.v"')),
    ]
    for header, body in cases:
        answer = upload_raw(client, project, body, {"Content-Type": header})
        assert answer.status_code == 400, (header[:60], body[:90], answer.text)
    require_untouched(server, client, project)


def test_a_project_file_is_plain_and_small_or_refused(server, client, project):
    """Tags, bombs, depth, odd escapes, repeats, and numbers that are none."""
    bomb = b"a: &a [x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
    )
    for text in (
        b"project: !!python/object/apply:os.system [id]",
        bomb,
        b"a: &a [*a]",
        b"[" * 100_000,
        b"{a: " * 100_000,
        b"project: 1\nproject: 2",
        b"a: " + b"9" * 5000,
        b"a: 1e999",
        b'a: "\\UFFFFFFFF"',
        b'project: {name: a, top_module: m, description: "\\ud800"}\ndesign: {sources: [m.v]}',
        b"project: {name: <b>, top_module: m}\ndesign: {sources: [m.v]}",
        b"project: {name: a, top_module: m}\ndesign: {sources: [../x.v]}",
        b"%YAML 9.9\n---\na: 1",
        b"a: \0",
        b"\xff\xfe",
        b"#" * MB + b"#",
        b"",
    ):
        answer = upload(client, project, ("openforge.yaml", text))
        assert answer.status_code == 400, (text[:60], answer.text)
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    require_untouched(server, client, project)


def test_json_is_plain_or_refused(client):
    """Depth, numbers that are none, lone surrogates, other encodings, other types, size."""
    for body in (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"name": NaN}',
        b'{"name": 1e400}',
        b'{"name": "\\ud800"}',
        b'{"name": "ok-1", "\\ud800": 1}',
        b'{"name": "ok-2", "description": "\\ud800"}',
        b'{"name": "\xff"}',
        b'{"name": "a\\nb"}',
        b'{"name": "<b>"}',
        b'{"name": "ok-3", "owner": "root"}',
        b'{"name": "ok-4", "top_module": "a;b"}',
        b"null",
        b"[]",
        b"",
    ):
        answer = client.post("/api/v1/projects", content=body, headers=JSON)
        assert answer.status_code == 400, (body[:60], answer.text)
    large = b'{"name": "' + b"a" * MB + b'"}'
    assert client.post("/api/v1/projects", content=large, headers=JSON).status_code == 413
    pieces = (bytes(65536) for _ in range(40))
    assert client.post("/api/v1/projects", content=pieces, headers=JSON).status_code == 413
    assert client.post("/api/v1/projects", content=b"a", headers={}).status_code == 415


def test_overrides_are_values_of_known_fields(client, project):
    """No code, no way out of the project, nothing that is no value, nothing unknown."""
    path = f"/api/v1/projects/{project}/jobs"
    for name, value in (
        ("__import__('os').system('id')", "1"),
        ("project.__class__", "1"),
        ("x = 1; import os", "1"),
        ("", "1"),
        (".", "1"),
        ("a" * 100_000, "1"),
        ("\\ud800", "1"),
        ("design.defines.\\ud800", '"x"'),
        ("project.description", '"\\ud800"'),
        ("design.defines.A;B", '"x"'),
        ("design.defines.A", '"x\\ny"'),
        ("verification.simulation.plusargs.A", '"x\\u0000"'),
        ("design.sources", '["/etc/passwd"]'),
        ("design.sources", '["../../control.db"]'),
        ("design.includes", '["/etc"]'),
        ("verification.lint.tools", '["verilator; id"]'),
        ("verification.formal.engines", '["smtbmc z3; id"]'),
        ("verification.formal.depth", "NaN"),
        ("verification.formal.depth", "1e400"),
        ("verification.formal.depth", "9" * 4000),
        ("verification.lint.tools", "[" * 300 + "]" * 300),
        ("project", "null"),
    ):
        body = f'{{"stages": ["lint"], "config_overrides": {{"{name}": {value}}}}}'
        answer = client.post(path, content=body, headers=JSON)
        assert answer.status_code == 400, (name[:60], value[:60], answer.text[:300])
    many = {f"x{n}": 1 for n in range(201)}
    assert client.post(path, json={"config_overrides": many}).status_code == 400


# HTTP


def test_foreign_hosts_and_origins_are_refused(server, client, project):
    """A name that points here, a page elsewhere, a form, and origins made to look like ours."""
    here = f"127.0.0.1:{server.port}"
    for host in ("evil.example", "127.0.0.1.evil.example", f"{here}@evil.example", "0.0.0.0"):
        assert status(raw(server, get("/api/v1/projects", "Connection: close", host=host))) == 403
    origins = ["null", "http://evil.example", f"http://{here}@evil.example", f"http://{here}.evil"]
    origins += [f"http://evil@{here}", "http://127.0.0.1", "", "http://[", "http://[::1", "\xff"]
    for origin in origins:
        headers = {"Origin": origin.encode("latin-1")}
        answer = client.post("/api/v1/projects", json={"name": "x"}, headers=headers)
        assert answer.status_code == 403, (origin, answer.text)
        assert client.delete(f"/api/v1/projects/{project}", headers=headers).status_code == 403
        form = {"files[]": ("x.v", b"x")}
        answer = client.post(f"/api/v1/projects/{project}/upload", files=form, headers=headers)
        assert answer.status_code == 403, origin
        ask = get("/api/v1/jobs/job_1/stream", f"Origin: {origin}")[:-2] + UPGRADE + "\r\n"
        assert status(raw(server, ask.encode("latin-1"))) == 403, origin
    plain = {"Content-Type": "text/plain"}
    assert client.post("/api/v1/projects", content=b"{}", headers=plain).status_code == 415
    require_untouched(server, client, project)


def test_a_request_is_one_request(server):
    """What two servers could read differently is refused, and nothing after it is answered."""
    head = "POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    second = get("/metrics")
    for lengths in (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
    ):
        answer = raw(server, f"{head}{lengths}\r\n0\r\n\r\n{second}", timeout_s=2.0)
        assert status(answer) in (400, 413), lengths
        assert answer.count(b"HTTP/1.1 ") == 1, lengths


def test_odd_requests_get_an_answer(server):
    """No Host, absolute targets, other methods and versions, floods of headers: never a 500."""
    close = "Connection: close"
    flood = [f"X{n}: y" for n in range(5000)]
    for request in (
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        get("http://evil.example/", close),
        get("//evil.example/..", close),
        get("/docs/assets/../../../../etc/passwd", close),
        get("/docs/assets/%2e%2e/%2e%2e/x%00", close),
        get("/" + "a" * 60_000, close),
        get("/api/v1/health", close, *flood),
        get("/api/v1/health", close, "X: " + "a" * 100_000),
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "CONNECT evil:443 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        answer = raw(server, request)
        assert 200 <= status(answer) < 500, request[:60]
        assert b"root:" not in answer


def test_headers_that_never_end_are_ended(server):
    """One more header every moment does not keep a connection."""
    with connect(server, "GET / HTTP/1.1\r\nHost: localhost\r\n") as connection:
        connection.settimeout(0.2)
        end, closed = time.monotonic() + IDLE_S + MARGIN_S, False
        while not closed and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                try:
                    connection.sendall(b"X: y\r\n")
                    closed = not connection.recv(4096)
                except ConnectionError:
                    closed = True
        assert closed


def test_connections_that_say_nothing_do_not_stop_the_service(tmp_path):
    """More than there are file descriptors: others are answered, and the log stays small."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    try:
        found = start(tmp_path / "workspace", OPENFORGE_IDLE_UPLOAD_S=str(IDLE_S))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with found, contextlib.ExitStack() as stack:
        limits = psutil.Process(found.process.pid).rlimit(psutil.RLIMIT_NOFILE)
        for _ in range(min(limits[0], 2000) + 50):
            idle = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                idle.settimeout(0.5)
                idle.connect(("127.0.0.1", found.port))
        time.sleep(IDLE_S)
        answer = httpx.get(f"{found.url}/api/v1/health", timeout=MARGIN_S, trust_env=False)
        assert answer.status_code == 200
        assert found.log.stat().st_size < 200_000


def test_an_upgrade_that_is_none_is_ended(server):
    """A WebSocket request with a body, or with headers too large for one, holds no connection."""
    path = "/api/v1/jobs/job_1/stream"
    for extra in ("Content-Length: 5\r\n", f"X: {'a' * 20_000}\r\n"):
        with connect(server, get(path)[:-2] + UPGRADE + extra + "\r\n") as connection:
            assert until(lambda c=connection: not held(server, [c]), IDLE_S + MARGIN_S), extra[:20]


def test_html_is_data_everywhere(client, job):
    """Errors are JSON, files are saved and not shown, and the pages run no foreign script."""
    evil = "<script>alert(1)</script>"
    answer = client.get(f"/api/v1/jobs?status={evil}")
    assert answer.headers["content-type"] == "application/json"
    made = client.post("/api/v1/projects", json={"name": "html", "description": evil}).json()
    assert made["description"] == evil
    report = client.post(f"/api/v1/jobs/{job}/reports", json={})
    for found in (report, client.get(f"/api/v1/jobs/{job}/artifacts/report.html")):
        assert found.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in found.headers["content-security-policy"]
        assert found.headers["x-content-type-options"] == "nosniff"
    for page in ("/docs", "/redoc"):
        policy = client.get(page).headers["content-security-policy"]
        scripts = next(rule for rule in policy.split("; ") if rule.startswith("script-src"))
        assert "unsafe" not in scripts
        assert "*" not in scripts


def test_a_range_is_one_part_or_ignored(client, project):
    """Many parts, numbers without end, backwards, empty and negative ones."""
    path, size = f"/api/v1/projects/{project}/files/m.v", len(VERILOG)
    for asked, wanted, length in (
        ("bytes=0-0", 206, 1),
        ("bytes=-1", 206, 1),
        ("bytes=0-" + "9" * 100, 206, size),
        ("bytes=-" + "9" * 100, 206, size),
        ("bytes=" + "9" * 100 + "-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-2", 416, None),
        ("bytes=0-0,1-1", 200, size),
        ("bytes=" + ",".join(["0-0"] * 5000), 200, size),
        ("bytes=a-b", 200, size),
        ("bytes=-", 200, size),
        ("lines=0-1", 200, size),
    ):
        answer = client.get(path, headers={"Range": asked})
        assert answer.status_code == wanted, asked[:40]
        assert length in (None, len(answer.content))
    tag = client.get(path).headers["etag"]
    for known in (tag, f"W/{tag}", "*", f'"x", {tag}'):
        assert client.get(path, headers={"If-None-Match": known}).status_code == 304
    old = {"Range": "bytes=0-0", "If-Range": '"x"'}
    assert client.get(path, headers=old).status_code == 200


def test_a_download_that_is_broken_off_leaves_no_file_open(server, client, project):
    """Whenever the client goes away."""
    own = new_project(client)
    assert upload(client, own, ("large.bin", os.urandom(2 * MB))).status_code == 200
    for n in range(150):
        connection = connect(server, get(f"/api/v1/projects/{own}/files/large.bin"))
        reset = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        time.sleep(0.002 * (n % 7))
        connection.close()
    process = psutil.Process(server.process.pid)
    assert until(lambda: all("large.bin" not in f.path for f in process.open_files()), MARGIN_S)


# Streams


def frame(opcode, data=b"", *, fin=True):
    """A masked WebSocket frame (mask 0)."""
    head = bytes([(fin << 7) | opcode])
    if len(data) < 126:
        head += bytes([0x80 | len(data)])
    elif len(data) < 65536:
        head += b"\xfe" + struct.pack("!H", len(data))
    else:
        head += b"\xff" + struct.pack("!Q", len(data))
    return head + bytes(4) + data


def stream(server, job_id, **options):
    """A raw connection that asked for the stream of a job."""
    return connect(server, get(f"/api/v1/jobs/{job_id}/stream")[:-2] + UPGRADE + "\r\n", **options)


def test_a_user_has_ten_streams_and_one_that_does_not_read_is_cut(server, client, endless):
    """The eleventh is 429; those that do not read lose theirs and their connection."""
    with contextlib.ExitStack() as stack:
        lazy = [stack.enter_context(stream(server, endless, buffer_bytes=4096)) for _ in range(10)]
        count = lambda: "\nopenforge_websockets 10.0" in client.get("/metrics").text  # noqa: E731
        assert until(count, MARGIN_S)
        eleventh = stack.enter_context(stream(server, endless))
        eleventh.settimeout(5)
        assert status(eleventh.recv(4096)) == 429
        before = psutil.Process(server.process.pid).memory_info().rss
        none = lambda: "\nopenforge_websockets 0.0" in client.get("/metrics").text  # noqa: E731
        assert until(none, SLOW_S + MARGIN_S)
        assert psutil.Process(server.process.pid).memory_info().rss - before < 100 * MB
        assert until(lambda: not held(server, lazy), SLOW_S + MARGIN_S)


def test_a_follower_that_does_not_read_is_cut(server, endless):
    """As with a WebSocket: NDJSON and server-sent events."""
    path = f"/api/v1/jobs/{endless}/logs?follow=true&tail=10000"
    with contextlib.ExitStack() as stack:
        lazy = [
            stack.enter_context(connect(server, get(path, accept), buffer_bytes=4096))
            for accept in ("Accept: */*", "Accept: text/event-stream")
        ]
        assert until(lambda: held(server, lazy) == 2, MARGIN_S)
        assert until(lambda: not held(server, lazy), SLOW_S + MARGIN_S)


def test_what_a_reader_says_is_bounded(server, client, endless):
    """Frames that are too large or broken close the stream; pings without end fill no memory."""
    process = psutil.Process(server.process.pid)
    for wrong, code in (
        (frame(1, bytes(70_000)), 1009),
        (b"\x81\xff" + struct.pack("!Q", 1 << 62) + bytes(4), 1009),
        (frame(1, bytes(40_000), fin=False) + frame(0, bytes(40_000)), 1009),
        (frame(9, bytes(200)), 1002),
        (b"\x81\x01x", 1002),
    ):
        with stream(server, endless) as connection:
            connection.settimeout(MARGIN_S)
            assert connection.recv(1).startswith(b"H")
            connection.sendall(wrong)
            said = drain(connection, MARGIN_S)
            assert struct.pack("!H", code) in said[-200:] or not held(server, [connection]), code
    before, pings = process.memory_info().rss, frame(9, bytes(125)) * 2000
    with stream(server, endless, buffer_bytes=4096) as connection:
        connection.settimeout(1.0)
        assert connection.recv(1)
        end = time.monotonic() + 4
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                connection.sendall(pings)
        assert process.memory_info().rss - before < 100 * MB
    assert client.get("/api/v1/health").status_code == 200


def test_a_place_in_a_stream_is_a_number_in_range(server, client, job):
    """``since`` that is negative, too large or no number opens nothing."""
    for since in ("-1", "x", "9" * 30, "1e3", str((1 << 53) + 1)):
        asked = get(f"/api/v1/jobs/{job}/stream?since={since}")[:-2] + UPGRADE + "\r\n"
        assert status(raw(server, asked)) in (400, 403), since
        assert client.get(f"/api/v1/jobs/{job}/logs?since={since}").status_code == 400
    last = {"Last-Event-ID": "9" * 20}
    assert client.get(f"/api/v1/jobs/{job}/logs", headers=last).json()["logs"] == []


# What happens at once


def test_uploads_at_once_lose_nothing(client):
    """Eight uploads to one project: all files are there."""
    own = new_project(client)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: upload(client, own, (f"f{n}.v", b"x" * 9000)), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert client.get(f"/api/v1/projects/{own}/files").json()["total"] == 10


def test_a_project_that_is_deleted_while_files_arrive_is_gone(server, client):
    """The uploads end as 404 or before it; no folder is left."""
    own = new_project(client)
    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(upload, client, own, (f"f{n}.v", bytes(MB))) for n in range(4)]
        assert client.delete(f"/api/v1/projects/{own}").status_code == 204
        assert {each.result().status_code for each in running} <= {200, 404}
    assert not (server.workspace / "projects" / own).exists()
    assert not list((server.workspace / "projects" / ".incoming").iterdir())
    assert client.get(f"/api/v1/projects/{own}").status_code == 404


def test_a_job_sees_its_files_and_one_whose_project_goes_is_cancelled(server, client):
    """Changed under it: it does not notice. Deleted: it ends; cancelling again is fine."""
    needs("verilator", "slang")
    own = new_project(client)
    path = f"/api/v1/projects/{own}/jobs"
    made = [client.post(path, json={"stages": ["lint"]}).json()["job_id"] for _ in range(6)]
    assert upload(client, own, ("m.v", b"module broken(")).status_code == 200
    assert ended(client, made[0])["status"] == "passed"
    seen = server.workspace / "runs" / made[0] / "project" / "m.v"
    assert seen.read_bytes() == VERILOG
    assert client.delete(f"/api/v1/projects/{own}").status_code == 204
    assert {ended(client, job_id)["status"] for job_id in made} <= {"passed", "cancelled"}
    for _ in range(2):
        assert client.post(f"/api/v1/jobs/{made[-1]}/cancel").status_code == 200
    assert client.post(f"/api/v1/jobs/{made[0]}/retry").status_code == 404


def test_a_key_makes_one_job(client, project):
    """Sixteen requests at once make one; another body is 409; odd keys are refused."""
    path, body = f"/api/v1/projects/{project}/jobs", {"stages": ["lint"]}
    key = {"Idempotency-Key": "one"}
    before = client.get(path).json()["total"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.post(path, json=body, headers=key), range(16)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({a.json()["job_id"] for a in answers if a.status_code == 202}) == 1
    assert client.get(path).json()["total"] == before + 1
    for other in ({"stages": ["formal"]}, {**body, "config_overrides": {}}):
        assert client.post(path, json=other, headers=key).status_code == 409
    for odd in ("a" * 256, "a b", "\x7f", "\xe9", ""):
        headers = {"Idempotency-Key": odd.encode("latin-1")}
        assert client.post(path, json=body, headers=headers).status_code == 400, odd
    for fine in ("a" * 255, '"x"', "../../x", "'; DROP TABLE jobs --".replace(" ", "")):
        answer = client.post(path, json={"stages": []}, headers={"Idempotency-Key": fine})
        assert answer.status_code == 400  # for the stages: the key is taken


def test_a_key_whose_answer_could_not_be_kept_is_not_lost(tmp_path, monkeypatch):
    """A disk that was full just then: the same request gets its answer later."""
    key, body = {"Idempotency-Key": "k"}, {"name": "once"}
    app = create_app(Service(tmp_path / "workspace", ServiceSettings()))
    with TestClient(app, base_url="http://localhost") as inside:
        with monkeypatch.context() as patch:
            patch.setattr(idempotency, "answer", disk_full)
            inside.post("/api/v1/projects", json=body, headers=key)
        again = inside.post("/api/v1/projects", json=body, headers=key)
        assert again.status_code == 201, again.text
        assert inside.get("/api/v1/projects").json()["total"] == 1


def disk_full(*_):
    """What SQLAlchemy says of a full disk."""
    raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))


def test_webhooks_go_to_public_addresses_only(client):
    """Private, loopback and metadata addresses in any spelling, other schemes, user names."""
    for url in (
        "http://example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://metadata.google.internal/",
        "https://user:password@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\r\nX: 1",
        "https://example.com:0/",
        "file:///etc/passwd",
        "https://",
    ):
        said = {"url": url, "events": ["job.failed"], "secret": "12345678"}
        answer = client.post("/api/v1/webhooks", json=said)
        assert answer.status_code == 400, url
        assert answer.json()["error"]["details"]["field"] == "url"


# The operator's side


def serve(folder, *options):
    """Start a service that is expected to refuse; exit code and what it says."""
    command = [sys.executable, "-m", "api", "--port", "0", *map(str, options)]
    done = subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


def test_what_cannot_be_served_is_said_in_a_line(server, tmp_path):
    """A workspace in use, a database that is none, settings that cannot be read: exit code 3."""
    for name in ("db", "env"):
        (tmp_path / name).mkdir()
    (tmp_path / "db" / "control.db").write_bytes(b"no database" * 100)
    (tmp_path / "env" / ".env").write_bytes(b"\xff\xfe\0")
    cases = (
        (tmp_path / "db", server.workspace, "another OpenForge service"),
        (tmp_path / "db", tmp_path / "db", "control database"),
        (tmp_path / "env", tmp_path / "w", ".env"),
    )
    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(lambda case: serve(case[0], "--workspace", case[1]), cases))
    for (_, workspace, said), (code, told) in zip(cases, ends, strict=True):
        assert code == 3, (workspace, told)
        assert said in told
        assert "Traceback" not in told


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB."""
    needs_root("mounting a file system")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(path):
    """Leave no room on the disk."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_full_disk_is_said_and_got_over(small_disk):
    """Reading goes on, also with a new token; changes are 503, whole or not at all."""
    workspace = small_disk / "workspace"
    env = {"OPENFORGE_AUTH_ENABLED": "true", "OPENFORGE_MIN_FREE_MB": "1"}
    env["OPENFORGE_CACHE"] = str(small_disk.parent / "cache")
    with start(workspace, **env) as server:
        new = cli_service.create_token(
            workspace, name="n", user="u", scopes=["read"], project=None, days=None
        )
        headers = {"X-API-Key": server.token}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
            own = new_project(client)
            large = [(f"f{n}.bin", os.urandom(9 * MB)) for n in range(3)]
            assert upload(client, own, *large).status_code == 503
            require_untouched(server, client, own)
            fill(small_disk / "filler")
            jobs = f"/api/v1/projects/{own}/jobs"
            for answer in (
                client.post("/api/v1/projects", json={"name": "full"}),
                client.post(jobs, json={"stages": ["lint"]}),
                client.put(f"/api/v1/projects/{own}", json={"description": "x" * 9000}),
                client.delete(f"/api/v1/projects/{own}/files/m.v"),
                upload(client, own, ("x.v", bytes(9000))),
            ):
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
            for key in (server.token, new):
                found = client.get("/api/v1/projects", headers={"X-API-Key": key})
                assert found.status_code == 200, found.text
            require_untouched(server, client, own)
            assert not list((workspace / "runs").iterdir())
            (small_disk / "filler").unlink()
            assert upload(client, own, ("x.v", b"x")).status_code == 200
            assert client.post(jobs, json={"stages": ["lint"]}).status_code == 202
    shutil.rmtree(workspace, ignore_errors=True)


def test_nothing_here_was_a_failure_of_the_service(server):
    """After all of this: no traceback in the log, and no 500."""
    log = server.log.read_text(encoding="utf-8", errors="replace")
    failed = [line for line in log.splitlines() if '"status": 500' in line or "Traceback" in line]
    assert not failed, failed[0][:1000]
