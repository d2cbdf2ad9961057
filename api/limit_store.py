"""Counts of requests in an SQLite file, so that limits outlive the server.

Each count is written before its request is answered and survives a killed server (``kill -9``).
It is not synced to disk: a power failure may forget counts, or damage the file. Limits are no
record, so a damaged file is replaced by an empty one.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limits.storage import Storage

SWEEP_S = 60.0
"""How often rows of past windows are deleted."""

_SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS windows (
        key TEXT PRIMARY KEY, count INTEGER NOT NULL, expires_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS windows_by_expiry ON windows (expires_at);
"""
# A window that ends later than a new one would was made before the clock was set back.
_INCR = """
    INSERT INTO windows VALUES (:key, :amount, :now + :expiry)
    ON CONFLICT (key) DO UPDATE SET
        count = :amount + CASE WHEN expires_at > :now AND expires_at <= :now + :expiry
                          THEN count ELSE 0 END,
        expires_at = CASE WHEN expires_at > :now AND expires_at <= :now + :expiry
                     THEN expires_at ELSE :now + :expiry END
    RETURNING count
"""
_LOOK = "SELECT count, expires_at FROM windows WHERE key = ? AND expires_at > ?"
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOG = logging.getLogger(__name__)


class SqliteStorage(Storage):
    """Fixed windows of the `limits` library in the SQLite file `path`.

    A window begins with its first count. One connection is used under one lock, so that threads
    may share an object; processes may share the file. A failure to count, for instance on a full
    disk, is raised as `limits.errors.StorageError`.

    Limits
    ------
    Windows end by the wall clock, because they outlive the process.
    """

    STORAGE_SCHEME = None  # made from a path, never from a URI

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(wrap_exceptions=True)
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._swept_at = clock()
        self._connection = _open(path)

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What a failing operation raises, before it is wrapped."""
        return sqlite3.Error

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` in the window of `key` that lasts `expiry` seconds; returns the count."""
        now = self._clock()
        if abs(now - self._swept_at) >= SWEEP_S:
            self._swept_at = now
            self._run("DELETE FROM windows WHERE expires_at <= ?", (now,))
        values = {"key": key, "amount": amount, "now": now, "expiry": expiry}
        return int(self._run(_INCR, values)[0][0])

    def get(self, key: str) -> int:
        """The count in the current window of `key` (0 when it has none)."""
        rows = self._run(_LOOK, (key, self._clock()))
        return int(rows[0][0]) if rows else 0

    def get_expiry(self, key: str) -> float:
        """When the current window of `key` ends, in epoch seconds (now when it has none)."""
        now = self._clock()
        rows = self._run(_LOOK, (key, now))
        return float(rows[0][1]) if rows else now

    def check(self) -> bool:
        """Whether the file can be read."""
        try:
            self._run("SELECT count(*) FROM windows", ())
        except sqlite3.Error:
            return False
        return True

    def reset(self) -> int | None:
        """Forget all counts; returns how many windows there were."""
        return len(self._run("DELETE FROM windows RETURNING key", ()))

    def clear(self, key: str) -> None:
        """Forget the count of `key`."""
        self._run("DELETE FROM windows WHERE key = ?", (key,))

    def close(self) -> None:
        """Close the file. The object is of no use afterwards."""
        with self._lock:
            self._connection.close()

    def _run(self, sql: str, values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._connection.close()
                self._connection = _replace(self._path)
                return self._connection.execute(sql, values).fetchall()


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # keys name users and addresses; SQLite's side files take over the mode
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_SCHEMA)
        if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            return connection
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            connection.close()
            raise
    connection.close()
    return _replace(path)


def _replace(path: Path) -> sqlite3.Connection:
    _LOG.warning("the file of rate limits was damaged and is replaced", extra={"file": str(path)})
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    return _open(path)


def _is_damage(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _CORRUPT
