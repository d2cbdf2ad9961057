"""Records as the templates want them: plain values, ready to be shown, nothing decided anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openforge import checks, plots
from openforge.errors import NotFound
from openforge.model import Finding
from openforge.record import CheckRecord, JobRecord
from openforge.run_folder import altered

if TYPE_CHECKING:
    import pandas as pd

_MAX_UNCOVERED = 60
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
    }


def check(record: CheckRecord) -> dict[str, Any]:
    """A check for the report and for its notebook."""
    result, manifest = record.result, record.manifest
    found = result.findings if result else ()
    return {
        "id": record.id,
        "stage": record.stage.value,
        "status": record.status,
        "symbol": SYMBOLS[record.status],
        "error": record.error,
        "result": result,
        **_declared(record.id),
        "duration_s": _duration(record),
        "altered": altered(record.path) if manifest else (),
        "files": manifest.files if manifest else (),
        "findings": [_finding(f) for f in found if f.waived_by is None],
        "waived": [_finding(f) for f in found if f.waived_by is not None],
        "tests": _rows(record.table("tests")),
        "properties": _rows(record.table("properties")),
        "coverage": coverage(record),
        "test_plot": _test_plot(record),
    }


def coverage(record: CheckRecord) -> dict[str, Any]:
    """Coverage by kind and file; empty when none was measured."""
    points = record.table("coverage")
    percent = _percent(record)
    if points.empty or not percent:
        return {}
    goals = _goals(record)
    files = []
    grouped: Any = points.groupby("file", sort=True, dropna=False)
    for name, group in grouped:
        kinds = {str(kind): _reached(rows) for kind, rows in group.groupby("kind")}
        missed = group[(group.kind == "line") & (group.hits == 0)]
        files.append({"name": name, "kinds": kinds, "missed": _ranges(missed.line)})
    open_points = points[(points.hits == 0) & points.kind.isin(["fsm_state", "fsm_arc", "user"])]
    return {
        "percent": percent,
        "goals": goals,
        "files": files,
        "kinds": sorted({kind for file in files for kind in file["kinds"]}),
        "plot": plots.coverage(percent, goals),
        "open": _rows(open_points.head(_MAX_UNCOVERED)),
    }


def _reached(points: pd.DataFrame) -> str:
    """Share of points that were hit, and how many there are."""
    return f"{100.0 * float((points['hits'] > 0).mean()):.1f} % of {len(points)}"


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, with None where there is no value (pandas has NaN there)."""
    whole = frame.astype(object)
    return [
        {str(k): v for k, v in r.items()}
        for r in whole.where(frame.notna(), None).to_dict("records")
    ]


def _declared(name: str) -> dict[str, str]:
    try:
        entry = checks.find(name)
    except NotFound:  # a run of a later version, with checks that are not known here
        return {"title": name, "standard": ""}
    return {"title": entry.title, "standard": entry.standard}


def _duration(record: CheckRecord) -> float | None:
    if record.manifest:
        return record.manifest.duration_s
    source = record.result.provenance if record.result else None
    return source.duration_s if source else None


def _finding(finding: Finding) -> dict[str, Any]:
    place = finding.location
    caret = ""
    if finding.excerpt and place and place.column:
        lead = finding.excerpt[: place.column - 1]
        caret = re.sub(r"[^\t]", " ", lead) + "^"
    return {**finding.model_dump(mode="json"), "place": str(place) if place else "", "caret": caret}


def _percent(record: CheckRecord) -> dict[str, float]:
    measured = record.result.summary.get("coverage") if record.result else None
    if not isinstance(measured, Mapping):
        return {}
    return {k: float(v) for k, v in measured.items() if isinstance(v, int | float)}


def _goals(record: CheckRecord) -> dict[str, float]:
    source = record.result.provenance if record.result else None
    goals = source.params.get("coverage_goals") if source else None
    if not isinstance(goals, Mapping):
        return {}
    return {k: float(v) for k, v in goals.items() if isinstance(v, int | float)}


def _ranges(lines: Any) -> str:
    """``[1, 2, 3, 7]`` as "1-3, 7"."""
    parts: list[list[int]] = []
    for line in sorted({int(n) for n in lines.dropna()}):
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _test_plot(record: CheckRecord) -> str:
    frame = record.table("tests")
    if not 2 <= len(frame) <= 60:
        return ""
    names = [f"{row.module}.{row.name}" for row in frame.itertuples()]
    bad = [status in ("failed", "timeout", "crashed") for status in frame.status]
    return plots.durations(names, list(frame.duration_s.fillna(0.0)), bad)
