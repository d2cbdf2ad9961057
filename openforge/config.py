"""Loading ``openforge.yaml``: overrides by dotted path, and errors that name place and cure."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from openforge.config_load import Places, YamlPath, dotted, parse_yaml, read_yaml
from openforge.errors import ConfigError, Problem
from openforge.globs import resolve_globs
from openforge.schema import (
    Config,
    FormalSection,
    LintSection,
    SimulationSection,
    json_schema,
)

__all__ = [
    "FILE",
    "Config",
    "FormalSection",
    "LintSection",
    "SimulationSection",
    "json_schema",
    "known",
    "load",
    "parse_override",
    "patterns",
    "read_yaml",
    "resolve_globs",
]

FILE = "openforge.yaml"
_MAX_PROBLEMS = 50
_SPELLINGS = {"exhaustive_test": "exhaustive"}
_OverrideProblem = partial(Problem, file="override")  # a fault that has no place in the file
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_EXPECTED = {
    "model_type": "should be a mapping of fields",
    "dict_type": "should be a mapping",
    "tuple_type": "should be a list",
    "string_type": "should be a text",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
}


def load(project_dir: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of the project in `project_dir`, with dotted-path `overrides` applied.

    Values are typed strictly, in the file and in overrides: ``true`` is not a number, ``"7"``
    neither. Raises ConfigError with every problem found, each with its line and the nearest right
    name.
    """
    data, places = _read(project_dir)
    problems: list[Problem] = []
    overridden: list[YamlPath] = []
    for name, value in (overrides or {}).items():
        path = tuple(_SPELLINGS.get(part, part) for part in name.split("."))
        problem = _apply(data, path, value)
        if problem:
            problems.append(problem)
        overridden.append(path)
    _fill(data, Config)
    try:
        config = Config.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise ConfigError([*problems, *_problems(error, data, places, overridden)]) from None
    if problems:
        raise ConfigError(problems)
    return config


def parse_override(text: str) -> tuple[str, JsonValue]:
    """``a.b=c`` as path and value; the value is YAML, so numbers, lists and ``{}`` work.

    Raises ConfigError when it is not of that form.
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        message = f"an override is written field=value, found {text[:80]!a}"
        raise ConfigError([_OverrideProblem("", message)])
    try:
        return name, parse_yaml(value)[0]
    except ConfigError as error:
        raise ConfigError(
            _OverrideProblem(name, problem.message) for problem in error.problems
        ) from None


def patterns(config: Config) -> dict[str, Sequence[str]]:
    """The patterns that say which files a check reads, by dotted field."""
    checks = config.verification
    return {
        "design.sources": config.design.sources,
        "verification.lint.waivers": checks.lint.waivers,
        "verification.simulation.testbenches": checks.simulation.testbenches,
        "verification.formal.properties": checks.formal.properties,
    }


def _read(project_dir: Path) -> tuple[dict[str, Any], Places]:
    path = project_dir / FILE
    if path.is_symlink() and not path.resolve().is_relative_to(project_dir.resolve()):
        raise ConfigError([Problem("", "is a link that leads out of the project")])
    if not path.exists():
        text = f"there is no {FILE} in {project_dir}; `openforge init DIR` makes a project"
        raise ConfigError([Problem("", text)])
    data, places = read_yaml(path)
    if data is None:
        raise ConfigError([Problem("", "is empty; `project` and `design` are required")])
    if not isinstance(data, dict):
        raise ConfigError([Problem("", "must be a mapping with `project` and `design`", 1, 1)])
    return data, places


def _apply(data: dict[str, Any], path: tuple[str, ...], value: Any) -> Problem | None:
    """Put a copy of `value` at `path`, making sections that are not there."""
    if not known(path):
        return _OverrideProblem(dotted(path), "unknown field", suggestion=_suggest(path))
    try:
        copy = json.loads(json.dumps(_JSON.validate_python(value), allow_nan=False))
    except (ValidationError, ValueError, RecursionError):
        message = f"should be a plain, finite value, found {ascii(value)[:80]}"
        return _OverrideProblem(dotted(path), message)
    here = data
    for depth, part in enumerate(path[:-1], start=1):
        below = _long_form(path[:depth], here.get(part))
        if not isinstance(below, dict):
            message = f"cannot be set: {dotted(path[:depth])} is {_found(below)}, not a section"
            return _OverrideProblem(dotted(path), message)
        here[part] = here = below
    for old, name in _SPELLINGS.items():
        if name == path[-1]:
            here.pop(old, None)
    here[path[-1]] = copy
    return None


def _fill(data: dict[str, Any], kind: Any) -> None:
    """Put an empty mapping where a section is there without content: it has its defaults."""
    for name, below in (_fields(kind) or {}).items():
        if name in data and _section(below) is not None:
            if data[name] is None and type(None) not in _choices(below):
                data[name] = {}
            if isinstance(data[name], dict):
                _fill(data[name], below)


def _long_form(path: Sequence[str], value: Any) -> Any:
    """A section given in short, e.g. ``coverage: true``, with its fields; others as they are."""
    if value is None:
        return {}
    section = _section(_at(path))
    if section is None or isinstance(value, dict):
        return value
    try:
        return section.model_validate(value).model_dump(mode="json", by_alias=True)
    except ValidationError:
        return value


def known(path: Sequence[str]) -> bool:
    """Whether the schema has the dotted `path`."""
    return _at(path) is not None


def _at(path: Sequence[str]) -> Any:
    """The type of the field at `path`; None when the schema has no such field."""
    kind: Any = Config
    for part in path:
        fields = _fields(kind)
        if fields is not None:
            kind = fields.get(part)
        else:
            kind = next((typing.get_args(c)[1] for c in _choices(kind) if _is_dict(c)), None)
    return kind


def _is_dict(kind: Any) -> bool:
    return typing.get_origin(kind) is dict


def _section(kind: Any) -> type[BaseModel] | None:
    models = (c for c in _choices(kind) if isinstance(c, type) and issubclass(c, BaseModel))
    return next(models, None)


def _fields(kind: Any) -> dict[str, Any] | None:
    """The fields of a section type, also inside ``X | None``; None when it is not a section."""
    section = _section(kind)
    if section is None:
        return None
    return {f.alias or n: f.annotation for n, f in section.model_fields.items()}


def _choices(kind: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if is_union else (kind,)


def _suggest(path: Sequence[str]) -> str | None:
    """The nearest dotted name that the schema has, or None when nothing is near."""
    kind: Any = Config
    right: list[str] = []
    for part in path:
        fields = _fields(kind)
        if fields is None:
            return None
        near = [part] if part in fields else difflib.get_close_matches(part[:100], fields, n=1)
        if not near:
            return _elsewhere(path[-1])
        right.append(near[0])
        kind = fields[near[0]]
    return ".".join(right) if right != list(path) else None


def _elsewhere(name: str) -> str | None:
    """The one place in the schema where `name` belongs, for a section at the wrong level."""
    found = [".".join(path) for path in _paths(Config, ()) if path[-1] == name]
    return found[0] if len(found) == 1 else None


def _paths(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, below in (_fields(kind) or {}).items():
        yield (*path, name)
        yield from _paths(below, (*path, name))


def _problems(
    error: ValidationError, data: Any, places: Places, overridden: Sequence[YamlPath]
) -> list[Problem]:
    """Pydantic's errors in the terms of the file, in its order, one a field."""
    merged: dict[YamlPath, list[Any]] = {}
    for fault in error.errors(include_url=False):
        merged.setdefault(_in_data(fault, data), []).append(fault)
    shown: list[tuple[tuple[int, int], Problem]] = []
    for path, faults in merged.items():
        # What is wrong inside says more than "not the other type" or "too few are right".
        if any(other[: len(path)] == path for other in merged if other != path):
            continue
        place = _place(path, places)
        if _is_overridden(path, places, overridden):
            shown.append(((0, 0), _problem(_OverrideProblem, path, faults, (None, None))))
        else:
            shown.append((place, _problem(Problem, path, faults, place)))
    shown.sort(key=lambda pair: pair[0])
    problems = [problem for _, problem in shown]
    if len(problems) > _MAX_PROBLEMS:
        more = Problem("", f"and {len(problems) - _MAX_PROBLEMS} more problems")
        return [*problems[:_MAX_PROBLEMS], more]
    return problems


