"""An interface in ``openforge.yaml``: what is inferred is added, and every other byte stays."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from openforge import config
from openforge.analysis.cells import Graph
from openforge.config import FILE
from openforge.config_load import parse_yaml
from openforge.design import Design
from openforge.errors import ConfigError, InterfaceError, Problem
from openforge.interface import Bits, Interface, effective, resolve
from openforge.interface_rules import PATH
from openforge.schema_crypto import CryptoSection, InterfaceSection

_KEYS = tuple(PATH.split("."))
_INFERRED = ("clock", "reset", "public", "start", "done", "observables")
_WIDTH = 100


def as_section(interface: Interface) -> dict[str, Any]:
    """`interface` as ``verification.crypto_verification.interface`` says it, ready for YAML."""
    shared = {bits for share in interface.shares for bits in share.of}
    reset, start = interface.reset, interface.start
    done = {"signal": interface.done.text} if interface.done else None
    rows = {
        "clock": interface.clock,
        "reset": reset
        and {
            "signal": reset.signal,
            "active": "low" if reset.active_low else "high",
            "cycles": reset.cycles,
        },
        "secrets": _texts(bits for bits in interface.secrets if bits not in shared),
        "public": _texts(interface.public),
        "randoms": _texts(interface.randoms),
        "shares": {
            share.name: {"of": _texts(share.of), "modulus": share.modulus}
            if share.modulus
            else _texts(share.of)
            for share in interface.shares
        },
        "start": start and {"signal": start.text},
        "done": {"cycles": interface.done_cycles} if interface.done_cycles else done,
        "observables": _texts(interface.observables),
        "constants": dict(interface.constants),
        "assume": list(interface.assume),
        "declassify": [
            {"signal": row.bits.text, "reason": row.reason} for row in interface.declassify
        ],
    }
    return {field: value for field, value in rows.items() if value}


def missing(interface: Interface, given: CryptoSection) -> dict[str, Any]:
    """The fields that were inferred and can be written: those that `given` does not have.

    Public inputs wait until there are secrets, or the list would be in the way of naming some. A
    name that ``openforge.yaml`` cannot spell stays inferred.
    """
    said = given.interface.model_fields_set
    section = as_section(interface)
    found = {}
    for field in _INFERRED:
        if field not in section or field in said:
            continue
        if field == "public" and (given.constant_time.public or not interface.secrets):
            continue
        try:
            InterfaceSection.model_validate({field: section[field]})
        except ValidationError:
            continue
        found[field] = section[field]
    return found


def block(fields: Mapping[str, Any], indent: int = 0) -> str:
    """`fields` as YAML lines."""
    return "".join(_field(name, value, " " * indent) for name, value in fields.items())


def write(design: Design, graph: Graph, interface: Interface) -> dict[str, Any]:
    """Add to the project file what was inferred; the fields that were added.

    The file is replaced as a whole, with its mode, and only by one that says the same and resolves
    to the same interface. Raises InterfaceError when that cannot be had.
    """
    path = (design.project_dir / FILE).resolve()
    fields = missing(interface, design.config.verification.crypto_verification)
    if not fields:
        return {}
    raw = path.read_bytes()
    text = raw.decode("utf-8")
    changed = added(text, fields)
    if _data(changed) != _with(_data(text), fields):
        raise _not_possible(fields)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(changed.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        _require_same(changed, design, graph, interface, fields)
        Path(part).chmod(path.stat().st_mode & 0o7777)
        if path.read_bytes() != raw:
            raise InterfaceError([Problem("", "was changed by someone else meanwhile; try again")])
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return fields


def added(text: str, fields: Mapping[str, Any]) -> str:
    """The project file `text` with `fields` at the end of its interface, made if need be.

    Nothing else is touched: not the order, not a comment, not a blank. Raises InterfaceError
    where something that is no mapping is in the way.
    """
    node, rest = yaml.compose(text, yaml.SafeLoader), list(_KEYS)
    if not isinstance(node, yaml.MappingNode):
        raise _not_possible(fields)
    while rest:
        pair = next((p for p in node.value if p[0].value == rest[0]), None)
        if pair is None:
            break
        rest.pop(0)
        key, below = pair
        if isinstance(below, yaml.ScalarNode) and _is_null(below):
            return _in_place_of(text, node, key, below, _nested(rest, fields))
        if not isinstance(below, yaml.MappingNode) or below.start_mark.index < key.end_mark.index:
            raise _not_possible(fields)  # the latter is an alias: its content is elsewhere
        node = below
    content = _nested(rest, fields)
    if node.flow_style or not node.value:
        return _in_flow(text, node, content)
    column = node.value[0][0].start_mark.column
    return _after(text, _end(node), block(content, column))


def _nested(path: list[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    content = dict(fields)
    for key in reversed(path):
        content = {key: content}
    return content


def _field(name: str, value: Any, indent: str) -> str:
    key = flow(name)
    line = f"{indent}{key}: {flow(value)}\n"
    if isinstance(value, dict) and (name in _KEYS or len(line) > _WIDTH):
        return f"{indent}{key}:\n{block(value, len(indent) + 2)}"
    if isinstance(value, list) and len(line) > _WIDTH:
        return f"{indent}{key}:\n" + "".join(f"{indent}  - {flow(item)}\n" for item in value)
    return line


def flow(value: Any) -> str:
    """`value` as YAML on one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=1 << 30, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _in_flow(text: str, node: yaml.MappingNode, content: Mapping[str, Any]) -> str:
    inside = flow(dict(content))[1:-1]
    if not node.value:
        at = node.end_mark.index - 1
        return f"{text[:at].rstrip()}{inside}{text[at:]}"
    key, value = node.value[-1]
    at = max(key.end_mark.index, value.end_mark.index)
    return f"{text[:at]}, {inside}{text[at:]}"


