"""Overrides by dotted path: typed and checked like the file."""

import string

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openforge import config
from openforge.config_load import parse_yaml
from openforge.errors import ConfigError

BASE = "project: {name: a-b, top_module: m}\ndesign: {sources: [rtl/*.v]}\n"
NTT = "verification.crypto_verification.ntt_validation"
SHARED_FOLDER = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def load(folder, overrides, text=BASE):
    """The configuration in `text` with `overrides`."""
    (folder / "openforge.yaml").write_text(text)
    return config.load(folder, overrides)


def refused(folder, overrides, text=BASE):
    """The problems of `overrides` as they read."""
    with pytest.raises(ConfigError) as caught:
        load(folder, overrides, text)
    return [str(problem) for problem in caught.value.problems]


def test_override_makes_sections(tmp_path):
    """A section that the file does not have is made."""
    assert load(tmp_path, {"verification.formal.depth": 7}).verification.formal.depth == 7
    assert load(tmp_path, {"design.parameters.WIDTH": 3}).design.parameters == {"WIDTH": "3"}


def test_override_of_a_whole_section(tmp_path):
    """A mapping replaces a section, and the caller's own object stays as it was."""
    mine = {"formal": {"mode": "bmc"}}
    loaded = load(tmp_path, {"verification": mine, "verification.formal.depth": 7})
    assert (loaded.verification.formal.mode, loaded.verification.formal.depth) == ("bmc", 7)
    assert mine == {"formal": {"mode": "bmc"}}


def test_override_inside_a_short_form(tmp_path):
    """One kind can be switched off where the file says `coverage: true`."""
    text = BASE + "verification: {simulation: {coverage: true}}\n"
    loaded = load(tmp_path, {"verification.simulation.coverage.line": False}, text)
    assert loaded.verification.simulation.coverage.line is False
    assert loaded.verification.simulation.coverage.fsm is True


@pytest.mark.parametrize("name", ["exhaustive", "exhaustive_test"])
def test_override_of_a_field_with_two_names(tmp_path, name):
    """Either spelling overrides the other."""
    text = (
        BASE + "verification: {crypto_verification: {ntt_validation: {exhaustive_test: false}}}\n"
    )
    loaded = load(tmp_path, {f"{NTT}.{name}": True}, text)
    assert loaded.verification.crypto_verification.ntt_validation.exhaustive is True


def test_problems_of_overrides_say_override(tmp_path):
    """An override's fault has no line of the file, and is reported along with the file's own."""
    text = BASE + "verification: {simulation: {seed: 3, waves: 3}}\n"
    overrides = {"verification.simlation.seed": 1, "verification.simulation.seed": -1}
    assert refused(tmp_path, overrides, text) == [
        "override: verification.simlation.seed: unknown field; "
        "did you mean verification.simulation.seed?",
        "override: verification.simulation.seed: should be greater than or equal to 0, found -1",
        "openforge.yaml:3:38: verification.simulation.waves: should be true or false, found 3",
    ]


def test_section_made_by_an_override_is_incomplete(tmp_path):
    """What an override leaves out is the override's fault, not a line of the file."""
    assert all(
        line.startswith("override: ") for line in refused(tmp_path, {f"{NTT}.standard.q": 7})
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"x"])
def test_values_that_are_not_plain(tmp_path, value):
    """Only what JSON can say may be an override's value."""
    (line,) = refused(tmp_path, {"verification.formal.timeout_seconds": value})
    assert "plain, finite value" in line


def test_path_through_a_value(tmp_path):
    """A path does not lead through a value that is no section."""
    (line,) = refused(tmp_path, {"project.name.x": 1})
    assert line.startswith("override: project.name.x: unknown field")
    (first, *_) = refused(tmp_path, {"verification": 3, "verification.formal.depth": 1})
    assert "cannot be set: verification is 3, not a section" in first


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=1", 1),
        ("a.b=1e-3", 1e-3),
        ("a.b=x=y", "x=y"),
        ("a.b=[1, z3 x]", [1, "z3 x"]),
        ("a.b={line: true}", {"line": True}),
        ("a.b=", None),
        ("a.b=null", None),
        ("a.b=on", "on"),
        ("a.b=2026-01-01", "2026-01-01"),
        (" a.b =0x10", 16),
    ],
)
def test_parse_override(text, value):
    """The value of an override is read as YAML."""
    assert config.parse_override(text) == ("a.b", value)


@pytest.mark.parametrize("text", ["", "a", "=3", "a.b={", "a.b=!!str x", "a.b={x: 1, x: 2}"])
def test_parse_override_refuses(text):
    """What is no override is refused and says so."""
    with pytest.raises(ConfigError, match=r"^override: "):
        config.parse_override(text)


@SHARED_FOLDER
@given(depth=st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=9))
def test_only_a_whole_number_in_range_is_a_depth(tmp_path, depth):
    """Whatever the value, the outcome is that value or a ConfigError."""
    good = isinstance(depth, int) and not isinstance(depth, bool) and 1 <= depth <= 100_000
    try:
        loaded = load(tmp_path, {"verification.formal.depth": depth})
    except ConfigError as error:
        assert not good
        assert str(error).startswith("override: verification.formal.depth: ")
    else:
        assert good
        assert loaded.verification.formal.depth == depth


@SHARED_FOLDER
@given(path=st.text(max_size=30), value=st.recursive(st.integers() | st.text(), st.lists))
def test_any_path_is_refused_in_order(tmp_path, path, value):
    """A path that the schema does not have never ends in anything but a ConfigError."""
    if config.known(path.split(".")):
        return
    (line,) = refused(tmp_path, {path: value})
    assert line.startswith("override: ")
    assert line.isprintable()


NAMES = st.text(string.ascii_letters, min_size=1, max_size=8).filter(
    lambda name: name.lower() not in ("null", "true", "false")
)
TREES = st.recursive(
    st.integers(-99, 99) | NAMES,
    lambda below: (
        st.dictionaries(NAMES, below, min_size=1, max_size=3)
        | st.lists(below, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(tree=st.dictionaries(NAMES, TREES, min_size=1, max_size=3))
def test_every_path_has_its_place(tree):
    """The text at a field's place begins with the field's name, at any depth."""
    text = yaml.safe_dump(tree, indent=3)
    value, places = parse_yaml(text)
    lines = text.splitlines()
    assert value == tree
    for path, (line, column) in places.items():
        if path and isinstance(path[-1], str):
            assert lines[line - 1][column - 1 :].lstrip("'\"").startswith(path[-1])
