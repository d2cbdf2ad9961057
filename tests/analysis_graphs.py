"""Small random netlists, and what they mean: a slow interpreter with integers for numbers.

The interpreter shares no code with `openforge.analysis`; bits of which nothing is known are
variables of their own, named after the place where they arise.
"""

import itertools
import random

from openforge.analysis.cells import Cell, Graph, Vector

UNARY = ("$not", "$pos", "$buf", "$neg", "$logic_not")
REDUCTIONS = ("$reduce_and", "$reduce_or", "$reduce_xor", "$reduce_xnor", "$reduce_bool")
BINARY = ("$and", "$or", "$xor", "$xnor", "$add", "$sub", "$mul", "$logic_and", "$logic_or")
COMPARISONS = ("$lt", "$le", "$gt", "$ge", "$eq", "$ne", "$eqx", "$nex")
SHIFTS = ("$shl", "$sshl", "$shr", "$sshr", "$shift", "$shiftx")
DIVISIONS = ("$div", "$mod", "$divfloor", "$modfloor")
SELECTIONS = ("$mux", "$bwmux", "$pmux", "$bmux", "$demux", "$lut")
COMBINATIONAL = (
    *UNARY,
    *REDUCTIONS,
    *BINARY,
    *COMPARISONS,
    *SHIFTS,
    *DIVISIONS,
    *SELECTIONS,
)
UNDEFINED = {*DIVISIONS, "$shiftx"}
REGISTERS = (
    "$dff",
    "$dffe",
    "$sdff",
    "$sdffe",
    "$sdffce",
    "$adff",
    "$adffe",
    "$aldff",
    "$aldffe",
)


def number(bits):
    """Bits, least significant first, as an unsigned number."""
    return sum(bit << n for n, bit in enumerate(bits))


def bits_of(value, width):
    """The lowest bits of a number, least significant first."""
    return [value >> n & 1 for n in range(width)]


def shape(draw, kind, widest=3):
    """Port widths, output width and parameters of a random cell of type `kind`."""
    width = draw.randint(1, widest)
    a, b, y = (draw.randint(1, widest) for _ in range(3))
    params, ports = {}, {"A": a, "B": b}
    if kind in ("$mux", "$bwmux", "$pmux", "$bmux", "$demux"):
        selects = draw.randint(1, 2)
        params["WIDTH"] = format(width, "b")
        ports, y = {
            "$mux": ({"A": width, "B": width, "S": 1}, width),
            "$bwmux": ({"A": width, "B": width, "S": width}, width),
            "$pmux": ({"A": width, "B": width * selects, "S": selects}, width),
            "$bmux": ({"A": width << selects, "S": selects}, width),
            "$demux": ({"A": width, "S": selects}, width << selects),
        }[kind]
        params["S_WIDTH"] = format(selects, "b")
        return ports, y, params
    if kind == "$lut":
        params = {"WIDTH": format(a, "b"), "LUT": format(draw.getrandbits(1 << a), f"0{1 << a}b")}
        return {"A": a}, 1, params
    if kind in UNARY or kind in REDUCTIONS:
        ports = {"A": a}
    if kind == "$buf":
        y, params["WIDTH"] = a, format(a, "b")
        return ports, y, params
    signs = [draw.randint(0, 1)] * 2  # front ends make both operands of one sign
    if kind in SHIFTS:
        signs = [draw.randint(0, 1) if kind != "$shiftx" else 0, 0]
        signs[1] = draw.randint(0, 1) if kind in ("$shift", "$shiftx") else 0
    for port, sign in zip(ports, signs, strict=False):
        params[f"{port}_SIGNED"] = str(sign)
        params[f"{port}_WIDTH"] = format(ports[port], "b")
    params["Y_WIDTH"] = format(y, "b")
    return ports, y, params


