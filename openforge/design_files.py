"""The files of a design: what of them can be read, and a digest of all that they mean."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openforge.errors import DesignError
from openforge.tools import slang
from openforge.tools.locate import tool

_MAX_SOURCE_BYTES = 32 << 20
# What RTL includes or loads ($readmemh); a change of any of them in the project is a new design.
_INCLUDED = {
    ".v",
    ".vh",
    ".sv",
    ".svh",
    ".h",
    ".vhi",
    ".inc",
    ".def",
    ".defs",
    ".mem",
    ".hex",
    ".vmem",
    ".dat",
    ".data",
    ".mif",
    ".coe",
    ".rom",
    ".txt",
    ".bin",
}


@dataclass(frozen=True)
class Files:
    """What is elaborated: `sources` and `extra` (property files), and folders for `include`."""

    project: Path
    sources: tuple[Path, ...]
    extra: tuple[Path, ...]
    includes: tuple[Path, ...]

    def not_utf8(self) -> tuple[Path, ...]:
        """Those of the files, and of what they may include, that are not UTF-8.

        Raises DesignError for a source that cannot be read, is binary or is too large.
        """
        odd = [path for path in (*self.sources, *self.extra) if not _is_utf8(self._text(path))]
        headers = (p for p in self.nearby() if p.suffix in (".vh", ".svh", ".h", ".inc"))
        return (*odd, *(p for p in headers if not _is_utf8(p.read_bytes())))

    def _text(self, path: Path) -> bytes:
        name = self.name(path)
        try:
            if not stat.S_ISREG(path.stat().st_mode) or path.stat().st_size > _MAX_SOURCE_BYTES:
                raise DesignError(f"{name} is not a file of at most {_MAX_SOURCE_BYTES >> 20} MB")
            data = path.read_bytes()
        except OSError as error:
            raise DesignError(f"{name} cannot be read: {error.strerror}") from error
        if b"\0" in data:
            raise DesignError(
                f"{name} is a binary file, not a Verilog source; leave it out of the globs"
            )
        return data

    def name(self, path: Path) -> str:
        """`path` relative to the project, as far as it is inside."""
        return os.path.relpath(path, self.project)

    def nearby(self) -> Iterator[Path]:
        """Files of the project that sources may include or load, in a fixed order."""
        own = {*self.sources, *self.extra}
        for path in _walk(self.project):
            if path.suffix.lower() in _INCLUDED and path not in own and path.is_file():
                yield path


def digest(files: Files, settings: Sequence[object]) -> str:
    """SHA-256 over everything that elaboration depends on: files, `settings`, slang, its worker."""
    folders = [files.name(path) for path in files.includes]
    counts = [len(files.sources), len(files.extra)]  # which of the files are sources
    fixed = [slang.worker_digest(), tool("slang").version(), folders, counts, *settings]
    return _digest(json.dumps(fixed), files, (*files.sources, *files.extra, *files.nearby()))


def surprises(files: Files, read: Iterable[str]) -> tuple[Path, ...]:
    """Those of the files that elaboration `read` which `digest` does not know, by odd names."""
    known = {os.path.realpath(p) for p in (*files.sources, *files.extra, *files.nearby())}
    return tuple(Path(name) for name in sorted(set(read)) if os.path.realpath(name) not in known)


def with_surprises(digest: str, files: Files, read: Iterable[str]) -> str:
    """`digest`, and if elaboration read more than it knows, that too."""
    found = surprises(files, read)
    return _digest(digest, files, found) if found else digest


def digest_of_all(project: Path) -> str:
    """SHA-256 over every file of a project: what a tool may read that does not say what it read."""
    files = Files(project, (), (), ())
    return _digest("", files, [path for path in _walk(project) if path.is_file()])


def _digest(start: str, files: Files, paths: Iterable[Path]) -> str:
    total = hashlib.sha256(start.encode())
    for path in paths:
        try:
            with path.open("rb") as stream:
                inner = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            inner = "unreadable"
        name = files.name(path).encode("utf-8", "surrogateescape")
        total.update(b"\0".join([b"", name, inner.encode()]))
    return total.hexdigest()


def folders(project: Path, names: Iterable[str]) -> tuple[Path, ...]:
    """The folders that `design.includes` names. Raises DesignError for one that is not there."""
    found = []
    for name in names:
        folder = (project / name).resolve()
        if not folder.is_relative_to(project) or not folder.is_dir():
            raise DesignError(f"design.includes: '{name}' is not a folder inside the project")
        found.append(folder)
    return tuple(found)


def _walk(project: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
