"""The results database: a DuckDB index over the run folders, which are the record.

Only this module knows DuckDB. Its file is opened for one transaction at a time, under a lock that
all processes share; a database that is lost or damaged is built again from the folders.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import filelock
import pyarrow as pa

from openforge.errors import OpenForgeError
from openforge.record import CheckRecord, JobRecord
from openforge.settings import Settings
from openforge.tables import TABLES
from openforge.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

DATABASE = "results.duckdb"
_LOCK_TIMEOUT_S = 60.0
_TEXT, _FLOAT, _INT = pa.string(), pa.float64(), pa.int64()

_KEYS = (
    pa.field("job", _TEXT, metadata={"description": "job id"}),
    pa.field("check", _TEXT, metadata={"description": "check of the job"}),
)


def _field(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


SCHEMAS: dict[str, pa.Schema] = {
    "jobs": pa.schema(
        [
            _KEYS[0],
            _field("project", _TEXT, "name of the project"),
            _field("status", _TEXT, "verdict of the whole, or its state when it is not done"),
            _field("state", _TEXT, "done, error or cancelled"),
            _field("stages", _TEXT, "stages asked for, separated by blanks"),
            _field("submitted_at", _TEXT, "ISO 8601, UTC"),
            _field("started_at", _TEXT, "ISO 8601, UTC"),
            _field("finished_at", _TEXT, "ISO 8601, UTC"),
            _field("duration_s", _FLOAT, "from start to finish, seconds"),
            _field("error", _TEXT, "why the job as a whole ended in error"),
        ]
    ),
    "checks": pa.schema(
        [
            *_KEYS,
            _field("stage", _TEXT, "stage of the check"),
            _field("state", _TEXT, "done, error or cancelled"),
            _field("verdict", _TEXT, "passed, failed, inconclusive, skipped; null without one"),
            _field("status", _TEXT, "the verdict when done, the state otherwise"),
            _field("reason", _TEXT, "why it did not pass"),
            _field("duration_s", _FLOAT, "seconds"),
            _field("design_hash", _TEXT, "SHA-256 of the design"),
            _field("seed", _INT, "seed, null where there is none"),
            _field("error", _TEXT, "what went wrong, empty when nothing did"),
        ]
    ),
    **{name: pa.schema([*_KEYS, *schema]) for name, schema in TABLES.items()},
}


def index(workspace: Path, job: JobRecord) -> None:
    """Put a job that has ended into the database, exactly once however often it is called.

    Raises OpenForgeError when the database cannot be written (the run folders are not affected).
    """
    if job.state.final:
        with _locked(workspace), _open(workspace) as connection:
            _insert(connection, [job])


def reindex(workspace: Path) -> str:
    """Build the database again from the run folders; says how many jobs are in it."""
    jobs = [job for job in Workspace(workspace).jobs() if job.state.final]
    with _locked(workspace):
        _set_aside(workspace / DATABASE)
        with _connect(workspace / DATABASE) as connection:
            _insert(connection, jobs)
    return f"{len(jobs)} jobs indexed"


def sql(query: str, workspace: Path | None = None) -> pd.DataFrame:
    """The answer to a query over all runs, as a DataFrame; tables are in docs/reference/tables.md.

    Jobs that ended and are not in the database yet are put in first. The query can read the
    tables and nothing else: no files, no settings, no writing. Raises OpenForgeError for a query
    that DuckDB refuses.
    """
    root = workspace or Settings().workspace
    ended = [job for job in Workspace(root).jobs() if job.state.final]
    with _locked(root):
        with _open(root) as connection:
            known = {row[0] for row in connection.execute("select job from jobs").fetchall()}
            _insert(connection, [job for job in ended if job.id not in known])
        closed: dict[str, Any] = {"enable_external_access": "false", "lock_configuration": "true"}
        with duckdb.connect(str(root / DATABASE), read_only=True, config=closed) as connection:
            try:
                return connection.execute(query).df()
            except duckdb.Error as error:
                raise OpenForgeError(f"the query was refused: {error}") from None


def tables_markdown() -> str:
    """docs/reference/tables.md."""
    parts = [
        '# Tables\n\n`openforge sql "..."`, or `openforge.sql("...")` in Python, asks these '
        "tables. The same tables, without `job` and `check`, are Parquet files in `tables/` of "
        "each run folder.\n"
    ]
    for name, schema in SCHEMAS.items():
        rows = (
            f"| `{f.name}` | {f.type} | {f.metadata[b'description'].decode()} |" for f in schema
        )
        parts.append(
            f"## {name}\n\n| column | type | is |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


@contextlib.contextmanager
def _locked(workspace: Path) -> Iterator[None]:
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(workspace / f"{DATABASE}.lock", timeout=_LOCK_TIMEOUT_S):
            yield
    except filelock.Timeout:
        raise OpenForgeError("the results database is busy; try again") from None


@contextlib.contextmanager
def _open(workspace: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database, for writing; one that cannot be opened is set aside and built again."""
    path = workspace / DATABASE
    fresh = not path.exists()
    try:
        connection = _connect(path)
    except duckdb.Error:
        _set_aside(path)
        fresh, connection = True, _connect(path)
    with connection:
        if fresh:
            ended = (job for job in Workspace(workspace).jobs() if job.state.final)
            _insert(connection, list(ended))
        yield connection


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path))
    for name, schema in SCHEMAS.items():
        empty = schema.empty_table()
        connection.register("empty", empty)
        connection.execute(f'create table if not exists "{name}" as select * from empty')  # noqa: S608
        connection.unregister("empty")
    return connection


