"""Policies, standings, and the middleware that counts, refuses and tells."""

import asyncio
import time

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from limits.errors import StorageError
from limits.storage import Storage

from api.limit_store import SqliteStorage
from api.ratelimit import Limiter, Policy, RateLimitMiddleware, Standing, headers

THREE = Policy("three", 3, 60)
NOW = 1_000_000.0


@pytest.fixture
def limiter(tmp_path):
    store = SqliteStorage(tmp_path / "limits.db", clock=lambda: NOW)
    yield Limiter(store)
    store.close()


def test_the_limit_is_allowed_and_one_more_is_not(limiter):
    """Three of three pass, the fourth is refused, and all see the same reset."""
    standings = [limiter.hit(THREE, "me") for _ in range(4)]
    assert [s.allowed for s in standings] == [True, True, True, False]
    assert [s.remaining for s in standings] == [2, 1, 0, 0]
    assert {s.reset_at for s in standings} == {1_000_060}


def test_looking_does_not_count(limiter):
    """`look` says whether the next request would pass, and leaves the count alone."""
    assert limiter.look(THREE, "me") == Standing(THREE, 3, int(NOW), allowed=True)
    limiter.hit(THREE, "me", cost=3)
    for _ in range(2):
        assert limiter.look(THREE, "me") == Standing(THREE, 0, 1_000_060, allowed=False)


def test_a_request_may_cost_more(limiter):
    """A cost is taken at once, and refused when it does not fit."""
    assert limiter.hit(THREE, "me", cost=2).remaining == 1
    assert not limiter.hit(THREE, "me", cost=2).allowed


def test_callers_and_policies_are_apart(limiter):
    """No name reaches into another caller's count, whatever it is made of."""
    other = Policy("other", 3, 60)
    limiter.hit(THREE, "a/b", "c", cost=3)
    for key in (("a", "b/c"), ("a", "b", "c"), ("a/b/c",), ("a%2Fb", "c"), ("a/b", "c", "")):
        assert limiter.look(THREE, *key).remaining == 3
    assert limiter.look(other, "a/b", "c").remaining == 3
    assert limiter.look(THREE, "\ud800").remaining == 3


def test_a_store_that_fails_refuses_nobody(caplog):
    """When requests cannot be counted they are allowed, and the log says so."""

    class Full(Storage):
        STORAGE_SCHEME = None
        base_exceptions = OSError

        def incr(self, key, expiry, amount=1):
            raise StorageError(OSError("disk full"))

        get = get_expiry = check = reset = clear = incr

    standing = Limiter(Full()).hit(THREE, "me")
    assert (standing.allowed, standing.remaining) == (True, 3)
    assert "cannot be counted" in caplog.text


@pytest.mark.parametrize(
    ("name", "limit", "window_s"),
    [("A", 1, 1), ('a"', 1, 1), ("", 1, 1), ("a", -1, 1), ("a", 1, 0)],
)
def test_a_policy_that_no_header_can_state_is_refused(name, limit, window_s):
    """Names are plain, limits are not negative, windows last."""
    with pytest.raises(ValueError, match="expected"):
        Policy(name, limit, window_s)


def test_headers_state_the_standing():
    """Both families of fields, in the syntax of draft-ietf-httpapi-ratelimit-headers-11."""
    assert headers(Standing(THREE, 2, 1_000_050, allowed=True), NOW) == {
        "X-RateLimit-Limit": "3",
        "X-RateLimit-Remaining": "2",
        "X-RateLimit-Reset": "1000050",
        "RateLimit-Policy": '"three";q=3;w=60',
        "RateLimit": '"three";r=2;t=50',
    }


@pytest.mark.parametrize(("now", "retry_after"), [(NOW, "50"), (NOW + 49.5, "1"), (NOW + 99, "1")])
def test_a_refusal_says_when_to_come_back(now, retry_after):
    """Whole seconds, rounded up, at least one."""
    assert headers(Standing(THREE, 0, 1_000_050, allowed=False), now)["Retry-After"] == retry_after


def test_no_more_time_is_left_than_the_window_lasts():
    """Rounding the reset up does not make a window of 60 seconds one of 61."""
    fields = headers(Standing(THREE, 0, 1_000_061, allowed=False), NOW)
    assert (fields["RateLimit"], fields["Retry-After"]) == ('"three";r=0;t=60', "60")


@pytest.fixture
def app(tmp_path):
    app = FastAPI()
    store = SqliteStorage(tmp_path / "service.db")
    app.state.limiter = Limiter(store)
    app.state.reached = 0

    @app.post("/read")
    async def read(request: Request):
        request.app.state.reached += 1
        return len(await request.body())

    @app.get("/missing")
    def missing():
        raise HTTPException(404)

    @app.get("/fails")
    def fails():
        raise RuntimeError

    @app.get("/other")
    def other(request: Request):
        request.state.standing = Standing(Policy("jobs", 60, 3600), 0, int(time.time()) + 9, False)
        return JSONResponse({}, 429, {"X-RateLimit-Limit": "wrong"})

    app.add_middleware(
        RateLimitMiddleware,
        limiter_of=lambda scope: scope["app"].state.limiter,
        choose=lambda scope: (THREE, (scope["client"][0],)),
        refuse=lambda _, standing: JSONResponse({"retry": standing.reset_at}, 429),
    )
    yield app
    store.close()


def test_each_response_says_what_remains(app):
    """Successes, errors, unknown paths and refusals all carry the headers."""
    client = TestClient(app)
    seen = [client.get(path) for path in ("/missing", "/nowhere", "/missing", "/missing")]
    assert [response.status_code for response in seen] == [404, 404, 404, 429]
    assert [r.headers["x-ratelimit-remaining"] for r in seen] == ["2", "1", "0", "0"]
    assert [r.headers.get("retry-after") for r in seen[:3]] == [None] * 3
    assert 0 < int(seen[3].headers["retry-after"]) <= 60
    assert seen[3].headers["ratelimit"].startswith('"three";r=0;t=')
    assert 0 < int(seen[3].headers["x-ratelimit-reset"]) - time.time() <= 61


def test_a_refused_request_is_not_read(app):
    """The body of a request that is too much stays where it is, and no handler runs."""
    statuses, reads = [], []

    async def receive():
        reads.append(len(statuses))
        return {"type": "http.request", "body": b"12345"}

    async def send(message):
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": "/read", "headers": [], "query_string": b""}
    for _ in range(4):
        asyncio.run(app({**scope, "client": ("me", 1)}, receive, send))
    assert statuses[::2] == [200, 200, 200, 429]
    assert len(reads) == app.state.reached == 3


def test_a_handler_may_show_another_standing(app):
    """What a route counted itself is shown instead, once per header."""
    response = TestClient(app).get("/other")
    assert response.headers.get_list("x-ratelimit-limit") == ["60"]
    assert response.headers["ratelimit-policy"] == '"jobs";q=60;w=3600'
    assert 0 < int(response.headers["retry-after"]) <= 9


def test_a_failure_leaves_the_headers_to_whoever_answers(app):
    """`error_headers` is in the scope's state when an exception passes."""
    seen = {}

    class Above:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            try:
                await self.app(scope, receive, send)
            finally:
                seen.update(scope.get("state", {}).get("error_headers", {}))

    app.add_middleware(Above)
    TestClient(app, raise_server_exceptions=False).get("/fails")
    assert seen["X-RateLimit-Remaining"] == "2"


def test_other_scopes_pass_uncounted(app):
    """The lifespan is nobody's request."""
    with TestClient(app) as client:
        assert client.get("/missing").headers["x-ratelimit-remaining"] == "2"
