"""The check side_channel on pairs of designs: verdicts, places, tables, artifacts, seeds."""

import csv
import json
import math

import numpy as np
import pytest
from side_channel_projects import (
    BODY,
    DESIGNS,
    EXAMPLES,
    HEAD,
    KEY_REGISTER,
    PLAIN,
    REFRESH,
    believe,
    run,
    write,
)

from openforge import config, design, native
from openforge.analysis import multiplicity
from openforge.engines.side_channel import checking
from openforge.engines.side_channel.subject import subject
from openforge.errors import CheckFailedToRun
from openforge.model import Verdict
from openforge.run_folder import RunFolder
from openforge.tables import TABLES
from openforge.trace_store import open_store

SIMULATED = {"t_values", "power", "t_progress", "distribution", "leaking", "net_heat"}
ALWAYS = SIMULATED | {"source_heat", "interface"}
ENOUGH = 20_000


@pytest.fixture
def check(tmp_path):
    """Run the check on a design of `tests/designs/side_channel`; see `Ran`."""

    def go(name, interface, **fields):
        top = name.rpartition("_")[0]
        rtl = (DESIGNS / f"{name}.sv").read_text()
        project = write(tmp_path / "project", rtl, interface, top=top)
        return run(tmp_path, project, **{"num_traces": ENOUGH, **fields})

    return go


def leak_line(name):
    """The line that is marked LEAK, from 1."""
    lines = (DESIGNS / f"{name}.sv").read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if "LEAK" in line)


def test_a_masked_design_passes_and_says_how_far(check):
    """Traces, orders, the level, what a planted leak did, and what is not covered."""
    ran = check("refresh_good", REFRESH)
    assert (ran.verdict, ran.reason) == (Verdict.PASSED, "")
    text = " | ".join(ran.result.bounds)
    for said in ("traces, public inputs fixed", "orders 1", "family-wise level 6.8e-06"):
        assert said in text
    assert "self-check: a planted leak was found" in text
    assert any("not covered" in said for said in ran.result.assumptions)
    assert ran.result.findings == ()
    assert ran.metric("traces") >= ENOUGH
    assert ran.rows("leaking") == []


def test_a_leak_is_found_at_its_line_and_replayed(check):
    """The broken twin: the marked line, and a pair of traces that Verilator runs alike."""
    ran = check("refresh_broken", REFRESH)
    assert ran.verdict is Verdict.FAILED
    assert leak_line("refresh_broken") in ran.lines()
    assert {"leaking-net", "power-leak"} <= ran.rules()
    assert {row["kind"] for row in ran.rows("leaking")} == {"net", "probing set"}
    assert all(
        (ran.folder.path / name).is_file() for f in ran.result.findings for name in f.evidence
    )
    assert any("replayed on Verilator" in bound for bound in ran.result.bounds)
    stimuli = json.loads((ran.folder.artifacts / "leak" / "stimuli.json").read_text())
    assert set(stimuli["traces"]) == {"fixed", "random"}
    fixed, random = (stimuli["traces"][name]["cycles"] for name in ("fixed", "random"))
    assert len(fixed) == len(random) == stimuli["prologue_cycles"] + ran.metric("cycles")
    first = stimuli["prologue_cycles"]
    assert {f"{int(c[first]['r'], 16):x}" for c in (fixed, random)} <= set("0123")
    assert {row["copy"] for row in ran.rows("waves")} == {"a", "b"}


def test_secrets_in_registers_are_set_and_replayed(check):
    """A key that is there before the trace begins: passes in shares, fails where they meet."""
    ran = check("key_register_broken", KEY_REGISTER)
    assert ran.verdict is Verdict.FAILED
    assert leak_line("key_register_broken") in ran.lines()
    stimuli = json.loads((ran.folder.artifacts / "leak" / "stimuli.json").read_text())
    (poked,) = stimuli["traces"]["fixed"]["set"].values()
    assert set(poked) >= {"key0_q", "key1_q"}


