"""The results database: a DuckDB index over the run folders, which are the record.

Only this module knows DuckDB. DuckDB locks its file for a whole process, so nobody keeps it open:
every access takes a lock that all processes share, opens the file, does one transaction or one
query, and closes it. A database that is lost or damaged is built again from the folders.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import filelock
import pyarrow as pa

from openforge import events
from openforge.errors import NotFound, OpenForgeError
from openforge.record import JobRecord, read_job
from openforge.results_schema import SCHEMAS, rows_of, same_columns, statements
from openforge.settings import Settings
from openforge.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

DATABASE, LOCK = "results.duckdb", "results.lock.db"
_LOCK_TIMEOUT_S = 60.0
_BATCH = 64  # jobs a transaction: DuckDB likes few large inserts, memory does not
_CLOSED: Mapping[str, Any] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
_UNREADABLE = (OSError, ValueError, KeyError, pa.ArrowException)  # ValueError: pydantic's, too
_DAMAGE = (
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.IOException,
    duckdb.SerializationException,
)
_NOT_DAMAGE = (  # words of DuckDB 2.0's IOException for a file that is sound, but not usable now
    "Could not set lock",
    "No space left",
    "Permission denied",
    "Read-only file system",
    "File too large",
    "Disk quota exceeded",
)


class _Damaged(Exception):
    """The database file cannot be read, or was written by another version."""


@dataclass(frozen=True)
class Reindexed:
    """What `reindex` did: how many jobs are in the database, and which folders are not, and why."""

    jobs: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.jobs} jobs indexed", *(f"left out: {p}" for p in self.problems)])


def index(workspace: Path, job: JobRecord) -> None:
    """Put a job that has ended into the database, exactly once however often it is called.

    Raises OpenForgeError when the job's folder cannot be read or the database cannot be written;
    the run folders are not affected, and the next `sql` tries again.
    """
    if not job.state.final:
        return
    try:
        rows = rows_of(job)
    except _UNREADABLE as error:
        raise OpenForgeError(f"cannot index job {job.id}: {error}") from error
    with _locked(workspace, exclusive=True):
        try:
            with _open(workspace) as connection:
                _insert(connection, [rows])
        except _Damaged as damage:
            _restore(workspace, damage)


def reindex(workspace: Path) -> Reindexed:
    """Build the database again from the run folders; damaged folders are left out and named."""
    with _locked(workspace, exclusive=True):
        return _rebuild(workspace)


def sql(query: str, workspace: Path | None = None) -> pd.DataFrame:
    """The answer to a query over all runs, as a DataFrame; tables are in docs/reference/tables.md.

    Jobs that ended and are not in the database yet are put in first. The query can read the
    tables and nothing else: no files, no settings, no writing. Raises OpenForgeError for a query
    that DuckDB refuses.
    """
    root = workspace or Settings().workspace
    try:
        _catch_up(root)
        return _ask(root, query)
    except _Damaged as damage:
        with _locked(root, exclusive=True):
            _restore(root, damage)
        try:
            return _ask(root, query)
        except _Damaged as again:
            raise OpenForgeError(f"the query cannot be answered: {again}") from again


def tables_markdown() -> str:
    """docs/reference/tables.md."""
    parts = [
        '# Tables\n\n`openforge sql "..."`, or `openforge.sql("...")` in Python, asks these '
        "tables. The same tables, without `job_id` and `check_id`, are Parquet files in "
        "`tables/` of each run folder. Generated from the code by "
        "`openforge.results.tables_markdown()`.\n"
    ]
    for name, schema in SCHEMAS.items():
        rows = (
            f"| `{f.name}` | {f.type} | {f.metadata[b'description'].decode()} |" for f in schema
        )
        head = f"## {name}\n\n| column | type | is |\n|---|---|---|\n"
        parts.append(head + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _catch_up(root: Path) -> None:
    """Index what ended since: at least the last run of a process that was killed."""
    with _locked(root, exclusive=False):
        settled, interrupted = _known(root)
    fresh, problems = [], []
    for path in _job_folders(root):
        if path.name in settled:
            continue
        try:
            job = read_job(path)
            if job.state.final and not (path.name in interrupted and not job.file.state.final):
                fresh.append(rows_of(job))
        except (NotFound, *_UNREADABLE) as error:
            problems.append(f"{path.name}: {error}")
    if problems:
        events.log(f"not in the results database: {'; '.join(problems)}", "WARNING")
    if fresh or not (root / DATABASE).exists():
        with _locked(root, exclusive=True), _open(root) as connection:
            _insert(connection, fresh)


def _known(root: Path) -> tuple[set[str], set[str]]:
    """Ids of the jobs in the database: those that ended, and those whose runner was killed.

    The second kind is looked at again: a queued job looks abandoned until its runner starts.
    """
    if not (root / DATABASE).exists():
        return set(), set()
    with _connected(root / DATABASE, read_only=True) as connection:
        if not same_columns(connection):
            raise _Damaged("it was written by another version")
        found = connection.execute("select job_id, finished_at is null from jobs").fetchall()
    return {job for job, gone in found if not gone}, {job for job, gone in found if gone}


def _ask(root: Path, query: str) -> pd.DataFrame:
    with (
        _locked(root, exclusive=False),
        _connected(root / DATABASE, read_only=True, config=dict(_CLOSED)) as connection,
    ):
        try:
            answer = connection.execute(query)
            if answer is None:
                raise OpenForgeError("the query is empty; write e.g. select * from jobs")
            return answer.df()
        except duckdb.Error as error:
            if _is_damage(error):
                raise
            raise OpenForgeError(f"the query was refused: {error}") from None


@contextlib.contextmanager
def _locked(workspace: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of the database against all other processes and threads."""
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        lock = filelock.ReadWriteLock(workspace / LOCK, is_singleton=False)
        with contextlib.closing(lock):
            take = lock.write_lock if exclusive else lock.read_lock
            with take(timeout=_LOCK_TIMEOUT_S):
                yield
    except filelock.Timeout:
        raise OpenForgeError("the results database is busy; try again") from None
    except (OSError, sqlite3.Error) as error:
        raise OpenForgeError(f"cannot use the results database in {workspace}: {error}") from error


