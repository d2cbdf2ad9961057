"""Every error of the REST contract: its status, its code, its one format, and what it says."""

import errno

import pytest
from conftest import needs
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from api.app import create_app
from openforge.control import tokens
from openforge.control.database import Control, now
from openforge.control.records import Token
from openforge.service.files import ProjectFiles
from openforge.service.service import Service
from openforge.service.settings import ServiceSettings
from openforge.tools import locate

API = "/api/v1"
CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
    422: "TOOL_ERROR",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
JSON = {"Content-Type": "application/json"}
YAML = b"project: {name: tiny, top_module: tiny}\ndesign: {sources: [tiny.sv]}\n"
TINY = {"openforge.yaml": YAML, "tiny.sv": b"module tiny; endmodule\n"}
MB = 1 << 20


def client_of(workspace, **settings):
    """A client of an application in this process; nothing runs jobs, which no error needs."""
    app = create_app(Service(workspace, ServiceSettings(jobs_at_a_time=1, **settings)))
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def service_of(client):
    return client.app.state.service


def upload(client, project, files):
    parts = [("files[]", (name, data)) for name, data in files.items()]
    return client.post(f"{API}/projects/{project}/upload", files=parts)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client that needs no token, of a service that takes small uploads."""
    client = client_of(tmp_path_factory.mktemp("errors"), upload_mb=1)
    yield client
    service_of(client).close()


@pytest.fixture(scope="module")
def project(client):
    """A project with files, as its address."""
    found = client.post(f"{API}/projects", json={"name": "tiny"}).json()["id"]
    assert upload(client, found, TINY).status_code == 200
    return f"{API}/projects/{found}"


@pytest.fixture(scope="module")
def job(client, project):
    """A job that waits, as its address."""
    needs("verilator", "slang")
    return client.post(f"{project}/jobs", json={"stages": ["lint"]}).json()["url"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A client of a service that asks for tokens; `client.tokens` has some."""
    client = client_of(tmp_path_factory.mktemp("guarded"), auth_enabled=True)
    client.tokens = {scope: make_token(client, scope) for scope in ("read", "submit")}
    yield client
    service_of(client).close()


def make_token(client, scope):
    """A new token of the user that is called as the scope."""
    token = Token(
        id=f"tok_{scope}",
        prefix="",
        name=scope,
        user=scope,
        scopes=frozenset([scope]),
        project_id=None,
        created_at=now(),
        expires_at=None,
        last_used_at=None,
    )
    with service_of(client).control.write() as connection:
        secret = tokens.create(connection, token)
    return {"Authorization": f"Bearer {secret}"}


