"""The self-check: a leak planted into the same netlist, which the same tests must find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from openforge.analysis.bitsliced import Model, simulation
from openforge.analysis.gates import Gate, Gates, Kind
from openforge.analysis.net_tests import net_tests
from openforge.analysis.stimulus import classes_of
from openforge.engines.side_channel import gathering
from openforge.engines.side_channel.stimulating import Campaign, stimulus
from openforge.engines.side_channel.subject import Subject


def leak(gates: Gates, nets: Sequence[int]) -> tuple[Gates, int]:
    """`gates` with a net that is the conjunction of `nets`, and that net.

    Of shares it is a recombination: it depends on their secret. Of a single net it is a copy.
    """
    more: list[Gate] = []
    literal, count = 2 * nets[0], gates.n_nets
    for net in nets[1:]:
        more.append(Gate(Kind.AND, count, inverted=False, x=literal, y=2 * net))
        literal, count = 2 * count, count + 1
    if not more:
        more.append(Gate(Kind.BUF, count, inverted=False, x=literal))
        count += 1
    return replace(gates, n_nets=count, gates=(*gates.gates, *more)), count - 1


def found(subject: Subject, campaign: Campaign, n_traces: int, log10_p: float) -> bool:
    """Whether the test of nets finds a planted leak with `n_traces`, at the level of the check."""
    roles = subject.roles
    carriers = [s.of for s in roles.sharings] or [(carrier,) for carrier in roles.secrets]
    planted, net = leak(subject.gates, [carrier.nets[0] for carrier in carriers[0]])
    given = stimulus(roles, subject.how.protocol, campaign)
    made = simulation(planted, given, Model.HAMMING_DISTANCE, campaign.key)
    n_batches = gathering.batches_of(n_traces)
    vector = made.tape.vector[net]
    parts = [part[:, vector] for _, part in gathering.toggles(made, n_batches)]
    counts = np.concatenate(parts)
    labels = classes_of(campaign.key, 0, n_batches, made.stimulus.n_slots)
    n_random = int(labels.sum())
    tests = net_tests(counts[:, 0], counts[:, 1] - counts[:, 0], len(labels) - n_random, n_random)
    return bool((tests.log10_p > log10_p).any())
