"""Correlation power analysis against numpy's own correlation, and on simulated AES."""

import math

import numpy as np
import pytest
import scipy.stats

from openforge.analysis import aes, cpa
from openforge.analysis.leakage_models import MODELS, true_key

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
FIRST, LAST = MODELS["aes128_first_round"], MODELS["aes128_last_round"]


def slow(traces, hypotheses):
    """Pearson's correlation, one guess and sample at a time; 0 where nothing varies."""
    found = np.zeros((hypotheses.shape[1], traces.shape[1]))
    for guess, sample in np.ndindex(found.shape):
        h, x = hypotheses[:, guess].astype(float), traces[:, sample].astype(float)
        if h.std() > 0 and x.std() > 0:
            found[guess, sample] = np.corrcoef(h, x)[0, 1]
    return found


def summed(traces, classes, n_classes):
    sums = cpa.Sums(n_classes, traces.shape[1], integers=traces.dtype.kind != "f")
    sums.add(traces, classes)
    return sums


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.uint8, 200, 256),
        (np.int8, -128, 128),
        (np.uint16, 60_000, 65_536),
        (np.int16, -(1 << 15), 1 << 15),
        (np.int64, 1_000_000, 1_000_900),
        (np.bool_, 0, 2),
        (np.float32, 0, 256),
        (np.float64, -5, 900),
    ],
)
@pytest.mark.parametrize("n_classes", [3, 700])
def test_equals_numpys_correlation(dtype, low, high, n_classes):
    """All kinds of traces, with classes that overflow narrow sums and classes without traces."""
    draw = np.random.default_rng(7)
    traces = draw.integers(low, high, (900, 4)).astype(dtype)
    traces[:, 2] = 0.1 if dtype is np.float64 else traces[0, 2]
    classes = draw.integers(0, n_classes, 900)
    predictions = draw.normal(size=(n_classes, 5))
    predictions[:, 3] = 0.1
    found = cpa.correlations(summed(traces, classes, n_classes), predictions)
    assert np.abs(found - slow(traces, predictions[classes])).max() < 1e-9
    assert not found[3].any() and not found[:, 2].any()


def test_sums_are_exact_in_any_order():
    """Chunks, merged in another order, give the same bits, and those of Python's integers."""
    draw = np.random.default_rng(8)
    traces = draw.integers(0, 1 << 16, (500, 3), dtype=np.uint16)
    classes = draw.integers(0, 4, 500)
    whole = summed(traces, classes, 4)
    parts = [summed(traces[a:b], classes[a:b], 4) for a, b in ((400, 500), (0, 37), (37, 400))]
    merged = parts[0].merged(parts[1]).merged(parts[2])
    for name in ("counts", "sums", "total", "squares"):
        assert (getattr(whole, name) == getattr(merged, name)).all()
    assert whole.squares.tolist() == [sum(int(x) ** 2 for x in column) for column in traces.T]
    assert whole.sums[2, 1] == sum(int(x) for x in traces[classes == 2, 1])


def test_long_runs_of_traces_are_split(monkeypatch):
    """A table larger than a block is added in blocks, to the same sums."""
    draw = np.random.default_rng(9)
    traces, classes = draw.integers(0, 256, (300, 7), dtype=np.uint8), draw.integers(0, 9, 300)
    whole = summed(traces, classes, 9)
    monkeypatch.setattr("openforge.analysis.snr._BLOCK_VALUES", 70)
    split = summed(traces, classes, 9)
    assert (whole.sums == split.sums).all() and (whole.squares == split.squares).all()


