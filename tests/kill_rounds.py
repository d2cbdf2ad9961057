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
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import kill_findings
import psutil
from kill_clients import Api, Ledger, Load, Receiver
from kill_findings import Row

GONE_S = 2.0
"""How long processes of a killed service may take to end."""

_LOOK_S = 30.0  # how long it is looked for how long they do take
_START_S, _STOP_S, _WARM_S, _END_S = 60.0, 30.0, 15.0, 300.0
_DRAINS_S = ("0", "0.5", "10")  # a stop that puts jobs back, or waits for them
_SETTINGS = {
    "OPENFORGE_WEBHOOK_PRIVATE": "true",
    "OPENFORGE_WEBHOOK_RETRIES_S": "0,1,1,2,2,2",
    "OPENFORGE_SUBMISSIONS_PER_HOUR": "100000",
    "OPENFORGE_MIN_FREE_MB": "1",
}
SERVER, WORKER, ZYGOTE, STOP = "kill -9 server", "kill -9 worker", "kill -9 zygote", "SIGTERM"
_SHARES = {SERVER: 0.7, WORKER: 0.1, ZYGOTE: 0.1, STOP: 0.1}


@dataclass(frozen=True)
class Plan:
    """What each round ends with, how long one is at most, and what decides all that is random."""

    actions: tuple[str, ...]
    seed: int
    longest_s: float = 6.0

    @classmethod
    def random(cls, rounds: int, seed: int) -> Plan:
        """Mostly `kill -9` of the server; 1 in 5 of what it started, 1 in 10 an orderly end."""
        chosen = random.Random(seed).choices(*zip(*_SHARES.items(), strict=True), k=rounds)
        return cls(tuple(chosen), seed)


@dataclass
class Story:
    """What was done, and what was wrong on the way."""

    done: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)  # processes that outlived their service
    gone_s: list[float] = field(default_factory=list)  # how long the last process took
    problems: list[str] = field(default_factory=list)


class Rounds:
    """The service of one workspace in `folder`, started and killed."""

    def __init__(self, folder: Path, plan: Plan, port: int) -> None:
        self.folder, self.workspace, self.port = folder, folder / "workspace", port
        self.log, self.temporary = folder / "service.log", folder / "tmp"
        self.temporary.mkdir()
        self._plan, self.story, self._random = plan, Story(), random.Random(plan.seed)
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
                cwd=self.folder,  # where no .env is
                env={**kept, **cache, **_SETTINGS, **drain, "TMPDIR": str(self.temporary)},
                start_new_session=True,
            )
        self.story.done["starts"] += 1
        if wait:
            until(lambda: self.api.ask("GET", "/health") or self._ended(), _START_S)
            assert not self._ended(), f"the service did not start: {self.log_end()}"

    def disturb(self, action: str, load: Load) -> None:
        """One round: have a service, wait a moment, then kill it or one of its processes.

        In half of the rounds the moment begins when a job has ended, so that there is more to
        interrupt than the first seconds. It ends while some requests are under way.
        """
        impatient = action == SERVER and not self.running and self._random.random() < 0.2
        if not self.running:
            self.start(wait=not impatient)
        load.invite(self._random.randint(1, 3))
        if not impatient and self._random.random() < 0.5:
            ended = load.receiver.ended()
            until(lambda: load.receiver.ended() > ended, _WARM_S)
        time.sleep(self._random.uniform(0.2, 2.5 if impatient else self._plan.longest_s))
        load.asking.clear()
        load.invite(self._random.randint(1, 4))
        load.asking.wait(1.0)
        time.sleep(self._random.uniform(0.0, 0.08))  # about as long as a submission takes
        if action == STOP:
            self.stop()
        elif action == SERVER:
            self.kill()
        else:
            self._kill_one(action)

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
        while left := leftovers(str(self.folder)):
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
        """`kill -9` of a worker or a zygote: what was below it must end, the service goes on."""
        assert self._process
        victims = _children(self._process.pid, "service.worker")
        if what == ZYGOTE:
            victims = [z for worker in victims for z in _children(worker.pid, "zygote.py")]
        if not victims:  # none has been started yet
            self.kill()
            return
        victim = self._random.choice(victims)
        below = []
        with suppress(psutil.NoSuchProcess):  # it has just ended
            below = victim.children(recursive=True)
            victim.kill()
        self.story.done[what] += 1
        _, alive = psutil.wait_procs(below, timeout=GONE_S)
        told = [who.partition("\n")[0] for process in alive if (who := _about(process))]
        self.story.late += [f"{GONE_S:g} s after {what}: {who}" for who in told]


def play(folder: Path, plan: Plan, tell: Callable[[str], None] = lambda text: None) -> list[Row]:
    """Play in the empty `folder`; what was found, and whether that is as it must be."""
    ledger = Ledger()
    receiver = Receiver(plan.seed, ledger)
    with _reserved_port() as port:
        game = Rounds(folder, plan, port)
        load = Load(plan.seed, game.api, receiver, ledger)
        try:
            game.start()
            load.begin()
            for number, action in enumerate(plan.actions, 1):
                game.disturb(action, load)
                jobs = len(ledger.acknowledged())
                tell(f"round {number}, {action}: {jobs} jobs, {receiver.ended()} ended")
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


def leftovers(mark: str) -> list[str]:
    """Other processes with `mark` in their command line, environment or working folder."""
    found = []
    for process in psutil.process_iter():
        about = "" if process.pid == os.getpid() else _about(process)
        if mark in about:
            found.append(about.partition("\n")[0])
    return found


def _about(process: psutil.Process) -> str:
    """Who it is in the first line, then where it can be seen whose it is; nothing if it is gone."""
    with suppress(psutil.Error), process.oneshot():
        if process.status() != psutil.STATUS_ZOMBIE:
            who = f"pid {process.pid}, {time.time() - process.create_time():.1f} s old, "
            who += f"child of {process.ppid()}: {' '.join(process.cmdline())[:150]}"
            place = f"{process.cmdline()} {process.environ()} {process.cwd()}"
            return f"{who}\n{place}"
    return ""


def _children(pid: int, word: str) -> list[psutil.Process]:
    """The children of a process that have `word` in their command line."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children():
            with suppress(psutil.Error):  # it has just ended
                if word in " ".join(process.cmdline()):
                    found.append(process)
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
