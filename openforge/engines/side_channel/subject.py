"""What is simulated: the gates of a design, what each net is, and how an operation is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from openforge import events, netlist, netlist_gates
from openforge.analysis import gates, gating
from openforge.analysis.cells import Graph
from openforge.analysis.gates import Gates
from openforge.analysis.source import named, place
from openforge.config import resolve_globs
from openforge.design import Design
from openforge.engines.side_channel import protocol, recorded
from openforge.engines.side_channel.protocol import Found
from openforge.engines.side_channel.roles import Roles, drives_nothing, roles
from openforge.engines.side_channel.stimulating import Campaign, Classes, Protocol
from openforge.errors import CheckFailedToRun, DesignError
from openforge.interface import Interface, effective, resolve
from openforge.interface_table import interface_rows
from openforge.run_folder import RunFolder
from openforge.schema_crypto import SideChannelSection

_MOST_BITS = 16  # secret bits that random_vs_random compares


@dataclass(frozen=True)
class Subject:
    """A design as it is simulated."""

    design: Design
    gates: Gates
    interface: Interface
    roles: Roles
    how: Found


def subject(params: SideChannelSection, design: Design, folder: RunFolder) -> Subject:
    """The gates of `design`, with the roles of its nets and a protocol.

    Raises InterfaceError, DesignError and CheckFailedToRun as `checking.run` says.
    """
    events.log("Making the netlist of gates")
    crypto = design.config.verification.crypto_verification
    section = effective(crypto.interface, (), ())
    words = gating.ungated(netlist.graph(design, folder.work))
    _refuse_tristates(words)
    interface = resolve(design, words, section, timed=False)
    folder.table("interface", interface_rows(interface, section))
    graph = gating.ungated(netlist_gates.graph(design, folder.work))
    found = gates.gates(graph, interface.clock)
    assigned = roles(interface, found)
    _require_secrets(found, assigned)
    given = Protocol()
    if params.stimulus is not None:
        path, *_ = resolve_globs(
            design.project_dir, [params.stimulus], field="side_channel.stimulus"
        )
        rows = recorded.read(path, found, assigned)
        given = Protocol(recorded=rows, n_cycles=len(rows))
        told = {net for row in rows for net in row}
        assigned = replace(
            assigned,
            controls=tuple(c for c in assigned.controls if not told.issuperset(c.nets)),
            data=tuple(c for c in assigned.data if not told.issuperset(c.nets)),
        )
    how = protocol.find(found, assigned, interface, given, params)
    return Subject(design, found, interface, assigned, how)


def campaigns(params: SideChannelSection, found: Subject) -> list[Campaign]:
    """The campaigns, each with the traces that are asked for.

    Several, for one could miss a leak: with public data the same in all traces, a leak that needs
    another value of them; with public data at random, one that they hide; with a control at 0, what
    it switches on. Raises CheckFailedToRun for random_vs_random without a secret bit that can be
    chosen.
    """
    if params.test == "random_vs_random":
        return list(_of_bits(params, found))
    if found.roles.data:
        both = [("public inputs fixed", False), ("public inputs random", True)]
        names = [row for row in both if params.public in ("both", row[0].rpartition(" ")[2])]
    else:
        names = [("first fixed secret", False), ("second fixed secret", False)]
    several = _settings(found)
    return [
        Campaign(
            name + _named(setting, several),
            number,
            params.seed,
            public_random=random,
            zero=name == names[0][0],
            setting=setting,
        )
        for number, (setting, (name, random)) in enumerate(product(several, names))
    ]


def _of_bits(params: SideChannelSection, found: Subject) -> Iterator[Campaign]:
    """A campaign for each of some secret bits, spread over all of them."""
    boolean = [sharing for sharing in found.roles.sharings if not sharing.modulus]
    secrets = [(carrier.text, len(carrier.nets)) for carrier in found.roles.secrets]
    secrets += [(sharing.name, len(sharing.of[0].nets)) for sharing in boolean]
    names = [f"{name} bit {n}" for name, width in secrets for n in range(width)]
    if not names:
        raise CheckFailedToRun(
            "random_vs_random compares both values of a secret bit, and all secrets are shared "
            "arithmetically; use fixed_vs_random"
        )
    count = min(len(names), _MOST_BITS)
    several = _settings(found)
    modes = [True] if params.public == "random" else [False]
    if params.public == "both" and found.roles.data:
        modes = [False, True]
    for number, (n, setting, random) in enumerate(product(range(count), several, modes)):
        bit = n * len(names) // count
        name = names[bit] + (", public inputs random" if random and len(modes) > 1 else "")
        yield Campaign(
            name + _named(setting, several),
            number,
            params.seed,
            Classes.BIT,
            public_random=random,
            bit=bit,
            setting=setting,
        )


def _settings(found: Subject) -> list[int | None]:
    """The settings of the controls, and where they are not all there are, controls at random."""
    several = found.how.protocol.controls
    count = sum(len(carrier.nets) for carrier in found.roles.controls)
    numbers: list[int | None] = [*range(len(several))]
    return numbers if len(several) == 1 << count else [*numbers, None]


def _named(setting: int | None, several: Sequence[int | None]) -> str:
    if len(several) == 1:
        return ""
    return ", controls random" if setting is None else f", controls {setting + 1}"


def _refuse_tristates(words: Graph) -> None:
    """Raises DesignError for what is driven with z."""
    odd = [cell for cell in words.cells if any("z" in bits for bits in cell.inputs.values())]
    if odd:
        places = dict.fromkeys(place(cell.src) or named(cell.name) for cell in odd)
        raise DesignError(
            f"tri-states have no power that can be simulated: {', '.join(list(places)[:5])}"
        )


def _require_secrets(found: Gates, assigned: Roles) -> None:
    """Raises CheckFailedToRun when what is said to be secret cannot differ or matters nowhere."""
    carriers = assigned.carriers
    constant = [c.text for c in carriers if not any(c.nets)]
    if constant:
        raise CheckFailedToRun(
            f"the secrets are constant in the netlist: {', '.join(constant)}; what never changes "
            "cannot be told from power"
        )
    unread = drives_nothing(found, carriers)
    if unread:
        raise CheckFailedToRun(
            f"no output of the design depends on the secrets {', '.join(unread)}"
        )
