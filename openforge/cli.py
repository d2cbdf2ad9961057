"""The command line: `openforge ...`. Parses, calls one function of the library, prints."""

from __future__ import annotations

import gc
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from openforge import cli_config, cli_interface, cli_options, cli_token, cli_traces
from openforge.cli_options import JobArgument, ProjectArgument, ServerOption, WorkspaceOption
from openforge.errors import OpenForgeError

EXIT_CODES = {
    "passed": 0,
    "failed": 1,
    "inconclusive": 2,
    "skipped": 2,
    "error": 3,
    "cancelled": 130,
}
EXIT_ERROR = 3

app = typer.Typer(
    help="Verify cryptographic hardware; every verdict is a notebook you can run again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_config.app, name="config")
app.add_typer(cli_interface.app, name="interface")
app.add_typer(cli_token.app, name="token")
app.add_typer(cli_traces.app, name="traces")


class ReportFormat(StrEnum):
    """What `openforge report` can write."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


def main() -> None:
    """Run the command line; a problem that was foreseen is one message and exit code 3.

    A mistake in the command line is one, too: typer's own 2 and 1 would read as verdicts.
    """
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        from typer.rich_utils import rich_format_error

        rich_format_error(error)  # type: ignore[arg-type]  # typer raises nothing else
        raise SystemExit(EXIT_ERROR) from None
    except typer.Abort:
        raise SystemExit(EXIT_CODES["cancelled"]) from None
    except OpenForgeError as error:
        print(f"openforge: {error}", file=sys.stderr)
        raise SystemExit(EXIT_ERROR) from None
    except OSError as error:  # full disk, no permission: the system's own words are the clearest
        place = f" ({error.filename})" if error.filename else ""
        print(f"openforge: {error.strerror or error}{place}", file=sys.stderr)
        raise SystemExit(EXIT_ERROR) from None
    gc.freeze()  # a process that ends need not look for garbage, which takes 0.25 s
    raise SystemExit(code or 0)


@app.command()
def run(  # noqa: PLR0917  (options of a command)
    project: ProjectArgument = Path(),
    stage: Annotated[list[str] | None, typer.Option(help="Only this stage; repeatable")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field: a.b=c; repeatable")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Checks at a time")] = None,
    workspace: WorkspaceOption = None,
    server: ServerOption = None,
) -> None:
    """Verify a project. Exit code: 0 passed, 1 failed, 2 inconclusive, 3 error, 130 interrupted."""
    if service := cli_options.service(server, workspace):
        from openforge import cli_remote

        if jobs:
            raise OpenForgeError("--jobs is for runs on this machine: a service has its own limit")
        with service:
            status = cli_remote.run(
                service, project, stages=stage, settings=set_ or [], as_json=as_json
            )
        raise typer.Exit(EXIT_CODES.get(status, EXIT_ERROR))
    from openforge.kernel import fork_server

    fork_server.warm()  # it starts while the rest is imported
    from openforge import cli_run

    status = cli_run.run(
        cli_options.workspace(workspace),
        project,
        stages=stage,
        settings=set_ or [],
        workers=jobs,
        as_json=as_json,
    )
    raise typer.Exit(EXIT_CODES[status])


@app.command()
def init(
    project: Annotated[Path, typer.Argument(help="Folder to make")],
    template: Annotated[str, typer.Option(help="Template to start from")] = "minimal",
) -> None:
    """Make a new project from a template."""
    from openforge import scaffold

    for name in scaffold.create(project, template):
        print(f"  {name}")
    print(f"Now run: openforge run {project}")


@app.command("list")
def list_(workspace: WorkspaceOption = None, server: ServerOption = None) -> None:
    """All jobs, the newest first."""
    if service := cli_options.service(server, workspace):
        from openforge import cli_remote

        with service:
            cli_remote.list_(service)
        return
    from openforge import cli_show

    cli_show.jobs(cli_options.workspace(workspace).jobs())


@app.command()
def show(job: JobArgument, workspace: WorkspaceOption = None, server: ServerOption = None) -> None:
    """What a job concluded: verdicts, findings, where its files are."""
    if service := cli_options.service(server, workspace):
        from openforge import cli_remote

        with service:
            cli_remote.show(service, job)
        return
    from openforge import cli_show

    cli_show.job(cli_options.workspace(workspace).job(job))


@app.command()
def logs(
    job: JobArgument,
    check: Annotated[str | None, typer.Option(help="Only this check")] = None,
    tail: Annotated[int | None, typer.Option(min=1, help="Only the last lines")] = None,
    workspace: WorkspaceOption = None,
    server: ServerOption = None,
) -> None:
    """The log of a job, in the order in which things happened."""
    if service := cli_options.service(server, workspace):
        from openforge import cli_remote

        with service:
            cli_remote.logs(service, job, check, tail)
        return
    from openforge import cli_show

    cli_show.logs(cli_options.workspace(workspace).job(job), check, tail)


@app.command()
def report(
    job: JobArgument,
    format_: Annotated[ReportFormat, typer.Option("--format")] = ReportFormat.HTML,
    output: Annotated[Path | None, typer.Option(help="File to write; '-' is stdout")] = None,
    workspace: WorkspaceOption = None,
    server: ServerOption = None,
) -> None:
    """Write a job's report: one self-contained file."""
    if service := cli_options.service(server, workspace):
        from openforge import cli_remote

        with service:
            cli_remote.report(service, job, format_.value, output)
        return
    from openforge import report as reports

    record = cli_options.workspace(workspace).job(job)
    data = reports.report(record, reports.Format(format_.value))
    suffix = {"markdown": "md"}.get(format_.value, format_.value)
    if output == Path("-"):
        sys.stdout.buffer.write(data)
        return
    target = output or record.path / f"report.{suffix}"
    target.write_bytes(data)
    print(target)


@app.command()
def cancel(
    job: JobArgument, workspace: WorkspaceOption = None, server: ServerOption = None
) -> None:
    """Stop a running job."""
    if service := cli_options.service(server, workspace):
        from openforge import cli_remote

        with service:
            cli_remote.cancel(service, job)
        return
    from openforge.workspace import ask_to_cancel

    record = cli_options.workspace(workspace).job(job)
    if record.state.final:
        print(f"{record.id} has ended already: {record.status}")
        return
    ask_to_cancel(record)
    print(f"{record.id} was asked to stop")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="e.g. 'select * from checks'")],
    as_json: Annotated[bool, typer.Option("--json", help="Rows as JSON")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Ask the results database; the tables are in docs/reference/tables.md."""
    from openforge import results

    frame = results.sql(query, cli_options.workspace(workspace).path)
    if as_json:
        print(frame.to_json(orient="records", date_format="iso"))
    else:
        print(frame.to_string(index=False) if len(frame) else "(no rows)")


@app.command()
def reindex(workspace: WorkspaceOption = None) -> None:
    """Build the results database again from the run folders."""
    from openforge import results

    print(results.reindex(cli_options.workspace(workspace).path))


@app.command()
def doctor() -> None:
    """Which tools are here, their versions, what they are for, and how to get the rest."""
    from openforge import cli_doctor

    raise typer.Exit(0 if cli_doctor.show() else EXIT_ERROR)


@app.command(context_settings={"ignore_unknown_options": True})
def lab(
    options: Annotated[
        list[str] | None, typer.Argument(help="Options of JupyterLab, e.g. --no-browser")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Open JupyterLab on the notebooks and the runs of the workspace."""
    from openforge import lab as laboratory

    laboratory.start(cli_options.workspace(workspace), options or [])


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port")] = 8080,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve the REST API, with its documentation at /docs."""
    from openforge import cli_service

    cli_service.serve(host, port, cli_options.workspace(workspace).path)


def _version(wanted: bool) -> None:
    if wanted:
        from openforge import __version__

        print(f"openforge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version")
    ] = False,
) -> None:
    del version
