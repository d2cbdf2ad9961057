"""The symbol table that Verilator writes into a model: which signals there are, and of what kind.

It is read from the C++ because the model itself does not know all of it: a queue, an unpacked
struct or a chandle is entered as if it were a plain bit vector, and reading one as that would give
numbers that mean nothing. Seen with Verilator 5.48.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openforge.errors import ToolError
from openforge.tools.verilator import PREFIX

PORTS = "TOP"  # the scope of the ports, as a user of the model sets and reads them
_VECTORS = frozenset({"VLVT_UINT8", "VLVT_UINT16", "VLVT_UINT32", "VLVT_UINT64", "VLVT_WDATA"})
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_SCOPE = re.compile(rf"\b(__Vscopep_\w+) = new VerilatedScope\{{this, {_TEXT}")
_ENTRY = re.compile(
    rf"\b(?P<scope>__Vscopep_\w+)->varInsert\({_TEXT}, &\((?:\w+\.)*(?P<member>\w+)\), false, "
    r"(?P<type>\w+), (?P<flags>[\w|]+), (?P<unpacked>\d+), (?P<packed>\d+)(?P<ranges>[-, \d]*)\)"
)
_BITS = r"(?:[CSIQ]Data|VlWide<\d+>)/\*-?\d+:-?\d+\*/"
_PLAIN = re.compile(rf"(?:VlUnpacked<)*{_BITS}(?:, \d+>)*")
_MEMBER = re.compile(r"^\s+(?P<type>[\w:].*?) (?P<name>\w+);$", re.MULTILINE)
_PORT = re.compile(r"^\s+VL_(?:IN|OUT|INOUT)(?:8|16|64|W)?\((?P<name>\w+),", re.MULTILINE)
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_PART = re.compile(r"(?P<base>\\[!-~]+(?: |$)|[A-Za-z_][A-Za-z0-9_$]*)(?P<indices>(?:\[-?\d+\])*)")
_INDEX = re.compile(r"\[(-?\d+)\]")
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


@dataclass(frozen=True)
class Variable:
    """A variable or net of the model.

    `bits` is the width of one element; `dimensions` are the unpacked ones, each as declared
    (left, right). `plain` says whether it is a bit vector or an array of bit vectors.
    """

    scope: str
    name: str
    bits: int
    dimensions: tuple[tuple[int, int], ...]
    is_input: bool
    plain: bool


@dataclass(frozen=True)
class Element:
    """A variable, or one element of an array."""

    variable: Variable
    indices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Symbols:
    """The variables of a model, by scope and name. `top` is the name of the top module."""

    top: str
    variables: Mapping[tuple[str, str], Variable] = field(repr=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the top's inputs, the clock among them, in no particular order."""
        return tuple(v.name for v in self.variables.values() if v.scope == PORTS and v.is_input)

    def input(self, name: str) -> Element:
        """The input `name` of the top, or an element of one: ``data`` or ``lanes[2]``."""
        parts = _parts(name)
        found = self.variables.get((PORTS, parts[0][0])) if len(parts) == 1 else None
        if found is None or not found.is_input:
            raise ToolError(f"'{self.top}' has no input '{name}'{_like(name, self.inputs)}")
        return _element(found, name, parts[-1][1])

    def signal(self, name: str, word: int | None = None) -> Element:
        """The signal `name` below the top, or its element `word`: ``u_core.gen[0].key``."""
        *path, (base, indices) = _parts(name)
        scope = ".".join([self.top, *(part + _brackets(numbers) for part, numbers in path)])
        found = self.variables.get((scope, base))
        if found is None:
            near = [v.name for v in self.variables.values() if v.scope == scope]
            lead = name[: len(name) - len(base + _brackets(indices))]
            hint = _like(base, near, lead) if near else f"; there is no scope '{scope}'"
            raise ToolError(f"'{self.top}' has no signal '{name}'{hint}")
        return _element(found, name, (*indices, *(() if word is None else (word,))))


