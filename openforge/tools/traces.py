"""Measured traces: NumPy, Zarr, HDF5 and ChipWhisperer files, read by a program in the sandbox."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openforge.errors import NotFound, OpenForgeError, ToolError
from openforge.tools import process

WORKER = Path(__file__).resolve().with_name("inside") / "trace_reader.py"
SUFFIXES = (".npy", ".npz", ".zarr", ".zarr.zip", ".h5", ".hdf5", ".ets", ".cwp")
MAX_BYTES = 16 << 30
"""How much an import may write: a small file can say that it is large."""
DTYPES = ("uint8", "uint16", "int16", "float32")

_LIMITS = process.Limits(timeout_s=900, memory_bytes=4 << 30, file_bytes=MAX_BYTES + (1 << 20))


@dataclass(frozen=True)
class Imported:
    """Traces on the disk, mapped into memory.

    ``traces : uint8 | uint16 | int16 | float32 [n, n_samples]``, ``labels : uint8[n]`` (0 fixed, 1
    random; None: there are none), ``data: name -> uint8[n, k]``. `left_out` says of other arrays of
    the file why they are not among the data.
    """

    traces: NDArray[Any]
    labels: NDArray[np.uint8] | None
    data: Mapping[str, NDArray[np.uint8]]
    left_out: Mapping[str, str]


def read(path: Path, folder: Path, project: Path, *, need_labels: bool = True) -> Imported:
    """The traces in the file or folder `path` of `project`, written to `folder` as plain arrays.

    ``.npy`` (the traces; data in ``<stem>_key.npy`` and the like beside it), ``.npz``, Zarr (folder
    or zip) and HDF5 (``traces``, ``labels``, others; also the layout of estraces), and the ``.cwp``
    of ChipWhisperer with its folder of data. A file that has no labels of its own takes those of
    ``<stem>_labels.npy`` beside it. Traces in float64 are rounded to float32, those in int8 become
    int16; other types are refused. `need_labels`: refuse what has none.

    Raises NotFound, OpenForgeError when the file cannot be imported (the message says why), and
    ToolError when reading it hit a limit.
    """
    if not path.exists():
        raise NotFound(f"there are no traces at {path}")
    if not path.resolve().is_relative_to(project.resolve()):
        raise OpenForgeError(
            f"traces must be inside the project, and {path.name} is, or leads, outside"
        )
    folder.mkdir(parents=True, exist_ok=True)
    answer = _ask(path, folder, project)
    if "problem" in answer:
        raise OpenForgeError(f"cannot import {path.name}: {answer['problem']}")
    try:
        traces = _mapped(folder / "traces.npy", DTYPES, 2)
        labels = _mapped(folder / "labels.npy", ("uint8",), 1) if answer["labelled"] else None
        names = [str(name) for name in answer["data"] if str(name).isidentifier()]
        data = {name: _mapped(folder / f"data_{name}.npy", ("uint8",), 2) for name in names}
        left_out = {str(name): str(why) for name, why in answer["left_out"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"the traces in {path.name} could not be read: {error}") from None
    if any(len(a) != len(traces) for a in (*data.values(), *([] if labels is None else [labels]))):
        raise ToolError(f"the traces in {path.name} could not be read: arrays of different lengths")
    if labels is None and need_labels:
        raise OpenForgeError(
            f"{path.name} has no labels: add an array 'labels' (0 fixed, 1 random, one for each "
            f"trace), or the file {_stem(path)}_labels.npy beside it"
        )
    return Imported(traces, labels, data, left_out)


def _ask(path: Path, folder: Path, project: Path) -> dict[str, Any]:
    """The worker's answer."""
    request, answer = folder / "request.json", folder / "answer.json"
    asked = {"path": path.absolute(), "project": project.resolve(), "folder": folder.absolute()}
    told = {name: str(value) for name, value in asked.items()}
    request.write_text(json.dumps({**told, "limit": MAX_BYTES}), encoding="utf-8")
    answer.unlink(missing_ok=True)
    process.run(
        [sys.executable, "-s", WORKER, request, answer],
        cwd=folder,
        log=folder / "import.log",
        limits=_LIMITS,
        env={"HDF5_PLUGIN_PRELOAD": "::", "HDF5_USE_FILE_LOCKING": "FALSE"},  # no code by plug-ins
        readable=[project.resolve()],
        writable=[folder],
    ).expect(f"importing {path.name}")
    try:
        found = json.loads(answer.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(f"importing {path.name} left no answer: {error}") from None
    if not isinstance(found, dict):
        raise ToolError(f"importing {path.name} left no answer that makes sense")
    return found


def _mapped(path: Path, dtypes: tuple[str, ...], dimensions: int) -> NDArray[Any]:
    """An array that the worker wrote. What it wrote is not trusted, so a link is not followed."""
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"{path.name} is not a plain file")
    array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    if array.ndim != dimensions or array.dtype.name not in dtypes or not array.flags.c_contiguous:
        raise ValueError(f"{path.name} is not as expected")
    return array


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".zip")
    return name.removesuffix(".zarr") if name.endswith(".zarr") else path.stem
