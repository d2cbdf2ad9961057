"""The runner's side of the zygote: starts it, asks it to fork, hears of ends."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

# Not matplotlib_inline: it hooks itself into the running shell when it is imported, so that
# figures would silently vanish in a kernel that found it imported already.
PRELOADED = (
    "numpy",
    "pandas",
    "pyarrow",
    "pyarrow.parquet",
    "matplotlib",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "psutil",
    "pydantic",
    "openforge.checks",
    "openforge.display",
)
# More than one thread would make forking unsafe: these libraries start theirs at import.
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
_START_TIMEOUT_S = 60.0
_KIND = "OPENFORGE_KERNEL"


class ForkUnavailable(Exception):
    """Kernels cannot be forked here; a plain kernel can be used instead."""


class ForkServer:
    """A running zygote. One a runner process; `shared` makes it and replaces a dead one."""

    _shared: ClassVar[ForkServer | None] = None
    _making: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def shared(cls) -> ForkServer:
        """The zygote of this process. Raises ForkUnavailable where there can be none."""
        if os.environ.get(_KIND) == "plain":
            raise ForkUnavailable(f"{_KIND}=plain")
        with cls._making:
            if cls._shared is None or not cls._shared.alive:
                cls._shared = cls()
            return cls._shared

    def __init__(self) -> None:
        if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
            raise ForkUnavailable("forked kernels need Linux")
        self._owner = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno()), *PRELOADED],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **_ONE_THREAD},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._socket, self._ids = ours, itertools.count(1)
        self._changed = threading.Condition()
        self._forked: dict[int, int] = {}
        self._exits: dict[int, int] = {}
        self._closed = False
        self._check_hello()
        threading.Thread(target=self._listen, name="zygote", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can still fork, for this process."""
        return self._owner == os.getpid() and not self._closed and self.process.poll() is None

    def fork(
        self, argv: list[str], env: Mapping[str, str], cwd: str, error_output: int
    ) -> tuple[int, int]:
        """Fork a kernel; its pid, and a handle that becomes readable when its sockets are bound.

        Raises ForkUnavailable when the zygote has died.
        """
        ready, tell = os.pipe2(os.O_CLOEXEC)
        number = next(self._ids)
        request = {"op": "fork", "id": number, "argv": argv, "env": dict(env), "cwd": cwd}
        try:
            with self._changed:
                socket.send_fds(self._socket, [json.dumps(request).encode()], [tell, error_output])
                self._changed.wait_for(lambda: number in self._forked or self._closed, 30)
                if number not in self._forked:
                    raise ForkUnavailable("the zygote has died")
                return self._forked.pop(number), ready
        except (OSError, ForkUnavailable) as error:
            os.close(ready)
            raise ForkUnavailable(str(error)) from error
        finally:
            os.close(tell)

    def kill_tree(self, pid: int) -> None:
        """Kill a kernel and everything below it."""
        with contextlib.suppress(OSError):
            self._socket.send(json.dumps({"op": "kill", "pid": pid}).encode())

    def exit_code(self, pid: int) -> int:
        """How a kernel that has ended did (negative: by a signal)."""
        with self._changed:
            self._changed.wait_for(lambda: pid in self._exits or self._closed, 5)
            return self._exits.pop(pid, -signal.SIGKILL)

    def _check_hello(self) -> None:
        readable, _, _ = select.select([self._socket], [], [], _START_TIMEOUT_S)
        message = self._socket.recv(1 << 16) if readable else b""
        hello: dict[str, Any] = json.loads(message) if message else {}
        if hello.get("threads") != 1:
            self.process.kill()
            self.process.wait()
            self._socket.close()
            raise ForkUnavailable(f"the zygote cannot fork safely: {hello or 'it did not start'}")

    def _listen(self) -> None:
        while True:
            try:
                message = self._socket.recv(1 << 16)
            except OSError:
                message = b""
            with self._changed:
                if not message:
                    self._closed = True
                    self._socket.close()
                    self._changed.notify_all()
                    break
                said = json.loads(message)
                if "forked" in said:
                    self._forked[said["id"]] = said["forked"]
                else:
                    self._exits[said["exit"]] = said["code"]
                self._changed.notify_all()
        self.process.wait()


def warm() -> None:
    """Start the shared zygote in the background, so that the first check does not wait for it."""

    def start() -> None:
        with contextlib.suppress(ForkUnavailable):  # the first check will find out, and say so
            ForkServer.shared()

    threading.Thread(target=start, name="warm", daemon=True).start()


class ForkedProcess:
    """A forked kernel, as the parts of `subprocess.Popen` that jupyter_client uses."""

    stdin = stdout = stderr = None

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.server, self.pid = server, pid
        self.returncode: int | None = None
        self.handle: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self.handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None and (
            self.handle is None or select.select([self.handle], [], [], 0)[0]
        ):
            self.returncode = self.server.exit_code(self.pid)
            if self.handle is not None:
                os.close(self.handle)
                self.handle = None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end, without polling."""
        if self.poll() is None and self.handle is not None:
            select.select([self.handle], [], [], timeout)
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Signal the kernel itself; never another process that got its pid."""
        if self.poll() is None and self.handle is not None:
            signal.pidfd_send_signal(self.handle, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)
