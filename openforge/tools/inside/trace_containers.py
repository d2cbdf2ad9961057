"""Zarr and HDF5 files of measured traces; runs inside the sandbox only, for `trace_reader`."""

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr
from trace_formats import Array, Refused, inside
from zarr.storage import LocalStore, ZipStore

MAX_PIECE = 1 << 28  # bytes of the largest chunk that a file may hold
CODECS = {"blosc", "bytes", "crc32c", "endian", "gzip", "lz4", "lzma", "bz2", "zlib", "zstd"}
CODECS |= {"shuffle", "bitshuffle", "sharding_indexed", "transpose", "delta", "fixedscaleoffset"}


def zarr_store(path: Path, project: str, stack: ExitStack) -> dict[str, Array]:
    """A Zarr folder or archive: an array, or a group of ours, or one with the same names."""
    inside(path, project)
    if path.is_dir():
        for folder, names, files in os.walk(path):
            for name in (*names, *files):
                inside(Path(folder) / name, project)
        store: Any = LocalStore(path, read_only=True)
    else:
        with zipfile.ZipFile(path) as archive:
            if any(info.file_size > MAX_PIECE for info in archive.infolist()):
                raise Refused(f"a member of {path.name} is above {MAX_PIECE >> 20} MB")
        store = ZipStore(path, mode="r")
    stack.callback(store.close)
    try:
        root = zarr.open_group(store, mode="r", use_consolidated=False)
    except (FileNotFoundError, zarr.errors.BaseZarrError):
        return {"traces": zarr_array("traces", zarr.open_array(store, mode="r"))}
    found = {}
    for prefix in ("", "data", "metadata"):
        group = root if not prefix else root.get(prefix)
        if isinstance(group, zarr.Group):
            for name, array in group.arrays():
                found.setdefault(name, zarr_array(name, array))
    return found


def zarr_array(name: str, array: Any) -> Array:
    """An array of a Zarr store; its codecs must be ones that only decompress."""
    metadata = array.metadata.to_dict()
    codecs = [metadata.get(key) for key in ("codecs", "compressor", "filters")]
    strange = sorted(names_of(codecs) - CODECS)
    if strange:
        raise Refused(f"the Zarr array {name} uses the codec {strange[0]}, which is not allowed")
    bounded(name, array.chunks, array.dtype)
    return sliced(array)


def names_of(codecs: object) -> set[str]:
    """The names of all codecs, also of those inside of others."""
    if isinstance(codecs, list | tuple):
        return set().union(*map(names_of, codecs))
    if not isinstance(codecs, dict):
        return set()
    name = {str(codecs[key]).removeprefix("numcodecs.") for key in ("name", "id") if key in codecs}
    inner = codecs.get("configuration") or {}
    return name | names_of(list(inner.values()))


def bounded(name: str, chunk: tuple[int, ...] | None, dtype: Any) -> None:
    """Refuse chunks that would not fit the memory once they are decompressed."""
    if chunk and math.prod(chunk) * dtype.itemsize > MAX_PIECE:
        raise Refused(f"a chunk of {name} is above {MAX_PIECE >> 20} MB")


def sliced(array: Any) -> Array:
    """An `Array` of something that is read by slices."""

    def rows(n: int) -> Iterator[Any]:
        yield from (np.asarray(array[at : at + n]) for at in range(0, array.shape[0], n))

    return Array(tuple(array.shape), np.dtype(array.dtype), rows)


def hdf5(path: Path, project: str, stack: ExitStack) -> dict[str, Array]:
    """An HDF5 file: ``traces``, ``labels`` and more at the top, in ``data`` or in ``metadata``.

    The last is the layout of estraces (``.ets``), which scared reads.
    """
    file = stack.enter_context(h5py.File(inside(path, project), "r"))
    found = {}
    for prefix in ("", "data", "metadata"):
        group = file if not prefix else member(file, prefix)
        if isinstance(group, h5py.Group):
            for name in group:
                item = member(group, name)
                if isinstance(item, h5py.Dataset):
                    found.setdefault(name, dataset(name, item))
    return found


def member(group: h5py.Group, name: str) -> Any:
    """A member of an HDF5 group that is stored in it, None if there is none."""
    link = group.get(name, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise Refused(f"'{name}' is a link, which an HDF5 file to import must not have")
    return None if link is None else group[name]


def dataset(name: str, item: h5py.Dataset) -> Array:
    """An HDF5 dataset whose values are in the file itself."""
    if item.external or item.is_virtual:
        raise Refused(f"the values of '{name}' are in another file (external or virtual dataset)")
    bounded(name, item.chunks, item.dtype)
    return sliced(item)
