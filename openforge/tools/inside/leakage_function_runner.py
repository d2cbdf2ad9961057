"""Runs in the sandbox: calls somebody's ``leakage(data, guess)`` and writes what it returns.

Arguments: the file with the function, the data (.npy), the answer (.npy), and a JSON file that says
what is wrong, written instead of the answer: ``{"problem": ..., "line": ...}``.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

MAX_GUESSES = 65536
MAX_VALUES = 1 << 25


class Wrong(Exception):
    """The function is not what was agreed; `line` is where, if that is known."""

    def __init__(self, problem: str, line: "int | None" = None) -> None:
        self.line = line
        super().__init__(problem)


def load(path: Path) -> "tuple[Any, int, int]":
    """The function in the file, its first line and its number of guesses."""
    names: dict[str, Any] = {"__name__": "leakage_function", "__file__": str(path)}
    exec(compile(path.read_bytes(), str(path), "exec"), names)  # noqa: S102  (why this is a sandbox)
    function, guesses = names.get("leakage"), names.get("GUESSES", 256)
    if not callable(function):
        raise Wrong("there is no function leakage(data, guess)")
    if type(guesses) is not int or not 1 <= guesses <= MAX_GUESSES:
        raise Wrong(f"GUESSES is to be a number from 1 to {MAX_GUESSES}, not {guesses!r:.80}")
    code = getattr(function, "__code__", None)
    return function, getattr(code, "co_firstlineno", 1), guesses


def called(function: Any, line: int, data: Any, guess: int) -> Any:
    """What the function returns for one guess, as float64[n]."""
    given = np.asarray(function(data, guess))
    if given.dtype.kind not in "biuf":
        raise Wrong(f"leakage(data, {guess}) returned {given.dtype}, not real numbers", line)
    if given.shape != (len(data),):
        found = f"shape {given.shape}, not ({len(data)},): one number for each row of data"
        raise Wrong(f"leakage(data, {guess}) returned {found}", line)
    column = given.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        found = f"{column[bad[0]]} for row {bad[0]}, {data[bad[0]].tolist()}"
        raise Wrong(f"leakage(data, {guess}) returned {found}", line)
    return column


def predictions(path: Path, data: Any) -> Any:
    """float64[n, n_guesses]."""
    function, line, guesses = load(path)
    if len(data) * guesses > MAX_VALUES:
        raise Wrong(f"{len(data)} rows of data times {guesses} guesses are too many")
    found = np.empty((len(data), guesses))
    for guess in range(guesses):
        found[:, guess] = called(function, line, data, guess)
    if not np.array_equal(called(function, line, data, 0), found[:, 0]):
        raise Wrong("leakage(data, 0) returned other numbers when it was called again", line)
    return found


def own_line(error: BaseException, path: Path) -> "int | None":
    """The innermost line of the user's file that `error` came from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return lines[-1] if lines else None


def main(source: str, given: str, answer: str, told: str) -> None:
    """Write the answer, or what is wrong."""
    path = Path(source)
    data = np.load(given, allow_pickle=False)
    data.flags.writeable = False
    sys.path.append(str(path.parent))
    try:
        found = predictions(path, data)
    except Wrong as error:
        report = {"problem": str(error), "line": error.line}
    except BaseException as error:  # whatever somebody's code raises, SystemExit too
        traceback.print_exc()
        said = f"{type(error).__name__}: {error!s:.400}"
        report = {"problem": said, "line": own_line(error, path)}
    else:
        np.save(answer, found, allow_pickle=False)
        return
    Path(told).write_text(json.dumps(report), encoding="utf-8")


main(*sys.argv[1:])
