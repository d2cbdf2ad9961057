"""Within what bounds and under which assumptions a verdict of the check holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from openforge import native
from openforge.analysis import multiplicity
from openforge.engines.side_channel import gathering
from openforge.engines.side_channel.strength import corrected_threshold, smallest_effect
from openforge.engines.side_channel.subject import Subject
from openforge.schema_crypto import SideChannelSection

if TYPE_CHECKING:
    from openforge.engines.side_channel.checking import Looked

_TESTS = {
    "power": "power",
    "net": "single nets",
    "probing set": "probing sets",
    "attack": "guesses",
}
_UNITS = {
    "hamming_distance": "nets whose settled value changes in a cycle",
    "hamming_weight": "nets whose settled value is 1",
    "toggle_count": "changes in a cycle, glitches included; every gate has a delay of one",
}


def bounds(params: SideChannelSection, subject: Subject, looked: Looked) -> Iterator[str]:
    """How much was simulated and tested, at which level, and what was checked beside it."""
    for found in looked.assessed:
        fixed, random = gathering.class_sizes(found.power)
        yield f"{found.n_traces} traces, {found.campaign.name}: {fixed} fixed, {random} random"
    orders = ", ".join(str(order) for order in looked.assessed[0].t.orders)
    yield f"orders {orders}; power: {_UNITS[params.power_model]}"
    if params.noise_stddev:
        yield (
            f"Gaussian noise with a standard deviation of {params.noise_stddev:g} on the power of "
            "every cycle; nets and probing sets are tested without noise"
        )
    level = multiplicity.level_of(params.tvla_threshold)
    sizes = ", ".join(f"{_TESTS[f.name]}: {f.n_tests}" for f in looked.families.values())
    yield (
        f"family-wise level {level:.2g}, that of a single |t| > {params.tvla_threshold:g}, for all "
        f"tests together ({sizes}): |t| of power must exceed "
        f"{corrected_threshold(params, looked):.2f}"
    )
    if 1 in params.orders:
        effect = smallest_effect(params, looked)
        yield (
            f"a difference of mean power of {effect:.3f} standard deviations is found with a "
            "probability of 90 %"
        )
    else:
        yield "how small an effect would be found is not known for these orders"
    yield from _attack(looked)
    yield from subject.how.said
    yield _probing(looked)
    yield from looked.covered.said if looked.covered else ()
    if looked.compared:
        yield f"a pair of traces replayed on Verilator: {looked.compared} values, all the same"
    if looked.planted is not None:
        seen = "" if looked.planted else "not "
        yield f"self-check: a planted leak was {seen}found by the test of single nets"
    both = "; 512 traces of each campaign by numpy too: the same" if native.library() else ""
    yield f"simulated by {native.describe()}{both}"


def _attack(looked: Looked) -> Iterator[str]:
    if looked.attacked is None:
        return
    found, count = looked.recovered, len(looked.attacked.rows)
    best = min((row.rank for row in looked.attacked.rows), default=0)
    yield (
        f"attack {looked.attacked.target} with {looked.attacked.n_traces} traces: {len(found)} of "
        f"{count} key bytes recovered, best rank {best}; an attack that fails proves nothing"
    )


def _probing(looked: Looked) -> str:
    first = looked.assessed[0]
    tested = f"single nets with {first.n_tested} traces of each campaign"
    probed = "as many" if first.n_probed == first.n_tested else str(first.n_probed)
    if first.probes is None:
        return (
            f"tested: {tested}; no probing sets, so that nothing is said of glitches beyond power"
        )
    sets = first.probes
    text = f"tested: {tested}, and {len(sets.sets)} probing sets with {probed}"
    if sets.hashed:
        pairs = "all" if sets.paired else "some"
        text += (
            f"; {sets.hashed} of them only in part, as they are too wide: values are hashed, and "
            f"{pairs} pairs of their signals looked at"
        )
    return text


def assumptions(params: SideChannelSection, subject: Subject) -> Iterator[str]:
    """What the power is made of, what is secret and public, and what is not covered."""
    roles = subject.roles
    yield (
        "the netlist is that of the source, operator by operator, without optimisation, and "
        "without what no output depends on; every net weighs the same; x, and what nothing "
        "drives, is 0; the clock's own power is left out"
    )
    yield "one operation, the first after a reset; inputs are held, randoms are fresh in each cycle"
    yield from (
        f"{entry.field} = {entry.value}, inferred: {entry.why}"
        for entry in subject.interface.inferred
        if entry.field in ("clock", "reset", "start", "done")
    )
    constants = subject.interface.constants
    if constants:
        yield "held: " + ", ".join(f"{name} = {value}" for name, value in constants.items())
    if any(carrier.stored for carrier in roles.randoms):
        yield "randoms in registers are drawn once a trace"
    secrets = [carrier.text for carrier in roles.secrets]
    secrets += [
        f"{s.name} in {len(s.of)} uniform shares" + (f" modulo {s.modulus}" if s.modulus else "")
        for s in roles.sharings
    ]
    yield f"secret: {', '.join(secrets)}"
    if params.test == "fixed_vs_random":
        yield "fixed secrets: 0 where public inputs are fixed, or first; else a random value"
    else:
        yield (
            "compared are the values of those secret bits only that the campaigns are named after: "
            "no secrets shared by sums, no functions of several bits"
        )
    if roles.randoms:
        yield f"uniform and independent: {', '.join(c.text for c in roles.randoms)}"
    if roles.data:
        yield f"public: {', '.join(c.text for c in roles.data)}"
    yield from (f"interface.assume is not used for stimuli: {t}" for t in subject.interface.assume)
    if subject.interface.declassify:
        yield "interface.declassify is not used: what may depend on secrets leaks here, too"
    if params.power_model != "toggle_count":
        yield "glitches have no power in this model (power_model: toggle_count has them)"
    yield (
        "not covered: coupling, layout, other delays, other orders, several cycles together, other "
        "operations, values of public inputs that are rare; noise-free simulation says what leaks, "
        "not how many measured traces it takes"
    )
