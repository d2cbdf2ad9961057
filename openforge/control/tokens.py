"""Tokens: 256 random bits, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from openforge.control.database import moment, now, seconds
from openforge.control.records import Token
from openforge.control.tables import tokens as table
from openforge.errors import NotFound

PREFIX = "of_"
SHOWN = 10  # characters of a token by which people tell it from others
_USED_EVERY_S = 60.0  # how exact the last use is: a request should not wait for a disk


class Scope(StrEnum):
    """What a token may do: look; look and change; everything, for every user."""

    READ = "read"
    SUBMIT = "submit"
    ADMIN = "admin"


IMPLIED = {
    Scope.READ: {Scope.READ},
    Scope.SUBMIT: {Scope.READ, Scope.SUBMIT},
    Scope.ADMIN: set(Scope),
}


def create(connection: Connection, token: Token) -> str:
    """Keep `token`; returns the secret itself, which nobody can read again.

    One with the same id (a request that was sent again) is replaced.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    connection.execute(delete(table).where(table.c.id == token.id))
    values = token.model_dump() | {
        "scopes": " ".join(sorted(token.scopes)),
        "prefix": secret[:SHOWN],
        "hash": _hash(secret),
    }
    connection.execute(insert(table).values(**values))
    return secret


def find(connection: Connection, secret: str) -> Token | None:
    """The token that `secret` is, unless it was revoked or has expired.

    It is found by its hash, so how long that takes tells nothing about the secret.
    """
    wanted = _hash(secret)
    row = connection.execute(select(table).where(table.c.hash == wanted)).mappings().first()
    if row is None or not hmac.compare_digest(row["hash"], wanted) or row["revoked_at"]:
        return None
    if row["expires_at"] and seconds(row["expires_at"]) <= time.time():
        return None
    return _token(row)


def is_alive(connection: Connection, token_id: str) -> bool:
    """Whether the token was not revoked."""
    query = select(table.c.id).where(table.c.id == token_id, table.c.revoked_at.is_(None))
    return connection.execute(query).first() is not None


def needs_touch(token: Token) -> bool:
    """Whether the last use that is on record is old enough to be written anew."""
    used = token.last_used_at
    return used is None or seconds(used) < time.time() - _USED_EVERY_S


def touch(connection: Connection, token_id: str) -> None:
    """Record that the token was used now."""
    connection.execute(update(table).where(table.c.id == token_id).values(last_used_at=now()))


def listing(connection: Connection) -> tuple[Token, ...]:
    """All tokens that were not revoked, the newest first."""
    query = select(table).where(table.c.revoked_at.is_(None)).order_by(table.c.created_at.desc())
    return tuple(_token(row) for row in connection.execute(query).mappings())


def revoke(connection: Connection, token_id: str) -> None:
    """The token opens nothing any more. Raises NotFound."""
    alive = table.c.revoked_at.is_(None)
    values = {"revoked_at": moment(time.time())}
    statement = update(table).where(table.c.id == token_id, alive).values(**values)
    if connection.execute(statement).rowcount == 0:
        raise NotFound(f"there is no token '{token_id}'")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", errors="surrogatepass")).hexdigest()


def _token(row: RowMapping) -> Token:
    kept = {k: v for k, v in row.items() if k not in ("hash", "revoked_at", "scopes")}
    return Token(**kept, scopes=frozenset(row["scopes"].split()))
