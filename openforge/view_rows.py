"""Tables of a check as plain rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from openforge.record import CheckRecord
from openforge.tables import TABLES

Rows = list[dict[str, Any]]


def rows(record: CheckRecord, name: str) -> Rows:
    """Table `name` of a check as plain rows; what is missing is None, whole numbers are whole."""
    frame = record.table(name)
    table = pa.Table.from_pandas(frame, schema=TABLES[name], preserve_index=False)
    found: Rows = table.to_pylist()
    return found


def grouped(found: Rows, column: str) -> dict[Any, Rows]:
    """The rows of each value of a column, both in the order in which they came."""
    groups: dict[Any, Rows] = {}
    for row in found:
        groups.setdefault(row[column], []).append(row)
    return groups


def column(found: Rows, name: str) -> list[Any]:
    """One column of the rows."""
    return [row[name] for row in found]
