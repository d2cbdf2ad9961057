"""Loading openforge.yaml: what it takes, what it refuses, and how an error reads."""

import os

import pytest

from openforge import config
from openforge.errors import ConfigError

BASE = "project:\n  name: a-b\n  top_module: m\ndesign:\n  sources: [rtl/*.v]\n"
SIMULATION = BASE + "verification:\n  simulation:\n    "
SIDE_CHANNEL = BASE + "verification:\n  crypto_verification:\n    side_channel:\n      "
WHOLE = """
project: {name: ntt-butterfly, top_module: ntt_butterfly, target_pdk: sky130, version: 1.0.0}
design:
  sources: [src/rtl/*.v, src/rtl/**/*.sv]
  includes: [src/include/]
  exclude: [src/rtl/deprecated_*.v]
  constraints: [constraints/timing.sdc]
  defines: {SYNTHESIS: "1", OCTAL: 010, WORD: yes}
  parameters: {WIDTH: 12}
verification:
  lint: {tools: [verilator, slang], waivers: [lint/waivers.yaml], fail_on: error}
  simulation:
    tool: verilator
    testbenches: [tb/*.py, tb/*_tb.sv]
    coverage: {line: true, toggle: true, branch: true, fsm: true, user: true}
    coverage_goals: {line: 90, toggle: 80}
    plusargs: {SEED: "42"}
    waves: true
  formal:
    tool: symbiyosys
    properties: [formal/*.sv]
    engines: [smtbmc z3, smtbmc bitwuzla, smtbmc yices, abc pdr, abc bmc3]
    mode: prove
    depth: 100
  crypto_verification:
    interface:
      clock: clk
      reset: {signal: rst_n, active: low, cycles: 2}
      secrets: [key_in]
      shares: {x: [x0, x1], y: {of: [y0, y1], modulus: 3329}}
      start: {signal: valid_in}
      done: {cycles: 40}
      constants: {mode: 1}
      assume: ["opcode != 3", "stable(mode)"]
      declassify: [{signal: retry, reason: "rejection sampling, FIPS 204"}]
    constant_time: {enabled: true, depth: 200, timeout_seconds: 300}
    side_channel: {tvla_threshold: 4.5, orders: [1, 2], cpa: {target: aes128_first_round}}
    ntt_validation: {standard: kyber, unit: butterfly, exhaustive_test: false}
    fips_compliance:
      level: 2
      checks: [key_zeroization, self_test]
      zeroize: {signal: zeroize, within_cycles: 16}
      self_test: {done: kat_done, pass: kat_pass}
      error: {signal: error, cleared_by: reset}
      health_tests: {samples: raw, valid: raw_valid, alarm: alarm, h_min: 0.5, alpha: 2^-30}
    entropy_analysis: {sources: [trng_raw], sinks: [seed], samples: data/noise.bin}
analysis: {timing: {tool: opensta, clock_period: 5.0}}
ci_integration: {stages: [lint, crypto], fail_on: [failed, error]}
"""


@pytest.fixture
def load(tmp_path):
    """Load a project file given as text or bytes, from a folder with a space and an umlaut."""
    folder = tmp_path / "a prüf folder"
    folder.mkdir()

    def _load(text, overrides=None):
        raw = text if isinstance(text, bytes) else text.encode()
        (folder / "openforge.yaml").write_bytes(raw)
        return config.load(folder, overrides)

    return _load


def problems(load, text, overrides=None):
    """The problems that loading `text` reports."""
    with pytest.raises(ConfigError) as caught:
        load(text, overrides)
    return caught.value.problems


def test_whole_schema_is_read(load):
    """The example of the specification loads, with short and older forms understood."""
    loaded = load(WHOLE)
    crypto = loaded.verification.crypto_verification
    assert crypto.ntt_validation.standard == "ml-kem"
    assert crypto.ntt_validation.exhaustive is False
    assert crypto.fips_compliance.health_tests.alpha == 2.0**-30
    assert crypto.fips_compliance.self_test.pass_ == "kat_pass"
    assert crypto.interface.shares["x"] == ("x0", "x1")
    assert crypto.interface.shares["y"].modulus == 3329
    assert loaded.design.parameters == {"WIDTH": "12"}
    assert loaded.design.defines == {"SYNTHESIS": "1", "OCTAL": "010", "WORD": "yes"}


def test_only_project_and_design_are_required(load):
    """Every other section has defaults, and what was given can be told from what was not."""
    loaded = load(BASE)
    assert loaded.verification.simulation.seed == 1
    assert loaded.model_fields_set == {"project", "design"}
    assert {p.field for p in problems(load, "analysis: {}\n")} == {"project", "design"}


@pytest.mark.parametrize(("given", "kinds"), [("true", 5), ("false", 0)])
def test_coverage_in_short(load, given, kinds):
    """`coverage: true` is all kinds and `false` none."""
    coverage = load(SIMULATION + f"coverage: {given}\n").verification.simulation.coverage
    assert sum(coverage.model_dump().values()) == kinds


def test_anchors_are_allowed(load):
    """An alias means what its anchor says."""
    loaded = load(BASE + "  includes: &i [inc]\n  constraints: *i\n")
    assert loaded.design.constraints == ("inc",)


