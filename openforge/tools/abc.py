"""ABC, of the pyosys wheel: bounded search and reachability on AIGER files."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from openforge.errors import ToolError
from openforge.tools import process
from openforge.tools.locate import program

_ASSERTED = re.compile(r'^Output 0 of miter ".*" was asserted in frame (\d+)\.', re.MULTILINE)
_CLEAN = re.compile(r"^No output asserted in (\d+) frames", re.MULTILINE)
_PROVED = re.compile(r"^Property proved\.", re.MULTILINE)
_VERIFIED = re.compile(r"^Verification of invariant with \d+ clauses was successful", re.MULTILINE)
_FAILED = re.compile(r"^Verification of .* fail", re.MULTILINE)
_GRACE_S = 3.0
_MEMORY_BYTES = 650 << 20


class Word(StrEnum):
    """What ABC says of a circuit's output."""

    NEVER = "never"  # it is 0 in every reachable state
    REACHED = "reached"  # there is a run in which it is 1
    BOUNDED = "bounded"  # it is 0 in the first cycles
    OPEN = "open"


@dataclass(frozen=True)
class Answer:
    """ABC's word. `cycles` are those without a 1 (BOUNDED), or before the one with it (REACHED).

    `frames` are the places of the inputs that are 1, one set a cycle, for REACHED.
    """

    word: Word
    cycles: int = 0
    frames: tuple[frozenset[int], ...] = ()


def bounded(
    circuit: Path, *, inputs: int, depth: int, timeout_s: float, stop: threading.Event | None = None
) -> Answer:
    """Search (``bmc3``) the first `depth` cycles of an AIGER file with so many `inputs`."""
    found = circuit.with_suffix(".bmc.cex")
    script = f"read_aiger {circuit.name}; strash; bmc3 -F {depth} -T {_seconds(timeout_s)}"
    text = _run(circuit, f"{script}; write_cex {found.name}", "bmc", timeout_s, stop)
    return _answer(text, found, inputs) or Answer(Word.OPEN)


def unbounded(
    circuit: Path, *, inputs: int, timeout_s: float, stop: threading.Event | None = None
) -> Answer:
    """Merge what is equivalent (``scorr``), then property-directed reachability (``pdr``).

    A proof counts only if ABC has verified its invariant, or if merging left the constant 0.
    """
    found, small = circuit.with_suffix(".pdr.cex"), circuit.with_suffix(".small.aig")
    script = (
        f"read_aiger {circuit.name}; strash; scorr; dc2; scorr; write_aiger {small.name}; "
        f"pdr -T {_seconds(timeout_s)}; write_cex {found.name}"
    )
    text = _run(circuit, script, "pdr", timeout_s, stop)
    if small.is_file() and _is_constant_0(small.read_bytes()):
        return Answer(Word.NEVER)
    return _answer(text, found, inputs) or Answer(Word.OPEN)


def _seconds(timeout_s: float) -> int:
    return max(1, round(timeout_s))


def _run(
    circuit: Path, script: str, name: str, timeout_s: float, stop: threading.Event | None
) -> str:
    log = circuit.with_suffix(f".{name}.log")
    for old in (log, circuit.with_suffix(".small.aig"), circuit.with_suffix(f".{name}.cex")):
        old.unlink(missing_ok=True)  # what another run has left says nothing of this one
    ended = process.run(
        [program("abc"), "-c", script],
        cwd=circuit.parent,
        log=log,
        limits=process.Limits(timeout_s=timeout_s + _GRACE_S, memory_bytes=_MEMORY_BYTES),
        writable=[circuit.parent],
        stop=stop,
    )
    if ended.outcome is process.Outcome.EXITED:
        ended.expect("ABC", codes=(0, 1))
    elif ended.outcome is process.Outcome.SIGNALLED:
        ended.expect("ABC")
    return log.read_text("utf-8", "replace")


def _answer(text: str, found: Path, inputs: int) -> Answer | None:
    asserted, clean = _ASSERTED.search(text), list(_CLEAN.finditer(text))
    if asserted:
        return Answer(Word.REACHED, int(asserted[1]), _frames(found, inputs, int(asserted[1]) + 1))
    if _PROVED.search(text) and _VERIFIED.search(text) and not _FAILED.search(text):
        return Answer(Word.NEVER)
    return Answer(Word.BOUNDED, int(clean[-1][1])) if clean else None


def _frames(found: Path, inputs: int, count: int) -> tuple[frozenset[int], ...]:
    """The inputs of a counterexample file: registers' first values, then inputs cycle by cycle."""
    try:
        bits = found.read_text("ascii").split("#")[0].strip()
    except (OSError, IndexError, ValueError) as error:
        raise ToolError(f"ABC left no readable counterexample: {error}") from error
    rows = bits[len(bits) - inputs * count :]
    if len(rows) != inputs * count:
        raise ToolError("ABC's counterexample is not as long as it says")
    return tuple(
        frozenset(n for n, bit in enumerate(rows[i * inputs : (i + 1) * inputs]) if bit == "1")
        for i in range(count)
    )


def _is_constant_0(data: bytes) -> bool:
    """Whether the one output of an AIGER file is the literal 0."""
    lines = data.split(b"\n")
    try:
        kind, _, _, latches, outputs, *_ = lines[0].split()
        return kind == b"aig" and outputs == b"1" and lines[1 + int(latches)] == b"0"
    except (ValueError, IndexError):
        return False
