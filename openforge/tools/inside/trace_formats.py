"""The formats of measured traces; runs inside the sandbox only, for `trace_reader`.

Each opener takes a path and gives ``{name: Array}`` with ``traces``, and ``labels`` and per-trace
data where the file has them. Nothing is read before it is asked for, and nothing is unpickled.
"""

import configparser
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MAX_WHOLE = 1 << 30  # bytes of an array that can only be read whole
MAX_CONFIG = 1 << 20


class Refused(Exception):
    """The file cannot be imported; the message is for the user."""


@dataclass(frozen=True)
class Array:
    """An array that is read some rows at a time: ``blocks(n)`` gives consecutive ones."""

    shape: tuple[int, ...]
    dtype: Any
    blocks: Callable[[int], Iterator[Any]]


def inside(path: Path, project: str) -> Path:
    """`path`, if it is really inside the project: a link may lead out of it."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(project)):
        raise Refused(f"{Path(path).name} is, or leads, outside the project")
    return Path(path)


def stem(path: Path) -> str:
    """The name without what says the format: ``a.zarr.zip`` -> ``a``."""
    return path.name.removesuffix(".zip").removesuffix(".zarr") if is_zarr(path) else path.stem


def is_zarr(path: Path) -> bool:
    """Whether the name is one of a Zarr folder or archive."""
    return path.name.lower().endswith((".zarr", ".zarr.zip", ".zip"))


def npy(name: str, open_stream: Callable[[], Any]) -> Array:
    """An ``.npy`` file that `open_stream` opens, without a word of Python being evaluated."""
    with open_stream() as stream:
        shape, fortran, dtype, _ = npy_header(name, stream)
    size = math.prod(shape) * dtype.itemsize
    if fortran and len(shape) > 1 and size > MAX_WHOLE:
        raise Refused(f"{name} is stored by columns (Fortran order); save it in C order")

    def rows(n: int) -> Iterator[Any]:
        with open_stream() as stream:
            npy_header(name, stream)
            if fortran and len(shape) > 1:
                whole = np.frombuffer(exactly(name, stream, size), dtype).reshape(shape, order="F")
                yield from (whole[at : at + n] for at in range(0, shape[0], n))
                return
            row = math.prod(shape[1:])
            for at in range(0, shape[0], n):
                count = min(n, shape[0] - at)
                data = exactly(name, stream, count * row * dtype.itemsize)
                yield np.frombuffer(data, dtype).reshape(count, *shape[1:])

    return Array(shape, dtype, rows)


def npy_header(name: str, stream: BinaryIO) -> Any:
    """Shape, order, dtype and version."""
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return *np.lib.format.read_array_header_1_0(stream), version
        if version == (2, 0):
            return *np.lib.format.read_array_header_2_0(stream), version
    except (ValueError, EOFError, UnicodeError) as error:
        raise Refused(f"{name} is not a NumPy array: {error}") from None
    raise Refused(f"{name} is of a version of .npy that holds no plain numbers")


def exactly(name: str, stream: BinaryIO, size: int) -> bytes:
    """`size` bytes of a stream."""
    data = stream.read(size)
    if len(data) != size:
        raise Refused(f"{name} ends too early: it is damaged")
    return data


def npy_file(path: Path, project: str) -> Array:
    """The array of an ``.npy`` file."""
    inside(path, project)
    return npy(path.name, lambda: path.open("rb"))


def numpy_array(path: Path, project: str, stack: ExitStack) -> dict[str, Array]:
    """The traces in an ``.npy``, and the data in ``<stem>_key.npy`` and the like beside it."""
    found = {"traces": npy_file(path, project)}
    for name in ("plaintext", "ciphertext", "key"):
        beside = path.with_name(f"{path.stem}_{name}.npy")
        if beside.exists() or beside.is_symlink():
            found[name] = npy_file(beside, project)
    return found


def numpy_archive(path: Path, project: str, stack: ExitStack) -> dict[str, Array]:
    """An ``.npz``: an array for each name."""
    archive = stack.enter_context(zipfile.ZipFile(inside(path, project)))
    members = [n for n in archive.namelist() if n.endswith(".npy") and "/" not in n]
    return {member[:-4]: npy(member, partial(archive.open, member)) for member in members}


def chipwhisperer(path: Path, project: str, stack: ExitStack) -> dict[str, Array]:
    """A ChipWhisperer project: the segments that the ``.cwp`` file names, one after the other."""
    folder = path.parent / f"{path.stem}_data" / "traces"
    settings = config(path, project)
    about = "Trace Management"
    names = settings.options(about) if settings.has_section(about) else []
    listed = [
        Path(settings.get(about, name).replace("\\", "/")).name
        for name in sorted((n for n in names if n.startswith("tracefile")), key=numbered)
        if settings.getboolean(about, f"enabled{numbered(name)}", fallback=True)
    ]
    segments = [segment(folder / name, project) for name in listed]
    if not segments:
        raise Refused(f"{path.name} names no traces that are enabled")
    found = {}
    for part in ("traces", "textin", "textout", "keylist"):
        if part == "traces" or all(part in parts for parts in segments):
            found[part] = joined(part, [parts[part] for parts in segments])
    return found


def numbered(key: str) -> int:
    """``tracefile10`` comes after ``tracefile9``."""
    return int(key.removeprefix("tracefile") or 0)


def segment(path: Path, project: str) -> dict[str, Array]:
    """The arrays of a segment, from its ``config_*.cfg``.

    ChipWhisperer 6.0 saves the buffer of traces as it is, with rows at its end that were never
    recorded: the number of traces is that of the configuration.
    """
    settings = config(path, project)
    prefix = settings.get("Trace Config", "prefix", fallback=path.stem.removeprefix("config_"))
    if "/" in prefix or "\\" in prefix:
        raise Refused(f"the prefix in {path.name} leads to another folder")
    found = {}
    for part in ("traces", "textin", "textout", "keylist"):
        file = path.with_name(f"{prefix}{part}.npy")
        if part == "traces" or file.exists():
            array = npy_file(file, project)
            n = settings.getint("Trace Config", "numTraces", fallback=0) or array.shape[0]
            found[part] = first(file.name, array, n)
    return found


def first(name: str, array: Array, n: int) -> Array:
    """The first `n` rows."""
    if not array.shape or not 0 < n <= array.shape[0]:
        raise Refused(f"{name} has the shape {array.shape}, but there should be {n} traces")

    def rows(count: int) -> Iterator[Any]:
        left = n
        for block in array.blocks(count):
            if left > 0:
                yield block[:left]
            left -= len(block)

    return Array((n, *array.shape[1:]), array.dtype, rows)


def config(path: Path, project: str) -> configparser.ConfigParser:
    """A configuration file of ChipWhisperer."""
    if inside(path, project).stat().st_size > MAX_CONFIG:
        raise Refused(f"{path.name} is no configuration file: it is above 1 MB")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text("utf-8", "replace"))
    except configparser.Error as error:
        raise Refused(f"{path.name} is not a file of ChipWhisperer: {error}") from None
    return parser


def joined(name: str, arrays: list[Array]) -> Array:
    """Arrays of rows of one kind, one after the other."""
    kinds = {(array.dtype, array.shape[1:]) for array in arrays}
    if len(kinds) != 1:
        raise Refused(f"the segments of '{name}' are not of one length and dtype")
    shape = (sum(array.shape[0] for array in arrays), *arrays[0].shape[1:])
    return Array(shape, arrays[0].dtype, lambda n: (b for a in arrays for b in a.blocks(n)))
