"""Job -> one file to hand over. Another format is one more line in FORMATS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from jinja2 import Environment, TemplateError

from openforge import display, view, view_rows
from openforge.errors import OpenForgeError
from openforge.model import Stage, Verdict
from openforge.record import CheckRecord, JobRecord
from openforge.run_folder import altered

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!])")


class Format(StrEnum):
    """What a report can be."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


def report(
    job: JobRecord,
    format_: Format,
    include: Sequence[Stage] | None = None,
    template: Path | None = None,
) -> bytes:
    """The report of `job` in one self-contained file; `include` leaves the other stages out.

    Nothing in it is decided anew: it shows what the run folders say, and says so loudly when a
    folder was changed after it was sealed. `template` is a Jinja template to use instead of the
    shipped one; it sees values only, and can import ``parts.html``. Raises OpenForgeError when it
    cannot be used.
    """
    chosen = [c for c in job.checks if include is None or c.stage in include]
    return FORMATS[format_](job, chosen, template).encode("utf-8", errors="replace")


def results_json(job: JobRecord) -> dict[str, Any]:
    """The result of a job in the shape of ``GET /jobs/{id}/results`` of the REST contract."""
    return {"job_id": job.id, "overall_status": job.status, "stages": _stages(job.checks)}


def _stages(checks: Sequence[CheckRecord]) -> dict[str, Any]:
    stages: dict[str, Any] = {}
    for check in checks:
        if check.stage is Stage.CRYPTO:
            stages.setdefault(check.stage.value, {})[check.id] = _check(check)
        else:
            stages[check.stage.value] = _check(check)
    return stages


def _check(check: CheckRecord) -> dict[str, Any]:
    result = check.result
    shape: dict[str, Any] = {"status": check.status, **(result.summary if result else {})}
    reason = check.error or (result.reason if result else "")
    if reason and check.verdict is not Verdict.PASSED:
        shape["reason"] = reason
    return shape


def _values(job: JobRecord, checks: Sequence[CheckRecord]) -> dict[str, Any]:
    shown = [
        {**view.check(c), "facts": _facts(c), "command": view.command(job, c.stage.value)}
        for c in checks
    ]
    left_out = [check.id for check in job.checks if check not in checks]
    return {"job": view.job(job), "checks": shown, "left_out": left_out}


def _facts(check: CheckRecord) -> str:
    """The plain numbers of a result in a line."""
    if check.error or not check.result:
        return ""
    parts = []
    for name, value in check.result.summary.items():
        if isinstance(value, Mapping):
            shares = [f"{kind} {share} %" for kind, share in value.items() if share is not None]
            parts += [f"{name} " + ", ".join(shares)] if shares else []
        elif value is not None:
            parts.append(f"{name.replace('_', ' ')} {value}")
    return "; ".join(parts) or check.result.reason


def _html(job: JobRecord, checks: Sequence[CheckRecord], template: Path | None) -> str:
    return _render(display.environment(), template, "report.html", _values(job, checks))


def _markdown(job: JobRecord, checks: Sequence[CheckRecord], template: Path | None) -> str:
    made = display.environment().overlay(autoescape=False, trim_blocks=False, lstrip_blocks=False)
    made.filters = {**made.filters, "md": escape_markdown}
    text = _render(made, template, "report.md", _values(job, checks))
    return text if template else re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _render(
    environment: Environment, template: Path | None, shipped: str, values: Mapping[str, Any]
) -> str:
    if template is None:
        return environment.get_template(shipped).render(values)
    try:
        return environment.from_string(template.read_text(encoding="utf-8")).render(values)
    except (OSError, UnicodeDecodeError, TemplateError, TypeError, ValueError) as error:
        raise OpenForgeError(f"the report template {template} cannot be used: {error}") from error


def escape_markdown(text: object) -> str:
    """`text` on one line, with nothing in it that Markdown or HTML would act upon."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _json(job: JobRecord, checks: Sequence[CheckRecord], template: Path | None) -> str:
    if template is not None:
        raise OpenForgeError("a JSON report has a fixed shape: it takes no template")
    shape = {
        **results_json(job),
        "stages": _stages(checks),
        "project": job.file.project,
        "overrides": job.file.overrides,
        "left_out": [check.id for check in job.checks if check not in checks],
        "checks": {check.id: _details(check) for check in checks},
    }
    return json.dumps(shape, indent=2)


def _details(check: CheckRecord) -> dict[str, Any]:
    manifest = check.manifest
    return {
        "status": check.status,
        "error": check.error,
        "duration_s": manifest.duration_s if manifest else None,
        "altered": list(altered(check.path)) if manifest else [],
        "result": check.result.model_dump(mode="json") if check.result else None,
        "tests": view_rows.rows(check, "tests"),
        "properties": view_rows.rows(check, "properties"),
        "artifacts": [f.model_dump(mode="json") for f in manifest.files] if manifest else [],
    }


FORMATS: Mapping[Format, Callable[[JobRecord, Sequence[CheckRecord], Path | None], str]] = {
    Format.HTML: _html,
    Format.MARKDOWN: _markdown,
    Format.JSON: _json,
}
