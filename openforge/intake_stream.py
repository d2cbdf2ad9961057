"""The bytes that come out of what strangers pack: counted as they come, never more than a chunk."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from openforge.intake_names import Refused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 16
MAX_RATIO, RATIO_FLOOR = 200, 1 << 20
_MAX_STREAMS = 4096  # bgzip makes 1,600 of 100 MiB
_XZ_MEMORY = 128 << 20  # `xz -9` asks for 65 MiB


@dataclass
class Budget:
    """How many files and bytes were taken so far, and how many may be."""

    max_files: int
    max_bytes: int
    files: int = 0
    size: int = 0

    def add_file(self, name: str) -> None:
        """Count one more file. Raises Refused."""
        self.files += 1
        if self.files > self.max_files:
            raise Refused(name, f"at most {self.max_files:,} files were expected, found more")

    def add_bytes(self, name: str, n_bytes: int) -> None:
        """Count `n_bytes` more. Raises Refused."""
        self.size += n_bytes
        if self.size > self.max_bytes:
            raise Refused(
                name, f"at most {self.max_bytes:,} bytes were expected in all, found more"
            )


def require_ratio(name: str, packed_bytes: int, n_bytes: int) -> None:
    """Raises Refused when `n_bytes` came out of so few `packed_bytes` that it is a bomb."""
    if n_bytes > max(RATIO_FLOOR, MAX_RATIO * packed_bytes):
        raise Refused(name, f"expected to unpack to at most {MAX_RATIO} times its size, found more")


class _Decompressor(Protocol):
    """What `bz2` and `lzma` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gunzip:
    """`zlib` as a :class:`_Decompressor` of gzip, which Python has from 3.12 only."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = len(out) < max_length
        return out


def gunzip() -> _Decompressor:
    """Of one gzip stream."""
    return _Gunzip()


def bunzip2() -> _Decompressor:
    """Of one bzip2 stream."""
    return bz2.BZ2Decompressor()


def unxz() -> _Decompressor:
    """Of one xz stream, without the gigabytes of memory that its header may ask for."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


class Unpacked(io.RawIOBase):
    """What `source` holds once it is decompressed (or as it is, without a decompressor).

    Raises Refused at a limit, EOFError when `source` is cut short, and the libraries' own errors.
    """

    def __init__(
        self, name: str, source: BinaryIO, new: Callable[[], _Decompressor] | None, budget: Budget
    ) -> None:
        self._name, self._source, self._new, self._budget = name, source, new, budget
        self._stream = new() if new else None
        self._n_streams = 1
        self._packed_bytes = self._n_bytes = 0

    def readable(self) -> bool:
        """Always: `io.BufferedReader` asks."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a part of `buffer`; 0 is the end."""
        view = memoryview(buffer)
        size = min(len(view), CHUNK)
        data = self._decompress(self._stream, size) if self._stream else self._fetch(size)
        self._n_bytes += len(data)
        self._budget.add_bytes(self._name, len(data))
        require_ratio(self._name, self._packed_bytes, self._n_bytes)
        view[: len(data)] = data
        return len(data)

    def _decompress(self, stream: _Decompressor, size: int) -> bytes:
        """Up to `size` bytes; none is the end."""
        while True:
            feed = b""
            if stream.eof:
                feed = self._after(stream.unused_data)
                if not feed:
                    return b""
                stream = self._next_stream()
            elif stream.needs_input:
                feed = self._fetch(CHUNK)
                if not feed:
                    raise EOFError("the compressed data is cut short")
            if data := stream.decompress(feed, size):
                return data

    def _after(self, rest: bytes) -> bytes:
        """What follows a stream and is not padding."""
        while not (rest := rest.lstrip(b"\0")):
            rest = self._fetch(CHUNK)
            if not rest:
                return b""
        return rest

    def _next_stream(self) -> _Decompressor:
        assert self._new is not None
        self._n_streams += 1
        if self._n_streams > _MAX_STREAMS:
            raise Refused(self._name, f"at most {_MAX_STREAMS:,} compressed streams were expected")
        self._stream = self._new()
        return self._stream

    def _fetch(self, size: int) -> bytes:
        data = self._source.read(size)
        self._packed_bytes += len(data)
        if self._packed_bytes > self._budget.max_bytes:
            raise Refused(self._name, f"at most {self._budget.max_bytes:,} bytes were expected")
        return data
