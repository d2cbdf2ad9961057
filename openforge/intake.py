"""Files that strangers send, taken into a new folder before anything is put in a project."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from openforge.errors import OpenForgeError
from openforge.intake_archive import is_archive, members
from openforge.intake_names import MAX_DEPTH, Refused, safe_name, same_key, shown
from openforge.intake_stream import CHUNK, MAX_RATIO, Budget

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_FILES", "MAX_RATIO", "Intake", "Refused", "safe_name"]

MAX_FILES = 5000
MAX_BYTES = 100 << 20
_PROJECT_FILE = "openforge.yaml"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = frozenset((errno.EEXIST, errno.ELOOP, errno.ENOTDIR, errno.EISDIR))


class Intake:
    """Files for a project, gathered in the new folder `root`; counts them and their bytes.

    `root` is made if it is not there, and must be empty: OpenForgeError otherwise. Once a file is
    refused the folder may hold a part of it and is to be thrown away: nothing more is taken.

    *Limits.* The bytes are not judged: a project is as hostile as its files, and runs sandboxed.
    """

    def __init__(
        self, root: Path, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
    ) -> None:
        root.mkdir(exist_ok=True)
        self._root = root
        self._budget = Budget(max_files, max_bytes)
        self._names: list[str] = []
        self._taken: dict[str, str] = {}
        self._whole = True
        if any(root.iterdir()):
            raise OpenForgeError("an empty folder was expected, found one with files in it")

    @property
    def names(self) -> tuple[str, ...]:
        """All that is stored so far, in order."""
        return tuple(self._names)

    def add(self, name: str, source: BinaryIO) -> tuple[str, ...]:
        """Store one file, or unpack it if `name` ends in .zip, .tar, .tar.{gz,bz2,xz} or .tgz.

        Returns the names stored, in order. An archive is read from the start of `source`, twice:
        once to see that it is whole and what it holds. If that is one folder with an
        ``openforge.yaml``, the folder's name is dropped. Folders and hidden files are left out,
        but count; so does every byte that comes out. Raises Refused.
        """
        if not self._whole:
            raise Refused(name, "a new folder was expected, since an earlier file was refused")
        self._whole = False
        before = len(self._names)
        name = safe_name(name)
        if is_archive(name):
            self._unpack(name, source)
        else:
            self._budget.add_file(name)
            self._store(name, _chunks(name, source, self._budget))
        self._whole = True
        return self.names[before:]

    def _unpack(self, name: str, source: BinaryIO) -> None:
        held = [kept for kept, _ in members(name, source, replace(self._budget)) if kept]
        top = _top(held)
        for kept, chunks in members(name, source, self._budget):
            if kept:
                self._store(kept.removeprefix(top), chunks)

    def _store(self, name: str, chunks: Iterable[bytes]) -> None:
        self._claim(name)
        try:
            handle = _create(self._root, name)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            raise Refused(name, "a free place was expected, found something else there") from error
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o644)
            file.writelines(chunks)
        self._names.append(name)

    def _claim(self, name: str) -> None:
        """Raises Refused if `name` or a folder of it is taken, also in other case or form."""
        folders = [name[:end] + "/" for end, char in enumerate(name) if char == "/"]
        for folder in folders:
            if (other := self._taken.setdefault(same_key(folder[:-1]), folder)) != folder:
                raise Refused(name, f"another name was expected, {shown(other)} is there")
        if other := self._taken.get(same_key(name), ""):
            raise Refused(name, f"another name was expected, {shown(other)} is there")
        self._taken[same_key(name)] = name


def _top(names: list[str]) -> str:
    """The one folder that all is in, with its slash, if it holds a project; nothing otherwise."""
    top = names[0].partition("/")[0] + "/" if names else ""
    in_one = all(name.startswith(top) for name in names)
    return top if in_one and top + _PROJECT_FILE in names else ""


def _chunks(name: str, source: BinaryIO, budget: Budget) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        budget.add_bytes(name, len(chunk))
        yield chunk


def _create(root: Path, name: str) -> int:
    """A handle of the new file `name` beneath `root`; no link is followed on the way."""
    *folders, leaf = name.split("/")
    here = os.open(root, _FOLDER)
    try:
        for folder in folders:
            below = _enter(folder, here)
            os.close(here)
            here = below
        return os.open(leaf, _NEW_FILE, 0o644, dir_fd=here)
    finally:
        os.close(here)


def _enter(folder: str, here: int) -> int:
    """A handle of `folder` in the open folder `here`, which is made if it is not there."""
    try:
        os.mkdir(folder, 0o755, dir_fd=here)
    except FileExistsError:
        return os.open(folder, _FOLDER, dir_fd=here)
    below = os.open(folder, _FOLDER, dir_fd=here)
    os.fchmod(below, 0o755)  # whatever the umask is
    return below
