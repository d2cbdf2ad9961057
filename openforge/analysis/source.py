"""Where a part of a netlist comes from, and how messages call it."""

from __future__ import annotations

import re

from openforge.model import Location
from openforge.plain import plain

_SRC = re.compile(r"(?P<file>[^|]+?):(?P<line>\d+)(?:\.(?P<column>\d+))?")
_LONGEST = 80


def location(src: str) -> Location | None:
    """The first place in a ``src`` attribute, as ``rtl/a.sv:3.5-3.9|rtl/b.sv:1.1``."""
    match = _SRC.match(src)
    if match is None:
        return None
    column = match["column"]
    return Location(
        file=match["file"], line=int(match["line"]), column=int(column) if column else None
    )


def place(src: str) -> str:
    """``rtl/a.sv:3`` for a message; empty when it is not known."""
    found = location(src)
    return f"{named(found.file)}:{found.line}" if found else ""


def named(text: str) -> str:
    """A name of unknown origin on one line of bounded length."""
    line = " ".join(plain(text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
