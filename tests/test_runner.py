"""The runner: notebooks to their end, live, and nothing left behind whatever happens."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from openforge import runner
from openforge.errors import OpenForgeError
from openforge.kernel.event_pipe import parse
from openforge.kernel.fork_server import ForkServer
from openforge.kernel.lines import Lines
from openforge.runner import Ending, Execution

_NUMBERS = itertools.count()


def write_notebook(folder, *cells):
    book = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
    book.cells = [first, *(nbformat.v4.new_code_cell(source) for source in cells)]
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    path = folder / f"nb{next(_NUMBERS)}.ipynb"  # several threads write at once
    nbformat.write(book, path)
    return path


EXAMPLES = Path(__file__).parents[1] / "examples"


class Done:
    """What a run left: outcome, events, and the executed notebook's text."""

    def __init__(self, outcome, events, output):
        self.outcome, self.events, self.output = outcome, events, output

    @property
    def log(self):
        return [e["message"] for e in self.events if e["type"] == "log"]

    @property
    def text(self):
        return self.output.read_text()


@pytest.fixture
def run(tmp_path):
    """Run cells in a kernel; cancels when `cancel_on` is printed."""

    def execute(*cells, cancel_on=None, timeout_s=None, parameters=None, grace_s=1.0):
        source = write_notebook(tmp_path, *cells)
        events, cancel = [], threading.Event()

        def take(event):
            events.append(event)
            if cancel_on and cancel_on in str(event.get("message")):
                cancel.set()

        execution = Execution(
            source, source.with_suffix(".out.ipynb"), parameters or {"x": 3}, tmp_path, timeout_s
        )
        outcome = runner.execute(execution, on_event=take, cancel=cancel, grace_s=grace_s)
        return Done(outcome, events, execution.output)

    return execute


def alive(word):
    lines = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            lines.append(" ".join(process.info["cmdline"] or []))
    return [line for line in lines if word in line]


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        threading.Event().wait(0.02)
    return condition()


def test_a_notebook_runs_with_its_parameters(run):
    """Parameters are injected, output is in the notebook and in the log, in order."""
    done = run("print(x * 14)\nprint('two')")
    assert done.outcome.ending is Ending.COMPLETED
    assert done.outcome.error == ""
    assert done.log == ["42", "two"]
    assert "42" in done.text
    assert '"running"' not in done.text


def test_an_exception_is_told_in_plain_words(run):
    """A cell that raises ends the run, with the message and without escape codes."""
    done = run("raise ValueError('bad design')", "print('never')")
    assert done.outcome.ending is Ending.FAILED
    assert done.outcome.error == "ValueError: bad design"
    assert done.log == []


@pytest.mark.parametrize("death", ["os._exit(3)", "os.kill(os.getpid(), 11)"])
def test_a_dead_kernel_is_noticed_at_once(run, death):
    """A kernel that exits or crashes is an error within a moment, never a success."""
    done = run(f"import os\n{death}")
    assert done.outcome.ending is Ending.DIED
    assert done.outcome.duration_s < 15  # nbclient alone would wait for ever


def test_cancel_interrupts_a_tool(run):
    """Cancelling ends a running tool, and the run says so."""
    done = run(
        "import subprocess\nprint('GO', flush=True)\nsubprocess.run(['sleep', '87651'])",
        cancel_on="GO",
    )
    assert done.outcome.ending is Ending.CANCELLED
    assert wait_until(lambda: not alive("sleep 87651"))


def test_a_kernel_that_is_cancelled_while_it_starts_is_cancelled(tmp_path):
    """At whatever moment: that is an end as asked for, no failure."""
    ForkServer.shared()
    source = write_notebook(tmp_path, "import time\ntime.sleep(60)")
    for number in range(12):
        cancel = threading.Event()
        timer = threading.Timer(number / 100, cancel.set)
        timer.start()
        target = tmp_path / f"out{number}.ipynb"
        execution = Execution(source, target, {"x": 3}, tmp_path)
        outcome = runner.execute(execution, on_event=lambda _: None, cancel=cancel, grace_s=0.2)
        assert outcome.ending is Ending.CANCELLED
        timer.join()


def test_what_ignores_interrupts_is_killed(run):
    """A kernel and a tool in its own session that ignore signals go after the grace period."""
    stubborn = (
        "import subprocess, time\n"
        "subprocess.Popen(['bash', '-c', 'trap \"\" INT TERM; sleep 87652; sleep 87652'],"
        " start_new_session=True)\nprint('GO', flush=True)\n"
        "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass"
    )
    done = run(stubborn, cancel_on="GO", grace_s=0.5)
    assert done.outcome.ending is Ending.CANCELLED
    assert wait_until(lambda: not alive("sleep 87652"))


def test_time_limit(run):
    """At the time limit the run ends, and is no success."""
    done = run("import time\ntime.sleep(60)", timeout_s=0.4)
    assert done.outcome.ending is Ending.TIMEOUT
    assert "0.4 s" in done.outcome.error
    assert done.outcome.duration_s < 5


def test_a_tool_left_behind_is_ended(run):
    """A notebook that ends leaves nothing of what it started."""
    done = run("import subprocess\nsubprocess.Popen(['sleep', '87653'], start_new_session=True)")
    assert done.outcome.ending is Ending.COMPLETED
    assert wait_until(lambda: not alive("sleep 87653"))


def test_long_output_is_in_the_log_and_not_in_the_notebook(run):
    """2 MB of output: all of it is logged, the notebook keeps head and tail."""
    done = run("for n in range(20000):\n    print(f'{n:08d}' + 'x' * 92)")
    assert len(done.log) == 20000
    assert len(done.text) < 200_000
    assert "00000000x" in done.text
    assert "00019999x" in done.text
    assert "left out" in done.text


