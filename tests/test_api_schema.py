"""The OpenAPI document: valid, complete, what the contract says, and what the service does."""

import re
import time
import tomllib
from pathlib import Path

import httpx
import jsonschema_rs
import pytest
import schemathesis
from conftest import needs
from fastapi.routing import iter_route_contexts
from openapi_spec_validator import validate
from schemathesis.engine import events, from_schema
from service import start

from api.app import create_app
from openforge.control.records import WebhookEvent
from openforge.service.service import Service
from openforge.service.settings import ServiceSettings

pytestmark = pytest.mark.xdist_group("schema")  # what they share takes long to make

ROOT = "/api/v1"
# The contract's reference text: every route, what it answers when all is well, and with which
# fields. What a download, a report and a 204 hold is no JSON.
CONTRACT = {
    ("post", "/projects"): (
        "201",
        "id name top_module target_pdk created_at status url",
    ),
    ("get", "/projects"): ("200", "projects total page per_page"),
    ("get", "/projects/{id}"): ("200", "id name"),
    ("put", "/projects/{id}"): ("200", "id name"),
    ("delete", "/projects/{id}"): ("204", ""),
    ("post", "/projects/{id}/upload"): ("200", "uploaded project_id files"),
    ("post", "/projects/{id}/jobs"): (
        "202",
        "job_id project_id status stages submitted_at estimated_duration url",
    ),
    ("get", "/jobs"): ("200", "jobs"),
    ("get", "/jobs/{id}"): ("200", "job_id status progress started_at"),
    ("post", "/jobs/{id}/cancel"): ("202", "job_id status"),
    ("get", "/jobs/{id}/logs"): ("200", "logs"),
    ("get", "/jobs/{id}/results"): ("200", "job_id overall_status stages"),
    ("get", "/jobs/{id}/results/crypto"): ("200", "job_id crypto"),
    ("get", "/jobs/{id}/results/coverage"): ("200", "job_id coverage"),
    ("get", "/jobs/{id}/artifacts/{name}"): ("200", ""),
    ("post", "/jobs/{id}/reports"): ("200", ""),
    ("post", "/webhooks"): ("201", "webhook_id url events active"),
    ("get", "/health"): ("200", "status tools"),
}
REQUESTS = {
    "/projects": {
        "name": "ntt-butterfly",
        "top_module": "ntt_butterfly",
        "target_pdk": "sky130",
        "description": "NTT butterfly unit for ML-KEM",
    },
    "/projects/{id}/jobs": {
        "stages": ["lint", "simulation", "formal", "crypto"],
        "config_overrides": {
            "verification.simulation.coverage": True,
            "verification.crypto_verification.side_channel.num_traces": 50000,
        },
    },
    "/jobs/{id}/reports": {
        "format": "html",
        "include": ["simulation", "formal", "crypto"],
        "template": None,
    },
    "/webhooks": {
        "url": "https://your-server.com/openforge-events",
        "events": ["job.completed", "job.failed"],
        "secret": "your-webhook-secret",
        "project_id": "proj_abc123",
    },
}
QUERIES = {
    "/projects": {"page", "per_page", "status", "sort"},
    "/jobs/{id}/logs": {"stage", "tail", "follow"},
}
LIMITED = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-ID")
TINY = {
    "openforge.yaml": "project: {name: tiny, top_module: tiny}\ndesign: {sources: [tiny.sv]}\n",
    "tiny.sv": "module tiny (input logic a, output logic y);\n  assign y = ~a;\nendmodule\n",
}


def make(workspace, **settings):
    """An application that is not started: its document needs no workers."""
    return create_app(Service(workspace, ServiceSettings(jobs_at_a_time=1, **settings)))


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = make(tmp_path_factory.mktemp("schema"))
    yield app
    app.state.service.close()


@pytest.fixture(scope="module")
def document(app):
    return app.openapi()


@pytest.fixture(scope="module")
def conforms(document):
    """Whether a value is what a schema of the document says."""

    def check(value, schema):
        whole = {**schema, "components": document["components"]}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)

    return check


