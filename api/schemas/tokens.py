"""Tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.common import MOMENT, Answer, Body, Moment, example
from openforge.control.tokens import Scope

Line = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=200)
]
_TOKEN = {
    "token_id": "tok_abc123",
    "prefix": "of_Zm9vYmF",
    "name": "ci",
    "user": "alice",
    "scopes": ["submit"],
    "project_id": None,
    "created_at": MOMENT,
    "expires_at": "2026-04-15T10:30:00Z",
    "last_used_at": None,
}


class TokenCreate(Body):
    """A token to make."""

    model_config = example(name="ci", user="alice", scopes=["submit"], expires_in_days=90)

    name: Line = Field(description="what it is for")
    user: Line = Field(description="whose projects it opens")
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field(
        min_length=1, max_length=3, description="`submit` includes `read`, `admin` includes all"
    )
    project_id: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="only this project"
    )
    expires_in_days: float | None = Field(
        None, gt=0, le=3650, strict=False, description="default: never"
    )


class Token(Answer):
    """What is known of a token."""

    model_config = example(**_TOKEN)

    token_id: str = Field(description="names the token in addresses")
    prefix: str = Field(description="its first characters, to tell it from others")
    name: str = Field(description="what it is for")
    user: str = Field(description="whose projects it opens")
    scopes: list[Scope] = Field(description="what it may do")
    project_id: str | None = Field(description="only this project; null: all of the user's")
    created_at: Moment = Field(description="when it was made")
    expires_at: Moment | None = Field(description="when it ends; null: never")
    last_used_at: Moment | None = Field(description="to the minute; null: never")


class NewToken(Token):
    """A new token; `token` is shown this once."""

    model_config = example(**_TOKEN, token="of_Zm9vYmFyYmF6cXV4")  # noqa: S106  (made up)

    token: str = Field(description="the token itself; only its hash is kept")


class Tokens(Answer):
    """All tokens, newest first."""

    model_config = example(tokens=[_TOKEN], total=1)

    tokens: list[Token] = Field(description="newest first")
    total: int = Field(description="how many there are")
