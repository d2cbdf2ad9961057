"""Running a program: limits, logs, tree kill, sandbox."""

import io
import sys
import threading
import time

import psutil
import pytest
from conftest import needs

from openforge.errors import ToolError, ToolMissing, ToolTimeout
from openforge.tools import process
from openforge.tools.process import Limits, Outcome


@pytest.fixture
def start(tmp_path):
    """Run argv in an empty folder with short limits."""

    def run(*argv, **more):
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        more.setdefault("limits", Limits(timeout_s=20))
        return process.run(argv, cwd=work, log=tmp_path / "tool.log", writable=[work], **more)

    return run


def left_running(word):
    """Processes with `word` in their command line that are still there a little later.

    A killed process is gone when the kernel has come round to it, not when `kill` returns.
    """
    for _ in range(50):
        if not _running(word):
            return []
        threading.Event().wait(0.1)
    return _running(word)


def _running(word):
    found = []
    for entry in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(entry.info["cmdline"] or [])
        if word in line and entry.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def test_output_goes_to_the_log_the_listener_and_the_tail(start, tmp_path):
    """stdout and stderr are merged, in order, everywhere."""
    heard = []
    ended = start("sh", "-c", "echo one; echo two >&2; printf three", on_line=heard.append)
    assert ended.ok
    assert heard == ["one", "two", "three"] == list(ended.tail)
    assert (tmp_path / "tool.log").read_text() == "one\ntwo\nthree"


def test_exit_code_is_kept_and_expect_raises_with_the_end_of_the_output(start):
    """A failing tool is an error that shows what the tool said and where its log is."""
    ended = start("sh", "-c", "echo because; exit 3")
    assert (ended.outcome, ended.returncode, ended.ok) == (Outcome.EXITED, 3, False)
    with pytest.raises(ToolError, match=r"code 3\nbecause .*tool\.log"):
        ended.expect("the tool")
    assert ended.expect("the tool", codes=(0, 3)) is ended


def test_missing_program_is_not_a_success(start):
    """A program that is not there never looks like one that ran."""
    assert not start("/nonexistent/tool").ok


def test_missing_folder_is_a_missing_tool(tmp_path):
    """What cannot even be started raises."""
    with pytest.raises(ToolMissing):
        process.run(["true"], cwd=tmp_path / "nowhere", log=tmp_path / "log")


def test_time_limit_ends_the_whole_tree(start):
    """At the limit everything dies, also a child in a session of its own that ignores signals."""
    script = "trap '' TERM INT; setsid sleep 98761 & sleep 98761"
    began = time.monotonic()
    ended = start("sh", "-c", script, limits=Limits(timeout_s=0.4))
    assert ended.outcome is Outcome.TIMEOUT
    assert time.monotonic() - began < 3
    assert not left_running("sleep 98761")
    with pytest.raises(ToolTimeout):
        ended.expect("it")


def test_children_left_behind_are_ended(start):
    """A tool that exits while its children run leaves nothing behind."""
    assert start("sh", "-c", "sleep 98762 >/dev/null 2>&1 & exit 0").ok
    assert not left_running("sleep 98762")


def test_memory_limit(start):
    """A program that eats memory is ended, and the outcome says so."""
    eat = "x = bytearray(600 << 20)\nimport time; time.sleep(20)"
    ended = start(sys.executable, "-c", eat, limits=Limits(timeout_s=20, memory_bytes=200 << 20))
    assert ended.outcome is Outcome.MEMORY
    assert ended.peak_memory_bytes > 200 << 20


def test_process_limit(start):
    """A program that starts too many processes is ended."""
    script = "for i in $(seq 40); do sleep 20 & done; wait"
    ended = start("sh", "-c", script, limits=Limits(timeout_s=20, processes=20))
    assert ended.outcome is Outcome.PROCESSES


def test_log_limit(start, tmp_path):
    """A program that prints without end is stopped, and the log stays small."""
    ended = start("yes", limits=Limits(timeout_s=20, log_bytes=1 << 20))
    assert ended.outcome is Outcome.LOG
    assert (tmp_path / "tool.log").stat().st_size < 4 << 20


def test_file_size_limit(start):
    """A file cannot grow beyond the limit."""
    ended = start(
        "sh",
        "-c",
        "head -c 4000000 /dev/zero > big",
        limits=Limits(timeout_s=20, file_bytes=1 << 20),
    )
    assert not ended.ok


def test_a_long_line_and_binary_output_do_not_hurt(start):
    """Output without line ends or of any encoding is cut and decoded, never an exception."""
    heard = []
    start("sh", "-c", "head -c 300000 /dev/zero; printf '\\377\\n'", on_line=heard.append)
    assert len(heard) >= 2
    assert all(len(line) <= 1 << 16 for line in heard)


@pytest.mark.parametrize("before", [65_500, 65_530, 65_536, 130_000, 131_050])
@pytest.mark.parametrize("chunk", [1_000, 65_536, 1 << 18])
def test_what_is_looked_for_is_whole_in_a_piece_of_a_long_line(before, chunk):
    """Wherever a long line is divided, and however it arrives, no word of it is lost."""
    heard = []
    reader = process._Reader(io.BytesIO(), 1 << 30, heard.append)
    data = b"x" * before + b"%Error: a.sv:3: Assertion failed" + b"y" * 100_000 + b"\nend\n"
    for start in range(0, len(data), chunk):
        reader.take(data[start : start + chunk])
    reader.close()
    assert any("%Error: a.sv:3: Assertion failed" in line for line in heard)
    assert heard[-1] == "end"


def test_runs_from_several_threads(tmp_path):
    """Programs run side by side do not disturb each other."""
    codes = []

    def one(number):
        script, log = f"exit {number}", tmp_path / f"{number}"
        ended = process.run(["sh", "-c", script], cwd=tmp_path, log=log, readable=[tmp_path])
        codes.append(ended.returncode)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == list(range(8))


def test_sandbox_hides_the_host(start, tmp_path):
    """Inside: no host files, no network, no writing outside the folder, no host processes."""
    needs("bubblewrap")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    script = (
        f"cat {secret} /etc/passwd /etc/shadow; touch /usr/x {tmp_path}/x; ls /home; "
        "echo pids $(ls -d /proc/[0-9]* | wc -l); touch here"
    )
    ended = start("sh", "-c", script)
    text = "\n".join(ended.tail)
    assert "root:" not in text
    assert "secret\n" not in text.replace(str(secret), "")
    assert not (tmp_path / "x").exists()
    assert (tmp_path / "work" / "here").exists()
    assert int(text.split("pids ")[1].split()[0]) < 8


def test_sandbox_has_no_network(start):
    """A program cannot reach even this machine's loopback."""
    needs("bubblewrap")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        assert not start(sys.executable, "-c", code).ok


def test_environment_is_not_inherited(start, monkeypatch):
    """Secrets in the caller's environment do not reach a tool; what is given does."""
    monkeypatch.setenv("A_SECRET", "do-not-tell")
    ended = start("env", env={"GIVEN": "yes"})
    assert "GIVEN=yes" in ended.tail
    assert not any("do-not-tell" in line for line in ended.tail)


def test_interrupt_ends_the_tool(start, monkeypatch):
    """An exception in the caller, as Ctrl-C is one, leaves nothing running."""

    def refuse(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start("sh", "-c", "echo x; sleep 98763", on_line=refuse)
    assert not left_running("sleep 98763")
