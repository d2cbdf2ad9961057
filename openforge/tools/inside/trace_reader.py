"""Reads measured traces; runs as a program of its own, inside the sandbox.

``python trace_reader.py REQUEST.json ANSWER.json``. The files are hostile, so nothing of OpenForge
is imported here: what comes out are plain ``.npy`` files in C order, of dtypes that are known.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import trace_formats
from trace_formats import Array, Refused

BLOCK_BYTES = 8 << 20
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
NAMES = {
    "textin": "plaintext",
    "textout": "ciphertext",
    "keylist": "key",
    "plaintexts": "plaintext",
    "ciphertexts": "ciphertext",
    "keys": "key",
}
# Traces are kept as they are where that is exact; int8 and half floats fit the next kind
DTYPES = {"u1": "u1", "u2": "u2", "i1": "i2", "i2": "i2", "f2": "f4", "f4": "f4", "f8": "f4"}
Opener = Callable[[Path, str, ExitStack], dict[str, Array]]
OPENERS: dict[str, Opener] = {
    ".npy": trace_formats.numpy_array,
    ".npz": trace_formats.numpy_archive,
    ".cwp": trace_formats.chipwhisperer,
}
HDF5 = (".h5", ".hdf5", ".ets")


def opener(path: Path) -> Opener:
    """What opens a file of this name."""
    suffix = path.suffix.lower()
    if suffix in OPENERS:
        return OPENERS[suffix]
    if suffix not in HDF5 and not trace_formats.is_zarr(path):
        known = ", ".join([*OPENERS, *HDF5, ".zarr", ".zarr.zip"])
        raise Refused(f"{path.name} is not of a known format: {known}")
    import trace_containers  # the libraries take half a second

    found: Opener = trace_containers.hdf5 if suffix in HDF5 else trace_containers.zarr_store
    return found


class Output:
    """The folder of results, and how many bytes may still be written there."""

    def __init__(self, folder: str, limit: int) -> None:
        self._folder, self._left = Path(folder), limit

    def write(self, name: str, array: Array, dtype: Any, check: Callable[[Any], Any]) -> None:
        """Write an array as `dtype`, block by block, each after `check` has seen it."""
        size = math.prod(array.shape) * np.dtype(dtype).itemsize
        self._left -= size
        if self._left < 0:
            raise Refused(f"'{name}' is too large: {size} bytes once it is decompressed")
        row = max(1, math.prod(array.shape[1:]) * max(array.dtype.itemsize, 1))
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": array.shape}
        count = 0
        with (self._folder / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for block in array.blocks(max(1, BLOCK_BYTES // row)):
                values = check(block)
                count += len(values)
                file.write(np.ascontiguousarray(values, dtype).tobytes())
        if count != array.shape[0]:
            raise Refused(f"'{name}' ends too early: it is damaged")


def plain(name: str, array: Array) -> None:
    """Refuse an array that does not hold numbers."""
    if array.dtype.hasobject:
        raise Refused(f"'{name}' holds Python objects (pickles), which are never loaded")
    if array.dtype.kind not in "biuf":
        raise Refused(f"'{name}' holds {array.dtype}, not numbers")


def traces(array: Array, output: Output) -> int:
    """Write the traces; gives how many there are."""
    plain("traces", array)
    if len(array.shape) != 2 or 0 in array.shape:
        raise Refused(f"traces must be a table [n, n_samples], not of the shape {array.shape}")
    kind = DTYPES.get(array.dtype.str[1:])
    if kind is None:
        hint = "use uint8, uint16, int16 or float32"
        raise Refused(f"traces of {array.dtype} are not supported; {hint}")
    dtype = np.dtype(kind)

    def check(block: Any) -> Any:
        with np.errstate(over="ignore"):
            block = block.astype(dtype)
        if dtype.kind == "f" and not np.isfinite(block).all():
            raise Refused("the traces contain NaN or infinity")
        return block

    output.write("traces", array, dtype, check)
    return int(array.shape[0])


def labels(array: Array, n: int, output: Output) -> None:
    """Write the labels of `n` traces."""
    plain("labels", array)
    if array.shape not in {(n,), (n, 1)}:
        raise Refused(f"{n} traces, but labels of the shape {array.shape}")

    def check(block: Any) -> Any:
        if not np.isin(block, (0, 1)).all():
            raise Refused("labels must be 0 (fixed) or 1 (random)")
        return block.reshape(-1)

    output.write("labels", Array((n,), array.dtype, array.blocks), np.dtype("u1"), check)


def repeated(array: Array, n: int) -> Array:
    """`array` as [n, k]: one value for each trace, or the same row for all of them."""
    if len(array.shape) == 2 and array.shape[0] == n:
        return array
    if array.shape == (n,):
        return Array((n, 1), array.dtype, lambda rows: (b[:, None] for b in array.blocks(rows)))
    if len(array.shape) == 1 and array.shape[0] <= 1 << 16:
        row = np.concatenate([*array.blocks(array.shape[0])])

        def blocks(rows: int) -> Iterator[Any]:
            for at in range(0, n, rows):
                yield np.broadcast_to(row, (min(rows, n - at), len(row)))

        return Array((n, len(row)), array.dtype, blocks)
    raise Refused(f"{n} traces, but an array of the shape {array.shape}")


def data(name: str, array: Array, n: int, output: Output) -> None:
    """Write per-trace bytes; an array that is none raises Refused."""
    plain(name, array)
    if array.dtype.kind == "f":
        raise Refused(f"'{name}' holds {array.dtype}, not bytes")

    def check(block: Any) -> Any:
        if block.size and (block.min() < 0 or block.max() > 255):
            raise Refused(f"'{name}' holds values that are no bytes")
        return block

    array = repeated(array, n)
    if array.shape[1] == 0:
        raise Refused(f"'{name}' is empty")
    output.write(f"data_{name}", array, np.dtype("u1"), check)


def read(request: dict[str, Any]) -> dict[str, Any]:
    """The answer: what was written, and what was left out and why."""
    path, project = Path(request["path"]), request["project"]
    output = Output(request["folder"], request["limit"])
    with ExitStack() as stack:
        found = opener(path)(path, project, stack)
        found = {name.lower(): array for name, array in found.items()}
        if "traces" not in found:
            there = ", ".join(sorted(found)[:10]) or "nothing"
            raise Refused(f"there is no array 'traces' in {path.name}, but {there}")
        n = traces(found.pop("traces"), output)
        beside = path.with_name(f"{trace_formats.stem(path)}_labels.npy")
        if "labels" not in found and (beside.exists() or beside.is_symlink()):
            found["labels"] = trace_formats.npy_file(beside, project)
        if labelled := "labels" in found:
            labels(found.pop("labels"), n, output)
        written, left_out = [], {}
        for name, array in sorted(found.items()):
            known = NAMES.get(name, name)
            try:
                if not NAME.fullmatch(known) or known in written:
                    raise Refused("it has no name of its own that is plain")
                data(known, array, n, output)
                written.append(known)
            except Refused as problem:
                left_out[name] = str(problem)
    return {"labelled": labelled, "data": written, "left_out": left_out}


def main(asked: str, answered: str) -> None:
    """Answer the request in the file `asked` in the file `answered`."""
    request = json.loads(Path(asked).read_text("utf-8"))
    try:
        answer = read(request)
    except Refused as problem:
        answer = {"problem": str(problem)}
    except Exception as error:  # the libraries raise anything at all for a file that is damaged
        answer = {"problem": f"it is damaged, or not what its name says: {error!r:.400}"}
    Path(answered).write_text(json.dumps(answer), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
