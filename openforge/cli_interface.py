"""`openforge interface`: what of a design is secret, public, start, end and observable."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openforge.cli_options import ProjectArgument

if TYPE_CHECKING:
    from openforge.interface import Interface

Row = tuple[str, str, str, str]

app = typer.Typer(
    help="The security annotation that every crypto check reads.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Keeps `suggest` a command of its own: typer would leave out the name of a single one."""


@app.command()
def suggest(
    project: ProjectArgument = Path(),
    write: Annotated[
        bool, typer.Option("--write", help="Add what is inferred to openforge.yaml")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Show the interface of a design: what is given, what is inferred, and why."""
    from openforge import config, design, interface_infer, interface_yaml, netlist
    from openforge.interface import effective, resolve

    read = config.load(project.absolute())
    crypto = read.verification.crypto_verification
    short = crypto.constant_time
    section = effective(crypto.interface, short.secrets, short.public)
    loaded = design.load(project.absolute(), read)
    with tempfile.TemporaryDirectory() as folder:
        graph = netlist.graph(loaded, Path(folder))
    found = resolve(loaded, graph, section)
    fields = interface_yaml.missing(found, crypto)
    names = [bits.text for bits in found.public]
    hints = [] if found.secrets else interface_infer.candidates(names)
    written = interface_yaml.write(loaded, graph, found) if write else {}
    if as_json:
        answer = {
            "interface": found.model_dump(mode="json"),
            "section": interface_yaml.as_section(found),
            "suggested": fields,
            "secret_candidates": hints,
            "written": list(written),
        }
        print(json.dumps(answer, indent=2))
        return
    _show(found, fields, hints)
    if write:
        added = ", ".join(written) or "nothing: it is all there"
        print(f"\nAdded to {project / config.FILE}: {added}")


def _show(found: Interface, fields: dict[str, Any], hints: list[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from openforge import interface_yaml
    from openforge.interface_rules import PATH
    from openforge.plain import plain

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("field", "value", "", "why"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "")
    for row in _rows(found):
        table.add_row(*(escape(plain(cell)) for cell in row))
    console.print(table)
    if not found.secrets:
        console.print("\nNo secrets are named, and they cannot be inferred: only you know them.")
        if hints:
            names = ", ".join(hints)
            console.print(f"By their names, these may be: {escape(plain(names))}", soft_wrap=True)
        console.print(f"List them in {PATH}.secrets.", soft_wrap=True)
    if fields:
        console.print("\nWhat `--write` adds to openforge.yaml:\n")
        content: dict[str, Any] = fields
        for key in reversed(PATH.split(".")):
            content = {key: content}
        print(plain(interface_yaml.block(content)), end="")
        if hints:
            print(f"      # secrets: {plain(interface_yaml.flow(hints))}")


def _rows(found: Interface) -> Iterator[Row]:
    from openforge import interface_yaml
    from openforge.interface import IN_NO_LIST

    whys: dict[str, list[tuple[str, str]]] = {}
    for choice in found.inferred:
        whys.setdefault(choice.field, []).append((choice.value, choice.why))
    section = interface_yaml.as_section(found)
    for field, value in section.items():
        shown = ", ".join(value) if _is_list(value) else _text(value)
        choices = whys.pop(field, [])
        if field == "observables" and choices:
            yield from ((field, name, "inferred", why) for name, why in choices)
        elif choices and choices[0][1] == IN_NO_LIST:
            yield field, shown, "given", f"but for {choices[0][0]}: {IN_NO_LIST}"
        elif choices:
            yield field, shown, "inferred", choices[0][1]
        else:
            yield field, shown, "given", ""
    for name, why in whys.get("unobserved", []):
        yield "unobserved", name, "inferred", why
    if not whys.get("unobserved"):
        yield from (
            ("unobserved", name, "", "not among the observables") for name in found.unobserved
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _text(value: Any) -> str:
    from openforge import interface_yaml

    return value if isinstance(value, str) else interface_yaml.flow(value)
