"""Source lines with how much of what comes from them leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openforge import excerpt
from openforge.view_fields import cut, size
from openforge.view_rows import Rows, grouped

_MOST_FILES, _MOST_LINES = 8, 120
_LONGEST_LINE = 200


def heat(project: Path, found: Rows) -> list[dict[str, Any]]:
    """The lines around those with leaking nets, a file each, the strongest first.

    `found` are rows of the table ``source_heat``. Each line has its number and text, a share from
    0 to 100 of the strongest -log10 p of all, and how many of its nets leak. A `number` of None
    stands for lines left out. Sources are read from `project` alone.
    """
    known = [row for row in found if row["file"] and row["line"]]
    top = max((size(row["log10_p"]) for row in known), default=0.0) or 1.0
    files = grouped(known, "file")
    hot = {
        name: max(size(row["log10_p"]) for row in of_file if row["leaking"])
        for name, of_file in files.items()
        if any(row["leaking"] for row in of_file)
    }
    listed = []
    for name in sorted(hot, key=lambda name: -hot[name])[:_MOST_FILES]:
        by_line = {row["line"]: row for row in files[name]}
        lines = _around(excerpt.read(project, name), by_line, top)
        listed.append(
            {"name": name, "lines": lines[:_MOST_LINES], "more": max(0, len(lines) - _MOST_LINES)}
        )
    return listed


def _around(
    texts: Sequence[str], by_line: Mapping[int, dict[str, Any]], top: float
) -> list[dict[str, Any]]:
    near = {
        row["line"] + offset
        for row in by_line.values()
        if row["leaking"]
        for offset in range(-excerpt.CONTEXT, excerpt.CONTEXT + 1)
    }
    there = range(1, len(texts) + 1)
    shown: list[dict[str, Any]] = []
    before = None
    for number in sorted(near & {*there, *by_line}):
        if before is not None and number > before + 1:
            shown.append(_line(None, "", None, top))
        text = cut(texts[number - 1], _LONGEST_LINE) if number in there else ""
        shown.append(_line(number, text, by_line.get(number), top))
        before = number
    return shown


def _line(number: int | None, text: str, row: dict[str, Any] | None, top: float) -> dict[str, Any]:
    strength = size(row["log10_p"]) if row else 0.0
    return {
        "number": number,
        "text": text,
        "share": round(100 * min(strength, top) / top),
        "log10_p": row["log10_p"] if row else None,
        "nets": row["nets"] if row else None,
        "leaking": (row["leaking"] or 0) if row else 0,
    }
