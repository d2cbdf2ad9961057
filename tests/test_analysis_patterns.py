"""What comparisons with constants ask of the words that they look at."""

from openforge.analysis.cells import Cell, Graph, Vector
from openforge.analysis.patterns import Pattern, mined


def graph(*cells):
    """A graph with a word of 8 bits, nets 10 to 17, and another of 4, nets 20 to 23."""
    word = Vector("word", tuple(range(10, 18)), direction="input")
    other = Vector("other", tuple(range(20, 24)), direction="input")
    return Graph("top", {"word": word, "other": other}, cells)


def cell(kind, a, b=None):
    inputs = {"A": a} if b is None else {"A": a, "B": b}
    return Cell("c", kind, {}, inputs, {"Y": (99,)})


def test_an_equality_fixes_the_bits_where_they_are_in_their_word():
    """Bits 1, 2 and 5 of `word`, in an order of their own."""
    found = mined(graph(cell("$eq", (15, 11, 12), ("1", "1", "0"))))
    assert found == (Pattern(mask=0b100110, value=0b100010),)


def test_each_word_of_a_comparison_is_a_pattern():
    """One comparison of two signals with one constant, on the left."""
    found = mined(graph(cell("$ne", ("1", "0", "1", "1"), (10, 11, 22, 23))))
    assert set(found) == {Pattern(0b11, 0b01), Pattern(0b1100, 0b1100)}


def test_zero_and_ones_are_compared_with_too():
    """``!word`` and ``&word``."""
    found = mined(graph(cell("$logic_not", (10, 11)), cell("$reduce_and", (12, 13))))
    assert set(found) == {Pattern(0b11, 0), Pattern(0b1100, 0b1100)}


def test_what_says_nothing_is_no_pattern():
    """A single bit, two signals, other cells."""
    assert (
        mined(
            graph(
                cell("$eq", (10,), ("1",)),
                cell("$eq", (10, 11), (20, 21)),
                cell("$add", (10, 11), ("1", "0")),
            )
        )
        == ()
    )
