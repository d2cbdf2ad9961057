"""Text for people: of unknown origin, made safe to look at; and numbers with their nouns."""

from __future__ import annotations

import re
from collections.abc import Sequence

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_ORDER = r"\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they change the direction of writing
_HIDDEN = re.compile(rf"[{_CONTROL}{_ORDER}\ud800-\udfff]")


def plain(text: str) -> str:
    r"""`text` without terminal colours, and with characters that hide or reorder text written out.

    A right-to-left override in a source shows as ``\u202e``: else code could look like other code.
    """
    text = _COLOURS.sub("", text.replace("\r\n", "\n"))
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def counted(number: int, noun: str) -> str:
    """``1 test``, ``2 tests``, ``1,000 tests``: `noun` forms its plural with an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of `names`, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