def error_of(response, status):
    """The error in `response`, which must have `status` and the contract's one format."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    for name in ("limit", "remaining", "reset"):
        assert response.headers[f"x-ratelimit-{name}"].isdigit()
    assert response.headers["x-request-id"]
    body = response.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["code"] == CODES[status]
    assert error["message"]
    assert isinstance(error["details"], dict)
    assert None not in error["details"].values()
    return error


def test_an_address_that_is_not_there(client):
    """404, in the one format, also outside the API."""
    for path in ("/nothing", f"{API}/nothing", f"{API}/projects/", f"{API}/jobs/x/y/z"):
        error = error_of(client.get(path), 404)
        assert "/docs" in error["message"]


@pytest.mark.parametrize(
    "path",
    [
        "projects/proj_none",
        "projects/proj_none/files",
        "projects/proj_none/jobs",
        "jobs/job_none",
        "jobs/job_none/logs",
        "jobs/job_none/results/crypto",
        "jobs/job_none/artifacts/trace.fst",
        "jobs?project_id=proj_none",
        "webhooks/wh_none",
        "webhooks/wh_none/deliveries",
        "projects/%00%ff",
    ],
)
def test_a_thing_that_is_not_there(client, path):
    """404 for every kind of thing, whatever its name is made of."""
    error_of(client.get(f"{API}/{path}"), 404)


@pytest.mark.parametrize("project", ["", "proj_none"])
def test_a_project_that_a_body_names(client, project):
    """404 for a token or a webhook of a project that is not there; no name is none, too."""
    hook = {"url": "https://example.com/", "events": ["job.failed"], "secret": "x" * 24}
    error_of(client.post(f"{API}/webhooks", json={**hook, "project_id": project}), 404)
    token = {"name": "n", "user": "u", "scopes": ["read"], "project_id": project}
    error_of(client.post(f"{API}/tokens", json=token), 404)


def test_a_file_that_is_not_there(client, project):
    """404 names the file."""
    error = error_of(client.get(f"{project}/files/nothing.sv"), 404)
    assert "'nothing.sv'" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/projects", "GET, POST"),
        ("POST", "/projects/proj_x", "DELETE, GET, PUT"),
        ("GET", "/projects/proj_x/upload", "POST"),
        ("OPTIONS", "/projects/proj_x/files/a/b.v", "DELETE, GET"),
        ("DELETE", "/jobs/job_x/results", "GET"),
        ("PUT", "/tokens", "GET, POST"),
    ],
)
def test_a_method_that_an_address_does_not_have(client, method, path, allowed):
    """405, and Allow has all methods of the address, of whichever route."""
    response = client.request(method, API + path)
    error_of(response, 405)
    assert response.headers["allow"] == allowed


def test_a_method_that_a_page_does_not_have(client):
    """405 beneath the pages of the documentation, too, says what there is."""
    response = client.post("/docs/assets/swagger-ui.css")
    error_of(response, 405)
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_kind(client, kind):
    """415 for a JSON route, which says what it takes and what it was given."""
    response = client.post(f"{API}/projects", content=b"{}", headers={"Content-Type": kind})
    error = error_of(response, 415)
    assert error["message"] == f"a body of type application/json is expected, found '{kind}'"


def test_an_upload_of_another_kind(client, project):
    """415 for JSON where files are expected."""
    error = error_of(client.post(f"{project}/upload", json={}), 415)
    assert "multipart/form-data" in error["message"]


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'{"name": }', b"[1,]"])
def test_a_body_that_is_no_json(client, body):
    """400 for what cannot be read as JSON, and for nothing."""
    response = client.post(f"{API}/projects", content=body, headers=JSON)
    assert error_of(response, 400)["details"] == {"field": "body"}


def test_a_field_that_is_not_known(client):
    """400 with the nearest field of that very request."""
    error = error_of(client.post(f"{API}/projects", json={"nmae": "x"}), 400)
    assert error == {
        "code": "VALIDATION_ERROR",
        "message": "Invalid body: unknown field 'nmae'",
        "details": {"field": "nmae", "suggestion": "name"},
    }
    error = error_of(client.post(f"{API}/projects", json={"name": "x", "secrets": 1}), 400)
    assert error["details"] == {"field": "secrets"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": 7}, "name"),
        ({"name": None}, "name"),
        ({"name": "two words"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({}, "name"),
        ({"name": "x", "top_module": ["a"]}, "top_module"),
        ({"name": "x", "description": True}, "description"),
        (["name"], "body"),
        (None, "body"),
    ],
)
def test_a_value_of_the_wrong_type(client, body, field):
    """400 names the field; nothing is converted."""
    error = error_of(client.post(f"{API}/projects", json=body), 400)
    assert error["details"] == {"field": field}
    assert error["message"].startswith("Invalid body: ")


def test_a_word_that_is_not_among_those_there_are(client):
    """400 suggests the nearest one."""
    body = {"name": "x", "target_pdk": "sky13"}
    error = error_of(client.post(f"{API}/projects", json=body), 400)
    assert error["details"] == {"field": "target_pdk", "suggestion": "sky130"}
    error = error_of(client.get(f"{API}/jobs?status=pased"), 400)
    assert error["details"] == {"field": "status", "suggestion": "passed"}


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=x", "per_page=101", "sort=colour", "status=old", f"name={'x' * 101}"],
)
def test_a_query_that_is_not_valid(client, query):
    """400 names the parameter."""
    error = error_of(client.get(f"{API}/projects?{query}"), 400)
    assert error["details"]["field"] == query.partition("=")[0]


def test_null_for_what_cannot_be_without(client, project):
    """400: a project without a name is none; what may be nothing can be set to nothing."""
    error = error_of(client.put(project, json={"name": None}), 400)
    assert error["details"] == {"field": "name"}
    assert client.put(project, json={"target_pdk": None}).json()["target_pdk"] is None


def test_a_project_file_with_a_field_that_is_not_known(client, project):
    """400 with the very error that the contract shows, and the place in the file."""
    files = {**TINY, "openforge.yaml": YAML + b"verification:\n  simlation: {}\n"}
    error = error_of(upload(client, project.rpartition("/")[2], files), 400)
    assert error == {
        "code": "VALIDATION_ERROR",
        "message": "Invalid openforge.yaml: unknown field 'simlation'",
        "details": {
            "field": "verification.simlation",
            "suggestion": "verification.simulation",
            "line": 4,
            "column": 3,
        },
    }


def test_a_project_file_with_several_problems(client, project):
    """400 tells the first one, and lists all."""
    files = {"openforge.yaml": YAML + b"verification:\n  simlation: {}\n  lnit: {}\n"}
    error = error_of(upload(client, project.rpartition("/")[2], files), 400)
    fields = [problem["field"] for problem in error["details"]["problems"]]
    assert fields == ["verification.simlation", "verification.lnit"]


def test_an_override_that_is_not_known(client, project):
    """400 names the dotted path and the nearest one."""
    body = {"stages": ["lint"], "config_overrides": {"verification.simlation.seed": 1}}
    error = error_of(client.post(f"{project}/jobs", json=body), 400)
    assert error["message"].startswith("Invalid config_overrides: ")
    assert error["details"]["suggestion"] == "verification.simulation.seed"


@pytest.mark.parametrize("name", ["../a.v", "/etc/passwd", "a\\b.v", "con.v", ".hidden"])
def test_a_file_name_that_is_not_taken(client, project, name):
    """400 for a name that leads out, or that some system misreads."""
    error_of(upload(client, project.rpartition("/")[2], {name: b""}), 400)


def test_another_field_of_the_form(client, project):
    """400 says which one is right."""
    response = client.post(f"{project}/upload", files=[("file", ("a.v", b""))])
    assert error_of(response, 400)["details"] == {"field": "file", "suggestion": "files[]"}


def test_a_webhook_to_a_private_address(client):
    """400 says why; this is not how to find out what there is behind the service."""
    body = {"url": "https://169.254.169.254/", "events": ["job.failed"], "secret": "x" * 24}
    error = error_of(client.post(f"{API}/webhooks", json=body), 400)
    assert error["details"] == {"field": "url"}
    assert "not public" in error["message"]


def test_an_idempotency_key_that_is_none(client):
    """400 for a key that a header cannot have."""
    response = client.post(f"{API}/projects", json={}, headers={"Idempotency-Key": "a b"})
    assert error_of(response, 400)["details"] == {"field": "Idempotency-Key"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"X-API-Key": "of_x"}])
def test_a_request_without_a_valid_token(guarded, headers):
    """401 says how to be known; one that is not needs no address to be there."""
    for path in ("/projects", "/jobs/job_none", "/webhooks", "/tokens"):
        response = guarded.get(API + path, headers=headers)
        error = error_of(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in error["message"]


def test_a_token_that_may_not(guarded):
    """403 names the scope that is needed."""
    response = guarded.post(f"{API}/projects", json={"name": "x"}, headers=guarded.tokens["read"])
    assert "'submit'" in error_of(response, 403)["message"]
    response = guarded.get(f"{API}/tokens", headers=guarded.tokens["submit"])
    assert "'admin'" in error_of(response, 403)["message"]


def test_another_users_project(guarded):
    """404: nobody learns that it is there."""
    made = guarded.post(f"{API}/projects", json={"name": "x"}, headers=guarded.tokens["submit"])
    response = guarded.get(made.json()["url"], headers=guarded.tokens["read"])
    error_of(response, 404)


def test_a_foreign_host_and_a_foreign_page(client):
    """403: without tokens, neither another name nor another site gets through."""
    error_of(client.get(f"{API}/projects", headers={"Host": "evil.example"}), 403)
    headers = {"Origin": "https://evil.example"}
    error_of(client.post(f"{API}/projects", json={"name": "x"}, headers=headers), 403)


def test_a_name_that_is_taken(client, project):
    """409 for a new project, and for a change of name."""
    error = error_of(client.post(f"{API}/projects", json={"name": "tiny"}), 409)
    assert "'tiny'" in error["message"]
    other = client.post(f"{API}/projects", json={"name": "other"}).json()["url"]
    error_of(client.put(other, json={"name": "tiny"}), 409)


def test_an_idempotency_key_for_another_request(client):
    """409: a key stands for one request."""
    key = {"Idempotency-Key": "once"}
    assert client.post(f"{API}/projects", json={"name": "one"}, headers=key).status_code == 201
    response = client.post(f"{API}/projects", json={"name": "two"}, headers=key)
    assert error_of(response, 409)["details"] == {"field": "Idempotency-Key"}


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large(client, announced):
    """413 for a byte more than 1 MB of JSON, said beforehand or not; 1 MB is read."""
    body = b'"' + b"x" * (MB - 1) + b'"'
    for size, status in ((MB, 400), (MB + 1, 413)):
        sent = body[-size:] if announced else iter([body[-size:-1], b'"'])
        response = client.post(f"{API}/projects", content=sent, headers=JSON)
        error = error_of(response, status)
    assert error["details"] == {"limit_bytes": MB}


def test_an_upload_that_is_too_large(client, project):
    """413 for more than an upload may have."""
    big = {"big.bin": b"\0" * (2 * MB + 1)}
    error = error_of(upload(client, project.rpartition("/")[2], big), 413)
    assert error["details"] == {"limit_bytes": MB}  # with what the form itself takes


def test_a_part_that_a_file_does_not_have(client, project):
    """416 says how long the file is."""
    response = client.get(f"{project}/files/tiny.sv", headers={"Range": "bytes=1000-"})
    error_of(response, 416)
    assert response.headers["content-range"] == f"bytes */{len(TINY['tiny.sv'])}"


def test_a_report_that_cannot_be_made(client, job):
    """422 for a template that a report cannot be made with; 400 for one that is not there."""
    folder = service_of(client).workspace.path / "templates"
    folder.mkdir()
    (folder / "broken.html").write_text("{{ nothing.of.that }}{% endif %}")
    error = error_of(client.post(f"{job}/reports", json={"template": "broken.html"}), 422)
    assert "broken.html" in error["message"]
    assert str(folder.parent) not in error["message"]
    error = error_of(client.post(f"{job}/reports", json={"template": "broken.htm"}), 400)
    assert error["details"] == {"field": "template", "suggestion": "broken.html"}


def test_a_stage_that_the_job_did_not_run(client, job):
    """400 for a report about it, 404 for its results."""
    error = error_of(client.post(f"{job}/reports", json={"include": ["formal"]}), 400)
    assert error["details"]["field"] == "include"
    for kind in ("crypto", "coverage"):
        error_of(client.get(f"{job}/results/{kind}"), 404)


def test_too_many_requests(tmp_path):
    """429 says which limit it was and when to ask again."""
    client = client_of(tmp_path, requests_per_minute=2, results_per_minute=1)
    for path, allowed in (("/projects", 2), ("/jobs/job_x/results", 1)):
        for _ in range(allowed):
            client.get(API + path)
        response = client.get(API + path)
        error = error_of(response, 429)
        assert error["details"]["policy"] == ("requests" if allowed == 2 else "results")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert response.headers["x-ratelimit-remaining"] == "0"
    service_of(client).close()


def test_too_many_jobs(tmp_path):
    """429 for the second job of an hour that allows one, of this project only."""
    needs("verilator", "slang")
    client = client_of(tmp_path, submissions_per_hour=1)
    for name in ("one", "two"):
        project = client.post(f"{API}/projects", json={"name": name}).json()["id"]
        upload(client, project, TINY)
        answers = [
            client.post(f"{API}/projects/{project}/jobs", json={"stages": ["lint"]})
            for _ in range(2)
        ]
        assert answers[0].status_code == 202
        error_of(answers[1], 429)
        assert int(answers[1].headers["retry-after"]) > 60
    service_of(client).close()


def test_a_queue_that_is_full(tmp_path):
    """503 says so, and when to ask again."""
    needs("verilator", "slang")
    client = client_of(tmp_path, queue_capacity=1)
    project = client.post(f"{API}/projects", json={"name": "one"}).json()["id"]
    upload(client, project, TINY)
    address, body = f"{API}/projects/{project}/jobs", {"stages": ["lint"]}
    assert client.post(address, json=body).status_code == 202
    response = client.post(address, json=body)
    assert "queue" in error_of(response, 503)["message"]
    assert int(response.headers["retry-after"]) > 0
    service_of(client).close()


def test_a_stage_whose_tool_is_missing(client, project, monkeypatch):
    """503 names the tool, and says how to get it."""
    monkeypatch.setattr(locate.Tool, "path", lambda self: None)
    for stage, tool in (("lint", "verilator"), ("formal", "slang")):
        response = client.post(f"{project}/jobs", json={"stages": [stage]})
        message = error_of(response, 503)["message"]
        assert f"'{tool}'" in message
        assert "get it with: pip install" in message
        assert response.headers["retry-after"]


@pytest.mark.parametrize(
    "reason",
    [OSError(errno.ENOSPC, "No space left"), OperationalError("insert", {}, Exception("locked"))],
)
def test_a_disk_without_room_and_a_database_that_is_locked(client, project, monkeypatch, reason):
    """503: it is nobody's mistake, and may be over soon."""

    def fail(*_):
        raise reason

    monkeypatch.setattr(ProjectFiles, "entries", fail)
    response = client.get(f"{project}/files")
    message = error_of(response, 503)["message"]
    assert "insert" not in message
    assert response.headers["retry-after"]


def test_a_failure_of_the_service(client, project, monkeypatch):
    """500 tells nothing but the request's id, under which the log has the rest."""

    def fail(*_):
        raise RuntimeError("a secret reason")

    monkeypatch.setattr(Control, "read", fail)
    response = client.get(project, headers={"X-Request-ID": "mine"})
    error = error_of(response, 500)
    assert error["details"] == {"request_id": "mine"}
    assert response.headers["x-request-id"] == "mine"
    for leaked in ("secret", "Traceback", "RuntimeError", ".py"):
        assert leaked not in response.text


@pytest.mark.parametrize("name", ["\x1b[31mred", "\u202egnp.exe", "\ud800", "x" * 5000])
def test_words_of_strangers_are_safe_to_show(client, name):
    """A message has neither control characters nor what reorders text, and is not endless."""
    text = '{"' + name.encode("unicode_escape").decode().replace("\\x", "\\u00") + '": 1}'
    response = client.post(f"{API}/projects", content=text.encode(), headers=JSON)
    message = error_of(response, 400)["message"]
    assert len(message) < 300
    assert not any(c < " " or c in "\u202e\ud800" for c in message)
