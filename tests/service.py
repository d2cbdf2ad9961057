"""A service for tests: a real process on a free loopback port, and nothing left of it at the end.

`start(workspace)` returns when the service answers; call `stop()`, or use it in a ``with``.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

_START_S, _STOP_S, _POLL_S = 60.0, 20.0, 0.05
_LOG_SHOWN = 6000
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Server:
    """A running service. `token` opens everything; it is empty where no token is asked for."""

    url: str
    process: subprocess.Popen
    port: int
    token: str
    workspace: Path
    log: Path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """End the service in an orderly way, then whatever is left of it; can be called twice."""
        children = _children(self.process)
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_S)
        _kill(self.process, children)

    def kill(self):
        """End the service as `kill -9` does."""
        _kill(self.process, _children(self.process))

    def output(self):
        """The end of what the service has written to stdout and stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-_LOG_SHOWN:]


def start(workspace: Path, **env: str) -> Server:
    """A service of `workspace` that answers; `env` are environment variables for it.

    With OPENFORGE_AUTH_ENABLED="true" a token with all scopes is made. No other OPENFORGE_
    variable is inherited but the cache's. Raises AssertionError with the log when it does not
    start.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    log = workspace / "service.log"
    with socket.socket() as reserved:
        # Bound and not listening: nobody is given the port, and the service can still bind it.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        process = _spawn(workspace, port, log, env)
        server = Server(f"http://127.0.0.1:{port}", process, port, "", workspace, log)
        try:
            _wait(server)
            if env.get("OPENFORGE_AUTH_ENABLED", "").lower() in {"true", "1", "yes", "on"}:
                server.token = _token(workspace)
        except BaseException:
            server.kill()
            raise
    return server


def _spawn(workspace, port, log, env):
    """The process, leader of a group of its own; the working folder has no ``.env``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENFORGE_")}
    cache = os.environ.get("OPENFORGE_CACHE", str(workspace / "cache"))
    own = {"OPENFORGE_CACHE": cache, "OPENFORGE_DRAIN_S": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "api", "--port", str(port), "--workspace", str(workspace)]
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=workspace,
            env={**kept, **own, **env},
            start_new_session=True,
        )


def _wait(server):
    end = time.monotonic() + _START_S
    while (health := _health(server.url)) is None:
        code = server.process.poll()
        assert code is None, f"the service ended with code {code}:\n{server.output()}"
        late = time.monotonic() > end
        assert not late, f"the service does not answer after {_START_S} s:\n{server.output()}"
        time.sleep(_POLL_S)
    assert health["status"] != "unavailable", f"{health}\n{server.output()}"


def _health(url):
    """What the service says of itself; None while it does not answer."""
    try:
        with _DIRECT.open(f"{url}/api/v1/health", timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:  # 503: it answers, and says why jobs cannot run
            return json.load(error)
    except (OSError, ValueError):
        return None


def _token(workspace):
    from openforge import cli_service

    return cli_service.create_token(
        workspace, name="tests", user="admin", scopes=["admin"], project=None, days=1
    )


def _children(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process, children):
    """Kill the group of `process` and those of `children` that have left it."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):  # it knows a pid that was used again
            child.kill()
    psutil.wait_procs(children, timeout=_STOP_S)
    process.wait()
