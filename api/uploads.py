"""The files of a multipart request: parsed while they stream, kept outside the project."""

from __future__ import annotations

import hashlib
import json

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from api.errors import ApiError
from openforge.intake import MAX_FILES

FIELD = "files[]"
_BLOCK = 1 << 20
_MAX_FIELDS = 10  # that are no files: none is known


def is_upload(request: Request) -> bool:
    """Whether the body is multipart."""
    return request.headers.get("content-type", "").startswith("multipart/form-data")


async def form(request: Request) -> FormData:
    """The parsed body; read once, however often it is asked for."""
    try:
        return await request.form(max_files=MAX_FILES, max_fields=_MAX_FIELDS)
    except MultiPartException as error:
        raise ApiError(
            400, f"the upload cannot be read: {error.message}", {"field": FIELD}
        ) from None
    except (LookupError, UnicodeError):  # of a charset that the request names
        raise ApiError(400, "the upload's names are not UTF-8", {"field": FIELD}) from None


async def files(request: Request) -> list[UploadFile]:
    """The uploaded files, in order. Raises ApiError for other fields and for none."""
    parts = (await form(request)).multi_items()
    for name, part in parts:
        if name not in (FIELD, "files") or not isinstance(part, UploadFile):
            raise ApiError(
                400, f"unknown form field {name[:80]!a}", {"field": name[:80], "suggestion": FIELD}
            )
    found = [part for _, part in parts if isinstance(part, UploadFile)]
    if not found:
        raise ApiError(400, "the upload has no files", {"field": FIELD})
    return found


async def fingerprint(request: Request) -> bytes:
    """A digest of names and contents: the same files packed anew are the same upload."""
    parts = (await form(request)).multi_items()
    return await run_in_threadpool(_digest, parts)


def _digest(parts: list[tuple[str, UploadFile | str]]) -> bytes:
    said = []
    for name, part in parts:
        if isinstance(part, UploadFile):
            said.append([name, part.filename, _sha256(part)])
            part.file.seek(0)
        else:
            said.append([name, None, part])
    return json.dumps(said).encode()


def _sha256(part: UploadFile) -> str:
    digest = hashlib.sha256()
    while block := part.file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
