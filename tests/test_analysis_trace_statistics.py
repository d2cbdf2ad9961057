"""Statistics of stored traces: exact, of any split, compiled or not; and Welch's t from them."""

from fractions import Fraction

import numpy as np
import pytest
from conftest import needs_compiled

from openforge import native
from openforge.analysis import trace_statistics as statistics
from openforge.analysis import trace_sums
from openforge.analysis.trace_statistics import collect, merge, moments, of_chunks
from openforge.analysis.welch import t_from_moments
from openforge.errors import OpenForgeError

INTEGERS = ("uint8", "uint16", "int16")


def recording(dtype, n=700, n_samples=71, seed=4):
    """Random traces over all values of the dtype, with columns of extremes and constants."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n).astype(np.uint8)
    if dtype == "float32":
        return (rng.normal(5, 0.1, (n, n_samples)) ** 3).astype(dtype), labels
    limits = np.iinfo(dtype)
    traces = rng.integers(limits.min, limits.max + 1, (n, n_samples)).astype(dtype)
    traces[:, 0], traces[:, 1], traces[:, 2] = limits.min, limits.max, 128
    return traces, labels


def slow(traces, labels):
    """Means and central moments of both classes, in two passes."""
    means, central = [], []
    for label in (0, 1):
        x = traces[labels == label].astype(np.longdouble)
        means.append(x.mean(axis=0))
        central.append([((x - means[-1]) ** k).mean(axis=0) for k in range(2, 7)])
    return np.array(means, float), np.array(central, float)


def bits(found):
    """All of some exact sums, to be compared."""
    return [found.n.tolist(), found.high.tolist(), found.low.tolist(), found.centre]


@pytest.fixture
def compiled():
    """The compiled part; a test of it is skipped where it was not built."""
    return needs_compiled()


@pytest.fixture(params=["compiled", "numpy"])
def either(request, monkeypatch):
    """With the compiled part and without it."""
    if request.param == "numpy":
        monkeypatch.setattr(native, "library", lambda: None)
    else:
        request.getfixturevalue("compiled")


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("dtype", statistics.DTYPES)
def test_moments_are_those_of_a_slow_two_pass_computation(dtype):
    """Up to the sixth, relative to the power of the standard deviation."""
    traces, labels = recording(dtype)
    found = moments(collect(traces, labels))
    mean, central = slow(traces, labels)
    assert found.n.tolist() == np.bincount(labels).tolist()
    np.testing.assert_allclose(found.mean, mean, rtol=1e-13)
    scale = np.maximum(central[:, :1], 1e-30) ** (np.arange(2, 7)[:, None] / 2)
    assert (np.abs(found.central - central) / scale)[:, :, 3:].max() < 1e-10
    if dtype != "float32":
        assert (found.central[:, :, :3] == 0).all()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("dtype", statistics.DTYPES)
def test_t_is_that_of_the_preprocessed_traces(dtype):
    """Orders 1 to 3, against Welch's t of the traces themselves, to 1e-9."""
    traces, labels = recording(dtype)
    traces = traces[:, 3:]
    found = t_from_moments(moments(collect(traces, labels)), (1, 2, 3)).t
    parts = [traces[labels == label].astype(float) for label in (0, 1)]
    for order in (1, 2, 3):
        values = [
            x if order == 1 else ((x - x.mean(0)) / (x.std(0) if order == 3 else 1)) ** order
            for x in parts
        ]
        spread = sum(v.var(0, ddof=1) / len(v) for v in values)
        t = (values[0].mean(0) - values[1].mean(0)) / np.sqrt(spread)
        np.testing.assert_allclose(found[order - 1], t, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_compiled_and_numpy_sums_are_the_same_integers(compiled, monkeypatch, dtype, order):
    """Also for lengths that fill no vector, and single traces."""
    for n, n_samples in ((700, 71), (1, 1), (2, 15), (61, 64), (121, 129)):
        traces, labels = recording(dtype, n, n_samples + 2)
        traces = traces[:, 2:]
        fast = bits(collect(traces, labels, order=order))
        with monkeypatch.context() as patch:
            patch.setattr(native, "library", lambda: None)
            assert bits(collect(traces, labels, order=order)) == fast


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("dtype", INTEGERS)
def test_any_split_order_and_number_of_threads_gives_the_same_bits(dtype):
    """Chunks of several sizes, reversed, and on one or three threads."""
    traces, labels = recording(dtype)
    whole = bits(collect(traces, labels, threads=1))
    for size in (7, 60, 123, 699):
        found = collect(traces[:0], labels[:0])
        for at in range(0, len(traces), size):
            part = slice(at, at + size)
            found = merge(collect(traces[part], labels[part], threads=1), found)
        assert bits(found) == whole
    assert bits(collect(traces[::-1], labels[::-1], threads=3)) == whole


@pytest.mark.usefixtures("either")
def test_the_sums_are_exact():
    """Against integers of Python, for the largest values, above 64 bits."""
    for dtype, value, centre in (
        ("uint16", 0, 1 << 15),
        ("int16", -(1 << 15), 0),
        ("uint8", 0, 128),
    ):
        traces, labels = np.full((1100, 2), value, dtype), np.ones(1100, np.uint8)
        found = collect(traces, labels)
        for k in range(1, 7):
            total = int(found.high[1, k - 1, 0]) * 2**62 + int(found.low[1, k - 1, 0])
            assert total == 1100 * (value - centre) ** k


def test_moments_of_integers_are_the_floats_next_to_the_exact_ones():
    """A small spread on a large offset, where float sums would lose everything."""
    traces = np.array([[60_000], [60_001], [60_001], [60_003]], np.uint16)
    found = moments(collect(traces, np.zeros(4, np.uint8)))
    values = [Fraction(int(x)) for x in traces[:, 0]]
    mean = sum(values) / 4
    assert found.mean[0, 0] == float(mean)
    for k in range(2, 7):
        assert found.central[0, k - 2, 0] == float(sum((x - mean) ** k for x in values) / 4)
    assert np.isnan(found.mean[1]).all()
    assert np.isnan(found.central[1]).all()


def test_floats_may_be_split_in_any_way():
    """The moments of a merge are those of the whole, also with an empty class."""
    traces, labels = recording("float32")
    order = np.argsort(labels, kind="stable")
    whole = moments(collect(traces, labels))
    parts = [(traces[o], labels[o]) for o in np.array_split(order, 9)]
    found = of_chunks(parts)
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-13)
    scale = whole.central[:, :1] ** (np.arange(2, 7)[:, None] / 2)
    assert (np.abs(found.central - whole.central) / scale).max() < 1e-12


