"""Globs that cannot leave the project."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from openforge.errors import ConfigError, Problem

_MAX_FILES = 10_000


def resolve_globs(
    project_dir: Path, patterns: Iterable[str], *, field: str, exclude: Iterable[str] = ()
) -> tuple[Path, ...]:
    """The regular files that `patterns` name, absolute, in order of the patterns, sorted in each.

    A pattern with a file's exact name means that file, whatever characters it has. Raises
    ConfigError for a pattern that matches nothing, is absolute, has "..", or leads through a link
    out of the project; `field` is the dotted name used in the message.
    """
    root = project_dir.resolve()
    left_out = {path for pattern in exclude for path in _expand(root, pattern, field)}
    found: dict[Path, None] = {}
    for pattern in patterns:
        files = _expand(root, pattern, field)
        if not files:
            raise ConfigError([_nothing(root, pattern, field)])
        found.update(dict.fromkeys(path for path in files if path not in left_out))
    if len(found) > _MAX_FILES:
        raise ConfigError([Problem(field, f"more than {_MAX_FILES:,} files match")])
    return tuple(found)


def _expand(root: Path, pattern: str, field: str) -> list[Path]:
    pure = PurePosixPath(pattern)
    if pure.is_absolute() or ".." in pure.parts:
        raise ConfigError([Problem(field, f"'{pattern}' leaves the project folder")])
    exact = root / pattern
    candidates = [exact] if exact.is_file() else sorted(root.glob(pattern))
    for path in candidates:
        if path.is_file() and not path.resolve().is_relative_to(root):
            raise ConfigError([Problem(field, f"'{pattern}' leads out of the project through a link")])
    return [path for path in candidates if path.is_file()]


def _nothing(root: Path, pattern: str, field: str) -> Problem:
    names = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]
    suffix = PurePosixPath(pattern).suffix
    alike = [name for name in names if suffix and name.endswith(suffix)] or names
    near = difflib.get_close_matches(pattern, alike, n=1, cutoff=0.3) or alike[:1]
    return Problem(field, f"'{pattern}' matches no file", suggestion=near[0] if near else None)
