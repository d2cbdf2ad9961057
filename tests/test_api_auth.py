"""Who may do what: every route and every kind of token, and what tokens give away."""

import base64
import json
import os
import socket
import time
from collections import Counter

import httpx
import pytest
from conftest import needs
from service import start

from openforge import cli_service

YAML = b"project: {name: demo, top_module: m}\ndesign: {sources: [m.v]}\n"
VERILOG = b"module m(input a, output b); assign b = a; endmodule\n"
SECRET = "a-webhook-secret-to-look-for"
GUESSES = 200
FILLED = {"delivery_id": "", "token_id": ""}
BODIES = {
    ("put", "/api/v1/projects/{id}"): {"description": "changed"},
    ("post", "/api/v1/projects"): {"name": "another"},
    ("post", "/api/v1/projects/{id}/jobs"): {"stages": ["lint"]},
    ("post", "/api/v1/tokens"): {"name": "n", "user": "alice", "scopes": ["admin"]},
}
LOOKING = ("/reports", "/stream-ticket")  # POST, and yet no change
NOT_MEASURED = ("/results/coverage", "/results/crypto")


class World:
    """A service with two users, what they own, and a client for each kind of caller."""

    def __init__(self, server):
        self.server, self.tokens, self.clients = server, {"admin": server.token}, {}
        for name, user, scopes, days in (
            ("alice", "alice", ["submit"], None),
            ("read", "alice", ["read"], None),
            ("bob", "bob", ["submit"], None),
            ("expired", "alice", ["submit"], 1e-9),
            ("revoked", "alice", ["submit"], None),
            ("admin-read", "admin", ["read"], None),
        ):
            self.add(name, user, scopes, days=days)
        self.tokens |= {"none": None, "wrong": "of_wrong"}
        listed = self.client("admin").get("/api/v1/tokens").json()["tokens"]
        mine = next(t for t in listed if self.tokens["revoked"].startswith(t["prefix"]))
        assert self.client("admin").delete(f"/api/v1/tokens/{mine['token_id']}").status_code == 204
        alice = self.client("alice")
        self.project, self.other = (project(alice) for _ in range(2))
        self.bobs = project(self.client("bob"))
        self.add("bound", "alice", ["submit"], project=self.other)
        self.hook = register(alice, self.project).json()["webhook_id"]
        self.bobs_hook = register(self.client("bob")).json()["webhook_id"]
        self.delivery = alice.post(f"/api/v1/webhooks/{self.hook}/ping").json()["delivery_id"]
        made = alice.post(f"/api/v1/projects/{self.project}/jobs", json={"stages": ["lint"]})
        self.job = made.json()["job_id"]
        wait(alice, self.job)
        FILLED.update(delivery_id=self.delivery, token_id=mine["token_id"])

    def add(self, name, user, scopes, *, project=None, days=None):
        self.tokens[name] = cli_service.create_token(
            self.server.workspace, name=name, user=user, scopes=scopes, project=project, days=days
        )

    def client(self, name):
        """The client of a caller, which is closed at the end."""
        if name not in self.clients:
            self.clients[name] = self.new_client(name)
        return self.clients[name]

    def new_client(self, name, **options):
        token = self.tokens[name]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=self.server.url, headers=headers, timeout=30, trust_env=False, **options
        )

    def close(self):
        for client in self.clients.values():
            client.close()

    def address(self, path):
        """`path` with alice's things in it; a new kind of placeholder must be taught here."""
        owner = path.removeprefix("/api/v1/").partition("/")[0]
        ids = {"projects": self.project, "jobs": self.job, "webhooks": self.hook}
        name = "m.v" if "/files/" in path else "params.json"
        return path.format(id=ids.get(owner, ""), name=name, **FILLED)


def project(client):
    """A project with files; returns its id."""
    name = f"p{time.monotonic_ns()}"
    made = client.post("/api/v1/projects", json={"name": name}).json()["id"]
    files = [("files[]", ("openforge.yaml", YAML)), ("files[]", ("m.v", VERILOG))]
    assert client.post(f"/api/v1/projects/{made}/upload", files=files).status_code == 200
    return made


def register(client, project_id=None):
    """A webhook to a port where nobody listens."""
    events = ["job.queued", "job.completed", "job.failed"]
    said = {"url": "http://127.0.0.1:9/x", "events": events, "secret": SECRET}
    return client.post("/api/v1/webhooks", json={**said, "project_id": project_id})


