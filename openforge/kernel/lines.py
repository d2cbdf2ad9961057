"""Whole lines out of the pieces in which a kernel sends what is printed."""

from __future__ import annotations

from collections.abc import Iterator

MAX_LINE = 10_000


class Lines:
    """Keeps the begun line of each stream until its end comes: a piece may end anywhere."""

    def __init__(self) -> None:
        self._begun: dict[str, str] = {}

    def add(self, stream: str, text: str) -> Iterator[str]:
        """The lines of `stream` that end in `text`; of a very long line, its beginning."""
        *whole, begun = (self._begun.pop(stream, "") + text).split("\n")
        for line in whole:
            yield line.removesuffix("\r")[:MAX_LINE]
        if begun:
            self._begun[stream] = begun[: MAX_LINE + 1]

    def rest(self) -> Iterator[tuple[str, str]]:
        """The lines that never ended, with their streams."""
        for stream, line in self._begun.items():
            yield stream, line[:MAX_LINE]
        self._begun.clear()
