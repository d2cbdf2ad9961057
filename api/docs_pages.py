"""``/docs`` (Swagger UI) and ``/redoc``, served from here to the last byte.

The assets come out of the wheel `fastapi-standalone-docs` (Swagger UI: Apache-2.0, ReDoc: MIT, with
their licences beside them); nothing of its code is run. Its build of ReDoc looks for its logo at
``<page>/logo-mini.svg`` instead of on the vendor's host.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
from string import Template

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_WHEEL = "fastapi_standalone_docs"
_START = """
SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.url,
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
_SWAGGER = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="$root/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-url="$root$openapi_url"></div>
<script src="$root/docs/assets/swagger-ui-bundle.js"></script>
<script>$start</script>
</body>
</html>
""")
_REDOC = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="data:,">
<style>body { margin: 0; }</style>
</head>
<body>
<redoc spec-url="$root$openapi_url"></redoc>
<script src="$root/redoc/redoc.standalone.js"></script>
</body>
</html>
""")


def _policy(*scripts: str) -> str:
    """The Content-Security-Policy of a page whose inline scripts are just these."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    sources = " ".join(("'self'", *(f"'sha256-{digest}'" for digest in digests)))
    return (
        f"default-src 'none'; script-src {sources}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class _Assets(StaticFiles):
    """Files that a browser may keep, but asks for by their ETag each time."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_docs(app: FastAPI, *, openapi_url: str = "/openapi.json") -> None:
    """Add the two pages to `app`, which was made with ``docs_url=None, redoc_url=None``."""

    def page(request: Request, template: Template, *scripts: str) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        values = {"title": app.title, "root": root, "openapi_url": openapi_url}
        escaped = {name: html.escape(value) for name, value in values.items()}
        text = template.substitute(escaped, start="".join(scripts))
        return HTMLResponse(text, headers={"Content-Security-Policy": _policy(*scripts)})

    @app.get("/docs", include_in_schema=False)
    async def swagger(request: Request) -> HTMLResponse:
        return page(request, _SWAGGER, _START)

    @app.get("/redoc", include_in_schema=False)
    async def redoc(request: Request) -> HTMLResponse:
        return page(request, _REDOC)

    app.mount("/docs/assets", _Assets(packages=[(_WHEEL, "static/swagger")]))
    app.mount("/redoc", _Assets(packages=[(_WHEEL, "static/redoc")]))