def _is_overridden(path: YamlPath, places: Places, overridden: Sequence[YamlPath]) -> bool:
    """Whether an override gave the value at `path`, or made the section it is missing from."""
    made = () if path[:-1] in places else path[:-1]
    return any(
        path[: len(other)] == other or (made and other[: len(made)] == made) for other in overridden
    )


def _in_data(fault: Any, data: Any) -> YamlPath:
    """A fault's path without the parts that pydantic adds for unions and validators."""
    path: YamlPath = ()
    last = len(fault["loc"]) - 1
    for n, part in enumerate(fault["loc"]):
        inside = (
            part in data
            if isinstance(data, dict)
            else (isinstance(data, list) and isinstance(part, int) and part < len(data))
        )
        if inside:
            path, data = (*path, part), data[part]
        elif n == last and fault["type"] == "missing":
            path = (*path, part)
    return path


def _place(path: YamlPath, places: Places) -> tuple[int, int]:
    return next(places[path[:n]] for n in range(len(path), -1, -1) if path[:n] in places)


def _problem(
    kind: Callable[..., Problem],
    path: YamlPath,
    faults: Sequence[Any],
    place: tuple[int | None, int | None],
) -> Problem:
    fault = faults[0]
    if fault["type"] == "extra_forbidden":
        suggestion = _suggest([str(part) for part in path])
        return kind(dotted(path), "unknown field", *place, suggestion)
    if fault["type"] == "missing":
        return kind(dotted(path), "is required", *place)
    message = " or ".join(dict.fromkeys(_message(f) for f in faults))
    return kind(
        dotted(path), f"{message}, found {_found(fault['input'])}", *place, _nearest(faults)
    )


def _message(fault: Any) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return str(_EXPECTED.get(fault["type"], message))


def _found(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _nearest(faults: Iterable[Any]) -> str | None:
    """The option that a misspelt word comes nearest to."""
    for fault in faults:
        if fault["type"] == "literal_error" and isinstance(fault["input"], str):
            options = fault["ctx"]["expected"].replace(" or ", ", ").split(", ")
            words = [option.strip("'") for option in options]
            return next(iter(difflib.get_close_matches(fault["input"][:100], words, n=1)), None)
    return None
