"""The files of projects: ``<workspace>/projects/<project>/<revision>/``.

A change makes a new revision beside the old one and takes effect when the control database names
it, so that nobody ever sees half a change. Files are never written in place: revisions share those
that did not change.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openforge import snapshot
from openforge.control.records import Project
from openforge.errors import NotFound, OpenForgeError

_INCOMING = ".incoming"


@dataclass(frozen=True)
class FileEntry:
    """A file of a project."""

    name: str
    size_bytes: int
    modified_at_s: float


class ProjectFiles:
    """The folders of all projects of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self._root = workspace / "projects"
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        shutil.rmtree(self._root / _INCOMING, ignore_errors=True)
        (self._root / _INCOMING).mkdir(parents=True)

    @contextmanager
    def locked(self, project_id: str) -> Iterator[None]:
        """Nobody else changes or removes the project's files meanwhile."""
        with self._guard:
            lock = self._locks[project_id]
        with lock:
            yield

    def folder(self, project: Project) -> Path:
        """The files as `project` has them. Raises NotFound when nothing was uploaded yet."""
        if not project.revision:
            raise NotFound(f"project '{project.name}' has no files yet; upload some first")
        return self._root / project.id / str(project.revision)

    def project_ids(self) -> list[str]:
        """The projects that have a folder here."""
        return [path.name for path in self._root.iterdir() if path.name != _INCOMING]

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A new folder for files that are not taken yet; gone when the block ends."""
        path = self._root / _INCOMING / secrets.token_hex(8)
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def entries(self, project: Project) -> list[FileEntry]:
        """The files of `project`, by name; none before the first upload."""
        if not project.revision:
            return []
        root, found = self.folder(project), []
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            told = path.stat()
            name = path.relative_to(root).as_posix()
            found.append(FileEntry(name, told.st_size, told.st_mtime))
        return found

    def file(self, project: Project, name: str) -> Path:
        """The file `name` of `project`. Raises NotFound; a name is looked up, never joined."""
        if name in {entry.name for entry in self.entries(project)}:
            return self.folder(project) / name
        raise NotFound(f"project '{project.name}' has no file {name[:200]!a}")

    def with_files(self, project: Project, incoming: Path) -> int:
        """Make a revision that has the files of `incoming` as well; returns its number.

        Raises OpenForgeError where a file would take a folder's place, or there are too many.
        """
        with self._new_revision(project) as target:
            _link_tree(incoming, target, replace=True)
            files = [path for path in target.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files)
            if len(files) > snapshot.MAX_FILES or size > snapshot.MAX_BYTES:
                raise OpenForgeError(
                    f"a project holds at most {snapshot.MAX_FILES:,} files and "
                    f"{snapshot.MAX_BYTES >> 20} MB; delete what is not needed"
                )
        return int(target.name)

    def without_file(self, project: Project, name: str) -> int:
        """Make a revision without the file `name`; returns its number. Raises NotFound."""
        self.file(project, name)
        with self._new_revision(project) as target:
            (target / name).unlink()
        return int(target.name)

    def forget(self, project_id: str, *, but: Collection[int] = ()) -> None:
        """Remove the revisions of a project, but for some."""
        folder, kept = self._root / project_id, {str(number) for number in but}
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
        if not but:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _new_revision(self, project: Project) -> Iterator[Path]:
        """A folder with the files of the present one; gone when the block fails."""
        target = self._root / project.id / str(project.revision + 1)
        shutil.rmtree(target, ignore_errors=True)  # of a server that was killed
        try:
            target.mkdir(parents=True)
            if project.revision:
                _link_tree(self.folder(project), target)
            yield target
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise


def _link_tree(source: Path, target: Path, *, replace: bool = False) -> None:
    for path in source.rglob("*"):
        if not path.is_file():
            continue
        copy = target / path.relative_to(source)
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            if replace:
                copy.unlink(missing_ok=True)
            os.link(path, copy)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            name = path.relative_to(source).as_posix()
            raise OpenForgeError(
                f"{name} cannot be both a file and a folder of the project; delete one first"
            ) from None
