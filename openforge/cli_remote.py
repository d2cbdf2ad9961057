"""The commands about jobs, with a service: what they show looks as it does for local jobs."""

from __future__ import annotations

import json
import re
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from openforge import cli_follow, cli_show, config, mirror
from openforge.client import MAX_LINES, Client
from openforge.client_answer import Answered
from openforge.client_records import CheckReport, Finding, Job, Project, Results
from openforge.errors import NotFound, OpenForgeError
from openforge.model import Level, Stage
from openforge.plain import plain

_MAX_JOBS = 1000
_TRIES = 3
_MAX_FINDINGS = 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def run(
    client: Client,
    project: Path,
    *,
    stages: Sequence[str] | None,
    settings: Sequence[str],
    as_json: bool,
) -> str:
    """Run a job on `project` at the service, to its end; returns its status.

    Progress goes to stderr; stdout gets the table of verdicts, or one JSON object. Raises
    OpenForgeError for what is wrong before the job starts, and when its status cannot be learned.
    """
    console = Console(stderr=True, quiet=as_json, highlight=False)
    client.notice = lambda said: console.print(f"[yellow]warning:[/] {escape(said)}")
    overrides = dict(config.parse_override(text) for text in settings)
    loaded = config.load(project.absolute(), overrides)
    _require_stages(stages or ())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    there, job = _start(client, project.absolute(), loaded, stages, overrides)
    console.print(f"[bold]{escape(there.name)}[/]  {job.job_id}  [dim]{escape(client.url)}[/]")
    last = cli_follow.to_the_end(client, job, console)
    results, said = client.results(job.job_id)
    status = last.status if _agree(last, results, job, stages or ()) else "error"
    if status != last.status:
        print("openforge: the service contradicts itself: no pass is believed", file=sys.stderr)
    if as_json:
        print(json.dumps(said | {"overall_status": status} if isinstance(said, dict) else said))
    else:
        _show(client, last, status)
    return status


def list_(client: Client) -> None:
    """One line a job, the newest first."""
    console = Console(highlight=False)
    found = client.jobs(_MAX_JOBS)
    if not found:
        console.print("No jobs yet. `openforge run DIR` makes one.")
        return
    names = {project.id: project.name for project in client.projects(_MAX_JOBS)}
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "project", "status", "submitted", "stages", "note"):
        table.add_column(
            heading, overflow="fold", no_wrap=heading in ("job", "status", "submitted")
        )
    for job in found:
        table.add_row(
            job.job_id,
            escape(names.get(job.project_id, job.project_id)),
            cli_show.coloured(job.status),
            f"{job.submitted_at.astimezone():%Y-%m-%d %H:%M}",
            " ".join(job.stages),
            escape(job.error or ""),
        )
    console.print(table)


def show(client: Client, name: str) -> None:
    """Verdicts, what is behind those that did not pass, and how to get the report."""
    job = _job(client, name)
    _show(client, job, job.status)


def logs(client: Client, name: str, check: str | None, tail: int | None) -> None:
    """The log lines of a job, or of one of its stages."""
    job = _job(client, name)
    if check and check not in job.stages:
        known = ", ".join(job.stages)
        raise NotFound(f"job {job.job_id} has no log of '{check}' at the service; it has {known}")
    lines = client.log(job.job_id, check, tail or MAX_LINES)
    if not tail and len(lines) == MAX_LINES:
        print(f"openforge: only the last {MAX_LINES:,} lines are shown", file=sys.stderr)
    for line in lines:
        print(f"{line.timestamp} {line.stage:<12} {line.level:<7} {line.message}")


def report(client: Client, name: str, format_: str, output: Path | None) -> None:
    """Write a job's report to a file of this folder, to `output`, or (``-``) to stdout."""
    job = _job(client, name)
    data = client.report(job.job_id, format_)
    if output == Path("-"):
        sys.stdout.buffer.write(data)
        return
    suffix = {"markdown": "md"}.get(format_, format_)
    target = output or Path(f"{job.job_id}.{suffix}")
    target.write_bytes(data)
    print(target)


def cancel(client: Client, name: str) -> None:
    """Stop a job."""
    job = _job(client, name)
    if job.ended:
        print(f"{job.job_id} has ended already: {job.status}")
        return
    client.cancel(job.job_id)
    print(f"{job.job_id} was asked to stop")


def _require_stages(names: Sequence[str]) -> None:
    known = [stage.value for stage in Stage]
    for name in names:
        if name not in known:
            raise OpenForgeError(f"there is no stage '{name}'; stages are: {', '.join(known)}")


