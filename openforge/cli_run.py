"""`openforge run`: submit, run, show progress, report."""

from __future__ import annotations

import importlib
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from openforge import cli_show, config, jobs
from openforge.event_log import Event
from openforge.record import JobRecord
from openforge.tools import sandbox
from openforge.workspace import Workspace


def run(
    workspace: Workspace,
    project: Path,
    *,
    stages: Sequence[str] | None,
    settings: Sequence[str],
    workers: int | None,
    as_json: bool,
) -> str:
    """Run a job on `project` to its end; returns its status.

    Progress goes to stderr; stdout gets the table of verdicts, or one JSON object.
    Raises OpenForgeError for what is wrong before the job starts.
    """
    console = Console(stderr=True, quiet=as_json, highlight=False)
    if not as_json and (warning := sandbox.warning()):
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    overrides = dict(config.parse_override(text) for text in settings)
    job = jobs.submit(workspace, project.absolute(), stages, overrides)
    console.print(f"[bold]{escape(job.file.project)}[/]  {job.id}")
    progress = Progress(job, console)
    threading.Thread(target=_import_the_rest, daemon=True).start()
    with _interruptible() as cancel, progress:
        job = jobs.run(job, workers=workers, on_event=progress.take, cancel=cancel)
    from openforge import conclude, report

    conclude.write_report(job)
    if problem := conclude.index(workspace, job):
        console.print(f"[yellow]warning:[/] {escape(problem)}")
    if as_json:
        print(json.dumps(report.results_json(job)))
    else:
        cli_show.job(job)
    return job.status


def _import_the_rest() -> None:
    """What is needed when the checks have ended: slow to import, so that is done while they run."""
    importlib.import_module("openforge.conclude")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; a second one interrupts at once."""
    cancel = threading.Event()
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        cancel.set()
        signal.signal(number, signal.default_int_handler)

    for number in before:
        signal.signal(number, stop)
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """Live view of a job: a table on a terminal, one line an event elsewhere."""

    def __init__(self, job: JobRecord, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows = {name: _Row(name) for name in job.file.checks}
        self._live = Live(
            get_renderable=self._table, console=console, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def take(self, event: Event) -> None:
        """Show an event; called from the threads that run checks."""
        row = self._rows.get(str(event.get("check")))
        if row is None:
            return
        with self._lock:
            said = row.take(event)
            if said and not self._console.is_terminal:
                self._console.print(f"  {row.name}: {escape(said)}", soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for row in self._rows.values():
                mark = Spinner("dots") if row.running else cli_show.mark(row.status)
                table.add_row(mark, row.name, row.status, row.clock(), escape(row.note)[:90])
        return table


class _Row:
    """What is known of one check while it runs."""

    def __init__(self, name: str) -> None:
        self.name, self.status, self.note = name, "queued", ""
        self._started = self._ended = 0.0

    @property
    def running(self) -> bool:
        return self.status == "running"

    def clock(self) -> str:
        end = self._ended or time.monotonic()
        return f"{end - self._started:.1f} s" if self._started else ""

    def take(self, event: Event) -> str | None:
        """Update; returns a line worth printing where there is no live table."""
        match event["type"]:
            case "state":
                self.status, self._started = "running", time.monotonic()
                return "started"
            case "progress":
                self.note = f"{event['done']}/{event['total']} {event['unit']}"
            case "log":
                self.note = str(event["message"])
                return None if event["level"] == "DEBUG" else self.note
            case "check_complete":
                self.status, self._ended, self.note = str(event["status"]), time.monotonic(), ""
                return f"{self.status} ({self.clock()})"
        return None
