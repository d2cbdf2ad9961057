"""Kernels as jupyter_client manages them: forked or plain, over private sockets, ready at once."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from queue import Empty

from jupyter_client import AsyncKernelManager
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import DeadKernelError

START_TIMEOUT_S = 60.0


class KernelClient(AsyncKernelClient):
    """A client that does not wait longer than it has to."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Ready when our own request has been answered; jupyter_client always waits 0.2 s more."""
        end = time.monotonic() + (timeout or START_TIMEOUT_S)
        while time.monotonic() < end:
            request = self.kernel_info()
            try:
                while True:
                    reply = await self.shell_channel.get_msg(timeout=2)
                    if reply["parent_header"].get("msg_id") == request:
                        break
                while True:
                    status = await self.iopub_channel.get_msg(timeout=0.5)
                    mine = status["parent_header"].get("msg_id") == request
                    if mine and status["content"].get("execution_state") == "idle":
                        self._handle_kernel_info_reply(reply)
                        return
            except Empty:
                if not await self.is_alive():
                    raise DeadKernelError("the kernel died while it started") from None
        raise DeadKernelError("the kernel was not ready in time")


class KernelManager(AsyncKernelManager):
    """Kernels of this very Python, over sockets in a private folder: no ports, no kernel specs."""

    client_class = "openforge.kernel.manager.KernelClient"
    client_factory = KernelClient

    def __init__(self, forked: bool) -> None:
        super().__init__(kernel_name="python3", transport="ipc")
        self.folder = tempfile.TemporaryDirectory(prefix="of-")
        self.ip = str(Path(self.folder.name) / "k")
        name = "openforge-fork" if forked else "local-provisioner"
        self._kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
            metadata={"kernel_provisioner": {"provisioner_name": name}},
        )

    async def _async_interrupt_kernel(self) -> None:
        """Nothing: jupyter_client interrupts a kernel that it ends, which then complains."""
