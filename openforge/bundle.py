"""A project's files in one tar, as a service takes it: regular files only, links resolved."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from openforge.errors import OpenForgeError
from openforge.snapshot import MAX_BYTES, MAX_FILES, digest_of


def pack(root: Path, out: BinaryIO) -> tuple[str, ...]:
    """Write the files below `root` to `out`; returns their names, relative to `root`.

    `root` is a copy that `snapshot.take` made, so no link leads out of it. A link to a file becomes
    the file, one to a folder the folder; one to nothing is left out: a local job sees nothing
    there, either. The same files give the same bytes. Raises OpenForgeError for a link to a folder
    that it is in, and when links make of the project more than a project may have.
    """
    names, size = [], 0
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _files(root, (os.path.realpath(root),)):
            member = tarfile.TarInfo(path.relative_to(root).as_posix())
            with path.open("rb") as file:
                member.size, member.mode = os.fstat(file.fileno()).st_size, 0o644
                names.append(member.name)
                size += member.size
                if len(names) > MAX_FILES or size > MAX_BYTES:
                    raise OpenForgeError(
                        f"with its links resolved the project has more than {MAX_FILES:,} files "
                        f"or {MAX_BYTES >> 20} MB"
                    )
                archive.addfile(member, file)
    return tuple(names)


def digest(archive: BinaryIO) -> str:
    """`openforge.snapshot.digest` of what `pack` has written: a job on it must have the same."""
    archive.seek(0)
    found = []
    with tarfile.open(fileobj=archive, mode="r:") as members:
        for member in members:
            file = members.extractfile(member)
            assert file is not None  # pack writes regular files only
            found.append((member.name, hashlib.sha256(file.read()).hexdigest()))
    archive.seek(0)
    return digest_of(found)


def _files(folder: Path, inside: tuple[str, ...]) -> Iterator[Path]:
    """All files, by name; `inside` are the real paths of the folders that lead here."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            real = os.path.realpath(path)
            if real in inside:
                raise OpenForgeError(
                    f"{path.name} is a link to a folder that it is in; a service takes no such "
                    "link, so it has to be deleted from the project"
                )
            yield from _files(path, (*inside, real))
        elif path.is_file():
            yield path
