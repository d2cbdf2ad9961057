"""`openforge config`: the project file, and what the command line remembers of a service."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from openforge import client_config
from openforge.cli_options import ProjectArgument
from openforge.errors import OpenForgeError

app = typer.Typer(
    help="The project file, openforge.yaml, and the service that is used by default.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(help=" or ".join(client_config.NAMES))]
SomeNameArgument = Annotated[
    Optional[str],  # noqa: UP045  (typer reads the annotation at run time)
    typer.Argument(help="Which; default: all that are set"),
]


@app.command()
def validate(
    project: ProjectArgument = Path(),
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a field: a.b=c")] = None,
) -> None:
    """Say whether openforge.yaml is valid, and where it is not."""
    from openforge import config

    config.load(project.absolute(), dict(config.parse_override(text) for text in set_ or []))
    print(f"{project / 'openforge.yaml'} is valid")


@app.command()
def schema() -> None:
    """The JSON Schema of openforge.yaml, for editors."""
    from openforge import config

    print(json.dumps(config.json_schema(), indent=2))


@app.command("set")
def set_(
    name: NameArgument,
    value: Annotated[str, typer.Argument(help="'-' reads it from stdin, as fits a token")],
) -> None:
    """Remember the address of a service, or the token that it wants."""
    client_config.require_known(name)
    client_config.put(name, _read(name) if value == "-" else value)
    print(f"{name} is set in {client_config.path()}")


@app.command()
def get(name: SomeNameArgument = None) -> None:
    """Show what is remembered; of a token, its first characters."""
    kept = client_config.read()
    if name is not None:
        client_config.require_known(name)
        if name not in kept:
            raise OpenForgeError(f"{name} is not set; `openforge config set {name} VALUE` sets it")
        print(client_config.shown(name, kept[name]))
        return
    for known in client_config.NAMES:
        if known in kept:
            print(f"{known} = {client_config.shown(known, kept[known])}")


@app.command()
def unset(name: NameArgument) -> None:
    """Forget a setting."""
    client_config.remove(name)
    print(f"{name} is not set in {client_config.path()}")


def _read(name: str) -> str:
    """The value from stdin; a token that is typed is not shown."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ").strip()
    return sys.stdin.readline().strip()
