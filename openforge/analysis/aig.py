"""And-inverter graphs with structural hashing, and the word operators built on them.

A literal is ``2 * node + inverted``; literals 0 and 1 are the constants. Nodes are numbered so that
an AND comes after both of its fan-ins. A word is a list of literals, least significant bit first.

*Source:* A. Biere, "The AIGER And-Inverter Graph (AIG) Format", 2007; A. Kuehlmann et al., "Robust
Boolean reasoning for equivalence checking and functional property verification", IEEE TCAD 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

FALSE, TRUE = 0, 1
Word = list[int]


class Aig:
    """A growing graph. `fanins[node]` is a pair of literals for an AND, None for a variable."""

    def __init__(self) -> None:
        self.fanins: list[tuple[int, int] | None] = [None]
        self._known: dict[tuple[int, int], int] = {}

    def variable(self) -> int:
        """A new variable's literal."""
        self.fanins.append(None)
        return 2 * len(self.fanins) - 2

    def conj(self, a: int, b: int) -> int:
        """A and B, with one node for equal pairs."""
        if a > b:
            a, b = b, a
        if a <= TRUE or a ^ b <= 1:  # with a constant, with itself, with its complement
            return self._trivial(a, b)
        pair = (a, b)
        known = self._known.get(pair)
        if known is None:
            known = 2 * len(self.fanins)
            self.fanins.append(pair)
            self._known[pair] = known
        return known

    @staticmethod
    def _trivial(a: int, b: int) -> int:
        if a == FALSE or a == b ^ 1:
            return FALSE
        return b  # a is TRUE, or the same as b

    def disj(self, a: int, b: int) -> int:
        """A or B."""
        return self.conj(a ^ 1, b ^ 1) ^ 1

    def differ(self, a: int, b: int) -> int:
        """A xor B."""
        if a ^ b <= 1:
            return a ^ b
        if a <= TRUE or b <= TRUE:
            return a ^ b  # one of them is a constant
        return self.disj(self.conj(a, b ^ 1), self.conj(a ^ 1, b))

    def choose(self, select: int, then: int, other: int) -> int:
        """`then` if `select` else `other`."""
        if then == other:
            return then
        if then == other ^ 1:
            return self.differ(select, other)
        return self.disj(self.conj(select, then), self.conj(select ^ 1, other))

    def any_of(self, literals: Iterable[int]) -> int:
        """Whether one of `literals` holds, as a balanced tree."""
        return self._tree(self.disj, list(literals), FALSE)

    def all_of(self, literals: Iterable[int]) -> int:
        """Whether all of `literals` hold, as a balanced tree."""
        return self._tree(self.conj, list(literals), TRUE)

    def parity(self, literals: Iterable[int]) -> int:
        """The exclusive or of `literals`, as a balanced tree."""
        return self._tree(self.differ, list(literals), FALSE)

    def cone(self, roots: Iterable[int]) -> set[int]:
        """The nodes on which the literals `roots` depend, theirs among them."""
        nodes: set[int] = set()
        stack = [literal >> 1 for literal in roots]
        while stack:
            node = stack.pop()
            if node not in nodes:
                nodes.add(node)
                stack += [literal >> 1 for literal in self.fanins[node] or ()]
        return nodes

    @staticmethod
    def _tree(join: Callable[[int, int], int], literals: Word, empty: int) -> int:
        while len(literals) > 1:
            pairs = zip(literals[::2], literals[1::2], strict=False)
            rest = literals[-1:] if len(literals) % 2 else []
            literals = [join(a, b) for a, b in pairs] + rest
        return literals[0] if literals else empty

    def select(self, select: int, then: Sequence[int], other: Sequence[int]) -> Word:
        """The word `then` if `select` else `other`."""
        return [self.choose(select, a, b) for a, b in zip(then, other, strict=True)]

    def add(self, a: Sequence[int], b: Sequence[int], carry: int = FALSE) -> tuple[Word, int]:
        """A + B + `carry` and the carry out, for words of one width."""
        total = []
        for x, y in zip(a, b, strict=True):
            half = self.differ(x, y)
            total.append(self.differ(half, carry))
            carry = self.disj(self.conj(x, y), self.conj(half, carry))
        return total, carry

    def negative(self, a: Sequence[int]) -> Word:
        """The two's complement -A, of the same width."""
        return self.add([bit ^ 1 for bit in a], [FALSE] * len(a), TRUE)[0]

    def multiply(self, a: Sequence[int], b: Sequence[int]) -> Word:
        """A * B modulo 2**width, for words of one width: rows of adders."""
        total: Word = [FALSE] * len(a)
        for shift, bit in enumerate(b):
            row = [FALSE] * shift + [self.conj(bit, x) for x in a[: len(a) - shift]]
            if any(row):
                total, _ = self.add(total, row)
        return total

    def divide(self, a: Sequence[int], b: Sequence[int]) -> tuple[Word, Word]:
        """Quotient and remainder of unsigned words of one width, by restoring division.

        Says nothing useful for B = 0.
        """
        rest: Word = [FALSE] * len(a)
        quotient: Word = []
        for bit in reversed(a):
            trial = [bit, *rest]
            lower, carry = self.add(trial, [*(x ^ 1 for x in b), TRUE], TRUE)
            quotient.append(carry)
            rest = self.select(carry, lower, trial)[: len(a)]
        return quotient[::-1], rest

    def equal(self, a: Sequence[int], b: Sequence[int]) -> int:
        """Whether two words of one width are the same."""
        return self.all_of(self.differ(x, y) ^ 1 for x, y in zip(a, b, strict=True))

    def less(self, a: Sequence[int], b: Sequence[int], *, signed: bool) -> int:
        """Whether A < B, for words of one width."""
        left, right = list(a), list(b)
        if signed and left:  # as unsigned numbers, moved by half of the range
            left[-1], right[-1] = left[-1] ^ 1, right[-1] ^ 1
        return self.add(left, [bit ^ 1 for bit in right], TRUE)[1] ^ 1

    def shift(self, a: Sequence[int], amount: Sequence[int], *, left: bool, fill: int) -> Word:
        """A moved by an unsigned `amount`, of the same width; `fill` comes in."""
        width, word = len(a), list(a)
        for weight, bit in enumerate(amount):
            step = min(1 << weight, width) if weight < width.bit_length() + 1 else width
            new = [fill] * step
            moved = new + word[: width - step] if left else word[step:] + new
            word = self.select(bit, moved, word)
        return word
