"""The courier: takes messages from the outbox to webhooks, again and again until they arrive.

A message is tried at once and then on a schedule; each webhook gets one at a time, and waits for
no other. A message that arrived just before the service was killed is sent again with the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial

from openforge import signature
from openforge.control import outbox, webhooks
from openforge.control.database import Control, now
from openforge.control.records import Attempt, Delivery
from openforge.delivery import Answer, Sender
from openforge.errors import NotFound, OpenForgeError
from openforge.service.settings import ServiceSettings
from openforge.service.vault import Vault

_LOOK_AGAIN_S = 5.0
_GONE = 410  # Standard Webhooks: the receiver wants no more
_log = logging.getLogger("openforge.service.courier")


class Courier:
    """Delivers what is in the outbox, until it is cancelled; `wake` can be called by any thread."""

    def __init__(self, control: Control, vault: Vault, settings: ServiceSettings) -> None:
        self._control, self._vault = control, vault
        self._delays = settings.webhook_retries_s
        self._sender = Sender(
            allow_private=settings.webhook_private, timeout_s=settings.webhook_timeout_s
        )
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.outcomes: dict[str, int] = {"delivered": 0, "failed": 0}

    def wake(self) -> None:
        """There may be something to deliver."""
        if self._loop:
            with contextlib.suppress(RuntimeError):  # the loop has been closed: it is over
                self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._woken.clear()
                try:
                    wait = await self._start_due()
                except Exception:  # a full disk, a locked database: the messages stay
                    _log.exception("the outbox could not be read")
                    wait = _LOOK_AGAIN_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):  # wait_for (3.11) can lose a cancellation
                        await self._woken.wait()
        finally:
            tasks = list(self._busy.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start_due(self) -> float:
        """Begin all deliveries that are due; how long to wait for the next one."""
        busy = frozenset(self._busy)
        due, next_at = await asyncio.to_thread(self._look, busy)
        for delivery in due:
            task = asyncio.create_task(self._deliver(delivery))
            self._busy[delivery.webhook_id] = task
            task.add_done_callback(partial(self._freed, delivery.webhook_id))
        if next_at is None:
            return _LOOK_AGAIN_S
        return min(max(next_at - time.time(), 0.05), _LOOK_AGAIN_S)

    def _freed(self, webhook_id: str, task: asyncio.Task[None]) -> None:
        self._busy.pop(webhook_id, None)
        if not task.cancelled() and task.exception():
            _log.error("a delivery could not be recorded", exc_info=task.exception())
        else:
            self._woken.set()

    def _look(self, busy: frozenset[str]) -> tuple[list[Delivery], float | None]:
        with self._control.read() as connection:
            return outbox.due(connection, busy), outbox.next_due(connection, busy)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            url, secret = await asyncio.to_thread(self._where, delivery.webhook_id)
        except (NotFound, OpenForgeError) as error:
            answer = Answer(status=None, error=str(error), duration_s=0.0, body="")
        else:
            body = delivery.body.encode()
            signed = signature.headers(secret, delivery.id, int(time.time()), body)
            answer = await self._sender.deliver(url, signed, body)
        await asyncio.to_thread(self._record, delivery, answer)

    def _where(self, webhook_id: str) -> tuple[str, str]:
        with self._control.read() as connection:
            webhook = webhooks.get(connection, webhook_id)
        return webhook.url, self._vault.open(webhook.secret).decode()

    def _record(self, delivery: Delivery, answer: Answer) -> None:
        attempt = Attempt(
            at=now(),
            status_code=answer.status,
            error=answer.error,
            duration_s=answer.duration_s,
        )
        done = delivery.attempts + 1
        with self._control.write() as connection:
            webhook = webhooks.find(connection, delivery.webhook_id)
            state, next_at = outbox.DELIVERED, 0.0
            if not answer.ok:
                more = webhook is not None and done < len(self._delays)
                state = outbox.PENDING if more else outbox.FAILED
                next_at = time.time() + self._delays[done] if more else 0.0
            outbox.record(connection, delivery, attempt, state, next_at)
            if webhook and answer.ok:
                webhooks.worked(connection, webhook.id)
            elif webhook:
                webhooks.did_not_work(connection, webhook, gone=answer.status == _GONE)
        self.outcomes["delivered" if answer.ok else "failed"] += 1
        if not answer.ok:
            about = {"job_id": delivery.job_id, "webhook_id": delivery.webhook_id}
            _log.warning("a message was not delivered: %s", answer.error, extra=about)
