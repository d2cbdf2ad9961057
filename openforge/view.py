"""Records as the templates want them: plain values, ready to be shown, nothing decided anew."""

from __future__ import annotations

import functools
import json
import re
import shlex
from datetime import datetime
from typing import Any

from openforge import checks, excerpt, plots, resources, view_power, view_timing
from openforge.errors import NotFound
from openforge.model import Finding
from openforge.record import PROJECT, CheckRecord, JobRecord
from openforge.run_folder import altered
from openforge.view_coverage import coverage
from openforge.view_rows import Rows, rows

_MAX_PLOTTED = 60
_CLAIM = re.compile(r"\*\*(.+?):\*\*\s*(.+)", re.DOTALL)
_GOOD = ("passed", "skipped", "proven", "covered")
SYMBOLS = {
    "passed": "✓",
    "failed": "✗",
    "inconclusive": "?",
    "error": "!",
    "skipped": "–",
    "cancelled": "×",
    "running": "…",
    "queued": "·",
}


def span(seconds: float | None) -> str:
    """A duration as the REST contract writes it: "2.1s", "5m30s", "1h05m"."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def size(count: int) -> str:
    """A number of bytes as "812 B", "4.2 kB", "1.3 MB"."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def decimal(value: float | None) -> str:
    """A number with three digits that count: "0.0312", "4.57", "3,082"."""
    if value is None:
        return ""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def moment(text: str | None) -> str:
    """An ISO 8601 time as "2026-01-15 10:30:02 UTC"."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S %Z}".strip() if text else ""


def job(record: JobRecord) -> dict[str, Any]:
    """A job for the report."""
    return {
        "id": record.id,
        "project": record.file.project,
        "status": record.status,
        "symbol": SYMBOLS[record.status],
        "error": record.error,
        "submitted_at": record.file.submitted_at,
        "overrides": record.file.overrides,
        "duration_s": _job_seconds(record),
        "timeline": _timeline(record),
    }


def check(record: CheckRecord) -> dict[str, Any]:
    """A check for the report and for its notebook."""
    result, manifest = record.result, record.manifest
    found = result.findings if result else ()
    tests, properties = rows(record, "tests"), rows(record, "properties")
    return {
        "id": record.id,
        "stage": record.stage.value,
        "status": record.status,
        "symbol": SYMBOLS[record.status],
        "error": record.error,
        "result": result,
        **_declared(record.id),
        "claims": claims(record.id),
        "duration_s": _duration(record),
        "altered": altered(record.path) if manifest else (),
        "files": manifest.files if manifest else (),
        "findings": [_finding(record, f) for f in found if f.waived_by is None],
        "waived": [_finding(record, f) for f in found if f.waived_by is not None],
        "tests": _worst_first([{**t, **_told(record, t)} for t in tests]),
        "properties": _worst_first(properties),
        "coverage": coverage(record, rows(record, "coverage")),
        "test_plot": _plot([f"{t['module']}.{t['name']}" for t in tests], tests, "duration_s"),
        "timing": view_timing.timing(record),
        "power": view_power.Power(record),
        "property_plot": _plot([str(p["name"]) for p in properties], properties, "depth"),
    }


def command(record: JobRecord, stage: str) -> str:
    """The command that runs a stage again on the job's own copy of the project."""
    words = ["openforge", "run", PROJECT, "--stage", stage]
    for path, value in record.file.overrides.items():
        words += ["--set", f"{path}={json.dumps(value)}"]
    return shlex.join(words)


@functools.cache
def claims(name: str) -> tuple[tuple[str, str], ...]:
    """What a check claims, by what, and what it does not: the head of its notebook, as text."""
    file = resources.folder("notebooks") / "checks" / f"{name}.ipynb"
    if not file.is_file():  # a run of a later version, with checks that are not known here
        return ()
    head = "".join(json.loads(file.read_text(encoding="utf-8"))["cells"][0]["source"])
    paragraphs = [" ".join(p.split()).replace("`", "") for p in head.split("\n\n")]
    return tuple((m[1], m[2]) for p in paragraphs if (m := _CLAIM.match(p)))


def _declared(name: str) -> dict[str, str]:
    try:
        entry = checks.find(name)
    except NotFound:
        return {"title": name, "standard": ""}
    return {"title": entry.title, "standard": entry.standard}


def _duration(record: CheckRecord) -> float | None:
    if record.manifest:
        return record.manifest.duration_s
    source = record.result.provenance if record.result else None
    return source.duration_s if source else None


def _finding(record: CheckRecord, finding: Finding) -> dict[str, Any]:
    return {
        **finding.model_dump(mode="json"),
        "place": str(finding.location) if finding.location else "",
        "lines": excerpt.around(record.path.parent / PROJECT, finding),
    }


def _told(record: CheckRecord, test: dict[str, Any]) -> dict[str, str]:
    """Message and traceback with paths from the project on: where a job lies tells nothing."""
    folder = f"{record.path.parent / PROJECT}/"
    return {key: (test[key] or "").replace(folder, "") for key in ("message", "traceback")}


def _worst_first(found: Rows) -> Rows:
    return sorted(found, key=lambda row: row["status"] in _GOOD)


def _plot(names: list[str], found: Rows, column: str) -> str:
    """Bars of a column, where there are enough rows to compare and few enough to read."""
    if not 2 <= len(found) <= _MAX_PLOTTED or len({row[column] for row in found}) < 2:
        return ""
    values = [float(row[column] or 0.0) for row in found]
    bad = [row["status"] not in _GOOD for row in found]
    return plots.bars(names, values, bad, unit="seconds" if column == "duration_s" else "cycles")


def _job_seconds(record: JobRecord) -> float | None:
    if not record.file.started_at or not record.file.finished_at:
        return None
    return _seconds(record.file.started_at, record.file.finished_at)


def _timeline(record: JobRecord) -> str:
    start, sealed = record.file.started_at, [c for c in record.checks if c.manifest]
    if start is None or len(sealed) < 2:
        return ""
    manifests = [c.manifest for c in sealed if c.manifest]
    starts = [max(0.0, _seconds(start, m.started_at)) for m in manifests]
    titles = [_declared(c.id)["title"] for c in sealed]
    return plots.timeline(titles, starts, [m.duration_s for m in manifests])


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
