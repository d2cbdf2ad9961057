"""The store of rate limits: counts are exact, outlive the server, and damage is no obstacle."""

import os
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.strategies import FixedWindowRateLimiter

from api.limit_store import SWEEP_S, SqliteStorage


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    store = SqliteStorage(tmp_path / "limits.db", clock=clock)
    yield store
    store.close()


def rows(store):
    return store._run("SELECT key FROM windows ORDER BY key", ())


def test_a_window_counts_until_it_ends_and_then_begins_anew(store, clock):
    """The first count opens a window; the first one after its end opens the next."""
    assert [store.incr("a", 60), store.incr("a", 60, 3), store.incr("b", 60)] == [1, 4, 1]
    clock.now += 59
    assert (store.get("a"), store.get_expiry("a")) == (4, 1_000_060.0)
    clock.now += 1
    assert (store.get("a"), store.get_expiry("a")) == (0, clock.now)
    assert store.incr("a", 60, 2) == 2
    assert store.get_expiry("a") == clock.now + 60


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.integers(1, 3)), max_size=30
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A store that many examples use, and its clock."""
    clock = Clock()
    store = SqliteStorage(tmp_path_factory.mktemp("limits") / "limits.db", clock=clock)
    yield store, clock
    store.close()


@given(steps=STEPS)
@settings(max_examples=50, deadline=None)
def test_counts_agree_with_a_list_of_all_hits(shared, steps):
    """After any hits at any times, the store says what going through their list says."""
    store, clock = shared
    store.reset()
    hits, opened = [], {}
    for key, pause, amount in steps:
        clock.now += pause
        if clock.now >= opened.get(key, 0) + 60:
            opened[key] = clock.now
        hits.append((key, clock.now, amount))
        expected = sum(n for k, at, n in hits if k == key and at >= opened[key])
        assert store.incr(key, 60, amount) == store.get(key) == expected
        assert store.get_expiry(key) == opened[key] + 60


def test_threads_never_share_a_count(store):
    """Counts that are taken at the same time come back all different."""
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: store.incr("a", 60), range(800)))
    assert sorted(counts) == list(range(1, 801))


def test_counts_survive_a_killed_process(tmp_path):
    """What a process counted before kill -9 is there for the next one."""
    path = tmp_path / "limits.db"
    program = (
        "import sys, time; from pathlib import Path; from api.limit_store import SqliteStorage\n"
        "store = SqliteStorage(Path(sys.argv[1]))\n"
        "for _ in range(7): store.incr('a', 3600)\n"
        "print('counted', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "counted\n"
        process.send_signal(signal.SIGKILL)
    store = SqliteStorage(path)
    assert store.incr("a", 3600) == 8
    store.close()


def test_two_processes_may_share_the_file(tmp_path, store, clock):
    """Two connections to one file count together."""
    other = SqliteStorage(tmp_path / "limits.db", clock=clock)
    assert [store.incr("a", 60), other.incr("a", 60), store.incr("a", 60)] == [1, 2, 3]
    other.close()


def damage_header(path):
    path.write_bytes(b"this is no database" * 1000)


def damage_pages(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


@pytest.mark.parametrize("damage", [damage_header, damage_pages])
def test_a_damaged_file_is_replaced(tmp_path, caplog, damage):
    """A file that SQLite cannot read gives way to an empty one, and the log says so."""
    path = tmp_path / "limits.db"
    store = SqliteStorage(path)
    for n in range(2000):
        store.incr(f"key {n}", 60)
    store.close()
    damage(path)
    store = SqliteStorage(path)
    assert (store.check(), store.get("key 1"), store.incr("key 1", 60)) == (True, 0, 1)
    assert "damaged" in caplog.text
    store.close()


def test_damage_while_the_file_is_open_costs_the_counts_only(tmp_path, store):
    """Counting goes on when the file is overwritten under an open connection."""
    for n in range(2000):
        store.incr(str(n), 60)
    for pragma in ("wal_checkpoint(TRUNCATE)", "shrink_memory"):  # so that the file is read again
        store._run(f"PRAGMA {pragma}", ())
    damage_pages(tmp_path / "limits.db")
    assert {store.incr(str(n), 60) for n in range(2000)} == {1}


def test_past_windows_are_swept(store, clock):
    """Rows of windows that ended do not pile up."""
    for n in range(100):
        store.incr(str(n), 10)
    clock.now += SWEEP_S
    store.incr("new", 10)
    assert rows(store) == [("new",)]


def test_a_clock_that_is_set_back_does_not_lengthen_a_window(store, clock):
    """After the clock went back a day, a minute's window is a minute again."""
    store.incr("a", 60, 100)
    clock.now -= 86_400
    assert store.incr("a", 60) == 1
    assert store.get_expiry("a") == clock.now + 60


def test_clear_forgets_one_key_and_reset_all(store):
    """`clear` takes one key away, `reset` the rest, saying how many."""
    for key in "abc":
        store.incr(key, 60)
    store.clear("a")
    assert (store.get("a"), store.get("b")) == (0, 1)
    assert (store.reset(), store.get("b")) == (2, 0)


def test_a_failure_to_count_is_a_storage_error(tmp_path):
    """Callers need to know one exception only; `check` answers instead of raising."""
    store = SqliteStorage(tmp_path / "limits.db")
    store.close()
    assert not store.check()
    with pytest.raises(StorageError):
        store.incr("a", 60)


def test_the_file_is_private(tmp_path, store):
    """Nobody else reads which users and addresses asked."""
    store.incr("a", 60)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("limits.db*")} == {0o600}


def test_the_strategies_of_the_library_work_on_it(store):
    """It is a storage like those that `limits` ships."""
    limiter, limit = FixedWindowRateLimiter(store), RateLimitItemPerMinute(2)
    assert [limiter.hit(limit, "me") for _ in range(3)] == [True, True, False]
    assert limiter.get_window_stats(limit, "me").remaining == 0


def test_counting_is_quick(tmp_path):
    """Half of all counts take less than 100 microseconds (12 on the machine it was written on)."""
    store = SqliteStorage(tmp_path / "limits.db")
    took = []
    for n in range(3000):
        began = time.perf_counter()
        store.incr(str(n % 50), 60)
        took.append(time.perf_counter() - began)
    store.close()
    batches = [statistics.median(took[i : i + 300]) for i in range(0, 3000, 300)]
    assert min(batches) < 100e-6
