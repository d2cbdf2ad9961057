"""Loading ``openforge.yaml``: safe YAML with positions, overrides, and errors that name the cure."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, JsonValue, ValidationError

from openforge.errors import ConfigError, OpenForgeError, Problem
from openforge.globs import resolve_globs
from openforge.schema import (
    Config,
    FormalSection,
    LintSection,
    SimulationSection,
    json_schema,
)

__all__ = [
    "FILE", "Config", "FormalSection", "LintSection", "SimulationSection", "json_schema", "load",
    "parse_override", "resolve_globs",
]

FILE = "openforge.yaml"
_MAX_BYTES = 1 << 20
_MAX_NODES = 20_000
_MAX_DEPTH = 40

Path_ = tuple[str | int, ...]
Places = dict[Path_, tuple[int, int]]


def load(project_dir: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of the project in `project_dir`, with dotted-path `overrides` applied.

    Raises ConfigError with every problem found, each with its line and the nearest right name.
    """
    data, places = _read(project_dir / FILE)
    problems: list[Problem] = []
    for dotted, value in (overrides or {}).items():
        path = tuple(dotted.split("."))
        if known(path):
            problems += _set(data, path, value)
        else:
            message = "unknown field in an override"
            problems.append(Problem(dotted, message, suggestion=_suggest(path)))
    if problems:
        raise ConfigError(problems)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_problem(e, places) for e in error.errors()) from None


def parse_override(text: str) -> tuple[str, JsonValue]:
    """``a.b=c`` as path and value; the value is YAML, so numbers, lists and ``{}`` work.

    Raises OpenForgeError when it is not of that form.
    """
    dotted, equals, value = text.partition("=")
    if not equals or not dotted.strip():
        raise OpenForgeError(f"an override is written field=value, not '{text}'")
    try:
        return dotted.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise OpenForgeError(f"the value of {dotted.strip()} is not valid YAML: {value}") from None


