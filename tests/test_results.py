"""The results database: complete, exactly once, closed to the host, and never the only copy."""

import multiprocessing
import resource
import shutil
import time
from pathlib import Path

import duckdb
import pytest
import sample_job

from openforge import results
from openforge.errors import OpenForgeError
from openforge.model import State
from openforge.record import read_job
from openforge.run_folder import RunFolder
from openforge.tables import TABLES
from openforge.workspace import owned, write_job

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "tables.md"
_spawn = multiprocessing.get_context("spawn")  # DuckDB and pyarrow have threads: no fork


def test_a_job_is_indexed_with_all_tables(tmp_path):
    """Every table of a job's checks can be asked, with job and check in front."""
    results.index(tmp_path, sample_job.make_full(tmp_path))
    row = results.sql("select * from jobs", tmp_path).to_dict("records")[0]
    assert (row["job_id"], row["status"], row["duration_s"]) == ("job_1", "error", 65.5)
    assert row["stages"] == "lint simulation formal"
    checks = results.sql("select check_id, status, seed, reason, error from checks", tmp_path)
    assert checks.status.tolist() == ["failed", "passed", "error"]
    assert checks.error.tolist() == ["", "", "the solver ended with signal 9"]
    counts = {name: results.sql(f"select count(*) n from {name}", tmp_path).n[0] for name in TABLES}
    wanted = {"findings": 2, "metrics": 2, "tests": 2, "coverage": 4, "properties": 2}
    assert counts == {**dict.fromkeys(TABLES, 0), **wanted}
    seeds = results.sql("select seed from tests order by seed nulls last", tmp_path)
    assert seeds.seed.isna().tolist() == [False, True]


def test_indexing_twice_changes_nothing(tmp_path):
    """A job is in the database exactly once, however often it is put there."""
    job = sample_job.make_full(tmp_path)
    for _ in range(3):
        results.index(tmp_path, job)
    assert results.sql("select count(*) n from jobs", tmp_path).n[0] == 1
    assert results.sql("select count(*) n from coverage", tmp_path).n[0] == 4


def test_a_query_sees_jobs_that_nobody_indexed(tmp_path):
    """Jobs whose process died before it could index them are found; empty is empty."""
    assert results.sql("select * from jobs", tmp_path).empty
    sample_job.make(tmp_path)
    assert results.sql("select job_id from jobs", tmp_path).job_id.tolist() == ["job_1"]


def test_running_jobs_stay_out_and_killed_ones_are_errors(tmp_path):
    """Only what has ended is in the database; a killed run is an error."""
    job = sample_job.make(tmp_path, state=State.RUNNING)
    with owned(job.path):
        results.index(tmp_path, read_job(job.path))
        assert results.sql("select * from jobs", tmp_path).empty
    for _ in range(2):
        assert results.sql("select status from jobs", tmp_path).status.tolist() == ["error"]
    ended = {"state": State.DONE, "finished_at": sample_job.ENDED}
    write_job(job.path, job.file.model_copy(update=ended))
    assert results.sql("select status from jobs", tmp_path).status.tolist() == ["failed"]


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('/etc/hostname')",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "copy jobs to '/tmp/openforge-test.csv'",
        "attach '/tmp/openforge-test.db' as other",
        "export database '/tmp/openforge-test'",
        "set enable_external_access=true",
        "install httpfs",
        "drop table jobs",
        "insert into jobs select * from jobs",
        "select * from frame",
        "select nothing",
        "",
    ],
)
def test_a_query_reads_the_tables_and_nothing_else(tmp_path, query):
    """No file of the host, no Python variable, no setting, no change: a message instead."""
    sample_job.make(tmp_path)
    frame = results.sql("select * from jobs", tmp_path)
    with pytest.raises(OpenForgeError, match="the query"):
        results.sql(query, tmp_path)
    assert len(frame) == len(results.sql("select * from jobs", tmp_path)) == 1


