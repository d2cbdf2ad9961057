"""What a service answers, as frozen records.

A newer service may say more: fields that are not known here are left out. What becomes part of an
address or a table has a narrow form, other texts are made safe to look at; a service that answers
anything else is not understood, and never taken for a pass.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from openforge.errors import OpenForgeError
from openforge.plain import plain

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Text = Annotated[str, AfterValidator(plain)]
_OPEN = ("queued", "running")

T = TypeVar("T")


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Project(Answer):
    """A project."""

    id: Id
    name: Text
    target_pdk: str | None = None


class File(Answer):
    """A file of a project, by the name that it has there."""

    name: str


class StageProgress(Answer):
    """How far a stage is."""

    status: Word
    duration: Text = ""
    progress: Text = ""


class Job(Answer):
    """A job; `status` is its state until it has ended, its verdict from then on."""

    job_id: Id
    project_id: Id
    status: Word
    stages: tuple[Word, ...]
    progress: dict[Word, StageProgress] = {}
    submitted_at: datetime
    error: Text | None = None
    files_sha256: Text = ""
    config_overrides: dict[str, JsonValue] = {}

    @property
    def ended(self) -> bool:
        """Whether the job is over; a status that is not known here is no reason to wait."""
        return self.status not in _OPEN


class LogLine(Answer):
    """A line of a job's log; `seq` is its number in the job."""

    seq: int = Field(ge=0)
    timestamp: Text
    stage: Word
    level: Text
    message: Text


class Results(Answer):
    """What a job concluded, by stage; the stage `crypto` has its checks below it."""

    job_id: Id
    overall_status: Word
    stages: dict[Word, dict[str, Any]]


class Location(Answer):
    """A place in a source file."""

    file: Text
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n is not None)])


class Finding(Answer):
    """One statement about the design."""

    rule: Text
    level: Text
    message: Text
    location: Location | None = None
    waived_by: Text | None = None


class CheckResult(Answer):
    """What a check says of the design."""

    reason: Text = ""
    summary: dict[str, Any] = {}
    findings: tuple[Finding, ...] = ()


class CheckReport(Answer):
    """One check of a job's report."""

    status: Word
    error: Text = ""
    duration_s: float | None = None
    result: CheckResult | None = None


class Report(Answer):
    """A job's report in JSON."""

    job_id: Id
    project: Text
    overall_status: Word
    checks: dict[Word, CheckReport]


def parsed(kind: type[T], text: bytes) -> T:
    """The JSON `text` as `kind`. Raises OpenForgeError when it is anything else."""
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        raise _not_understood(error) from None


def checked(kind: type[T], value: object) -> T:
    """`value`, which was JSON, as `kind`. Raises OpenForgeError when it is anything else."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise _not_understood(error) from None


def _not_understood(error: ValidationError) -> OpenForgeError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "it"
    why = plain(f"{place}: {first['msg']}")[:300]
    return OpenForgeError(f"the service's answer is not understood: {why}")