def meaning(cell, ports):  # noqa: PLR0911  (one kind of cell after the other)
    """The output bits of a combinational cell for input bits by port; None for a bit that is x."""
    kind = cell.type
    width = len(cell.outputs["Y"])
    a, b, s = (ports.get(port, ()) for port in "ABS")

    def whole(bits, port):
        signed = cell.params.get(f"{port}_SIGNED") == "1"
        return number(bits) - (bits[-1] << len(bits) if signed and bits else 0)

    x, y = whole(a, "A"), whole(b, "B")
    if kind in ("$eqx", "$nex"):  # an x is equal to no 0 or 1
        pairs = zip(cell.inputs["A"], cell.inputs["B"], strict=False)
        if any((left in ("x", "z")) != (right in ("x", "z")) for left, right in pairs):
            return bits_of(int(kind == "$nex"), width)
    if kind == "$shiftx":
        places = [n + y for n in range(width)]
        return [a[p] if 0 <= p < len(a) else None for p in places]
    if kind in DIVISIONS:
        if y == 0:
            return [None] * width
        quotient = (
            x // y if kind.endswith("floor") else abs(x) // abs(y) * (1 if x * y >= 0 else -1)
        )
        return bits_of(quotient if "div" in kind else x - quotient * y, width)
    if kind == "$bwmux":
        return [(v if c else u) for u, v, c in zip(a, b, s, strict=True)]
    if kind == "$pmux":
        chosen = [b[n * width : (n + 1) * width] for n, bit in enumerate(s) if bit]
        return [int(any(column)) for column in zip(*chosen, strict=True)] if chosen else list(a)
    if kind == "$demux":
        return bits_of(number(a) << number(s) * len(a), width)
    if kind == "$bmux":
        return list(a[number(s) * width :][:width])
    wide = max(width, len(a))
    value = {
        "$not": lambda: ~x,
        "$pos": lambda: x,
        "$buf": lambda: x,
        "$neg": lambda: -x,
        "$logic_not": lambda: x == 0,
        "$reduce_and": lambda: all(a),
        "$reduce_or": lambda: any(a),
        "$reduce_bool": lambda: any(a),
        "$reduce_xor": lambda: sum(a) % 2,
        "$reduce_xnor": lambda: 1 - sum(a) % 2,
        "$and": lambda: x & y,
        "$or": lambda: x | y,
        "$xor": lambda: x ^ y,
        "$xnor": lambda: ~(x ^ y),
        "$add": lambda: x + y,
        "$sub": lambda: x - y,
        "$mul": lambda: x * y,
        "$logic_and": lambda: any(a) and any(b),
        "$logic_or": lambda: any(a) or any(b),
        "$lt": lambda: x < y,
        "$le": lambda: x <= y,
        "$gt": lambda: x > y,
        "$ge": lambda: x >= y,
        "$eq": lambda: x == y,
        "$eqx": lambda: x == y,
        "$ne": lambda: x != y,
        "$nex": lambda: x != y,
        "$shl": lambda: x << number(b),
        "$sshl": lambda: x << number(b),
        "$shr": lambda: x % (1 << wide) >> number(b),
        "$sshr": lambda: x >> number(b),
        "$shift": lambda: x % (1 << wide) >> y if y >= 0 else x << -y,
        "$mux": lambda: number(b if s[0] else a),
        "$lut": lambda: int(cell.params["LUT"], 2) >> number(a) & 1,
    }[kind]()
    return bits_of(int(value), width)


class Reference:
    """What a graph does, cycle by cycle. `unknown` are the places where something is free."""

    def __init__(self, graph):
        self.graph = graph
        self.latches = [bit for cell in graph.registers for bit in cell.outputs["Q"]]
        self.memories = sorted(graph.memories)
        self.words = {name: graph.memories[name].number("SIZE") for name in self.memories}
        self.unknown = sorted(self._unknown(), key=str)

    def _unknown(self):
        for net in self.graph.undriven:
            yield ("net", net, 0)
        for cell in self.graph.cells:
            for port, bits in cell.inputs.items():
                yield from ((cell.name, port, n) for n, bit in enumerate(bits) if bit == "x")
            if cell.type in UNDEFINED:
                yield from ((cell.name, "Y", n) for n in range(len(cell.outputs["Y"])))

    def initial(self):
        """Bits of the registers (None: unknown) and words of the memories before cycle 0."""
        registers = tuple(
            int(self.graph.initial[net]) if net in self.graph.initial else None
            for net in self.latches
        )
        words = []
        for name in self.memories:
            cell = self.graph.memories[name]
            width, size = cell.number("WIDTH"), cell.number("SIZE")
            text = cell.params["INIT"][::-1].ljust(width * size, "x")
            words += [
                int(text[n * width : (n + 1) * width][::-1].replace("x", "0"), 2)
                for n in range(size)
            ]
        return registers, tuple(words)

    def cycle(self, state, inputs, unknown):
        """All values of nets, and the next state, of registers' bits and memories' words."""
        return _Cycle(self, state, inputs, unknown).run()