def test_lower_orders_leave_out_the_higher_moments():
    """Order 1 needs the variance only."""
    for dtype in statistics.DTYPES:
        traces, labels = recording(dtype)
        full = moments(collect(traces, labels)).central
        for order in (1, 2):
            found = moments(collect(traces, labels, order=order)).central
            known = 2 * order - 1
            np.testing.assert_allclose(found[:, :known], full[:, :known], rtol=1e-13)
            assert np.isnan(found[:, known:]).all()


def test_what_does_not_fit_is_refused():
    """Other dtypes, shapes, labels, orders, and statistics of other traces."""
    traces, labels = recording("uint8", 20, 8)
    for bad, message in (
        ((traces.astype(float), labels), "traces must be"),
        ((traces[0], labels), "traces must be"),
        ((traces, labels[1:]), "20 traces, but labels"),
        ((traces, labels.astype(int)), "labels must be uint8"),
        ((traces, labels + 1), "labels must be uint8"),
    ):
        with pytest.raises(OpenForgeError, match=message):
            collect(*bad)
    with pytest.raises(OpenForgeError, match="order must be"):
        collect(traces, labels, order=4)
    with pytest.raises(OpenForgeError, match="no traces"):
        of_chunks([])
    first = collect(traces, labels)
    for other in (
        collect(traces[:, 1:], labels),
        collect(traces, labels, order=2),
        collect(traces.astype(np.int16), labels),
        collect(traces.astype(np.float32), labels),
    ):
        with pytest.raises(OpenForgeError, match="do not add up"):
            merge(first, other)


def test_every_dtype_has_sums():
    """The table of kinds and the list of dtypes agree."""
    assert tuple(trace_sums.KINDS) == statistics.DTYPES
