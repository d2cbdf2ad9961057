"""Histograms of traces: counting, merging in any order, and noise that is added to all traces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import special

from openforge.analysis.histograms import Histograms, merged, n_traces, of_traces, with_noise


def parts(n_samples=3):
    """Traces with labels, such that origins and numbers of bins differ."""
    return st.integers(0, 6).flatmap(
        lambda n: st.tuples(
            arrays.arrays(np.int64, (n, n_samples), elements=st.integers(-40, 40)),
            arrays.arrays(np.uint8, n, elements=st.integers(0, 1)),
        )
    )


def same(one, two):
    """Whether the bits are the same, and the layout."""
    return (
        np.array_equal(one.counts, two.counts)
        and np.array_equal(one.origin, two.origin)
        and one.counts.dtype == two.counts.dtype == np.uint64
        and one.step == two.step
    )


def as_dictionary(histograms):
    """All counts by class, sample and value, as plain numbers."""
    return {
        (kind, sample, int(histograms.origin[sample] + bin_)): int(count)
        for (kind, sample, bin_), count in np.ndenumerate(histograms.counts)
        if count
    }


@settings(max_examples=60, deadline=None)
@given(parts())
def test_traces_are_counted(part):
    """Every value of every trace is in its bin."""
    traces, labels = part
    expected = {}
    for row, label in zip(traces, labels, strict=True):
        for sample, value in enumerate(row):
            key = (int(label), sample, int(value))
            expected[key] = expected.get(key, 0) + 1
    assert as_dictionary(of_traces(traces, labels)) == expected


@settings(max_examples=80, deadline=None)
@given(parts(), parts(), parts())
def test_merging_gives_the_same_bits_in_any_order(one, two, three):
    """Order, grouping and padding do not matter, and the result is that of all the traces."""
    a, b, c = (of_traces(*part) for part in (one, two, three))
    padded = Histograms(np.pad(b.counts, ((0, 0), (0, 0), (2, 3))), b.origin - 2)
    whole = merged(merged(a, b), c)
    assert same(whole, merged(a, merged(b, c)))
    assert same(whole, merged(merged(c, a), padded))
    together = of_traces(
        np.concatenate([part[0] for part in (one, two, three)]),
        np.concatenate([part[1] for part in (one, two, three)]),
    )
    assert as_dictionary(whole) == as_dictionary(together)


def test_merging_is_exact_above_the_integers_of_floats():
    """Counts near 2^62 add as integers."""
    big = np.zeros((2, 1, 2), dtype=np.uint64)
    big[0, 0] = [2**62 + 1, 3]
    low = Histograms(big, np.array([5]))
    assert merged(low, low).counts[0, 0].tolist() == [2**63 + 2, 6]


def test_what_does_not_fit_is_not_merged():
    """Other samples and other steps are refused, and shapes that are no histograms."""
    a = of_traces([[1, 2]], [0])
    with pytest.raises(ValueError, match="2 samples against 1"):
        merged(a, of_traces([[1]], [0]))
    with pytest.raises(ValueError, match=r"a step of 1\.0 against 0\.5"):
        merged(a, Histograms(a.counts, a.origin, 0.5))
    with pytest.raises(ValueError, match="histograms of shape"):
        Histograms(a.counts[0], a.origin)
    with pytest.raises(ValueError, match="counts are int64"):
        Histograms(a.counts.astype(np.int64), a.origin)
    with pytest.raises(ValueError, match="a step of 0"):
        Histograms(a.counts, a.origin, 0)
    with pytest.raises(ValueError, match="neither 0"):
        of_traces([[1]], [2])
    with pytest.raises(ValueError, match="labels of shape"):
        of_traces([[1]], [0, 1])


def test_traces_are_told_by_class():
    """The number of traces; samples that disagree are refused."""
    h = of_traces([[1, 9], [2, 9], [3, 8]], [0, 1, 1])
    assert n_traces(h).tolist() == [1, 2]
    counts = h.counts.copy()
    counts[1, 0, 0] += np.uint64(1)
    with pytest.raises(ValueError, match="same number of traces"):
        n_traces(Histograms(counts, h.origin))


@pytest.mark.parametrize(("stddev", "finer"), [(0.3, 14), (2.5, 2), (40.0, 1)])
def test_noise_has_the_law_of_rounded_normal_noise(stddev, finer):
    """The counts of one value follow the normal law at each bin, by chi-square."""
    n = 10**12
    h = Histograms(np.full((2, 1, 1), n, dtype=np.uint64), np.array([7]))
    noisy = with_noise(h, stddev, seed=3)
    assert noisy.step == 1 / finer
    assert noisy.step <= stddev / 4
    assert n_traces(noisy).tolist() == [n, n]
    value = (noisy.origin[0] + np.arange(noisy.counts.shape[2])) * noisy.step - 7
    edges = np.append(value - noisy.step / 2, value[-1] + noisy.step / 2) / stddev
    expected = n * np.diff(special.ndtr(edges))
    usual = expected > 100
    for kind in (0, 1):
        seen = noisy.counts[kind, 0].astype(float)
        chi2 = ((seen - expected)[usual] ** 2 / expected[usual]).sum()
        assert special.chdtrc(usual.sum() - 1, chi2) > 1e-4
        assert special.chdtr(usual.sum() - 1, chi2) > 1e-4
        assert seen[~usual].sum() < expected[~usual].sum() + 100


def test_noise_adds_its_variance_to_every_trace():
    """Mean and variance are those of raw traces with noise, within their sampling errors."""
    draw = np.random.default_rng(5)
    traces = draw.integers(0, 12, (40_000, 2))
    noisy = with_noise(of_traces(traces, np.arange(40_000) % 2), 3.0, seed=1)
    value = (noisy.origin[:, None] + np.arange(noisy.counts.shape[2])) * noisy.step
    weights = noisy.counts.sum(axis=0) / 40_000
    mean = (weights * value).sum(axis=1)
    variance = (weights * (value - mean[:, None]) ** 2).sum(axis=1)
    assert mean == pytest.approx(traces.mean(axis=0), abs=5 * 3 / 200)
    assert variance == pytest.approx(traces.var(axis=0) + 9 + 0.75**2 / 12, abs=1.0)
    assert not np.array_equal(noisy.counts[0, 0], noisy.counts[0, 1])


def test_noise_depends_on_the_seed_and_not_on_padding():
    """The same seed gives the same noise, also with empty bins around; no noise changes nothing."""
    h = of_traces([[1, 5], [2, 9], [2, 9], [4, 5]], [0, 1, 0, 1])
    padded = Histograms(np.pad(h.counts, ((0, 0), (0, 0), (1, 4))), h.origin - 1)
    one, two, other = (with_noise(x, 2.0, s) for x, s in ((h, 1), (padded, 1), (h, 2)))
    assert as_dictionary(one) == as_dictionary(two) != as_dictionary(other)
    assert with_noise(h, 0, 1) is h
    with pytest.raises(ValueError, match="standard deviation of -1"):
        with_noise(h, -1, 1)
