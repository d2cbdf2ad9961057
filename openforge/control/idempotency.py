"""Idempotency keys: a request that is sent again gets the answer of the first one.

A key is taken before the work begins and answered after it. A key that a server took and never
answered, because it was killed, is handed to the next request with it, with the same seed: ids
follow from the seed, so what was made already is found and not made twice.
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
    """What is known of a key. `status` and `answer` are there when it was answered."""

    seed: str
    ours: bool
    same: bool = True
    status: int | None = None
    answer: bytes | None = None


def claim(connection: Connection, user: str, key: str, fingerprint: str, instance: str) -> Claim:
    """Take the key for a request with `fingerprint`, or say who has it."""
    connection.execute(delete(table).where(table.c.created_at < time.time() - KEPT_S))
    where = all_of(table.c.user == user, table.c.key == key)
    row = connection.execute(select(table).where(where)).mappings().first()
    if row is None:
        seed = new_seed()
        connection.execute(
            insert(table).values(
                user=user,
                key=key,
                fingerprint=fingerprint,
                seed=seed,
                instance=instance,
                created_at=time.time(),
            )
        )
        return Claim(seed, ours=True)
    if row["fingerprint"] != fingerprint:
        return Claim(row["seed"], ours=False, same=False)
    if row["status"] is None and row["instance"] != instance:
        connection.execute(update(table).where(where).values(instance=instance))
        return Claim(row["seed"], ours=True)
    return Claim(row["seed"], ours=False, status=row["status"], answer=row["answer"])


def answer(connection: Connection, user: str, key: str, status: int, text: bytes) -> None:
    """Keep the (encrypted) answer of the request that holds the key."""
    where = all_of(table.c.user == user, table.c.key == key)
    connection.execute(update(table).where(where).values(status=status, answer=text))


def release(connection: Connection, user: str, key: str) -> None:
    """The next request with the key goes on, with the same seed: this one could not."""
    where = all_of(table.c.user == user, table.c.key == key, table.c.status.is_(None))
    connection.execute(update(table).where(where).values(instance=""))
