"""How the service is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.common import Answer, example


class ToolState(Answer):
    """A tool here."""

    available: bool = Field(description="whether it can be used")
    version: str | None = Field(description="null when it is not there")
    required: bool = Field(description="whether some stage cannot do without it")


class Queue(Answer):
    """The queue."""

    queued: int = Field(description="jobs that wait")
    running: int = Field(description="jobs that run")
    capacity: int = Field(description="how many may wait")
    jobs_at_a_time: int = Field(description="how many may run")


class Health(Answer):
    """How the service is; anything but `ok` says why in `problems`."""

    model_config = example(
        status="ok",
        version="0.1.0",
        problems=[],
        tools={"verilator": {"available": True, "version": "5.48.0", "required": True}},
        queue={"queued": 0, "running": 1, "capacity": 1000, "jobs_at_a_time": 2},
        disk_free_mb=78674,
        database="ok",
        sandbox="bubblewrap 0.8.0",
    )

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: some stage cannot run; `unavailable` (503): no job can"
    )
    version: str = Field(description="of OpenForge")
    problems: list[str] = Field(description="what is wrong, in words")
    tools: dict[str, ToolState] = Field(description="by name")
    queue: Queue | None = Field(description="null when the database cannot be read")
    disk_free_mb: int = Field(description="room for runs, MB (2^20 bytes)")
    database: Literal["ok", "error"] = Field(description="whether it can be read and written")
    sandbox: str = Field(description='what tools are kept in; "none" with the reason')
