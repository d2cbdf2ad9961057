"""A check = declaration + run + notebook. `start` does the bookkeeping of every check."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import openforge
from openforge.config import Config
from openforge.design import Design
from openforge.errors import ToolError
from openforge.model import Finding, Provenance, Result, Stage
from openforge.run_folder import RunFolder
from openforge.tools import sandbox
from openforge.tools.locate import require


@dataclass(frozen=True)
class Check:
    """The declaration of one check.

    `section` is the dotted path of its parameters in openforge.yaml; their pydantic model is the
    check's parameter model. `run(params, design, folder)` does the work and writes only inside
    `folder`; it raises an OpenForgeError when it could not check, and returns a Result otherwise.
    """

    id: str
    stage: Stage
    title: str
    standard: str
    section: str
    tools: tuple[str, ...]
    run: Callable[[Any, Design, RunFolder], Result]

    def params(self, config: Config) -> BaseModel:
        """The check's section of the configuration, defaults filled in."""
        value: Any = config
        for name in self.section.split("."):
            value = getattr(value, name)
        assert isinstance(value, BaseModel)
        return value


def start(check: Check, config: Config, design: Design, folder: RunFolder) -> Result:
    """Run `check` and write ``params.json``, ``result.json`` and the common tables.

    Raises ToolMissing before anything is run when a tool is not there, and whatever `check.run`
    raises; in neither case is a result written.
    """
    params = check.params(config)
    folder.write_json("params.json", params.model_dump_json(indent=2))
    tools = require(check.tools)
    started_at, clock = datetime.now(UTC), time.monotonic()
    try:
        result = check.run(params, design, folder)
    except ToolError as error:
        error.log = _kept(error.log, folder)
        raise
    provenance = Provenance(
        openforge_version=openforge.__version__,
        design_hash=design.content_hash,
        params=params.model_dump(mode="json"),
        seed=getattr(params, "seed", None),
        tools=tuple(tools),
        sandbox=sandbox.describe(),
        python=platform.python_version(),
        platform=platform.platform(),
        started_at=started_at.isoformat(),
        duration_s=round(time.monotonic() - clock, 3),
    )
    result = result.model_copy(update={"provenance": provenance})
    folder.table("findings", [finding_row(finding) for finding in result.findings])
    folder.table("metrics", [metric.model_dump() for metric in result.metrics])
    folder.write_json("result.json", result.model_dump_json(indent=2))
    return result


def _kept(log: Path | None, folder: RunFolder) -> Path | None:
    """Where a failed tool's log is once the folder is sealed, relative to it: `work` is gone."""
    if log is None or not log.is_file():
        return None
    with contextlib.suppress(FileExistsError):  # the engine has kept it
        folder.keep(log, f"logs/{log.name}")
    return Path("artifacts", "logs", log.name)


def finding_row(finding: Finding) -> dict[str, Any]:
    """A finding as a row of the table ``findings``."""
    row = finding.model_dump(exclude={"location", "excerpt", "evidence"})
    place = finding.location
    if place:
        row |= {"file": place.file, "line": place.line, "col": place.column}
    return row
