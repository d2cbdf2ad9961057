"""The members of a zip or tar file that a stranger sends: files only, in order, each read once.

Nothing that a header says is believed. `zipfile` reads zip files, with a look at the size of their
list of contents before; tar files are read header by header from a stream that is counted, because
`tarfile` reads extended headers of any size, recursively, and (before Python 3.11.10,
CVE-2024-6232) with regular expressions of quadratic time.
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, TypeVar

from openforge.intake_names import Refused, path_parts, safe_name
from openforge.intake_stream import (
    CHUNK,
    Budget,
    Unpacked,
    bunzip2,
    gunzip,
    require_ratio,
    unxz,
)

Member = tuple[str | None, Iterator[bytes]]
"""A file's name, or None for what is left out, and its bytes."""

SUFFIXES = {
    ".tar": None, ".tar.gz": gunzip, ".tgz": gunzip, ".tar.bz2": bunzip2, ".tar.xz": unxz,
}  # fmt: skip
_MAX_LISTING = 16 << 20
_ENTRY = b"PK\1\2"
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800

_BLOCK = 512
_MAX_HEADERS = 5  # of one member: global and local pax header, long name, long link, its own
_MAX_EXTENSION, _MAX_RECORDS = 64 << 10, 100
_FILE = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LONG_NAME = tarfile.GNUTYPE_LONGNAME
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, _LONG_NAME, tarfile.GNUTYPE_LONGLINK)