@contextlib.contextmanager
def _connected(path: Path, **options: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection; what goes wrong with the file is _Damaged or an OpenForgeError."""
    try:
        with duckdb.connect(str(path), **options) as connection:
            yield connection
    except duckdb.Error as error:
        if _is_damage(error):
            raise _Damaged(str(error)) from error
        raise OpenForgeError(f"cannot use the results database {path}: {error}") from error


def _is_damage(error: duckdb.Error) -> bool:
    """Whether the file is at fault; a bad checksum is a plain duckdb.Error in DuckDB 2.0."""
    words = str(error)
    damaged = isinstance(error, _DAMAGE) or words.startswith("Corrupt database file")
    return damaged and not any(said in words for said in _NOT_DAMAGE)


@contextlib.contextmanager
def _open(workspace: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database, for writing, made if it is not there. The lock must be held."""
    with _connected(workspace / DATABASE) as connection:
        for statement in statements():
            connection.execute(statement)
        if not same_columns(connection):
            raise _Damaged("it was written by another version")
        yield connection


def _restore(workspace: Path, damage: _Damaged) -> None:
    """Keep a damaged database under another name, never deleted, and build a new one."""
    path, stamp = workspace / DATABASE, f"{datetime.now():%Y%m%dT%H%M%S%f}"
    for file in (path, path.with_name(f"{DATABASE}.wal")):
        if file.exists():
            file.rename(file.with_name(f"{file.name}.{stamp}.damaged"))
    done = _rebuild(workspace)
    events.log(
        f"the results database could not be read ({damage}); it was kept as "
        f"{DATABASE}.{stamp}.damaged and built again from the run folders: {done}",
        "WARNING",
    )


def _rebuild(workspace: Path) -> Reindexed:
    """Fill a new file and put it in the place of the database. The lock must be held."""
    scratch = workspace / f"{DATABASE}.new"
    scratch_log = scratch.with_name(f"{scratch.name}.wal")
    for left_over in (scratch, scratch_log):
        left_over.unlink(missing_ok=True)
    count, problems, batch = 0, [], []
    try:
        with _connected(scratch) as connection:
            for statement in statements():
                connection.execute(statement)
            for path in _job_folders(workspace):
                try:
                    job = read_job(path)
                    batch += [rows_of(job)] if job.state.final else []
                except (NotFound, *_UNREADABLE) as error:
                    problems.append(f"{path.name}: {error}")
                if len(batch) == _BATCH:
                    count, batch = count + _insert(connection, batch), []
            count += _insert(connection, batch)
    except _Damaged as error:
        raise OpenForgeError(f"cannot build the results database: {error}") from error
    # The old log of changes must go first: DuckDB would replay it onto the new file.
    (workspace / f"{DATABASE}.wal").unlink(missing_ok=True)
    scratch.replace(workspace / DATABASE)
    return Reindexed(count, tuple(problems))


def _insert(connection: duckdb.DuckDBPyConnection, jobs: Iterable[Mapping[str, pa.Table]]) -> int:
    """All rows of `jobs` in one transaction, replacing what is there of them; how many jobs."""
    rows = list(jobs)
    if not rows:
        return 0
    merged = {name: pa.concat_tables([job[name] for job in rows]) for name in SCHEMAS}
    connection.register("ids", merged["jobs"].select(["job_id"]))
    connection.execute("begin")
    for name, table in merged.items():
        connection.execute(f'delete from "{name}" where job_id in (select job_id from ids)')  # noqa: S608
        connection.register("fresh", table)
        connection.execute(f'insert into "{name}" by name select * from fresh')  # noqa: S608
        connection.unregister("fresh")
    connection.execute("commit")  # an error before it: closing the connection rolls all back
    connection.unregister("ids")
    return len(rows)


def _job_folders(workspace: Path) -> list[Path]:
    runs = Workspace(workspace).runs
    return sorted(p for p in runs.iterdir() if p.is_dir()) if runs.is_dir() else []
