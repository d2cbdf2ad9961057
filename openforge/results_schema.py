"""The tables of the results database: their columns, and the rows of a job in them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from openforge.record import CheckRecord, JobRecord
from openforge.tables import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TEXT, _FLOAT, _INT = pa.string(), pa.float64(), pa.int64()
_SQL_TYPES = {_TEXT: "VARCHAR", _FLOAT: "DOUBLE", _INT: "BIGINT", pa.bool_(): "BOOLEAN"}


def _field(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


_KEYS = (_field("job_id", _TEXT, "job id"), _field("check_id", _TEXT, "check of the job"))

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
            _field("finished_at", _TEXT, "ISO 8601, UTC; null when the runner was killed"),
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


def statements() -> list[str]:
    """SQL that makes the tables that are not there yet."""
    made = []
    for name, schema in SCHEMAS.items():
        columns = ", ".join(f'"{f.name}" {_SQL_TYPES[f.type]}' for f in schema)
        made.append(f'create table if not exists "{name}" ({columns})')
    return made


def same_columns(connection: DuckDBPyConnection) -> bool:
    """Whether the open database has exactly the tables and columns of this version."""
    found = connection.execute(
        "select table_name, column_name, data_type from information_schema.columns"
    ).fetchall()
    wanted = {(t, f.name, _SQL_TYPES[f.type]) for t, schema in SCHEMAS.items() for f in schema}
    return {tuple(row) for row in found} == wanted


def rows_of(job: JobRecord) -> dict[str, pa.Table]:
    """The rows of a job, by table.

    Raises OSError, ValueError, KeyError or pyarrow.ArrowException when its folder is damaged.
    """
    rows = {
        "jobs": pa.Table.from_pylist([_job_row(job)], schema=SCHEMAS["jobs"]),
        "checks": pa.Table.from_pylist(
            [{"job_id": job.id, "check_id": c.id, **_check_row(c)} for c in job.checks],
            schema=SCHEMAS["checks"],
        ),
    }
    for name in TABLES:
        parts = [_table(job.id, check, name) for check in job.checks]
        rows[name] = pa.concat_tables([SCHEMAS[name].empty_table(), *parts])
    return rows


def _table(job: str, check: CheckRecord, name: str) -> pa.Table:
    """Table `name` of a check; a column that its version did not write yet is null."""
    file = check.path / "tables" / f"{name}.parquet"
    if not file.is_file():
        return SCHEMAS[name].empty_table()
    with file.open("rb") as data:
        stored = pq.read_table(data)
    count = stored.num_rows
    columns = [pa.repeat(pa.scalar(value, _TEXT), count) for value in (job, check.id)]
    for field in TABLES[name]:
        there = field.name in stored.column_names
        columns.append(
            stored[field.name].cast(field.type) if there else pa.nulls(count, field.type)
        )
    return pa.table(columns, schema=SCHEMAS[name])


def _job_row(job: JobRecord) -> dict[str, Any]:
    file = job.file
    seconds = None
    if file.started_at and file.finished_at:
        begun, ended = map(datetime.fromisoformat, (file.started_at, file.finished_at))
        seconds = (ended - begun).total_seconds()
    return {
        "job_id": job.id,
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
