"""The check from the annotation to the result: simulate, test, replay, conclude."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from openforge import events
from openforge.analysis.bitsliced import Model, Simulation, simulation
from openforge.analysis.probing import probes
from openforge.design import Design
from openforge.engines.side_channel import (
    attacking,
    conclusion,
    covering,
    measured,
    planting,
    replaying,
    storing,
    writing,
)
from openforge.engines.side_channel.assessing import Assessed, Family, assess, families
from openforge.engines.side_channel.attacking import Attacked
from openforge.engines.side_channel.covering import Covered
from openforge.engines.side_channel.localising import Suspect, leaking
from openforge.engines.side_channel.stimulating import Campaign, stimulus
from openforge.engines.side_channel.subject import Subject, campaigns, subject
from openforge.engines.side_channel.writing import Campaigned, Places
from openforge.errors import CheckFailedToRun
from openforge.interface import effective
from openforge.model import Result
from openforge.run_folder import RunFolder
from openforge.schema_crypto import SideChannelSection
from openforge.tools.verilator_replay import Replayer

_INTERFACE = "verification.crypto_verification.interface"
_PLANTED_TRACES = 8192


@dataclass(frozen=True)
class Looked:
    """What the tests found.

    `leaking` are nets and probing sets whose test rejects, the strongest first; `rejected` the
    campaigns whose power does, with order and cycle. `compared` counts values that were the same
    when a pair was replayed, `planted` says whether a planted leak was found (None: not tried), and
    `covered` what the traces did not reach.
    """

    assessed: tuple[Assessed, ...]
    families: dict[str, Family]
    leaking: tuple[Suspect, ...]
    rejected: tuple[tuple[Assessed, int, int], ...]
    attacked: Attacked | None = None
    compared: int = 0
    planted: bool | None = None
    covered: Covered | None = None

    @property
    def recovered(self) -> tuple[int, ...]:
        """The key bytes that the attack has recovered."""
        if self.attacked is None:
            return ()
        return self.attacked.recovered(self.families["attack"].log10_p)

    @property
    def n_tests(self) -> int:
        """How many tests there were, of all families."""
        return sum(family.n_tests for family in self.families.values())

    @property
    def strongest(self) -> tuple[Assessed, int, int]:
        """Of the campaigns whose power leaks the one with the smallest p, its order and cycle."""
        return max(self.rejected, key=lambda r: r[0].t.log10_p[r[0].t.orders.index(r[1]), r[2]])


def run(params: SideChannelSection, design: Design, folder: RunFolder) -> Result:
    """Whether power depends on secrets.

    Raises InterfaceError for a wrong annotation, DesignError for a design with several clocks,
    latches, tri-states, loops or modules without content, CheckFailedToRun when there is nothing to
    check although it is asked for, when an operation never ends, or when engines contradict.
    """
    if params.enabled is False:
        return conclusion.skipped("switched off: side_channel.enabled is false")
    if params.traces is not None:
        return measured.run(params, design, folder)
    section = effective(design.config.verification.crypto_verification.interface, (), ())
    secrets = bool(section.secrets or section.shares)
    reason = _nothing(params, secrets, bool(section.shares or section.randoms))
    if reason:
        return conclusion.skipped(reason)
    design.require_elaborated()
    design.require_provable()
    with ThreadPoolExecutor(1) as pool:
        early = None
        if not section.shares:  # what is not masked leaks: its replay is built meanwhile
            early = pool.submit(replaying.build, design, folder.work)
        return _checked(params, subject(params, design, folder), folder, early)


def _nothing(params: SideChannelSection, secrets: bool, protected: bool) -> str:
    """Why there is nothing to check; empty if there is. Raises CheckFailedToRun if asked for."""
    if not secrets:
        reason = f"no secrets are declared ({_INTERFACE}.secrets)"
        if params.enabled:
            raise CheckFailedToRun(f"side_channel is enabled, but {reason}")
        return reason
    if not protected and not params.model_fields_set:
        return (
            "neither shares nor randoms are declared, so that the design does not claim to be "
            "protected against power analysis; side_channel.enabled: true simulates it anyway"
        )
    return ""


def _checked(
    params: SideChannelSection, found: Subject, folder: RunFolder, early: Future[Replayer] | None
) -> Result:
    looked = _look(params, found, folder)
    places = Places(found.gates)
    writing.tables(folder, looked.assessed, looked.leaking, looked.families, places)
    if looked.leaking or looked.rejected or looked.recovered:
        looked = _replayed(looked, found, places, folder, early)
    else:
        looked = replace(
            _planted(looked, found), covered=covering.cover(found, looked.assessed, places)
        )
    storing.store(params, looked.assessed[0], found, folder)
    result = conclusion.conclude(params, found, looked, places)
    campaigns_ = [
        Campaigned(a.campaign.name, a.n_traces, a.t, a.moments, a.campaign.key)
        for a in looked.assessed
    ]
    writing.artifacts(folder, campaigns_, conclusion.tvla(result, params, looked))
    return result


def _look(params: SideChannelSection, found: Subject, folder: RunFolder) -> Looked:
    model = Model[params.power_model.upper()]
    assessed = []
    for campaign in campaigns(params, found):
        events.log(f"Simulating: {campaign.name}")
        assessed.append(_assessed(params, found, campaign, model))
    attacked = attacking.attack(params, found, folder) if params.cpa else None
    guesses = attacked.n_tests if attacked else 0
    tested = families(assessed, params.tvla_threshold, guesses)
    rejected = [
        (a, a.t.orders[row], int(cycle))
        for a in assessed
        for row, cycle in np.argwhere(a.t.log10_p > tested["power"].log10_p)
    ]
    suspects = leaking(assessed, tested)
    return Looked(tuple(assessed), tested, suspects, tuple(rejected), attacked)


def _assessed(
    params: SideChannelSection, found: Subject, campaign: Campaign, model: Model
) -> Assessed:
    made = stimulus(found.roles, found.how.protocol, campaign)
    run = simulation(found.gates, made, model, campaign.key)
    if not np.array_equal(run.power(0, 1), run.power_by_numpy(0, 1)):
        raise CheckFailedToRun("internal contradiction: both of our simulators give another power")
    settled = run
    if model is Model.TOGGLE_COUNT:
        settled = simulation(found.gates, made, Model.HAMMING_DISTANCE, campaign.key)
    wanted = params.probing != "off" and (bool(found.roles.sharings) or params.probing != "auto")
    secret = [net for carrier in found.roles.carriers for net in carrier.nets]
    transitions = params.probing != "glitches"
    sets = probes(settled, secret, transitions=transitions) if wanted else None
    return assess(
        campaign,
        run,
        settled,
        sets,
        n_traces=params.num_traces,
        orders=tuple(sorted(set(params.orders))),
        noise_stddev=params.noise_stddev,
    )


def _replayed(
    looked: Looked,
    found: Subject,
    places: Places,
    folder: RunFolder,
    early: Future[Replayer] | None,
) -> Looked:
    """`looked` with a pair of traces of the strongest leak replayed on Verilator."""
    events.log("Replaying a pair of traces on Verilator")
    run, cycle = _strongest(looked)
    compared = replaying.replay(
        found.design,
        found.interface,
        run,
        replaying.pair(run, cycle),
        shown=_shown(looked.leaking, places),
        replayer=early.result if early else lambda: replaying.build(found.design, folder.work),
        folder=folder,
    )
    return replace(looked, compared=compared)


def _strongest(looked: Looked) -> tuple[Simulation, int]:
    """The simulation and cycle of what leaks most: the power, or else a net or probing set.

    Of a leak that only an attack shows, those of the largest |t|.
    """
    if looked.rejected:
        best, _, cycle = looked.strongest
        return best.simulation, cycle
    if not looked.leaking:
        first = looked.assessed[0]
        return first.simulation, int(np.abs(first.t.t).max(axis=0).argmax())
    suspect = looked.leaking[0]
    series = next(a for a in looked.assessed if a.campaign.name == suspect.series)
    return series.simulation, suspect.cycle


def _shown(suspects: Sequence[Suspect], places: Places) -> list[str]:
    """The signals to be seen first: what leaks, and what a probe sees."""
    nets = [net for suspect in suspects[:3] for net in (suspect.net, *suspect.members)]
    return list(dict.fromkeys(places.name(net).partition("[")[0] for net in nets))


def _planted(looked: Looked, found: Subject) -> Looked:
    """`looked` with the self-check: nothing was found, so a planted leak must be."""
    events.log("Planting a leak, to see that it is found")
    first = looked.assessed[0]
    family = looked.families.get("net")
    seen = family is not None and planting.found(
        found, first.campaign, min(first.n_traces, _PLANTED_TRACES), family.log10_p
    )
    return replace(looked, planted=seen)
