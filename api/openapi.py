"""The OpenAPI 3.1 document: what every operation can answer, with its headers and errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import schemas
from api.errors import CODES
from api.routing import HEADER, REPLAYED

_DESCRIPTION = """Verification of cryptographic hardware: create a project, upload its files, submit
a job, and read what it concluded. Errors have one format. Moments are RFC 3339 in UTC, durations
read "2.1s" or "5m30s". `status` is the state of a job until it is done, and its verdict from then
on: only `passed` is passed.

Every POST can carry an `Idempotency-Key`: for 24 hours the same request with it gets the same
answer, and is carried out once. `/api/v1/jobs/{id}/stream` is a WebSocket of JSON messages: `log`,
`progress`, `stage_complete`, at last `job_complete`; `?since=` goes on after a number.
"""
_ERRORS = {
    400: "Invalid request or configuration",
    401: "Missing or invalid token",
    403: "The token may not do that, or the request comes from a foreign host or origin",
    404: "Not found",
    409: "The name is taken, or the Idempotency-Key is in use or was used for another request",
    413: "The body is too large",
    415: "The body is of another type",
    422: "A tool that was needed at once returned an error",
    429: "Too many requests",
    500: "Server error",
    503: "The queue is full, a tool is missing, or there is no room",
}
_CODES = sorted(set(CODES.values()))
_HEADERS: dict[str, tuple[str, str]] = {
    "X-Request-ID": ("string", "names the request in the service's log"),
    "X-RateLimit-Limit": ("integer", "requests in the window"),
    "X-RateLimit-Remaining": ("integer", "requests that are left"),
    "X-RateLimit-Reset": ("integer", "when the window ends, seconds since 1970"),
    "RateLimit-Policy": ("string", "draft-ietf-httpapi-ratelimit-headers"),
    "RateLimit": ("string", "draft-ietf-httpapi-ratelimit-headers"),
}
_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "carried out once for each key, for 24 hours",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def install(app: FastAPI) -> None:
    """Have `app` serve the complete document at /openapi.json."""

    def document() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary="Every verdict is a notebook that anyone can run again",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        routes=app.routes,
    )
    parts = found["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    for model in (schemas.Error, schemas.ErrorBody, schemas.ErrorDetails):
        shape = model.model_json_schema(ref_template="#/components/schemas/{model}")
        shape.pop("$defs", None)
        parts["schemas"][model.__name__] = shape
    parts["schemas"]["ErrorBody"]["properties"]["code"]["enum"] = _CODES
    parts["headers"] = {name: _header(kind, said) for name, (kind, said) in _HEADERS.items()}
    parts["headers"]["Retry-After"] = _header("integer", "seconds to wait")
    parts["headers"][REPLAYED] = _header("string", "`true`: the answer of an earlier request")
    parts["responses"] = {_name(status): _error(status) for status in _ERRORS}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    found["servers"] = [{"url": "/"}]
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what every operation shares."""
    responses = operation["responses"]
    responses.pop("422", None)
    for status in (int(code) for code in list(responses)):
        headers = responses[str(status)].setdefault("headers", {})
        headers |= {name: _ref("headers", name) for name in _HEADERS}
        if method == "post":
            headers[REPLAYED] = _ref("headers", REPLAYED)
    if "416" in responses:
        responses["416"]["content"] = _content()
    for status in _statuses(path, method, operation):
        responses.setdefault(str(status), _ref("responses", _name(status)))
    if method == "post":
        operation.setdefault("parameters", []).append(_KEY)
    if path != "/api/v1/health":
        operation["security"] = [{"bearer": []}, {"apiKey": []}, {}]


def _statuses(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    """The errors that an operation can answer."""
    found = {400, 401, 403, 413, 415, 429, 500, 503}
    if "{" in path or "requestBody" in operation:
        found.add(404)
    if method in ("post", "put"):
        found.add(409)
    if path.endswith("/reports"):
        found.add(422)
    return found


def _error(status: int) -> dict[str, Any]:
    shown = [*_HEADERS, *(["Retry-After"] if status in (409, 429, 503) else [])]
    headers = {name: _ref("headers", name) for name in shown}
    example = {"error": {"code": CODES[status], "message": _ERRORS[status], "details": {}}}
    content = _content()
    content["application/json"]["example"] = example
    return {"description": _ERRORS[status], "headers": headers, "content": content}


def _content() -> dict[str, Any]:
    return {"application/json": {"schema": _ref("schemas", "Error")}}


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _header(kind: str, said: str) -> dict[str, Any]:
    return {"description": said, "schema": {"type": kind}}


def _name(status: int) -> str:
    return f"Error{status}"
