"""The tables and artifacts of a check: what notebooks, reports and other programs read."""

from __future__ import annotations

import csv
import json
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import openforge
from openforge.analysis.cells import Bit, Cell, Graph
from openforge.analysis.gates import Gates
from openforge.analysis.source import location
from openforge.analysis.welch import Moments, TValues
from openforge.engines.side_channel.assessing import Assessed, Family, Progress
from openforge.engines.side_channel.localising import Suspect, strongest_nets
from openforge.model import Location
from openforge.run_folder import RunFolder

POWER_TRACE, TVLA = "power_trace.csv", "tvla_results.json"
_MOST_LEAKING = 200
_MOST_HEAT = 30
_MOST_MEMBERS = 24
_FARTHEST = 500  # nets that are looked at for one with a name
Row = Mapping[str, object]


class Places:
    """Names and places in the source of the nets of a netlist of gates."""

    def __init__(self, gates: Gates) -> None:
        self._graph: Graph = gates.graph
        self._bits = {net: bit for bit, net in gates.nets.items()}
        inside = {reg.q: reg.seen for reg in gates.registers if reg.hidden}
        self._bits |= {q: self._bits[seen] for q, seen in inside.items() if seen in self._bits}

    def name(self, net: int) -> str:
        """What a reader of the source calls a net."""
        bit = self._bits.get(net)
        if bit is None:
            return f"net {net}"
        if bit in self._graph.names or bit not in self._graph.drivers:
            return self._graph.called(bit)
        kind = self._graph.drivers[bit].cell.type.strip("$_").lower()
        return f"net {bit} ({kind}{self._towards(bit)})"

    @cached_property
    def _readers(self) -> Mapping[Bit, Sequence[Cell]]:
        found: dict[Bit, list[Cell]] = defaultdict(list)
        for cell in self._graph.cells:
            for bits in cell.inputs.values():
                for bit in bits:
                    found[bit].append(cell)
        return found

    def _towards(self, bit: Bit) -> str:
        """The nearest signal with a name that is computed from a net, to tell instances apart."""
        seen, waiting = {bit}, deque([bit])
        for _ in range(_FARTHEST):
            if not waiting:
                return ""
            for cell in self._readers.get(waiting.popleft(), ()):
                for out in (bits[0] for bits in cell.outputs.values()):
                    if out in self._graph.names:
                        return f", towards {self._graph.called(out)}"
                    if out not in seen:
                        seen.add(out)
                        waiting.append(out)
        return ""

    def location(self, net: int) -> Location | None:
        """Where the gate or register that drives a net comes from, else where it is declared."""
        bit = self._bits.get(net)
        driver = self._graph.drivers.get(bit) if bit is not None else None
        if driver is not None:
            found = location(driver.cell.src)
            if found is not None:
                return found
        if bit is not None and bit in self._graph.names:
            return location(self._graph.signals[self._graph.names[bit][0]].src)
        return None

    def row(self, net: int) -> Row:
        """The columns file and line."""
        place = self.location(net)
        return {"file": place.file, "line": place.line} if place else {}


def tables(
    folder: RunFolder,
    assessed: Sequence[Assessed],
    leaking: Sequence[Suspect],
    families: Mapping[str, Family],
    places: Places,
) -> None:
    """Write the tables of what was simulated."""
    every = [(found.campaign.name, found) for found in assessed]
    folder.table("t_values", (row for name, found in every for row in t_rows(name, found.t)))
    folder.table("power", (row for name, f in every for row in power_rows(name, f.moments)))
    folder.table("t_progress", (row for n, f in every for row in progress_rows(n, f.progress)))
    folder.table("distribution", (row for found in assessed for row in _distribution(found)))
    folder.table("leaking", _leaking_rows(leaking, places))
    folder.table("net_heat", (row for found in assessed[:1] for row in _heat(found, places)))
    folder.table("source_heat", _source_heat(assessed, families, places))


def t_rows(series: str, t: TValues) -> Iterator[Row]:
    """The table ``t_values``."""
    for row, order in enumerate(t.orders):
        pairs = zip(t.t[row].tolist(), t.log10_p[row].tolist(), strict=True)
        for cycle, (value, log10_p) in enumerate(pairs):
            yield {
                "series": series,
                "order": order,
                "cycle": cycle,
                "t": value,
                "log10_p": log10_p,
            }


def power_rows(series: str, moments: Moments) -> Iterator[Row]:
    """The table ``power``."""
    mean, stddev = moments.mean, np.sqrt(moments.central[:, 0])
    for cycle in range(mean.shape[1]):
        yield {
            "series": series,
            "cycle": cycle,
            "mean_fixed": float(mean[0, cycle]),
            "std_fixed": float(stddev[0, cycle]),
            "mean_random": float(mean[1, cycle]),
            "std_random": float(stddev[1, cycle]),
        }


