"""Following a job of a service on the terminal, to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from openforge import cli_show
from openforge.client import Client
from openforge.client_answer import NoAnswer
from openforge.client_records import Job, LogLine, StageProgress
from openforge.errors import OpenForgeError

_POLL_S = 0.5
_RECONNECT_S = 1.0
_LAST_LINES_S = 10.0  # how long the end of the log is waited for when the job has ended


def to_the_end(client: Client, job: Job, console: Console) -> Job:
    """Show `job` until it has ended; returns it as it is then.

    Ctrl-C cancels it, and is waited for; a second one leaves it alone. Raises OpenForgeError when
    the service does not say any more how it is.
    """
    with Progress(job.stages, console) as progress:
        log = _Log(client, job.job_id, progress)
        log.start()
        try:
            last = _watch(client, job.job_id, progress)
        except KeyboardInterrupt:
            console.print("stopping the job; Ctrl-C again does not wait for it")
            client.cancel(job.job_id)
            last = _watch(client, job.job_id, progress)
        finally:
            log.over.set()
        log.join(_LAST_LINES_S)
        progress.take(last)
    return last


def _watch(client: Client, job_id: str, progress: Progress) -> Job:
    while True:
        job = client.job(job_id)
        if job.ended:
            return job
        time.sleep(_POLL_S)  # before it is shown: what was logged until then is shown first
        progress.take(job)


class _Log(threading.Thread):
    """Shows the lines of a job's log; a connection that breaks is made anew where it broke."""

    def __init__(self, client: Client, job_id: str, progress: Progress) -> None:
        super().__init__(name="job-log", daemon=True)
        self.over = threading.Event()
        self._client, self._job_id, self._progress = client, job_id, progress
        self._since = 0

    def run(self) -> None:
        """Follow until the job is over."""
        while True:
            last_time = self.over.is_set()
            try:
                for line in self._client.follow(self._job_id, self._since):
                    if line.seq > self._since:
                        self._since = line.seq
                        self._progress.say(line)
            except NoAnswer:
                pass  # whoever asks for the job's status gives up in time
            except OpenForgeError as error:
                self._client.notice(f"the job's log cannot be followed: {error}")
                return
            if last_time or self.over.wait(_RECONNECT_S):
                return


class Progress:
    """Live view of a job of a service: a table on a terminal, one line an event elsewhere."""

    def __init__(self, stages: Iterable[str], console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows = {name: _Row(name) for name in stages}
        self._live = Live(
            get_renderable=self._table, console=console, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: LogLine) -> None:
        """Show a line of the log."""
        row = self._rows.get(line.stage)
        if row is None:
            return
        with self._lock:
            self._print(row, row.begin())
            row.note = line.message
            self._print(row, line.message if line.level != "DEBUG" else None)

    def take(self, job: Job) -> None:
        """Show how far the stages are."""
        with self._lock:
            for name, stage in job.progress.items():
                if row := self._rows.get(name):
                    if stage.status == "running":
                        self._print(row, row.begin())
                    self._print(row, row.take(stage))

    def _print(self, row: _Row, said: str | None) -> None:
        if said and not self._console.is_terminal:
            self._console.print(f"  {row.name}: {escape(said)}", soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for row in self._rows.values():
                mark = Spinner("dots") if row.status == "running" else cli_show.mark(row.status)
                table.add_row(mark, row.name, row.status, row.clock(), escape(row.note)[:90])
        return table


class _Row:
    """What is known of one stage."""

    def __init__(self, name: str) -> None:
        self.name, self.status, self.note = name, "queued", ""
        self._duration, self._begun = "", 0.0

    def clock(self) -> str:
        """How long the stage took, or has been running."""
        if self.status == "running":
            return f"{time.monotonic() - self._begun:.1f} s"
        return self._duration

    def begin(self) -> str | None:
        """It runs; returns a line worth printing if that is news."""
        if self.status != "queued":
            return None
        self.status, self._begun = "running", time.monotonic()
        return "started"

    def take(self, stage: StageProgress) -> str | None:
        """Update; returns a line worth printing where there is no live table."""
        self.note = stage.progress or self.note
        if stage.status in (self.status, "running"):
            return None
        self.status, self.note, self._duration = stage.status, "", spaced(stage.duration)
        if stage.status == "queued":  # its worker died
            return "waits to be started again"
        return f"{self.status} ({self._duration})" if self._duration else self.status


def spaced(duration: str) -> str:
    """A short duration of the REST contract as the command line has it: ``1.5 s``."""
    seconds = duration.removesuffix("s")
    return f"{seconds} s" if seconds.replace(".", "", 1).isdecimal() else duration
