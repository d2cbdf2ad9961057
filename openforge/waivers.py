"""Waiver files: findings that are accepted, each with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from openforge.config import read_yaml
from openforge.config_load import dotted
from openforge.errors import ConfigError, Problem
from openforge.model import Record


class Waiver(Record):
    """What is accepted: texts are shell patterns (``*``, ``?``), never regular expressions."""

    rule: str | None = None
    file: str | None = None
    line: int | None = Field(None, ge=1)
    message: str | None = None
    reason: str = Field(pattern=r"\S")

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if not (self.rule or self.file or self.message):
            raise ValueError("needs a rule, a file or a message")
        return self


class _File(Record):
    waivers: tuple[Waiver, ...] | None


def load(paths: Iterable[Path]) -> tuple[Waiver, ...]:
    """The waivers in `paths`. Raises ConfigError with the file and line of each fault."""
    return tuple(waiver for path in paths for waiver in _read(path))


def _read(path: Path) -> tuple[Waiver, ...]:
    """The waivers of a file: a list, or a mapping with the list as ``waivers``."""
    try:
        data, places = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(replace(problem, file=path.name) for problem in error.problems) from None
    mapping = isinstance(data, dict)
    text = json.dumps(data if mapping else {"waivers": data})
    try:
        return _File.model_validate_json(text, strict=True).waivers or ()
    except ValidationError as error:
        problems = []
        for fault in error.errors(include_url=False):
            where = fault["loc"] if mapping else fault["loc"][1:]
            place = next(
                places[where[:n]] for n in range(len(where), -1, -1) if where[:n] in places
            )
            message = fault["msg"].removeprefix("Value error, ")
            problems.append(Problem(dotted(where), message, *place, file=path.name))
        raise ConfigError(problems) from None
