"""The one way to run an external program: limits, live log, tree kill, sandbox."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import psutil

from openforge.errors import ToolError, ToolMissing, ToolTimeout
from openforge.tools import sandbox

_POLL_S = 0.1
_SHELL_SIGNAL = 128
_TAIL_LINES = 60
_LINE_BYTES = 1 << 16
_OVERLAP_BYTES = 4 << 10


class Outcome(StrEnum):
    """How a program ended."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMEOUT = "timeout"
    MEMORY = "memory limit"
    PROCESSES = "process limit"
    LOG = "log size limit"
    STOPPED = "no longer wanted"


@dataclass(frozen=True)
class Limits:
    """What a program may use. `memory_bytes` is for all of its processes together (resident)."""

    timeout_s: float = 600.0
    memory_bytes: int = 8 << 30
    file_bytes: int = 4 << 30
    log_bytes: int = 64 << 20
    processes: int = 256


@dataclass(frozen=True)
class Completed:
    """How a program ran. `returncode` is negative for a signal; `tail` is the end of its output."""

    argv: tuple[str, ...]
    outcome: Outcome
    returncode: int
    duration_s: float
    peak_memory_bytes: int
    log: Path
    tail: tuple[str, ...] = field(repr=False)

    @property
    def ok(self) -> bool:
        """Ended by itself with exit code 0."""
        return self.outcome is Outcome.EXITED and self.returncode == 0

    def expect(self, what: str, codes: Iterable[int] = (0,)) -> Completed:
        """Self, if the program ended by itself with one of `codes`; else raises.

        Raises ToolTimeout or ToolError, with the reason, the end of the output and the log's path.
        """
        if self.outcome is Outcome.EXITED and self.returncode in codes:
            return self
        if self.outcome is Outcome.TIMEOUT:
            raise ToolTimeout(f"{what} did not end within {self.duration_s:.0f} s", self.log)
        end = "\n".join(self.tail[-12:])
        how = f"ended with code {self.returncode}"
        if self.outcome is not Outcome.EXITED:
            how = f"was ended: {self.outcome.value} (code {self.returncode})"
        raise ToolError(f"{what} {how}\n{end}".rstrip(), self.log)