_DAMAGED = (
    OSError, EOFError, ValueError, ArithmeticError, LookupError, RuntimeError,
    struct.error, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip

T = TypeVar("T")


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked."""
    return name.lower().endswith((".zip", *SUFFIXES))


def members(name: str, source: BinaryIO, budget: Budget) -> Iterator[Member]:
    """The members of the archive `name`, each to be read before the next. Raises Refused."""
    source.seek(0)
    kind = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), None)
    found = _tar(name, source, budget, kind) if kind else _zip(name, source, budget)
    for kept, chunks in _plainly(name, found):
        budget.add_file(name)
        yield kept, _plainly(name, chunks)


def _plainly(name: str, items: Iterable[T]) -> Iterator[T]:
    """`items`, with everything that a damaged archive makes libraries raise as Refused."""
    try:
        yield from items
    except _DAMAGED as error:
        reason = "a whole archive was expected, found one that is damaged, cut short or unusual"
        raise Refused(name, reason) from error


def _wanted(name: str, *, folder: bool, regular: bool) -> str | None:
    """The safe name of a member, or None for one that is left out. Raises Refused."""
    inner = name.removeprefix("./")  # as `tar -c .` has it
    if folder and inner in {"", "."}:
        return None
    parts = path_parts(inner.removesuffix("/") if folder else inner)
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    if not folder and not regular:
        raise Refused(name, "a file or folder was expected, found a link, a device or the like")
    kept = safe_name("/".join(parts))
    return None if folder else kept


class _ZipSource(io.RawIOBase):
    """A zip file whose list of contents is measured before `zipfile` makes an object of each entry.

    It is the only thing that `zipfile` reads more than `CHUNK` bytes of at once.
    """

    def __init__(self, name: str, source: BinaryIO, max_entries: int) -> None:
        self._name, self._source, self._max_entries = name, source, max_entries

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_LISTING:
            raise Refused(self._name, f"a list of at most {_MAX_LISTING:,} bytes was expected")
        data = self._source.read(size)
        if size > CHUNK and data.count(_ENTRY) > self._max_entries:
            raise Refused(self._name, f"at most {self._max_entries:,} files were expected")
        return data


def _zip(name: str, source: BinaryIO, budget: Budget) -> Iterator[Member]:
    packed_bytes = source.seek(0, io.SEEK_END)
    with zipfile.ZipFile(_ZipSource(name, source, budget.max_files)) as archive:
        for info in archive.infolist():
            inner = _zip_name(info)
            kind = stat.S_IFMT(info.external_attr >> 16)
            regular = kind in {0, stat.S_IFREG}
            kept = _wanted(inner, folder=inner.endswith("/"), regular=regular)
            if kept is not None:
                packed_bytes -= info.compress_size
                _require_readable(name, info, packed_bytes)
            yield kept, _zip_chunks(name, archive, info, budget)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name as it was written; macOS writes UTF-8 and does not say so."""
    name = info.orig_filename
    try:
        return name if info.flag_bits & _UTF8 else name.encode("cp437").decode()
    except UnicodeError:
        return name


def _require_readable(name: str, info: zipfile.ZipInfo, packed_bytes_left: int) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise Refused(name, "a zip file without a password was expected, found an encrypted one")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise Refused(name, f"method 0 or 8 (deflate) was expected, found {info.compress_type}")
    if packed_bytes_left < 0:
        raise Refused(name, "files side by side were expected, found some that overlap")


def _zip_chunks(
    name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget
) -> Iterator[bytes]:
    n_bytes = 0
    with archive.open(info) as file:
        while chunk := file.read(CHUNK):
            n_bytes += len(chunk)
            budget.add_bytes(name, len(chunk))
            require_ratio(name, info.compress_size, n_bytes)
            yield chunk
    if n_bytes != info.file_size:
        raise zipfile.BadZipFile("cut short")


def _tar(name: str, source: BinaryIO, budget: Budget, suffix: str) -> Iterator[Member]:
    stream = io.BufferedReader(Unpacked(name, source, SUFFIXES[suffix], budget), CHUNK)
    while header := _next_header(stream):
        regular = header.type in _FILE
        kept = _wanted(header.name, folder=header.isdir(), regular=regular)
        size = header.size if regular else 0
        chunks = _tar_chunks(stream, size)
        yield kept, chunks
        for _ in chunks:
            pass
        _exactly(stream, -size % _BLOCK)
    while rest := stream.read(CHUNK):
        if rest.strip(b"\0"):
            raise tarfile.ReadError("data after the end")


def _next_header(stream: io.BufferedIOBase) -> tarfile.TarInfo | None:
    """The header of the next member, with what extended headers say; None at the end."""
    extended: dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        block = _exactly(stream, _BLOCK)
        if not any(block):
            return None
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.type in _EXTENSIONS:
            extended |= _extension(header, stream)
            continue
        header.name = extended.get("path", header.name)
        header.size = int(extended.get("size", header.size))
        if header.size < 0:
            raise tarfile.ReadError("negative size")
        return header
    raise tarfile.ReadError("too many headers")


def _extension(header: tarfile.TarInfo, stream: io.BufferedIOBase) -> dict[str, str]:
    """What an extended header says about the next member."""
    if not 0 <= header.size <= _MAX_EXTENSION:
        raise tarfile.ReadError("an extended header that is too large")
    data = _exactly(stream, header.size + -header.size % _BLOCK)[: header.size]
    if header.type == _LONG_NAME:
        return {"path": data.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    records = {} if header.type == tarfile.GNUTYPE_LONGLINK else _pax(data)
    return records if header.type == tarfile.XHDTYPE else {}


def _pax(data: bytes) -> dict[str, str]:
    """The records ``<length> <key>=<value><newline>`` (POSIX.1-2017, *pax*, extended header)."""
    records: dict[str, str] = {}
    start = 0
    for _ in range(_MAX_RECORDS + 1):
        if start == len(data):
            return records
        digits = data[start : start + 8].partition(b" ")[0]
        end = start + int(digits) if digits.isdigit() else 0
        key, _, value = data[start + len(digits) + 1 : end].partition(b"=")
        if not value.endswith(b"\n") or key.startswith(b"GNU.sparse"):
            raise tarfile.ReadError("a pax header that is damaged, or of a sparse file")
        records[key.decode()] = value[:-1].decode("utf-8", "surrogateescape")
        start = end
    raise tarfile.ReadError("a pax header of too many records")


def _tar_chunks(stream: io.BufferedIOBase, size: int) -> Iterator[bytes]:
    while size:
        chunk = _exactly(stream, min(size, CHUNK))
        size -= len(chunk)
        yield chunk


def _exactly(stream: io.BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the archive is cut short")
    return data
