"""Events of a check on their way out of the kernel."""

import json
import logging
import os
import threading

import pytest

from openforge import events


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """A pipe as the runner makes it; returns a function that reads what came."""
    path = tmp_path / "events"
    os.mkfifo(path)
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    monkeypatch.setenv(events.ENVIRONMENT, str(path))

    def read():
        data = b""
        while True:
            try:
                data += os.read(handle, 1 << 20)
            except BlockingIOError:
                return [json.loads(line) for line in data.splitlines()]

    yield read
    os.close(handle)


def test_log_and_progress_arrive_in_order(pipe):
    """What is said first arrives first."""
    events.log("Compiling")
    events.progress(3, 10, "tests")
    events.log("bad\n", "ERROR")
    assert pipe() == [
        {"type": "log", "level": "INFO", "message": "Compiling"},
        {"type": "progress", "done": 3, "total": 10, "unit": "tests"},
        {"type": "log", "level": "ERROR", "message": "bad"},
    ]


def test_lines_from_many_threads_stay_whole(pipe):
    """No thread's line is torn by another's, however long or odd the text is."""
    texts = ["é" * 3000, "x" * 9000, '"\n"' * 2000, "short"]
    threads = [threading.Thread(target=events.log, args=(text,)) for text in texts * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pipe()) == 12


def test_without_a_runner_events_are_logged(caplog):
    """In JupyterLab or a script, events go to the logger 'openforge'."""
    with caplog.at_level(logging.INFO, "openforge"):
        events.log("hello")
        events.progress(1, 2, "tests")
    assert caplog.messages == ["hello", "1/2 tests"]


def test_a_runner_that_is_gone_does_not_stop_the_check(monkeypatch, tmp_path):
    """A pipe that nobody reads is no reason to fail."""
    monkeypatch.setenv(events.ENVIRONMENT, str(tmp_path / "nothing"))
    events.log("hello")