@pytest.mark.parametrize("model", ["hamming_distance", "hamming_weight"])
def test_a_key_in_registers_that_never_meet_passes(check, model):
    """The good twin: a leak that is planted at registers, which keep their values, is found too."""
    assert check("key_register_good", KEY_REGISTER, power_model=model).verdict is Verdict.PASSED


def test_a_plain_secret_fails_in_every_model(tmp_path, monkeypatch):
    """Without shares a register holds what depends on the key."""
    believe(monkeypatch)
    project = write(tmp_path / "project", HEAD + BODY, PLAIN, section={"num_traces": ENOUGH})
    for model in ("hamming_distance", "hamming_weight", "toggle_count"):
        ran = run(tmp_path / model, project, power_model=model)
        assert ran.verdict is Verdict.FAILED
        assert ran.result.summary["max_t_value"] > 20


@pytest.mark.parametrize("model", ["hamming_distance", "hamming_weight", "toggle_count"])
@pytest.mark.parametrize("test", ["fixed_vs_random", "random_vs_random"])
def test_a_masked_design_passes_in_every_model(check, model, test):
    """No model of power and no choice of classes raises a false alarm."""
    ran = check("refresh_good", REFRESH, power_model=model, test=test)
    assert ran.verdict is Verdict.PASSED, ran.reason


def test_both_values_of_each_secret_bit_are_compared(check, monkeypatch):
    """A leak of any of the bits is found by random_vs_random."""
    believe(monkeypatch)
    ran = check("refresh_broken", REFRESH, test="random_vs_random")
    assert ran.verdict is Verdict.FAILED
    assert leak_line("refresh_broken") in ran.lines()


@pytest.mark.parametrize("public", ["fixed", "random", "both"])
def test_public_data_are_as_asked_for(check, public):
    """One campaign, or two."""
    ran = check("refresh_good", REFRESH, public=public)
    names = {row["series"] for row in ran.rows("t_values")}
    both = {"public inputs fixed", "public inputs random"}
    assert names == (both if public == "both" else {f"public inputs {public}"})


def test_two_shares_leak_in_second_order(check, monkeypatch):
    """As they must: what is asked for decides what is found."""
    believe(monkeypatch)
    ran = check("refresh_good", REFRESH, orders=[3, 1, 2, 1])
    assert ran.verdict is Verdict.FAILED
    assert "order 2" in ran.reason
    assert {row["order"] for row in ran.rows("t_values")} == {1, 2, 3}
    first = [row["log10_p"] for row in ran.rows("t_values") if row["order"] == 1]
    assert max(first) < multiplicity.corrected_log10_p(6.8e-6, 1)


@pytest.mark.parametrize("probing", ["off", "glitches", "transitions", "auto"])
def test_only_probing_sets_see_the_glitches_of_isw_and(tmp_path, monkeypatch, probing):
    """Secure for settled nets: it passes without probing sets, and fails with any of them."""
    believe(monkeypatch)
    ran = run(tmp_path, EXAMPLES / "isw-and", num_traces=ENOUGH, probing=probing)
    if probing == "off":
        assert ran.verdict is Verdict.PASSED
        assert any("no probing sets" in bound for bound in ran.result.bounds)
        return
    assert ran.verdict is Verdict.FAILED
    assert ran.rules() == {"leaking-probe"}
    members = ran.rows("leaking")[0]["members"]
    assert all(name in members for name in ("a0_q", "a1_q", "b0_q", "b1_q", "r_q"))


def test_power_with_glitches_sees_isw_and_too(tmp_path, monkeypatch):
    """Without probing sets, by `toggle_count` alone."""
    believe(monkeypatch)
    fields = {"num_traces": 100_000, "probing": "off", "power_model": "toggle_count"}
    ran = run(tmp_path, EXAMPLES / "isw-and", **fields)
    assert ran.verdict is Verdict.FAILED
    assert "power-leak" in ran.rules()


