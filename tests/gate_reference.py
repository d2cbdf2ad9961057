"""Random netlists of gates, and what they and their stimuli mean: a slow interpreter.

It reads the cells as they are called in Yosys' manual and shares no code with `openforge.analysis`.
A net of 512 traces is one integer, a bit a trace.
"""

import random
from dataclasses import dataclass

import numpy as np

from openforge.analysis.cells import Cell, Graph, Vector
from openforge.analysis.stimulus import FRESH, Draw, ShareGroup, Stimulus, Sum, Variable

ALL = (1 << 512) - 1
COMBINATIONAL = {
    "$_BUF_": ("A", lambda a: a),
    "$_NOT_": ("A", lambda a: ~a),
    "$_AND_": ("AB", lambda a, b: a & b),
    "$_NAND_": ("AB", lambda a, b: ~(a & b)),
    "$_OR_": ("AB", lambda a, b: a | b),
    "$_NOR_": ("AB", lambda a, b: ~(a | b)),
    "$_ANDNOT_": ("AB", lambda a, b: a & ~b),
    "$_ORNOT_": ("AB", lambda a, b: a | ~b),
    "$_XOR_": ("AB", lambda a, b: a ^ b),
    "$_XNOR_": ("AB", lambda a, b: ~(a ^ b)),
    "$_MUX_": ("ABS", lambda a, b, s: (a & ~s) | (b & s)),
    "$_NMUX_": ("ABS", lambda a, b, s: ~((a & ~s) | (b & s))),
}
FAMILIES = {  # pins whose sense is in the name, in their order; v is the value of a reset
    "DFF": ("C", "CRv"),
    "DFFE": ("CE", "CRvE"),
    "SDFF": ("CRv",),
    "SDFFE": ("CRvE",),
    "SDFFCE": ("CRvE",),
    "ALDFF": ("CL",),
    "ALDFFE": ("CLE",),
    "DFFSR": ("CSR",),
    "DFFSRE": ("CSRE",),
}


