"""The HTTP client of a service: where the token goes, what is tried again, what is believed."""

import io
import socket
import time
from email.utils import formatdate

import pytest
from fake_service import JOB_ID, PROJECT_ID, Answer, Fake, error, job, line, ready, report, results

from openforge import client_answer
from openforge.client import Client
from openforge.client_answer import Answered, NoAnswer
from openforge.errors import OpenForgeError

TOKEN = "of_secret-secret-secret-secret"


@pytest.fixture
def fake():
    with Fake() as made:
        ready(made, ["openforge.yaml"])
        yield made


@pytest.fixture
def notices():
    return []


@pytest.fixture
def client(fake, notices, monkeypatch):
    """A client of the fake service, which waits for nothing long; `notices` gets its own."""
    monkeypatch.setattr(client_answer, "WAITS_S", (0.0,) * 5)
    with Client(fake.url, TOKEN, notices.append) as made:
        yield made


def test_the_token_goes_to_the_server(client, fake):
    """Each request carries the token; the root of the API may be part of the address."""
    client.job(JOB_ID)
    with Client(f"{fake.url}/api/v1/", TOKEN) as other:
        other.job(JOB_ID)
    for request in fake.asked(f"GET /jobs/{JOB_ID}"):
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    ("url", "insecure", "allowed"),
    [
        ("https://example.com", "", True),
        ("http://127.0.0.1:8080", "", True),
        ("http://127.200.0.9", "", True),
        ("http://[::1]:8080", "", True),
        ("http://localhost", "", True),
        ("http://example.com", "", False),
        ("http://127.0.0.1.example.com", "", False),
        ("http://localhost.example.com", "", False),
        ("http://10.0.0.1", "", False),
        ("http://example.com", "0", False),
        ("http://example.com", "1", True),
    ],
)
def test_no_token_in_the_clear(url, insecure, allowed, monkeypatch):
    """Over plain HTTP a token goes to this machine only, unless that was allowed, as is said."""
    monkeypatch.setenv("OPENFORGE_INSECURE", insecure)
    if allowed:
        Client(url, TOKEN).__exit__()
    else:
        with pytest.raises(OpenForgeError, match="OPENFORGE_INSECURE=1") as caught:
            Client(url, TOKEN)
        assert TOKEN not in str(caught.value)
    Client(url).__exit__()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(client, fake, status):
    """A redirect is an error that names where it leads; nobody else hears of the token."""
    with Fake() as other:
        elsewhere = Answer({}, status, {"Location": f"{other.url}/x"})
        fake.on("GET /jobs/job_1", elsewhere)
        fake.on("GET /jobs/job_1/logs", elsewhere)
        for ask in (lambda: client.job(JOB_ID), lambda: list(client.follow(JOB_ID, 0))):
            with pytest.raises(Answered, match="redirects are not followed") as caught:
                ask()
            assert f"{other.url}/x" in str(caught.value)
        assert other.requests == []


def test_this_machine_needs_no_proxy(client, fake, monkeypatch):
    """A proxy of the environment does not see what is meant for this machine."""
    with Fake() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with Client(fake.url, TOKEN) as made:
            made.job(JOB_ID)
        assert proxy.requests == []


@pytest.mark.parametrize("status", [409, 429, 503])
def test_what_asks_for_patience_gets_it(client, fake, notices, status):
    """With Retry-After the same request is sent again, and that is told."""
    fake.on(
        f"POST /projects/{PROJECT_ID}/jobs",
        error(status, "later", Retry_After="0"),
        error(status, "later", Retry_After=formatdate(time.time(), usegmt=True)),
        Answer(job("queued"), 202),
    )
    assert client.submit(PROJECT_ID, ["lint"], {"a.b": 1}, "key-1").status == "queued"
    asked = fake.asked(f"POST /projects/{PROJECT_ID}/jobs")
    assert [r.headers["Idempotency-Key"] for r in asked] == ["key-1"] * 3
    assert {r.body for r in asked} == {b'{"config_overrides":{"a.b":1},"stages":["lint"]}'}
    assert len(notices) == 2
    assert "later; trying again in 0 s" in notices[0]


