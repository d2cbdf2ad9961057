"""Reports, displays and the results database, from run folders made by hand."""

import json

import pytest

from openforge import display, report, results
from openforge.errors import OpenForgeError
from openforge.model import Finding, Level, Location, Metric, Result, Stage, State, Verdict
from openforge.record import JobFile, read_job
from openforge.report import Format
from openforge.run_folder import RunFolder
from openforge.workspace import Workspace, write_job

EVIL = "<script>alert(1)</script>"
NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "ws")


@pytest.fixture
def job(workspace):
    """A job: lint failed with a hostile name, simulation passed, formal in error."""
    path = workspace.new_job_folder()
    stages = (Stage.LINT, Stage.SIMULATION, Stage.FORMAL)
    checks = {stage.value: stage for stage in stages}
    write_job(
        path,
        JobFile(
            job_id=path.name,
            project="p",
            source="/p",
            stages=stages,
            checks=checks,
            submitted_at=NOW,
            started_at=NOW,
            finished_at=NOW,
            state=State.DONE,
        ),
    )
    place = Location(file=f"rtl/{EVIL}.sv", line=3, column=5)
    finding = Finding(
        rule="WIDTHTRUNC",
        level=Level.ERROR,
        message=f"{EVIL} | a\nb",
        location=place,
        excerpt=f"    {EVIL}",
        tool="verilator",
    )
    fill(
        path,
        Result(
            check="lint",
            stage=Stage.LINT,
            verdict=Verdict.FAILED,
            reason="1 error",
            findings=(finding,),
            summary={"warnings": 0, "errors": 1},
        ),
    )
    fill(
        path,
        Result(
            check="simulation",
            stage=Stage.SIMULATION,
            verdict=Verdict.PASSED,
            metrics=(Metric(name="cycles", value=7),),
            summary={"tests_passed": 1, "tests_failed": 0, "coverage": {"line": 50.0}},
        ),
        tests=[{"module": "t", "name": EVIL, "seed": 1, "status": "passed", "duration_s": 0.5}],
        coverage=[
            {"kind": "line", "name": "", "file": "a.sv", "line": n, "scope": "a", "hits": n % 2}
            for n in range(1, 5)
        ],
    )
    folder = RunFolder.create(path / "formal.tmp")
    folder.seal("formal", State.ERROR, None, f"ToolMissing: {EVIL}", NOW, 0.1)
    return read_job(path)


def fill(path, result, **tables):
    folder = RunFolder.create(path / f"{result.check}.tmp")
    folder.write_json("result.json", result.model_dump_json())
    for name, rows in tables.items():
        folder.table(name, rows)
    folder.seal(result.check, result.state, result.verdict, "", NOW, 1.5)


def test_the_json_shape_is_the_contracts(job):
    """`results_json` has the fields of GET /jobs/{id}/results, and an error is no verdict."""
    assert report.results_json(job) == {
        "job_id": job.id,
        "overall_status": "error",
        "stages": {
            "lint": {"status": "failed", "warnings": 0, "errors": 1, "reason": "1 error"},
            "simulation": {
                "status": "passed",
                "tests_passed": 1,
                "tests_failed": 0,
                "coverage": {"line": 50.0},
            },
            "formal": {"status": "error", "reason": f"ToolMissing: {EVIL}"},
        },
    }
    assert json.loads(report.report(job, Format.JSON))["project"] == "p"


def test_the_html_loads_nothing_and_escapes_everything(job):
    """No script, no reference to the outside, and hostile names are shown as text."""
    page = report.report(job, Format.HTML).decode()
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    for word in ("<script", "http:", "https:", "url(", "<link", "@import"):
        assert word not in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "ToolMissing" in page
    assert "lines not reached" in page
    assert "2, 4" in page


def test_a_stage_can_be_left_out_and_is_named(job):
    """A report that leaves something out says so."""
    page = report.report(job, Format.HTML, include=[Stage.LINT]).decode()
    assert "Left out of this report: simulation, formal" in page


def test_a_changed_folder_is_flagged(job):
    """A verdict that was edited after sealing is not shown as if nothing had happened."""
    file = job.path / "lint" / "result.json"
    file.write_text(file.read_text().replace("1 error", "no error"))
    page = report.report(read_job(job.path), Format.HTML).decode()
    assert "changed after it was sealed" in page
    assert (
        "changed after it was sealed" in report.report(read_job(job.path), Format.MARKDOWN).decode()
    )


def test_markdown_escapes_too(job):
    """Markdown is often rendered as HTML: nothing hostile survives, tables stay tables."""
    text = report.report(job, Format.MARKDOWN).decode()
    assert EVIL not in text
    assert "| Lint | ✗ failed |" in text


@pytest.mark.parametrize(
    "part", ["summary", "findings", "tests", "coverage", "properties", "provenance"]
)
def test_displays_work_for_every_check(job, part):
    """Every display shows every check, finished or not, with hostile texts escaped."""
    for check in job.checks:
        assert EVIL not in getattr(display, part)(check).data


def test_results_are_indexed_once_and_asked_by_sql(job, workspace):
    """However often a job is indexed, its rows are there once; reindex gives the same."""
    for _ in range(2):
        results.index(workspace.path, job)
    query = "select (select count(*) from findings) f, (select count(*) from coverage) c"
    assert results.sql(query, workspace.path).values.tolist() == [[1, 4]]
    results.reindex(workspace.path)
    assert results.sql(query, workspace.path).values.tolist() == [[1, 4]]


def test_a_damaged_database_is_built_again(job, workspace):
    """Garbage in place of the database is set aside, and nothing is lost."""
    (workspace.path / results.DATABASE).write_bytes(b"garbage" * 1000)
    frame = results.sql("select status from checks where \"check\" = 'formal'", workspace.path)
    assert frame.status.tolist() == ["error"]
    assert any(workspace.path.glob(f"{results.DATABASE}.*"))


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('/etc/passwd')",
        "insert into jobs(job) values ('x')",
        "commit; insert into jobs(job) values ('x')",
        "attach '/tmp/x.db'",
        "drop table jobs",
        "copy jobs to '/tmp/x.csv'",
        "set enable_external_access = true",
        "nonsense",
    ],
)
def test_queries_can_only_read_the_tables(job, workspace, query):
    """A query reads no files, writes nothing and changes no setting."""
    with pytest.raises(OpenForgeError):
        results.sql(query, workspace.path)
    assert results.sql("select count(*) n from jobs", workspace.path).n.tolist() == [1]