class _Cycle:
    def __init__(self, reference, state, inputs, unknown):
        self.graph, self.reference = reference.graph, reference
        self.stored = dict(zip(reference.latches, state[0], strict=True))
        self.contents, words = {}, list(state[1])
        for name in reference.memories:
            self.contents[name], words = (
                words[: reference.words[name]],
                words[reference.words[name] :],
            )
        self.values = dict(inputs) | {
            place[1]: unknown[place] for place in unknown if place[0] == "net"
        }
        self.unknown = unknown

    def run(self):
        for cell in self.graph.cells:
            for bits in cell.outputs.values():
                for bit in bits:
                    self.net(bit)
        following = tuple(bit for cell in self.graph.registers for bit in self.register(cell))
        words = tuple(w for name in self.reference.memories for w in self.written(name))
        return self.values, (following, words)

    def net(self, bit):
        if bit not in self.values:
            self.drive(self.graph.drivers[bit].cell)
        return self.values[bit]

    def port(self, cell, port):
        return [
            self.unknown[cell.name, port, n]
            if bit == "x"
            else int(bit)
            if isinstance(bit, str)
            else self.net(bit)
            for n, bit in enumerate(cell.inputs[port])
        ]

    def active(self, cell, port):
        return self.port(cell, port)[0] == int(cell.params[f"{port}_POLARITY"])

    def drive(self, cell):
        if cell.is_register:
            given = self.loaded(cell) or [self.stored[bit] for bit in cell.outputs["Q"]]
            self.values |= zip(cell.outputs["Q"], given, strict=True)
        elif cell.is_memory:
            self.read(cell)
        else:
            found = meaning(cell, {port: self.port(cell, port) for port in cell.inputs})
            for n, (bit, value) in enumerate(zip(cell.outputs["Y"], found, strict=True)):
                self.values[bit] = self.unknown[cell.name, "Y", n] if value is None else value

    def loaded(self, cell):
        """What an asynchronous reset puts into a register now, if it does."""
        if "ARST" in cell.inputs and self.active(cell, "ARST"):
            return [int(bit) for bit in cell.params["ARST_VALUE"][::-1]]
        if "ALOAD" in cell.inputs and self.active(cell, "ALOAD"):
            return self.port(cell, "AD")
        return None

    def register(self, cell):
        old = [self.stored[bit] for bit in cell.outputs["Q"]]
        new = self.port(cell, "D")
        enabled = "EN" not in cell.inputs or self.active(cell, "EN")
        cleared = "SRST" in cell.inputs and self.active(cell, "SRST")
        value = [int(bit) for bit in cell.params.get("SRST_VALUE", "")[::-1]]
        if cell.type == "$sdffce":
            new = (value if cleared else new) if enabled else old
        else:
            new = value if cleared else new if enabled else old
        return self.loaded(cell) or new

    def read(self, cell):
        width, abits = cell.number("WIDTH"), cell.number("ABITS")
        words = self.contents[cell.memory_name]
        for n in range(cell.number("RD_PORTS")):
            address = number(
                [
                    self.net(bit) if isinstance(bit, int) else int(bit)
                    for bit in cell.inputs["RD_ADDR"][n * abits : (n + 1) * abits]
                ]
            )
            word = words[address] if address < len(words) else 0
            data = cell.outputs["RD_DATA"][n * width : (n + 1) * width]
            self.values |= zip(data, bits_of(word, width), strict=True)

    def written(self, name):
        cell = self.graph.memories[name]
        width, abits = cell.number("WIDTH"), cell.number("ABITS")
        words = list(self.contents[name])
        address, data, enable = (self.port(cell, f"WR_{p}") for p in ("ADDR", "DATA", "EN"))
        for n in range(cell.number("WR_PORTS")):
            at = number(address[n * abits : (n + 1) * abits])
            if at < len(words):
                on = number(enable[n * width : (n + 1) * width])
                new = number(data[n * width : (n + 1) * width])
                words[at] = words[at] & ~on | new & on
        return words


