"""Registered webhooks."""

from __future__ import annotations

import json
import time

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from openforge.control import outbox
from openforge.control.database import now
from openforge.control.records import Webhook
from openforge.control.tables import webhooks as table
from openforge.errors import NotFound, OpenForgeError

MAX_AN_OWNER = 100
DISABLE_AFTER_S = 5 * 24 * 3600.0  # of nothing but failures: Svix's rule


def create(connection: Connection, webhook: Webhook) -> Webhook:
    """Register `webhook`; the one with its id if that is there.

    Raises OpenForgeError when its owner has too many.
    """
    there = find(connection, webhook.id)
    if there:
        return there
    mine = (table.c.owner == webhook.owner, table.c.deleted_at.is_(None))
    query = select(func.count()).select_from(table).where(*mine)
    if connection.execute(query).scalar_one() >= MAX_AN_OWNER:
        raise OpenForgeError(f"there are {MAX_AN_OWNER} webhooks already; delete one first")
    values = webhook.model_dump() | {"events": json.dumps(webhook.events)}
    connection.execute(insert(table).values(**values))
    return webhook


def get(connection: Connection, webhook_id: str) -> Webhook:
    """The webhook. Raises NotFound."""
    found = find(connection, webhook_id)
    if found is None:
        raise NotFound(f"there is no webhook '{webhook_id}'")
    return found


def listing(connection: Connection, owner: str | None) -> tuple[Webhook, ...]:
    """The webhooks of `owner`, or all; newest first."""
    query = select(table).where(table.c.deleted_at.is_(None)).order_by(table.c.created_at.desc())
    if owner is not None:
        query = query.where(table.c.owner == owner)
    return tuple(_webhook(row) for row in connection.execute(query).mappings())


def delete(connection: Connection, webhook_id: str) -> None:
    """Forget a webhook; what was not delivered yet is not sent. Raises NotFound."""
    get(connection, webhook_id)
    gone = {"deleted_at": now(), "active": False, "secret": b""}
    connection.execute(update(table).where(table.c.id == webhook_id).values(**gone))
    outbox.give_up(connection, webhook_id)


def worked(connection: Connection, webhook_id: str) -> None:
    """A message arrived: the webhook is sound, also if it was switched off."""
    _set(connection, webhook_id, active=True, inactive_reason="", failing_since=None)


def did_not_work(connection: Connection, webhook: Webhook, *, gone: bool) -> None:
    """A message did not arrive; switched off when it is `gone`, or has failed for too long."""
    since = webhook.failing_since or time.time()
    _set(connection, webhook.id, failing_since=since)
    if gone:
        _switch_off(connection, webhook.id, "the receiver said that it is gone (410)")
    elif time.time() - since > DISABLE_AFTER_S:
        _switch_off(connection, webhook.id, "nothing could be delivered for 5 days")


def _switch_off(connection: Connection, webhook_id: str, reason: str) -> None:
    _set(connection, webhook_id, active=False, inactive_reason=reason)
    outbox.give_up(connection, webhook_id)


def _set(connection: Connection, webhook_id: str, **values: object) -> None:
    alive = table.c.deleted_at.is_(None)
    connection.execute(update(table).where(table.c.id == webhook_id, alive).values(**values))


def find(connection: Connection, webhook_id: str) -> Webhook | None:
    """The webhook, or None."""
    alive = table.c.deleted_at.is_(None)
    query = select(table).where(table.c.id == webhook_id, alive)
    row = connection.execute(query).mappings().first()
    return _webhook(row) if row else None


def _webhook(row: RowMapping) -> Webhook:
    kept = {k: v for k, v in row.items() if k not in ("events", "deleted_at")}
    return Webhook(**kept, events=json.loads(row["events"]))
