"""A job of the check side_channel through the service: how long, and where the time goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from side_channel_subjects import Row

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import service  # noqa: E402  (it is beside the tests)

_EXAMPLE = ROOT / "examples" / "ntt-butterfly"
_STAGE = "crypto"
_OVERRIDES = {"verification.crypto_verification.side_channel.num_traces": 50_000}
_TARGET_S, _WAIT_S, _LONG_S = 5.0, 120.0, 0.2


def jobs(workspace: Path) -> Iterator[Row]:
    """The stage crypto of ntt-butterfly with 50,000 traces: with an empty cache, and again."""
    cache = workspace.with_name("service-cache")
    with (
        service.start(workspace, OPENFORGE_CACHE=str(cache), OPENFORGE_MIN_FREE_MB="1") as server,
        httpx.Client(base_url=f"{server.url}/api/v1", trust_env=False, timeout=60) as http,
    ):
        project = _project(http)
        for caches in ("empty caches", "again"):
            job = _ended(http, project)
            events = _events(server.workspace / "runs" / str(job["id"]))
            spent = _moment(job["finished_at"]) - _moment(job["submitted_at"])
            said = f"REST job, 50,000 traces, {caches} ({job['status']})"
            yield Row(said, spent, "s", _TARGET_S)
            yield from _stretches(events, _moment(job["submitted_at"]), job)


def _project(http: httpx.Client) -> str:
    made = http.post("/projects", json={"name": "ntt-butterfly"}).raise_for_status().json()
    files = [
        ("files[]", (path.relative_to(_EXAMPLE).as_posix(), path.read_bytes()))
        for path in sorted(_EXAMPLE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    http.post(f"/projects/{made['id']}/upload", files=files).raise_for_status()
    found: str = made["id"]
    return found


def _ended(http: httpx.Client, project: str) -> dict[str, Any]:
    """A job, when it has ended."""
    import time

    asked = {"stages": [_STAGE], "config_overrides": _OVERRIDES}
    answer = http.post(f"/projects/{project}/jobs", json=asked).raise_for_status().json()
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        job: dict[str, Any] = http.get(f"/jobs/{answer['job_id']}").raise_for_status().json()
        if job["finished_at"]:
            return job | {"id": answer["job_id"]}
        time.sleep(0.05)
    raise TimeoutError(f"the job did not end within {_WAIT_S} s: {job}")


def _events(run: Path) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _stretches(events: list[dict[str, Any]], began: float, job: dict[str, Any]) -> Iterator[Row]:
    """The times between events that are long enough to tell, by what was said before them."""
    before, what = began, "submission"
    ended = {"timestamp": job["finished_at"], "message": "end"}
    for event in [*events, ended]:
        now = _moment(event["timestamp"])
        if now - before >= _LONG_S:
            yield Row(f"&nbsp;&nbsp;after: {what}", now - before, "s")
        before = now
        words = [str(event.get(name, "")) for name in ("type", "check", "state", "message")]
        what = " ".join(word for word in words if word)[:60].replace("|", "/")


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