@pytest.mark.parametrize("content", [b"", b"not a database" * 4096, None])
def test_a_damaged_database_is_kept_and_built_again(tmp_path, content, caplog):
    """Garbage, or a database with its middle overwritten, is set aside with a warning."""
    results.index(tmp_path, sample_job.make_full(tmp_path))
    file = tmp_path / results.DATABASE
    if content is None:
        content = bytearray(file.read_bytes())
        content[8192:-64] = b"\xa5" * len(content[8192:-64])
    file.write_bytes(bytes(content))
    assert results.sql("select count(*) n from checks", tmp_path).n[0] == 3
    if content:
        kept = list(tmp_path.glob("*.damaged"))
        assert [k.read_bytes() for k in kept] == [bytes(content)]
        assert "built again" in caplog.text


def test_a_database_of_another_version_is_built_again(tmp_path):
    """Other columns than this version's: set aside, by a query and by indexing."""
    job = sample_job.make(tmp_path)
    for use in (lambda: results.sql("select 1", tmp_path), lambda: results.index(tmp_path, job)):
        (tmp_path / results.DATABASE).unlink(missing_ok=True)
        with duckdb.connect(str(tmp_path / results.DATABASE)) as old:
            old.execute("create table jobs (job varchar, finished_at varchar)")
        use()
        assert results.sql("select status from jobs", tmp_path).status.tolist() == ["failed"]
    assert len(list(tmp_path.glob("*.damaged"))) == 2


def test_reindex_leaves_out_what_is_damaged_and_says_so(tmp_path):
    """Sound jobs are indexed, damaged folders are named with the reason, the rest is replaced."""
    sample_job.make(tmp_path, "job_1")
    table = sample_job.make(tmp_path, "job_2").path / "lint" / "tables" / "findings.parquet"
    table.write_bytes(b"PAR1 not really PAR1")
    (sample_job.make(tmp_path, "job_3").path / "job.json").write_text("{")
    (sample_job.make(tmp_path, "job_4").path / "lint" / "manifest.json").write_text("{}")
    (tmp_path / "runs" / "stray").mkdir()
    done = results.reindex(tmp_path)
    assert done.jobs == 1
    assert [p.split(":")[0] for p in done.problems] == ["job_2", "job_3", "job_4", "stray"]
    assert "job_2" in str(done) and str(done).startswith("1 jobs indexed")
    assert results.sql("select job_id from jobs", tmp_path).job_id.tolist() == ["job_1"]
    assert not list(tmp_path.glob("*.new*"))


def test_reindex_forgets_jobs_whose_folder_is_gone(tmp_path):
    """The folders are the truth: what is not there is not in a new database."""
    results.index(tmp_path, sample_job.make(tmp_path))
    shutil.rmtree(tmp_path / "runs")
    assert results.reindex(tmp_path) == results.Reindexed(0, ())
    assert results.sql("select * from jobs", tmp_path).empty


