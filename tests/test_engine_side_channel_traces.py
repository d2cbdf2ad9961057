"""The check side_channel: keys that correlation recovers, and traces that were measured."""

from dataclasses import replace

import numpy as np
import pytest
from side_channel_projects import BODY, CONTROL, EXAMPLES, HEAD, believe, run, write

from openforge.analysis.aes import SBOX
from openforge.engines.side_channel import checking, replaying
from openforge.errors import CheckFailedToRun, DesignError, OpenForgeError, ToolError
from openforge.model import Verdict

FIRST = {"target": "aes128_first_round"}
GOOD = """import numpy as np
SBOX = np.array({sbox})
def leakage(data, guess):
    return np.unpackbits(SBOX[data[:, 0] ^ guess].astype(np.uint8)[:, None], axis=1).sum(axis=1)
"""


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Run the check on an example, without replays."""
    believe(monkeypatch)
    return lambda name, **fields: run(tmp_path, EXAMPLES / name, **{"num_traces": 1024, **fields})


def ranks(ran):
    """The last rank of each position."""
    last = {}
    for row in ran.rows("cpa_ranks"):
        last[row["position"]] = row["rank"]
    return last


def test_the_key_byte_of_an_unprotected_sbox_is_recovered(example):
    """By its first round; the rank ends at 0, and the numbers of traces grow."""
    ran = example("sbox-unprotected", noise_stddev=1.0, cpa={**FIRST, "num_traces": 2000})
    assert ran.verdict is Verdict.FAILED
    assert "key-recovered" in ran.rules()
    assert ranks(ran) == {0: 0}
    rows = ran.rows("cpa_ranks")
    assert [row["traces"] for row in rows] == sorted(row["traces"] for row in rows)
    assert abs(rows[-1]["correlation"]) > rows[-1]["wrong"]
    assert max(row["snr"] or 0 for row in ran.rows("snr")) > 1
    assert {row["target"] for row in rows} == {"aes128_first_round"}


def test_all_bytes_of_a_round_key_are_recovered(example):
    """Sixteen positions, by the weight of the S-boxes' outputs, which that model of power shows."""
    fields = {"power_model": "hamming_weight", "cpa": {**FIRST, "num_traces": 20_000}}
    ran = example("aes-round-unprotected", **fields)
    assert ranks(ran) == dict.fromkeys(range(16), 0)
    (found,) = [f for f in ran.result.findings if f.rule == "key-recovered"]
    assert "0, 1, 2" in found.message and "15" in found.message


def test_noise_takes_more_traces(example):
    """With a hundred times the deviation the same attack recovers nothing."""
    ran = example(
        "sbox-unprotected", noise_stddev=300.0, cpa={**FIRST, "num_traces": 1000}, orders=[1]
    )
    assert "key-recovered" not in ran.rules()


KEYED = """module keyed (input logic clk, rst_n, start, input logic [7:0] k0, k1, pt,
              input logic [17:0] r, output logic done, output logic [7:0] y0, y1);
  dom_sbox u (.clk, .rst_n, .start, .x0(k0 ^ pt), .x1(k1), .r, .done, .y0, .y1);
endmodule
"""


def test_the_key_of_a_masked_sbox_is_not_recovered(tmp_path, monkeypatch):
    """First-order correlation of a key in two shares finds nothing, and the check passes."""
    believe(monkeypatch)
    rtl = EXAMPLES / "dom-sbox" / "rtl"
    names = ("tower_pkg.sv", "dom_add.sv", "dom_sbox.sv")
    text = "\n".join((rtl / name).read_text() for name in names)
    interface = {**CONTROL, "shares": {"key": ["k0", "k1"]}, "randoms": ["r"]}
    project = write(tmp_path / "project", text + KEYED, interface, top="keyed")
    ran = run(tmp_path, project, num_traces=10_000, cpa={**FIRST, "num_traces": 20_000})
    assert "key-recovered" not in ran.rules()
    assert ran.verdict is Verdict.PASSED, ran.reason


