"""Probing-set tables: the p-value bounds the exact one, sparse tables raise no alarm, leaks do."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import special

from openforge.analysis.contingency import _laws, _tilt, table_tests


def fair(totals, n_tables, seed):
    """Tables with these cell totals whose traces have a fair class."""
    a = np.random.default_rng(seed).binomial(totals, 0.5, (n_tables, len(totals)))
    return np.stack([a, totals - a], axis=1).astype(np.uint64)


def exact_law(totals):
    """Every value of the statistic with its probability, by convolution of the cells' laws.

    Also a table that has the value.
    """
    law = {Fraction(0): (Fraction(1), ())}
    for m in totals:
        new = {}
        for value, (p, row) in law.items():
            for a in range(m + 1):
                key = value + Fraction((2 * a - m) ** 2, m) - 1
                before, _ = new.get(key, (0, ()))
                new[key] = (before + p * Fraction(math.comb(m, a), 2**m), (*row, a))
        law = new
    return law


TOTALS = [
    [1, 2],
    [20],
    [60],
    [7, 11],
    [30, 30],
    [5] * 7,
    [2] * 30,
    [3] * 20,
    [2] * 12 + [3] * 6 + [1] * 9,
    [2, 2, 2, 40],
    [2, 3, 4, 5, 6, 7],
    [600],
    [550, 2, 2],
]


@pytest.mark.parametrize("totals", TOTALS, ids=str)
def test_p_is_never_below_the_exact_one(totals):
    """For every value that the statistic can have; and where decisions are made, it is near."""
    law = exact_law(totals)
    ordered = sorted(law, reverse=True)
    fixed = np.array([law[value][1] for value in ordered])
    answer = table_tests(np.stack([fixed, np.array(totals) - fixed], axis=1))
    assert answer.statistic == pytest.approx([float(value) for value in ordered], abs=1e-9)
    tail = Fraction(0)
    for value, log10_p in zip(ordered, answer.log10_p, strict=True):
        tail += law[value][0]
        exact = math.log10(tail.denominator) - math.log10(tail.numerator)
        assert log10_p <= exact + 1e-9
        if 6 < exact < 10:
            assert log10_p > exact - 2


@pytest.mark.parametrize("totals", TOTALS[:8], ids=str)
def test_the_mean_and_variance_are_exact(totals):
    """T has mean 0, and its deviate has variance 1, by the exact law."""
    law = exact_law(totals)
    values = list(law)
    fixed = np.array([law[value][1] for value in values])
    p = np.array([float(law[value][0]) for value in values])
    answer = table_tests(np.stack([fixed, np.array(totals) - fixed], axis=1))
    assert p @ answer.statistic == pytest.approx(0, abs=1e-9)
    assert p @ answer.deviate**2 == pytest.approx(1)


def g_test_log10_p(tables):
    """The usual G-test: chi-square of K - 1 degrees of freedom, over cells that are not empty."""
    tables = tables.astype(float)
    total = tables.sum(axis=1)
    n = tables.sum(axis=2, keepdims=True)
    expected = n * total[:, None] / n.sum(axis=1, keepdims=True)
    g = 2 * special.xlogy(
        tables, np.where(tables > 0, tables / np.where(expected > 0, expected, 1), 1)
    )
    p = special.chdtrc((total > 0).sum(axis=1) - 1, g.sum(axis=(1, 2)))
    return -np.log10(np.maximum(p, 1e-300))


def test_a_sparse_table_is_no_alarm_as_for_the_g_test():
    """3000 cells with few traces: the G-test is certain of a leak, and there is none."""
    totals = np.random.default_rng(1).poisson(1.2, 3000)
    tables = fair(totals, 50, 2)
    assert (g_test_log10_p(tables) > 8).all()
    assert table_tests(tables).log10_p.max() < 3


@pytest.mark.parametrize("s", [0.02, 0.2, 0.4])
def test_the_law_of_a_large_cell_is_bounded(s):
    """A pair of traces and a cell of 600: the bound on ln E exp(s w) is not below the exact one."""
    pair = math.log(math.cosh(s))
    law = [math.comb(600, a) / 2**600 for a in range(601)]
    powers = [math.exp(s * ((2 * a - 600) ** 2 / 600 - 1)) for a in range(601)]
    exact = math.log(sum(p * q for p, q in zip(law, powers, strict=True)))
    height = _tilt(_laws(np.array([600, 2])), s)[0]
    assert exact <= height - pair < exact + 0.03


def test_a_dependence_in_a_sparse_table_is_found():
    """The same cells, each with a class that it prefers."""
    draw = np.random.default_rng(3)
    totals = draw.poisson(1.2, 3000)
    a = draw.binomial(totals, np.where(draw.random(3000) < 0.5, 0.2, 0.8), (20, 3000))
    answer = table_tests(np.stack([a, totals - a], axis=1))
    assert answer.log10_p.min() > 10
    assert (answer.informative == (totals >= 2).sum()).all()


def test_the_bound_is_close_in_large_sparse_tables():
    """Half a decade from the normal tail at 7 standard deviations, where chi-square's is lost."""
    pairs = np.zeros((2, 20_000))
    together = 10_000 + round(7 * math.sqrt(20_000) / 2)
    pairs[0, :together], pairs[:, together:] = 2, 1
    answer = table_tests(pairs.astype(np.uint64))
    assert answer.deviate == pytest.approx(7, abs=0.01)
    exact = special.bdtrc(together - 1, 20_000, 0.5)
    assert -math.log10(exact) - 0.5 < answer.log10_p < -math.log10(exact)