def test_tables_of_older_versions_have_nulls(tmp_path):
    """A column that a run's Parquet file does not have yet is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    job = sample_job.make(tmp_path)
    file = job.path / "lint" / "tables" / "metrics.parquet"
    pq.write_table(pa.table({"name": ["x"], "value": pa.array([3], pa.int32())}), file)
    frame = results.sql("select name, value, unit from metrics", tmp_path)
    assert frame.value.tolist() == [3.0] and frame.unit.isna().all()


def test_several_processes_at_once(tmp_path):
    """Processes that index and ask at the same time all succeed, and no job is lost or doubled."""
    jobs = [sample_job.make(tmp_path, f"job_{n}").path for n in range(6)]
    queue = _spawn.Queue()
    workers = [
        _spawn.Process(target=_index_and_ask, args=(tmp_path, jobs[n::3], queue)) for n in range(3)
    ]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert answers == ["fine"] * 3
    assert results.sql("select count(*) n, count(distinct job_id) d from jobs", tmp_path).values[
        0
    ].tolist() == [6, 6]


def test_a_database_that_someone_else_holds_is_not_set_aside(tmp_path):
    """A file that another program has open is sound: a clear message, and nothing is moved."""
    job = sample_job.make(tmp_path)
    results.index(tmp_path, job)
    queue, over = _spawn.Queue(), _spawn.Event()
    holder = _spawn.Process(target=_hold, args=(tmp_path, queue, over))
    holder.start()
    try:
        assert queue.get(timeout=60) == "held"
        with pytest.raises(OpenForgeError, match="lock"):
            results.index(tmp_path, job)
    finally:
        over.set()
        holder.join()
    assert not list(tmp_path.glob("*.damaged"))
    assert len(results.sql("select * from jobs", tmp_path)) == 1


def test_waiting_for_the_lock_ends_with_a_message(tmp_path, monkeypatch):
    """A lock that is never given back is an error after the time limit, no endless wait."""
    monkeypatch.setattr(results, "_LOCK_TIMEOUT_S", 0.2)
    begun = time.monotonic()
    with results._locked(tmp_path, exclusive=True), pytest.raises(OpenForgeError, match="busy"):
        results.sql("select 1", tmp_path)
    assert time.monotonic() - begun < 10


def test_a_full_disk_is_a_clear_error(tmp_path):
    """Where nothing can be written the user is told, and afterwards all is as it should be."""
    job = sample_job.make(tmp_path)
    queue = _spawn.Queue()
    worker = _spawn.Process(target=_index_without_room, args=(tmp_path, job.path, queue))
    worker.start()
    answer = queue.get(timeout=60)
    worker.join()
    assert answer.startswith("OpenForgeError: cannot")
    assert len(results.sql("select * from jobs", tmp_path)) == 1


def test_a_process_killed_while_writing_loses_nothing(tmp_path):
    """After kill -9 in the middle of a transaction the next query works and is complete."""
    sample_job.make(tmp_path, "job_1")
    assert len(results.sql("select * from jobs", tmp_path)) == 1
    sample_job.make(tmp_path, "job_2")
    queue, over = _spawn.Queue(), _spawn.Event()
    writer = _spawn.Process(target=_write_for_ever, args=(tmp_path, queue, over))
    writer.start()
    assert queue.get(timeout=60) == "writing"
    writer.kill()
    writer.join()
    assert results.sql("select job_id from jobs order by 1", tmp_path).job_id.tolist() == [
        "job_1",
        "job_2",
    ]
    assert not list(tmp_path.glob("*.damaged"))


def test_the_reference_page_is_current():
    """docs/reference/tables.md is what the code says (write it with `tables_markdown`)."""
    assert PAGE.read_text(encoding="utf-8") == results.tables_markdown()


def test_check_folders_without_a_result_are_indexed(tmp_path):
    """A check that died before it had a result is a row with its error."""
    job = sample_job.make(tmp_path, checks=("side_channel",))
    RunFolder.create(job.path / "lint.tmp")
    row = results.sql("select * from checks", tmp_path).iloc[0]
    assert (row.status, row.error) == ("error", "the kernel died")
    assert row.isna().verdict


def _index_and_ask(workspace, paths, queue):
    try:
        for path in paths:
            results.index(workspace, read_job(path))
            assert path.name in set(results.sql("select job_id from jobs", workspace).job_id)
        queue.put("fine")
    except BaseException as error:
        queue.put(f"{type(error).__name__}: {error}")
        raise


def _hold(workspace, queue, over):
    with duckdb.connect(str(workspace / results.DATABASE)):
        queue.put("held")
        over.wait(60)


def _index_without_room(workspace, path, queue):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        results.index(workspace, read_job(path))
        queue.put("it fitted")
    except Exception as error:
        queue.put(f"{type(error).__name__}: {error}")


def _write_for_ever(workspace, queue, over):
    with results._locked(workspace, exclusive=True), results._open(workspace) as connection:
        connection.execute("begin")
        connection.execute("delete from jobs")
        connection.execute("insert into metrics select 'x', 'y', 'z', 1, '' from range(300000)")
        queue.put("writing")
        over.wait(60)
