"""Sending files of unknown origin: never shown by a browser, in parts if it wants, cacheable."""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.errors import ApiError
from openforge.errors import NotFound

_BLOCK = 1 << 20
_MAX_RANGE_HEADER = 200
# The kind of a file is its own; a client that knows none takes the bytes.
_CONTENT = {
    "application/octet-stream": {
        "schema": {"type": "string", "format": "binary"},
        "example": "module ntt_butterfly (input wire clk);",
    },
    "*/*": {"schema": {}},
}
SAVED = {
    "Content-Disposition": {
        "description": "the file is to be saved, under this name",
        "required": True,
        "schema": {"type": "string"},
        "example": "attachment; filename=\"coverage.xml\"; filename*=UTF-8''coverage.xml",
    }
}
_STATE = {
    "ETag": {
        "description": "changes with the content",
        "required": True,
        "schema": {"type": "string"},
        "example": '"9f86d081884c7d659a2feaa0c55ad015"',
    },
    "Last-Modified": {
        "description": "when the file was written",
        "required": True,
        "schema": {"type": "string"},
        "example": "Thu, 15 Jan 2026 10:30:00 GMT",
    },
    "Accept-Ranges": {
        "description": "parts can be asked for",
        "required": True,
        "schema": {"type": "string", "const": "bytes"},
        "example": "bytes",
    },
}
_PART = {
    "Content-Range": {
        "description": "which bytes these are, of how many",
        "required": True,
        "schema": {"type": "string"},
        "example": "bytes 0-1023/4096",
    }
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": _CONTENT, "headers": {**_STATE, **SAVED}},
    206: {
        "description": "The part that was asked for",
        "content": _CONTENT,
        "headers": {**_STATE, **SAVED, **_PART},
    },
    304: {"description": "It has not changed (`If-None-Match`)", "headers": _STATE},
    416: {
        "description": "The file has no such part",
        "headers": {"Content-Range": {**_PART["Content-Range"], "example": "bytes */4096"}},
    },
}
PARAMETERS: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "description": said, "schema": {"type": "string"}}
        for name, said in (
            ("Range", "one part of the file, in bytes; several parts at once: the whole file"),
            ("If-Range", "an `ETag`: the part only if the file has not changed, else all of it"),
            ("If-None-Match", "`ETag`s that are known: `304` when the file has one of them"),
        )
    ]
}


def respond(
    request: Request,
    path: Path,
    name: str,
    *,
    media_type: str | None = None,
    etag: str | None = None,
) -> Response:
    """The file `path` under `name`, or the one part of it that a Range header asks for.

    Raises NotFound when it is not a regular file, ApiError 416 for a part that it does not have.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise NotFound(f"the file {name!a} is not there any more") from None
    told = os.fstat(handle)
    if not stat.S_ISREG(told.st_mode):
        os.close(handle)
        raise NotFound(f"{name!a} is not a file")
    tag = f'"{etag or f"{told.st_mtime_ns:x}-{told.st_size:x}-{told.st_ino:x}"}"'
    headers = {
        "ETag": tag,
        "Last-Modified": formatdate(told.st_mtime, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    try:
        if _unchanged(request, tag):
            os.close(handle)
            return Response(status_code=304, headers=headers)
        start, stop = _range(request, told.st_size, tag)
    except BaseException:
        os.close(handle)
        raise
    headers["Content-Length"] = str(stop - start)
    part = (start, stop) != (0, told.st_size) or _is_partial(request, tag)
    if part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{told.st_size}"
    return _Part(os.fdopen(handle, "rb"), start, stop, 206 if part else 200, headers, kind)


def disposition(name: str) -> str:
    """A Content-Disposition for `name`: to be saved, whatever is in it (RFC 6266)."""
    leaf = name.rpartition("/")[2]
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in leaf)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(leaf, safe='')}"


def _unchanged(request: Request, tag: str) -> bool:
    asked = request.headers.get("if-none-match", "")
    known = {word.strip().removeprefix("W/") for word in asked.split(",")}
    return tag in known or "*" in known


def _is_partial(request: Request, tag: str) -> bool:
    """Whether a Range header counts: one of bytes, of this version of the file."""
    condition = request.headers.get("if-range", tag)
    return _single(request.headers.get("range", "")) is not None and condition == tag


def _single(text: str) -> tuple[str, str] | None:
    """First and last byte of a Range header, as texts; None for what is to be ignored."""
    unit, _, spec = text.partition("=")
    first, dash, last = spec.strip().partition("-")
    fits = unit.strip().lower() == "bytes" and dash and len(text) <= _MAX_RANGE_HEADER
    numbers = all(not n or (n.isascii() and n.isdigit()) for n in (first, last))
    return (first, last) if fits and numbers and (first or last) else None


def _range(request: Request, size: int, tag: str) -> tuple[int, int]:
    """Where to begin and to stop; several parts at once are not made: the whole file is."""
    asked = _single(request.headers.get("range", ""))
    if asked is None or not _is_partial(request, tag):
        return 0, size
    first, last = asked
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiError(416, f"the file has {size} bytes", headers=headers)
    return start, stop


class _Part(StreamingResponse):
    """A part of an open file, which is closed however the sending ends."""

    def __init__(  # noqa: PLR0917  (what is sent)
        self,
        file: BinaryIO,
        start: int,
        stop: int,
        status: int,
        headers: Mapping[str, str],
        kind: str,
    ) -> None:
        self._file = file
        super().__init__(_blocks(file, start, stop), status, headers, media_type=kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._file:
            await super().__call__(scope, receive, send)


def _blocks(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    while start < stop and (block := file.read(min(_BLOCK, stop - start))):
        start += len(block)
        yield block
