"""What the check `constant_time` shows: its interface, steps, waveforms, and the way of a leak."""

from __future__ import annotations

from typing import Any

from openforge import plots_timing
from openforge.plots_timing import Wave
from openforge.record import CheckRecord
from openforge.view_rows import Rows, rows

_MOST_WAVES = 10
_FAR = 8  # cycles from a decision to its leak that one picture does not show well
_MOST_STATIONS = 40


def timing(record: CheckRecord) -> dict[str, Any]:
    """The tables of the check as rows, and their pictures; empty for a check without them."""
    interface = rows(record, "interface")
    if not interface:
        return {}
    flow, waves = rows(record, "flow"), rows(record, "waves")
    latencies = rows(record, "latencies")
    return {
        "interface": interface,
        "steps": rows(record, "steps"),
        "flow": flow,
        "path": plots_timing.path([_station(row) for row in flow]) if _fits(flow) else "",
        "waves": _waves(waves, _leak_cycle(record), _decision_cycle(flow)),
        "latencies": latencies,
        "histogram": _histogram(latencies),
    }


def _fits(flow: Rows) -> bool:
    return 2 <= len(flow) <= _MOST_STATIONS


def _station(row: dict[str, Any]) -> tuple[str, str, str]:
    cycle = f"cycle {row['cycle']}" if row["cycle"] is not None else ""
    place = f"{row['file']}:{row['line']}" if row["file"] else ""
    return row["role"], row["signal"], ", ".join(part for part in (cycle, place) if part)


def _leak_cycle(record: CheckRecord) -> int | None:
    metrics = record.result.metrics if record.result else ()
    return next((int(m.value) for m in metrics if m.name == "leak_cycle"), None)


def _decision_cycle(flow: Rows) -> int | None:
    return next((row["cycle"] for row in flow if row["role"] == "decision"), None)


def _waves(found: Rows, leak: int | None, decision: int | None) -> str:
    """The cycles around the leak, and before them those around the decision if it is earlier."""
    if not found or leak is None:
        return ""
    values: dict[str, dict[str, list[str]]] = {}
    for row in found:
        values.setdefault(row["signal"], {}).setdefault(row["copy"], []).append(row["value"])
    shown = [
        Wave(name, copies["a"], copies["b"]) for name, copies in values.items() if len(copies) == 2
    ]
    shown = shown[:_MOST_WAVES]
    pictures = []
    if shown and decision is not None and leak - decision > _FAR:
        pictures.append(plots_timing.waves(shown, decision, "the secret decides"))
    if shown:
        pictures.append(plots_timing.waves(shown, leak, "the leak is"))
    return "".join(pictures)


def _histogram(found: Rows) -> str:
    counts, later = (
        {row["cycles"]: row["operations"] for row in found if row["after_reset"] is first}
        for first in (True, False)
    )
    return plots_timing.histogram(counts, later) if len({*counts, *later}) > 1 else ""
