"""Idempotency keys: a request that is sent again gets the answer of the first one.

A key is taken before the work begins and answered after it. A key that was taken and never
answered, because the server was killed or the disk full, is handed to the next request with it,
with the same seed: ids follow from the seed, so what was made already is found and not made twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy import and_ as all_of

from openforge.control.tables import idempotency as table
from openforge.ids import new_seed

KEPT_S = 24 * 3600.0


@dataclass(frozen=True)
class Claim:
    """What is known of a key. `status` and `answer` are there when it was answered.

    `same` says whether it was taken for the same request.
    """

    seed: str
    same: bool = True
    status: int | None = None
    answer: bytes | None = None


def claim(connection: Connection, user: str, key: str, fingerprint: str) -> Claim:
    """What is known of the key; it is taken for a request with `fingerprint` if it is new.

    The caller sees to it that only one request with a key is under way.
    """
    connection.execute(delete(table).where(table.c.created_at < time.time() - KEPT_S))
    where = all_of(table.c.user == user, table.c.key == key)
    row = connection.execute(select(table).where(where)).mappings().first()
    if row is not None:
        same = row["fingerprint"] == fingerprint
        return Claim(row["seed"], same, row["status"], row["answer"])
    seed = new_seed()
    connection.execute(
        insert(table).values(
            user=user, key=key, fingerprint=fingerprint, seed=seed, created_at=time.time()
        )
    )
    return Claim(seed)


def forget(connection: Connection, user: str, key: str) -> None:
    """A request with the key was refused: nothing was made, and the key is free for another."""
    where = all_of(table.c.user == user, table.c.key == key, table.c.status.is_(None))
    connection.execute(delete(table).where(where))


def answer(connection: Connection, user: str, key: str, status: int, text: bytes) -> None:
    """Keep the (encrypted) answer of the request that holds the key."""
    where = all_of(table.c.user == user, table.c.key == key)
    connection.execute(update(table).where(where).values(status=status, answer=text))