@pytest.mark.parametrize(
    ("answer", "requests"),
    [
        (error(503, "full", Retry_After="0"), 4),
        (error(429, "too many", Retry_After="3600"), 1),
        (error(429, "too many", Retry_After="soon"), 1),
        (error(429, "too many"), 1),
        (error(502, "nobody behind the proxy"), 6),
        (error(500, "a fault"), 1),
        (error(400, "wrong", Retry_After="0"), 1),
    ],
)
def test_patience_has_an_end(client, fake, answer, requests):
    """A request is sent again a few times only, and not at all when that would take too long."""
    fake.on("GET /jobs/job_1", answer)
    with pytest.raises(Answered) as caught:
        client.job(JOB_ID)
    assert caught.value.status == answer.status
    assert len(fake.requests) == requests


def test_nobody_there_is_said_at_once(notices):
    """An address where nothing listens is an error without a second try."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with Client(url, "", notices.append) as client, pytest.raises(NoAnswer, match="refused"):
            client.job(JOB_ID)
    assert notices == []


def test_a_broken_connection_is_made_anew(client, fake, notices):
    """Once the service has answered, a request whose answer is cut off is sent again."""
    fake.on("GET /jobs/job_1", Answer(job(), cut=True))
    with pytest.raises(NoAnswer):
        client.job(JOB_ID)
    assert len(fake.requests) == 1
    client.results(JOB_ID)
    fake.on("GET /jobs/job_1", Answer(job(), cut=True), Answer(job()))
    assert client.job(JOB_ID).status == "passed"
    assert len(notices) == 1
    fake.on("GET /jobs/job_1", Answer(job(), cut=True))
    with pytest.raises(NoAnswer):
        client.job(JOB_ID)


def test_an_upload_is_sent_whole_each_time(client, fake):
    """When an upload is sent again its file is read from the start again."""
    route = f"POST /projects/{PROJECT_ID}/upload"
    fake.on(route, error(503, "later", Retry_After="0"), Answer({"files": ["a.v"]}))
    assert client.upload(PROJECT_ID, io.BytesIO(b"content of the tar")) == ("a.v",)
    bodies = [r.body for r in fake.asked(route)]
    assert len(bodies) == 2
    for body in bodies:
        assert body.count(b"content of the tar") == 1
        assert b'name="files[]"; filename="project.tar"' in body


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(400, "unknown field 'x'", "y"), "unknown field 'x'; did you mean y?"),
        (error(400, "two\nlines \x1b[31mred\x1b[0m \x07\u202e"), r"two lines red \u0007\u202e"),
        (error(401, "no"), "openforge config set token"),
        (Answer(b"<html>proxy</html>", 504), "answered 504: no reason was given"),
        (Answer([], 500), "no reason was given"),
        (Answer({"error": {"message": "m", "details": []}}, 500), "no reason was given"),
        (Answer(b"[" * 100_000, 500), "no reason was given"),
    ],
)
def test_errors_are_one_clean_line(client, fake, answer, expected):
    """An error of the service is one line without control characters, whatever it sends."""
    fake.on("GET /jobs/job_1", answer)
    with pytest.raises(Answered) as caught:
        client.job(JOB_ID)
    assert expected in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"not JSON",
        b"[]",
        b"null",
        b'{"job_id": "job_1"}',
        job(status=None),
        job(status="[red]passed[/]"),
        job(status="Passed\n"),
        job(job_id="../../tokens"),
        job(job_id="job_1\n"),
        job(stages=["lint\x1b[2J"]),
        job(submitted_at="yesterday"),
        job(progress={"lint": {"status": ""}}),
    ],
)
def test_nonsense_is_not_understood(client, fake, said):
    """An answer of another form is an error, however near it comes."""
    fake.on("GET /jobs/job_1", Answer(said))
    with pytest.raises(OpenForgeError, match="not understood") as caught:
        client.job(JOB_ID)
    assert str(caught.value).isprintable()


def test_what_a_newer_service_adds_does_no_harm(client, fake):
    """Unknown fields are left out; texts lose what would act on a terminal."""
    fake.on("GET /jobs/job_1", Answer(job(error="\x1b[31mred\x1b[0m\x9b2J", new_field=1)))
    assert client.job(JOB_ID).error == r"red\u009b2J"


def test_answers_have_a_limit(client, fake, monkeypatch):
    """An answer that is larger than any that makes sense is not kept in memory."""
    monkeypatch.setattr("openforge.client._MAX_ANSWER", 1000)
    monkeypatch.setattr("openforge.client._MAX_REPORT", 1000)
    fake.on("POST /jobs/job_1/reports", Answer(b"x" * 2000))
    with pytest.raises(OpenForgeError, match="more than"):
        client.report(JOB_ID, "html")


def test_listings_are_read_page_by_page(client, fake):
    """A listing goes on until a page is not full, and stops at what was asked for."""

    def page(request):
        number, size = int(request.query["page"]), int(request.query["per_page"])
        ids = range(230)[(number - 1) * size : number * size]
        return Answer({"jobs": [job(job_id=f"job_{n}") for n in ids], "total": 230})

    fake.on("GET /jobs", page)
    assert [j.job_id for j in client.jobs(1000)] == [f"job_{n}" for n in range(230)]
    assert len(fake.requests) == 3
    assert len(client.jobs(150)) == 150
    assert [j.job_id for j in client.jobs(1)] == ["job_0"]
    assert fake.requests[-1].query == {"page": "1", "per_page": "1"}


def test_a_stream_that_breaks_says_so(client, fake):
    """The whole lines before a break are given; half of one is not; a clean end is an end."""
    sent = line(1, "one") + b"\n" + line(2, "two") + line(3, "three")[:-5]
    fake.on("GET /jobs/job_1/logs", Answer(sent, cut=True), Answer(sent))
    seen = []
    with pytest.raises(NoAnswer):
        seen += [seen.append(found.seq) for found in client.follow(JOB_ID, 7)]
    assert seen == [1, 2]
    assert [found.message for found in client.follow(JOB_ID, 7)] == ["one", "two"]
    assert fake.requests[0].query == {"follow": "true", "since": "7", "tail": "10000"}


def test_a_stream_without_lines_has_a_limit(client, fake):
    """A line that does not end, and one that is none, are errors."""
    fake.on("GET /jobs/job_1/logs", Answer(b"x" * (3 << 20)), Answer(b'{"seq": -1}\n'))
    with pytest.raises(OpenForgeError, match="without an end"):
        list(client.follow(JOB_ID, 0))
    with pytest.raises(OpenForgeError, match="not understood"):
        list(client.follow(JOB_ID, 0))


def test_records_have_what_is_shown(client, fake):
    """Results and reports come as records, results also as they were written."""
    found, raw = client.results(JOB_ID)
    assert found.stages == {"lint": {"status": "passed"}}
    assert raw == results()
    assert client.report_data(JOB_ID).checks["lint"].duration_s == 1.5
    fake.on("POST /jobs/job_1/reports", Answer(report(checks={"lint": {"status": 1}})))
    with pytest.raises(OpenForgeError, match="not understood"):
        client.report_data(JOB_ID)


def test_a_file_that_is_gone_is_deleted(client, fake):
    """Deleting twice is no error; the name is written as an address."""
    client.delete_file(PROJECT_ID, "rtl/a b#?.v")
    assert fake.requests[0].path == f"/projects/{PROJECT_ID}/files/rtl/a%20b%23%3F.v"
