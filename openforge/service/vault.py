"""Encryption of what must be kept and must not be read: secrets of webhooks, kept answers."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from openforge.errors import OpenForgeError

FILE = "service.key"


class Vault:
    """Fernet (AES-128-CBC with HMAC-SHA256) with the workspace's key, made at first use.

    It protects copies of the database, not a machine whose files an attacker can read.
    """

    def __init__(self, workspace: Path) -> None:
        path = workspace / FILE
        scratch = path.with_name(f"{FILE}.{os.getpid()}")
        if not path.exists():
            with open(scratch, "xb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
                file.write(Fernet.generate_key())
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(scratch, path)  # never over a key that another process has just made
            except FileExistsError:
                pass
            finally:
                scratch.unlink()
        try:
            self._fernet = Fernet(path.read_bytes())
        except ValueError:
            raise OpenForgeError(f"{FILE} in the workspace is damaged: it is no key") from None

    def seal(self, text: bytes) -> bytes:
        """`text`, encrypted."""
        return self._fernet.encrypt(text)

    def open(self, sealed: bytes) -> bytes:
        """The text of `sealed`. Raises OpenForgeError when another key sealed it."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise OpenForgeError("this was encrypted with another service.key") from None