def test_all_problems_at_once_with_place_and_suggestion(load):
    """Two misspelt fields, a bad value and a bad option are four problems in the file's order."""
    text = BASE + (
        "verification:\n  simlation: {}\n  formal:\n    depth: -1\n    mode: proove\nanalysys: {}\n"
    )
    assert [str(problem) for problem in problems(load, text)] == [
        "openforge.yaml:7:3: verification.simlation: unknown field; "
        "did you mean verification.simulation?",
        "openforge.yaml:9:5: verification.formal.depth: "
        "should be greater than or equal to 1, found -1",
        "openforge.yaml:10:5: verification.formal.mode: "
        "should be 'prove', 'bmc', 'cover' or 'all', found \"proove\"; did you mean prove?",
        "openforge.yaml:11:1: analysys: unknown field; did you mean analysis?",
    ]


def test_section_at_the_wrong_level(load):
    """A section that belongs elsewhere is suggested with its whole path."""
    (problem,) = problems(load, BASE + "side_channel: {}\n")
    assert problem.suggestion == "verification.crypto_verification.side_channel"


def test_very_many_problems_are_cut(load):
    """A thousand unknown fields do not make a thousand lines."""
    found = problems(load, BASE + "".join(f"x{n}: 1\n" for n in range(1000)))
    assert len(found) == 51
    assert found[-1].message == "and 950 more problems"


def test_hostile_names_are_quoted(load):
    """A field's name cannot put control characters on a terminal."""
    (problem,) = problems(load, BASE + '"\\e[31mred\\n": 1\n')
    assert str(problem).isprintable()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed: true", "should be a whole number"),
        ('seed: "7"', "should be a whole number"),
        ("seed: 2.0", "should be a whole number"),
        ("waves: 1", "should be true or false"),
        ("waves: yes", "should be true or false"),
        ("tool: vcs", "should be 'verilator' or 'icarus'"),
        ("seeds: 0", "greater than or equal to 1"),
        ("coverage_goals: {line: 101}", "less than or equal to 100"),
        ("coverage_goals: {line: .nan}", "finite"),
        ("testbenches: tb/*.py", "should be a list"),
        ("testbenches: [../tb.py]", "inside the project"),
        ("testbenches: [/etc/passwd]", "inside the project"),
        ("plusargs: {'a b': 1}", "unknown field"),
    ],
)
def test_wrong_values(load, line, message):
    """A value of the wrong type or range is refused at its line, never made to fit."""
    found = problems(load, SIMULATION + line + "\n")
    assert len(found) == 1
    assert message in found[0].message or message == "unknown field"
    assert found[0].line == 8


@pytest.mark.parametrize("value", [".inf", "-.inf", ".NaN", "1e999"])
def test_threshold_that_nothing_reaches(load, value):
    """An infinite threshold, which would let every design pass, is refused."""
    (problem,) = problems(load, SIDE_CHANNEL + f"tvla_threshold: {value}\n")
    assert "finite" in problem.message


def test_engines_are_known(load):
    """An engine that does not exist is refused with the nearest that does."""
    (problem,) = problems(load, BASE + "verification: {formal: {engines: [smtbmc z4]}}\n")
    assert problem.field == "verification.formal.engines.0"
    assert problem.suggestion == "smtbmc z3"


def test_one_of_two_types(load):
    """Where two types are possible, one problem says both, or what is wrong in the likelier."""
    text = BASE + "verification:\n  crypto_verification:\n    interface:\n      shares:\n        "
    (problem,) = problems(load, text + "x: 3\n")
    assert problem.message == "should be a list or should be a mapping of fields, found 3"
    (problem,) = problems(load, text + "x: {of: [a, b]}\n")
    assert (problem.field.rpartition(".")[2], problem.message) == ("modulus", "is required")


@pytest.mark.parametrize("name", ["a b", "a_b", "ä", "", "a/../b", "-" * 101])
def test_project_name(load, name):
    """A project's name has letters, digits and hyphens only."""
    (problem,) = problems(load, BASE.replace("a-b", f'"{name}"'))
    assert (problem.field, problem.line) == ("project.name", 2)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "is empty", None),
        ("# only a comment\n", "is empty", None),
        ("- 1\n", "must be a mapping", 1),
        ("word", "must be a mapping", 1),
        (b"\x7fELF\x02\x00\x00", "is it binary", 1),
        (b"a: 1\nb: \xff\xfe\n", "is not UTF-8 (byte 8)", 2),
        (BASE.encode("utf-16"), "is not UTF-8", 1),
        (b"#" * (1 << 20) + b"\n", "is larger than 1 MB", None),
        ("a: [", "is not valid YAML", 1),
        ("a: 1\n---\nb: 2\n", "is not valid YAML", 2),
        (BASE + "x: !!python/object/apply:os.system [id]\n", "tags are not allowed", 6),
        (BASE + "  includes: !mine [a]\n", "tags are not allowed", 6),
        (BASE + "  includes: [!!str a]\n", "tags are not allowed", 6),
        (BASE + "design: {}\n", "this field is there twice", 6),
        (BASE + "  sources: [b]\n", "this field is there twice", 6),
        (BASE + "? [a]\n: 1\n", "must be a plain word", 6),
        ("a: &a [*a]\n", "expands to too much", 1),
        ("[" * 100_000, "nested too deeply", 1),
        ("a: [" + "1," * 100_000 + "]\n", "too many values", 1),
        ("a: " + "9" * 5000 + "\n", "too many digits", 1),
    ],
)
def test_files_that_are_no_project_file(load, text, message, line):
    """What is not a small, plain YAML mapping is refused with its line, whatever it is."""
    (problem,) = problems(load, text)
    assert message in problem.message
    assert problem.line == line


