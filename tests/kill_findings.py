"""What there is after the rounds, compared with what clients and the webhook receiver were told."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kill_clients import ENDINGS, Ledger, Receiver

from openforge import results
from openforge.errors import NotFound
from openforge.record import read_job
from openforge.run_folder import altered

if TYPE_CHECKING:
    from kill_rounds import Rounds

_INTERRUPTED = "interrupted: its runner went away"
_STARTS = 3  # after which a job whose runner went away each time is not started again
_ONCE = ("job.queued", "job.started", "stage.completed")
_SHOWN = 5


@dataclass(frozen=True)
class Row:
    """One line of the table. `ok` is None for what is only told."""

    what: str
    found: str
    ok: bool | None = None


class _Workspace:
    """The workspace after the last stop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path / "control.db")) as connection:
            connection.row_factory = sqlite3.Row
            self.jobs = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM jobs")}
            self.deliveries = list(connection.execute("SELECT * FROM deliveries"))
            self.attempts = list(connection.execute("SELECT * FROM attempts"))
            self.projects = dict(connection.execute("SELECT id, revision FROM projects").fetchall())
            self.sound = [
                *connection.execute("PRAGMA integrity_check").fetchone(),
                *map(tuple, connection.execute("PRAGMA foreign_key_check")),
            ]

    def of_status(self, word: str) -> list[dict[str, Any]]:
        return [job for job in self.jobs.values() if job["status"] == word]


def rows(game: Rounds, ledger: Ledger, receiver: Receiver) -> list[Row]:
    """All findings."""
    there = _Workspace(game.workspace)
    return [
        *_told(game, ledger, receiver, there),
        *_submissions(ledger, there),
        *_endings(game, there),
        *_messages(receiver, ledger, there),
        *_folders(there),
        *_processes(game),
        _none("other problems", [*game.story.problems, *ledger.problems]),
    ]


def markdown(found: Iterable[Row]) -> str:
    """The table."""
    words = {True: "ok", False: "**WRONG**", None: ""}
    lines = [f"| {row.what} | {row.found} | {words[row.ok]} |" for row in found]
    return "\n".join(["| check | found | |", "|---|---|---|", *lines])


def _none(what: str, wrong: Iterable[object]) -> Row:
    """A row for what must not be."""
    listed = [str(one).replace("|", "\\|").replace("\n", " ") for one in wrong]
    shown = "; ".join(listed[:_SHOWN]) + (" ..." if len(listed) > _SHOWN else "")
    return Row(what, f"{len(listed)}: {shown}" if listed else "0", not listed)


def _told(game: Rounds, ledger: Ledger, receiver: Receiver, there: _Workspace) -> Iterable[Row]:
    for what, count in sorted((game.story.done + ledger.counts).items()):
        yield Row(what, str(count))
    messages = receiver.messages.values()
    yield Row("messages, distinct", str(len(messages)))
    yield Row("messages, received (with repeats)", str(sum(m.times for m in messages)))
    yield Row("messages, refused with 500", str(sum(m.refused for m in messages)))
    yield Row("attempts on record", str(len(there.attempts)))
    starts = Counter(job["attempt"] for job in there.jobs.values())
    yield Row("starts that jobs took", ", ".join(f"{n}: {c}" for n, c in sorted(starts.items())))


def _submissions(ledger: Ledger, there: _Workspace) -> Iterable[Row]:
    yield Row("keys", str(len(ledger.asked)))
    yield Row("jobs", str(len(there.jobs)), len(there.jobs) == len(ledger.asked))
    yield _none("keys without an answer", ledger.asked - set(ledger.jobs))
    made = Counter(ledger.jobs.values())
    yield _none("jobs of two keys", (job for job, count in made.items() if count > 1))
    yield _none("lost: acknowledged and not there", set(made) - set(there.jobs))
    yield _none("doubled: there and no key's", set(there.jobs) - set(made))


def _endings(game: Rounds, there: _Workspace) -> Iterable[Row]:
    errors = there.of_status("error")
    interrupted = [job for job in errors if job["error"].startswith(_INTERRUPTED)]
    died = [job for job in errors if job not in interrupted and _kernel_died(there.path, job)]
    known = [*there.of_status("passed"), *interrupted, *died]
    others = [job for job in there.jobs.values() if job not in known]
    yield Row("jobs that passed", str(len(there.of_status("passed"))))
    yield Row("jobs interrupted in 3 attempts", str(len(interrupted)))
    kills = game.story.done["kill -9 zygote"]
    yield Row(
        "jobs whose kernel died, at most one a killed zygote", str(len(died)), len(died) <= kills
    )
    yield _none("jobs that ended otherwise, or not", (_tell(job) for job in others))
    yield _none(
        "interrupted with fewer attempts",
        (_tell(job) for job in interrupted if job["attempt"] < _STARTS),
    )
    wrong = [job["id"] for job in there.jobs.values() if not _agrees(there.path, job)]
    yield _none("jobs whose folder says something else", wrong)
    indexed = results.sql("select job_id, status from jobs", there.path)
    rows_of = sorted(zip(indexed.job_id, indexed.status, strict=True))
    yield _none("rows of the results database that differ", _differing(rows_of, there))


