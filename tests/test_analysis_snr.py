"""The signal-to-noise ratio against its definition and on data whose ratio is known."""

import numpy as np
import pytest

from openforge.analysis import snr


def moments(traces, classes, n_classes):
    found = snr.Moments(n_classes, traces.shape[1], integers=traces.dtype.kind != "f")
    found.add(traces, classes)
    return found


def slow(traces, classes, n_classes):
    """(corrected, plain) of one sample from the definition."""
    groups = [traces[classes == c].astype(float) for c in range(n_classes)]
    groups = [g for g in groups if len(g) > 1]
    means = [g.mean() for g in groups]
    within = [g.var(ddof=1) for g in groups]
    error = np.mean([v / len(g) for v, g in zip(within, groups, strict=True)])
    plain = np.var(means) / np.mean([g.var() for g in groups])
    return (np.var(means, ddof=1) - error) / np.mean(within), plain


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
def test_equals_the_definition(dtype):
    """Unequal classes, one of them empty and one with a single trace."""
    draw = np.random.default_rng(1)
    top = 120 if dtype is np.uint8 else 30_000
    classes = draw.choice(6, 700, p=[0.6, 0.2, 0.1, 0.05, 0.05, 0])
    classes[classes == 4] = 3
    classes[0] = 4
    traces = (draw.integers(0, top, (700, 3)) + 9 * classes[:, None]).astype(dtype)
    found = snr.ratio(moments(traces, classes, 6))
    for sample in range(3):
        corrected, plain = slow(traces[:, sample], classes, 6)
        assert found.corrected[sample] == pytest.approx(corrected, rel=1e-9, abs=1e-12)
        assert found.plain[sample] == pytest.approx(plain, rel=1e-9)
    assert (found.used, found.single, found.empty) == (4, 1, 1)
    assert not found.noiseless.any()


def test_the_known_ratio_is_found():
    """Weights of a byte have a variance of 2; noise of variance 8 makes the ratio 1/4."""
    draw = np.random.default_rng(2)
    classes = draw.integers(0, 256, 200_000)
    level = 100.0 * np.bitwise_count(classes)
    traces = np.rint(2000 + level + draw.normal(0, 100 * 8**0.5, 200_000)).astype(np.uint16)
    found = snr.ratio(moments(traces[:, None], classes, 256))
    assert found.corrected[0] == pytest.approx(0.25, rel=0.02)
    assert found.noise[0] == pytest.approx(80_000, rel=0.02)


def test_without_a_signal_the_corrected_ratio_is_about_zero():
    """The plain one is one over the number of traces of a class, whatever there is."""
    draw = np.random.default_rng(3)
    traces, classes = draw.integers(0, 256, (2560, 200), dtype=np.uint8), np.arange(2560) % 256
    found = snr.ratio(moments(traces, classes, 256))
    assert abs(found.corrected.mean()) < 0.002
    assert (found.corrected < 0).mean() == pytest.approx(0.5, abs=0.15)
    assert found.plain.mean() == pytest.approx(1 / 9, rel=0.05)


def test_no_noise_is_said_and_is_no_nan():
    """Inf where only the class decides, 0 where nothing varies; also with floats like 0.3."""
    classes = np.arange(60) % 10
    for one in (np.uint8(3), 0.3):
        traces = np.stack([classes * one, np.full(60, one), np.arange(60) * one], axis=1)
        found = snr.ratio(moments(traces, classes, 10))
        assert found.corrected[:2].tolist() == found.plain[:2].tolist() == [np.inf, 0.0]
        assert found.noiseless.tolist() == [True, True, False]
        assert np.isfinite(found.corrected[2])


def test_too_few_classes_give_no_ratio():
    """Nothing added, or one class only: zeros, and the counts say so."""
    for n, counts in ((0, (0, 0, 4)), (9, (1, 0, 3)), (1, (0, 1, 3))):
        traces = np.arange(2 * n, dtype=np.uint8).reshape(n, 2)
        found = snr.ratio(moments(traces, np.zeros(n, dtype=int), 4))
        assert found.corrected.tolist() == [0.0, 0.0]
        assert (found.used, found.single, found.empty) == counts


def test_moments_are_exact_in_any_order():
    """Merged parts equal the whole, bit for bit, and variances of large numbers keep all digits."""
    draw = np.random.default_rng(4)
    traces = (65_000 + draw.integers(0, 2, (3000, 2))).astype(np.uint16)
    classes = draw.integers(0, 3, 3000)
    whole = moments(traces, classes, 3)
    parts = [moments(traces[a:b], classes[a:b], 3) for a, b in ((900, 3000), (0, 900))]
    merged = parts[0].merged(parts[1])
    for name in ("counts", "sums", "squares"):
        assert (getattr(whole, name) == getattr(merged, name)).all()
    found, low = snr.ratio(whole), snr.ratio(moments(traces - 65_000, classes, 3))
    assert found.noise.tolist() == low.noise.tolist()


def test_variances_beyond_64_bits_are_exact():
    """Half of 2^24 values 0, the other half 65535: n^2 times the variance needs 78 bits."""
    half, high = 1 << 23, 65_535
    total, squares = np.array([half * high]), np.array([half * high**2])
    assert snr.scatter(2 * half, total, squares).tolist() == [float((half * high) ** 2)]


def test_what_does_not_fit_is_refused():
    """Other samples, kinds, classes and numbers too large to be exact."""
    one = snr.Moments(3, 2)
    for traces, message in (
        (np.zeros((4, 3), dtype=np.uint8), "3 samples"),
        (np.zeros((4, 2)), "float64"),
        (np.full((4, 2), 1 << 32), "exact sums"),
    ):
        with pytest.raises(ValueError, match=message):
            one.add(traces, np.zeros(4, dtype=int))
    with pytest.raises(ValueError, match="exact sums"):
        for _ in range(3):
            one.add(np.full((1, 2), 1 << 31), np.zeros(1, dtype=int))
    with pytest.raises(ValueError, match="0 to 2"):
        one.add(np.zeros((1, 2), dtype=np.uint8), np.array([3]))
    with pytest.raises(ValueError, match="cannot be merged"):
        one.merged(snr.Moments(3, 1))
