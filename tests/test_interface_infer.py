"""What names of ports say."""

import pytest

from openforge import interface_infer as infer


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out_valid", ("out", "valid")),
        ("oValidData", ("o", "valid", "data")),
        ("KEYIn2", ("key", "in", "2")),
        ("a__b", ("a", "b")),
        ("", ()),
    ],
)
def test_names_are_words(name, words):
    """Split at underscores, capitals and digits."""
    assert infer.tokens(name) == words


@pytest.mark.parametrize(
    ("names", "start"),
    [
        (["in_valid", "start", "start_inverse"], "start"),
        (["i_go", "req"], "i_go"),
        (["key_valid_in", "in_valid"], "key_valid_in"),
        (["s_axis_tvalid"], "s_axis_tvalid"),
        (["restart", "category", "invalid"], None),
        ([], None),
    ],
)
def test_the_start_is_found_by_name(names, start):
    """The best fit first, then the shorter name; parts of words do not count."""
    assert infer.best(names, infer.START) == start


@pytest.mark.parametrize(
    ("names", "done"),
    [
        (["ready", "out_valid", "done"], "done"),
        (["in_ready", "out_valid"], "out_valid"),
        (["in_ready"], None),
        (["dataValidOut"], "dataValidOut"),
        (["abandoned"], None),
    ],
)
def test_the_end_is_found_by_name(names, done):
    """What answers to an input is no end."""
    assert infer.best(filter(infer.ends, names), infer.DONE) == done


@pytest.mark.parametrize(
    ("name", "width", "seen"),
    [
        ("out_valid", 1, True),
        ("data_valid", 1, True),
        ("whatever", 1, True),  # to leave it out could hide a leak
        ("equal", 1, False),
        ("dout", 1, False),
        ("o_carry", 1, False),
        ("lt", 1, False),
        ("mem_addr", 12, True),
        ("wstrb", 4, True),
        ("fsm_state", 3, True),
        ("state_out", 128, False),
        ("rd_data", 32, False),
        ("data_addr", 8, True),
        ("valid_out", 2, True),
        ("result", 32, False),
        ("whatever", 8, False),
    ],
)
def test_control_is_observed(name, width, seen):
    """Control is, data is not; one bit is observed unless it says data."""
    found, why = infer.observable(name, width)
    assert found is seen
    assert why


def test_names_that_sound_secret():
    """Candidates are told from their control signals and public parts."""
    names = ["key_in", "key_valid", "public_key", "sk", "seed", "mask", "monkey", "msgIn"]
    assert infer.candidates(names) == ["key_in", "sk", "seed", "msgIn"]
