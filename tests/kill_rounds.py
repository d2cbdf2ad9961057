"""Rounds of `kill -9` under load on one workspace: what is promised must hold all the same.

`play` starts the service, lets clients at it and kills it, again and again; `kill_findings` then
compares what clients were told with what is there.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import kill_findings
import psutil
from kill_clients import Api, Ledger, Load, Receiver
from kill_findings import Row

GONE_S = 2.0
"""How long processes of a killed service may take to end."""

_LOOK_S = 30.0  # how long it is looked for how long they do take
_START_S, _STOP_S, _END_S = 60.0, 40.0, 300.0
_DRAINS_S = ("0", "0.5", "10")  # a stop that puts jobs back, or waits for them
_SETTINGS = {
    "OPENFORGE_WEBHOOK_PRIVATE": "true",
    "OPENFORGE_WEBHOOK_RETRIES_S": "0,1,1,2,2,2",
    "OPENFORGE_SUBMISSIONS_PER_HOUR": "100000",
    "OPENFORGE_MIN_FREE_MB": "1",
}
SERVER, WORKER, ZYGOTE, STOP = "kill -9 server", "kill -9 worker", "kill -9 zygote", "SIGTERM"


@dataclass
class Story:
    """What was done, and what was wrong on the way."""

    done: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)  # processes that outlived their service
    gone_s: list[float] = field(default_factory=list)  # how long the last process took
    problems: list[str] = field(default_factory=list)


class Rounds:
    """The service of one workspace in `folder`, started and killed."""

    def __init__(self, folder: Path, seed: int, port: int) -> None:
        self.workspace, self.port = folder / "workspace", port
        self.log, self.temporary = folder / "service.log", folder / "tmp"
        self.temporary.mkdir()
        self.story, self._random = Story(), random.Random(seed)
        self.api = Api(port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a service."""
        return self._process is not None

    def start(self, *, wait: bool = True) -> None:
        """Start the service; returns when it answers. Fails, with its log, when it does not."""
        command = ["-m", "api", "--port", str(self.port), "--workspace", str(self.workspace)]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENFORGE_")}
        cache = {k: v for k, v in os.environ.items() if k == "OPENFORGE_CACHE"}
        drain = {"OPENFORGE_DRAIN_S": self._random.choice(_DRAINS_S)}
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.log.parent,  # where no .env is
                env={**kept, **cache, **_SETTINGS, **drain, "TMPDIR": str(self.temporary)},
                start_new_session=True,
            )
        self.story.done["starts"] += 1
        if wait:
            until(lambda: self.api.ask("GET", "/health") or self._ended(), _START_S)
            assert not self._ended(), f"the service did not start: {self.log_end()}"

    def disturb(self) -> None:
        """One round: have a service, wait a moment, then kill it or one of its processes."""
        impatient = not self.running and self._random.random() < 0.2
        if not self.running:
            self.start(wait=not impatient)
        time.sleep(self._random.uniform(0.2, 2.5 if impatient else 6.0))
        chance = self._random.random()
        if impatient or chance >= 0.3:
            self.kill()
        elif chance < 0.1:
            self.stop()
        else:
            self._kill_one(WORKER if chance < 0.2 else ZYGOTE)

    def kill(self) -> None:
        """`kill -9` of the server alone; what it had started must end with it.

        Half of the times the next server is started at once, as a supervisor would.
        """
        assert self._process
        self._process.kill()
        self._process.wait()
        self._process = None
        self.story.done[SERVER] += 1
        if self._random.random() < 0.5:
            self.look_for_rest(SERVER)

    def stop(self) -> None:
        """Ask the server to end; nothing is left when it has."""
        assert self._process
        self._process.terminate()
        try:
            code = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.story.problems.append(f"SIGTERM: still there after {_STOP_S:g} s")
            self._process.kill()
            code = self._process.wait()
        self._process = None
        self.story.done[f"{STOP} (code {code})"] += 1
        if code not in (0, -signal.SIGTERM):  # uvicorn raises the signal again when it is done
            self.story.problems.append(f"SIGTERM: the server ended with code {code}")
        self.look_for_rest(STOP)

    def look_for_rest(self, after: str) -> None:
        """Wait until no process of the service is left, and note those that took too long."""
        began, late = time.monotonic(), False
        while left := leftovers(str(self.workspace), f"--port {self.port}"):
            spent = time.monotonic() - began
            if spent > GONE_S and not late:
                late = True
                self.story.late += [f"{GONE_S:g} s after {after}: {who}" for who in left]
            if spent > _LOOK_S:
                break
            time.sleep(0.05)
        self.story.gone_s.append(time.monotonic() - began)

    def log_end(self) -> str:
        """The last lines of the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _kill_one(self, what: str) -> None:
        """`kill -9` of a worker or a zygote, and what was below it must end. The service goes on."""
        assert self._process
        word = "openforge.service.worker" if what == WORKER else "zygote.py"
        try:
            there = psutil.Process(self._process.pid).children(recursive=True)
            victims = [p for p in there if any(word in part for part in p.cmdline())]
            victim = self._random.choice(victims)
            below = victim.children(recursive=True)
            victim.kill()
        except (psutil.Error, IndexError):  # it has none yet
            self.kill()
            return
        self.story.done[what] += 1
        _, alive = psutil.wait_procs(below, timeout=GONE_S)
        self.story.late += [f"{GONE_S:g} s after {what}: {process}" for process in alive]


def play(
    folder: Path, rounds: int, seed: int, tell: Callable[[str], None] = lambda text: None
) -> list[Row]:
    """Play `rounds` in the empty `folder`; what was found, each with what was to be found."""
    ledger = Ledger()
    receiver = Receiver(seed, ledger)
    with _reserved_port() as port:
        game = Rounds(folder, seed, port)
        load = Load(seed, game.api, receiver, ledger)
        try:
            game.start()
            load.begin()
            for number in range(rounds):
                game.disturb()
                tell(
                    f"round {number + 1}: {len(ledger.acknowledged())} jobs, {receiver.ended()} ended"
                )
            _finish(game, load)
        finally:
            load.over.set()
            load.done.set()
            if game.running:
                game.stop()
            receiver.close()
    return kill_findings.rows(game, ledger, receiver)


def until(true: Callable[[], object], limit_s: float) -> bool:
    """Whether `true` was so within the limit."""
    end = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def leftovers(*marks: str) -> list[str]:
    """Other processes that have one of `marks` in command line, environment or working folder."""
    found = []
    for process in psutil.process_iter():
        with process.oneshot():
            try:
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                command = " ".join(process.cmdline())
                about = f"{command}\n{process.environ()}\n{process.cwd()}"
            except psutil.Error:  # it has just ended
                continue
        if any(mark in about for mark in marks):
            found.append(f"pid {process.pid} of {process.ppid()}: {command[:160]}")
    return found


def _finish(game: Rounds, load: Load) -> None:
    """Start once more; wait until all is answered, all jobs have ended, all is delivered."""
    if not game.running:
        game.start()
    load.over.set()
    for client in load.clients:
        client.join(_END_S)
        if client.is_alive():
            game.story.problems.append(f"{client.name} has no answer after {_END_S:g} s")
    if not until(lambda: _settled(game.workspace / "control.db"), _END_S):
        game.story.problems.append(f"jobs or messages are still open after {_END_S:g} s")
    load.done.set()
    for poller in load.pollers:
        poller.join(_END_S)
    game.stop()


def _settled(database: Path) -> bool:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        open_jobs = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"
        open_messages = "SELECT count(*) FROM deliveries WHERE state = 'pending'"
        return not any(connection.execute(q).fetchone()[0] for q in (open_jobs, open_messages))


@contextmanager
def _reserved_port() -> Iterator[int]:
    """A port that nobody else is given: it is bound, and the service can still listen on it."""
    with closing(socket.socket()) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
