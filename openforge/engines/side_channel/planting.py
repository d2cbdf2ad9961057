"""The self-check: a leak planted into the same netlist, which the same tests must find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openforge.analysis.bitsliced import Model, Simulation, simulation
from openforge.analysis.gates import Gate, Gates, Kind
from openforge.analysis.net_tests import net_tests
from openforge.analysis.stimulus import Draw, Source, Stimulus, Variable, classes_of
from openforge.engines.side_channel import gathering
from openforge.engines.side_channel.stimulating import Campaign, Classes, stimulus
from openforge.engines.side_channel.subject import Subject


def found(subject: Subject, campaign: Campaign, n_traces: int, log10_p: float) -> bool:
    """Whether the test of nets finds a planted leak with `n_traces`, at the level of the check.

    The leak is a net that holds a bit of the secret: the xor of its shares. Where the sum of shares
    is not an xor of nets, and where the secret is fixed in both classes, it is a bit that is drawn
    as a secret bit is. Its value is tested, not its changes: what registers hold may never change.
    """
    run, net = _planted(subject, campaign)
    n_batches = gathering.batches_of(n_traces)
    vector = run.tape.vector[net]
    counts = np.concatenate([part[:, vector] for _, part in gathering.toggles(run, n_batches)])
    labels = classes_of(campaign.key, 0, n_batches, run.stimulus.n_slots)
    n_random = int(labels.sum())
    tests = net_tests(counts[:, 0], counts[:, 1] - counts[:, 0], len(labels) - n_random, n_random)
    return bool((tests.log10_p > log10_p).any())


def _planted(subject: Subject, campaign: Campaign) -> tuple[Simulation, int]:
    """The netlist with one more net that leaks, and that net."""
    roles, gates = subject.roles, subject.gates
    given = stimulus(roles, subject.how.protocol, campaign)
    boolean = [sharing.of for sharing in roles.sharings if not sharing.modulus]
    carriers = [*boolean, *((carrier,) for carrier in roles.secrets)]
    nets: tuple[int, ...] = ()
    if carriers and campaign.classes is Classes.SECRETS:
        bits = zip(*(carrier.nets for carrier in carriers[0]), strict=True)
        nets = next((bit for bit in bits if all(bit)), ())
    if not nets:
        gates, given, drawn = _drawn(gates, given)
        nets = (drawn,)
    more, literal, count = list[Gate](), 2 * nets[0], gates.n_nets
    for net in nets[1:]:
        more.append(Gate(Kind.XOR, count, inverted=False, x=literal, y=2 * net))
        literal, count = 2 * count, count + 1
    more.append(Gate(Kind.BUF, count, inverted=False, x=literal))
    planted = replace(gates, n_nets=count + 1, gates=(*gates.gates, *more))
    return simulation(planted, given, Model.HAMMING_WEIGHT, campaign.key), count


def _drawn(gates: Gates, given: Stimulus) -> tuple[Gates, Stimulus, int]:
    """One more input, with a bit that is 0 in the fixed class and random in the other."""
    net = gates.n_nets
    bit: Source = 2 + len(given.variables)
    first, *others = given.events
    prologue = tuple({**cycle, net: False} for cycle in given.prologue)
    given = replace(
        given,
        n_slots=given.n_slots + 1,
        variables=(*given.variables, Variable(Draw.SECRET, 0, slot=given.n_slots)),
        events=({**first, net: bit}, *others),
        prologue=prologue,
    )
    return replace(gates, n_nets=net + 1, inputs={**gates.inputs, -1: net}), given, net
