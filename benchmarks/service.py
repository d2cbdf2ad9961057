"""The service under load: polling, streams, submissions, and how soon a check starts.

    python benchmarks/service.py [--seconds 20] [--no-tokens]

Prints a Markdown table. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import service

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "ntt-butterfly"
POLLERS, RATE, SOCKETS = 200, 325.0, 20
SUBMISSIONS, STARTS = 100, 10
_TINY = {
    "openforge.yaml": b"project: {name: tiny, top_module: tiny, language: sv2017}\n"
    b"design: {sources: [rtl/*.sv]}\nverification: {lint: {tools: [verilator]}}\n",
    "rtl/tiny.sv": b"module tiny (input logic clk, input logic d, output logic q);\n"
    b"  always_ff @(posedge clk) q <= d;\nendmodule\n",
}
_SETTINGS = {
    "OPENFORGE_SUBMISSIONS_PER_HOUR": "100000",
    "OPENFORGE_REQUESTS_PER_MINUTE": "10000000",
    "OPENFORGE_WEBSOCKETS_PER_USER": "100",
    "OPENFORGE_JOBS_AT_A_TIME": "2",
    "OPENFORGE_MIN_FREE_MB": "1",
}


@dataclass(frozen=True)
class Row:
    """One line of the table; a target is "at most", or "at least" with `up`; None: only told."""

    what: str
    value: float
    unit: str
    target: float | None = None
    up: bool = False

    @property
    def missed(self) -> bool:
        """Whether there is a target and it is not met."""
        if self.target is None:
            return False
        return self.value < self.target if self.up else self.value > self.target

    def __str__(self) -> str:
        sign = "≥" if self.up else "≤"
        target = "" if self.target is None else f"{sign} {self.target:g} {self.unit}"
        word = "" if self.target is None else "**MISSED**" if self.missed else "ok"
        return f"| {self.what} | {self.value:.4g} {self.unit} | {target} | {word} |"


class Used:
    """How much processor time the service has had since this was made."""

    def __init__(self, bench: Bench) -> None:
        self._process = psutil.Process(bench.server.process.pid)
        self._cpu_s, self._began = self._spent(), time.perf_counter()

    def rows(self, answers: int) -> Iterator[Row]:
        """The share of one processor, and what an answer costs."""
        spent = self._spent() - self._cpu_s
        yield Row("its share of a processor", spent / (time.perf_counter() - self._began), "")
        yield Row("its processor time an answer", spent / answers * 1000, "ms")

    def _spent(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


class Bench:
    """A running service, and what is needed of it."""

    def __init__(self, server: service.Server) -> None:
        headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
        self.server = server
        self.http = httpx.Client(
            base_url=f"{server.url}/api/v1", headers=headers, trust_env=False, timeout=60
        )

    def project(self, name: str, files: dict[str, bytes]) -> str:
        """A new project with `files`; its id."""
        made = self.http.post("/projects", json={"name": name}).raise_for_status().json()
        parts = [("files[]", (path, text)) for path, text in files.items()]
        self.http.post(f"/projects/{made['id']}/upload", files=parts).raise_for_status()
        found: str = made["id"]
        return found

    def submit(self, project_id: str, *stages: str) -> str:
        """A new job; its id."""
        answer = self.http.post(f"/projects/{project_id}/jobs", json={"stages": stages})
        found: str = answer.raise_for_status().json()["job_id"]
        return found

    def job(self, job_id: str) -> dict[str, Any]:
        """What the service says of a job."""
        found: dict[str, Any] = self.http.get(f"/jobs/{job_id}").raise_for_status().json()
        return found

    def await_end(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        while not (found := self.job(job_id))["finished_at"]:
            time.sleep(0.05)
        return found

    def unfinished(self) -> int:
        """How many jobs run or wait."""
        counts = [self.http.get("/jobs", params={"status": s}) for s in ("queued", "running")]
        return sum(c.raise_for_status().json()["total"] for c in counts)


def submissions(bench: Bench) -> Iterator[Row]:
    """How long POST takes, on an idle service: each job is cancelled before the next is made."""
    project_id, times = bench.project("tiny", _TINY), []
    bench.await_end(bench.submit(project_id, "lint"))
    for _ in range(SUBMISSIONS):
        began = time.perf_counter()
        job_id = bench.submit(project_id, "lint")
        times.append((time.perf_counter() - began) * 1000)
        bench.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
        bench.await_end(job_id)
    yield Row(f"submission, p50 of {SUBMISSIONS}", statistics.median(times), "ms", 30)
    yield Row("submission, p99", quantile(times, 0.99), "ms")


def starts(bench: Bench) -> Iterator[Row]:
    """From the submission to the first event of a check, on an idle service that is warm."""
    project_id, spent = bench.project("tiny-starts", _TINY), []
    runs, whole = bench.server.workspace / "runs", []
    for _ in range(STARTS + 1):
        job_id = bench.submit(project_id, "lint")
        job = bench.await_end(job_id)
        assert job["status"] == "passed", job
        events = map(json.loads, (runs / job_id / "events.jsonl").read_text().splitlines())
        first = next(event for event in events if event["type"] == "state")
        spent.append(_moment(first["timestamp"]) - _moment(job["submitted_at"]))
        whole.append(_moment(job["finished_at"]) - _moment(job["submitted_at"]))
        time.sleep(0.5)  # what follows a job: the index
    yield Row(
        f"to the start of a check, median of {STARTS}", statistics.median(spent[1:]), "s", 0.5
    )
    yield Row("to the end of a lint job, median", statistics.median(whole[1:]), "s")


@contextmanager
def busy(bench: Bench) -> Iterator[list[str]]:
    """Two jobs run all the time; the ids of those that ran, the newest last."""
    files = {
        p.relative_to(EXAMPLE).as_posix(): p.read_bytes() for p in EXAMPLE.rglob("*") if p.is_file()
    }
    project_id, jobs, over = bench.project("busy", files), list[str](), threading.Event()
    feeder = Bench(bench.server)

    def feed() -> None:
        while not over.is_set():
            if feeder.unfinished() < 4:
                jobs.append(feeder.submit(project_id, "simulation", "formal"))
            over.wait(0.3)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    while len(jobs) < 4 or bench.job(jobs[1])["status"] == "queued":
        time.sleep(0.1)
    try:
        yield jobs
    finally:
        over.set()
        thread.join()
        ended = [job for job in map(bench.job, jobs) if job["finished_at"]]
        assert all(job["status"] == "passed" for job in ended), ended


def polling(bench: Bench, jobs: list[str], seconds: float) -> Iterator[Row]:
    """Many who ask now and then, and some who watch."""
    before = [job for job in map(bench.job, jobs) if job["finished_at"]]
    watchers = client(bench, "watch", seconds + 1, SOCKETS)
    time.sleep(0.5)
    used = Used(bench)
    polled = said(client(bench, "poll", seconds, POLLERS, RATE, *jobs[-4:]))
    costs, watched = list(used.rows(polled["answers"])), said(watchers)
    after = [job for job in map(bench.job, jobs) if job["finished_at"]]
    yield Row(f"{POLLERS} pollers: rate", polled["answers"] / polled["seconds"], "/s", 300, up=True)
    yield Row("p50", statistics.median(polled["ms"]), "ms")
    yield Row("p99", quantile(polled["ms"], 0.99), "ms", 50)
    yield Row("p99 from when it was to be sent", quantile(polled["late_ms"], 0.99), "ms")
    yield Row("longest", max(polled["ms"]), "ms")
    yield Row(f"errors {polled['errors'] or ''}", sum(polled["errors"].values()), "", 0)
    yield Row(f"{SOCKETS} WebSockets: messages", watched["answers"], "")
    yield Row("age of live messages, p50", statistics.median(watched["ms"] or [0]), "ms")
    yield Row("age of live messages, p99", quantile(watched["ms"] or [0], 0.99), "ms")
    yield Row(f"errors {watched['errors'] or ''}", sum(watched["errors"].values()), "", 0)
    yield Row("jobs that ended meanwhile", len(after) - len(before), "")
    yield from costs


def throughput(bench: Bench, jobs: list[str], what: str) -> Iterator[Row]:
    """As many answers as there can be, over 32 connections."""
    used = Used(bench)
    polled = said(client(bench, "poll", 8, 32, 0, *jobs[-4:]))
    costs = list(used.rows(polled["answers"]))
    yield Row(f"most answers a second, {what}", polled["answers"] / polled["seconds"], "/s")
    yield Row("p99 then", quantile(polled["ms"], 0.99), "ms")
    yield from costs


def client(bench: Bench, kind: str, *words: object) -> subprocess.Popen[str]:
    """A client in a process of its own."""
    seconds, connections, *more = words
    command = [sys.executable, str(Path(__file__).with_name("load_client.py")), kind]
    where = [bench.server.url, bench.server.token, str(seconds), str(connections)]
    return subprocess.Popen(
        [*command, *where, *map(str, more)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a client has counted, when it is done."""
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, f"a client ended with code {process.returncode}"
    found: dict[str, Any] = json.loads(text)
    return found


def quantile(values: list[float], share: float) -> float:
    """The smallest value that `share` of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def measure(folder: Path, seconds: float, *, tokens: bool) -> Iterator[Row]:
    """All rows, as they are measured."""
    auth = {"OPENFORGE_AUTH_ENABLED": "true"} if tokens else {}
    with service.start(folder / "workspace", **_SETTINGS, **auth) as server:
        bench = Bench(server)
        yield from submissions(bench)
        yield from starts(bench)
        with busy(bench) as jobs:
            yield from polling(bench, jobs, seconds)
            yield from throughput(bench, jobs, "jobs running")
        for job_id in jobs:
            bench.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
            bench.await_end(job_id)
        yield from throughput(bench, jobs, "idle")


def main() -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(description="The service under load.")
    parser.add_argument("--seconds", type=float, default=20.0, help="of polling")
    parser.add_argument("--no-tokens", action="store_true", help="without authentication")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="of-service-"))
    print("| measured | | target | |\n|---|---|---|---|")
    missed = False
    for row in measure(folder, given.seconds, tokens=not given.no_tokens):
        print(row, flush=True)
        missed |= row.missed
    shutil.rmtree(folder)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
