"""A store of power traces in one file: compressed chunks, written and read out of core.

The file is a Zarr v3 group in a zip archive (``traces.zarr.zip``), which zarr reads as it is:
``traces [n, n_samples]``, ``labels uint8[n]`` where there are some, ``data/<name> uint8[n, k]``.
The same traces give the same file, byte for byte, in whatever pieces they were appended.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore, ZipStore

from openforge.errors import NotFound, OpenForgeError

SUFFIX = ".zarr.zip"
DTYPES = ("uint8", "uint16", "int16", "float32")
FIXED, RANDOM = 0, 1
"""The labels of the two classes of a fixed-against-random test."""
NAME = re.compile(r"(?!traces$|labels$)[a-z][a-z0-9_]{0,39}")
"""What the name of a per-trace array looks like: ``plaintext``, ``key``, ``ciphertext``, ..."""

Labels: TypeAlias = NDArray[np.uint8]

_FORMAT = "openforge-traces-1"
_MOST_CHUNK_BYTES = 1 << 28
_CHUNK_BYTES = 4 << 20
_CHUNK_ROWS = 1 << 14
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same traces give the same file


@dataclass(frozen=True)
class Chunk:
    """Consecutive traces; the first is number `first` of the store."""

    first: int
    traces: NDArray[Any]
    labels: Labels | None = None
    data: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True)
class Store:
    """A store that can be read. `chunk_rows` is how many traces are decompressed at a time."""

    path: Path
    n_traces: int
    n_samples: int
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]
    labelled: bool
    data: Mapping[str, int]
    chunk_rows: int

    def chunks(self, n: int | None = None) -> Iterator[Chunk]:
        """All traces in order, `n` at a time (None: as stored, which is fastest).

        Raises OpenForgeError when the file is damaged.
        """
        step = n or self.chunk_rows
        names = ["traces", *(["labels"] if self.labelled else []), *self.data]
        for at, arrays in zip(
            range(0, self.n_traces, step),
            zip(*(self.blocks(name, step) for name in names), strict=True),
            strict=True,
        ):
            found = dict(zip(names, arrays, strict=True))
            yield Chunk(at, found.pop("traces"), found.pop("labels", None), found)

    def blocks(self, name: str, n: int | None = None) -> Iterator[NDArray[Any]]:
        """Rows of one array, in order, `n` at a time: ``traces``, ``labels`` or the name of data.

        Raises OpenForgeError when the file is damaged.
        """
        step = n or self.chunk_rows
        with _opened(self.path) as group:
            array = group[f"data/{name}" if name in self.data else name]
            for at in range(0, self.n_traces, step):
                yield np.asarray(array[at : at + step])


class Writer:
    """Writes a store: ``with Writer(path) as writer: writer.append(traces, labels)``.

    Nothing is at `path` until the block has ended without an exception. Memory is that of one
    chunk (4 MB of traces), however many there are.
    """

    def __init__(self, path: Path, *, attributes: Mapping[str, Any] | None = None) -> None:
        self._path = path
        try:
            self._attributes = json.loads(json.dumps(dict(attributes or {}), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise OpenForgeError(f"the attributes of a trace store must be JSON: {error}") from None
        self._files: dict[str, Buffer] = {}
        self._arrays: dict[str, Any] = {}
        self._pending: dict[str, NDArray[Any]] = {}
        self._held = self._rows = self._step = 0

    def __enter__(self) -> Writer:
        try:
            handle, name = tempfile.mkstemp(dir=self._path.parent, suffix=".part")
        except OSError as error:
            raise OpenForgeError(f"cannot write {self._path}: {error.strerror}") from None
        self._part = Path(name)
        self._zip = zipfile.ZipFile(os.fdopen(handle, "w+b"), "w", zipfile.ZIP_STORED)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        stream = self._zip.fp
        assert stream is not None
        try:
            try:
                if kind is None:
                    self._finish()
            finally:
                self._zip.close()
                stream.close()
            if kind is None:
                self._part.chmod(0o644)
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)

    @property
    def n_traces(self) -> int:
        """How many traces were appended."""
        return self._rows + self._held

    def append(
        self,
        traces: NDArray[Any],
        labels: Labels | None = None,
        data: Mapping[str, NDArray[np.uint8]] | None = None,
    ) -> None:
        """Add traces at the end. The first call says what there is; the others must fit it.

        ``traces [n, n_samples]``, ``labels : uint8[n]``, 0 fixed or 1 random, ``data: name ->
        uint8[n, k]``. Raises OpenForgeError when an array is not of its kind.
        """
        given = _given(traces, labels, data or {})
        if not self._pending:
            self._begin(given)
        wanted = {name: (array.dtype, array.shape[1:]) for name, array in self._pending.items()}
        if {name: (array.dtype, array.shape[1:]) for name, array in given.items()} != wanted:
            raise OpenForgeError("all traces of a store have the same arrays, lengths and dtypes")
        at = 0
        while at < len(traces):
            n = min(self._step - self._held, len(traces) - at)
            for name, array in given.items():
                self._pending[name][self._held : self._held + n] = array[at : at + n]
            self._held += n
            at += n
            if self._held == self._step:
                self._flush()

    def _begin(self, given: Mapping[str, NDArray[Any]]) -> None:
        row = given["traces"][:1].nbytes or given["traces"].shape[1] * given["traces"].itemsize
        self._step = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // row))
        attributes = {"format": _FORMAT, "attributes": self._attributes}
        group = zarr.create_group(MemoryStore(self._files), attributes=attributes)
        for name, array in given.items():
            shape = (self._step, *array.shape[1:])
            self._pending[name] = np.empty(shape, array.dtype)
            self._arrays[name] = group.create_array(
                name,
                shape=(0, *array.shape[1:]),
                chunks=shape,
                dtype=array.dtype,
                compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
            )

    def _flush(self) -> None:
        """Compress the traces that are held, into the archive."""
        rows = self._rows + self._held
        for name, array in self._arrays.items():
            array.resize((rows, *array.shape[1:]))
            array[self._rows : rows] = self._pending[name][: self._held]
        for name in sorted(self._files):
            if not name.endswith("zarr.json"):
                self._store(name)
        self._rows, self._held = rows, 0

    def _finish(self) -> None:
        if not self.n_traces:
            raise OpenForgeError("no traces were appended, so there is no store")
        if self._held:
            self._flush()
        for name in sorted(self._files):
            self._store(name)

    def _store(self, name: str) -> None:
        self._zip.writestr(zipfile.ZipInfo(name, _EPOCH), self._files.pop(name).to_bytes())


def open_store(path: Path) -> Store:
    """What is in the store at `path`.

    Limits: for files that `Writer` wrote. A file from elsewhere is imported in the sandbox
    (`openforge.tools.traces`). Raises NotFound, OpenForgeError when it is something else.
    """
    with _opened(path) as group:
        if group.attrs.get("format") != _FORMAT:
            raise OpenForgeError(f"{path.name} is a Zarr archive, but not a trace store")
        traces = group["traces"]
        chunk = math.prod(traces.chunks) * traces.dtype.itemsize
        if traces.ndim != 2 or traces.dtype.name not in DTYPES or chunk > _MOST_CHUNK_BYTES:
            raise OpenForgeError(f"{path.name} holds no traces that this project has written")
        data: Any = group["data"].arrays() if "data" in group else ()
        return Store(
            path=path,
            n_traces=traces.shape[0],
            n_samples=traces.shape[1],
            dtype=traces.dtype,
            attributes=dict(group.attrs["attributes"]),
            labelled="labels" in group,
            data={name: array.shape[1] for name, array in sorted(data)},
            chunk_rows=traces.chunks[0],
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise NotFound(f"there is no trace store {path}")
    try:
        zipfile.ZipFile(path).close()  # zarr 3.1 cannot close what it could not open
        store = ZipStore(path, mode="r")
        try:
            yield zarr.open_group(store, mode="r", zarr_format=3)
        finally:
            store.close()
    except (zipfile.BadZipFile, LookupError, ValueError, RuntimeError, OSError, TypeError) as error:
        raise OpenForgeError(f"{path.name} is not a trace store, or damaged: {error}") from error


def _given(
    traces: NDArray[Any], labels: Labels | None, data: Mapping[str, NDArray[np.uint8]]
) -> dict[str, NDArray[Any]]:
    """The arrays under their names in the group, if they are what a store holds."""
    if traces.ndim != 2 or not traces.shape[1] or traces.dtype.name not in DTYPES:
        found = f"{traces.dtype} {list(traces.shape)}"
        raise OpenForgeError(f"traces must be {', '.join(DTYPES)} [n, n_samples], not {found}")
    if labels is not None and (labels.dtype != np.uint8 or labels.ndim != 1 or (labels > 1).any()):
        raise OpenForgeError("labels must be uint8[n]: 0 (fixed) or 1 (random)")
    for name, array in data.items():
        if not NAME.fullmatch(name):
            raise OpenForgeError(f"'{name}' is no name of data: it must match {NAME.pattern}")
        if array.dtype != np.uint8 or array.ndim != 2 or not array.shape[1]:
            raise OpenForgeError(f"the data '{name}' must be uint8[n, k]")
    native = traces.astype(traces.dtype.newbyteorder("="), copy=False)
    given: dict[str, NDArray[Any]] = {"traces": native}
    if labels is not None:
        given["labels"] = labels
    given |= {f"data/{name}": array for name, array in data.items()}
    for name, array in given.items():
        if len(array) != len(traces):
            raise OpenForgeError(f"{len(traces)} traces, but {len(array)} rows of {name}")
    return given