@pytest.fixture
def function(tmp_path, monkeypatch):
    """Attack the unprotected S-box with a leakage function of one's own."""
    believe(monkeypatch)
    sources = (EXAMPLES / "sbox-unprotected" / "rtl" / "sbox.sv").read_text()
    interface = {**CONTROL, "secrets": ["key"]}

    def go(text):
        project = write(tmp_path / "p", sources, interface, {"leak.py": text}, top="sbox")
        attack = {"function": "leak.py", "num_traces": 2000}
        return run(tmp_path, project, num_traces=1024, cpa=attack)

    return go


def test_a_leakage_function_of_ones_own_recovers_the_key(function):
    """The Hamming weight of the S-box, written by the user."""
    ran = function(GOOD.format(sbox=list(SBOX)))
    assert "key-recovered" in ran.rules()
    assert ranks(ran) == {0: 0}
    assert {row["target"] for row in ran.rows("cpa_ranks")} == {"leak.py"}


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (
            "def leakage(data, guess):\n    raise ValueError('mine')\n",
            DesignError,
            "leak.py:2.*mine",
        ),
        ("def leakage(data, guess):\n    return 1\n", DesignError, "one number for each row"),
        ("x = 1\n", DesignError, "there is no function leakage"),
        ("def leakage(:\n", DesignError, "leak.py"),
        ("import os\ndef leakage(data, guess):\n    os._exit(0)\n", ToolError, "left no answer"),
        (
            "import socket\ndef leakage(data, guess):\n"
            "    socket.create_connection(('127.0.0.1', 9))\n",
            DesignError,
            "leak.py:3",
        ),
        (
            "GUESSES = 1\ndef leakage(data, guess):\n    return data[:, 0]\n",
            CheckFailedToRun,
            "of 1 guesses",
        ),
    ],
    ids=["raises", "one number", "none", "syntax", "exits", "connects", "few guesses"],
)
def test_a_leakage_function_that_is_wrong_or_hostile_is_an_error(function, text, error, says):
    """It runs in the sandbox; the message has its file and line."""
    with pytest.raises(error, match=says):
        function(text)


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        ({"target": "aes128_first_rond"}, "did you mean aes128_first_round"),
        ({"target": "nothing"}, "or give a function"),
        ({**FIRST, "key": "kay"}, "'kay' is not among the secrets; did you mean key"),
        ({**FIRST, "data": "ptt"}, "'ptt' is not among the inputs and outputs; did you mean pt"),
        ({"target": "aes128_last_round", "data": "y"}, "needs 16 bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_attack_that_is_not_clear_is_an_error(example, attack, says):
    """The message names the field and what there is."""
    with pytest.raises(CheckFailedToRun, match=says):
        example("sbox-unprotected", cpa=attack)


N = 20_000


@pytest.fixture
def measured(tmp_path):
    """Run the check on measured traces; the design beside them has no secrets."""

    def go(traces, labels, **fields):
        files = {"t.npy": traces}
        if labels is not None:
            files["t_labels.npy"] = labels
        project = write(tmp_path / "project", HEAD + BODY, {}, files)
        return run(tmp_path, project, traces="t.npy", **fields)

    return go


@pytest.fixture(scope="module")
def noise():
    """Labels at random, and traces that do not know them: uint8[N], float32[N, 6]."""
    draw = np.random.default_rng(1)
    return draw.integers(0, 2, N).astype(np.uint8), draw.normal(100, 5, (N, 6)).astype(np.float32)


def test_measured_traces_that_leak_fail(measured, noise):
    """A fifth of a standard deviation in one sample; t is that of two plain means."""
    labels, traces = noise
    traces = traces.copy()
    traces[:, 3] += labels
    ran = measured(traces, labels)
    assert ran.verdict is Verdict.FAILED
    assert ran.rules() == {"power-leak"}
    assert ran.tables() == {"t_values", "power", "t_progress"}
    fixed, random = (traces[labels == kind].astype(np.float64) for kind in (0, 1))
    wide = np.sqrt(fixed.var(0) / len(fixed) + random.var(0) / len(random))
    expected = (fixed.mean(0) - random.mean(0)) / wide
    found = [row["t"] for row in ran.rows("t_values")]
    assert np.allclose(found, expected, rtol=1e-3)
    assert [c["name"] for c in ran.tvla()["campaigns"]] == ["measured"]
    assert ran.tvla()["status"] == "failed"


def test_measured_traces_without_a_difference_pass(measured, noise):
    """In three orders; the assumptions say what the file cannot show."""
    ran = measured(noise[1], noise[0], orders=[1, 2, 3])
    assert ran.verdict is Verdict.PASSED
    assert any("independent of each other" in text for text in ran.result.assumptions)
    assert len(ran.rows("t_values")) == 18


def test_classes_one_after_the_other_are_inconclusive(measured, noise):
    """Drift could be taken for a leak, and hide one."""
    ran = measured(noise[1], np.sort(noise[0]))
    assert ran.verdict is Verdict.INCONCLUSIVE
    assert "not interleaved" in ran.reason


def test_drift_is_not_taken_for_a_leak(measured, noise):
    """Where classes come one after the other, a difference of their means may be drift."""
    traces = noise[1] + np.linspace(0, 5, N)[:, None].astype(np.float32)
    ran = measured(traces, np.sort(noise[0]))
    assert ran.verdict is Verdict.INCONCLUSIVE
    assert "differs between the classes" in ran.reason and "not interleaved" in ran.reason


def test_an_attack_on_measured_traces_is_not_left_out_in_silence(measured, noise):
    """It is not there, and said so."""
    with pytest.raises(CheckFailedToRun, match="attacks simulated traces only"):
        measured(noise[1], noise[0], cpa=FIRST)


def test_what_only_an_attack_shows_is_replayed_too(tmp_path, monkeypatch):
    """No leak is reported that Verilator was not asked about."""
    look, asked = checking._look, []
    monkeypatch.setattr(
        checking, "_look", lambda *given: replace(look(*given), leaking=(), rejected=())
    )
    monkeypatch.setattr(replaying, "build", lambda *_: None)
    monkeypatch.setattr(replaying, "replay", lambda *_, **__: asked.append(1) or 1)
    ran = run(tmp_path, EXAMPLES / "sbox-unprotected", cpa=FIRST)
    assert ran.verdict is Verdict.FAILED
    assert ran.rules() == {"key-recovered"}
    assert asked == [1]


def test_too_few_measured_traces_are_inconclusive(measured, noise):
    """500 of them find half a standard deviation, which is not enough."""
    ran = measured(noise[1][:500], noise[0][:500])
    assert ran.verdict is Verdict.INCONCLUSIVE
    assert "too few traces" in ran.reason


def test_measured_traces_that_never_vary_say_nothing(measured, noise):
    """A probe that was not connected is no pass."""
    ran = measured(np.full((N, 3), 7, np.uint8), noise[0])
    assert ran.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t, _: (t, None), "has no labels"),
        (lambda t, labels: (t, labels[:100]), "20000 traces, but labels of the shape"),
        (lambda t, labels: (t, labels * 0), "both classes need two traces"),
        (lambda t, labels: (t, labels * 3), "labels must be 0"),
        (lambda t, labels: (np.where(t > 115, np.nan, t), labels), "NaN or infinity"),
    ],
    ids=["none", "few", "one class", "other numbers", "nan"],
)
def test_measured_traces_that_cannot_be_read_are_an_error(measured, noise, change, says):
    """The message says what is missing and how it is added."""
    with pytest.raises(OpenForgeError, match=says):
        measured(*change(noise[1], noise[0]))
