"""Write the reference pages that follow from the code: `python docs/generate.py`."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from openforge.schema import Config, json_schema

PAGE = Path(__file__).parent / "reference" / "openforge-yaml.md"
_HEAD = """# openforge.yaml

The project file, field by field. Generated from the schema by `python docs/generate.py`;
`openforge config schema` prints the same as JSON Schema.

Unknown fields are errors. Every error names the field, its line and column, and the nearest right
name. Values are typed strictly: `true` is not a number and `"7"` is not one either. Words such as
`yes`, `on` and `010` are texts (YAML 1.2). Tags are refused; anchors work, within 20,000 values;
the file is at most 1 MB. `--set a.b=c` and the `config_overrides` of a job are dotted paths into
this schema and are checked like the file.

Globs stay inside the project: no absolute path, no `..`, no link that leads out. `**` is any depth
of folders; hidden files match only when the pattern writes their dot; a name that exists exactly
as written means that file, also with brackets in it. A pattern that matches nothing is an error.
"""


def config_reference_markdown() -> str:
    """The reference of ``openforge.yaml`` as Markdown, one table a section."""
    definitions = json_schema()["$defs"]
    return "\n".join([_HEAD, *_sections(Config, "", definitions)])


def sections(model: type[BaseModel], path: str = "") -> list[tuple[str, type[BaseModel]]]:
    """Every section of the schema with its dotted path, parents first; the root is ``""``."""
    found = [(path, model)]
    for name, field in model.model_fields.items():
        for below in _models(field.annotation):
            inner = ".".join(filter(None, [path, field.alias or name]))
            found += sections(below, inner + _suffix(field.annotation))
    return found


def _sections(root: type[BaseModel], path: str, definitions: dict[str, Any]) -> list[str]:
    lines = []
    for where, model in sections(root, path):
        title = f"`{where}`" if where else "The whole file"
        lines += [f"## {title}", "", model.__doc__ or "", ""]
        lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
        schema = json_schema() if model is Config else definitions[model.__name__]
        schema = schema.get("anyOf", [schema])[0]  # the long form
        for name, field in model.model_fields.items():
            key = field.alias or name
            kind = _cell(_kind(schema["properties"][key]))
            lines.append(
                f"| `{key}` | {kind} | {_default(field)} | {_cell(field.description or '')} |"
            )
        lines.append("")
    return lines


def _models(kind: Any) -> list[type[BaseModel]]:
    """The sections that a field's type is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in typing.get_args(kind) for model in _models(part)]


def _suffix(kind: Any) -> str:
    """What stands between a field and the section in it: a name in a mapping, an item of a list."""
    if typing.get_origin(kind) is dict:
        return ".<name>"
    return "[]" if typing.get_origin(kind) is tuple else ""


def _kind(schema: dict[str, Any]) -> str:
    """A field's type and bounds in a few words, from its JSON Schema."""
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if "$ref" in schema:
        return "section"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    if schema["type"] == "array":
        return f"list of {_kind(schema.get('items', {'type': 'string'}))}"
    if schema["type"] == "object":
        values = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
        return f"mapping to {_kind(next(value for value in values if value))}"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    bounds = (
        ("minimum", ">="),
        ("exclusiveMinimum", ">"),
        ("maximum", "<="),
        ("exclusiveMaximum", "<"),
    )
    limits = [f"{sign} {schema[key]}" for key, sign in bounds if key in schema]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " ".join([" or ".join(words.get(k, k) for k in kinds), ", ".join(limits)]).strip()


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**required**"
    if value is None or isinstance(value, BaseModel) or value in ((), {}, ""):
        return ""
    return f"`{json.dumps(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write the page."""
    PAGE.write_text(config_reference_markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