def wait(client, job_id):
    """Wait for the end of a job."""
    end = time.monotonic() + 60
    while client.get(f"/api/v1/jobs/{job_id}").json()["status"] in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)


def upgrade(world, path, *headers, source="127.0.0.1"):
    """The status of an attempt to open a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *headers,
    )
    there, here = ("127.0.0.1", world.server.port), (source, 0)
    with socket.create_connection(there, timeout=10, source_address=here) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        return int(connection.recv(4096).split(b" ", 2)[1])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One service with tokens for all tests here."""
    needs("verilator", "slang")
    env = {
        "OPENFORGE_AUTH_ENABLED": "true",
        "OPENFORGE_WEBHOOK_PRIVATE": "true",
        "OPENFORGE_WEBHOOK_RETRIES_S": "0,3600",
        "OPENFORGE_FAILED_LOGINS_PER_MINUTE": str(GUESSES),
    }
    with start(tmp_path_factory.mktemp("auth") / "workspace", **env) as server:
        found = World(server)
        yield found
        found.close()


def routes(world):
    """Method and path of every operation that the service describes."""
    paths = world.client("admin").get("/openapi.json").json()["paths"]
    return [(method, path) for path, found in paths.items() for method in found]


def ask(world, name, method, path):
    """The answer that the caller `name` gets at a route, about what alice owns."""
    given = {}
    if body := BODIES.get((method, path)):
        given = {"json": body}
    elif path.endswith("/upload"):
        given = {"files": [("files[]", ("new.v", b"x"))]}
    elif (method, path) == ("post", "/api/v1/webhooks"):
        said = {"url": "http://127.0.0.1:9/x", "events": ["job.failed"], "secret": SECRET}
        given = {"json": {**said, "project_id": world.project}}
    return world.client(name).request(method, world.address(path), **given)


@pytest.mark.parametrize("name", ["none", "wrong", "expired", "revoked"])
def test_without_a_valid_token_only_health_answers(world, name):
    """Every other route says 401, and how to do better."""
    for method, path in routes(world):
        answer = ask(world, name, method, path)
        if path == "/api/v1/health":
            assert answer.status_code == 200
            continue
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "UNAUTHORIZED"


def test_a_reader_can_look_and_change_nothing(world):
    """The scope 'read' opens every GET but the tokens, and no other method."""
    for method, path in routes(world):
        answer = ask(world, "read", method, path)
        tokens = path.startswith("/api/v1/tokens")
        if tokens or (method != "get" and not path.endswith(LOOKING)):
            assert answer.status_code == 403, (method, path, answer.text)
        else:
            fine = (404,) if path.endswith(NOT_MEASURED) else (200, 201)
            assert answer.status_code in fine, (method, path, answer.text)


def test_another_user_learns_of_nothing(world):
    """What another user owns is not there: 404, in no list, and never in an answer."""
    for method, path in routes(world):
        answer = ask(world, "bob", method, path)
        hidden = "{id}" in path or (method, path) == ("post", "/api/v1/webhooks")
        wanted = (404,) if hidden else (403,) if "/tokens" in path else (200, 201)
        assert answer.status_code in wanted, (method, path, answer.text)
        if answer.status_code < 300:
            for owned in (world.project, world.other, world.job, world.hook, "alice"):
                assert owned not in answer.text, (method, path)


def test_a_token_of_one_project_opens_no_other(world):
    """403 for the owner's other projects, their jobs and webhooks; lists show its own only."""
    for method, path in routes(world):
        answer = ask(world, "bound", method, path)
        reading = method == "get" and "{" not in path and "/tokens" not in path
        assert answer.status_code == (200 if reading else 403), (method, path, answer.text)
        for owned in (world.project, world.job, world.hook):
            assert owned not in answer.text or not reading, (method, path)


def test_an_administrator_sees_all(world):
    """Every GET answers for what any user owns."""
    for method, path in routes(world):
        if method == "get":
            wanted = 404 if path.endswith(NOT_MEASURED) else 200
            assert ask(world, "admin", method, path).status_code == wanted, path


@pytest.mark.parametrize("query", ["project_id={0}", "project_id={0}&status=passed"])
def test_a_filter_reaches_no_foreign_project(world, query):
    """A list filtered by another user's project is 404, and 403 for a token of another one."""
    asked = f"/api/v1/jobs?{query.format(world.project)}"
    assert world.client("bob").get(asked).status_code == 404
    assert world.client("bound").get(asked).status_code == 403
    assert world.job in world.client("read").get(asked).text


