"""Globs that cannot leave the project."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from itertools import islice
from pathlib import Path, PurePosixPath

from openforge.errors import ConfigError, Problem

_MAX_FILES = 10_000
_MAX_PATTERN = 1_000
_MAX_PART_BYTES = 255  # NAME_MAX of Linux file systems
_MAX_RECURSIVE = 4  # each further ** multiplies the work
_MAX_SEEN_FOR_HINT = 2_000


def resolve_globs(
    project_dir: Path, patterns: Iterable[str], *, field: str, exclude: Iterable[str] = ()
) -> tuple[Path, ...]:
    """The regular files that `patterns` name, absolute, in order of the patterns, sorted in each.

    ``**`` is any depth of folders. A part of a pattern that is the exact name of a file or folder
    means that one, also with brackets in it. Hidden files match only a pattern that writes their
    dot. A file that two patterns (or a link) name is there once. `exclude` may match nothing.

    Raises ConfigError with every pattern that matches nothing, is absolute, has "..", or leads
    through a link out of the project; `field` is the dotted name used in the message.
    """
    root = project_dir.resolve()
    problems: list[Problem] = []
    left_out = {path for pattern in exclude for path in _expand(root, pattern, field, problems)}
    found: dict[Path, Path] = {}
    asked = False
    for pattern in patterns:
        asked, before = True, len(problems)
        files = _expand(root, pattern, field, problems)
        if not files and len(problems) == before:
            problems.append(_nothing(root, pattern, field))
        for path in files:
            if path not in left_out:
                found.setdefault(path.resolve(), path)
    if len(found) > _MAX_FILES:
        problems.append(Problem(field, f"more than {_MAX_FILES:,} files match"))
    if asked and not found and not problems:
        problems.append(Problem(field, "every file that matches is excluded; nothing is left"))
    if problems:
        raise ConfigError(problems)
    return tuple(found.values())


def _expand(root: Path, pattern: str, field: str, problems: list[Problem]) -> list[Path]:
    """The files of one pattern; what is wrong with it goes to `problems`."""
    message = _fault(pattern)
    if message is None:
        try:
            files = [path for path in _candidates(root, pattern) if path.is_file()]
            message = _unfit(root, files)
        except (_LeadsOutError, OSError) as error:
            message = str(error)
    if message is None:
        return files
    problems.append(Problem(field, f"{pattern[:80]!a} {message}"))
    return []


class _LeadsOutError(Exception):
    """A folder that a pattern names is a link out of the project."""


def _fault(pattern: str) -> str | None:
    pure = PurePosixPath(pattern)
    if not pattern or len(pattern) > _MAX_PATTERN or any(_is_control(c) for c in pattern):
        return f"is not a pattern: 1 to {_MAX_PATTERN:,} characters were expected, none a control"
    if pure.is_absolute() or ".." in pure.parts:
        return "leaves the project folder; give a path relative to it, without '..'"
    if any(len(part.encode()) > _MAX_PART_BYTES for part in pure.parts):
        return "has a name that is longer than a file's can be"
    if any("**" in part and part != "**" for part in pure.parts):
        return "has '**' beside other characters; '**' must be a whole part of the path"
    if pure.parts.count("**") > _MAX_RECURSIVE:
        return f"has '**' more than {_MAX_RECURSIVE} times"
    return None


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs")


def _candidates(root: Path, pattern: str) -> list[Path]:
    """What is there under the name: as written, else in the other Unicode forms of it."""
    forms = [pattern, *(unicodedata.normalize(form, pattern) for form in ("NFC", "NFD"))]
    for form in dict.fromkeys(forms):
        parts = list(PurePosixPath(form).parts)
        base = root
        while parts and not set("*?") & set(parts[0]) and (base / parts[0]).exists():
            base /= parts.pop(0)
        if not base.resolve().is_relative_to(root):
            raise _LeadsOutError("leads out of the project through a link")
        if not parts:
            return [base]
        if parts[-1] == "**":
            parts.append("*")
        literal = [part.replace("[", "[[]") for part in parts]
        for glob in dict.fromkeys(("/".join(parts), "/".join(literal))):
            found = sorted(p for p in base.glob(glob) if _is_wanted(p.relative_to(base), parts))
            if found:
                return found
    return []


def _is_wanted(path: Path, parts: list[str]) -> bool:
    """Whether `path` is not hidden, or the pattern asks for hidden names."""
    asked = any(part.startswith(".") for part in parts)
    return asked or not any(part.startswith(".") for part in path.parts)


def _unfit(root: Path, files: Iterable[Path]) -> str | None:
    for path in files:
        if not path.resolve().is_relative_to(root):
            return "leads out of the project through a link"
        if any(_is_control(c) for c in path.name):
            return f"matches a file whose name tools cannot take: {path.name!a}"
    return None


def _nothing(root: Path, pattern: str, field: str) -> Problem:
    pure = PurePosixPath(pattern)
    if (root / pure).is_dir():
        return Problem(field, f"'{pattern}' is a folder", suggestion=(pure / "*").as_posix())
    names = list(islice(_names(root), _MAX_SEEN_FOR_HINT))
    suffix = pure.suffix
    beside = sorted({n.suffix for n in names if n.parent == pure.parent and n.suffix})
    near = difflib.get_close_matches(suffix, beside, n=1, cutoff=0.0)
    if near and pure.name == f"*{suffix}":
        return _no_file(pattern, field, (pure.parent / f"*{near[0]}").as_posix())
    alike = [n.as_posix() for n in names if suffix and n.suffix == suffix]
    closest = difflib.get_close_matches(pattern, alike or [n.as_posix() for n in names], n=1)
    return _no_file(pattern, field, next(iter(closest or alike), None))


def _no_file(pattern: str, field: str, suggestion: str | None) -> Problem:
    return Problem(field, f"'{pattern}' matches no file", suggestion=suggestion)


def _names(root: Path) -> Iterable[PurePosixPath]:
    """The files of the project without hidden ones, relative to it."""
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if _is_wanted(name, []) and path.is_file() and not _unfit(root, [path]):
            yield PurePosixPath(name.as_posix())