def _tell(job: dict[str, Any]) -> str:
    return f"{job['id']} {job['status']} attempt {job['attempt']} {job['error'][:80]}"


def _kernel_died(workspace: Path, job: dict[str, Any]) -> bool:
    record = read_job(workspace / "runs" / job["id"])
    return any("kernel died" in check.error for check in record.checks)


def _agrees(workspace: Path, job: dict[str, Any]) -> bool:
    """Whether the folder has its events in order, and, sealed and unaltered, that it passed."""
    try:
        record = read_job(workspace / "runs" / job["id"])
    except NotFound:
        return False
    numbers = [event["seq"] for event in record.events()]
    if numbers != list(range(1, len(numbers) + 1)):
        return False
    if job["status"] != "passed":
        return True
    sealed = all(check.manifest and not altered(check.path) for check in record.checks)
    return sealed and record.status == "passed" and record.file.attempt == job["attempt"]


def _differing(indexed: list[tuple[str, str]], there: _Workspace) -> list[object]:
    mine = sorted((job["id"], job["status"]) for job in there.jobs.values())
    more, fewer = Counter(indexed) - Counter(mine), Counter(mine) - Counter(indexed)
    return [*(("too much", row) for row in more), *(("missing", row) for row in fewer)]


def _messages(receiver: Receiver, ledger: Ledger, there: _Workspace) -> Iterable[Row]:
    told = receiver.events()
    lost, doubled, wrong = [], [], []
    for job_id, job in there.jobs.items():
        events = told.get(job_id, Counter())
        ends = sum(events[name] for name in ENDINGS)
        whole = job["status"] == "passed" or bool(_stages_ended(there.path, job_id))
        once = _ONCE if whole else _ONCE[:2]
        lost += [f"{job_id} {name}" for name in once if not events[name]]
        lost += [f"{job_id} ending"] * (ends == 0)
        doubled += [f"{job_id} {name} x{events[name]}" for name in _ONCE if events[name] > 1]
        doubled += [f"{job_id} endings x{ends}"] * (ends > 1)
        right = "job.completed" if job["status"] == "passed" else "job.failed"
        wrong += [f"{job_id} {job['status']} {dict(events)}"] * (ends > 0 and not events[right])
    yield _none("events lost", lost)
    yield _none("events doubled", doubled)
    yield _none("endings that are not the job's", wrong)
    yield _none("events of jobs that are not there", set(told) - set(there.jobs))
    open_ = [f"{d['id']} {d['state']}" for d in there.deliveries if d["state"] != "delivered"]
    yield _none("messages not delivered", open_)
    kept = {d["id"] for d in there.deliveries}
    yield _none("messages that are in no outbox", set(receiver.messages) - kept)


def _stages_ended(workspace: Path, job_id: str) -> list[str]:
    record = read_job(workspace / "runs" / job_id)
    return [check.id for check in record.checks if check.manifest]


def _folders(there: _Workspace) -> Iterable[Row]:
    runs = {path.name for path in (there.path / "runs").iterdir()}
    yield _none("jobs without a run folder", set(there.jobs) - runs)
    yield _none("stray run folders", runs - set(there.jobs))
    projects = there.path / "projects"
    yield _none("stray uploads", (path.name for path in (projects / ".incoming").iterdir()))
    extra, missing = [], []
    for project_id, revision in there.projects.items():
        found = {path.name for path in (projects / project_id).iterdir()}
        extra += [f"{project_id}/{name}" for name in found - {str(revision)}]
        missing += [project_id] if str(revision) not in found else []
    yield _none("projects without their files", missing)
    yield Row("old or unused revisions of projects", str(len(extra)))
    parts = [str(p) for p in (there.path / "runs").glob("*/job.json.*")]
    parts += [str(p) for p in (there.path / "runs").glob("*/*.tmp")]
    yield Row("half-written files in run folders", str(len(parts)))
    yield Row("control database", json.dumps(there.sound), there.sound == ["ok"])


def _processes(game: Rounds) -> Iterable[Row]:
    story = game.story
    yield _none("processes that outlived their service by 2 s", story.late)
    longest = f"{max(story.gone_s, default=0):.2f} s of {len(story.gone_s)}"
    yield Row("longest time until all processes were gone", longest)
    left = sorted(p.name for p in game.temporary.iterdir())
    yield Row("folders left in /tmp", str(len(left)))
    text = game.log.read_text(encoding="utf-8", errors="replace")
    errors = Counter(_message(line) for line in text.splitlines() if _is_error(line))
    yield Row("errors in the log", "; ".join(f"{n} x {m}" for m, n in errors.most_common(8)) or "0")


def _is_error(line: str) -> bool:
    return '"level": "ERROR"' in line or '"level": "CRITICAL"' in line or "Error:" in line


def _message(line: str) -> str:
    try:
        return str(json.loads(line)["message"])[:100].replace("|", "/")
    except (ValueError, KeyError):
        return line[:100].replace("|", "/")
