"""The t-tests of orders 1 to 3: against raw traces, exact p-values, and calibration."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from openforge.analysis.histograms import Histograms, merged, of_traces, with_noise
from openforge.analysis.welch import Moments, _ln_student, moments_of, t_from_moments, t_values


def slow(traces, labels, order):
    """Welch's t and degrees of freedom of raw traces: two passes in float64, by scipy."""
    processed = []
    for kind in (0, 1):
        x = traces[labels == kind].astype(np.float64)
        if order > 1:
            x = x - x.mean(axis=0)
        if order > 2:
            x = x / x.std(axis=0)
        processed.append(x**order)
    answer = stats.ttest_ind(*processed, equal_var=False)
    return answer.statistic, answer.df, answer.pvalue


def made(seed, n=4000, n_samples=6):
    """Traces that are about normal, with leaks of all orders, and classes of unequal size."""
    draw = np.random.default_rng(seed)
    labels = (draw.random(n) < 0.3).astype(np.uint8)
    traces = draw.normal(500, 9, (n, n_samples))
    traces[labels == 1, 1] += 1
    traces[labels == 1, 2] *= 1.01
    traces[labels == 1, 3] = 500 + 9 * draw.gamma(9, 1 / 3, (labels == 1).sum())
    return np.round(traces).astype(np.int64), labels


@pytest.mark.parametrize("order", [1, 2, 3])
def test_t_equals_that_of_raw_traces(order):
    """t and degrees of freedom to 1e-9, p to 1e-8."""
    for seed in range(5):
        traces, labels = made(seed)
        answer = t_values(of_traces(traces, labels), [order])
        t, dof, p = slow(traces, labels, order)
        assert answer.t[0] == pytest.approx(t, rel=1e-9, abs=1e-10)
        assert answer.dof[0] == pytest.approx(dof, rel=1e-9)
        usual = p > 1e-280
        expected = -np.log10(p[usual])
        if order == 3:
            assert answer.log10_p[0][usual] == pytest.approx(expected, rel=1e-8, abs=1e-9)
        assert (answer.log10_p[0][usual] <= expected * (1 + 1e-8) + 1e-9).all()
        assert not answer.degenerate.any()


def test_orders_step_and_many_traces_at_once():
    """The orders come as asked for; the step scales nothing but the moments; 10^12 traces work."""
    traces, labels = made(9)
    h = of_traces(traces, labels)
    usual = t_values(h, (3, 1))
    assert usual.orders == (3, 1)
    scaled = t_values(Histograms(h.counts, h.origin + 10**6, 0.25), (3, 1))
    assert scaled.t == pytest.approx(usual.t, rel=1e-7)
    many = Histograms(h.counts * np.uint64(10**8), h.origin)
    assert t_values(many, (3, 1)).t == pytest.approx(1e4 * usual.t, rel=1e-3)


def test_moments_are_those_of_numpy():
    """The mean and central moments 2 to 6, of each class and sample."""
    traces, labels = made(2)
    moments = moments_of(of_traces(traces, labels))
    for kind in (0, 1):
        x = traces[labels == kind].astype(np.float64)
        assert moments.n[kind] == len(x)
        assert moments.mean[kind] == pytest.approx(x.mean(axis=0), rel=1e-14)
        for k in range(2, 7):
            expected = ((x - x.mean(axis=0)) ** k).mean(axis=0)
            scale = (np.abs(x - x.mean(axis=0)) ** k).mean(axis=0)
            assert (np.abs(moments.central[kind, k - 2] - expected) < 1e-12 * scale).all()


def test_published_example_of_welch():
    """Welch's test of NIST's AUTO83B (US and Japanese cars): t = -12.9463, dof = 136.8750."""
    # sizes, means and standard deviations of the NIST/SEMATECH e-Handbook, section 1.3.5.3
    n, mean = np.array([249, 79]), np.array([[20.14458], [30.48101]])
    stddev = np.array([6.414700, 6.107710])
    central = np.zeros((2, 5, 1))
    central[:, 0, 0] = stddev**2 * (n - 1) / n
    answer = t_from_moments(Moments(n, mean, central), [1])
    assert answer.t[0, 0] == pytest.approx(-12.94627, abs=1e-4)
    assert answer.dof[0, 0] == pytest.approx(136.87499, abs=1e-3)


