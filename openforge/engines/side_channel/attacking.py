"""Key recovery by correlation, on simulated traces with a fixed key and random known data."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openforge import events
from openforge.analysis import cpa, snr
from openforge.analysis.bitsliced import LANES, Model, Simulation, simulation
from openforge.analysis.cpa import Row, Target
from openforge.analysis.leakage_models import MODELS
from openforge.analysis.source import named
from openforge.analysis.stimulus import bits_of
from openforge.config import resolve_globs
from openforge.engines.side_channel import gathering
from openforge.engines.side_channel.roles import Carrier, Roles
from openforge.engines.side_channel.stimulating import Campaign, Classes, stimulus
from openforge.engines.side_channel.subject import Subject
from openforge.errors import CheckFailedToRun
from openforge.run_folder import RunFolder
from openforge.schema_crypto import CpaSection, SideChannelSection
from openforge.tools import leakage_function

_FIELD = "side_channel.cpa"
_NUMBER = 1 << 17  # of the campaign, so that its random bits are its own
_CHUNK = 64  # batches at a time
_FIRST_MARK = 64
_SUMS_BYTES = 64 << 20  # of the positions that are attacked together
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Attacked:
    """The last ranks of an attack, one a key position.

    `log10_p` is -log10 of the chance of the right guess's correlation, a single test; there were
    `n_tests`, of all guesses, samples and positions.
    """

    target: str
    rows: tuple[Row, ...]
    log10_p: tuple[float, ...]
    n_traces: int
    n_tests: int

    def recovered(self, log10_p: float) -> tuple[int, ...]:
        """The positions whose right guess is the best, with a p below that of the level."""
        pairs = zip(self.rows, self.log10_p, strict=True)
        return tuple(row.position for row, p in pairs if row.rank == 0 and p > log10_p)


def attack(params: SideChannelSection, subject: Subject, folder: RunFolder) -> Attacked:
    """Attack the design, and write the tables ``cpa_ranks`` and ``snr``.

    Raises CheckFailedToRun when it is not clear what is attacked or known.
    """
    assert params.cpa is not None
    asked, roles = params.cpa, subject.roles
    events.log("Attacking by correlation")
    key = _key(asked, roles)
    data, wanted = _data(asked, subject, len(key.nets))
    others = tuple(c for c in roles.secrets if c != key)  # what is not the key varies
    roles = replace(roles, secrets=tuple({*roles.secrets} - {*others}), data=(*roles.data, *others))
    campaign = Campaign("attack", _NUMBER, params.seed, Classes.NONE, public_random=True)
    model = Model[params.power_model.upper()]
    protocol = subject.how.protocol
    run = simulation(subject.gates, stimulus(roles, protocol, campaign), model, campaign.key)
    n_batches = gathering.batches_of(asked.num_traces)
    secret = _secret(subject, run, key)
    chunks = _Chunks(run, data, wanted, n_batches, params.noise_stddev)
    targets = _targets(asked, secret, chunks, subject, folder)
    marks = [_FIRST_MARK << n for n in range(32) if _FIRST_MARK << n < n_batches * LANES]
    rows = [
        row
        for group in _groups(targets, run.n_cycles)
        for row in cpa.evolution(chunks.each(), group, marks)
    ]
    rows.sort(key=lambda row: (row.traces, row.position))
    name = asked.target or str(asked.function)
    folder.table("cpa_ranks", (_row(name, row) for row in rows))
    folder.table("snr", _snr_rows(name, chunks, targets))
    return _concluded(name, rows, targets, run.n_cycles, n_batches * LANES)


def _key(asked: CpaSection, roles: Roles) -> Carrier:
    carriers = {c.text: c for c in roles.secrets}
    carriers |= {s.name: replace(s.of[0], text=s.name) for s in roles.sharings}
    return _chosen("key", asked.key, carriers, "secrets")


def _chosen(field: str, given: str | None, found: dict[str, Carrier], what: str) -> Carrier:
    if given is not None:
        if given in found:
            return found[given]
        near = difflib.get_close_matches(given, found, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise CheckFailedToRun(f"{_FIELD}.{field}: '{named(given)}' is not among the {what}{hint}")
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise CheckFailedToRun(f"{_FIELD}.{field}: say which of the {what} it is: {names}")
    return next(iter(found.values()))


def _data(
    asked: CpaSection, subject: Subject, width: int
) -> tuple[Carrier, Callable[[int, Simulation], NDArray[np.uint64]]]:
    """What the attacker knows, and its bits in a batch."""
    roles = subject.roles
    known = {c.text: c for c in (*roles.data, *roles.secrets)}
    outputs = {port.name: port for port in subject.gates.graph.outputs}
    if asked.data in outputs:
        literals = [subject.gates.literal(bit) for bit in outputs[asked.data].bits]
        carrier = Carrier(asked.data, tuple(literal >> 1 for literal in literals), stored=False)
        end = subject.how.protocol.done_cycle  # where results are valid for a cycle
        cycle = -1 if end is None else end
        return carrier, lambda batch, run: run.values(batch, carrier.nets)[cycle]
    if asked.data is None:
        known = {c.text: c for c in roles.data if len(c.nets) == width}
    if asked.data is not None and asked.data not in known:
        known |= {name: Carrier(name, (), stored=False) for name in outputs}
    carrier = _chosen("data", asked.data, known, "inputs and outputs")
    return carrier, lambda batch, run: run.values(batch, carrier.nets)[0]


def _secret(subject: Subject, run: Simulation, key: Carrier) -> bytes:
    """The fixed key, most significant byte first."""
    sharing = next((s for s in subject.roles.sharings if s.name == key.text), None)
    carriers = sharing.of if sharing else (key,)
    poked = run.poked(0)
    numbers = []
    for carrier in carriers:
        if carrier.stored:
            bits = [bool(poked[net][0]) for net in carrier.nets]
        else:
            bits = bits_of(run.values(0, carrier.nets)[0]).reshape(-1, LANES)[:, 0].tolist()
        numbers.append(sum(1 << n for n, bit in enumerate(bits) if bit))
    value = numbers[0]
    for number in numbers[1:]:
        modulus = sharing.modulus if sharing else None
        value = (value + number) % modulus if modulus else value ^ number
    return value.to_bytes(-(-len(key.nets) // 8), "big")


class _Chunks:
    """Traces of the attack with the known data, again and again the same."""

    def __init__(
        self,
        run: Simulation,
        data: Carrier,
        known: Callable[[int, Simulation], NDArray[np.uint64]],
        n_batches: int,
        noise_stddev: float,
    ) -> None:
        self._run, self._data, self._known = run, data, known
        self._n_batches, self._noise = n_batches, noise_stddev

    def each(self) -> Iterator[tuple[NDArray[Any], Bytes]]:
        """Traces [n, n_cycles] and data uint8[n, k], most significant byte first."""
        for first in range(0, self._n_batches, _CHUNK):
            count = min(_CHUNK, self._n_batches - first)
            rows = [self.rows(batch) for batch in range(first, first + count)]
            yield self._traces(first, count), np.concatenate(rows)

    def _traces(self, first: int, count: int) -> NDArray[Any]:
        traces = self._run.power(first, count)
        if not self._noise:
            return traces
        draw = np.random.Generator(np.random.Philox([self._run.key, first]))
        return traces + draw.normal(0.0, self._noise, traces.shape)

    def rows(self, batch: int) -> Bytes:
        """The known data of a batch: uint8[512, k]."""
        bits = bits_of(self._known(batch, self._run)).reshape(len(self._data.nets), LANES)
        width = -(-len(bits) // 8) * 8
        padded = np.zeros((width, LANES), bool)
        padded[width - len(bits) :] = bits[::-1]
        return np.ascontiguousarray(np.packbits(padded, axis=0).T)

    def all_rows(self) -> Bytes:
        """The known data of all traces."""
        return np.concatenate([self.rows(batch) for batch in range(self._n_batches)])


def _targets(
    asked: CpaSection, secret: bytes, chunks: _Chunks, subject: Subject, folder: RunFolder
) -> tuple[Target, ...]:
    if asked.target is not None:
        model = MODELS.get(asked.target)
        if model is None:
            near = difflib.get_close_matches(asked.target, MODELS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise CheckFailedToRun(
                f"{_FIELD}.target: there is no '{named(asked.target)}'{hint} (there are "
                f"{', '.join(MODELS)}; or give a function)"
            )
        try:
            return cpa.targets(model, secret, chunks.rows(0).shape[1])
        except ValueError as error:
            raise CheckFailedToRun(f"{_FIELD}: {error}") from error
    assert asked.function is not None
    project = subject.design.project_dir
    file, *_ = resolve_globs(project, [asked.function], field=f"{_FIELD}.function")
    distinct, _ = leakage_function.distinct(chunks.all_rows())
    if len(distinct) > leakage_function.MAX_ROWS:
        raise CheckFailedToRun(
            f"{_FIELD}.num_traces: a leakage function is asked for at most "
            f"{leakage_function.MAX_ROWS} values of the known data, and there are {len(distinct)}"
        )
    work = folder.work / "leakage"
    work.mkdir()
    table = leakage_function.predictions(file, distinct, work, project)
    if secret[0] >= table.shape[1]:
        raise CheckFailedToRun(
            f"{_FIELD}.function: the key byte is {secret[0]}, of {table.shape[1]} guesses"
        )
    order = {row.tobytes(): number for number, row in enumerate(distinct)}

    def classes(data: Bytes) -> NDArray[np.int64]:
        return np.array([order[row.tobytes()] for row in data], np.int64)

    return (Target(0, secret[0], table, classes),)


def _row(target: str, row: Row) -> dict[str, object]:
    return {
        "target": target,
        "position": row.position,
        "traces": row.traces,
        "rank": row.rank,
        "guess": row.best_guess,
        "correlation": row.true_r,
        "wrong": row.wrong_r,
    }


def _snr_rows(
    target: str, chunks: _Chunks, targets: Sequence[Target]
) -> Iterator[dict[str, object]]:
    """The signal-to-noise ratio of what the known data select, where traces vary within a class."""
    small = [t for t in targets if len(t.predictions) <= 1 << 8]
    moments: list[snr.Moments] = []
    for traces, data in chunks.each():
        if not moments:
            integers = traces.dtype.kind != "f"
            shape = traces.shape[1]
            moments = [snr.Moments(len(t.predictions), shape, integers=integers) for t in small]
        for target_, found in zip(small, moments, strict=True):
            found.add(traces, target_.classes(data))
    for target_, found in zip(small, moments, strict=True):
        ratio = snr.ratio(found)
        for cycle, value in enumerate(ratio.corrected.tolist()):
            shown = value if np.isfinite(value) else None
            yield {"target": target, "position": target_.position, "cycle": cycle, "snr": shown}


def _concluded(
    name: str, rows: Sequence[Row], targets: Sequence[Target], n_samples: int, n_traces: int
) -> Attacked:
    """What is known after all traces."""
    last = [row for row in rows if row.traces == n_traces]
    n_tests = sum(target.predictions.shape[1] * n_samples for target in targets)
    log10_p = (-cpa.significance(row.true_r, n_traces, 1) for row in last)
    return Attacked(name, tuple(last), tuple(log10_p), n_traces, n_tests)


def _groups(targets: Sequence[Target], n_samples: int) -> Iterator[list[Target]]:
    """Positions whose sums fit into memory together."""
    size = max(1, _SUMS_BYTES // (8 * n_samples * max(len(t.predictions) for t in targets)))
    for start in range(0, len(targets), size):
        yield list(targets[start : start + size])
