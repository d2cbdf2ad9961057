"""The REST contract's whole story, told to a real server: once without, once with tokens."""

import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest
from conftest import needs
from receiver import receiving
from service import start
from standardwebhooks import Webhook
from websockets.sync.client import connect

from openforge import signature

pytestmark = pytest.mark.xdist_group("story")  # what they share takes long to make

PROJECT = Path(__file__).parents[1] / "templates" / "projects" / "minimal"
STAGES = ["lint", "simulation", "formal"]
SECRET = "your-webhook-secret"
LIMITS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture(scope="module", params=[False, True], ids=["open", "tokens"])
def told(request, tmp_path_factory):
    """A server, a client that may use it, and a receiver of webhooks; the story as far as it is."""
    needs("verilator", "c++", "z3")
    workspace = tmp_path_factory.mktemp("story")
    env = {"OPENFORGE_WEBHOOK_PRIVATE": "true"}
    if request.param:
        env["OPENFORGE_AUTH_ENABLED"] = "true"
    with start(workspace, **env) as server, receiving() as receiver:
        headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
        base = f"{server.url}/api/v1"
        with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
            yield _story(server, client, receiver, headers)


def _story(server, client, receiver, headers):
    """Create, upload, register, submit, follow to the end; every answer of it."""
    told = {"server": server, "client": client, "receiver": receiver}
    wanted = {
        "name": "ntt-butterfly",
        "top_module": "counter",
        "target_pdk": "sky130",
        "description": "NTT butterfly unit for ML-KEM",
    }
    told["created"] = client.post("/projects", json=wanted)
    project = told["created"].json()["id"]
    files = [
        ("files[]", (path.relative_to(PROJECT).as_posix(), path.read_bytes()))
        for path in sorted(PROJECT.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    told["uploaded"] = client.post(f"/projects/{project}/upload", files=files)
    told["webhook"] = client.post(
        "/webhooks",
        json={
            "url": receiver.url,
            "events": [
                "job.queued",
                "job.started",
                "job.completed",
                "job.failed",
                "stage.completed",
            ],
            "secret": SECRET,
            "project_id": project,
        },
    )
    told["submitted"] = client.post(
        f"/projects/{project}/jobs",
        json={
            "stages": STAGES,
            "config_overrides": {
                "verification.simulation.coverage": True,
                "verification.crypto_verification.side_channel.num_traces": 50000,
            },
        },
    )
    job = told["submitted"].json()["job_id"]
    told["waiting"] = client.get(f"/jobs/{job}")
    address = f"{server.url.replace('http', 'ws')}/api/v1/jobs/{job}/stream"
    with connect(address, additional_headers=headers) as socket:
        messages = [json.loads(message) for message in socket]
    told["messages"] = [m for m in messages if m["type"] != "heartbeat"]
    return told


def get(told, path, **options):
    """An answer about the job."""
    return told["client"].get(f"/jobs/{told['submitted'].json()['job_id']}{path}", **options)


def test_create_a_project(told):
    """201 and the shape of the reference."""
    answer, shape = told["created"], told["created"].json()
    assert answer.status_code == 201
    assert shape["id"].startswith("proj_")
    assert shape["status"] == "created"
    assert shape["url"] == f"/api/v1/projects/{shape['id']}" == answer.headers["location"]
    assert shape["created_at"].endswith("Z")
    again = told["client"].post("/projects", json={"name": "ntt-butterfly"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")


def test_list_get_and_update_projects(told):
    """Paging as in the reference; an update shows at once."""
    client, project = told["client"], told["created"].json()["id"]
    query = "?page=1&per_page=20&status=active&sort=updated_at"
    listed = client.get(f"/projects{query}").json()
    assert {k: listed[k] for k in ("total", "page", "per_page")} == {
        "total": 1,
        "page": 1,
        "per_page": 20,
    }
    assert listed["projects"][0]["id"] == project
    changed = client.put(f"/projects/{project}", json={"description": "pipelined"})
    assert changed.status_code == 200
    assert client.get(f"/projects/{project}").json()["description"] == "pipelined"


def test_upload(told):
    """200, the number and the names, sub-folders kept; the files can be listed and read again."""
    shape, client = told["uploaded"].json(), told["client"]
    assert told["uploaded"].status_code == 200
    assert shape["uploaded"] == len(shape["files"])
    assert {"openforge.yaml", "rtl/counter.sv", "tb/test_counter.py"} <= set(shape["files"])
    listed = client.get(f"/projects/{shape['project_id']}/files").json()
    assert {file["name"] for file in listed["files"]} == set(shape["files"])
    file = client.get(f"/projects/{shape['project_id']}/files/rtl/counter.sv")
    assert file.content == (PROJECT / "rtl" / "counter.sv").read_bytes()


def test_submit(told):
    """202 and the shape of the reference."""
    shape = told["submitted"].json()
    assert told["submitted"].status_code == 202
    assert shape["job_id"].startswith("job_")
    assert (shape["status"], shape["stages"]) == ("queued", STAGES)
    assert shape["url"] == f"/api/v1/jobs/{shape['job_id']}"
    assert shape["estimated_duration"] is None  # there was no such job yet


def test_status_and_progress(told):
    """Each stage has a status from the start, and a duration in the end."""
    assert set(told["waiting"].json()["progress"]) == set(STAGES)
    shape = get(told, "").json()
    assert (shape["status"], shape["attempt"]) == ("passed", 1)
    for stage in STAGES:
        assert shape["progress"][stage]["status"] == "passed"
        assert shape["progress"][stage]["duration"].endswith("s")
    assert shape["submitted_at"] <= shape["started_at"] <= shape["finished_at"]


def test_stream(told):
    """The four messages of the reference, in order, to the end; `since` goes on after a number."""
    messages = told["messages"]
    numbers = [message["seq"] for message in messages]
    assert numbers == sorted(set(numbers))
    kinds = {message["type"] for message in messages}
    assert kinds == {"log", "progress", "stage_complete", "job_complete"}
    assert messages[-1]["type"] == "job_complete"
    assert messages[-1]["status"] == "passed"
    ended = [m["stage"] for m in messages if m["type"] == "stage_complete"]
    assert sorted(ended) == sorted(STAGES)
    tests = [m for m in messages if "tests_total" in m]
    assert tests[-1]["tests_complete"] == tests[-1]["tests_total"] > 0
    job, client = told["submitted"].json()["job_id"], told["client"]
    ticket = client.post(f"/jobs/{job}/stream-ticket").json()["ticket"]
    address = f"{told['server'].url.replace('http', 'ws')}/api/v1/jobs/{job}/stream"
    with connect(f"{address}?since={numbers[-3]}&ticket={ticket}") as socket:
        assert [json.loads(m)["seq"] for m in socket] == numbers[-2:]


def test_logs(told):
    """The last lines, of a stage, or all of them followed to the end as NDJSON or SSE."""
    logs = get(told, "/logs?stage=simulation&tail=5&follow=false").json()["logs"]
    assert len(logs) == 5
    assert {line["stage"] for line in logs} == {"simulation"}
    assert {"timestamp", "stage", "level", "message"} <= set(logs[0])
    whole = [m["message"] for m in told["messages"] if m["type"] == "log"]
    lines = get(told, "/logs?follow=true&tail=10000").text.splitlines()
    assert [json.loads(line)["message"] for line in lines] == whole
    events = get(told, "/logs?follow=true", headers={"Accept": "text/event-stream"})
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.text.rstrip().endswith('event: end\ndata: {"status": "passed"}')
    last = str(told["messages"][-1]["seq"])
    sse = {"Accept": "text/event-stream", "Last-Event-ID": last}
    assert get(told, "/logs?follow=true", headers=sse).status_code == 204


def test_webhooks(told):
    """All events arrive, signed in both ways, and the log of deliveries says so."""
    receiver, hook = told["receiver"], told["webhook"].json()
    assert told["webhook"].status_code == 201
    assert SECRET not in told["webhook"].text
    bodies = receiver.wait(6)
    assert [b["event"] for b in bodies][:2] == ["job.queued", "job.started"]
    assert [b["event"] for b in bodies].count("stage.completed") == 3
    assert bodies[-1]["event"] == "job.completed"
    assert bodies[-1]["status"] == "passed"
    assert bodies[-1]["summary"]["tests_passed"] > 0
    assert bodies[-1]["summary"]["properties_proven"] > 0
    for headers, body in receiver.got:
        plain = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["x-openforge-signature"] == f"sha256={plain}"
        assert signature.verify(SECRET, headers, body)
        Webhook(signature.standard_key(SECRET)).verify(body, headers)
    log = told["client"].get(f"/webhooks/{hook['webhook_id']}/deliveries").json()
    assert log["total"] == 6
    assert {d["state"] for d in log["deliveries"]} == {"delivered"}
    assert log["deliveries"][0]["attempts"][0]["status_code"] == 204
    again = f"/webhooks/{hook['webhook_id']}/deliveries/{log['deliveries'][0]['delivery_id']}"
    assert told["client"].post(f"{again}/redeliver").status_code == 202
    receiver.wait(7)
    assert receiver.got[6][0]["webhook-id"] == log["deliveries"][0]["delivery_id"]
    assert told["client"].post(f"/webhooks/{hook['webhook_id']}/ping").status_code == 202
    assert receiver.wait(8)[7]["event"] == "ping"


def test_results(told):
    """The shape of the reference, with real numbers."""
    shape = get(told, "/results").json()
    assert shape["overall_status"] == "passed"
    stages = shape["stages"]
    assert stages["lint"] == {"status": "passed", "warnings": 0, "errors": 0}
    assert stages["simulation"]["tests_passed"] > 0
    assert stages["simulation"]["tests_failed"] == 0
    assert stages["simulation"]["coverage"]["line"] > 50
    assert stages["formal"]["properties_proven"] > 0
    assert stages["formal"]["properties_failed"] == 0
    assert get(told, "/results/crypto").status_code == 404


def test_coverage(told):
    """By kind, and by file."""
    shape = get(told, "/results/coverage").json()
    assert shape["coverage"]["line"] > 50
    assert [file["name"] for file in shape["files"]] == ["rtl/counter.sv"]


def test_artifacts(told):
    """Listed with their digests, and sent whole, in part, or not at all when they are known."""
    listed = get(told, "/artifacts").json()["artifacts"]
    by_name = {artifact["name"]: artifact for artifact in listed}
    assert {"lint/notebook.ipynb", "simulation/coverage.xml", "report.html"} <= set(by_name)
    whole = get(told, "/artifacts/coverage.xml")
    digest = hashlib.sha256(whole.content).hexdigest()
    assert digest == by_name["simulation/coverage.xml"]["sha256"]
    assert whole.headers["etag"] == f'"{digest}"'
    assert whole.headers["content-type"] in ("application/xml", "text/xml")
    assert whole.headers["content-disposition"].startswith("attachment")
    part = get(told, "/artifacts/coverage.xml", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, whole.content[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(whole.content)}"
    known = get(told, "/artifacts/coverage.xml", headers={"If-None-Match": f'"{digest}"'})
    assert (known.status_code, known.content) == (304, b"")
    none = get(told, "/artifacts/coverage.xml", headers={"Range": "bytes=99999999-"})
    assert none.status_code == 416
    assert get(told, "/artifacts/trace.fst").status_code == 200
    assert get(told, "/artifacts/notebook.ipynb").status_code == 404  # three have that name


def test_reports(told):
    """HTML, Markdown and JSON to save; only the stages that are wanted."""
    job, client = told["submitted"].json()["job_id"], told["client"]
    body = {"format": "html", "include": ["simulation", "formal"], "template": None}
    page = client.post(f"/jobs/{job}/reports", json=body)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.lstrip().lower().startswith("<!doctype html>")
    for kind, wanted in (("markdown", "text/markdown"), ("json", "application/json")):
        made = client.post(f"/jobs/{job}/reports", json={"format": kind})
        assert made.headers["content-type"].startswith(wanted)
    bad = client.post(f"/jobs/{job}/reports", json={"format": "htm"})
    assert bad.status_code == 400
    assert bad.json()["error"]["details"] == {"field": "format", "suggestion": "html"}


def test_a_second_job_is_estimated_and_can_be_retried(told):
    """From the first one's duration; a retry runs the very same files."""
    client, project = told["client"], told["created"].json()["id"]
    job = client.post(f"/projects/{project}/jobs", json={"stages": STAGES}).json()
    assert job["estimated_duration"] == get(told, "").json()["duration"]
    assert client.post(f"/jobs/{job['job_id']}/cancel").status_code in (200, 202)
    again = client.post(f"/jobs/{told['submitted'].json()['job_id']}/retry")
    assert again.status_code == 202
    assert again.json()["retry_of"] == told["submitted"].json()["job_id"]
    client.post(f"/jobs/{again.json()['job_id']}/cancel")
    listed = client.get(f"/projects/{project}/jobs").json()
    assert listed["total"] == 3
    assert client.get("/jobs?status=passed").json()["total"] == 1


def test_health_and_metrics(told):
    """Tools with versions, the queue, the disk; counters of what was done."""
    shape = told["client"].get("/health").json()
    assert shape["status"] == "ok"
    assert shape["tools"]["verilator"]["version"]
    assert shape["queue"]["capacity"] == 1000
    assert shape["database"] == "ok"
    url = f"{told['server'].url}/metrics"
    text = httpx.get(url, headers=dict(told["client"].headers)).text
    assert 'openforge_jobs_finished_total{status="passed"} 1.0' in text
    assert 'route="/api/v1/jobs/{id}"' in text


def test_every_answer_has_the_limits(told):
    """Also those that are errors, whoever asks."""
    answers = [told["created"], told["uploaded"], told["submitted"]]
    answers.append(httpx.get(f"{told['server'].url}/nowhere"))
    answers.append(httpx.post(f"{told['server'].url}/api/v1/health"))
    answers.append(httpx.get(f"{told['server'].url}/docs"))
    for answer in answers:
        assert all(answer.headers[name].isdigit() for name in LIMITS)
    assert told["submitted"].headers["x-ratelimit-limit"] == "60"
    assert get(told, "/results").headers["x-ratelimit-limit"] == "300"


def test_without_a_token_nothing_is_told(told):
    """401 in the format of the reference where tokens are asked for, and an API key will do."""
    url = f"{told['server'].url}/api/v1/projects"
    wanted = 401 if told["server"].token else 200
    answer = httpx.get(url)
    assert answer.status_code == wanted
    if wanted == 401:
        assert answer.json()["error"]["code"] == "UNAUTHORIZED"
        key = {"X-API-Key": told["server"].token}
        assert httpx.get(url, headers=key).status_code == 200


def test_delete_a_project(told):
    """It is gone, and its jobs can still be read."""
    client = told["client"]
    made = client.post("/projects", json={"name": "short-lived"}).json()
    assert client.delete(f"/projects/{made['id']}").status_code == 204
    assert client.get(f"/projects/{made['id']}").json()["error"]["code"] == "NOT_FOUND"
    assert get(told, "/results").status_code == 200
