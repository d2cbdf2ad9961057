"""`openforge token`: the tokens of the service in a workspace."""

from __future__ import annotations

from typing import Annotated

import typer

from openforge.cli_options import WorkspaceOption
from openforge.cli_options import workspace as workspaces

app = typer.Typer(help="Tokens of the service in a workspace.", no_args_is_help=True)


@app.command("create")
def token_create(  # noqa: PLR0917  (options of a command)
    name: Annotated[str, typer.Option(help="What it is for")] = "cli",
    user: Annotated[str, typer.Option(help="Whose projects it opens")] = "admin",
    scope: Annotated[
        list[str] | None, typer.Option(help="read, submit or admin; repeatable [default: submit]")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only this project, by id")] = None,
    days: Annotated[float | None, typer.Option(min=0.001, help="Until it expires")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a token and print it: it cannot be read again."""
    from openforge import cli_service

    scopes = scope or ["submit"]
    place = workspaces(workspace).path
    print(
        cli_service.create_token(
            place, name=name, user=user, scopes=scopes, project=project, days=days
        )
    )


@app.command("list")
def token_list(workspace: WorkspaceOption = None) -> None:
    """The tokens that were not revoked."""
    from openforge import cli_service

    cli_service.list_tokens(workspaces(workspace).path)


@app.command("revoke")
def token_revoke(
    token_id: Annotated[str, typer.Argument(help="Id, as `openforge token list` shows it")],
    workspace: WorkspaceOption = None,
) -> None:
    """End a token, at once."""
    from openforge import cli_service

    cli_service.revoke_token(workspaces(workspace).path, token_id)
    print(f"{token_id} was revoked")
