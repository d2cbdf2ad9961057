"""A jupyter_client provisioner whose kernels are forked from the zygote."""

from __future__ import annotations

import asyncio
import os
import select
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from openforge.kernel.fork_server import ForkedProcess, ForkServer, ForkUnavailable

_READY_TIMEOUT_S = 60.0


class ForkProvisioner(LocalProvisioner):
    """Starts, watches and ends one forked kernel."""

    process: ForkedProcess | None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork the kernel that `cmd` would start. Raises ForkUnavailable."""
        server = await asyncio.to_thread(ForkServer.shared)
        argv = ["ipykernel_launcher", *cmd[cmd.index("-f") :]]
        env = {name: str(value) for name, value in (kwargs.get("env") or os.environ).items()}
        cwd = str(kwargs.get("cwd") or Path.cwd())
        pid, ready = await asyncio.to_thread(server.fork, argv, env, cwd, 2)
        self.process = ForkedProcess(server, pid)
        try:
            bound = await asyncio.to_thread(_is_ready, ready)
        finally:
            os.close(ready)
        if not bound:
            self.process.kill()
            raise ForkUnavailable("the forked kernel did not start")
        self.pid = self.pgid = pid
        self.cwd = cwd
        return self.connection_info

    async def wait(self) -> int | None:
        """Wait for the kernel's end without the usual 0.1 s polling."""
        if self.process is None:
            return 0
        code = await asyncio.to_thread(self.process.wait)
        self.process = None
        return code

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel and all that it started."""
        if self.process is not None:
            self.process.server.kill_tree(self.process.pid)


def _is_ready(handle: int) -> bool:
    readable, _, _ = select.select([handle], [], [], _READY_TIMEOUT_S)
    return bool(readable) and os.read(handle, 1) == b"1"
