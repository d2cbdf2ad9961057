"""Tokens: make, list, revoke. Administrators only."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path

from api import schemas, shapes
from api.deps import Admin, Seed, TheService, clean
from api.routing import Route
from openforge.control import projects, tokens
from openforge.control.database import moment, now
from openforge.control.records import Token
from openforge.ids import new_id

router = APIRouter(prefix="/tokens", tags=["tokens"], route_class=Route)

_DAY_S = 24 * 3600.0


@router.post(
    "",
    status_code=201,
    summary="Create a token",
    response_description="The token, shown this once",
)
def create(
    body: schemas.TokenCreate, service: TheService, seed: Seed, _: Admin
) -> schemas.NewToken:
    """A new token. It is shown this once: only its hash is kept."""
    days = body.expires_in_days
    token = Token(
        id=new_id("tok", seed),
        prefix="",
        name=body.name,
        user=body.user,
        scopes=frozenset(scope.value for scope in body.scopes),
        project_id=body.project_id,
        created_at=now(),
        expires_at=moment(time.time() + days * _DAY_S) if days else None,
        last_used_at=None,
    )
    with service.control.write() as connection:
        if body.project_id is not None:
            projects.get(connection, clean(body.project_id))
        secret = tokens.create(connection, token)
    shown = shapes.token(token.model_copy(update={"prefix": secret[: tokens.SHOWN]}))
    return schemas.NewToken(**shown.model_dump(), token=secret)


@router.get("", name="list", summary="List tokens", response_description="The tokens")
def listing(service: TheService, _: Admin) -> schemas.Tokens:
    """All tokens that were not revoked, newest first."""
    with service.control.read() as connection:
        rows = tokens.listing(connection)
    return schemas.Tokens(tokens=[shapes.token(row) for row in rows], total=len(rows))


@router.delete(
    "/{token_id}", status_code=204, summary="Revoke a token", response_description="It is revoked"
)
def revoke(
    token_id: Annotated[str, Path(max_length=100, description="a token", examples=["tok_abc123"])],
    service: TheService,
    _: Admin,
) -> None:
    """The token opens nothing any more, at once."""
    with service.control.write() as connection:
        tokens.revoke(connection, clean(token_id))
