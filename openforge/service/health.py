"""How the service is, honestly: what cannot be done now, and why."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from openforge import checks
from openforge.control import jobs
from openforge.errors import OpenForgeError
from openforge.model import Stage, State
from openforge.service.service import Service, require_tools
from openforge.tools import sandbox
from openforge.tools.locate import TOOLS


@dataclass(frozen=True)
class ToolState:
    """A tool and its version, None when it is not installed."""

    name: str
    version: str | None
    required: bool


@dataclass(frozen=True)
class Health:
    """`problems` say what cannot be done; `serious` that no job can run."""

    problems: tuple[str, ...]
    serious: bool
    tools: tuple[ToolState, ...]
    queued: int | None
    running: int | None
    disk_free_mb: int
    database_ok: bool
    sandbox: str


class Doctor:
    """Looks at a service. Versions of tools are asked for once: they start programs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._tools: tuple[ToolState, ...] = ()

    def examine(self) -> Health:
        """How the service is now; writes to its database to see whether that works."""
        serious, lesser = [], []
        queued = running = None
        try:
            self._service.control.check()
            with self._service.control.read() as connection:
                queued = jobs.count(connection, State.QUEUED)
                running = jobs.count(connection, State.RUNNING)
        except (SQLAlchemyError, OSError):
            serious.append("the control database cannot be read and written")
        if not self._service.has_room():
            serious.append("the disk is nearly full: jobs wait")
        if not self._service.slots.alive:
            serious.append("jobs are not being run")
        if queued is not None and queued >= self._service.settings.queue_capacity:
            lesser.append("the queue is full")
        here = dict.fromkeys(check.stage for check in checks.CHECKS)
        missing = [said for stage in here if (said := _cannot(stage))]
        (serious if len(missing) == len(here) else lesser).extend(missing)
        return Health(
            problems=(*serious, *lesser),
            serious=bool(serious),
            tools=self._versions(),
            queued=queued,
            running=running,
            disk_free_mb=shutil.disk_usage(self._service.workspace.path).free >> 20,
            database_ok=queued is not None,
            sandbox=sandbox.describe(),
        )

    def _versions(self) -> tuple[ToolState, ...]:
        with self._lock:
            if not self._tools:
                self._tools = tuple(
                    ToolState(tool.name, tool.version(), not tool.optional) for tool in TOOLS
                )
            return self._tools


def _cannot(stage: Stage) -> str:
    """Why `stage` cannot be run here; empty when it can."""
    try:
        require_tools([stage])
    except OpenForgeError as error:
        return f"stage '{stage.value}' cannot run: {error}"
    return ""
