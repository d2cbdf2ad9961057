"""From outcomes of engines to the verdict of each property."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from openforge.engines.formal import counterexample, vacuity
from openforge.engines.formal.netlist import Cell
from openforge.engines.formal.portfolio import Outcome, Word
from openforge.engines.formal.properties import Named
from openforge.engines.formal.vacuity import Reach
from openforge.model import Record
from openforge.run_folder import RunFolder


class Status(StrEnum):
    """The verdict of one property; the words are those of the table `properties`."""

    PROVEN = "proven"
    FAILED = "failed"
    BOUNDED = "bounded"
    VACUOUS = "vacuous"
    COVERED = "covered"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


BAD = (Status.FAILED, Status.VACUOUS, Status.UNREACHABLE)
GOOD = (Status.PROVEN, Status.COVERED)
_NAMING = threading.Lock()  # properties are judged side by side, and may want the same name


class Judged(Record):
    """A property and its verdict."""

    named: Named
    status: Status
    message: str
    engine: str = ""
    depth: int | None = None
    cycle: int | None = None
    waveform: str | None = None
    duration_s: float = 0.0
    broken: bool = False

    def row(self) -> dict[str, str | int | float | None]:
        """Its line in the table `properties`."""
        return {
            "name": self.named.name,
            "kind": self.named.kind,
            "file": self.named.location.file,
            "line": self.named.location.line,
            "status": self.status.value,
            "engine": self.engine,
            "depth": self.depth,
            "cycle": self.cycle,
            "duration_s": self.duration_s,
            "waveform": self.waveform,
            "message": self.message,
        }


def judge(
    named: Named, cell: Cell, proofs: Mapping[str, Outcome], reach: Reach, folder: RunFolder
) -> Judged:
    """The verdict of one assertion or cover point.

    Raises CheckFailedToRun when what an engine found cannot be seen again in the simulator.
    """
    if named.kind == "cover":
        return _judge_cover(named, reach, folder)
    constant = vacuity.constant(cell)
    if constant:
        return Judged(named=named, status=Status.VACUOUS, message=constant, engine="yosys")
    outcome = proofs[goal_name(named)]
    if outcome.word is Word.FAILED:
        return _failed(named, outcome, folder)
    if reach.contradictory:
        return Judged(named=named, status=Status.VACUOUS, message=reach.contradictory)
    enabled = reach.outcomes.get(vacuity.enabled(named.index))
    return _held(named, outcome, enabled, reach.unknown)


def goal_name(named: Named) -> str:
    """Name of the goal that stands for an assertion."""
    return f"of_property{named.index}"


def _failed(named: Named, outcome: Outcome, folder: RunFolder) -> Judged:
    seen = counterexample.replay(goal_name(named), outcome, folder.work)
    return Judged(
        named=named,
        status=Status.FAILED,
        engine=outcome.engine,
        cycle=seen.cycle,
        waveform=_keep(seen.waveform, "counterexamples", named, folder),
        duration_s=outcome.duration_s,
        message=f"fails in cycle {seen.cycle}; found by {outcome.engine}, seen again in "
        f"{counterexample.REPLAYED_BY}",
    )


def _keep(waveform: Path, kind: str, named: Named, folder: RunFolder) -> str:
    """Keep the waveform of a property under a name that is not taken."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", named.name).lstrip(".")[:120] or "property"
    with _NAMING:
        taken = (folder.artifacts / f"{kind}/{plain}.fst").exists()
        name = f"{kind}/{plain}.{named.index}.fst" if taken else f"{kind}/{plain}.fst"
        return folder.keep(waveform, name)


def _held(named: Named, outcome: Outcome, enabled: Outcome | None, unknown: str) -> Judged:
    """An assertion that did not fail: proven, bounded or about nothing."""
    about = {
        "named": named,
        "engine": outcome.engine,
        "depth": outcome.depth,
        "duration_s": outcome.duration_s,
    }
    if enabled is not None and enabled.word is Word.PROVEN:
        return Judged(
            **{**about, "engine": enabled.engine},
            status=Status.VACUOUS,
            message="its condition is never fulfilled, so it is never checked",
        )
    for part in (outcome, enabled):
        if part is not None and part.word is Word.BROKEN:
            return Judged(**about, status=Status.UNKNOWN, message=part.note, broken=True)
    if outcome.word is Word.BOUNDED:
        text = f"holds for {outcome.depth} cycles; not proven beyond"
        return Judged(
            **about,
            status=Status.BOUNDED if outcome.depth else Status.UNKNOWN,
            message=f"{text}: {outcome.note}" if outcome.note else text,
        )
    if enabled is not None and enabled.word is Word.BOUNDED:
        unknown = (
            f"proven, but the antecedent was not reached within {enabled.depth} cycles: the proof "
            "may be about nothing"
        )
    if unknown:
        return Judged(**about, status=Status.BOUNDED, message=unknown)
    how = f"induction over {outcome.depth} cycles" if outcome.depth else "reachability"
    return Judged(**about, status=Status.PROVEN, message=f"proven by {how}")


def _judge_cover(named: Named, reach: Reach, folder: RunFolder) -> Judged:
    if reach.contradictory:
        return Judged(named=named, status=Status.UNREACHABLE, message=reach.contradictory)
    outcome = reach.outcomes[vacuity.covered(named.index)]
    about = {"named": named, "engine": outcome.engine, "duration_s": outcome.duration_s}
    if outcome.word is Word.FAILED:
        seen = counterexample.replay(vacuity.covered(named.index), outcome, folder.work)
        return Judged(
            **about,
            status=Status.COVERED,
            cycle=seen.cycle,
            waveform=_keep(seen.waveform, "covers", named, folder),
            message=f"reached in cycle {seen.cycle}; found by {outcome.engine}, seen again in "
            f"{counterexample.REPLAYED_BY}",
        )
    if outcome.word is Word.PROVEN:
        return Judged(
            **about,
            status=Status.UNREACHABLE,
            depth=outcome.depth,
            message="proven to be unreachable",
        )
    if outcome.word is Word.BROKEN:
        return Judged(**about, status=Status.UNKNOWN, message=outcome.note, broken=True)
    return Judged(
        **about,
        status=Status.BOUNDED,
        depth=outcome.depth,
        message=f"not reached within {outcome.depth} cycles",
    )


def work_of(folder: RunFolder, name: str) -> Path:
    """A new folder for one prover's tasks."""
    path = folder.work / name
    path.mkdir()
    return path
