"""Webhooks: register, look, delete; what was sent, send it again, ping."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api import schemas, shapes
from api.deps import (
    PageNumber,
    PerPage,
    Reader,
    Seed,
    Submitter,
    TheService,
    TheWebhook,
    clean,
    see_project,
)
from api.errors import ApiError
from api.routing import Route
from openforge import addresses
from openforge.control import outbox
from openforge.control import webhooks as hooks
from openforge.control.database import now
from openforge.control.records import Wanted, Webhook
from openforge.errors import NotFound
from openforge.ids import new_id

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=Route)

DeliveryId = Annotated[str, Path(max_length=100, description="a message", examples=["msg_abc123"])]


@router.post(
    "", status_code=201, summary="Register a webhook", response_description="The new webhook"
)
def register(
    body: schemas.WebhookCreate,
    service: TheService,
    caller: Submitter,
    seed: Seed,
    response: Response,
) -> schemas.Webhook:
    """Be told of events.

    What is sent is signed: `X-OpenForge-Signature` is `sha256=` and the HMAC-SHA256 of the raw
    body; the Standard Webhooks headers stand beside it. A job that is anything but `passed` is told
    as `job.failed`, or `job.cancelled`.
    """
    allow_private = service.settings.webhook_private
    addresses.check_url(body.url, allow_private=allow_private)
    wanted = body.project_id
    project = see_project(service, caller, wanted) if wanted is not None else None
    if caller.project_id and project is None:
        raise ApiError(403, "this token is for one project: name it", {"field": "project_id"})
    webhook = Webhook(
        id=new_id("wh", seed),
        owner=project.owner if project else str(caller.user),
        project_id=project.id if project else None,
        url=body.url,
        events=tuple(dict.fromkeys(body.events)),
        secret=service.vault.seal(body.secret.encode("utf-8", errors="surrogatepass")),
        active=True,
        inactive_reason="",
        failing_since=None,
        created_at=now(),
    )
    with service.control.write() as connection:
        found = hooks.create(connection, webhook)
    response.headers["Location"] = f"{shapes.ROOT}/webhooks/{found.id}"
    return shapes.webhook(found)


@router.get("", name="list", summary="List webhooks", response_description="The webhooks")
def listing(service: TheService, caller: Reader) -> schemas.Webhooks:
    """The caller's webhooks, newest first."""
    with service.control.read() as connection:
        rows = hooks.listing(connection, caller.owner)
    bound = [w for w in rows if caller.project_id in (None, w.project_id)]
    return schemas.Webhooks(webhooks=[shapes.webhook(w) for w in bound], total=len(bound))


@router.get("/{id}", summary="Get a webhook", response_description="The webhook")
def get(webhook: TheWebhook) -> schemas.Webhook:
    """One webhook; its secret cannot be read back."""
    return shapes.webhook(webhook)


@router.delete(
    "/{id}", status_code=204, summary="Delete a webhook", response_description="It is gone"
)
def delete(webhook: TheWebhook, service: TheService, _: Submitter) -> None:
    """Nothing more is sent to it."""
    with service.control.write() as connection:
        hooks.delete(connection, webhook.id)


@router.post(
    "/{id}/ping",
    status_code=202,
    summary="Ping a webhook",
    response_description="The message is on its way",
)
def ping(webhook: TheWebhook, service: TheService, seed: Seed, _: Submitter) -> schemas.Delivery:
    """Send a message of the event `ping`. One that arrives switches the webhook on again."""
    body = {"event": outbox.PING, "timestamp": now(), "webhook_id": webhook.id}
    with service.control.write() as connection:
        found = outbox.add(connection, webhook.id, outbox.PING, json.dumps(body), seed=seed)
    service.courier.wake()
    return shapes.delivery(found)


@router.get(
    "/{id}/deliveries",
    name="list_deliveries",
    summary="List deliveries",
    response_description="A page of them, newest first",
)
def deliveries(
    webhook: TheWebhook, service: TheService, page: PageNumber = 1, per_page: PerPage = 20
) -> schemas.Deliveries:
    """What was sent or is to be sent, with each attempt; newest first."""
    with service.control.read() as connection:
        found = outbox.listing(connection, webhook.id, Wanted(page, per_page))
    return schemas.Deliveries(
        deliveries=[shapes.delivery(row) for row in found.rows],
        total=found.total,
        page=page,
        per_page=per_page,
    )


@router.post(
    "/{id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    summary="Send a delivery again",
    response_description="The message is on its way",
)
def redeliver(
    webhook: TheWebhook, delivery_id: DeliveryId, service: TheService, _: Submitter
) -> schemas.Delivery:
    """Send the same message once more, under the same id."""
    with service.control.write() as connection:
        known = outbox.get(connection, clean(delivery_id))
        if known.webhook_id != webhook.id:
            raise NotFound(f"there is no delivery '{delivery_id}'")
        found = outbox.send_again(connection, known.id)
    service.courier.wake()
    return shapes.delivery(found)