def test_events_come_over_the_pipe_from_any_thread(run):
    """Log lines and progress of a check arrive before the run ends."""
    done = run(
        "import threading\nfrom openforge import events\n"
        "thread = threading.Thread(target=events.progress, args=(1, 2, 'tests'))\n"
        "thread.start()\nthread.join()\nevents.log('compiling')"
    )
    assert {"type": "progress", "done": 1, "total": 2, "unit": "tests"} in done.events
    assert done.log == ["compiling"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"type": "state", "state": "done"}',
        b'{"type": "progress"}',
        b'{"type": "check_complete", "status": "passed"}',
        b'{"type": "log", "level": 1, "message": 2}',
    ],
)
def test_only_log_and_progress_come_over_the_pipe(line):
    """A check cannot announce its own verdict, nor break the runner with nonsense."""
    assert parse(line) is None


def test_undeclared_parameters_are_refused(run, tmp_path):
    """papermill would write the name into code: nothing of it runs."""
    evil = f"a=__import__('os').system('touch {tmp_path}/evil')#"
    with pytest.raises(OpenForgeError, match="has no parameter"):
        run("1", parameters={evil: 1})
    assert not (tmp_path / "evil").exists()
    with pytest.raises(OpenForgeError, match="it has x"):
        run("1", parameters={"y": 1})


def test_parameter_values_are_data(run):
    """Quotes and code in a value arrive as they are."""
    value = {"a": ["'); import os #", '"""', None, True, 1.5, {"b\n": "é"}]}
    done = run("import json\nprint(json.dumps(x))", parameters={"x": value})
    assert json.loads(done.log[0]) == value


def test_runs_side_by_side(run):
    """Eight runs in eight threads all end well."""
    endings = []
    threads = [
        threading.Thread(target=lambda: endings.append(run("import pandas").outcome.ending))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endings == [Ending.COMPLETED] * 8


def test_a_dead_zygote_is_replaced(run):
    """Killing the zygote in a run is an error of that run; the next one works."""
    run("1")
    victim = ForkServer.shared().process.pid
    done = run(f"import os, time\nos.kill({victim}, 9)\ntime.sleep(60)")
    assert done.outcome.ending is Ending.DIED
    assert run("1").outcome.ending is Ending.COMPLETED
    assert ForkServer.shared().process.pid != victim


def test_plain_kernels_where_fork_is_not_possible(run, monkeypatch):
    """Without the zygote the same notebook runs in a plain kernel."""
    monkeypatch.setenv("OPENFORGE_KERNEL", "plain")
    assert runner.kernel_kind() == "plain"
    done = run("print(x)")
    assert done.outcome.ending is Ending.COMPLETED
    assert "3" in done.log


def test_nothing_survives_kill_9_of_the_runner(tmp_path):
    """A runner that is killed takes kernels and tools with it."""
    source = write_notebook(
        tmp_path,
        "import subprocess, time\nsubprocess.Popen(['sleep', '87654'], start_new_session=True)\n"
        "time.sleep(60)",
    )
    code = (
        "import threading, sys\nfrom pathlib import Path\nfrom openforge import runner\n"
        f"p = Path({str(source)!r})\n"
        "runner.execute(runner.Execution(p, p.with_suffix('.out.ipynb'), {}, p.parent),"
        " on_event=lambda e: None, cancel=threading.Event())"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", code], env=env) as process:
        assert wait_until(lambda: alive("sleep 87654"), 60)
        process.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not alive("sleep 87654"))


def test_an_error_of_our_own_needs_no_class_name(run):
    """What was foreseen is told in plain words; what was not, with its kind."""
    foreseen = run("from openforge.errors import ToolError; raise ToolError('no such thing')")
    assert foreseen.outcome.error == "no such thing"
    assert run("1 / 0").outcome.error == "ZeroDivisionError: division by zero"


def test_a_problem_of_one_check_ends_the_job_and_is_recorded(tmp_path, monkeypatch):
    """An exception outside a notebook stops the other checks; the record says what it was."""
    from openforge import jobs
    from openforge.workspace import Workspace

    stopped = []

    def fail(job, check, log, cancel, stages):
        if check.id == "lint":
            raise OSError(28, "No space left on device")
        stopped.append(cancel.wait(20))

    monkeypatch.setattr(jobs, "_check", fail)
    job = jobs.submit(Workspace(tmp_path), EXAMPLES / "fifo", ["lint", "formal"])
    with pytest.raises(OSError, match="No space left"):
        jobs.run(job, workers=2)
    record = Workspace(tmp_path).job("last")
    assert (record.status, stopped) == ("error", [True])
    assert "No space left" in record.error


def test_lines_come_whole_whatever_the_pieces():
    """A kernel sends output in pieces that end anywhere; streams do not mix."""
    lines = Lines()
    assert list(lines.add("stdout", "one\ntw")) == ["one"]
    assert list(lines.add("stderr", "warned\n")) == ["warned"]
    assert list(lines.add("stdout", "o\r\n\nthr")) == ["two", ""]
    assert list(lines.rest()) == [("stdout", "thr")]
    assert list(lines.rest()) == []
    assert list(lines.add("stdout", "a\u2028b\x0cc\nd\n")) == ["a\u2028b\x0cc", "d"]
    assert list(lines.add("stdout", "x" * 30_000)) == []
    assert [len(line) for line in lines.add("stdout", "x" * 30_000 + "\nend\n")] == [10_000, 3]
