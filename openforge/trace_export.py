"""Stored traces in the files that other tools read: NumPy, HDF5 (estraces) and ChipWhisperer.

Each is written chunk by chunk. SCALib takes NumPy arrays, so it needs ``.npy`` or ``.npz``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from openforge.errors import NameTaken, OpenForgeError
from openforge.trace_store import Store

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SEGMENT = "0000_"  # the prefix of the only segment of a ChipWhisperer project
_PARTS = {"plaintext": "textin", "ciphertext": "textout", "key": "keylist"}


class Format(StrEnum):
    """What traces can be exported to."""

    NPY = "npy"
    NPZ = "npz"
    HDF5 = "hdf5"
    CHIPWHISPERER = "chipwhisperer"


SUFFIXES = {
    ".npy": Format.NPY,
    ".npz": Format.NPZ,
    ".h5": Format.HDF5,
    ".hdf5": Format.HDF5,
    ".ets": Format.HDF5,
    ".cwp": Format.CHIPWHISPERER,
}


def export(store: Store, out: Path, kind: Format | None = None) -> tuple[Path, ...]:
    """The files that were written: the traces of `store` as `kind` (None: as the suffix says).

    - npy: the traces at `out`, and ``<stem>_labels.npy``, ``<stem>_<name>.npy`` beside it
    - npz: one archive with ``traces``, ``labels`` and the data under their names
    - hdf5: ``traces``, and the rest in the group ``metadata``, its attributes as the headers: what
      ``estraces.read_ths_from_ets_file`` reads, and scared with it
    - chipwhisperer: ``<stem>.cwp``, ``<stem>_data/traces/`` and ``<stem>_labels.npy``

    All files appear under their names once all are written. Raises NameTaken when one is there
    already, OpenForgeError when the format is not known or nothing can be written there.
    """
    kind = kind or SUFFIXES.get(out.suffix.lower())
    if kind is None:
        known = ", ".join(SUFFIXES)
        raise OpenForgeError(f"the format of {out.name} is not known; its name must end in {known}")
    if not out.absolute().parent.is_dir():
        raise OpenForgeError(f"there is no folder {out.absolute().parent}")
    try:
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as scratch:
            folder = Path(scratch)
            _WRITERS[kind](store, folder / out.name)
            written = sorted(folder.iterdir())
            for path in written:
                if (out.parent / path.name).exists():
                    raise NameTaken(f"{out.parent / path.name} is there already")
            return tuple(Path(shutil.move(path, out.parent / path.name)) for path in written)
    except (OSError, ValueError, TypeError) as error:  # the last two: attributes that HDF5 has not
        raise OpenForgeError(f"cannot write {out}: {error}") from error


def _arrays(store: Store) -> tuple[str, ...]:
    """The names of the arrays beside the traces."""
    return (*(("labels",) if store.labelled else ()), *store.data)


def _shape(store: Store, name: str) -> tuple[int, ...]:
    if name == "traces":
        return store.n_traces, store.n_samples
    return (store.n_traces, store.data[name]) if name in store.data else (store.n_traces,)


def _dtype(store: Store, name: str) -> np.dtype[Any]:
    return store.dtype if name == "traces" else np.dtype(np.uint8)


def _write_npy(store: Store, name: str, stream: IO[bytes]) -> None:
    descr = np.lib.format.dtype_to_descr(_dtype(store, name))
    header = {"descr": descr, "fortran_order": False, "shape": _shape(store, name)}
    np.lib.format.write_array_header_1_0(stream, header)
    for block in store.blocks(name):
        stream.write(np.ascontiguousarray(block).data)


def _npy(store: Store, out: Path) -> None:
    for name in ("traces", *_arrays(store)):
        path = out if name == "traces" else out.with_name(f"{out.stem}_{name}.npy")
        with path.open("wb") as stream:
            _write_npy(store, name, stream)


def _npz(store: Store, out: Path) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in ("traces", *_arrays(store)):
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            with archive.open(entry, "w", force_zip64=True) as stream:
                _write_npy(store, name, stream)


def _hdf5(store: Store, out: Path) -> None:
    with h5py.File(out, "w", libver="latest") as file:
        metadata = file.create_group("metadata")
        for name, value in store.attributes.items():
            plain = isinstance(value, str | int | float)
            metadata.attrs[name] = value if plain else json.dumps(value)
        for name in ("traces", *_arrays(store)):
            shape = _shape(store, name)
            rows = min(store.chunk_rows, store.n_traces)
            dataset = (file if name == "traces" else metadata).create_dataset(
                name, shape, _dtype(store, name), chunks=(rows, *shape[1:])
            )
            at = 0
            for block in store.blocks(name):
                dataset[at : at + len(block)] = block
                at += len(block)


def _chipwhisperer(store: Store, out: Path) -> None:
    stem = out.name.removesuffix(".cwp")
    folder = out.with_name(f"{stem}_data") / "traces"
    folder.mkdir(parents=True)
    for name, part in {"traces": "traces", **_PARTS}.items():
        path = folder / f"{_SEGMENT}{part}.npy"
        if name == "traces" or name in store.data:
            with path.open("wb") as stream:
                _write_npy(store, name, stream)
        elif name != "key":  # ChipWhisperer 6.0 reads no project without the texts
            np.save(path, np.zeros((store.n_traces, 0), np.uint8))
    if store.labelled:
        with out.with_name(f"{stem}_labels.npy").open("wb") as stream:
            _write_npy(store, "labels", stream)
    config = f"config_{_SEGMENT}.cfg"
    (folder / config).write_text(
        f"[Trace Config]\nformat = native\nnumTraces = {store.n_traces}\n"
        f"numPoints = {store.n_samples}\nprefix = {_SEGMENT}\nnotes = exported by OpenForge\n",
        encoding="utf-8",
    )
    out.with_name(f"{stem}.cwp").write_text(
        f"[Trace Management]\ntracefile0 = {stem}_data/traces/{config}\nenabled0 = True\n"
        f"[ChipWhisperer]\n[[General Settings]]\nProject Name = {stem}\n"
        'Project File Version = 1.00\nProgram Name = ChipWhisperer\nProgram Version = ""\n',
        encoding="utf-8",
    )


_WRITERS: dict[Format, Callable[[Store, Path], None]] = {
    Format.NPY: _npy,
    Format.NPZ: _npz,
    Format.HDF5: _hdf5,
    Format.CHIPWHISPERER: _chipwhisperer,
}
