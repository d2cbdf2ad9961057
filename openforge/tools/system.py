"""What a program of the host says of itself."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path


@functools.cache
def first_line(program: Path, flag: str = "--version") -> str:
    """The first line that `program flag` prints ("unknown" when it prints none)."""
    shown = subprocess.run(
        [program, flag], capture_output=True, text=True, check=False, timeout=10, cwd="/"
    )
    return next(iter((shown.stdout or shown.stderr).splitlines()), "unknown").strip()
