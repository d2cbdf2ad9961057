"""Leakage models against one byte at a time, as their titles say it."""

import numpy as np
import pytest

from openforge.analysis import aes
from openforge.analysis.leakage_models import MODELS, true_key

DRAW = np.random.default_rng(5)
KEY = DRAW.bytes(16)
PLAIN = DRAW.integers(0, 256, (40, 16), dtype=np.uint8)
STATES = aes.states(PLAIN, KEY)
CIPHER = STATES[-1]


def weight(*values):
    total = 0
    for value in values:
        total ^= int(value)
    return total.bit_count()


def data_for(model):
    data = {"plaintext": PLAIN, "ciphertext": CIPHER}[model.needs]
    return data[:, : model.positions]


def leaked(name, row, i):
    """What the cipher itself has in its registers, for the true key."""
    first, before, last = STATES[0][row], STATES[9][row], STATES[10][row]
    came_from = aes.SHIFT_ROWS[i]
    return {
        "aes128_first_round": weight(aes.SBOX[first[i]]),
        "aes128_first_round_hd": weight(first[i], aes.SBOX[first[i]]),
        "aes128_last_round": weight(before[came_from], last[came_from]),
        "aes128_last_round_hw": weight(before[came_from]),
        "aes_sbox": weight(aes.SBOX[first[i]]),
    }[name]


@pytest.mark.parametrize("name", MODELS)
def test_the_true_key_predicts_what_the_cipher_does(name):
    """At every position the column of the true guess is the real weight or distance."""
    model = MODELS[name]
    assert model.name == name and model.title
    for position in range(model.positions):
        column = model.hypotheses(data_for(model), position)[:, true_key(model, KEY, position)]
        assert column.tolist() == [leaked(name, row, position) for row in range(len(PLAIN))]


def test_every_byte_of_the_register_is_attacked_once():
    """The last round's register distance over all positions is that of the whole state."""
    model = MODELS["aes128_last_round"]
    total = sum(
        model.hypotheses(CIPHER, i)[:, true_key(model, KEY, i)].astype(int) for i in range(16)
    )
    assert (total == np.bitwise_count(STATES[9] ^ STATES[10]).sum(axis=1)).all()


def test_wrong_guesses_of_the_last_round():
    """Each guess of a row, computed from the definition."""
    rows = MODELS["aes128_last_round"].hypotheses(CIPHER[:1], 1)
    wanted = [weight(aes.INV_SBOX[int(CIPHER[0, 1]) ^ k], CIPHER[0, 5]) for k in range(256)]
    assert rows[0].tolist() == wanted


@pytest.mark.parametrize("name", MODELS)
def test_classes_and_predictions_fit(name):
    """Classes are in range, and predictions are uint8[n_classes, 256] that nobody can change."""
    model = MODELS[name]
    table = model.predictions(0)
    assert table.shape == (model.n_classes, 256) and table.dtype == np.uint8
    assert not table.flags.writeable and table.max() <= 8
    assert model.selector(data_for(model), 0).max() < model.n_classes


def test_one_byte_of_data():
    """The first-round models and the single S-box take it; the last round needs the block."""
    one = PLAIN[:, :1]
    first = MODELS["aes128_first_round"]
    assert first.available(1) == 1 and true_key(first, b"\x2b", 0) == 0x2B
    assert (MODELS["aes_sbox"].hypotheses(one, 0) == first.hypotheses(one, 0)).all()
    with pytest.raises(ValueError, match="no position 1 in 1 bytes"):
        first.selector(one, 1)
    for name in ("aes128_last_round", "aes128_last_round_hw"):
        with pytest.raises(ValueError, match="needs 16 bytes of ciphertext, not 1"):
            MODELS[name].selector(one, 0)


def test_what_does_not_fit_is_refused():
    """Data of another kind, positions and keys that are not there."""
    model = MODELS["aes_sbox"]
    with pytest.raises(ValueError, match=r"uint8\[n, k\]"):
        model.selector(PLAIN.astype(int), 0)
    with pytest.raises(ValueError, match="needs 1 to 1 bytes"):
        model.selector(PLAIN, 0)
    with pytest.raises(ValueError, match="positions 0 to 0"):
        model.predictions(1)
    with pytest.raises(ValueError, match="no key byte 1"):
        true_key(model, bytes(16), 1)
    with pytest.raises(ValueError, match="16 bytes"):
        true_key(MODELS["aes128_last_round"], bytes(1), 0)
