"""Tables that the command line prints about jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from openforge.model import Level, Result, Stage
from openforge.record import CheckRecord, JobRecord

_MARKS = {
    "passed": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "inconclusive": "[yellow]?[/]",
    "error": "[red]![/]",
    "skipped": "[dim]-[/]",
    "cancelled": "[dim]×[/]",
}
_COLOURS = {
    "passed": "green",
    "failed": "red",
    "inconclusive": "yellow",
    "error": "red",
    "running": "cyan",
}
_MAX_FINDINGS = 20


def mark(status: str) -> str:
    """One symbol for a status, so that it does not rest on colour alone."""
    return _MARKS.get(status, "[dim]·[/]")


def coloured(status: str) -> str:
    """`status` with its symbol and colour, as rich markup."""
    return f"{mark(status)} [{_COLOURS.get(status, 'dim')}]{status}[/]"


def jobs(found: Sequence[JobRecord]) -> None:
    """One line a job."""
    console = Console(highlight=False)
    if not found:
        console.print("No jobs yet. `openforge run DIR` makes one.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "project", "status", "submitted", "stages", "note"):
        table.add_column(
            heading, overflow="fold", no_wrap=heading in ("job", "status", "submitted")
        )
    for job in found:
        table.add_row(
            job.id,
            escape(job.file.project),
            coloured(job.status),
            f"{datetime.fromisoformat(job.file.submitted_at).astimezone():%Y-%m-%d %H:%M}",
            " ".join(job.file.stages),
            escape(job.error),
        )
    console.print(table)


def job(record: JobRecord) -> None:
    """Verdicts, what is behind those that did not pass, and where the files are."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "verdict", "time", "says"):
        table.add_column(heading, overflow="fold")
    for check in record.checks:
        seconds = f"{check.manifest.duration_s:.1f} s" if check.manifest else ""
        table.add_row(check.id, coloured(check.status), seconds, escape(_says(check)))
    console.print(table)
    for check in record.checks:
        if check.result:
            _findings(console, check.result)
    if record.error:
        console.print(f"[red]{escape(record.error)}[/]")
    console.print(
        f"\n[bold]{coloured(record.status)}[/]  {escape(record.file.project)}  {record.id}"
    )
    _paths(console, record)


def logs(record: JobRecord, check: str | None, tail: int | None) -> None:
    """The log lines of a job, or of one of its checks."""
    if check:
        record.check(check)
    lines = [
        f"{event['timestamp']} {event['check']:<12} {event.get('level', ''):<7} {event['message']}"
        for event in record.events()
        if event["type"] == "log" and check in (None, event["check"])
    ]
    for line in lines[-tail:] if tail else lines:
        print(line)


def _says(check: CheckRecord) -> str:
    """The essence of a check's result in one line."""
    if check.result is None or check.error:
        return check.error
    if check.result.reason:
        return check.result.reason
    facts = [_fact(name, value) for name, value in check.result.summary.items()]
    if check.stage is Stage.CRYPTO:  # how far a verdict goes is most of what it says
        facts += check.result.bounds[:1]
    return ", ".join(facts)


def _fact(name: str, value: object) -> str:
    if isinstance(value, dict):
        return name + " " + " ".join(f"{k} {v}%" for k, v in value.items())
    return f"{value} {name.replace('_', ' ')}"


def _findings(console: Console, result: Result) -> None:
    serious = [f for f in result.findings if f.level is not Level.NOTE and f.waived_by is None]
    for finding in serious[:_MAX_FINDINGS]:
        colour = "red" if finding.level is Level.ERROR else "yellow"
        place = escape(str(finding.location or result.check))
        first = escape(finding.message.splitlines()[0] if finding.message else "")
        console.print(f"[{colour}]{place}[/]: {escape(finding.rule)}: {first}", soft_wrap=True)
    if len(serious) > _MAX_FINDINGS:
        console.print(f"... and {len(serious) - _MAX_FINDINGS} more in the report")


def _paths(console: Console, record: JobRecord) -> None:
    report = record.path / "report.html"
    if report.is_file():
        console.print(f"report    {escape(str(report))}", soft_wrap=True)
    for check in record.checks:
        notebook = check.path / "notebook.ipynb"
        if notebook.is_file():
            console.print(f"notebook  {escape(str(notebook))}", soft_wrap=True)