@pytest.mark.parametrize(
    "totals",
    [
        np.random.default_rng(4).poisson(1.5, 300),
        np.random.default_rng(5).poisson(16_000, 64),
        np.random.default_rng(6).geometric(0.2, 100),
        np.array([3000, 7000]),
    ],
    ids=["sparse", "dense", "mixed", "one probe"],
)
def test_null_tables_are_not_called_leaks(totals):
    """p <= 0.01 in at most 1 % of 4000 tables; also when both classes have a fixed size."""
    limit = 0.01 + 5 * math.sqrt(0.01 / 4000)
    answer = table_tests(fair(totals, 4000, 9))
    assert (answer.log10_p >= 2).mean() <= limit
    assert answer.deviate.std() == pytest.approx(1, abs=0.1)
    draw = np.random.default_rng(10)
    fixed = draw.multivariate_hypergeometric(totals, totals.sum() // 2, 1000)
    sized = table_tests(np.stack([fixed, totals - fixed], axis=1))
    assert (sized.log10_p >= 2).mean() <= 0.01 + 5 * math.sqrt(0.01 / 1000)


def test_certain_dependence_in_few_and_large_cells():
    """Two cells that name the class: p falls with every trace, and stays finite."""
    tables = np.array([[[n, 0], [0, n]] for n in (2, 100, 10**6)], dtype=np.uint64)
    answer = table_tests(tables)
    assert (np.diff(answer.log10_p) > 0).all()
    assert answer.log10_p[1] > 40
    assert 4e5 < answer.log10_p[2] < 2e6 * math.log10(2)


def test_tables_without_information():
    """Cells with no or one trace say nothing; shapes are kept; other shapes are refused."""
    answer = table_tests(np.array([[1, 0, 1], [0, 1, 0]], dtype=np.uint64))
    assert (answer.log10_p, answer.informative, answer.statistic) == (0, 0, 0)
    assert table_tests(np.ones((4, 3, 2, 5), dtype=np.uint64)).log10_p.shape == (4, 3)
    assert table_tests(np.ones((0, 2, 5), dtype=np.uint64)).log10_p.shape == (0,)
    with pytest.raises(ValueError, match="shape"):
        table_tests(np.ones((3, 5)))