def splitmix(seed, n):
    """Output `n` (from 0) of SplitMix64 that was seeded with `seed`, as published."""
    z = (seed + (n + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def slot(key, batch, number, n_slots):
    """512 random bits."""
    first = 8 * (batch * n_slots + number)
    return sum(splitmix(key, first + word) << 64 * word for word in range(8))


def sources(stimulus, key, batch):
    """What a source of `stimulus` is in a batch: a function to integers of 512 bits."""

    def random_bits(number):
        return slot(key, batch, number, stimulus.n_slots)

    classes = random_bits(0)
    groups = [_shares(group, random_bits, classes) for group in stimulus.groups]
    drawn = []
    for v in stimulus.variables:
        drawn.append(
            {
                Draw.RANDOM: lambda v=v: random_bits(v.slot),
                Draw.SECRET: lambda v=v: (
                    (random_bits(v.slot) & classes) | (v.x * ALL & ~classes & ALL)
                ),
                Draw.XOR: lambda v=v: drawn[v.x] ^ drawn[v.y],
                Draw.SHARE: lambda v=v: groups[v.x][v.y],
                Draw.CLASS: lambda: classes,
                Draw.CONSTANT: lambda v=v: v.x * ALL,
            }[v.draw]()
        )

    def source(number):
        if number < 2:
            return number * ALL
        return drawn[number - 2] if number < FRESH else random_bits(number - FRESH)

    return source


def _shares(group, random_bits, classes):
    bits = [0] * (group.n_shares * group.width)
    words = [[random_bits(group.slot + 64 * s + n) for n in range(64)] for s in range(9)]
    for lane in range(512):

        def below(share, lane=lane):
            word = words[share][lane // 8] >> 64 * (lane % 8) & (2**64 - 1)
            return word * group.modulus >> 64

        drawn = {Sum.FIXED: 0, Sum.RANDOM: 1, Sum.BY_CLASS: classes >> lane & 1}[group.sum]
        shares = [below(share) for share in range(1, group.n_shares)]
        total = below(0) if drawn else group.fixed
        shares.append((total - sum(shares)) % group.modulus)
        for s, value in enumerate(shares):
            for bit in range(group.width):
                bits[s * group.width + bit] |= (value >> bit & 1) << lane
    return bits


@dataclass
class Seen:
    """A cycle: the settled values of all nets, and what changed on the way there.

    By their bits in the graph, integers of 512 bits; the changes for each unit of time, gates
    having a delay of one.
    """

    values: dict
    steps: list


def run(graph, found, stimulus, key, batch, *, settled=frozenset()):
    """The cycles of a batch, cycle -1 first. `found` are the `Gates`, for the numbers of nets.

    `settled` are registers' outputs (bits) that follow what is stored without a delay.
    """
    bit_of = {net: bit for bit, net in (*found.inputs.items(), *found.nets.items())}
    read = sources(stimulus, key, batch)
    state = {c.name: ALL * (graph.initial.get(c.outputs["Q"][0]) == "1") for c in _registers(graph)}
    inputs = [bit for port in graph.inputs if port.name != "clk" for bit in port.bits]
    values = dict.fromkeys(inputs, 0)
    for number, row in enumerate(stimulus.prologue):
        if number:
            state = _clocked(graph, values, state)
        values |= {bit_of[net]: ALL * bit for net, bit in row.items()}
        values = _settle(graph, values, state)
    by_output = {c.outputs["Q"][0]: c.name for c in _registers(graph)}
    for net, source in stimulus.pokes.items():
        state[by_output[bit_of[net]]] = read(source)
    values = _settle(graph, values, state)
    seen = [Seen(dict(values), [])]
    for row in stimulus.events:
        state = _clocked(graph, values, state)
        changed = {bit_of[net]: read(source) for net, source in row.items()}
        steps = _steps(graph, values | changed, state, settled, values)
        values = _settle(graph, values | changed, state)
        seen.append(Seen(dict(values), steps))
    return seen


def _registers(graph):
    return [cell for cell in graph.cells if "DFF" in cell.type]


def _pin(cell, values, port):
    (bit,) = cell.inputs[port]
    return values.get(bit, 0) if isinstance(bit, int) else ALL * (bit == "1")


def controls(cell):
    """Family of a register, its active-high pins as a function of values, and its reset value."""
    family, signs = cell.type.strip("$_").split("_")
    (pins,) = (pins for pins in FAMILIES[family] if len(pins) == len(signs))
    sense = dict(zip(pins, signs, strict=True))

    def active(port, values):
        if port not in sense:
            return ALL
        return _pin(cell, values, port) ^ (ALL if sense[port] == "N" else 0)

    return family, active, ALL * (sense.get("v") == "1")


def _shown(cell, values, stored):
    """What a register shows."""
    family, active, value = controls(cell)
    if family.startswith("DFFSR"):
        return (stored | active("S", values)) & ~active("R", values) & ALL
    if family.startswith("ALDFF"):
        load = active("L", values)
    elif family.startswith("DFF") and "R" in cell.inputs:
        load = active("R", values)
    else:
        return stored
    other = _pin(cell, values, "AD") if "AD" in cell.inputs else value
    return (other & load) | (stored & ~load & ALL)


def _clocked(graph, values, state):
    """What registers store after the active edge, when `values` are there before it."""
    after = {}
    for cell in _registers(graph):
        family, active, value = controls(cell)
        (bit,) = cell.outputs["Q"]
        data, old = _pin(cell, values, "D"), values[bit]
        enable = active("E", values)
        if family == "SDFFCE":
            reset = active("R", values)
            data = (value & reset) | (data & ~reset)
        data = (data & enable) | (old & ~enable)
        if family in ("SDFF", "SDFFE"):
            reset = active("R", values)
            data = (value & reset) | (data & ~reset)
        if family.startswith(("DFF", "ALDFF")):
            data = _shown(cell, values, data & ALL)
        after[cell.name] = data & ALL
    return after


def _output(cell, values, state):
    if cell.name in state:
        return cell.outputs["Q"][0], _shown(cell, values, state[cell.name])
    ports, function = COMBINATIONAL[cell.type]
    return cell.outputs["Y"][0], function(*(_pin(cell, values, p) for p in ports)) & ALL


def _settle(graph, values, state):
    busy = True
    while busy:
        busy = False
        for cell in graph.cells:
            bit, value = _output(cell, values, state)
            busy |= values.get(bit) != value
            values[bit] = value
    return values


def _steps(graph, values, state, settled, before):
    """What changes at each unit of time: a list of dictionaries of changes by bit."""
    now = dict(values)
    for cell in _registers(graph):
        (bit,) = cell.outputs["Q"]
        if bit in settled:
            now[bit] = state[cell.name]
    steps = [{bit: now[bit] ^ before[bit] for bit in now}]
    while any(steps[-1].values()) or len(steps) < 2:
        found = dict(_output(cell, now, state) for cell in graph.cells)
        steps.append({bit: value ^ now[bit] for bit, value in found.items()})
        now |= found
    return steps


def sums(vectors):
    """How many of some integers have a 1 in each lane: int64[512]."""
    total = np.zeros(512, np.int64)
    for vector in vectors:
        packed = np.frombuffer(vector.to_bytes(64, "little"), np.uint8)
        total += np.unpackbits(packed, bitorder="little")
    return total


def integer(words):
    """A vector of 512 bits, uint64[8], as an integer."""
    return int.from_bytes(np.ascontiguousarray(words).astype("<u8").tobytes(), "little")


def graph_of(inputs, cells, initial=None, top="top"):
    """A graph of one-bit inputs (name: bit) and cells (type, pins, output bit)."""
    signals = {name: Vector(name, (bit,), direction="input") for name, bit in inputs.items()}
    made = []
    for number, (kind, pins, out) in enumerate(cells):
        port = "Q" if "DFF" in kind else "Y"
        ports = {name: (bit,) for name, bit in pins.items()}
        made.append(Cell(f"c{number}", kind, {}, ports, {port: (out,)}, src=f"t.sv:{number + 1}"))
        signals[f"n{out}"] = Vector(f"n{out}", (out,))
    return Graph(top, signals, tuple(made), initial or {})


def random_graph(draw, *, families=tuple(FAMILIES), n_gates=40):
    """A random netlist of gates and registers, clocked by ``clk``, without loops."""
    inputs = {"clk": 2} | {f"i{n}": 3 + n for n in range(draw.randint(2, 8))}
    names = list(inputs.values())[1:]
    kinds = [draw.choice(families) for _ in range(draw.randint(0, 14))]
    registers = [100 + n for n in range(len(kinds))]
    plain = [q for q, kind in zip(registers, kinds, strict=True) if kind in ("DFFE", "SDFF")]
    early = [*names, "0", "1"]
    readable, cells = [*names, *registers, "0", "1"], []
    for number in range(draw.randint(1, n_gates)):
        kind = draw.choice(tuple(COMBINATIONAL))
        near = readable[-8:] if draw.random() < 0.5 else readable
        pins = {port: draw.choice(near) for port in COMBINATIONAL[kind][0]}
        cells.append((kind, pins, 200 + number))
        readable.append(200 + number)
    initial = {}
    for q, family in zip(registers, kinds, strict=True):
        pins = draw.choice(FAMILIES[family]) if q not in plain else FAMILIES[family][0]
        signs = "".join(draw.choice("01" if pin == "v" else "NP") for pin in pins[1:])
        used = {"C": 2, "D": draw.choice([*registers, *readable])}
        asynchronous = family in ("DFF", "DFFE", "ALDFF", "ALDFFE", "DFFSR", "DFFSRE")
        for pin in pins.replace("v", "")[1:]:
            gated = pin in "LSR" and asynchronous
            used[pin] = draw.choice([*early, *plain] if gated else readable)
        if "L" in pins:
            used["AD"] = draw.choice([*early, *plain])
        cells.append((f"$_{family}_P{signs}_", used, q))
        initial[q] = draw.choice("01")
    draw.shuffle(cells)
    return graph_of(inputs, cells, initial)


def random_stimulus(draw, found, *, pokes=True):
    """A random stimulus of a netlist: constants, idle cycles, variables of all kinds."""
    n_cycles = draw.randint(1, 7)
    groups, variables, used = [], [], 1
    if draw.random() < 0.4:
        modulus = draw.choice((2, 3, 12289, 1 << 16, (1 << 64) - 59, draw.randint(2, 1 << 40)))
        width, shares = draw.randint(1, 6), draw.randint(2, 3)
        fixed = draw.randrange(modulus)
        groups.append(ShareGroup(modulus, fixed, shares, width, used, Sum(draw.randint(0, 2))))
        used += 64 * shares
    for number in range(draw.randint(1, 12)):
        kind = draw.choice(list(Draw))
        x = y = 0
        if kind is Draw.XOR:
            if not number:
                kind = Draw.RANDOM
            else:
                x, y = draw.randrange(number), draw.randrange(number)
        if kind is Draw.SHARE:
            if not groups:
                kind = Draw.CLASS
            else:
                y = draw.randrange(groups[0].n_shares * groups[0].width)
        if kind in (Draw.SECRET, Draw.CONSTANT):
            x = draw.randint(0, 1)
        variables.append(Variable(kind, x, y, used))
        used += 1

    def source(fresh=True):
        nonlocal used
        if fresh and draw.random() < 0.5:
            used += 1
            return FRESH + used - 1
        return draw.choice((0, 1, *range(2, 2 + len(variables))))

    nets = list(found.inputs.values())
    moving = [net for net in nets if draw.random() < 0.8]
    rate = draw.choice((1.0, 0.6, 0.2))
    events = tuple(
        {net: source() for net in moving if draw.random() < rate} for _ in range(n_cycles)
    )
    visible = [r.q for r in found.registers if not r.hidden] if pokes else []
    return Stimulus(
        n_cycles=n_cycles,
        prologue=tuple({net: draw.random() < 0.5 for net in nets} for _ in range(3)),
        events=events,
        pokes={net: source(fresh=False) for net in visible if draw.random() < 0.3},
        variables=tuple(variables),
        groups=tuple(groups),
        n_slots=used,
    )


def case(seed, **kinds):
    """A random netlist with a random stimulus: graph and draw."""
    draw = random.Random(seed)
    return random_graph(draw, **kinds), draw