def read(folder: Path, top: str) -> Symbols:
    """The symbols of the model whose C++ is in `folder`.

    Raises ToolError when there are none: the model was made without VPI, or by another Verilator.
    """
    texts = [path.read_text("utf-8") for path in sorted(folder.glob(f"{PREFIX}__Syms*.cpp"))]
    headers = [path.read_text("utf-8") for path in sorted(folder.glob(f"{PREFIX}*.h"))]
    plain = _plain(headers)
    scopes = {found[1]: _unescaped(found[2]) for text in texts for found in _SCOPE.finditer(text)}
    found = {(v.scope, v.name): v for text in texts for v in _variables(text, scopes, plain)}
    if not any(scope == PORTS for scope, _ in found):
        raise ToolError(f"Verilator wrote no symbol table of '{top}' to {folder}")
    return Symbols(top, found)


def _variables(text: str, scopes: Mapping[str, str], plain: frozenset[str]) -> Iterator[Variable]:
    for found in _ENTRY.finditer(text):
        limits = [int(number) for number in found["ranges"].replace(" ", "").split(",") if number]
        ranges = tuple(zip(limits[::2], limits[1::2], strict=True))
        unpacked = int(found["unpacked"])
        yield Variable(
            scope=scopes[found["scope"]],
            name=_unescaped(found[2]),
            bits=math.prod(abs(left - right) + 1 for left, right in ranges[unpacked:]),
            dimensions=ranges[:unpacked],
            is_input="VLVD_IN" in found["flags"].split("|"),
            plain=found["type"] in _VECTORS and found["member"] in plain,
        )


def _plain(headers: Iterable[str]) -> frozenset[str]:
    """The members that are bit vectors or arrays of them in every class that has one so named."""
    good: set[str] = set()
    bad: set[str] = set()
    for header in headers:
        good.update(found["name"] for found in _PORT.finditer(header))
        for found in _MEMBER.finditer(header):
            (good if _PLAIN.fullmatch(found["type"]) else bad).add(found["name"])
    return frozenset(good - bad)


def _unescaped(literal: str) -> str:
    """The text of a string literal of C."""
    return _ESCAPE.sub(lambda e: chr(int(e[1], 8)) if e[1][0] in "01234567" else e[1], literal)


def _parts(name: str) -> list[tuple[str, tuple[int, ...]]]:
    r"""The parts of a hierarchical name, each with its indices.

    An escaped identifier starts with a backslash and ends with a blank, as in Verilog; it may hold
    points and brackets.
    """
    parts: list[tuple[str, tuple[int, ...]]] = []
    position = 0
    while True:
        found = _PART.match(name, position)
        if not found:
            break
        parts.append((_base(found["base"]), tuple(map(int, _INDEX.findall(found["indices"])))))
        position = found.end()
        if position == len(name):
            return parts
        if name[position] != ".":
            break
        position += 1
    raise ToolError(
        f"{name!r} is no hierarchical name; one looks like u_core.gen[0].key, and an escaped "
        "identifier in it ends with a blank"
    )


def _base(text: str) -> str:
    if not text.startswith("\\"):
        return text
    body = text[1:].rstrip(" ")
    return body if _SIMPLE.fullmatch(body) else f"\\{body} "


def _brackets(numbers: Iterable[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _element(variable: Variable, name: str, indices: tuple[int, ...]) -> Element:
    """The element of `variable`. Raises ToolError for one that is not there, or is not plain."""
    if not variable.plain:
        raise ToolError(f"'{name}' is no bit vector; OpenForge cannot read or set such a variable")
    ranges = variable.dimensions
    inside = len(indices) == len(ranges) and all(
        min(pair) <= index <= max(pair) for index, pair in zip(indices, ranges, strict=True)
    )
    if inside:
        return Element(variable, indices)
    declared = "".join(f"[{left}:{right}]" for left, right in ranges) or "not an array"
    given = _brackets(indices) or "none"
    raise ToolError(f"'{name}' is {declared}; it needs an index for each of these, and got {given}")


def _like(name: str, names: Iterable[str], lead: str = "") -> str:
    near = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean '{lead}{near[0]}'?" if near else ""
