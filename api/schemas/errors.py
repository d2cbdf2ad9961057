"""The one format of all errors."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field

from api.schemas.common import Absent, Answer, absent, example


class ErrorCode(StrEnum):
    """What a program acts upon. The HTTP status says the same in a number."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    RANGE_NOT_SATISFIABLE = "RANGE_NOT_SATISFIABLE"
    TOOL_ERROR = "TOOL_ERROR"
    RATE_LIMITED = "RATE_LIMITED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"


class ErrorProblem(Answer):
    """One of several problems of a project file, or of overrides of it."""

    field: str = Field(description="dotted path of the wrong field")
    message: str = Field(description="what is wrong with it")
    suggestion: str | None = Field(description="the nearest right name")


class ErrorDetails(Answer):
    """What was wrong; which fields there are depends on the error."""

    model_config = ConfigDict(extra="allow", json_schema_serialization_defaults_required=False)

    field: str | Absent = absent("dotted path of the wrong field, or the name of the header")
    suggestion: str | Absent = absent("the nearest right name")
    line: int | Absent = absent("line in the project file, from 1")
    column: int | Absent = absent("column in the project file, from 1")
    problems: list[ErrorProblem] | Absent = absent("all problems, where there are several")
    policy: str | Absent = absent("the rate limit that was reached")
    limit: int | Absent = absent("how many there may be")
    limit_bytes: int | Absent = absent("how large a body may be")
    request_id: str | Absent = absent("names the request in the service's log")


class ErrorBody(Answer):
    """An error."""

    code: ErrorCode
    message: str = Field(description="a sentence for people")
    details: ErrorDetails


class Error(Answer):
    """The one format of all errors."""

    model_config = example(
        error={
            "code": "VALIDATION_ERROR",
            "message": "Invalid openforge.yaml: unknown field 'simlation'",
            "details": {
                "field": "verification.simlation",
                "suggestion": "verification.simulation",
            },
        }
    )

    error: ErrorBody
