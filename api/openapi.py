"""The OpenAPI 3.1 document: what every operation can answer, with its headers and errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api import openapi_links as links
from api import openapi_words as words
from api import schemas
from api.errors import CODES
from api.routing import HEADER, REPLAYED

Shape = dict[str, Any]
_JSON = "application/json"
_OPEN = "/api/v1/health"  # needs no token
_MAKES = ("projects_create", "jobs_submit", "jobs_retry", "webhooks_register")  # say where it is
_NAMES_OTHERS = ("jobs_list", "webhooks_register", "tokens_create")  # a project, which may be gone
_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "carried out once for each key, for 24 hours",
    "schema": {
        "type": "string",
        "description": "carried out once for each key, for 24 hours",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]+$",
    },
    "example": "5f1d0b7a-nightly",
}


def install(app: FastAPI) -> None:
    """Have `app` serve the complete document at /openapi.json."""

    def document() -> Shape:
        if not app.openapi_schema:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> Shape:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=words.SUMMARY,
        description=words.DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        tags=[{"name": name, "description": said} for name, said in words.TAGS.items()],
        servers=[{"url": "/", "description": "this service"}],
        routes=app.routes,
    )
    parts = found["components"]
    parts["schemas"] = _schemas(parts["schemas"])
    parts["headers"] = {name: header.shape() for name, header in words.HEADERS.items()}
    parts["responses"] = {_name(status): _error(status) for status in words.ERRORS}
    parts["securitySchemes"] = words.SECURITY
    tokens: list[Shape] = [{name: []} for name in words.SECURITY]
    needed = tokens if app.state.service.settings.auth_enabled else [*tokens, {}]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
            operation["security"] = [] if path == _OPEN else needed
            _exemplify(operation, parts["schemas"])
    links.add(found["paths"])
    payload = parts["schemas"]["WebhookPayload"]["examples"][0]
    found["webhooks"] = {
        event: _webhook(event, said, {**payload, "event": event, **example})
        for event, (said, example) in words.WEBHOOKS.items()
    }
    return found


def _schemas(found: Shape) -> Shape:
    """The components, with those that no route names, and without titles that repeat a name."""
    more = (schemas.Error, schemas.WebhookPayload)
    _, shapes = models_json_schema(
        [(model, "serialization") for model in more], ref_template="#/components/schemas/{model}"
    )
    left_out = ("HTTPValidationError", "ValidationError")
    kept = {name: shape for name, shape in found.items() if name not in left_out}
    kept = dict(sorted({**shapes["$defs"], **kept}.items()))
    kept["JsonValue"]["description"] = "Any JSON value."
    kept["Stage"]["description"] = "A part of a job that is asked for by name."
    for name, shape in kept.items():
        # FastAPI drops null from examples, and pydantic sorts them
        extra = getattr(getattr(schemas, name, None), "model_config", {}).get("json_schema_extra")
        shape.update(extra if isinstance(extra, dict) else {})
    kept["ProjectSort"]["x-enum-varnames"] = [order.name for order in schemas.ProjectSort]
    for shape in kept.values():
        for field in shape.get("properties", {}).values():
            field.pop("title", None)
    return kept


def _complete(path: str, method: str, operation: Shape) -> None:
    """Add what every operation shares."""
    responses = operation["responses"]
    responses.pop("422", None)
    for status, response in responses.items():
        names = [*words.EVERYWHERE, *_headers(operation["operationId"], method, int(status))]
        response["headers"] = {name: _ref("headers", name) for name in names} | response.get(
            "headers", {}
        )
        if int(status) in words.ERRORS:
            response.setdefault("content", _error(int(status))["content"])
    for status in _statuses(path, method, operation["operationId"]):
        responses.setdefault(str(status), _ref("responses", _name(status)))
    operation["responses"] = dict(sorted(responses.items()))
    parameters = operation.setdefault("parameters", [])
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    for part in [*parameters, *([body] if body else [])]:
        part["schema"] = _without_null(part["schema"])
    if method == "post":
        parameters.append(_KEY)


def _headers(name: str, method: str, status: int) -> list[str]:
    """The headers that a response has besides those that are everywhere."""
    found = ["Location"] if name in _MAKES else []
    found += [REPLAYED] if method == "post" else []
    return [*found, *(["Retry-After"] if status == HTTPStatus.SERVICE_UNAVAILABLE else [])]


def _statuses(path: str, method: str, name: str) -> set[int]:
    """The errors that an operation can answer."""
    found = {400, 403, 429, 500, 503}
    if path != _OPEN:
        found.add(401)
    if "{" in path or name in _NAMES_OTHERS:
        found.add(404)
    if method in ("post", "put"):
        found |= {409, 413, 415}
    if path.endswith("/reports"):
        found.add(422)
    return found


def _without_null(shape: Shape) -> Shape:
    """The schema of a parameter or body: what is not there is left out, nobody says null."""
    options = [option for option in shape.pop("anyOf", []) if option != {"type": "null"}]
    assert len(options) <= 1
    shape.pop("title", None)
    return {**next(iter(options), {}), **shape}


def _exemplify(operation: Shape, components: Shape) -> None:
    """Show the example of each JSON body where it is read: beside the operation."""
    bodies = {"": operation.get("requestBody", {}), **operation["responses"]}
    for status, body in bodies.items():
        content = body.get("content", {}).get(_JSON, {})
        named = str(content.get("schema", {}).get("$ref", ""))
        model = components.get(named.rpartition("/")[2], {})
        if "example" not in content and "examples" in model:
            said = words.EXAMPLES.get((operation["operationId"], status), {})
            content["example"] = model["examples"][0] | said


def _error(status: int) -> Shape:
    said = words.ERRORS[status]
    names = [
        *words.EVERYWHERE,
        *said.headers,
    ]
    body = {"code": CODES[status].value, "message": said.message, "details": said.details}
    return {
        "description": said.said,
        "headers": {name: _ref("headers", name) for name in names},
        "content": {_JSON: {"schema": _ref("schemas", "Error"), "example": {"error": body}}},
    }


def _webhook(event: str, said: str, example: Shape) -> Shape:
    """What a registered webhook is sent, as its receiver sees it."""
    signed = [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": about,
            "schema": {"type": "string"},
            "example": shown,
        }
        for name, (about, shown) in words.SIGNED.items()
    ]
    body = {"schema": _ref("schemas", "WebhookPayload"), "example": example}
    operation = {
        "summary": said,
        "operationId": f"on_{event.replace('.', '_')}",
        "tags": ["webhooks"],
        "security": [],
        "parameters": signed,
        "requestBody": {"required": True, "content": {_JSON: body}},
        "responses": {"200": {"description": words.RECEIVED}},
    }
    return {"post": operation}


def _ref(kind: str, name: str) -> Shape:
    return {"$ref": f"#/components/{kind}/{name}"}


def _name(status: int) -> str:
    return f"Error{status}"
