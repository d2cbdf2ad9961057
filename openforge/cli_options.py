"""Options and arguments that several commands have, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from openforge.errors import OpenForgeError

if TYPE_CHECKING:
    from openforge.client import Client
    from openforge.workspace import Workspace

WorkspaceOption = Annotated[
    Optional[Path],  # noqa: UP045  (typer reads the annotation at run time)
    typer.Option("--workspace", help="Folder of runs [env: OPENFORGE_WORKSPACE]"),
]
ServerOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--server",
        metavar="URL",
        help="Service to use; '' is none [env: OPENFORGE_SERVER] [default: openforge config]",
    ),
]
ProjectArgument = Annotated[Path, typer.Argument(help="Folder with openforge.yaml")]
JobArgument = Annotated[str, typer.Argument(help="Job id, its beginning, or 'last'")]


def workspace(path: Path | None) -> Workspace:
    """The workspace at `path`, else that of the settings."""
    from openforge.settings import Settings
    from openforge.workspace import Workspace

    given: dict[str, Any] = {"workspace": path.expanduser().absolute()} if path else {}
    return Workspace(Settings(**given).workspace)


def service(server: str | None, path: Path | None) -> Client | None:
    """The service that a command is meant for; None: the workspace.

    A workspace at `path` that is named on the command line is meant, whatever the environment and
    the configuration say of a service. Raises OpenForgeError when both are named there.
    """
    if path and server:
        raise OpenForgeError("--server and --workspace exclude each other: jobs are here or there")
    if path:
        return None
    from openforge import client_config

    found = client_config.access(server)
    if found is None:
        return None
    from openforge.client import Client

    return Client(found.url, found.token)
