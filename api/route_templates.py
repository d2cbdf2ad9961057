"""Which route took a request, as its full path template: ``/api/v1/jobs/{job_id}``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount
from starlette.types import Scope

UNMATCHED = "unmatched"


class RouteTemplates:
    """The path templates of an application's `routes`.

    ``scope["route"].path`` will not do: FastAPI 0.165 leaves the prefixes of included routers out
    of it, and sets no route for mounts and for plain Starlette routes. What routing always sets is
    ``scope["endpoint"]``; where one endpoint has several routes, the path decides.

    Limits
    ------
    Routes that are added later are not known, nor are those inside a mounted application.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = tuple(routes)  # keeps the endpoints alive, hence their ids unique
        self._by_endpoint: dict[int, list[tuple[re.Pattern[str], str]]] = {}
        for context in iter_route_contexts(self._routes):
            if context.path_format is None:
                continue  # a Host or another kind of route that has no path
            mount = isinstance(context.original_route, Mount)
            endpoint = context.app if mount else context.endpoint
            found = self._by_endpoint.setdefault(id(endpoint), [])
            found.append((context.path_regex, context.path_format))

    def of(self, scope: Scope) -> str:
        """The template of the route that took a request, after routing, or `UNMATCHED`."""
        found = self._by_endpoint.get(id(scope.get("endpoint")), [])
        if len(found) == 1:
            return found[0][1]
        root = scope.get("app_root_path", scope.get("root_path", ""))
        path = scope["path"].removeprefix(root)
        return next((template for regex, template in found if regex.match(path)), UNMATCHED)