class Maker:
    """Makes a random graph: inputs, then registers and memories, then operators between them."""

    def __init__(self, seed, *, kinds=COMBINATIONAL, unknown=True, widest=3):
        self.draw = random.Random(seed)
        self.kinds, self.unknown, self.widest = kinds, unknown, widest
        self.count = itertools.count(2)
        self.signals, self.cells, self.initial = {}, [], {}
        self.nets = []  # that operators can use
        self.clock = self.fresh(1, "clk", "input")

    def fresh(self, width, name="", direction=""):
        """New nets, with a name if there is one."""
        bits = tuple(next(self.count) for _ in range(width))
        if name:
            self.signals[name] = Vector(name, bits, direction=direction)
        return bits

    def inputs(self, *widths):
        """Input ports ``i0``, ``i1``... with so many bits."""
        for n, width in enumerate(widths):
            self.nets += self.fresh(width, f"i{n}", "input")

    def pick(self, width, constants=0.1):
        """Bits to be an operand: nets, now and then constants."""
        special = ("0", "1", "x") if self.unknown else ("0", "1")
        return tuple(
            self.draw.choice(special)
            if not self.nets or self.draw.random() < constants
            else self.draw.choice(self.nets[-8:] if self.draw.random() < 0.5 else self.nets)
            for _ in range(width)
        )

    def plain(self, width):
        """Bits of nets or 0 and 1."""
        return tuple(
            self.draw.choice("01" if self.draw.random() < 0.1 else self.nets) for _ in range(width)
        )

    def operators(self, count):
        """So many combinational cells."""
        for _ in range(count):
            kind = self.draw.choice(self.kinds)
            ports, width, params = shape(self.draw, kind, self.widest)
            given = {p: self.plain(w) if p == "S" else self.pick(w) for p, w in ports.items()}
            outputs = self.fresh(width)
            self.cells.append(Cell(f"c{len(self.cells)}", kind, params, given, {"Y": outputs}))
            self.nets += outputs

    def states(self, *widths, starting=0.5):
        """The nets of registers to come, which operators can use already."""
        made = []
        for n, width in enumerate(widths):
            bits = self.fresh(width, f"r{n}")
            self.nets += bits
            made.append(bits)
            if self.draw.random() < starting:
                self.initial |= {bit: self.draw.choice("01") for bit in bits}
        return made

    def registers(self, states, kinds=REGISTERS):
        """A register for each of `states`, driven by what there is."""
        for bits in states:
            kind = self.draw.choice(kinds)
            params, given = {"CLK_POLARITY": "1"}, {"CLK": self.clock, "D": self.pick(len(bits))}
            controls = {
                "SRST": kind.startswith("$sdff"),
                "ARST": kind.startswith("$adff"),
                "ALOAD": kind.startswith("$aldff"),
                "EN": kind[-1] == "e" or kind == "$sdffce",
            }
            for port in (port for port, there in controls.items() if there):
                given[port] = (self.draw.choice(self.early),)
                params[f"{port}_POLARITY"] = self.draw.choice("01")
                value = "".join(self.draw.choice("01") for _ in bits)
                if port == "ALOAD":
                    given["AD"] = tuple(value)
                elif port != "EN":
                    params[f"{port}_VALUE"] = value
            self.cells.append(Cell(f"c{len(self.cells)}", kind, params, given, {"Q": bits}))

    def reads(self, name, width, size, ports, abits=1):
        """The read ports of a memory to come, with addresses that there are already."""
        address = self.plain(abits * ports)
        data = self.fresh(width * ports)
        self.nets += data
        return name, width, size, abits, address, data

    def memory(self, memory, ports, initial):
        """A memory with what `reads` made, `ports` write ports and the text `initial`."""
        name, width, size, abits, address, data = memory
        n_reads = len(data) // width
        params = {
            "MEMID": f"\\{name}",
            "WIDTH": format(width, "b"),
            "SIZE": format(size, "b"),
            "ABITS": format(abits, "b"),
            "OFFSET": "0",
            "INIT": initial,
            "RD_PORTS": format(n_reads, "b"),
            "WR_PORTS": format(ports, "b"),
            "RD_CLK_ENABLE": "0" * n_reads,
            "WR_CLK_ENABLE": "1" * ports,
        }
        enable = [bit for _ in range(ports) for bit in self.plain(1) * width]
        if width > 1 and ports:
            enable[0] = self.plain(1)[0]
        given = {
            "RD_ADDR": address,
            "WR_ADDR": self.plain(abits * ports),
            "WR_DATA": self.pick(width * ports),
            "WR_EN": tuple(enable),
            "WR_CLK": self.clock * ports,
        }
        self.cells.append(Cell(f"c{len(self.cells)}", "$mem_v2", params, given, {"RD_DATA": data}))

    @property
    def early(self):
        """Nets that no register's output is needed for: no loop through an asynchronous reset."""
        return [bit for v in self.signals.values() if v.direction == "input" for bit in v.bits][1:]

    def undriven(self):
        """A net that nothing drives."""
        self.nets += self.fresh(1, "floating")

    def graph(self, outputs):
        """The graph, with the nets `outputs` as output ports."""
        for n, bit in enumerate(outputs):
            self.signals[f"o{n}"] = Vector(f"o{n}", (bit,), direction="output")
        return Graph("top", self.signals, tuple(self.cells), self.initial)
