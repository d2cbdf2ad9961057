"""Opening the control database: migrated, durable, one writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DatabaseError

from openforge.errors import OpenForgeError

FILE = "control.db"
_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_TIMEOUT_MS = 20_000  # another process writes too: `openforge token create`
_CONNECTIONS = 64  # more than the threads that answer requests


class Control:
    """The control database of a workspace. Can be used from several threads.

    SQLite in WAL mode with a sync at each commit: what was committed survives ``kill -9`` and the
    loss of power.
    """

    def __init__(self, workspace: Path) -> None:
        workspace.mkdir(parents=True, exist_ok=True)
        self.path = workspace / FILE
        self.path.touch(mode=0o600)  # SQLite gives the files beside it the same mode
        self._engine = create_engine(
            f"sqlite:///{self.path}",
            pool_size=_CONNECTIONS,
            connect_args={"check_same_thread": False},
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._writer = threading.Lock()
        try:
            self._migrate()
        except BaseException as error:
            self.close()
            if isinstance(error, DatabaseError):
                raise OpenForgeError(f"cannot use the control database: {error.orig}") from error
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed and on disk when the block ends without an exception.

        Writers wait for each other here, in order, and not by trying again in SQLite.
        """
        with (
            self._writer,
            self._engine.connect().execution_options(openforge_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    def check(self) -> None:
        """Raises an exception unless the database can be read and written now."""
        with self.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def now() -> str:
    """The present moment as RFC 3339 in UTC, with milliseconds."""
    return moment(datetime.now(UTC).timestamp())


def moment(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC, with milliseconds."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text_: str) -> float:
    """Seconds since 1970 of an RFC 3339 moment."""
    return datetime.fromisoformat(text_).timestamp()


def _configure(connection: Any, _: object) -> None:
    connection.isolation_level = None  # else sqlite3 begins transactions when it sees fit
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """A writer takes the lock at once: one that has read first could not get it any more."""
    write = connection.get_execution_options().get("openforge_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