def _in_place_of(
    text: str, outer: yaml.MappingNode, key: yaml.Node, null: yaml.Node, content: Mapping[str, Any]
) -> str:
    """`text` with `content` for the null that is the value of `key`."""
    start, end = null.start_mark.index, null.end_mark.index
    if outer.flow_style:
        return f"{text[:start]} {flow(dict(content))}{text[end:]}"
    kept = text[:start].rstrip(" ") + text[end:] if end > start else text
    colon = kept.index(":", key.end_mark.index)
    return _after(kept, colon + 1, block(content, key.start_mark.column + 2))


def _after(text: str, at: int, lines: str) -> str:
    """`text` with `lines` after the line that has position `at`."""
    newline = "\r\n" if "\r\n" in text else "\n"
    ended = at > 0 and text[at - 1] == "\n"  # as the end of a block scalar
    cut = at if ended else text.find("\n", at) + 1
    if not cut:
        text += newline
        cut = len(text)
    return text[:cut] + lines.replace("\n", newline) + text[cut:]


def _end(node: yaml.Node) -> int:
    """Where the content of `node` ends, without the comments and blank lines that follow."""
    if _is_leaf(node):
        return int(node.end_mark.index)
    if not isinstance(node, yaml.MappingNode):
        return _end(node.value[-1])
    key, value = node.value[-1]
    if value.start_mark.index < key.end_mark.index:  # an alias has the marks of its anchor
        return int(key.end_mark.index)
    return max(int(key.end_mark.index), _end(value))


def _is_leaf(node: yaml.Node) -> bool:
    return not isinstance(node, yaml.CollectionNode) or bool(node.flow_style) or not node.value


def _is_null(node: yaml.ScalarNode) -> bool:
    return bool(node.tag.endswith(":null"))


def _data(text: str) -> Any:
    return parse_yaml(text)[0]


def _with(data: Any, fields: Mapping[str, Any]) -> Any:
    here = data
    for key in _KEYS:
        if here.get(key) is None:
            here[key] = {}
        here = here[key]
    here.update(fields)
    return data


def _require_same(
    text: str, design: Design, graph: Graph, interface: Interface, fields: Mapping[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(text.encode("utf-8"))
        try:
            read = config.load(Path(folder))
            crypto = read.verification.crypto_verification
            short = crypto.constant_time
            section = effective(crypto.interface, short.secrets, short.public)
            again = resolve(design.model_copy(update={"config": read}), graph, section)
        except ConfigError as error:
            raise _not_possible(fields) from error
    if again.model_copy(update={"inferred": ()}) != interface.model_copy(update={"inferred": ()}):
        raise _not_possible(fields)


def _not_possible(fields: Mapping[str, Any]) -> InterfaceError:
    text = "the file cannot be changed without changing more than that; please add by hand:\n"
    return InterfaceError([Problem(PATH, text + block(_nested(list(_KEYS), fields)).rstrip())])


def _texts(found: Any) -> list[str]:
    bits: list[Bits] = list(found)
    return [b.text for b in bits]