def _start(
    client: Client,
    project: Path,
    loaded: config.Config,
    stages: Sequence[str] | None,
    overrides: Mapping[str, JsonValue],
) -> tuple[Project, Job]:
    """A job on the files that are here, and on no others. Raises OpenForgeError."""
    for _ in range(_TRIES):
        there, digest = mirror.send(client, project, loaded)
        job = _submit(client, there, stages, overrides)
        if job.files_sha256 == digest and job.config_overrides == overrides:
            return there, job
        client.cancel(job.job_id)
        client.notice("the project was changed by somebody else meanwhile; trying again")
    raise OpenForgeError(
        f"project {there.name} at {client.url} is changed by somebody else all the time: a verdict "
        "would not be about the files that are here; use another project name, or try later"
    )


def _submit(
    client: Client,
    project: Project,
    stages: Sequence[str] | None,
    overrides: Mapping[str, JsonValue],
) -> Job:
    key = str(uuid.uuid4())
    try:
        return client.submit(project.id, stages, overrides, key)
    except KeyboardInterrupt:  # it may have arrived: the same key gives the same job
        client.cancel(client.submit(project.id, stages, overrides, key).job_id)
        raise


def _agree(last: Job, results: Results, submitted: Job, asked: Sequence[str]) -> bool:
    """Whether all that the service says goes with the status, in case that it is a pass.

    A pass is one of every stage that was asked for, none of which says anything else.
    """
    if last.status != "passed":
        return True
    said = [part.get("status") for shape in results.stages.values() for part in _parts(shape)]
    return (
        {last.job_id, results.job_id} == {submitted.job_id}
        and last.project_id == submitted.project_id
        and all(stage.status in ("passed", "skipped") for stage in last.progress.values())
        and all(_parts(shape) for shape in results.stages.values())
        and results.overall_status == "passed"
        and "passed" in said
        and all(word in ("passed", "skipped") for word in said)
        and {*asked, *submitted.stages, *last.stages} <= set(results.stages)
    )


def _parts(shape: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    """The checks of a stage: itself, or (crypto) what is below it."""
    if "status" in shape:
        return [shape]
    return [part if isinstance(part, dict) else {} for part in shape.values()]


def _job(client: Client, name: str) -> Job:
    """The job whose id is, or alone begins with, `name`; "last" is the newest. Raises NotFound."""
    if name == "last" and (newest := client.jobs(1)):
        return newest[0]
    found: list[Job] = []
    if _NAME.fullmatch(name):
        try:
            return client.job(name)
        except Answered as error:
            if error.status != 404:
                raise
        found = [job for job in client.jobs(_MAX_JOBS) if job.job_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} jobs" if found else "no job"
    raise NotFound(f"{what} at {client.url} called '{name}'; `openforge list` shows all jobs")


def _show(client: Client, job: Job, status: str) -> None:
    """The table of verdicts, with the time and the essence of each check."""
    told = client.report_data(job.job_id)
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "verdict", "time", "says"):
        table.add_column(heading, overflow="fold")
    for name, check in told.checks.items():
        seconds = "" if check.duration_s is None else f"{check.duration_s:.1f} s"
        table.add_row(name, cli_show.coloured(check.status), seconds, escape(_says(check)))
    console.print(table)
    for name, check in told.checks.items():
        _findings(console, name, check.result.findings if check.result else ())
    if job.error:
        console.print(f"[red]{escape(job.error)}[/]")
    console.print(
        f"\n[bold]{cli_show.coloured(status)}[/]  {escape(told.project)}  {job.job_id}\n"
        f"report    openforge report {job.job_id} --server {escape(client.url)}",
        soft_wrap=True,
    )


def _says(check: CheckReport) -> str:
    """The essence of a check's result in one line."""
    if check.result is None or check.error:
        return check.error
    if check.result.reason:
        return check.result.reason
    return ", ".join(_fact(name, value) for name, value in check.result.summary.items())


def _fact(name: str, value: object) -> str:
    if isinstance(value, dict):
        return plain(name + " " + " ".join(f"{k} {v}%" for k, v in value.items()))
    return plain(f"{value} {name.replace('_', ' ')}")


def _findings(console: Console, check: str, found: Sequence[Finding]) -> None:
    serious = [f for f in found if f.level != Level.NOTE and f.waived_by is None]
    for finding in serious[:_MAX_FINDINGS]:
        colour = "red" if finding.level == Level.ERROR else "yellow"
        place = escape(str(finding.location or check))
        first = escape(finding.message.splitlines()[0] if finding.message else "")
        console.print(f"[{colour}]{place}[/]: {escape(finding.rule)}: {first}", soft_wrap=True)
    if len(serious) > _MAX_FINDINGS:
        console.print(f"... and {len(serious) - _MAX_FINDINGS} more in the report")