def test_what_cannot_be_summed_is_refused():
    """Wrong shapes, classes out of range, numbers too large for exact sums, NaN."""
    sums, some = cpa.Sums(4, 2), np.zeros((3, 2), dtype=np.uint8)
    for traces, classes, message in (
        (some, np.zeros(2, dtype=int), "3 classes"),
        (some, np.array([0, 1, 4]), "0 to 3"),
        (some, np.array([0, 1, -1]), "0 to 3"),
        (some[:, :1], np.zeros(3, dtype=int), "cannot take"),
        (some.astype(float), np.zeros(3, dtype=int), "cannot take"),
        (some[0], np.zeros(2, dtype=int), "real numbers"),
        (some + np.int64(1 << 31), np.zeros(3, dtype=int), "exact sums"),
        (some + math.nan, np.zeros(3, dtype=int), "not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            sums.add(traces, classes)
    large = np.full((1, 2), 3 << 30)
    sums = summed(large[:0], np.zeros(0, dtype=int), 4)
    sums.add(large // 2, np.zeros(1, dtype=int))
    with pytest.raises(ValueError, match="exact sums"):
        for _ in range(4):
            sums.add(large // 2, np.zeros(1, dtype=int))
    with pytest.raises(ValueError, match="cannot be merged"):
        sums.merged(cpa.Sums(5, 2))
    with pytest.raises(ValueError, match="predictions are to be"):
        cpa.correlations(sums, np.zeros((5, 2)))


def test_no_traces_have_no_correlation():
    """Nothing added, and one trace: zero, and no NaN."""
    sums = cpa.Sums(256, 3)
    assert not cpa.correlations(sums, FIRST.predictions(0)).any()
    sums.add(np.ones((1, 3), dtype=np.uint8), np.array([7]))
    assert not cpa.correlations(sums, FIRST.predictions(0)).any()


def test_rank_counts_ties_against_the_true_guess():
    """A guess that is as good takes the first place; the sign does not matter."""
    table = np.array([[0.1, 0.2], [-0.5, 0.0], [0.5, 0.1], [0.0, 0.3]])
    assert cpa.rank(table, 2) == cpa.Rank(1, 0.5, 0, 1, 0.5, 0.5)
    assert cpa.rank(table, 3).rank == 2
    table[1, 0] = -0.6
    assert cpa.rank(table, 1) == cpa.Rank(1, 0.6, 0, 0, 0.6, 0.5)
    assert cpa.rank(np.zeros((256, 3)), 0).rank == 255


def test_significance_is_never_bolder_than_the_exact_tail():
    """Student's t for Pearson's r, and the normal tail for many traces."""
    for n in (4, 10, 100, 5000):
        for r in (0.01, 0.2, 0.7, 0.99):
            t = r * math.sqrt((n - 2) / (1 - r * r))
            exact = 2 * scipy.stats.t.sf(t, n - 2)
            fisher = 2 * scipy.stats.norm.sf(math.atanh(r) * math.sqrt(n - 3))
            if fisher > 1e-300:
                assert cpa.significance(r, n, 1) >= math.log10(fisher) - 1e-9
            if exact > 1e-300:
                assert cpa.significance(-r, n, 1) >= math.log10(exact) - 1e-9
    assert cpa.significance(0.05, 10_000, 1) == pytest.approx(-6.24, abs=0.08)
    assert cpa.significance(0.05, 10_000, 1000) == pytest.approx(-3.24, abs=0.08)
    assert cpa.significance(0.5, 10**6, 1) == pytest.approx(-62_469, rel=1e-3)
    assert cpa.significance(0.999, 3, 1) == cpa.significance(0.0, 100, 5) == 0.0
    assert -math.inf < cpa.significance(1.0, 100, 1) < -100
    with pytest.raises(ValueError, match="at least one test"):
        cpa.significance(0.5, 100, 0)


def leaky(n, noise, seed=3):
    """One sample for each S-box output, with noise, in 16 bits; their plaintexts."""
    draw = np.random.default_rng(seed)
    plain = draw.integers(0, 256, (n, 16), dtype=np.uint8)
    weights = np.bitwise_count(aes.SBOX[aes.states(plain, KEY)[0]])
    return np.rint(5000 + 100 * (weights + draw.normal(0, noise, (n, 16)))).astype(np.uint16), plain


def test_the_key_of_a_leaky_cipher_is_recovered():
    """All 16 bytes, each at its own sample; more traces are needed than the first checkpoint."""
    traces, plain = leaky(1500, noise=3)
    chunks = [(traces[a : a + 400], plain[a : a + 400]) for a in range(0, 1500, 400)]
    rows = list(cpa.evolution(chunks, cpa.targets(FIRST, KEY, 16), [5, 500, 9999]))
    assert [row.traces for row in rows] == [5] * 16 + [500] * 16 + [1500] * 16
    assert any(row.rank for row in rows[:16])
    for row in rows[-16:]:
        assert (row.rank, row.best_guess) == (0, KEY[row.position])
        assert row.true_r > row.wrong_r
        assert cpa.significance(row.true_r, row.traces, 256 * 16) < -10
    slowly = slow(traces[:, 4:5], FIRST.hypotheses(plain, 4))
    assert rows[-12].true_r >= abs(slowly[KEY[4], 0]) - 1e-9


def test_a_checkpoint_at_the_end_is_told_once():
    """The last row is about all traces, also where no checkpoint is there."""
    traces, plain = leaky(200, noise=1)
    target = cpa.targets(FIRST, KEY, 16)[:1]
    for marks in ([200, 50], [50, 0]):
        rows = cpa.evolution([(traces, plain)], target, marks)
        assert [row.traces for row in rows] == [50, 200]
    with pytest.raises(ValueError, match="200 traces came with 199"):
        list(cpa.evolution([(traces, plain[:-1])], target, []))


def test_chance_is_not_significant():
    """The best of 256 x 50 correlations of random traces, ten times: none is below 1 in 1000."""
    draw = np.random.default_rng(11)
    for _ in range(10):
        traces = draw.integers(0, 256, (400, 50), dtype=np.uint8)
        sums = summed(traces, draw.integers(0, 256, 400), 256)
        best = cpa.rank(cpa.correlations(sums, FIRST.predictions(0)), 0)
        assert cpa.significance(best.best_r, 400, 256 * 50) > -3
        assert cpa.significance(best.best_r, 400, 1) < -3  # without the correction it would seem so


def test_the_last_round_key_is_recovered_from_the_register():
    """The distance of the whole state register, as a design with one round a cycle has it."""
    plain = np.random.default_rng(4).integers(0, 256, (6000, 16), dtype=np.uint8)
    states = aes.states(plain, KEY)
    traces = np.bitwise_count(states[9] ^ states[10]).sum(axis=1, dtype=np.uint8)[:, None]
    found = []
    for target in cpa.targets(LAST, KEY, 16):
        sums = summed(traces, target.classes(states[10]), LAST.n_classes)
        place = cpa.rank(cpa.correlations(sums, target.predictions), target.true_guess)
        assert cpa.significance(place.true_r, 6000, 256) < -10
        found.append(place.best_guess)
    assert bytes(found) == bytes(true_key(LAST, KEY, i) for i in range(16))
    assert aes.key_from_last_round(bytes(found)).tobytes() == KEY
