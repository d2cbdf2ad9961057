"""What all requests and responses share: how strict they are, and the words they have in common."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from openforge.plain import plain

PROJECT, JOB, WEBHOOK = "proj_abc123", "job_xyz789", "wh_def456"
MOMENT = "2026-01-15T10:30:00Z"
UNKNOWN_FIELD = "unknown_field"
_MAX_SHOWN = 100

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Address = Annotated[str, WithJsonSchema({"type": "string", "format": "uri-reference"})]
Span = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": r"^(\d+\.\ds|\d+m\d\ds|\d+h\d\dm)$"})
]
Absent = SkipJsonSchema[None]
"""A value that is left out where there is none; written ``X | Absent = absent(...)``."""


class Status(StrEnum):
    """State of a job or stage until it is done, and its verdict from then on.

    Only `passed` is passed: `error` says that there is no verdict, `skipped` that there was
    nothing to check.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    ERROR = "error"
    CANCELLED = "cancelled"


class Body(BaseModel):
    """A request body: unknown fields are errors, and values are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_field(cls, given: Any) -> Any:
        """As ``extra="forbid"``, which stays for the schema, but with the nearest right name."""
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                shown = plain(name[:_MAX_SHOWN])
                near = difflib.get_close_matches(shown, cls.model_fields, n=1)
                said = {"name": shown, "suggestion": next(iter(near), None)}
                raise PydanticCustomError(UNKNOWN_FIELD, "unknown field '{name}'", said)
        return given


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


def example(**values: Any) -> ConfigDict:
    """The configuration of a model with an example for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [values]})


def absent(description: str, default: Any = None, **schema: Any) -> Any:
    """A field that is left out where it has no value: its default says nothing."""
    return Field(default, description=description, json_schema_extra=_without_default(schema))


def _without_default(more: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def change(schema: dict[str, Any]) -> None:
        schema.pop("default", None)
        schema.update(more)

    return change
