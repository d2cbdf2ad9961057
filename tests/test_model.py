"""The vocabulary: what records refuse, and how statuses add up."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from openforge.model import (
    Location,
    Metric,
    Result,
    Stage,
    State,
    Verdict,
    overall_status,
    status_of,
)

WORDS = ["passed", "failed", "inconclusive", "skipped", "error", "cancelled", "running", "queued"]


def test_a_verdict_needs_a_finished_check():
    """No record can say 'passed' for a check that did not run to its end."""
    with pytest.raises(ValidationError, match="exactly when"):
        Result(check="x", stage=Stage.LINT, state=State.ERROR, verdict=Verdict.PASSED, reason="r")
    with pytest.raises(ValidationError, match="exactly when"):
        Result(check="x", stage=Stage.LINT)


def test_anything_but_passed_says_why():
    """Every other verdict carries its reason."""
    for verdict in set(Verdict) - {Verdict.PASSED}:
        with pytest.raises(ValidationError, match="must say why"):
            Result(check="x", stage=Stage.LINT, verdict=verdict)


def test_records_are_frozen_and_closed():
    """A record cannot be changed, and takes no field it does not know."""
    place = Location(file="a.sv", line=3)
    assert str(place) == "a.sv:3"
    with pytest.raises(ValidationError):
        place.line = 4
    with pytest.raises(ValidationError):
        Location(file="a.sv", lin=3)


def test_a_metric_is_finite():
    """NaN and infinity are no measurements."""
    with pytest.raises(ValidationError):
        Metric(name="x", value=float("nan"))


@given(st.lists(st.sampled_from(WORDS), min_size=1))
def test_overall_is_passed_only_if_nothing_worse_is_there(words):
    """One part that did not pass is enough to keep the whole from passing."""
    whole = overall_status(words)
    assert (whole == "passed") == (set(words) <= {"passed", "skipped"} and "passed" in words)
    assert whole in words


def test_nothing_checked_is_not_passed():
    """A whole without parts is an error; one with only skipped parts is skipped."""
    assert overall_status([]) == "error"
    assert overall_status(["skipped", "skipped"]) == "skipped"


def test_status_shows_the_verdict_only_when_done():
    """A verdict never shows through a state that is not 'done'."""
    for state, verdict in itertools.product(State, Verdict):
        expected = verdict.value if state is State.DONE else state.value
        assert status_of(state, verdict) == expected
