"""Counterexamples and reached covers: simulated again with Yosys before anyone is told."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from openforge.engines.formal.portfolio import Outcome
from openforge.errors import CheckFailedToRun
from openforge.tools import process, yosys_shim

REPLAYED_BY = "Yosys' simulator"
_HAPPENING = ("$assert", "$cover")  # of these, the simulator tells when they fail or are reached


@dataclass(frozen=True)
class Replay:
    """What an engine found, seen again: the first cycle in which it happens, and its waveform."""

    cycle: int
    waveform: Path


def replay(name: str, outcome: Outcome, work: Path) -> Replay:
    """Simulate the witness of `outcome` and find the goal `name` happening there.

    That is an assertion that fails or a cover point that is reached.

    The simulator shares no code with the solvers: it takes the witness' initial state and inputs
    and computes the rest. Raises CheckFailedToRun when it does not happen, or when an assumption is
    violated: what was found is then a fault of a tool and not of the design.
    """
    if outcome.witness is None or outcome.model is None or not outcome.witness.is_file():
        raise CheckFailedToRun(f"{outcome.engine} says that {name} happens, but left no witness")
    folder = work / f"replay_{name}"
    folder.mkdir()
    commands = (
        f"read_rtlil {outcome.model}\n"
        f"sim -hdlname -summary summary.json -r {outcome.witness} -fst trace.fst"
    )
    (folder / "replay.ys").write_text(commands + "\n", encoding="utf-8")
    process.run(
        [sys.executable, "-s", str(yosys_shim.__file__), "-s", "replay.ys"],
        cwd=folder,
        log=folder / "replay.log",
        limits=process.Limits(timeout_s=120),
        writable=[work],
    ).expect("the replay of a trace")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    seen = [
        (row["type"], row["path"][-1].lstrip("\\"), row["step"]) for row in summary["assertions"]
    ]
    steps = [step for kind, cell, step in seen if kind in _HAPPENING and cell == name]
    broken = [cell for kind, cell, _ in seen if kind == "$assume"]
    if not steps or broken:
        what = f"violates the assumption {broken[0]}" if broken else "does not show it"
        raise CheckFailedToRun(
            f"internal contradiction: the trace that {outcome.engine} found {what} when "
            f"{REPLAYED_BY} runs it"
        )
    return Replay(min(steps), folder / "trace.fst")
