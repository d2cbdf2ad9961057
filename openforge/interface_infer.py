"""What names of ports say: which begins and ends an operation, which is control, which data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Pattern = tuple[str, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


START: tuple[Pattern, ...] = (
    ("start",),
    ("go",),
    ("begin",),
    ("init",),
    ("load",),
    ("valid", "in"),
    ("in", "valid"),
    ("i", "valid"),
    ("valid", "i"),
    ("s", "valid"),
    ("tvalid",),
    ("req",),
    ("request",),
    ("trigger",),
    ("run",),
    ("next",),
    ("valid",),
)
DONE: tuple[Pattern, ...] = (
    ("done",),
    ("finish",),
    ("finished",),
    ("valid", "out"),
    ("out", "valid"),
    ("o", "valid"),
    ("valid", "o"),
    ("m", "valid"),
    ("result", "valid"),
    ("valid",),
    ("tvalid",),
    ("ready",),
    ("ack",),
)
CONTROL = _words(
    """ack addr address be burst busy cmd code command count counter credit cs cyc cycle cycles
    delay done empty en enable err error fill finish finished full gnt grant idle idx index
    interrupt irq last latency level mode occupancy oe opcode pending phase ptr pointer rd rdy
    re ready req request resp response retry round sel select start state status stb step strb
    strobe stall valid vld wait waddr raddr we wen wr wstrb tready tvalid tlast tkeep tstrb"""
)
DATA = _words(
    """bit borrow carry ciphertext cout data digest dout eq equal gt hash key lsb lt match msb
    odata out overflow parity plaintext product q rdata res result sign signature sum tag tdata
    wdata zero"""
)
SECRET = _words(
    """dk exponent key keys message mk msg passphrase password plaintext priv private pt scalar
    secret secrets seed share shares sk"""
)
_PUBLIC = frozenset(["pub", "public", "pk", "ek", "len", "length", "size"])
_OTHER_SIDE = frozenset(["in", "i", "s"])  # tokens of an output that answers to what comes in
_SIDES = frozenset(["out", "q"])  # where a signal goes, when there is another word
_WIDEST_STATE = 32  # bits of a state machine; a wider state is that of a permutation
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def tokens(name: str) -> tuple[str, ...]:
    """The words of a name in small letters: ``o_dataValid2`` -> o, data, valid, 2."""
    return tuple(match.lower() for match in _TOKEN.findall(name[:1000]))


def best(names: Iterable[str], patterns: Sequence[Pattern]) -> str | None:
    """The one of `names` that fits the earliest of `patterns`, with the fewest other words."""
    ranked = []
    for order, name in enumerate(names):
        words = tokens(name)
        rank = next((n for n, p in enumerate(patterns) if _within(p, words)), None)
        if rank is not None:
            ranked.append((rank, len(words), order, name))
    return min(ranked)[-1] if ranked else None


def ends(name: str) -> bool:
    """Whether an output of this name can be the end of an operation: not ``in_ready``."""
    words = tokens(name)
    return not _OTHER_SIDE.intersection(words) or "done" in words


def observable(name: str, width: int) -> tuple[bool, str]:
    """Whether an output shows timing rather than data, and why; `width` in bits.

    One bit is observed unless its name says data and nothing else: to leave it out could hide a
    leak. Several bits are observed when their name says control; of two words the last one counts.
    """
    words = tokens(name)
    control = [word for word in words if word in CONTROL]
    data = [word for word in words if word in DATA]
    if width > 1:
        control = [w for w in control if w != "state" or width <= _WIDEST_STATE]
        nouns = [word for word in words if word in CONTROL | DATA - _SIDES]
        if not control or (data and nouns[-1:] != control[-1:]):
            return False, "several bits, and the name does not say control or address"
    if control:
        return True, f"'{control[-1]}' in its name says that it is control"
    if data:
        return False, f"'{data[-1]}' in its name says that it is data"
    return True, "one bit that may be control: the name does not say data"


def candidates(names: Iterable[str]) -> list[str]:
    """Those of `names`, of inputs, that sound secret."""
    return [
        name
        for name in names
        if SECRET.intersection(words := tokens(name))
        and not (CONTROL | _PUBLIC).intersection(words)
    ]


def _within(pattern: Pattern, words: tuple[str, ...]) -> bool:
    size = len(pattern)
    return any(words[n : n + size] == pattern for n in range(len(words) - size + 1))
