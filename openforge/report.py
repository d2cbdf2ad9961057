"""Job -> one file to hand over. Another format is one more line in FORMATS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from openforge import display, view
from openforge.model import Stage, Verdict
from openforge.record import CheckRecord, JobRecord

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!])")


class Format(StrEnum):
    """What a report can be."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


def report(job: JobRecord, format_: Format, include: Sequence[Stage] | None = None) -> bytes:
    """The report of `job` in one self-contained file; `include` leaves the other stages out.

    Nothing in it is decided anew: it shows what the run folders say, and says so loudly when a
    folder was changed after it was sealed.
    """
    chosen = [c for c in job.checks if include is None or c.stage in include]
    return FORMATS[format_](job, chosen).encode("utf-8")


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
    shown = [{**view.check(check), "facts": _facts(check)} for check in checks]
    left_out = [check.id for check in job.checks if check not in checks]
    return {"job": view.job(job), "checks": shown, "left_out": left_out}


def _facts(check: CheckRecord) -> str:
    """The plain numbers of a result in a line."""
    summary = check.result.summary if check.result else {}
    parts = []
    for name, value in summary.items():
        if isinstance(value, Mapping):
            parts += [f"{kind} {name} {percent} %" for kind, percent in value.items()]
        else:
            parts.append(f"{value} {name.replace('_', ' ')}")
    return ", ".join(parts)


def _html(job: JobRecord, checks: Sequence[CheckRecord]) -> str:
    return display.environment().get_template("report.html").render(_values(job, checks))


def _markdown(job: JobRecord, checks: Sequence[CheckRecord]) -> str:
    made = display.environment().overlay(autoescape=False)
    made.filters["md"] = escape_markdown
    return made.get_template("report.md").render(_values(job, checks))


def escape_markdown(text: object) -> str:
    """`text` on one line, with nothing in it that Markdown or HTML would act upon."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _json(job: JobRecord, checks: Sequence[CheckRecord]) -> str:
    details = {
        check.id: check.result.model_dump(mode="json") if check.result else None for check in checks
    }
    shape = {**results_json(job), "stages": _stages(checks)}
    return json.dumps({**shape, "project": job.file.project, "checks": details}, indent=2)


FORMATS: Mapping[Format, Callable[[JobRecord, Sequence[CheckRecord]], str]] = {
    Format.HTML: _html,
    Format.MARKDOWN: _markdown,
    Format.JSON: _json,
}