@pytest.mark.parametrize("count", [1, 1000])
def test_too_few_traces_say_how_many_it_takes(check, count):
    """Finding nothing with them is no verdict; a whole batch is simulated at least."""
    ran = check("refresh_good", REFRESH, num_traces=count)
    assert ran.verdict is Verdict.INCONCLUSIVE
    assert "too few traces" in ran.reason
    assert ran.metric("traces") == 2 * 512 * -(-count // 512)  # of two campaigns
    asked = int(ran.reason.split("num_traces to ")[1].split()[0])
    again = check_again(ran, asked)
    assert again.verdict is Verdict.PASSED


def check_again(ran, count):
    """The same project with the number of traces that the reason names."""
    return run(
        ran.folder.path.parent / "again", ran.folder.path.parent / "project", num_traces=count
    )


def test_few_traces_are_enough_for_a_large_leak(check, monkeypatch):
    """A verdict `failed` needs no minimum."""
    believe(monkeypatch)
    assert check("refresh_broken", REFRESH, num_traces=1).verdict is Verdict.FAILED


def test_noise_lowers_t_and_not_the_tests_of_nets(check, monkeypatch):
    """The power is what noise is added to."""
    believe(monkeypatch)
    fields = {"power_model": "hamming_weight", "orders": [1, 2], "num_traces": ENOUGH}
    quiet = check("refresh_good", REFRESH, **fields)
    project = quiet.folder.path.parent
    loud = run(project / "loud", project / "project", noise_stddev=20.0, **fields)
    assert loud.result.summary["max_t_value"] < quiet.result.summary["max_t_value"] / 4
    assert loud.rows("power")[1]["std_fixed"] > 19
    assert any("noise with a standard deviation of 20" in text for text in loud.result.bounds)
    assert loud.rows("net_heat") == quiet.rows("net_heat")


def test_the_number_of_cycles_can_be_given(check):
    """A trace is as long as asked for."""
    ran = check("refresh_good", REFRESH, cycles=7)
    assert {row["cycle"] for row in ran.rows("t_values")} == set(range(7))


def test_tables_and_artifacts_agree(check, monkeypatch):
    """Each table as declared; the same t in the table, the CSV file and the JSON file."""
    believe(monkeypatch)
    ran = check("refresh_broken", REFRESH, orders=[1, 2])
    assert ran.tables() == ALWAYS
    for name in ran.tables():
        assert all(set(row) == set(TABLES[name].names) for row in ran.rows(name))
    tvla, rows = ran.tvla(), ran.rows("t_values")
    assert (tvla["status"], tvla["threshold"]) == ("failed", 4.5)
    assert math.isclose(tvla["max_t_value"], max(abs(r["t"]) for r in rows), abs_tol=1e-4)
    assert tvla["max_t_value"] == ran.result.summary["max_t_value"]
    assert sum(c["traces"] for c in tvla["campaigns"]) == ran.metric("traces")
    with (ran.folder.artifacts / "power_trace.csv").open() as file:
        lines = list(csv.DictReader(file))
    for campaign in tvla["campaigns"]:
        for order in ("1", "2"):
            found = [r for r in rows if (r["series"], r["order"]) == (campaign["name"], int(order))]
            assert campaign["orders"][order]["t_values"] == [row["t"] for row in found]
            mine = [
                float(r[f"t_order_{order}"]) for r in lines if r["campaign"] == campaign["name"]
            ]
            assert mine == [row["t"] for row in found]
    counted = {}
    for row in ran.rows("distribution"):
        key = row["series"], row["order"]
        counted[key] = counted.get(key, 0) + row["fixed"] + row["random"]
    assert set(counted.values()) == {c["traces"] for c in tvla["campaigns"]}
    last = {(r["series"], r["order"]): r["t"] for r in ran.rows("t_progress")}
    assert max(map(abs, last.values())) == max(abs(r["t"]) for r in rows)
    leaking = ran.rows("leaking")
    assert [r["position"] for r in leaking] == list(range(len(leaking)))
    assert [r["log10_p"] for r in leaking] == sorted((r["log10_p"] for r in leaking), reverse=True)
    hot = max(ran.rows("source_heat"), key=lambda row: row["log10_p"])
    assert hot["leaking"] > 0


def test_stored_traces_are_those_that_were_tested(check):
    """The first of the first campaign; their mean is near that of the table."""
    ran = check("refresh_good", REFRESH, store_traces=3000)
    store = open_store(ran.folder.artifacts / "traces.zarr.zip")
    assert (store.n_traces, store.labelled) == (3000, True)
    traces = np.concatenate([chunk.traces for chunk in store.chunks()])
    labels = np.concatenate([chunk.labels for chunk in store.chunks()])
    assert traces.shape == (3000, ran.metric("cycles"))
    power = [r for r in ran.rows("power") if r["series"] == store.attributes["campaign"]]
    for cycle, row in enumerate(power):
        mean = traces[labels == 0, cycle].mean()
        assert abs(mean - row["mean_fixed"]) < 6 * (row["std_fixed"] + 1e-9) / math.sqrt(1000)


def numbers(ran):
    """All that a result measures; not which engine computed it."""
    tables = {name: ran.rows(name) for name in sorted(ran.tables())}
    return ran.result.summary, ran.result.metrics, ran.tvla(), tables


def test_a_seed_makes_the_run_again(check):
    """The same seed gives the same numbers, another one gives others."""
    ran = check("refresh_good", REFRESH)
    root = ran.folder.path.parent
    same = run(root / "same", root / "project", num_traces=ENOUGH)
    other = run(root / "other", root / "project", num_traces=ENOUGH, seed=2)
    assert numbers(ran) == numbers(same)
    assert ran.tvla()["campaigns"][0]["orders"] != other.tvla()["campaigns"][0]["orders"]
    assert other.verdict is Verdict.PASSED


@pytest.mark.parametrize("model", ["hamming_distance", "hamming_weight", "toggle_count"])
def test_numpy_gives_the_same_numbers(check, monkeypatch, model):
    """Without the compiled part the result is the same, and says that numpy made it."""
    believe(monkeypatch)
    fields = {"num_traces": 4096, "power_model": model}
    ran = check("refresh_broken", REFRESH, **fields)
    root = ran.folder.path.parent
    monkeypatch.setenv(native.SWITCH, "0")
    native.library.cache_clear()
    try:
        again = run(root / "numpy", root / "project", **fields)
    finally:
        monkeypatch.undo()
        native.library.cache_clear()
    assert numbers(ran) == numbers(again)
    assert any("simulated by numpy" in bound for bound in again.result.bounds)


def test_simulators_that_contradict_each_other_give_no_verdict(check, monkeypatch):
    """A compiled part that counts otherwise than numpy is an error."""
    monkeypatch.setattr(
        checking.Simulation, "power_by_numpy", lambda self, *_: self.power(0, 1) + 1
    )
    with pytest.raises(CheckFailedToRun, match="internal contradiction"):
        check("refresh_good", REFRESH)


def test_a_self_check_that_fails_is_no_pass(check, monkeypatch):
    """A planted leak that is not found: the tests see nothing, so that they say nothing."""
    monkeypatch.setattr(checking.planting, "found", lambda *_: False)
    ran = check("refresh_good", REFRESH)
    assert ran.verdict is Verdict.INCONCLUSIVE
    assert "self-check failed" in ran.reason


def test_a_secure_design_is_rejected_no_more_often_than_the_level_says(tmp_path):
    """200 seeds at a level of 6.8e-6 for each: more than none would be a fault."""
    project = EXAMPLES / "dom-and"
    settings = config.load(project, {})
    params = settings.verification.crypto_verification.side_channel
    params = params.model_copy(update={"num_traces": 5000})
    folder = RunFolder.create(tmp_path / "side_channel.tmp")
    made = subject(params, design.load(project, settings), folder)
    strongest = []
    for seed in range(200):
        looked = checking._look(params.model_copy(update={"seed": seed}), made, folder)
        assert not looked.leaking and not looked.rejected, seed
        strongest.append(max(found.t.log10_p.max() for found in looked.assessed))
    # the smallest of eight p a run: as uniform as it ought to be, so that the level means something
    expected = 1 - (1 - 0.1) ** (1 / 8)
    seen = sum(p > -math.log10(expected) for p in strongest)
    assert seen < 40  # 20 on average if all eight cycles count, fewer where nothing moves
