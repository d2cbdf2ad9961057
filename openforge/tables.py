"""The tables of a run folder, declared once: writers, the results database and the docs read this.

Each is a Parquet file ``tables/<name>.parquet``. The results database adds the columns ``job_id``
and ``check_id`` to each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def _column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"description": description})


_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()

_PLACE = (
    _column("file", _TEXT, "source file, relative to the project"),
    _column("line", _INT, "line, from 1"),
)

# of the check `side_channel`
_SERIES = _column("series", _TEXT, "campaign, e.g. public inputs fixed, or measured")
_ORDER = _column("order", _INT, "statistical order, from 1")
_CYCLE = _column("cycle", _INT, "cycle, or sample of a measured trace, from 0")
_LOG10_P = _column("log10_p", _FLOAT, "-log10 of the two-sided p value")
_TARGET = _column("target", _TEXT, "intermediate value that is guessed")
_POSITION = _column("position", _INT, "byte of the key, from 0")

TABLES: Mapping[str, pa.Schema] = {
    "findings": pa.schema(
        [
            _column("rule", _TEXT, "rule of the tool, e.g. WIDTHTRUNC"),
            _column("level", _TEXT, "error, warning or note"),
            _column("message", _TEXT, "what was found"),
            *_PLACE,
            _column("col", _INT, "column, from 1"),
            _column("tool", _TEXT, "tool or tools that found it"),
            _column("waived_by", _TEXT, "reason of the waiver, null when it counts"),
        ]
    ),
    "metrics": pa.schema(
        [
            _column("name", _TEXT, "name of the quantity"),
            _column("value", _FLOAT, "its value"),
            _column("unit", _TEXT, "its unit, empty for a plain number"),
        ]
    ),
    "tests": pa.schema(
        [
            _column("module", _TEXT, "cocotb test module or SystemVerilog bench"),
            _column("name", _TEXT, "name of the test"),
            _column("seed", _INT, "random seed of this run of the test"),
            _column("status", _TEXT, "passed, failed, skipped, timeout or crashed"),
            _column("duration_s", _FLOAT, "wall time, seconds"),
            _column("sim_time_ns", _FLOAT, "simulated time, nanoseconds"),
            _column("message", _TEXT, "failure message, empty when passed"),
            _column(
                "traceback", _TEXT, "Python traceback or the end of the log, empty when passed"
            ),
            _column("waveform", _TEXT, "artifact name of its waveform, null when none was kept"),
        ]
    ),
    "coverage": pa.schema(
        [
            _column("kind", _TEXT, "line, branch, toggle, user, fsm_state or fsm_arc"),
            _column("name", _TEXT, "the point: signal bit, branch, label, state or arc"),
            *_PLACE,
            _column("scope", _TEXT, "hierarchical instance or module"),
            _column("hits", _INT, "how often it was hit, over all tests"),
        ]
    ),
    "properties": pa.schema(
        [
            _column("name", _TEXT, "hierarchical name or label of the property"),
            _column("kind", _TEXT, "assert, cover or assume"),
            *_PLACE,
            _column(
                "status", _TEXT, "proven, failed, bounded, vacuous, covered, unreachable, unknown"
            ),
            _column("engine", _TEXT, "engine that gave the status"),
            _column(
                "depth", _INT, "cycles checked when bounded or covered, induction depth when proven"
            ),
            _column("cycle", _INT, "cycle of the violation, from 0, null when there is none"),
            _column("duration_s", _FLOAT, "wall time of that engine, seconds"),
            _column(
                "waveform",
                _TEXT,
                "artifact name of the trace that shows it, null when there is none",
            ),
            _column("message", _TEXT, "explanation for the user"),
        ]
    ),
    "interface": pa.schema(
        [
            _column("field", _TEXT, "field of the security annotation"),
            _column("value", _TEXT, "its value"),
            _column("given", _BOOL, "whether the project file gives it"),
            _column("why", _TEXT, "why it was inferred to be so"),
        ]
    ),
    "steps": pa.schema(
        [
            _column("position", _INT, "order in which the steps ended, from 0"),
            _column("step", _TEXT, "step of the cascade"),
            _column("answer", _TEXT, "what it answered"),
            _column("duration_s", _FLOAT, "wall time, seconds"),
            _column("message", _TEXT, "what its answer rests on"),
        ]
    ),
    "flow": pa.schema(
        [
            _column("position", _INT, "place on the way from the secret, from 0"),
            _column("signal", _TEXT, "signal, hierarchical below the top"),
            _column("role", _TEXT, "secret, register, memory, decision, wire or observed"),
            _column("cycle", _INT, "cycle of the difference, null for a way by structure alone"),
            *_PLACE,
        ]
    ),
    "waves": pa.schema(
        [
            _column("signal", _TEXT, "signal, hierarchical below the top"),
            _column("copy", _TEXT, "a or b: the two runs of a pair"),
            _column("cycle", _INT, "cycle, from 0"),
            _column("value", _TEXT, "value before the active clock edge, hexadecimal"),
        ]
    ),
    "latencies": pa.schema(
        [
            _column("cycles", _INT, "cycles from start to done"),
            _column("operations", _INT, "random operations that took so long"),
            _column("after_reset", _BOOL, "the first operations after a reset, or later ones"),
        ]
    ),
    "t_values": pa.schema(
        [
            _SERIES,
            _ORDER,
            _CYCLE,
            _column("t", _FLOAT, "Welch's t of the fixed class against the random one"),
            _LOG10_P,
        ]
    ),
    "power": pa.schema(
        [
            _SERIES,
            _CYCLE,
            _column("mean_fixed", _FLOAT, "mean power of the fixed class, in the model's unit"),
            _column("std_fixed", _FLOAT, "its standard deviation"),
            _column("mean_random", _FLOAT, "mean power of the random class"),
            _column("std_random", _FLOAT, "its standard deviation"),
        ]
    ),
    "t_progress": pa.schema(
        [
            _SERIES,
            _ORDER,
            _column("traces", _INT, "traces so far, both classes"),
            _column("t", _FLOAT, "the t that was farthest from 0 then, with its sign"),
            _column("cycle", _INT, "its cycle"),
        ]
    ),
    "distribution": pa.schema(
        [
            _SERIES,
            _ORDER,
            _column("cycle", _INT, "cycle of the largest |t|"),
            _column("value", _FLOAT, "power, in the model's unit"),
            _column("fixed", _INT, "traces of the fixed class with that power"),
            _column("random", _INT, "traces of the random class with that power"),
        ]
    ),
    "leaking": pa.schema(
        [
            _column("position", _INT, "rank, from 0, the strongest first"),
            _column("kind", _TEXT, "net or probing set"),
            _column("name", _TEXT, "net, hierarchical below the top, or where the probe is"),
            _SERIES,
            _CYCLE,
            _column("statistic", _FLOAT, "z of a net, excess of a probing set"),
            _LOG10_P,
            _column("members", _TEXT, "what a probe sees: signals, separated by commas, cut"),
            *_PLACE,
        ]
    ),
    "net_heat": pa.schema(
        [
            _column("name", _TEXT, "net, hierarchical below the top"),
            _CYCLE,
            _column("z", _FLOAT, "z of how often it toggles, fixed class against random one"),
            *_PLACE,
        ]
    ),
    "source_heat": pa.schema(
        [
            *_PLACE,
            _column("log10_p", _FLOAT, "largest -log10 p of what comes from this line"),
            _column("nets", _INT, "nets and probing sets from this line that were tested"),
            _column("leaking", _INT, "how many of them leak"),
        ]
    ),
    "cpa_ranks": pa.schema(
        [
            _TARGET,
            _POSITION,
            _column("traces", _INT, "traces so far"),
            _column("rank", _INT, "guesses that look better than the true key, 0: recovered"),
            _column("guess", _INT, "the guess that looks best"),
            _column("correlation", _FLOAT, "correlation of the true key with the power"),
            _column("wrong", _FLOAT, "largest |correlation| of a wrong guess"),
        ]
    ),
    "snr": pa.schema(
        [
            _TARGET,
            _POSITION,
            _CYCLE,
            _column("snr", _FLOAT, "variance of the class means over the mean class variance"),
        ]
    ),
}


def write(path: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `rows` as table `name` to the Parquet file `path`; a missing column is null.

    Raises KeyError for an unknown table or column and pyarrow.ArrowInvalid for a value of another
    type.
    """
    data = [dict(row) for row in rows]
    if unknown := {key for row in data for key in row} - set(TABLES[name].names):
        raise KeyError(f"table {name} has no column {', '.join(sorted(unknown))}")
    pq.write_table(pa.Table.from_pylist(data, schema=TABLES[name]), path)
