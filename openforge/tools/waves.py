"""Waveforms (FST, VCD): the changes of some signals, read with pywellen in the sandbox."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from openforge.errors import ToolError
from openforge.tools import process

INSIDE = Path(__file__).resolve().parent / "inside"
MAX_CHANGES = 5_000_000
_LIMITS = process.Limits(timeout_s=300, memory_bytes=4 << 30)

Changes = tuple[tuple[int, int | None], ...]
"""Times in the waveform's own unit, and values from there on; None for X and Z."""


def read(
    files: Sequence[Path], signals: Sequence[Sequence[str]], work: Path
) -> list[list[Changes | None]]:
    """For each of `files`, the changes of each of `signals` (None: no such signal in it).

    A signal is given as its possible full names, best first. `work` is a folder for scratch files;
    a new folder is made in it. Raises ToolError when a waveform cannot be read.
    """
    if not files or not signals:
        return [[] for _ in files]
    folder = work / f"waves-{sum(1 for _ in work.glob('waves-*'))}"
    folder.mkdir()
    request, answer = folder / "request.json", folder / "answer.json"
    request.write_text(
        json.dumps(
            {
                "files": [str(file) for file in files],
                "signals": [list(s) for s in signals],
                "limit": MAX_CHANGES,
            }
        )
    )
    process.run(
        [sys.executable, "-I", INSIDE / "openforge_waves.py", request, answer],
        cwd=folder,
        log=work / f"{folder.name}.log",
        limits=_LIMITS,
        readable=files,
        writable=[folder],
    ).expect("reading the waveforms")
    try:
        told = json.loads(answer.read_text("utf-8"))
        return [[_changes(signal) for signal in file] for file in told]
    except (OSError, ValueError, TypeError) as error:
        raise ToolError(f"the waveforms could not be read: {error}") from None


def _changes(told: list[tuple[int, int | str]] | None) -> Changes | None:
    if told is None:
        return None
    return tuple((int(time), _value(value)) for time, value in told)


def _value(value: int | str) -> int | None:
    """A wave's value as a number: pywellen gives an int, or the bits where some are X or Z."""
    if isinstance(value, int):
        return value
    return int(value, 2) if value and set(value) <= {"0", "1"} else None
