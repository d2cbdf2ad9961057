"""A copy of a project's files, so that a job sees the project as it was when it was submitted."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from openforge.errors import OpenForgeError

MAX_FILES = 20_000
MAX_BYTES = 512 << 20
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "sim_build", "obj_dir", "venv"})


def take(project: Path, target: Path) -> int:
    """Copy the regular files of `project` to the new folder `target`; returns how many.

    Left out: hidden files and folders, caches, links, and `target` itself if it is inside.
    Raises OpenForgeError for a project that is too large or cannot be read.
    """
    target.mkdir()
    count = size = 0
    try:
        for source in _files(project, target):
            count, size = count + 1, size + source.stat().st_size
            if count > MAX_FILES or size > MAX_BYTES:
                raise OpenForgeError(
                    f"{project} has more than {MAX_FILES:,} files or {MAX_BYTES >> 20} MB; "
                    "a project folder holds sources and testbenches only"
                )
            copy = target / source.relative_to(project)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy, follow_symlinks=False)
            copy.chmod(0o644)
    except OSError as error:
        raise OpenForgeError(f"cannot copy {error.filename}: {error.strerror}") from error
    return count


def _files(project: Path, target: Path) -> Iterator[Path]:
    skip = target.parents  # the workspace may be inside the project
    for folder, names, files in os.walk(project, onerror=_refuse):
        here = Path(folder)
        runs = here / "runs"
        names[:] = sorted(
            n
            for n in names
            if not n.startswith(".")
            and n not in _LEFT_OUT
            and not (here / n == runs and runs in skip)
        )
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and stat.S_ISREG(path.lstat().st_mode):
                yield path


def _refuse(error: OSError) -> None:
    raise error
