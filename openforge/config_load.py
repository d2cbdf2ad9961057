"""Reading small YAML files that nobody vouches for: plain finite values, each with its place."""

from __future__ import annotations

import math
import re
import stat
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import JsonValue

from openforge.errors import ConfigError, Problem

MAX_BYTES = 1 << 20
MAX_NODES = 20_000
MAX_DEPTH = 40

YamlPath = tuple[str | int, ...]
Places = dict[YamlPath, tuple[int, int]]
_WORD = re.compile(r"[\w$-]{1,100}")


def read_yaml(path: Path) -> tuple[JsonValue, Places]:
    """The content of a YAML file, with line and column (from 1) of every path in it.

    Refused: tags, duplicate keys, cycles, alias bombs, numbers that are not finite, and what is
    not a regular UTF-8 file of at most 1 MB. Raises ConfigError.
    """
    return parse_yaml(_text(path))


def parse_yaml(text: str) -> tuple[JsonValue, Places]:
    """As `read_yaml`, from a text.

    Plain scalars are read by the YAML 1.2 core schema: ``yes``, ``010``, ``1:30`` and dates are
    texts, so that a macro or a version keeps its spelling.
    """
    try:
        root = _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{ord(text[error.position]):04X} is not allowed; is it binary?"
        raise ConfigError([Problem("", message, line)]) from None
    except (ValueError, OverflowError):  # PyYAML 6 on an escape beyond U+10FFFF
        raise ConfigError([Problem("", "is not valid YAML: a character does not exist")]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        message = f"is not valid YAML: {error.problem or error.context}"
        raise ConfigError([Problem("", message, *place)]) from None
    if root is None:
        return None, {}
    builder = _Builder()
    return builder.build(root, ()), builder.places


def dotted(path: YamlPath) -> str:
    """`path` as people write it; a name with odd characters is quoted and cut."""
    return ".".join(_shown(str(part)) for part in path)


def _shown(part: str) -> str:
    return part if _WORD.fullmatch(part) else ascii(part[:100])


def _text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError([Problem("", f"{path} must be a regular file")])
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([Problem("", f"there is no {path.name} in {path.parent}")]) from None
    except OSError as error:
        raise ConfigError([Problem("", f"cannot read {path}: {error.strerror}")]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError([Problem("", f"is larger than {MAX_BYTES >> 20} MB")])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem("", f"is not UTF-8 (byte {error.start})", line)]) from None


class _Loader(yaml.SafeLoader):
    """Composes nodes without tags, and stops early on a document that is too large or deep."""

    yaml_implicit_resolvers = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._nodes, self._depth = self._nodes + 1, self._depth + 1
        if getattr(event, "tag", None) is not None:
            self._refuse(f"tags are not allowed, found {event.tag!a}", event)
        if self._nodes > MAX_NODES or self._depth > MAX_DEPTH:
            self._refuse("too many values, or nested too deeply", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, message: str, event: Any) -> typing.NoReturn:
        raise yaml.composer.ComposerError(None, None, message, event.start_mark)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


class _Builder:
    """Turns YAML nodes into plain values, keeping where each came from."""

    def __init__(self) -> None:
        self.places: Places = {}
        self._count = 0

    def build(self, node: yaml.Node, path: YamlPath) -> Any:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            message = "the file expands to too much (aliases within aliases?)"
            raise ConfigError([Problem("", message, *_place(node))])
        self.places.setdefault(path, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, n)) for n, item in enumerate(node.value)]
        return _scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: YamlPath) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                _fail(key_node, path, "a field's name must be a plain word")
            key = key_node.value
            if key in built:
                _fail(key_node, (*path, key), "this field is there twice")
            self.places[(*path, key)] = _place(key_node)
            built[key] = self.build(value_node, (*path, key))
        return built


def _scalar(node: yaml.Node, path: YamlPath) -> str | int | float | bool | None:
    kind, text = node.tag.rpartition(":")[2], node.value
    if kind == "null":
        return None
    if kind == "bool":
        return bool(text.lower() == "true")
    if kind == "int":
        if len(text) > 100:
            _fail(node, path, "this number has too many digits")
        return int(text, 16 if text.startswith("0x") else 10)
    if kind == "float":
        number = float(text) if text.lower().lstrip("+-") not in (".inf", ".nan") else math.inf
        if not math.isfinite(number):
            _fail(node, path, f"a finite number was expected, found {text[:40]}")
        return number
    return str(text)


def _fail(node: yaml.Node, path: YamlPath, message: str) -> typing.NoReturn:
    raise ConfigError([Problem(dotted(path), message, *_place(node))])


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
