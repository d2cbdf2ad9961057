"""What the sections of ``openforge.yaml`` are made of: kinds of values, and what they refuse."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

_POWER = re.compile(r"2\^(-?\d+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_EXPRESSION = re.compile(r"[\x00-\x1f\x7f;`\"\\{}$@#]|//|/\*|(?<![<>=!])=(?!=)")


def _inside(pattern: str) -> str:
    """A glob or path that stays inside the project. Raises ValueError."""
    path = PurePosixPath(pattern)
    if not pattern or path.is_absolute() or ".." in path.parts or "\0" in pattern:
        raise ValueError("must be a relative path inside the project, without '..'")
    return pattern


def _power_of_two(value: Any) -> Any:
    """Accept ``2^-30`` for a number, as the literature writes it."""
    match = _POWER.fullmatch(value.strip()) if isinstance(value, str) else None
    return 2.0 ** int(match[1]) if match and abs(int(match[1])) < 1000 else value


def _text(value: Any) -> Any:
    """Accept a number where a text is wanted: YAML reads ``WIDTH: 12`` as one."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value) if isinstance(value, int | float) else value


def _spelled(value: Any) -> Any:
    """Refuse ``1.10`` without quotes, which YAML reads as 1.1."""
    if isinstance(value, float):
        raise ValueError("must be in quotes, or YAML changes its spelling")
    return _text(value)


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    return text


def _expression(text: str) -> str:
    """One side-effect free Verilog expression: it becomes part of a module. Raises ValueError."""
    if not text.strip() or _NO_EXPRESSION.search(text):
        raise ValueError("must be a Verilog expression over names, numbers and operators")
    return text


_TEXTUAL = WithJsonSchema({"type": ["string", "number", "boolean"]})
_NUMERIC = WithJsonSchema(
    {"anyOf": [{"type": "number"}, {"type": "string", "pattern": _POWER.pattern}]}
)

Glob = Annotated[str, Field(max_length=1000), AfterValidator(_inside)]
Globs = tuple[Glob, ...]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$", max_length=1000)]
Signal = Annotated[
    str, Field(pattern=r"^[A-Za-z_][\w$]*(\[\d+(:\d+)?\]|\.[A-Za-z_][\w$]*)*$", max_length=1000)
]
Expression = Annotated[str, Field(max_length=1000), AfterValidator(_expression)]
Text = Annotated[
    str, Field(max_length=1000), BeforeValidator(_text), AfterValidator(_one_line), _TEXTUAL
]
Version = Annotated[
    str, Field(max_length=100), BeforeValidator(_spelled), AfterValidator(_one_line)
]
Reason = Annotated[str, Field(pattern=r"\S", max_length=1000)]
Number = Annotated[float, BeforeValidator(_power_of_two), _NUMERIC]
Probability = Annotated[Number, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600)]
Percent = Annotated[float, Field(ge=0, le=100)]
Modulus = Annotated[int, Field(ge=2, lt=1 << 64)]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
Depth = Annotated[int, Field(ge=1, le=100_000)]


class Section(BaseModel):
    """A part of the project file; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