def operations(document):
    """Method, path and operation of all."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def responses(document, operation):
    """Status and response, references followed."""
    for status, response in operation["responses"].items():
        name = response.get("$ref", "").rpartition("/")[2]
        yield status, document["components"]["responses"][name] if name else response


def header(document, response, name):
    """One header of a response, references followed; empty when there is none."""
    found = response.get("headers", {}).get(name, {})
    name = found.get("$ref", "").rpartition("/")[2]
    return document["components"]["headers"][name] if name else found


def bodies(document):
    """Where it stands, and content by media type, of all requests and responses."""
    for _, _, operation in operations(document):
        name = operation["operationId"]
        yield name, operation.get("requestBody", {}).get("content", {})
        for status, response in responses(document, operation):
            yield f"{name} {status}", response.get("content", {})
    for event, item in document["webhooks"].items():
        yield event, item["post"]["requestBody"]["content"]


def test_the_document_is_openapi_3_1(document):
    """The document holds to the specification, with every reference resolved."""
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_operations_are_named_and_described(document):
    """Names are unique and good for a generated client; nothing is left without words."""
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, operation in operations(document):
        (tag,) = operation["tags"]
        assert tag in tags
        assert re.fullmatch(rf"{tag}_[a-z_]+", operation["operationId"])
        assert operation["summary"] and operation["description"], (method, path)
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (path, parameter["name"])
        for status, response in responses(document, operation):
            assert response["description"] not in ("", "Successful Response"), (path, status)


def test_components_are_described(document):
    """Every schema says what it is, and every field of it what it means, or what type it has."""
    for name, shape in document["components"]["schemas"].items():
        assert shape.get("description"), name
        for field, said in shape.get("properties", {}).items():
            assert said.get("description") or "$ref" in said, (name, field)


def test_errors_have_one_shape(document):
    """Every operation says what can go wrong, and all that goes wrong looks the same."""
    for method, path, operation in operations(document):
        found = dict(responses(document, operation))
        expected = {"400", "403", "429", "500", "503"}
        expected |= {"401"} if operation["security"] else set()
        expected |= {"409", "413", "415"} if method in ("post", "put") else set()
        expected |= {"404"} if "{" in path else set()
        assert expected <= set(found), (method, path)
        assert ("422" in found) == path.endswith("/reports")
        for status in found:
            if status >= "400" and (path, status) != (f"{ROOT}/health", "503"):
                shape = found[status]["content"]["application/json"]["schema"]
                assert shape == {"$ref": "#/components/schemas/Error"}, (path, status)
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_responses_have_their_headers(document):
    """The rate limit is on every response; what a status needs besides is there as well."""
    needed = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
    for method, path, operation in operations(document):
        for status, response in responses(document, operation):
            for name in LIMITED:
                assert header(document, response, name)["required"], (method, path, status)
            if status in needed:
                assert header(document, response, needed[status]), (method, path, status)
    assert header(document, document["components"]["responses"]["Error405"], "Allow")


def test_all_examples_are_valid(document, conforms):
    """Every body has an example, and every example is what its schema says."""
    for name, content in bodies(document):
        assert all("example" in media for kind, media in content.items() if kind != "*/*"), name
        for media in content.values():
            if "example" in media:
                conforms(media["example"], media["schema"])
    for shape in document["components"]["schemas"].values():
        for shown in shape.get("examples", []):
            conforms(shown, shape)
    for named in document["components"]["headers"].values():
        conforms(named["example"], named["schema"])
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", []):
            for shown in parameter["schema"].get("examples", []):
                conforms(shown, parameter["schema"])


@pytest.mark.parametrize(("route", "said"), CONTRACT.items(), ids=" ".join)
def test_the_contracts_routes_are_there(document, route, said):
    """Each route of the reference text, with its status and the fields of its answer."""
    (method, path), (status, fields) = route, said
    operation = document["paths"][ROOT + path][method]
    assert status in operation["responses"]
    content = operation["responses"][status].get("content", {})
    if fields:
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        shape = document["components"]["schemas"][name]
        assert set(fields.split()) <= set(shape["required"])
    names = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
    assert names >= (QUERIES.get(path, set()) if method == "get" else set())


@pytest.mark.parametrize("path", REQUESTS)
def test_the_contracts_requests_are_valid(document, conforms, path):
    """What the reference text sends can be sent."""
    body = document["paths"][ROOT + path]["post"]["requestBody"]
    conforms(REQUESTS[path], body["content"]["application/json"]["schema"])


def test_uploads_are_multipart(document):
    """The contract's field of the form, and no other body."""
    content = document["paths"][f"{ROOT}/projects/{{id}}/upload"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    assert list(content["multipart/form-data"]["schema"]["properties"]) == ["files[]"]


def test_every_route_is_documented(app, document):
    """No route of the service is left out, and no other is there; the WebSocket is in the text."""
    shown = {(m.upper(), path) for m, path, _ in operations(document)}
    there = {
        (method, context.path_format)
        for context in iter_route_contexts(app.routes)
        if getattr(context, "include_in_schema", False)
        for method in context.methods or ()
    }
    assert shown == there
    assert f"{ROOT}/jobs/{{id}}/stream" in document["info"]["description"]
    for kind in ("log", "progress", "stage_complete", "job_complete"):
        assert f"`{kind}`" in document["info"]["description"]


def test_events_are_documented(document):
    """What webhooks are sent is there for each event, with the headers that sign it."""
    assert set(document["webhooks"]) == {event.value for event in WebhookEvent}
    for event, item in document["webhooks"].items():
        names = {parameter["name"] for parameter in item["post"]["parameters"]}
        assert names >= {"X-OpenForge-Signature", "webhook-id", "webhook-signature"}
        shown = item["post"]["requestBody"]["content"]["application/json"]["example"]
        assert shown["event"] == event


def test_links_lead_somewhere(document):
    """A link names an operation, gives it all that its address needs, and finds that."""
    named = {op["operationId"]: (path, op) for _, path, op in operations(document)}
    count = 0
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                path, target = named[link["operationId"]]
                needed = {p["name"] for p in target["parameters"] if p["in"] == "path"}
                assert set(link["parameters"]) == needed == set(re.findall(r"{(\w+)}", path))
                for source in link["parameters"].values():
                    if source != "$request.path.id":
                        example = response["content"]["application/json"]["example"]
                        assert isinstance(_at(example, source), str)
                count += 1
    assert count > 30


def _at(value, source):
    """What a runtime expression finds in an example."""
    for part in source.removeprefix("$response.body#/").split("/"):
        value = value[int(part)] if part.isdigit() else value[part]
    return value


def test_tokens_are_asked_for_where_they_are(document, tmp_path):
    """With tokens all operations but health need one of two kinds; without, none is needed."""
    app = make(tmp_path, auth_enabled=True)
    with_tokens = app.openapi()
    app.state.service.close()
    schemes = with_tokens["components"]["securitySchemes"]
    assert (schemes["bearer"]["scheme"], schemes["apiKey"]["name"]) == ("bearer", "X-API-Key")
    for method, path, operation in operations(with_tokens):
        needed = [] if path == f"{ROOT}/health" else [{"bearer": []}, {"apiKey": []}]
        assert operation["security"] == needed, (method, path)
    for _, path, operation in operations(document):
        assert path == f"{ROOT}/health" or {} in operation["security"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real service that asks for tokens, with all limits out of the way but the queue's."""
    needs("verilator", "slang")
    high = "100000000"
    with start(
        tmp_path_factory.mktemp("fuzzed"),
        OPENFORGE_AUTH_ENABLED="true",
        OPENFORGE_JOBS_AT_A_TIME="1",
        OPENFORGE_QUEUE_CAPACITY="2",
        OPENFORGE_REQUESTS_PER_MINUTE=high,
        OPENFORGE_RESULTS_PER_MINUTE=high,
        OPENFORGE_SUBMISSIONS_PER_HOUR=high,
        OPENFORGE_FAILED_LOGINS_PER_MINUTE=high,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    """A client that may do everything on the server."""
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.url + ROOT, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def prepared(client):
    """A project with files, a job that has ended, a webhook, the token in use: their ids."""
    project = client.post("/projects", json={"name": "tiny"}).json()["id"]
    files = [("files[]", (name, text.encode())) for name, text in TINY.items()]
    assert client.post(f"/projects/{project}/upload", files=files).status_code == 200
    job = client.post(f"/projects/{project}/jobs", json={"stages": ["lint"]}).json()["job_id"]
    end = time.monotonic() + 60
    while (status := client.get(f"/jobs/{job}").json()["status"]) in ("queued", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert status == "passed"
    hook = {"url": "https://example.com/", "events": ["job.failed"], "secret": "x" * 24}
    webhook = client.post("/webhooks", json=hook).json()["webhook_id"]
    (token,) = client.get("/tokens").json()["tokens"]
    return {"PROJECT": project, "JOB": job, "WEBHOOK": webhook, "TOKEN": token["token_id"]}


def test_reports_are_documented(client, prepared, document, conforms):
    """Each format of a report has its media type; one in JSON has the shape that is told."""
    said = document["paths"][f"{ROOT}/jobs/{{id}}/reports"]["post"]["responses"]["200"]["content"]
    found = {}
    for kind in ("html", "markdown", "json"):
        answer = client.post(f"/jobs/{prepared['JOB']}/reports", json={"format": kind})
        found[answer.headers["content-type"].partition(";")[0]] = answer
    assert set(found) == set(said)
    conforms(found["application/json"].json(), said["application/json"]["schema"])


def test_the_service_does_what_its_document_says(server, prepared, monkeypatch):
    """Schemathesis, with good and bad data: all operations, all checks, but a few, with reasons."""
    for name, value in prepared.items():
        monkeypatch.setenv(name, value)
    config = tomllib.loads(Path(__file__).with_name("schemathesis.toml").read_text())
    config["generation"]["max-examples"] = 4
    config["headers"] = {"Authorization": f"Bearer {server.token}"}
    config["hooks"] = str(Path(__file__).with_name("schemathesis_hooks.py"))
    schema = schemathesis.openapi.from_url(
        f"{server.url}/openapi.json", config=schemathesis.Config.from_dict(config)
    )
    failures, asked, checked, phases = [], set(), set(), {}
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                asked.add(event.label)
                for check in (c for made in event.recorder.checks.values() for c in made):
                    checked.add(check.name)
                    if check.failure_info:
                        told = check.failure_info
                        failures.append(f"{event.label}: {told.failure}\n{told.code_sample}")
            case events.PhaseFinished():
                phases[event.phase.name.value] = event.status.value
            case events.NonFatalError() | events.FatalError():
                failures.append(str(getattr(event, "exception", event)))
    assert not failures, "\n\n".join(failures)
    assert {f"{m.upper()} {p}" for m, p, _ in operations(schema.raw_schema)} <= asked
    assert {"examples", "coverage", "fuzzing", "stateful"} <= {
        name.lower() for name, status in phases.items() if status == "success"
    }
    assert checked >= {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "positive_data_acceptance",
        "unsupported_method",
        "allow_header_conformance",
        "use_after_free",
        "ensure_resource_availability",
        "ignored_auth",
    }
