"""One check = one papermill run in a forked kernel; cancel, time limit, live events.

Only this module knows papermill.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import difflib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

# jsonschema 4.26 imports a grammar that takes 0.7 s to build; notebooks do not need it.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import nbformat  # noqa: E402
import papermill  # noqa: E402
from jupyter_core.utils import ensure_event_loop  # noqa: E402
from nbclient.exceptions import CellExecutionError, DeadKernelError  # noqa: E402
from papermill.clientwrap import PapermillNotebookClient  # noqa: E402
from papermill.engines import Engine, papermill_engines  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402
from pydantic import JsonValue  # noqa: E402

from openforge import errors, events  # noqa: E402
from openforge.errors import OpenForgeError  # noqa: E402
from openforge.kernel.event_pipe import EventPipe  # noqa: E402
from openforge.kernel.fork_server import ForkServer, ForkUnavailable  # noqa: E402
from openforge.kernel.lines import Lines  # noqa: E402
from openforge.kernel.manager import START_TIMEOUT_S, KernelManager  # noqa: E402
from openforge.kernel.output_cap import OutputCap, fits  # noqa: E402
from openforge.tools import process  # noqa: E402

Event = dict[str, JsonValue]
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
_GRACE_S = 3.0
_POLL_S = 0.05


class Ending(StrEnum):
    """How the run of a notebook ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    DIED = "died"


@dataclass(frozen=True)
class Execution:
    """A notebook to run: where it is read, where the executed one goes, with what."""

    notebook: Path
    output: Path
    parameters: Mapping[str, JsonValue]
    cwd: Path
    timeout_s: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How it went; `error` is empty exactly when every cell ran to its end."""

    ending: Ending
    error: str
    duration_s: float


def execute(
    execution: Execution,
    *,
    on_event: Callable[[Event], None],
    cancel: threading.Event,
    grace_s: float = _GRACE_S,
) -> Outcome:
    """Run a notebook to its end in a kernel of its own; nothing of it is left afterwards.

    `on_event` gets log lines, progress and cells as they happen. Setting `cancel` interrupts the
    kernel and its tools, and kills what is still there after `grace_s` seconds. Can be called from
    several threads. Raises OpenForgeError for a parameter that the notebook does not declare.
    """
    check_parameters(execution.notebook, execution.parameters)
    started = time.monotonic()
    run = _Run(on_event, cancel, execution.timeout_s, grace_s)
    with EventPipe(on_event) as pipe:
        env = {**os.environ, **execution.env, events.ENVIRONMENT: str(pipe.path)}
        with _event_loop():
            error = _papermill(execution, run, env)
    return Outcome(run.ending(error), _explain(run, error), time.monotonic() - started)


def kernel_kind() -> str:
    """Which kernels checks run in here: "forked" or "plain"."""
    return "forked" if _can_fork() else "plain"


def check_parameters(notebook: Path, parameters: Mapping[str, JsonValue]) -> None:
    """Raises OpenForgeError unless `notebook` declares every one of `parameters`.

    papermill writes the *names* into code, so a name that was not checked is code to run.
    """
    known = declared(nbformat.read(notebook, as_version=4))
    for name in parameters:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise OpenForgeError(
                f"{notebook.name} has no parameter {name!r}{hint}; "
                f"it has {', '.join(sorted(known))}"
            )


def declared(notebook: Any) -> frozenset[str]:
    """Names assigned in the cell tagged ``parameters``."""
    names = set()
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", ()):
            for node in ast.parse(cell.source).body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(names)


@contextlib.contextmanager
def _event_loop() -> Iterator[None]:
    """The event loop nbclient uses in this thread: nbclient itself would never close it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with contextlib.closing(ensure_event_loop()):
            yield
        asyncio.set_event_loop(None)
    else:
        yield  # in a notebook: nbclient takes a thread with a loop of its own, once


def _papermill(execution: Execution, run: _Run, env: Mapping[str, str]) -> BaseException | None:
    """Execute; the exception that ended it, or None."""
    try:
        papermill.execute_notebook(
            str(execution.notebook),
            str(execution.output),
            dict(execution.parameters),
            engine_name="openforge",
            kernel_name="python3",
            progress_bar=False,
            run=run,
            kernel_env=env,
            kernel_cwd=str(execution.cwd),
        )
    except (PapermillExecutionError, DeadKernelError, _Stopped) as error:
        return error
    except ForkUnavailable as error:
        if not run.stopped:
            raise
        return error  # the kernel was ended while it started
    return None


class _Stopped(Exception):
    """The run was cancelled, or its time was up."""