def run(
    argv: Iterable[str | Path],
    *,
    cwd: Path,
    log: Path,
    limits: Limits | None = None,
    env: Mapping[str, str] | None = None,
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    on_line: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> Completed:
    """Run `argv` in the sandbox until it ends or hits a limit; its whole process tree ends with it.

    stdout and stderr go, merged, to the file `log` (appended) and line by line to `on_line`.
    `env` is the whole environment beside PATH, HOME and LANG. The program sees the system and
    Python read-only, `readable` read-only, `writable` and nothing else; without a sandbox it
    sees what the caller sees. Can be called from several threads; `stop` ends it from another one.

    Raises ToolMissing when the program cannot be started; whatever else happens is in the result.
    """
    limits = limits or Limits()
    command = [str(word) for word in argv]
    inner = _limited(command, limits)
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        try:
            process = subprocess.Popen(
                sandbox.wrap(inner, cwd=cwd, readable=readable, writable=writable),
                cwd=cwd,
                env=_environment(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolMissing(f"cannot start {command[0]}: {error.strerror}") from error
        with process:
            watch = _Watch(process, limits, started, stop)
            try:
                reader = _Reader(sink, limits.log_bytes, on_line)
                outcome = _follow(process, watch, reader)
            finally:
                kill_tree(process.pid)
                process.wait()
    code = process.returncode
    if outcome is Outcome.EXITED and _SHELL_SIGNAL < code <= _SHELL_SIGNAL + signal.NSIG:
        code = _SHELL_SIGNAL - code  # bubblewrap says it as a shell does
    if outcome is Outcome.EXITED and code < 0:
        outcome = Outcome.SIGNALLED
    return Completed(
        argv=tuple(command),
        outcome=outcome,
        returncode=code,
        duration_s=time.monotonic() - started,
        peak_memory_bytes=watch.peak_bytes,
        log=log,
        tail=tuple(reader.tail),
    )


def kill_tree(pid: int) -> None:
    """Kill `pid` and all of its descendants, stopping them first so that none can fork away."""
    seen: dict[int, psutil.Process] = {}
    while True:
        fresh = [p for p in _tree(pid) if p.pid not in seen]
        if not fresh:
            break
        for process in fresh:
            seen[process.pid] = process
            with contextlib.suppress(psutil.Error):
                process.suspend()
    for process in seen.values():
        with contextlib.suppress(psutil.Error):
            process.kill()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    keep = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}  # noqa: S108
    return {**keep, **(extra or {})}


def _limited(argv: list[str], limits: Limits) -> list[str]:
    """`argv` with the limits that the kernel enforces; sums over the tree are `_Watch`'s business.

    A shell sets them because doing it between fork and exec is not safe in a threaded process.
    """
    blocks = limits.file_bytes // 512
    return ["/bin/sh", "-c", f'ulimit -c 0; ulimit -f {blocks}; exec "$@"', "sh", *argv]


class _Watch:
    """Says when a limit on the whole process tree is exceeded."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        started: float,
        stop: threading.Event | None,
    ) -> None:
        self._pid, self._limits, self._stop = process.pid, limits, stop
        self._deadline = started + limits.timeout_s
        self.peak_bytes = 0

    def exceeded(self) -> Outcome | None:
        if self._stop and self._stop.is_set():
            return Outcome.STOPPED
        if time.monotonic() >= self._deadline:
            return Outcome.TIMEOUT
        tree, used = _tree(self._pid), 0
        for process in tree:
            with contextlib.suppress(psutil.Error):
                used += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, used)
        if used > self._limits.memory_bytes:
            return Outcome.MEMORY
        return Outcome.PROCESSES if len(tree) > self._limits.processes else None


class _Reader:
    """Takes the program's output: to the log file, to the listener, and keeps its end."""

    def __init__(self, sink: object, limit: int, on_line: Callable[[str], None] | None) -> None:
        self._sink, self._limit, self._on_line = sink, limit, on_line
        self._written, self._rest = 0, b""
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @property
    def full(self) -> bool:
        return self._written > self._limit

    def take(self, data: bytes) -> None:
        if not self.full:
            self._sink.write(data)  # type: ignore[attr-defined]
            self._sink.flush()  # type: ignore[attr-defined]
        self._written += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)
        if len(self._rest) > _LINE_BYTES:
            self._emit(self._rest)
            self._rest = self._rest[-_OVERLAP_BYTES:]

    def close(self) -> None:
        if self._rest:
            self._emit(self._rest)
            self._rest = b""

    def _emit(self, line: bytes) -> None:
        """Pass a line on, one that is too long in pieces: what is cut off could be an error.

        Pieces overlap, so that what is looked for is whole in one of them.
        """
        for start in range(0, max(len(line) - _OVERLAP_BYTES, 1), _LINE_BYTES - _OVERLAP_BYTES):
            piece = line[start : start + _LINE_BYTES]
            text = piece.decode("utf-8", "replace").rstrip("\r")
            self.tail.append(text)
            if self._on_line:
                self._on_line(text)


def _follow(process: subprocess.Popen[bytes], watch: _Watch, reader: _Reader) -> Outcome:
    """Read until the program has ended; the first limit that is hit ends it."""
    assert process.stdout is not None
    handle = process.stdout.fileno()
    os.set_blocking(handle, False)
    next_look = 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while True:
            ready = selector.select(_POLL_S)
            data = os.read(handle, 1 << 18) if ready else None
            if data:
                reader.take(data)
            if data == b"" or (not ready and process.poll() is not None):
                break
            now = time.monotonic()
            if now >= next_look:
                next_look = now + _POLL_S
                reason = Outcome.LOG if reader.full else watch.exceeded()
                if reason:
                    reader.close()
                    return reason
    reader.close()
    return _await_end(process, watch)


def _await_end(process: subprocess.Popen[bytes], watch: _Watch) -> Outcome:
    """Wait for a program that has closed its output but may go on running."""
    while True:
        try:
            process.wait(_POLL_S)
            return Outcome.EXITED
        except subprocess.TimeoutExpired:
            reason = watch.exceeded()
            if reason:
                return reason
