"""What a file that a stranger sends may be called, and how a name that is refused is shown."""

from __future__ import annotations

import re
import unicodedata

from openforge.errors import OpenForgeError

MAX_DEPTH = 12
MAX_CHARS, MAX_PART_CHARS = 512, 128
_MAX_PART_BYTES = 255  # of UTF-8: NAME_MAX of Linux
_MAX_SHOWN = 80
_MARKS = frozenset("_.+- =,@()[]")
_BLANK = frozenset("\u115f\u1160\u3164\uffa0")  # the letters that are drawn as nothing (Hangul)
_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))
)


class Refused(OpenForgeError):
    """A file is not taken. `name` is safe to show (ASCII, short), `reason` says what was wrong."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = shown(name), reason
        super().__init__(f"{self.name}: {reason}")


def shown(name: str) -> str:
    """`name` as quoted ASCII of at most 80 characters, whatever is in it."""
    text = ascii(name[:_MAX_SHOWN])
    whole = len(name) <= _MAX_SHOWN and len(text) <= _MAX_SHOWN
    return text if whole else text[: _MAX_SHOWN - 3] + "..."


def safe_name(name: str) -> str:
    """`name` in NFC: a relative POSIX path of parts that no file system, shell or page misreads.

    A part is 1 to 128 letters and digits of any script, spaces and ``_.+-=,@()[]``; it begins with
    a letter, a digit or one of ``_([`` and ends in neither a dot nor a space. Raises Refused.

    >>> safe_name("rtl/aes core.sv")
    'rtl/aes core.sv'
    """
    parts = path_parts(name)
    if len(parts) > MAX_DEPTH:
        raise Refused(name, f"at most {MAX_DEPTH} parts were expected, found {len(parts)}")
    for part in parts:
        if fault := _fault(part):
            raise Refused(name, fault)
    return "/".join(parts)


def path_parts(name: str) -> tuple[str, ...]:
    """The parts of `name`, in NFC, if it leads nowhere but down. Raises Refused.

    This is what the name of a member that is left out must hold to, too.
    """
    path = unicodedata.normalize("NFC", name[: MAX_CHARS + 1])
    if len(name) > MAX_CHARS or len(path) > MAX_CHARS:
        raise Refused(name, f"at most {MAX_CHARS} characters were expected, found {len(name)}")
    if any(unicodedata.category(c).startswith("C") for c in path):
        raise Refused(name, "text was expected, found a control or invisible character")
    if path.startswith("/") or "\\" in path or re.match("[A-Za-z]:", path):
        raise Refused(name, "a relative path with '/' between its parts was expected")
    parts = tuple(path.split("/"))
    if not {"", ".", ".."}.isdisjoint(parts):
        raise Refused(name, "a plain path was expected, found a part that is empty, '.' or '..'")
    return parts


def same_key(name: str) -> str:
    """Equal for two names that some file system takes for one: by case, or by Unicode form."""
    return unicodedata.normalize("NFKC", name).casefold()


def _fault(part: str) -> str:
    """What is wrong with a part of a path; nothing if it is fine."""
    odd = next((c for c in part if not _is_plain(c)), None)
    if odd is not None:
        return f"letters, digits, spaces and _.+-=,@()[] were expected, found {shown(odd)}"
    if len(part) > MAX_PART_CHARS or len(part.encode()) > _MAX_PART_BYTES:
        return f"parts of at most {MAX_PART_CHARS} characters and {_MAX_PART_BYTES} bytes expected"
    if part[0] in _MARKS - frozenset("_(["):
        return f"a letter, a digit or one of _([ was expected first, found {shown(part[0])}"
    if part[-1] in ". ":
        return "the end of a part was expected to be neither a dot nor a space"
    if part.partition(".")[0].rstrip().lower() in _RESERVED:
        return f"{shown(part)} is a device on Windows; another name was expected"
    return ""


def _is_plain(char: str) -> bool:
    letter_or_digit = char.isalpha() or char.isdecimal()
    return char in _MARKS or (letter_or_digit and char not in _BLANK)