def test_p_of_any_size():
    """Closed forms (dof 1 and 2), the normal law's asymptote, and values of 60-digit arithmetic."""
    t = np.array([1e-3, 1.0, 4.5, 1e3, 1e8, 1e100])
    one = np.log10(2 / np.pi * np.arctan(1 / t))
    assert _ln_student(t, np.ones(6)) / math.log(10) == pytest.approx(one, rel=1e-9, abs=1e-12)
    two = np.array([2 / (2 + x * x + x * math.sqrt(2 + x * x)) for x in t[:5]])
    assert _ln_student(t[:5], np.full(5, 2.0)) == pytest.approx(np.log(two), rel=1e-9, abs=1e-12)
    normal = stats.norm.logsf([4.5, 37.0, 60.0, 1000.0]) + math.log(2)
    huge = _ln_student(np.array([4.5, 37.0, 60.0, 1000.0]), np.full(4, 1e15))
    assert huge == pytest.approx(normal, rel=1e-6)
    published = _ln_student(np.array([1000.0]), np.array([1000.0])) / math.log(10)
    assert published == pytest.approx(-1501.8149906464637, rel=1e-12)


@pytest.mark.parametrize("dof", [3.0, 200.0, 1e6])
def test_p_has_no_step_where_the_series_begins(dof):
    """Around p = 1e-280, ln p falls smoothly."""
    low, high = 1.0, 1e100
    for _ in range(400):
        middle = math.sqrt(low * high)
        ln_p = _ln_student(np.array([middle]), np.array([dof]))[0]
        low, high = (middle, high) if ln_p > -280 * math.log(10) else (low, middle)
    t = low * (1 + np.arange(-10, 11) * 1e-6)
    second = np.diff(_ln_student(t, np.full(21, dof)), 2)
    assert np.abs(second).max() < 1e-7


def test_constant_classes():
    """Equal constants say nothing; different ones are a leak, the surer the more traces."""
    labels = np.arange(1000) % 2
    answer = t_values(
        of_traces(np.stack([np.full(1000, 5), 5 + labels], axis=1), labels), [1, 2, 3]
    )
    assert answer.degenerate.all()
    assert answer.t[:, 0].tolist() == [0, 0, 0]
    assert answer.log10_p[:, 0].tolist() == [0, 0, 0]
    assert answer.log10_p[0, 1] == pytest.approx(math.log10(math.comb(1000, 500)) - math.log10(2))
    assert answer.t[0, 1] < -30
    assert answer.t[1:, 1].tolist() == [0, 0]  # neither variances nor skewnesses differ
    few = t_values(of_traces([[1], [1], [2], [2]], [1, 1, 0, 0]), [1])
    assert few.log10_p[0, 0] == pytest.approx(math.log10(3))
    assert 0 < few.t[0, 0] < 1
    large = Histograms(
        np.array([[[10**12, 0]], [[0, 10**12]]], dtype=np.uint64), np.zeros(1, np.int64)
    )
    json.dumps(t_values(large, [1, 2, 3]).t.tolist(), allow_nan=False)


