"""The signature of a webhook: made by OpenForge, checked by whoever receives it.

Two schemes travel together, both HMAC-SHA256 of the body exactly as it is sent:

``X-OpenForge-Signature: sha256=<hex>``
    key: the whole secret as UTF-8, a ``whsec_`` prefix included; message: the body.
``webhook-signature: v1,<base64>`` with ``webhook-id`` and ``webhook-timestamp``
    Standard Webhooks 1.0; message: ``<id>.<timestamp>.<body>``; key: see :func:`standard_key`.

The first says who wrote the body. Only the second also says *when*, so :func:`verify` asks for it:
a copy of an old message stays valid under the first for ever.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import time
from collections.abc import Callable, Mapping

PREFIX = "whsec_"
TOLERANCE_S = 300  # Standard Webhooks 1.0, and the default of its libraries
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def standard_key(secret: str) -> bytes:
    """The HMAC key of the Standard Webhooks signature.

    After ``whsec_`` stands the key in base64 (the ``+/`` alphabet; ``=`` at the end may be left
    out), as the standard says. Any other secret, also a ``whsec_`` followed by nothing or by
    something that is not base64, is its own UTF-8 bytes; a library that knows base64 only is then
    given the base64 of these.

    *Example*:

    >>> standard_key("whsec_a2V5")
    b'key'
    >>> standard_key("a2V5")
    b'a2V5'
    """
    if secret.startswith(PREFIX):
        text = secret.removeprefix(PREFIX)
        try:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if key:
            return key
    return secret.encode()


def headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that sign `body`, for one attempt made at `timestamp` (Unix time in seconds).

    `message_id` is the same in every attempt for one event, so that a receiver can tell repeats;
    letters, digits, ``_`` and ``-``. It has no dot, which would blur where the id ends and the
    timestamp begins in what is signed. Raises ValueError for another id, an empty secret (anyone
    could sign with it) or a timestamp before 1970.

    *Source*: Standard Webhooks 1.0, "Signature scheme"; RFC 2104.

    *Example*:

    >>> sorted(headers("secret", "evt_1", 1, b"{}"))
    ['X-OpenForge-Signature', 'webhook-id', 'webhook-signature', 'webhook-timestamp']
    """
    if not secret:
        raise ValueError("the secret is empty; make one of at least 24 random bytes")
    if _ID.fullmatch(message_id) is None:
        raise ValueError("a message id has 1 to 256 letters, digits, _ or -")
    if _TIMESTAMP.fullmatch(str(timestamp)) is None:
        raise ValueError(f"a timestamp is Unix time in seconds, not {timestamp}")
    return {
        "X-OpenForge-Signature": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": _standard(secret, message_id, str(timestamp), body),
    }


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance_s: float = TOLERANCE_S,
    now: Callable[[], float] = time.time,
) -> bool:
    """Whether `body`, the raw bytes of a request, was signed with `secret` a short time ago.

    `headers` are those of the request, names in any case. True needs all three ``webhook-``
    headers, a time at most `tolerance_s` from now in either direction, and one ``v1`` signature
    among those in ``webhook-signature`` (several while a secret is being changed) that matches.
    ``X-OpenForge-Signature`` alone is not enough: it cannot tell a replay. The time taken does not
    depend on where a wrong signature differs.

    *Limits*: within `tolerance_s` a replay is true as well; keep the ``webhook-id`` of what was
    handled.

    *Example*:

    >>> sent = headers("secret", "evt_1", 1_700_000_000, b"{}")
    >>> verify("secret", sent, b"{}", now=lambda: 1_700_000_010)
    True
    >>> verify("secret", sent, b"{ }", now=lambda: 1_700_000_010)
    False
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id = given.get("webhook-id", "")
    timestamp = given.get("webhook-timestamp", "")
    if not secret or not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp):
        return False
    right = _standard(secret, message_id, timestamp, body).encode()
    offers = given.get("webhook-signature", "").split(" ")
    matches = [hmac.compare_digest(right, offer.encode(errors="replace")) for offer in offers]
    return any(matches) and abs(now() - int(timestamp)) <= tolerance_s


def _standard(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    message = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(standard_key(secret), message, "sha256")).decode()
