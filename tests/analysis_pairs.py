"""All pairs of runs of a small design, one after the other: the truth about two copies."""

import itertools
from dataclasses import dataclass

from analysis_graphs import COMBINATIONAL, REGISTERS, UNDEFINED, Maker, Reference

from openforge.analysis.two_safety import Question, ResetSequence

_DEFINED = tuple(kind for kind in COMBINATIONAL if kind not in UNDEFINED)


@dataclass(frozen=True)
class Truth:
    """In which cycle two copies differ first (None: never), and which registers never do.

    `equal` are nets that are equal in all pairs that count; `alive` says whether there are runs in
    which the assumptions hold for ever.
    """

    first: int | None
    equal: frozenset[int]
    alive: bool


def question(seed, *, strict=False, memory=False, unknown=False):
    """A random question about a random design with few bits of state."""
    kinds = COMBINATIONAL if unknown else _DEFINED
    maker = Maker(seed, kinds=kinds, unknown=unknown, widest=2)
    draw = maker.draw
    maker.inputs(1, 1, 1, 1)
    _, secret, reset, constant = maker.nets
    states = maker.states(1, 2, starting=0.3 if strict else 0.6)
    if unknown:
        maker.undriven()
    maker.operators(3)
    if memory:
        store = maker.reads("m", 1, 2, draw.randint(1, 2))
    maker.operators(4)
    maker.registers(states, REGISTERS)
    if memory:
        text = draw.choice(("01", "10", "11", "0x", "xx"))
        maker.memory(store, draw.randint(0, 2), text)
    observed = tuple(draw.sample(maker.nets[4:], 2))
    graph = maker.graph(observed)
    nets = maker.nets[4:]
    registers = [bit for bits in states for bit in bits]
    choice = draw.random
    return Question(
        graph,
        observed,
        secret=frozenset({secret}),
        held=frozenset(draw.sample(registers, 1)) if choice() < 0.2 else frozenset(),
        memories={"m": frozenset({draw.randrange(2)})} if memory and choice() < 0.3 else {},
        shared=tuple(draw.sample(nets, 1)) if choice() < 0.25 else (),
        assumed=tuple(draw.sample(nets, 1)) if choice() < 0.25 else (),
        constants={constant: draw.randint(0, 1)} if choice() < 0.5 else {},
        reset=ResetSequence(reset, draw.randint(0, 1), draw.randint(1, 2))
        if choice() < 0.7
        else None,
        strict=strict,
    )


def truth(asked):
    """Search all pairs of states that two copies can reach."""
    return _Search(asked).run()


class _Search:
    def __init__(self, asked):
        self.asked, self.reference = asked, Reference(asked.graph)
        clock = asked.graph.signals["clk"].bits[0]
        reset = asked.reset
        inputs = sorted(asked.graph.input_bits - {clock})
        self.secret = [net for net in inputs if net in asked.secret]
        self.public = [
            net for net in inputs if net not in asked.secret and net not in asked.constants
        ]
        self.fixed = {clock: 0, **asked.constants}
        self.reset = reset
        self.known = {}
        secrets = [n for n, net in enumerate(self.reference.latches) if net in asked.held]
        self.held = secrets
        self.words = [
            n for name, places in asked.memories.items() for n in sorted(places)
        ]  # the tests have at most one memory, with one bit a word

    def starts(self):
        """The pairs of states before cycle 0."""
        registers, words = self.reference.initial()
        name = next(iter(self.reference.memories), None)
        text = self.asked.graph.memories[name].params["INIT"][::-1] if name else ""
        text = text.ljust(len(words), "x")
        bits = [*registers, *(None if c == "x" else int(c) for c in text[: len(words)])]
        free = [n for n, bit in enumerate(bits) if bit is None]

        def filled(values):
            made = list(bits)
            for n, value in zip(free, values, strict=True):
                made[n] = value
            return self.plain((tuple(made[: len(registers)]), tuple(made[len(registers) :])))

        every = [filled(v) for v in itertools.product((0, 1), repeat=len(free))]
        if self.asked.strict:
            return set(itertools.product(every, every))
        return {(state, state) for state in every}

    def plain(self, state):
        """A state without what is free in every cycle."""
        registers, words = (list(part) for part in state)
        for n in self.held:
            registers[n] = 0
        for n in self.words:
            words[n] = 0
        return tuple(registers), tuple(words)

    def outcomes(self, state, public):
        """What a copy can do in a cycle: observed, shared and register nets, and what follows."""
        if (state, public) in self.known:
            return self.known[state, public]
        found = set()
        asked = self.asked
        n_free = len(self.secret) + len(self.reference.unknown) + len(self.held) + len(self.words)
        for values in itertools.product((0, 1), repeat=n_free):
            free = iter(values)
            inputs = self.fixed | dict(zip(self.public, public, strict=True))
            inputs |= {net: next(free) for net in self.secret}
            unknown = {place: next(free) for place in self.reference.unknown}
            registers, words = (list(part) for part in state)
            for n in self.held:
                registers[n] = next(free)
            for n in self.words:
                words[n] = next(free)
            seen, following = self.reference.cycle((registers, words), inputs, unknown)
            if all(seen[net] for net in asked.assumed):
                found.add(
                    (
                        tuple(seen[net] for net in asked.observed),
                        tuple(seen[net] for net in asked.shared),
                        tuple(registers),
                        self.plain(following),
                    )
                )
        self.known[state, public] = found
        return found

    def run(self):
        asked, pairs, done, cycle = self.asked, self.starts(), set(), 0
        unequal, first, alive = set(), None, True
        while pairs:
            phase = min(cycle, asked.reset_cycles)
            following = set()
            for one, two in pairs:
                for public in self.publics(phase):
                    for a, b in itertools.product(
                        self.outcomes(one, public), self.outcomes(two, public)
                    ):
                        if a[1] != b[1]:
                            continue
                        if cycle >= asked.first_observed:
                            unequal |= {
                                net
                                for net, x, y in zip(
                                    self.reference.latches, a[2], b[2], strict=True
                                )
                                if x != y
                            }
                            if a[0] != b[0] and first is None:
                                first = cycle
                        following.add((a[3], b[3]))
            alive = bool(following)
            cycle += 1
            phase = min(cycle, asked.reset_cycles)
            pairs = {pair for pair in following if (pair, phase) not in done}
            done |= {(pair, phase) for pair in pairs}
        equal = frozenset(self.reference.latches) - unequal - asked.held
        return Truth(first, equal, alive)

    def publics(self, phase):
        for values in itertools.product((0, 1), repeat=len(self.public)):
            given = dict(zip(self.public, values, strict=True))
            reset = self.reset
            if reset and phase < reset.cycles and given[reset.net] != reset.active:
                continue
            yield values
