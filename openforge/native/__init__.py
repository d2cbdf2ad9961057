"""The compiled part: one library for each level of what processors can do, picked at run time.

The libraries are built with the package (`hatch_build.py`), so that nobody needs a compiler to use
it. Where there is none, numpy does the same work, slower, and gives the same numbers.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

SWITCH = "OPENFORGE_NATIVE"
"""Environment variable: ``0`` switches the compiled part off, a level (1, 3, 4) picks one."""


@functools.cache
def library() -> ctypes.CDLL | None:
    """The best library that this processor can run; None where there is none, or by `SWITCH`."""
    wanted = os.environ.get(SWITCH, "")
    first = _load(1)
    if first is None or wanted == "0":
        return None
    level = int(first.of_level())
    if wanted.isdecimal():
        level = min(level, int(wanted))
    for found in (4, 3):
        better = _load(found) if found <= level else None
        if better is not None:
            return better
    return first


def describe() -> str:
    """What computes: the level of the compiled part, or numpy."""
    found = library()
    return Path(found._name).stem.removeprefix("_native_") if found else "numpy"


def _load(level: int) -> ctypes.CDLL | None:
    path = Path(__file__).with_name(f"_native_v{level}.so")
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None
