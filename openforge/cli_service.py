"""`openforge serve` and `openforge token`: the operator's side of the service."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from openforge.errors import OpenForgeError
from openforge.ids import new_id

_DAY_S = 24 * 3600.0


def serve(host: str, port: int, workspace: Path) -> NoReturn:
    """Become the service. Raises OpenForgeError when its packages are not installed."""
    _require_packages()
    place = ["--host", host, "--port", str(port), "--workspace", str(workspace)]
    sys.stdout.flush()
    command = [sys.executable, "-m", "api", *place]
    os.execv(sys.executable, command)  # noqa: S606  (no shell is what is wanted)


def create_token(
    workspace: Path,
    *,
    name: str,
    user: str,
    scopes: Sequence[str],
    project: str | None,
    days: float | None,
) -> str:
    """Make a token in the workspace's control database; returns it, shown this once.

    Raises OpenForgeError for an unknown scope or project.
    """
    _require_packages()
    from openforge.control import projects, tokens
    from openforge.control.database import Control, moment, now
    from openforge.control.records import Token

    known = [scope.value for scope in tokens.Scope]
    for scope in scopes:
        if scope not in known:
            raise OpenForgeError(f"there is no scope '{scope}'; there are {', '.join(known)}")
    token = Token(
        id=new_id("tok"),
        prefix="",
        name=name,
        user=user,
        scopes=frozenset(scopes),
        project_id=project,
        created_at=now(),
        expires_at=moment(time.time() + days * _DAY_S) if days else None,
        last_used_at=None,
    )
    control = Control(workspace)
    try:
        with control.write() as connection:
            if project:
                projects.get(connection, project)
            return tokens.create(connection, token)
    finally:
        control.close()


def list_tokens(workspace: Path) -> None:
    """Print the tokens that were not revoked."""
    _require_packages()
    from openforge.control import tokens
    from openforge.control.database import Control

    control = Control(workspace)
    try:
        with control.read() as connection:
            found = tokens.listing(connection)
    finally:
        control.close()
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "begins", "name", "user", "scopes", "expires", "last used"):
        table.add_column(heading, overflow="fold")
    for token in found:
        told = (token.id, token.prefix, token.name, token.user, " ".join(sorted(token.scopes)))
        table.add_row(*map(escape, told), token.expires_at or "never", token.last_used_at or "")
    Console(highlight=False).print(table if found else "(no tokens)")


def revoke_token(workspace: Path, token_id: str) -> None:
    """The token opens nothing any more. Raises NotFound."""
    _require_packages()
    from openforge.control import tokens
    from openforge.control.database import Control

    control = Control(workspace)
    try:
        with control.write() as connection:
            tokens.revoke(connection, token_id)
    finally:
        control.close()


def _require_packages() -> None:
    for name in ("fastapi", "sqlalchemy", "uvicorn"):
        if importlib.util.find_spec(name) is None:
            raise OpenForgeError(
                f"the service needs '{name}'; get it with: pip install 'openforge[api]'"
            )
