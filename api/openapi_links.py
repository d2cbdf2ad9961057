"""Links of the OpenAPI document: what the answer of one operation is good for in others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_VARIABLE = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Source:
    """Where parameters come from: `values` are runtime expressions, by parameter.

    `leads_to` is one operation, or a path: all operations at or beneath it that need just these.
    """

    operation: str
    status: str
    leads_to: str
    values: dict[str, str]


_HERE = "$request.path.id"
SOURCES = (
    Source("projects_create", "201", "/api/v1/projects/{id}", {"id": "$response.body#/id"}),
    Source("projects_list", "200", "projects_get", {"id": "$response.body#/projects/0/id"}),
    Source("files_upload", "200", "jobs_submit", {"id": _HERE}),
    Source(
        "files_upload",
        "200",
        "/api/v1/projects/{id}/files/{name}",
        {"id": _HERE, "name": "$response.body#/files/0"},
    ),
    Source(
        "files_list",
        "200",
        "/api/v1/projects/{id}/files/{name}",
        {"id": _HERE, "name": "$response.body#/files/0/name"},
    ),
    Source("jobs_submit", "202", "/api/v1/jobs/{id}", {"id": "$response.body#/job_id"}),
    Source("jobs_retry", "202", "/api/v1/jobs/{id}", {"id": "$response.body#/job_id"}),
    Source("jobs_list", "200", "jobs_get", {"id": "$response.body#/jobs/0/job_id"}),
    Source("jobs_list_of_project", "200", "jobs_get", {"id": "$response.body#/jobs/0/job_id"}),
    Source(
        "artifacts_list",
        "200",
        "artifacts_download",
        {"id": _HERE, "name": "$response.body#/artifacts/0/name"},
    ),
    Source(
        "webhooks_register", "201", "/api/v1/webhooks/{id}", {"id": "$response.body#/webhook_id"}
    ),
    Source("webhooks_list", "200", "webhooks_get", {"id": "$response.body#/webhooks/0/webhook_id"}),
    Source(
        "webhooks_ping",
        "202",
        "webhooks_redeliver",
        {"id": _HERE, "delivery_id": "$response.body#/delivery_id"},
    ),
    Source(
        "webhooks_list_deliveries",
        "200",
        "webhooks_redeliver",
        {"id": _HERE, "delivery_id": "$response.body#/deliveries/0/delivery_id"},
    ),
    Source("tokens_create", "201", "tokens_revoke", {"token_id": "$response.body#/token_id"}),
)


def add(paths: dict[str, Any]) -> None:
    """Add the links to the operations in `paths`."""
    known = {
        operation["operationId"]: (path, operation)
        for path, operations in paths.items()
        for operation in operations.values()
    }
    for source in SOURCES:
        _, operation = known[source.operation]
        links = operation["responses"][source.status].setdefault("links", {})
        for target in _targets(source, known):
            links[target] = {
                "operationId": target,
                "description": known[target][1]["summary"],
                "parameters": source.values,
            }


def _targets(source: Source, known: dict[str, tuple[str, Any]]) -> Iterator[str]:
    if source.leads_to in known:
        yield source.leads_to
        return
    for name, (path, _) in known.items():
        needs = set(_VARIABLE.findall(path))
        if path.startswith(source.leads_to) and needs == set(source.values):
            yield name