def test_alias_bomb(load):
    """A billion laughs are stopped by what they expand to."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)]
    (problem,) = problems(load, "".join(levels))
    assert "expands to too much" in problem.message


def test_missing_file(tmp_path):
    """A folder without the file says which file was expected where."""
    with pytest.raises(ConfigError, match=r"there is no openforge\.yaml in"):
        config.load(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_not_a_regular_file(tmp_path, make):
    """A pipe is not waited for, and a folder is not read."""
    make(tmp_path / "openforge.yaml")
    with pytest.raises(ConfigError, match="must be a regular file"):
        config.load(tmp_path)


def test_link_out_of_the_project(tmp_path):
    """A link to a file of the host is not read: its text could show in an error."""
    (tmp_path / "secret").write_text("top-secret-word")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "openforge.yaml").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match="leads out of the project") as caught:
        config.load(tmp_path / "project")
    assert "top-secret-word" not in str(caught.value)


def test_byte_order_mark(load):
    """A file that an editor began with a byte order mark is read."""
    assert load("\ufeff" + BASE).project.name == "a-b"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("interface: {secrets: ['k; assign x = 1']}", "pattern"),
        ("interface: {secrets: ['k[3:0].sub']}", None),
        ("interface: {assume: ['a != 3; assign b = 1']}", "expression"),
        ("interface: {assume: ['`include \"/etc/passwd\"']}", "expression"),
        ("interface: {assume: ['$system(\"id\")']}", "expression"),
        ("interface: {assume: ['a /* b']}", "expression"),
        ("interface: {assume: ['a = 1']}", "expression"),
        ("interface: {assume: ['']}", "expression"),
        ("interface: {assume: ['a == 1 && b <= 2 && stable(c)']}", None),
        ("interface: {declassify: [{signal: retry, reason: ' '}]}", "pattern"),
        ("ntt_validation: {exhaustive: true, exhaustive_test: true}", "the same field"),
        ("side_channel: {noise_stddev: 1e300}", "must be 0, or from"),
    ],
)
def test_what_becomes_part_of_a_module_is_one_expression(load, section, message):
    """Names and expressions cannot carry statements, macros, calls or comments."""
    text = BASE + f"verification:\n  crypto_verification:\n    {section}\n"
    if message is None:
        load(text)
    else:
        (problem,) = problems(load, text)
        assert message in problem.message


def test_texts_are_one_line(load):
    """A macro or a parameter cannot smuggle a line into a tool's script."""
    text = BASE + '  defines: {A: "1\\nread_verilog x"}\n  parameters: {W: "1\\n"}\n'
    found = problems(load, text)
    assert [p.field for p in found] == ["design.defines.A", "design.parameters.W"]
    assert all("one line" in p.message for p in found)


def test_a_version_keeps_its_spelling(load):
    """YAML reads 1.10 as 1.1, so a version like this must be quoted."""
    (problem,) = problems(load, BASE.replace("design", "  version: 1.10\ndesign"))
    assert "in quotes" in problem.message
    quoted = BASE.replace("design", '  version: "1.10"\ndesign')
    assert load(quoted).project.version == "1.10"


def test_an_empty_section_has_its_defaults(load):
    """``formal:`` with nothing below it is the section, not a mistake."""
    loaded = load(BASE + "verification:\n  formal:\n  simulation:\n    coverage_goals:\n")
    assert loaded == load(BASE)


def test_enabled_is_told_from_not_said(load):
    """A check that was asked for and has no subject is an error; one that was not is skipped."""
    text = BASE + "verification:\n  crypto_verification:\n    side_channel: {enabled: true}\n"
    crypto = load(text).verification.crypto_verification
    assert (crypto.side_channel.enabled, crypto.constant_time.enabled) == (True, None)


def test_the_json_schema_takes_what_the_loader_takes(load):
    """Editors check with the schema: it must not mark the short forms."""
    import jsonschema
    import yaml

    load(
        WHOLE.replace(
            "coverage: {line: true, toggle: true, branch: true, fsm: true, user: true}",
            "coverage: true",
        )
    )
    data = yaml.safe_load(WHOLE)
    data["verification"]["simulation"]["coverage"] = True
    checker = jsonschema.Draft202012Validator(config.json_schema())
    assert list(checker.iter_errors(data)) == []
    data["verification"]["simulation"]["coverage"] = "much"
    assert [list(error.absolute_path)[-1] for error in checker.iter_errors(data)] == ["coverage"]
