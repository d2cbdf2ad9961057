"""A service that is killed at random moments keeps what it promised; see benchmarks/kill.py."""

import kill_findings
import kill_rounds
from conftest import needs
from kill_rounds import SERVER, WORKER


def test_nothing_is_lost_or_done_twice(tmp_path):
    """Jobs, messages, files and processes are as clients were told, after three rounds of kills."""
    needs("verilator")
    plan = kill_rounds.Plan((SERVER, WORKER, SERVER), seed=1, longest_s=2.0)
    rows = kill_rounds.play(tmp_path, plan)
    assert all(row.ok is not False for row in rows), kill_findings.markdown(rows)