def test_constant_squares_are_not_divided_by_rounding():
    """Fair values of two kinds have squares without variance: equal ones, and different ones."""
    labels = np.repeat([0, 1], 600)
    bit = np.arange(1200) % 2
    traces = np.stack([3 * bit, bit * (1 + 2 * labels)], axis=1)
    answer = t_values(of_traces(traces, labels), [2])
    assert answer.degenerate.tolist() == [[True, True]]
    assert answer.t[0, 0] == 0
    separated = math.log10(math.comb(1200, 600)) / 2 - math.log10(2)
    assert answer.log10_p[0, 1] == pytest.approx(separated)
    for n in (10**9 + 1, 3 * 10**9 + 7, 7 * 10**11 + 3):  # not quite half and half
        counts = np.zeros((2, 1, 4), dtype=np.uint64)
        counts[0, 0, [0, 1]] = counts[1, 0, [0, 3]] = [n // 2, n // 2 + 1]
        assert t_values(Histograms(counts, np.zeros(1, np.int64)), [2]).degenerate.all()


def test_rounding_is_no_variance():
    """A variance of the squares that is one unit in the last place of its terms counts as none."""
    central = np.zeros((2, 5, 1))
    central[:, 0, 0], central[:, 2, 0] = [0.25, 2.25], np.nextafter([0.0625, 5.0625], 9)
    answer = t_from_moments(Moments(np.array([40, 40]), np.zeros((2, 1)), central), [2])
    assert answer.degenerate.all()
    assert answer.log10_p[0, 0] < 12


def test_one_constant_class_is_tested_by_the_other():
    """Rare values in one class only are weak evidence, as they should be; no division by zero."""
    traces = np.zeros((2000, 1), dtype=np.int64)
    traces[:3] = 1
    answer = t_values(of_traces(traces, np.repeat([0, 1], 1000)), [1, 2, 3])
    assert not answer.degenerate.any()
    assert (answer.log10_p > 0.9).all()
    assert (answer.log10_p < 2).all()


def test_other_orders_and_too_few_traces_are_refused():
    """Order 4, and a class with one trace or none."""
    h = of_traces([[1], [2], [3]], [0, 0, 1])
    with pytest.raises(ValueError, match="with"):
        t_values(h, [1])
    with pytest.raises(ValueError, match="orders"):
        t_values(merged(h, h), [4])
    with pytest.raises(ValueError, match="no usable moments"):
        t_values(of_traces([[1]], [0]), [1])


LAWS = {
    "normal": lambda draw, shape: np.round(draw.normal(100, 6, shape)),
    "fair bit": lambda draw, shape: draw.integers(0, 2, shape),
    "biased bit": lambda draw, shape: draw.random(shape) < 0.2,
    "dice": lambda draw, shape: draw.integers(0, 6, shape),
}


@pytest.mark.parametrize("law", list(LAWS))
def test_null_traces_are_not_called_leaks(law):
    """Without a leak, p <= 0.01 happens in 1 % of 2000 samples, or less, at every order."""
    traces = LAWS[law](np.random.default_rng(11), (600, 2000)).astype(np.int64)
    answer = t_values(of_traces(traces, np.arange(600) % 2), [1, 2, 3])
    limit = 0.01 + 5 * math.sqrt(0.01 * 0.99 / 2000)
    assert ((answer.log10_p >= 2).mean(axis=1) <= limit).all()
    if law == "normal":
        assert (answer.log10_p[:2] >= 2).mean() > 0.004


def test_order_three_of_a_fair_bit_needs_the_true_variance():
    """With the published variance alone, t of a fair bit would have a standard deviation of 2."""
    traces = np.random.default_rng(4).integers(0, 2, (600, 1500))
    labels = np.arange(600) % 2
    published = slow(traces, labels, 3)[0]
    ours = t_values(of_traces(traces, labels), [3]).t[0]
    assert published.std() == pytest.approx(2, abs=0.15)
    assert ours.std() == pytest.approx(1, abs=0.08)


def test_order_three_has_the_variance_of_the_skewness_of_a_bit():
    """For bits with probability p, the square of the skewness's slope times p (1 - p)."""
    n, p = np.array([5000, 9000]), np.array([0.4, 0.3])
    counts = np.zeros((2, 1, 2), dtype=np.uint64)
    counts[:, 0, 1] = np.round(n * p)
    counts[:, 0, 0] = n - np.round(n * p)
    q = p * (1 - p)
    skewness = (1 - 2 * p) / np.sqrt(q)
    slope = -2 / np.sqrt(q) - (1 - 2 * p) ** 2 / (2 * q**1.5)
    expected = (skewness[0] - skewness[1]) / math.sqrt((slope**2 * q / (n - 1)).sum())
    answer = t_values(Histograms(counts, np.zeros(1, np.int64)), [3])
    assert answer.t[0, 0] == pytest.approx(expected, rel=1e-9)


def test_noise_hides_a_leak_as_it_should():
    """With noise of 10 standard deviations, t falls by the expected factor."""
    draw = np.random.default_rng(6)
    labels = np.arange(100_000) % 2
    h = of_traces(np.round(draw.normal(50, 5, (100_000, 1)) + labels[:, None]), labels)
    clean, noisy = (abs(t_values(x, [1]).t[0, 0]) for x in (h, with_noise(h, 50.0, 1)))
    assert clean / noisy == pytest.approx(math.sqrt(101), rel=0.6)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n", [16, 64])
def test_two_values_are_not_rejected_more_often_than_stated(order, n):
    """All outcomes of both classes with their probabilities, whatever the common law is."""
    ones = np.arange(n + 1)
    counts = np.zeros((2, (n + 1) ** 2, 2), np.uint64)
    first, second = (grid.reshape(-1) for grid in np.meshgrid(ones, ones, indexing="ij"))
    for label, found in enumerate((first, second)):
        counts[label, :, 0], counts[label, :, 1] = n - found, found
    histograms = Histograms(counts, np.zeros((n + 1) ** 2, np.int64))
    log10_p = t_values(histograms, [order]).log10_p[0]
    for share in (0.05, 0.2, 0.35, 0.5, 0.65, 0.9):
        law = stats.binom.pmf(ones, n, share)
        weight = law[first] * law[second]
        for level in (6.8e-6, 1e-7, 1e-9):  # those that matter; Welch's p is 3 to 10^6 times off
            assert weight[log10_p > -np.log10(level)].sum() <= level
