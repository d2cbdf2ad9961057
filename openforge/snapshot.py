"""A copy of a project's files, so that a job sees the project as it was when it was submitted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from openforge.errors import ConfigError, OpenForgeError
from openforge.globs import resolve_globs

MAX_FILES = 20_000
MAX_BYTES = 512 << 20
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "sim_build", "obj_dir", "venv"})


def take(project: Path, target: Path) -> int:
    """Copy the files of `project` to the new folder `target`; returns how many.

    Links to what is inside the project stay links. Left out: hidden files and folders, caches,
    links that lead out, and `target` itself if it is inside. Raises OpenForgeError for a project
    that is too large or cannot be read.
    """
    target.mkdir()
    root = project.resolve()
    count = size = 0
    try:
        for source in _files(project, target):
            count, size = count + 1, size + source.lstat().st_size
            if count > MAX_FILES or size > MAX_BYTES:
                raise OpenForgeError(
                    f"{project} has more than {MAX_FILES:,} files or {MAX_BYTES >> 20} MB; "
                    "a project folder holds sources and testbenches only"
                )
            copy = target / source.relative_to(project)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink():
                _copy_link(source, copy, root, target)
            else:
                shutil.copyfile(source, copy, follow_symlinks=False)
                copy.chmod(0o644)
    except OSError as error:
        raise OpenForgeError(f"cannot copy {error.filename}: {error.strerror}") from error
    return count


def digest(project: Path) -> str:
    """SHA-256 over names and contents of all regular files: what a job is about, in one word."""
    files = (p for p in project.rglob("*") if p.is_file() and not p.is_symlink())
    return digest_of((p.relative_to(project).as_posix(), _sha256(p)) for p in files)


def digest_of(files: Iterable[tuple[str, str]]) -> str:
    """As `digest`, from names and the SHA-256 of each content, in any order."""
    lines = sorted((unicodedata.normalize("NFC", name), sha) for name, sha in files)
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_same(project: Path, copy: Path, patterns: Mapping[str, Sequence[str]]) -> None:
    """Raises OpenForgeError when `patterns` (by field) name a file that `copy` does not have.

    A test or a property that is lost on the way would be a pass that nobody earned.
    """
    for field, globs in patterns.items():
        lost = _names(project, globs, field) - _names(copy, globs, field)
        if lost:
            raise OpenForgeError(
                f"{field} names {min(lost)}, which a job does not see: hidden files, links that "
                f"lead out and folders called {', '.join(sorted(_LEFT_OUT))} are not copied"
            )


def _names(root: Path, globs: Sequence[str], field: str) -> set[str]:
    """What `globs` match in `root`, relative to it; one that matches nothing is not judged here."""
    names = set()
    for glob in globs:
        with contextlib.suppress(ConfigError):
            found = resolve_globs(root, [glob], field=field)
            names |= {path.resolve().relative_to(root.resolve()).as_posix() for path in found}
    return names


def _copy_link(source: Path, copy: Path, root: Path, target: Path) -> None:
    """Make `copy` a link to the copy of what `source` leads to, unless that is not copied."""
    leads_to = source.resolve()
    if leads_to.is_relative_to(root):
        there = target / leads_to.relative_to(root)
        copy.symlink_to(os.path.relpath(there, copy.parent))


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
        for name in sorted([*files, *(n for n in names if (here / n).is_symlink())]):
            path = here / name
            mode = path.lstat().st_mode
            if not name.startswith(".") and (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                yield path


def _refuse(error: OSError) -> None:
    raise error
