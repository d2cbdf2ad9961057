"""Serve a workspace: ``python -m api``, which is what `openforge serve` becomes."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import resource
import sys
from pathlib import Path

import uvicorn

from api.app import create_app
from api.connections import HttpConnection, SocketConnection, with_limits
from api.log_lines import configure_logging
from openforge.errors import OpenForgeError, SandboxUnavailable
from openforge.service import settings as service_settings
from openforge.service.service import Service
from openforge.settings import SandboxMode, Settings
from openforge.tools import sandbox

_EXIT_ERROR = 3
_MAX_HEADER_BYTES = 64 << 10
_MAX_MESSAGE_BYTES = 64 << 10  # readers of streams have nothing to say
_CLOSE_S = 5  # how long open requests are waited for at the end
_BACKLOG = 128  # asyncio (3.11) says so once for each when descriptors run out
_MAX_FILES = 1 << 16
_AUTOGROUP_NICENESS = "-10"


def main() -> None:
    """Run the server until it is told to stop. Exit code 3 for what was foreseen."""
    parser = argparse.ArgumentParser(prog="openforge serve")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--workspace", type=Path, default=None)
    given = parser.parse_args()
    try:
        service_settings.load_env_file(Path(".env"))
        serve(given.host, given.port, given.workspace)
    except (OpenForgeError, OSError) as error:
        print(f"openforge: {error}", file=sys.stderr)
        raise SystemExit(_EXIT_ERROR) from None


def serve(host: str, port: int, workspace: Path | None) -> None:
    """Serve `workspace` on `host` and `port`. Raises OpenForgeError when that is not allowed."""
    settings = service_settings.load()
    if not settings.auth_enabled and not _is_loopback(host):
        raise OpenForgeError(
            f"without tokens the service answers this machine only, not {host}; set "
            "OPENFORGE_AUTH_ENABLED=true (and make a token with `openforge token create`)"
        )
    _require_sandbox(settings.auth_enabled)
    place = (workspace or Settings().workspace).expanduser().absolute()
    _come_first()
    _allow_connections()
    limits = {"head_s": settings.idle_upload_s, "slow_s": settings.slow_reader_s}
    config = uvicorn.Config(
        create_app(Service(place, settings)),
        host=host,
        port=port,
        http=with_limits(HttpConnection, **limits),  # h11 bounds headers, httptools does not
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        ws=with_limits(SocketConnection, **limits),
        ws_max_size=_MAX_MESSAGE_BYTES,
        log_config=configure_logging(settings.log_level),
        access_log=False,
        server_header=False,
        # Else a client on this machine could say that it is another one.
        proxy_headers="FORWARDED_ALLOW_IPS" in os.environ,
        timeout_graceful_shutdown=_CLOSE_S,
        backlog=_BACKLOG,
        lifespan="on",
    )
    uvicorn.Server(config).run()


def _come_first() -> None:
    """Have answers come before verification, also where Linux shares time among sessions.

    There (sched_autogroup) the niceness of workers counts for nothing against other sessions, and
    each kernel and tool is one. It takes a privilege; without it answers are slower while jobs run.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(_AUTOGROUP_NICENESS, encoding="ascii")


def _allow_connections() -> None:
    """Take as many file descriptors as there may be: each connection needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _require_sandbox(others: bool) -> None:
    """Raises SandboxUnavailable when designs of `others` would run without one, unsaid."""
    said = sandbox.warning()
    if said and others and Settings().sandbox is not SandboxMode.OFF:
        raise SandboxUnavailable(
            f"{said}. A service for others needs a sandbox; OPENFORGE_SANDBOX=off says that you "
            "trust all of them"
        )
    if said:
        print(f"warning: {said}", file=sys.stderr)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