def test_events_go_to_their_owner_only(world):
    """A webhook for all projects is told of its owner's jobs and of no other user's."""
    told = [
        world.client("admin").get(f"/api/v1/webhooks/{hook}/deliveries").json()["deliveries"]
        for hook in (world.hook, world.bobs_hook)
    ]
    assert world.job in {delivery["job_id"] for delivery in told[0]}
    assert world.job not in {delivery["job_id"] for delivery in told[1]}


def test_a_webhook_on_a_foreign_project_cannot_be_made(world):
    """Neither by another user nor with a token of another project."""
    assert register(world.client("bob"), world.project).status_code == 404
    assert register(world.client("bound"), world.project).status_code == 403
    assert register(world.client("bound")).status_code == 403


def test_an_answer_is_replayed_to_who_may_ask_only(world):
    """A key does not lend its token's rights: a reader gets no administrator's kept answer."""
    body = {"name": "n", "user": "admin", "scopes": ["admin"]}
    key = {"Idempotency-Key": "replayed-to-whom"}
    made = world.client("admin").post("/api/v1/tokens", json=body, headers=key)
    again = world.client("admin").post("/api/v1/tokens", json=body, headers=key)
    assert made.status_code == again.status_code == 201
    assert made.json() == again.json()
    other = world.client("admin-read").post("/api/v1/tokens", json=body, headers=key)
    assert other.status_code == 403
    assert made.json()["token"] not in other.text


def test_a_kept_answer_does_not_leave_its_project(world):
    """A token of another project gets 403 for a key with which the user submitted a job."""
    path, body = f"/api/v1/projects/{world.project}/jobs", {"stages": ["lint"]}
    key = {"Idempotency-Key": "not-for-the-bound"}
    made = world.client("alice").post(path, json=body, headers=key)
    assert made.status_code == 202
    assert world.client("bound").post(path, json=body, headers=key).status_code == 403
    assert world.client("bob").post(path, json=body, headers=key).status_code == 404


def test_a_refusal_is_not_kept(world):
    """A key that was tried with the wrong token can be used with the right one."""
    key, body = {"Idempotency-Key": "refused-first"}, {"name": "refused-first"}
    assert world.client("read").post("/api/v1/projects", json=body, headers=key).status_code == 403
    assert world.client("alice").post("/api/v1/projects", json=body, headers=key).status_code == 201


def test_two_users_with_one_key_get_an_answer_each(world):
    """Keys belong to their user."""
    key = {"Idempotency-Key": "the-same"}
    body = {"name": "the-same"}
    made = [
        world.client(name).post("/api/v1/projects", json=body, headers=key).json()["id"]
        for name in ("alice", "bob")
    ]
    assert made[0] != made[1]


def test_a_ticket_opens_one_stream_of_one_job_once(world):
    """It is asked for by who may see the job, used up by any attempt, and good for nobody else."""
    alice = world.client("alice")
    stream = f"/api/v1/jobs/{world.job}/stream"

    def ticket():
        return alice.post(f"/api/v1/jobs/{world.job}/stream-ticket").json()["ticket"]

    first, second = ticket(), ticket()
    assert upgrade(world, f"{stream}?ticket={first}") == 101
    assert upgrade(world, f"{stream}?ticket={first}") == 401
    assert upgrade(world, f"/api/v1/jobs/job_other/stream?ticket={second}") == 401
    assert upgrade(world, f"{stream}?ticket={second}") == 401
    assert upgrade(world, stream) == upgrade(world, f"{stream}?ticket=guess") == 401
    assert upgrade(world, stream, f"X-API-Key: {world.tokens['bob']}") == 404
    assert upgrade(world, stream, f"X-API-Key: {world.tokens['bound']}") == 403
    assert upgrade(world, stream, f"X-API-Key: {world.tokens['read']}") == 101
    for origin in ("null", "http://evil.example", "http://localhost@evil.example"):
        assert upgrade(world, f"{stream}?ticket={ticket()}", f"Origin: {origin}") == 403


def guesses(world, address, number=GUESSES + 5, **headers):
    """Statuses of wrong tokens from a loopback address."""
    transport = httpx.HTTPTransport(local_address=address)
    with world.new_client("none", transport=transport) as client:
        return Counter(
            client.get(
                "/api/v1/projects",
                headers={"X-API-Key": f"of_{n}", **{k: v.format(n) for k, v in headers.items()}},
            ).status_code
            for n in range(number)
        )


