"""A leakage function of the user's own, called in the sandbox: what it predicts for each guess.

The file has ``def leakage(data, guess)``: `data` is uint8[n, k], the known data of n traces,
read-only; `guess` is an int from 0 to GUESSES - 1 (256 unless the file says otherwise). It returns
n numbers, one for each row, that depend on that row and the guess alone.
"""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openforge.errors import DesignError, ToolError
from openforge.tools import process

RUNNER = Path(__file__).resolve().parent / "inside" / "leakage_function_runner.py"
MAX_ROWS = 1 << 16
MAX_VALUES = 1 << 25
"""Rows times guesses: 256 MB of float64."""
_LIMITS = process.Limits(timeout_s=120, memory_bytes=2 << 30, file_bytes=1 << 29, processes=32)
_MAX_TOLD_BYTES = 1 << 16
_HEADER_BYTES = 128  # of .npy 1.0 for a small header

Bytes = npt.NDArray[np.uint8]


def distinct(data: Bytes) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """The distinct rows of `data`, uint8[n, k], and the class of each row: its number among them.

    With as many classes as there are distinct rows, `predictions` of these rows are the predictions
    by class that `openforge.analysis.cpa.correlations` asks for.
    """
    rows, classes = np.unique(data, axis=0, return_inverse=True)
    return rows, classes.reshape(-1).astype(np.int64)


def predictions(file: Path, data: Bytes, folder: Path, project: Path) -> npt.NDArray[np.float64]:
    """What the function in `file` predicts for each row of `data`: float64[n, n_guesses], finite.

    `data` : uint8[n, k], n up to MAX_ROWS, distinct rows. `folder` is for scratch files, of which a
    new folder is made; `project` is where `file` is, and all that the function can read.

    *Limits:* the function is called again for guess 0, which shows chance and memory, but not that
    a row's number depends on other rows. It can take 2 minutes and 2 GiB.

    Raises DesignError with file and line for a function that is not as agreed, ToolError when it
    ran into a limit or left no answer, ToolTimeout when it took too long, ValueError for bad data.
    """
    if data.ndim != 2 or data.dtype != np.uint8 or not 1 <= len(data) <= MAX_ROWS:
        found = f"{data.dtype}{list(data.shape)}"
        raise ValueError(f"data are to be uint8[n, k] of 1 to {MAX_ROWS} rows, not {found}")
    root = project.resolve()
    path, name = _place(file, root)
    work = Path(tempfile.mkdtemp(prefix="leakage-", dir=folder))
    given, out = work / "data.npy", work / "out"
    out.mkdir()
    np.save(given, np.ascontiguousarray(data), allow_pickle=False)
    answer, told = out / "answer.npy", out / "problem.json"
    ended = process.run(
        [sys.executable, "-I", "-B", RUNNER, path, given, answer, told],
        cwd=out,
        log=work / "leakage.log",
        limits=_LIMITS,
        env={"OPENBLAS_NUM_THREADS": "1"},
        readable=[root, given],
        writable=[out],
    ).expect(f"the leakage function in {name}")
    try:
        if os.path.lexists(told):
            raise DesignError(_problem(told, name))
        return _read(answer, len(data))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ToolError(
            f"{name}: the leakage function left no answer: {error}", ended.log
        ) from None


def _place(file: Path, root: Path) -> tuple[Path, str]:
    """Where the function really is, and its name in the project."""
    path = (root / file).resolve()
    name = os.path.relpath(path, root)
    if not path.is_relative_to(root):
        raise DesignError(f"the leakage function is to be in the project, not in {file}")
    if not path.is_file():
        raise DesignError(f"{name}: there is no such file; a leakage function is expected in it")
    return path, name


def _problem(told: Path, name: str) -> str:
    """The runner's report as a sentence with its place."""
    with _open(told, _MAX_TOLD_BYTES) as stream:
        report: dict[str, Any] = json.loads(stream.read(_MAX_TOLD_BYTES))
    line = report["line"]
    place = f"{name}:{line}" if isinstance(line, int) else name
    return f"{place}: {report['problem']!s:.1000}"


def _open(path: Path, most: int) -> Any:
    """A regular file of at most `most` bytes, opened; hostile code may have put it there."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    stream = os.fdopen(handle, "rb")
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_size > most:
        stream.close()
        raise OSError(f"{path.name} is not a regular file of reasonable size")
    return stream


def _read(answer: Path, n_rows: int) -> npt.NDArray[np.float64]:
    """The array in the file, of which nothing is believed, and no header is parsed.

    The header has to be, byte for byte, the one that numpy writes for an array of this size.

    Raises OSError or ValueError.
    """
    with _open(answer, MAX_VALUES * 8 + _HEADER_BYTES) as stream:
        whole = stream.read(MAX_VALUES * 8 + _HEADER_BYTES)
    body = whole[_HEADER_BYTES:]
    shape = (n_rows, len(body) // (8 * n_rows))
    header = io.BytesIO()
    wanted = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, wanted)
    if whole[:_HEADER_BYTES] != header.getvalue() or len(body) != 8 * n_rows * shape[1] or not body:
        raise ValueError(f"answer.npy has no float64[{n_rows}, n_guesses] in it")
    found = np.frombuffer(body, dtype="<f8").reshape(shape).copy()
    if not np.isfinite(found).all():
        raise ValueError("answer.npy has values that are not finite")
    return found
