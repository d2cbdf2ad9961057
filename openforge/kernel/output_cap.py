"""Keeps an executed notebook readable: of long output only the head and the tail."""

from __future__ import annotations

from typing import Any

import nbformat

HEAD_BYTES = 64 << 10
TAIL_BYTES = 16 << 10
DISPLAY_BYTES = 8 << 20


class OutputCap:
    """What of one cell's output goes into the notebook; the log gets all of it."""

    def __init__(self) -> None:
        self._used = 0
        self._left_out = 0
        self._tail = ""

    def stream(self, text: str) -> str:
        """The part of `text` that still goes in."""
        room = max(0, HEAD_BYTES - self._used)
        self._used += len(text)
        head, rest = text[:room], text[room:]
        if rest:
            self._left_out += len(rest)
            self._tail = (self._tail + rest)[-TAIL_BYTES:]
        return head

    def finish(self, cell: Any) -> None:
        """Append the tail, after a line that says how much is missing and where it is."""
        if not self._left_out:
            return
        missing = self._left_out - len(self._tail)
        note = f"\n[... {missing:,} characters left out here; all of them are in log.jsonl ...]\n"
        text = (note if missing else "") + self._tail
        cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=text))


def fits(content: dict[str, Any]) -> bool:
    """Whether a display is small enough to be stored."""
    return sum(len(str(value)) for value in content.get("data", {}).values()) <= DISPLAY_BYTES