def test_guessing_is_slowed_down_and_harms_nobody(world):
    """429 after so many wrong tokens from an address; the right one still works from there."""
    assert guesses(world, "127.0.0.2") == {401: GUESSES, 429: 5}
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with world.new_client("alice", transport=transport) as client:
        assert client.get("/api/v1/projects").status_code == 200


def test_guessing_by_websocket_is_counted_too(world):
    """Wrong tokens on a stream count like any other."""
    path = "/api/v1/jobs/job_1/stream"
    told = [
        upgrade(world, path, f"X-API-Key: of_{n}", source="127.0.0.4") for n in range(GUESSES + 5)
    ]
    assert Counter(told) == {401: GUESSES, 429: 5}


def test_either_header_carries_a_token_and_no_other_scheme_does(world):
    """``Authorization: Bearer`` in any case, ``X-API-Key``; Basic is a wrong token."""
    token = world.tokens["read"]
    for headers, status in (
        ({"Authorization": f"bEaReR {token}"}, 200),
        ({"X-API-Key": token}, 200),
        ({"Authorization": f"Basic {token}"}, 401),
        ({"Authorization": token}, 401),
        ({"Authorization": "Bearer of_wrong", "X-API-Key": token}, 401),
        ({"X-API-Key": ""}, 401),
    ):
        answer = world.client("none").get("/api/v1/projects", headers=headers)
        assert answer.status_code == status, headers


def test_a_bad_token_is_not_made(world):
    """Unknown scopes, times out of range, foreign fields and odd names are refused."""
    good = {"name": "n", "user": "u", "scopes": ["read"]}
    for wrong in (
        {"expires_in_days": 0},
        {"expires_in_days": "NaN"},
        {"expires_in_days": 4000},
        {"scopes": ["root"]},
        {"scopes": []},
        {"user": "a\nb"},
        {"user": ""},
        {"project_id": "proj_none"},
        {"hash": "x"},
    ):
        answer = world.client("admin").post("/api/v1/tokens", json={**good, **wrong})
        assert answer.status_code in (400, 404), (wrong, answer.text)
    raw = json.dumps(good)[:-1] + ', "expires_in_days": 1e400}'
    headers = {"Content-Type": "application/json"}
    assert world.client("admin").post("/api/v1/tokens", content=raw, headers=headers).is_error


def test_a_revoked_token_stops_at_once(world):
    """Made, used, revoked, refused."""
    body = {"name": "short", "user": "carol", "scopes": ["read"], "expires_in_days": 1}
    admin = world.client("admin")
    made = admin.post("/api/v1/tokens", json=body).json()
    with httpx.Client(base_url=world.server.url, trust_env=False) as carol:
        carol.headers["X-API-Key"] = made["token"]
        assert carol.get("/api/v1/projects").json()["projects"] == []
        assert admin.delete(f"/api/v1/tokens/{made['token_id']}").status_code == 204
        assert carol.get("/api/v1/projects").status_code == 401
    assert made["token"] not in admin.get("/api/v1/tokens").text


def test_secrets_are_nowhere_in_clear(world):
    """No token and no webhook secret in an answer, the log, or any file of the workspace."""
    shown = world.client("admin").get("/api/v1/webhooks").text
    shown += world.client("admin").get("/api/v1/tokens").text
    hidden = [token[10:].encode() for token in world.tokens.values() if token and len(token) > 20]
    hidden += [SECRET.encode(), base64.b64encode(SECRET.encode())]
    files = [path for path in world.server.workspace.rglob("*") if path.is_file()]
    assert {"control.db", "service.log", "limits.db"} <= {path.name for path in files}
    for secret in hidden:
        assert secret.decode() not in shown
        for path in files:
            assert secret not in path.read_bytes(), path


def test_what_holds_secrets_is_for_the_owner_only(world):
    """Nobody else on the machine reads the key, the database or the limits."""
    for name in ("service.key", "control.db", "limits.db"):
        assert (world.server.workspace / name).stat().st_mode & 0o077 == 0, name


def test_guessing_is_counted_whatever_the_request_says(world):
    """A header that names another address is not believed, not even from this machine."""
    told = guesses(world, "127.0.0.1", **{"X-Forwarded-For": "10.0.0.{}"})
    assert told[429] >= 5
