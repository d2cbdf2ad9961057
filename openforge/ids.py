"""Identifiers: ``proj_...``, ``job_...``, ``wh_...``: in order of time, then random.

What an Idempotency-Key makes gets its id from the seed kept with the key: a request that is sent
again after a crash finds what the first one made.
"""

from __future__ import annotations

import hashlib
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_TIME_DIGITS, _RANDOM_DIGITS = 9, 5  # 25 random bits a millisecond


def new_seed() -> str:
    """Milliseconds since 1970 and 128 random bits."""
    return f"{int(time.time() * 1000)}.{secrets.token_hex(16)}"


def new_id(prefix: str, seed: str | None = None, random_digits: int = _RANDOM_DIGITS) -> str:
    """``<prefix>_`` and 14 characters; the same for the same seed.

    More `random_digits` are for what is made in great numbers at once.
    """
    stamp, _, rest = (seed or new_seed()).partition(".")
    random = int.from_bytes(hashlib.sha256(f"{prefix}.{rest}".encode()).digest())
    return f"{prefix}_{_digits(int(stamp), _TIME_DIGITS)}{_digits(random, random_digits)}"


def _digits(number: int, count: int) -> str:
    text = ""
    for _ in range(count):
        number, digit = divmod(number, 32)
        text = _ALPHABET[digit] + text
    return text
