"""The vocabulary of OpenForge as frozen records. Nothing here reads a file or runs a tool."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """A frozen record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(StrEnum):
    """A part of a job that a user asks for by name; it has one or more checks."""

    LINT = "lint"
    SIMULATION = "simulation"
    FORMAL = "formal"
    CRYPTO = "crypto"


class State(StrEnum):
    """Did it run? Never says anything about the design."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a check in this state will not change any more."""
        return self in (State.DONE, State.ERROR, State.CANCELLED)


class Verdict(StrEnum):
    """What a check that ran to its end says of the design."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


class Level(StrEnum):
    """How much a finding weighs; the names are SARIF 2.1.0's (section 3.27.10)."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Location(Record):
    """A place in a source file (relative to the project); lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n is not None)])


class Finding(Record):
    """One located statement about the design."""

    rule: str
    level: Level
    message: str
    location: Location | None = None
    excerpt: str | None = None
    evidence: tuple[str, ...] = ()
    tool: str = ""
    waived_by: str | None = None


class Metric(Record):
    """A measured quantity with its unit ("" for a plain number)."""

    name: str
    value: int | Finite
    unit: str = ""


class Artifact(Record):
    """A file of a check, as listed in its manifest. `name` is relative to the check's folder."""

    name: str
    size_bytes: int
    sha256: str
    media_type: str = "application/octet-stream"


class ToolUse(Record):
    """A tool that a verdict rests on."""

    name: str
    version: str


class Provenance(Record):
    """What is needed to get the same verdict again."""

    openforge_version: str
    design_hash: str
    params: dict[str, JsonValue]
    seed: int | None = None
    tools: tuple[ToolUse, ...] = ()
    sandbox: str = ""
    python: str = ""
    platform: str = ""
    started_at: str = ""
    duration_s: Finite = 0.0


class Result(Record):
    """What a check concluded.

    `verdict` is there exactly when `state` is ``done``: a check that could not be finished keeps
    what it saw (`findings`, `metrics`, tables) but has an `error` and no verdict.
    `summary` holds the check's fields of the REST contract (``tests_passed`` ...).
    `bounds` and `assumptions` say within what limits the verdict holds.
    """

    check: str
    stage: Stage
    state: Literal[State.DONE, State.ERROR] = State.DONE
    verdict: Verdict | None = None
    reason: str = ""
    bounds: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    metrics: tuple[Metric, ...] = ()
    summary: dict[str, JsonValue] = Field(default_factory=dict)
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _verdict_iff_done(self) -> Result:
        if (self.state is State.DONE) != (self.verdict is not None):
            raise ValueError("a result has a verdict exactly when its state is 'done'")
        if self.verdict is not Verdict.PASSED and not self.reason:
            raise ValueError("a result that is not 'passed' must say why in `reason`")
        return self


def status_of(state: State, verdict: Verdict | None) -> str:
    """The one word shown to users: the state until it is ``done``, the verdict from then on."""
    return verdict.value if state is State.DONE and verdict else state.value


_ORDER = ("error", "cancelled", "running", "queued", "failed", "inconclusive", "passed", "skipped")


def overall_status(statuses: list[str]) -> str:
    """The status of a whole from its parts: the worst one decides.

    An ``error`` outranks ``failed``: a job whose checks did not all run has no complete verdict.
    ``skipped`` parts do not count unless nothing else is there; no parts at all is ``error``.
    """
    return next((word for word in _ORDER if word in statuses), "error")