def _set_aside(path: Path) -> None:
    """Keep a damaged database under another name: never deleted."""
    if path.exists():
        stamp = f"{datetime.now():%Y%m%dT%H%M%S%f}"
        path.rename(path.with_name(f"{path.name}.{stamp}.bak"))
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


def _insert(connection: duckdb.DuckDBPyConnection, jobs: list[JobRecord]) -> None:
    """All rows of `jobs` in one transaction, replacing what is there of them."""
    if not jobs:
        return
    rows = _rows(jobs)
    connection.execute("begin")
    try:
        for name, schema in SCHEMAS.items():
            ids = pa.table({"job": [job.id for job in jobs]})
            connection.register("ids", ids)
            connection.execute(f'delete from "{name}" where job in (select job from ids)')  # noqa: S608
            connection.register("fresh", pa.Table.from_pylist(rows[name], schema=schema))
            connection.execute(f'insert into "{name}" select * from fresh')  # noqa: S608
        connection.execute("commit")
    except duckdb.Error as error:
        connection.execute("rollback")
        raise OpenForgeError(f"cannot write the results database: {error}") from error


def _rows(jobs: Iterable[JobRecord]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    for job in jobs:
        rows["jobs"].append(_job_row(job))
        for check in job.checks:
            key = {"job": job.id, "check": check.id}
            rows["checks"].append({**key, **_check_row(check)})
            for name in TABLES:
                frame = check.table(name)
                records = frame.astype(object).where(frame.notna(), None).to_dict("records")
                rows[name] += [{**key, **_whole(name, record)} for record in records]
    return rows


def _whole(name: str, record: dict[Any, Any]) -> dict[str, Any]:
    """pandas turns whole numbers with gaps into floats: turn them back."""
    whole = {f.name for f in TABLES[name] if f.type == _INT}
    return {k: int(v) if k in whole and v is not None else v for k, v in record.items()}


def _job_row(job: JobRecord) -> dict[str, Any]:
    file = job.file
    seconds = None
    if file.started_at and file.finished_at:
        begun, ended = map(datetime.fromisoformat, (file.started_at, file.finished_at))
        seconds = (ended - begun).total_seconds()
    return {
        "job": job.id,
        "project": file.project,
        "status": job.status,
        "state": job.state.value,
        "stages": " ".join(file.stages),
        "submitted_at": file.submitted_at,
        "started_at": file.started_at,
        "finished_at": file.finished_at,
        "duration_s": seconds,
        "error": job.error,
    }


def _check_row(check: CheckRecord) -> dict[str, Any]:
    result = check.result
    source = result.provenance if result else None
    return {
        "stage": check.stage.value,
        "state": check.state.value,
        "verdict": check.verdict.value if check.verdict else None,
        "status": check.status,
        "reason": result.reason if result else "",
        "duration_s": check.manifest.duration_s if check.manifest else None,
        "design_hash": source.design_hash if source else None,
        "seed": source.seed if source else None,
        "error": check.error,
    }
