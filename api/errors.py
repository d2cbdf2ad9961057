"""Every error in the one format of the REST contract."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import JsonValue
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from api.schemas import ErrorCode
from api.schemas.common import UNKNOWN_FIELD
from openforge.addresses import Blocked
from openforge.errors import (
    ConfigError,
    NameTaken,
    NotFound,
    OpenForgeError,
    Problem,
    QueueFull,
    ToolError,
    ToolMissing,
)
from openforge.plain import plain

CODES = {
    400: ErrorCode.VALIDATION_ERROR,
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    409: ErrorCode.CONFLICT,
    413: ErrorCode.PAYLOAD_TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    416: ErrorCode.RANGE_NOT_SATISFIABLE,
    422: ErrorCode.TOOL_ERROR,
    429: ErrorCode.RATE_LIMITED,
    500: ErrorCode.INTERNAL_ERROR,
    503: ErrorCode.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = 10
_MISSING_RETRY_S = 3600
_UNREADABLE = "There was an error parsing the body"  # FastAPI 0.165 of bytes that are no text
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_ROOM_SAID = "there is no room left on the service's disk"
_STATUS = (
    (NotFound, 404),
    (NameTaken, 409),
    (QueueFull, 503),
    (ToolError, 422),
    (OpenForgeError, 400),
)


class ApiError(HTTPException):
    """An error with its details; can be raised anywhere below the middleware."""

    def __init__(
        self,
        status: int,
        message: str,
        details: Mapping[str, JsonValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.details = dict(details or {})


def install(app: FastAPI) -> None:
    """Have `app` answer all that can go wrong in the one format."""
    for kind in (HTTPException, RequestValidationError, OpenForgeError, OSError, OperationalError):
        app.add_exception_handler(kind, _handle)


KNOWN = (HTTPException, RequestValidationError, OpenForgeError, OSError, OperationalError)


async def _handle(request: Request, error: Exception) -> JSONResponse:
    answer = respond(error, request.app.state.service.workspace.path)
    if answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = _methods(request)
    return answer


def _methods(request: Request) -> str:
    """All methods of the address; Starlette names those of its first route only."""
    path, found = request.scope["path"], set[str]()
    for context in iter_route_contexts(request.app.routes):
        if context.methods and context.path_regex.match(path):
            found |= context.methods
    return ", ".join(sorted(found)) or "GET, HEAD"  # beneath a mount: files


def respond(error: Exception, workspace: Path) -> JSONResponse:
    """The response to one of `KNOWN`; any other is raised again.

    What a message says of places is relative to the workspace: where that lies is nobody's
    business.
    """
    answer = _api_error(error)
    message = str(answer.detail).replace(f"{workspace}/", "").replace(str(workspace), "workspace")
    return response(answer.status_code, message, answer.details, answer.headers)


def response(
    status: int,
    message: str,
    details: Mapping[str, JsonValue] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error response. Words of strangers that are in it can be shown, and sent as UTF-8."""
    other = ErrorCode.VALIDATION_ERROR if status < 500 else ErrorCode.INTERNAL_ERROR
    said = {
        "code": CODES.get(status, other).value,
        "message": plain(message),
        "details": {k: _plain(v) for k, v in (details or {}).items() if v is not None},
    }
    extra = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", str(RETRY_AFTER_S))
    return JSONResponse({"error": said}, status, extra)


def _plain(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return plain(value)
        case list():
            return [_plain(part) for part in value]
        case dict():
            return {name: _plain(part) for name, part in value.items()}
    return value


def _api_error(error: Exception) -> ApiError:
    found: ApiError | None = None
    match error:
        case ApiError():
            found = error
        case HTTPException():
            found = _http(error)
        case RequestValidationError():
            found = _validation(error.errors())
        case ConfigError():
            found = _config(error.problems)
        case Blocked():
            found = ApiError(400, str(error), {"field": "url"})
        case OpenForgeError() if _is_no_room(error.__cause__):
            found = ApiError(503, _NO_ROOM_SAID)
        case ToolMissing():  # it will not be there in a moment
            found = ApiError(503, str(error), headers={"Retry-After": str(_MISSING_RETRY_S)})
        case OpenForgeError():
            status = next(status for kind, status in _STATUS if isinstance(error, kind))
            found = ApiError(status, str(error))
        case OSError() if _is_no_room(error):
            found = ApiError(503, _NO_ROOM_SAID)
        case OperationalError():
            found = ApiError(503, "the control database cannot be used now")
    if found is None:
        raise error
    return found


def _is_no_room(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def _http(error: HTTPException) -> ApiError:
    words = {
        404: "there is nothing at this address; the API is described at /docs",
        405: "this method is not for this address",
    }
    if error.detail == _UNREADABLE:
        return ApiError(400, "the body is not valid JSON: it is no text", {"field": "body"})
    unworded = error.detail == HTTPStatus(error.status_code).phrase
    message = words.get(error.status_code, error.detail) if unworded else error.detail
    return ApiError(error.status_code, message, headers=error.headers)


def _config(problems: Sequence[Problem]) -> ApiError:
    """Problems of openforge.yaml, or of overrides of it."""
    first = problems[0]
    details: dict[str, JsonValue] = {"field": first.field or None, "suggestion": first.suggestion}
    place = {"line": first.line, "column": first.column}
    details |= {name: number for name, number in place.items() if number}
    if len(problems) > 1:
        details["problems"] = [
            {"field": p.field, "message": p.message, "suggestion": p.suggestion} for p in problems
        ]
    what = "config_overrides" if first.file == "override" else first.file
    if first.message == "unknown field":
        name = first.field if first.file == "override" else first.field.rpartition(".")[2]
        said = f"unknown field '{name}'"
    else:
        said = ": ".join(filter(None, [first.field, first.message]))
    return ApiError(400, f"Invalid {what}: {said}", details)


def _validation(faults: Sequence[Any]) -> ApiError:
    """FastAPI's own validation: the first fault, with its field and the nearest right word."""
    fault = faults[0]
    path = [str(part) for part in fault["loc"]]
    place = path[0] if path else "body"
    field = ".".join(path[1:]) or place
    message, context = str(fault["msg"]), fault.get("ctx", {})
    if fault["type"] == "json_invalid":
        return ApiError(400, f"the body is not valid JSON: {context['error']}", {"field": "body"})
    if fault["type"] == UNKNOWN_FIELD:
        details = {"field": context["name"], "suggestion": context["suggestion"]}
        return ApiError(400, f"Invalid {place}: {message}", details)
    details = {"field": field, "suggestion": _suggestion(fault)}
    return ApiError(400, f"Invalid {place}: {field}: {message}", details)


def _suggestion(fault: Mapping[str, Any]) -> str | None:
    """The option that a misspelt word comes nearest to."""
    expected = str(fault.get("ctx", {}).get("expected", ""))
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    near = difflib.get_close_matches(str(fault.get("input"))[:100], words, n=1)
    return next(iter(near), None)