def read_yaml(path: Path) -> tuple[Any, Places]:
    """The content of a small YAML file, with line and column (from 1) of every path in it.

    Tags, duplicate keys, cycles and alias bombs are refused. Raises ConfigError.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([Problem("", f"there is no {path.name} in {path.parent}")]) from None
    except OSError as error:
        raise ConfigError([Problem("", f"cannot read {path}: {error.strerror}")]) from None
    if len(raw) > _MAX_BYTES:
        raise ConfigError([Problem("", f"is larger than {_MAX_BYTES >> 20} MB")])
    try:
        text = raw.decode("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError([Problem("", f"is not UTF-8 (byte {error.start})")]) from None
    except RecursionError:
        raise ConfigError([Problem("", "is nested too deeply")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        what = getattr(error, "problem", None) or str(error)
        raise ConfigError([Problem("", f"is not valid YAML: {what}", *place)]) from None
    if root is None:
        return None, {}
    builder = _Builder()
    return builder.build(root, ()), builder.places


def _read(path: Path) -> tuple[dict[str, Any], Places]:
    data, places = read_yaml(path)
    if data is None:
        raise ConfigError([Problem("", "is empty; `project` and `design` are required")])
    if not isinstance(data, dict):
        raise ConfigError([Problem("", "must be a mapping with `project` and `design`", 1, 1)])
    return data, places


class _Builder:
    """Turns YAML nodes into plain values, keeping where each came from."""

    def __init__(self) -> None:
        self.places: Places = {}
        self._count = 0
        self._safe = yaml.SafeLoader("")

    def build(self, node: yaml.Node, path: Path_) -> Any:
        self._count += 1
        if self._count > _MAX_NODES or len(path) > _MAX_DEPTH:
            self._fail(node, path, "the file expands to too much (aliases within aliases?)")
        self.places.setdefault(path, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, n)) for n, item in enumerate(node.value)]
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._fail(node, path, f"YAML tags are not allowed: {node.tag}")
        value = self._scalar(node, path)
        # Dates are texts here: `version: 2024-01-01` names a version.
        return value if isinstance(value, str | int | float | bool | None) else node.value

    def _scalar(self, node: yaml.Node, path: Path_) -> Any:
        try:
            return self._safe.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._fail(node, path, f"is not a valid value: {node.value}")

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        if node.tag != "tag:yaml.org,2002:map":
            self._fail(node, path, f"YAML tags are not allowed: {node.tag}")
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fail(key_node, path, "a field's name must be a plain word")
            key = key_node.value
            if key in built:
                self._fail(key_node, (*path, key), "this field is there twice")
            self.places[(*path, key)] = _place(key_node)
            built[key] = self.build(value_node, (*path, key))
        return built

    def _fail(self, node: yaml.Node, path: Path_, message: str) -> typing.NoReturn:
        raise ConfigError([Problem(_dotted(path), message, *_place(node))])


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def _set(data: dict[str, Any], path: tuple[str, ...], value: Any) -> list[Problem]:
    """Put `value` at `path`, making sections that are not there."""
    here = data
    for part in path[:-1]:
        if here.get(part) is None:
            here[part] = {}
        below = here[part]
        if isinstance(below, bool):  # the short form of a section, e.g. `coverage: true`
            return [Problem(_dotted(path), f"'{part}' is {below} in the file, not a section")]
        if not isinstance(below, dict):
            return [Problem(_dotted(path), f"'{part}' is not a section in the file")]
        here = below
    here[path[-1]] = value
    return []


def known(path: Sequence[str]) -> bool:
    """Whether the schema has the dotted `path`."""
    return any(_matches(list(path), choice) for choice in [Config])


def _matches(path: list[str], kind: Any) -> bool:
    if not path:
        return True
    fields = _fields(kind)
    if fields is None:
        return _is_mapping(kind) and len(path) == 1
    return path[0] in fields and _matches(path[1:], fields[path[0]])


def _fields(kind: Any) -> dict[str, Any] | None:
    """The fields of a section type, also inside ``X | None``; None when it is not a section."""
    for choice in _choices(kind):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return {f.alias or n: f.annotation for n, f in choice.model_fields.items()}
    return None


def _choices(kind: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if is_union else (kind,)


def _is_mapping(kind: Any) -> bool:
    return any(typing.get_origin(choice) is dict for choice in _choices(kind))


def _suggest(path: Sequence[str]) -> str | None:
    """The nearest dotted name that the schema has, or None when nothing is near."""
    kind: Any = Config
    right: list[str] = []
    for part in path:
        fields = _fields(kind)
        if fields is None:
            return None
        name = part
        if part not in fields:
            near = difflib.get_close_matches(part, fields, n=1, cutoff=0.6)
            if not near:
                return None
            name = near[0]
        right.append(name)
        kind = fields[name]
    return ".".join(right) if right != list(path) else None


def _problem(error: Any, places: Places) -> Problem:
    """One of pydantic's errors in the terms of the file."""
    path = _in_file(error["loc"], places)
    line, column = places.get(path) or places.get(path[:-1]) or (None, None)
    if error["type"] == "extra_forbidden":
        suggestion = _suggest([str(part) for part in path])
        return Problem(_dotted(path), "unknown field", line, column, suggestion)
    if error["type"] == "missing":
        return Problem(_dotted(path), "is required", line, column)
    message = str(error["msg"]).removeprefix("Value error, ")
    near = None
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        allowed = [word.strip("'") for word in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        near = next(iter(difflib.get_close_matches(error["input"], allowed, n=1)), None)
    return Problem(_dotted(path), f"{message} (found {error['input']!r:.80})", line, column, near)


def _in_file(loc: Sequence[str | int], places: Places) -> Path_:
    """A location without the parts that pydantic adds for unions and validators."""
    path: Path_ = ()
    for n, part in enumerate(loc):
        if (*path, part) in places or n == len(loc) - 1:
            path = (*path, part)
    return path
