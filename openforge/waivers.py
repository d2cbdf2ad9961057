"""Waiver files: findings that are accepted, each with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from openforge.config import read_yaml
from openforge.errors import OpenForgeError
from openforge.model import Record


class Waiver(Record):
    """What is accepted: texts are shell patterns (``*``, ``?``), never regular expressions."""

    rule: str | None = None
    file: str | None = None
    line: int | None = Field(None, ge=1)
    message: str | None = None
    reason: str = Field(min_length=1)


_LIST = TypeAdapter(tuple[Waiver, ...])


def load(paths: Iterable[Path]) -> tuple[Waiver, ...]:
    """The waivers in `paths`. Raises OpenForgeError naming the file and the entry at fault."""
    return tuple(waiver for path in paths for waiver in _read(path))


def _read(path: Path) -> tuple[Waiver, ...]:
    try:
        data, _ = read_yaml(path)
        entries = data.get("waivers", data) if isinstance(data, dict) else data
        waivers = _LIST.validate_python(entries or ())
    except (ValidationError, OpenForgeError) as error:
        text = str(error).replace("openforge.yaml", path.name)
        raise OpenForgeError(f"the waiver file {path.name} is not valid: {text}") from None
    for number, waiver in enumerate(waivers, start=1):
        if not (waiver.rule or waiver.file or waiver.message):
            raise OpenForgeError(
                f"waiver {number} of {path.name} needs a rule, a file or a message"
            )
    return waivers
