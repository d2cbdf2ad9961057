"""The zygote: a single-threaded process that has imported what kernels need, and forks them.

Run as a program: ``python zygote.py FD MODULE...``. What keeps it from leaving anything behind:

- requests come over an inherited socket; end of file means that the runner is gone, however it
  went, and then the zygote kills all its descendants and exits;
- each kernel dies with the zygote (PR_SET_PDEATHSIG);
- the zygote is a child subreaper, so that what a dead kernel started comes back to it, and is
  killed with that kernel.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import traceback
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
_BURY_S = 10
_LIBC = ctypes.CDLL(None, use_errno=True)
_KERNEL_MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",
    "IPython.core.completer",
    "IPython.core.debugger",
    "IPython.core.completerlib",
    "IPython.extensions.storemagic",
    "sqlite3",
    "tornado.platform.asyncio",
    "tornado.queues",
    "pdb",
    "pydoc",
)


def thread_count() -> int:
    """How many threads this process has; forking is only safe with one."""
    return len(os.listdir("/proc/self/task"))


def descendants(root: int) -> list[int]:
    """All processes below `root`, by the parent that each has now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (parent := parent_and_session(int(name))):
            children.setdefault(parent[0], []).append(int(name))
    found, todo = [], [root]
    while todo:
        for child in children.get(todo.pop(), ()):
            found.append(child)
            todo.append(child)
    return found


def parent_and_session(pid: int) -> tuple[int, int] | None:
    """Parent and session of a process, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[1]), int(fields[3])
    except (OSError, IndexError):
        return None


def kill_tree(root: int, *, itself: bool = True) -> None:
    """Kill everything below `root`, stopping it first so that it cannot fork away."""
    seen: set[int] = set()
    while fresh := [p for p in [*([root] if itself else []), *descendants(root)] if p not in seen]:
        for pid in fresh:
            seen.add(pid)
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGSTOP)
    for pid in seen:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def become_kernel(request: dict[str, Any], handles: list[int], control: socket.socket) -> None:
    """In the forked child: turn into an IPython kernel. Never returns."""
    ready, error_output = handles
    try:
        os.setsid()
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != request["zygote"]:  # it died between the fork and the line above
            os._exit(1)
        control.close()
        _redirect(error_output)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(request["env"])
        os.environ["JPY_PARENT_PID"] = str(request["zygote"])
        os.chdir(request["cwd"])
        random.seed()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        gc.unfreeze()
        _serve(request["argv"], ready)
    except BaseException:
        traceback.print_exc()
    os._exit(70)


def _redirect(error_output: int) -> None:
    """stdin and stdout to nowhere (the kernel's own go through its sockets), stderr to a file."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(error_output, 2)
    os.close(null)
    os.close(error_output)


def _serve(argv: list[str], ready: int) -> None:
    from ipykernel.kernelapp import IPKernelApp

    sys.argv = argv
    app = IPKernelApp.instance()
    app.initialize(argv[1:])
    os.write(ready, b"1")  # the sockets are bound
    os.close(ready)
    app.start()
    os._exit(0)


class Zygote:
    """Serves requests over `control` until it is closed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._kernels: set[int] = set()
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Fork on request, report ends; returns when the runner is gone."""
        while True:
            watched: list[Any] = [self._control, self._wake]
            ready, _, _ = select.select(watched, [], [])
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._reap()
            if self._control in ready and not self._answer():
                kill_tree(os.getpid(), itself=False)
                _bury_all()
                return

    def _answer(self) -> bool:
        try:
            message, handles, _, _ = socket.recv_fds(self._control, 1 << 20, 4)
        except OSError:
            return False
        if not message:
            return False
        request = json.loads(message)
        if request["op"] == "kill":
            if request["pid"] in self._kernels:
                kill_tree(request["pid"])
            return True
        request["zygote"] = os.getpid()
        pid = os.fork()
        if pid == 0:
            become_kernel(request, list(handles), self._control)
        self._kernels.add(pid)
        for handle in handles:
            os.close(handle)
        self._say({"forked": pid, "id": request["id"]})
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._kernels:
                self._kernels.discard(pid)
                self._kill_remains(pid)
                self._say({"exit": pid, "code": os.waitstatus_to_exitcode(status)})

    def _kill_remains(self, kernel: int) -> None:
        """Kill what a dead kernel started: of its session, or handed up to this process."""
        me = os.getpid()
        for pid in descendants(me):
            known = parent_and_session(pid)
            if known is None or pid in self._kernels:
                continue
            parent, session = known
            if session == kernel or (parent == me and session not in self._kernels):
                kill_tree(pid)

    def _say(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(message).encode())


def _bury_all() -> None:
    """Wait until nothing is left below: whoever waits for this process may rely on it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_BURY_S)  # what cannot be killed is not waited for
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def main(handle: int, modules: list[str]) -> None:
    """Import, say hello (with the number of threads), serve."""
    control = socket.socket(fileno=handle)
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # ipykernel 7.4 imports debugpy (130 modules) in every kernel; a check has no debugger.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    # jsonschema 4.26 imports a grammar that takes 0.7 s to build and that notebooks do not need.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    missing = []
    for name in (*_KERNEL_MODULES, *modules):
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name}: {error}")
    zygote = Zygote(control)
    gc.collect()
    gc.freeze()
    hello = {"threads": thread_count(), "missing": missing}
    with contextlib.suppress(OSError):  # the runner has gone; `serve` sees it, too
        control.send(json.dumps(hello).encode())
    zygote.serve()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