def progress_rows(series: str, progress: Sequence[Progress]) -> Iterator[Row]:
    """The table ``t_progress``."""
    for traces, order, t, cycle in progress:
        yield {
            "series": series,
            "order": order,
            "traces": traces,
            "t": t,
            "cycle": cycle,
        }


def _distribution(found: Assessed) -> Iterator[Row]:
    """The histogram of the cycle with the largest |t|, for each order."""
    for row, order in enumerate(found.t.orders):
        cycle = int(np.abs(found.t.t[row]).argmax())
        counts, origin = found.power.counts[:, cycle], int(found.power.origin[cycle])
        for index in np.flatnonzero(counts.sum(axis=0)).tolist():
            yield {
                "series": found.campaign.name,
                "order": order,
                "cycle": cycle,
                "value": (origin + index) * found.power.step,
                "fixed": int(counts[0, index]),
                "random": int(counts[1, index]),
            }


def _leaking_rows(leaking: Sequence[Suspect], places: Places) -> Iterator[Row]:
    for position, suspect in enumerate(leaking[:_MOST_LEAKING]):
        shown = [places.name(net) for net in suspect.members[:_MOST_MEMBERS]]
        more = len(suspect.members) - len(shown)
        yield {
            "position": position,
            "kind": suspect.kind,
            "name": places.name(suspect.net),
            "series": suspect.series,
            "cycle": suspect.cycle,
            "statistic": suspect.statistic,
            "log10_p": suspect.log10_p,
            "members": ", ".join(shown) + (f", and {more} more" if more > 0 else ""),
            **places.row(suspect.net),
        }


def _heat(found: Assessed, places: Places) -> Iterator[Row]:
    """The strongest nets in all cycles."""
    tape = found.settled_tape
    for net in strongest_nets(found, _MOST_HEAT):
        vector = int(tape.vector[net])
        if not 0 <= vector < found.z.shape[1]:
            continue
        for cycle, z in enumerate(found.z[:, vector].tolist()):
            yield {"name": places.name(net), "cycle": cycle, "z": z, **places.row(net)}


def _source_heat(
    assessed: Sequence[Assessed], families: Mapping[str, Family], places: Places
) -> Iterator[Row]:
    """For each line of the source: the smallest p, and how many of its nets and sets leak."""
    lines: dict[tuple[str, int], list[float]] = defaultdict(list)
    leaks: dict[tuple[str, int], int] = defaultdict(int)

    def note(net: int, log10_p: float, family: str) -> None:
        place = places.location(net)
        if place is not None and place.line is not None:
            key = place.file, place.line
            lines[key].append(log10_p)
            leaks[key] += family in families and log10_p > families[family].log10_p

    for found in assessed:
        strongest = found.net_log10_p.max(axis=0) if found.net_log10_p.size else np.zeros(0)
        vectors = found.settled_tape.vector
        for net in np.flatnonzero(vectors >= 0).tolist():
            note(net, float(strongest[vectors[net]]), "net")
        if found.probes is not None:
            for net, log10_p in zip(found.probes.nets, found.set_log10_p, strict=True):
                note(net, float(log10_p.max()), "probing set")
    for (file, line), found_p in sorted(lines.items()):
        yield {
            "file": file,
            "line": line,
            "log10_p": max(found_p),
            "nets": len(found_p),
            "leaking": leaks[file, line],
        }


@dataclass(frozen=True)
class Campaigned:
    """What the artifacts say of a campaign; `key` is that of its random bits."""

    name: str
    n_traces: int
    t: TValues
    moments: Moments
    key: int | None = None


def artifacts(
    folder: RunFolder, campaigns: Sequence[Campaigned], summary: Mapping[str, object]
) -> None:
    """Write ``power_trace.csv`` and ``tvla_results.json``."""
    _csv(folder.work / POWER_TRACE, campaigns)
    folder.keep(folder.work / POWER_TRACE, POWER_TRACE)
    text = {
        "openforge_version": openforge.__version__,
        **summary,
        "campaigns": [
            {
                "name": found.name,
                "traces": found.n_traces,
                "key": None if found.key is None else f"{found.key:016x}",
                "cycles": found.t.t.shape[1],
                "orders": {
                    str(order): {
                        "t_values": found.t.t[row].tolist(),
                        "log10_p": found.t.log10_p[row].tolist(),
                    }
                    for row, order in enumerate(found.t.orders)
                },
            }
            for found in campaigns
        ],
    }
    (folder.work / TVLA).write_text(json.dumps(text, indent=1, allow_nan=False) + "\n", "utf-8")
    folder.keep(folder.work / TVLA, TVLA)


def _csv(path: Path, campaigns: Sequence[Campaigned]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["campaign", "cycle", "mean_fixed", "std_fixed", "mean_random", "std_random"]
            + [f"t_order_{order}" for order in campaigns[0].t.orders]
        )
        for found in campaigns:
            for row in power_rows(found.name, found.moments):
                cycle = row["cycle"]
                assert isinstance(cycle, int)
                rows.writerow([*row.values(), *found.t.t[:, cycle].tolist()])
