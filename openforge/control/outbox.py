"""The outbox: what webhooks are to be told, written in the transaction of what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, RowMapping, delete, func, insert, or_, select, update

from openforge.control.database import moment, now
from openforge.control.records import Attempt, Delivery, Job, Listing, Wanted, WebhookEvent
from openforge.control.rows import page
from openforge.control.tables import attempts as attempt_table
from openforge.control.tables import deliveries as table
from openforge.control.tables import webhooks as webhook_table
from openforge.errors import NotFound
from openforge.ids import new_id
from openforge.model import Stage

PING = "ping"
KEPT_S = 30 * 24 * 3600.0
PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
SORTS = {"created_at": table.c.created_at}


def post(
    connection: Connection,
    event: WebhookEvent,
    job: Job,
    *,
    status: str | None = None,
    summary: Mapping[str, JsonValue] | None = None,
    stage: Stage | None = None,
) -> None:
    """One message to every active webhook of the job's owner that wants `event`."""
    hooks = webhook_table.c
    query = select(hooks.id, hooks.events).where(
        hooks.owner == job.owner,
        hooks.active,
        hooks.deleted_at.is_(None),
        or_(hooks.project_id.is_(None), hooks.project_id == job.project_id),
    )
    payload: dict[str, Any] = {
        "event": event.value,
        "timestamp": now(),
        "job_id": job.id,
        "project_id": job.project_id,
        "status": status or job.status,
        "summary": dict(summary or {}),
    }
    if stage:
        payload["stage"] = stage.value
    for webhook_id, wanted in connection.execute(query):
        if event.value in json.loads(wanted):
            add(connection, webhook_id, event.value, json.dumps(payload), job_id=job.id)


def add(
    connection: Connection,
    webhook_id: str,
    event: str,
    body: str,
    *,
    job_id: str | None = None,
    seed: str | None = None,
) -> Delivery:
    """A message that is due now; the same one for the same `seed`."""
    delivery_id = new_id("msg", seed, random_digits=16)
    if _find(connection, delivery_id) is None:
        connection.execute(
            insert(table).values(
                id=delivery_id,
                webhook_id=webhook_id,
                job_id=job_id,
                event=event,
                body=body,
                state=PENDING,
                attempts=0,
                next_at=time.time(),
                created_at=now(),
            )
        )
    return get(connection, delivery_id)


def get(connection: Connection, delivery_id: str) -> Delivery:
    """The message with its attempts. Raises NotFound."""
    found = _find(connection, delivery_id)
    if found is None:
        raise NotFound(f"there is no delivery '{delivery_id}'")
    query = select(attempt_table).where(attempt_table.c.delivery_id == delivery_id)
    tries = connection.execute(query.order_by(attempt_table.c.number)).mappings()
    made = tuple(Attempt(**{k: v for k, v in t.items() if k != "delivery_id"}) for t in tries)
    return found.model_copy(update={"tries": made})


def listing(connection: Connection, webhook_id: str, wanted: Wanted) -> Listing[Delivery]:
    """A page of the messages to a webhook, newest first."""
    query = select(table).where(table.c.webhook_id == webhook_id)
    found = page(connection, query, wanted, SORTS, _delivery)
    rows = tuple(get(connection, row.id) for row in found.rows)
    return Listing(rows=rows, total=found.total)


def due(connection: Connection, busy: frozenset[str]) -> list[Delivery]:
    """The next message of every webhook that has one due and is not among `busy`."""
    waiting = (table.c.state == PENDING, table.c.next_at <= time.time())
    first = select(func.min(table.c.number)).where(*waiting, table.c.webhook_id.not_in(busy))
    query = select(table).where(table.c.number.in_(first.group_by(table.c.webhook_id)))
    return [_delivery(row) for row in connection.execute(query).mappings()]


def next_due(connection: Connection, busy: frozenset[str]) -> float | None:
    """When the next message to a webhook not among `busy` is due, seconds since 1970, if any."""
    waiting = (table.c.state == PENDING, table.c.webhook_id.not_in(busy))
    query = select(func.min(table.c.next_at)).where(*waiting)
    return connection.execute(query).scalar_one_or_none()


def record(
    connection: Connection, delivery: Delivery, attempt: Attempt, state: str, next_at: float
) -> None:
    """Keep an attempt, numbered, and what is to become of the message."""
    mine = attempt_table.c.delivery_id == delivery.id
    made = connection.execute(select(func.max(attempt_table.c.number)).where(mine)).scalar_one()
    values = attempt.model_dump() | {"number": (made or 0) + 1}
    connection.execute(insert(attempt_table).values(delivery_id=delivery.id, **values))
    changed = {"state": state, "next_at": next_at, "attempts": delivery.attempts + 1}
    connection.execute(update(table).where(table.c.id == delivery.id).values(**changed))


def send_again(connection: Connection, delivery_id: str) -> Delivery:
    """Begin anew with a message, under the same id, whatever became of it. Raises NotFound."""
    get(connection, delivery_id)
    values = {"state": PENDING, "attempts": 0, "next_at": time.time()}
    connection.execute(update(table).where(table.c.id == delivery_id).values(**values))
    return get(connection, delivery_id)


def prune(connection: Connection) -> None:
    """Forget messages that were settled a month ago, with their attempts."""
    before = moment(time.time() - KEPT_S)
    old = (table.c.state != PENDING, table.c.created_at < before)
    ids = select(table.c.id).where(*old)
    connection.execute(delete(attempt_table).where(attempt_table.c.delivery_id.in_(ids)))
    connection.execute(delete(table).where(*old))


def give_up(connection: Connection, webhook_id: str) -> None:
    """Nothing more is sent to a webhook that is gone or was switched off."""
    waiting = (table.c.webhook_id == webhook_id, table.c.state == PENDING)
    connection.execute(update(table).where(*waiting).values(state=FAILED))


def _find(connection: Connection, delivery_id: str) -> Delivery | None:
    query = select(table).where(table.c.id == delivery_id)
    row = connection.execute(query).mappings().first()
    return _delivery(row) if row else None


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(**row)