class _Run:
    """What one run is told, and why it was stopped."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        cancel: threading.Event,
        timeout_s: float | None,
        grace_s: float,
    ) -> None:
        self.emit, self.cancel, self.timeout_s, self.grace_s = emit, cancel, timeout_s, grace_s
        self.stopped: Ending | None = None
        self.exit_code: int | None = None

    def ending(self, error: BaseException | None) -> Ending:
        if self.stopped:
            return self.stopped
        if error is None:
            return Ending.COMPLETED
        return Ending.DIED if isinstance(error, DeadKernelError) else Ending.FAILED


def _explain(run: _Run, error: BaseException | None) -> str:
    ending = run.ending(error)
    if ending is Ending.CANCELLED:
        return "cancelled"
    if ending is Ending.TIMEOUT:
        return f"the time limit of {run.timeout_s:g} s was reached"
    if ending is Ending.DIED:
        return f"the kernel died (code {run.exit_code}); its notebook says how far it came"
    if isinstance(error, PapermillExecutionError):
        said = error.evalue if error.ename in _OURS else f"{error.ename}: {error.evalue}"
        return _ANSI.sub("", said)
    return ""


def _can_fork() -> bool:
    try:
        ForkServer.shared()
    except ForkUnavailable:
        return False
    return True


class _NotebookClient(PapermillNotebookClient):
    def __init__(self, notebook: Any, run: _Run, **more: Any) -> None:
        super().__init__(notebook, **more)
        self.run, self.cap, self.lines = run, OutputCap(), Lines()
        self._over = threading.Event()

    def execute(self, **more: Any) -> Any:
        watcher = threading.Thread(target=self._watch, name="limits", daemon=True)
        watcher.start()
        try:
            return super().execute(**more)
        finally:
            self._over.set()
            watcher.join()

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            for line in self.lines.add(content["name"], content["text"]):
                self._log(content["name"], line)
            text = self.cap.stream(content["text"])
            if not text:
                return None
            msg = {**msg, "content": {**content, "text": text}}
        elif kind in ("display_data", "execute_result") and not fits(content):
            note = {"text/plain": "[an output that was too large to be stored]"}
            msg = {**msg, "content": {**content, "data": note}}
        return super().process_message(msg, cell, cell_index)

    def _log(self, stream: str, line: str) -> None:
        level = "WARNING" if stream == "stderr" else "INFO"
        self.run.emit({"type": "log", "level": level, "message": line})

    def papermill_execute_cells(self) -> None:
        for index, cell in enumerate(self.nb.cells):
            if self.run.stopped:
                raise _Stopped
            if not self._execute_one(index, cell):
                break
        if self.run.stopped:
            raise _Stopped

    def _execute_one(self, index: int, cell: Any) -> bool:
        """Run a cell; False when it raised. Raises DeadKernelError, or _Stopped."""
        self.cap = OutputCap()
        count = len(self.nb.cells)
        self.nb_man.cell_start(cell, index)
        self.run.emit({"type": "cell", "cell": index, "of": count, "state": "start"})
        try:
            self.execute_cell(cell, index)
            return True
        except (CellExecutionError, DeadKernelError) as error:
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
            if self.run.stopped:
                raise _Stopped from error
            if isinstance(error, DeadKernelError):
                raise
            return False
        finally:
            for stream, line in self.lines.rest():
                self._log(stream, line)
            self.cap.finish(self.nb.cells[index]) if cell.cell_type == "code" else None
            self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
            self.run.emit({"type": "cell", "cell": index, "of": count, "state": "end"})

    async def _async_poll_kernel_alive(self) -> None:
        """Notice the kernel's death at once through its pidfd, where nbclient polls each second."""
        kernel = self.km.provisioner.process
        handle = getattr(kernel, "handle", None)
        if handle is None:
            await super()._async_poll_kernel_alive()
            return
        loop, ended, watched = asyncio.get_running_loop(), asyncio.Event(), os.dup(handle)
        loop.add_reader(watched, ended.set)
        try:
            await ended.wait()
            self.run.exit_code = kernel.poll()
            if self.task_poll_for_reply:
                self.task_poll_for_reply.cancel()
        finally:
            loop.remove_reader(watched)
            os.close(watched)

    def _watch(self) -> None:
        """Interrupt when cancelled or out of time; kill what is left after the grace period."""
        limit = self.run.timeout_s
        end = time.monotonic() + limit if limit else float("inf")
        while not self._over.wait(_POLL_S):
            if self.run.cancel.is_set():
                self.run.stopped = Ending.CANCELLED
            elif time.monotonic() >= end:
                self.run.stopped = Ending.TIMEOUT
            if self.run.stopped and self.km is not None and self.km.provisioner is not None:
                self._end(self.km.provisioner.process)
                return

    def _end(self, kernel: Any) -> None:
        if kernel is None:
            return
        with contextlib.suppress(OSError):
            os.killpg(kernel.pid, signal.SIGINT)
        if not self._over.wait(self.run.grace_s):
            server = getattr(kernel, "server", None)
            (server or process).kill_tree(kernel.pid)


class _PapermillEngine(Engine):
    """Papermill's side: how to execute the notebook that it manages."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        run: _Run,
        kernel_env: Mapping[str, str],
        kernel_cwd: str,
        **_: Any,
    ) -> Any:
        nb_man.save = partial(_save, nb_man)
        forked = _can_fork()
        if not forked:
            run.emit({"type": "log", "level": "INFO", "message": "plain kernel: it starts slower"})
        manager = KernelManager(forked)
        client = _NotebookClient(
            nb_man,
            run,
            km=manager,
            kernel_name=kernel_name,
            timeout=None,
            startup_timeout=int(START_TIMEOUT_S),
            shutdown_kernel="immediate",
            log_output=False,
        )
        client.owns_km = True  # so that the kernel is ended on every path
        try:
            return client.execute(env=dict(kernel_env), cwd=kernel_cwd)
        finally:
            manager.folder.cleanup()


def _save(nb_man: Any, **_: Any) -> None:
    """Save the notebook so that a reader sees the old one or the new one."""
    path = Path(nb_man.output_path)
    part = path.with_suffix(".part")
    part.write_text(nbformat.writes(nb_man.nb), encoding="utf-8")
    part.replace(path)
    nb_man.last_save_time = nb_man.now()


papermill_engines.register("openforge", _PapermillEngine)
