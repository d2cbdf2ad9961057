"""`kill -9` at random moments under load: nothing acknowledged is lost, nothing is done twice.

    python benchmarks/kill.py [--rounds 50] [--seed N]

Prints a Markdown table. Exit code 1 when anything is wrong; the folder then stays.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import kill_findings
import kill_rounds


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="of-kill-"))
    print(f"seed {given.seed}, {given.rounds} rounds in {folder}", file=sys.stderr)
    rows = kill_rounds.play(folder, kill_rounds.Plan.random(given.rounds, given.seed), _tell)
    print(kill_findings.markdown(rows))
    wrong = any(row.ok is False for row in rows)
    if not wrong:
        shutil.rmtree(folder)
    return int(wrong)


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
