"""Replaying a stimulus on Verilator: what is set, what is read when, and what is refused."""

import random
from pathlib import Path

import pytest
from conftest import needs

from openforge.errors import DesignError, ToolError, ToolTimeout
from openforge.tools import process, verilator, verilator_replay, verilator_symbols, waves
from openforge.tools.verilator_replay import Poke, Stimulus

pytestmark = pytest.mark.xdist_group("replay")  # what they share takes long to make

DESIGNS = Path(__file__).parent / "designs" / "replay"
WIDE = 1 << 99 | 1 << 64 | 5


def built(folder, shared_cache, top, **changes):
    """The replayer of one of the designs; the cache is the one of all tests."""
    needs("verilator", "c++")
    model = verilator.Model(
        **{
            "top": top,
            "sources": (DESIGNS / f"{top}.sv",),
            "main": verilator_replay.MAIN,
            **changes,
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENFORGE_CACHE", str(shared_cache))
        return verilator_replay.build(model, folder / top, project=DESIGNS, jobs=2)


@pytest.fixture(scope="module")
def replay(tmp_path_factory, shared_cache):
    return built(tmp_path_factory.mktemp("models"), shared_cache, "replay")


@pytest.fixture(scope="module")
def stray(tmp_path_factory, shared_cache):
    return built(tmp_path_factory.mktemp("models"), shared_cache, "stray")


def stimulus(*cycles, pokes=None, before=None, **changes):
    """A stimulus for `replay`, its resets inactive unless a cycle says otherwise."""
    return Stimulus(
        **{
            "clock": "clk",
            "rising": True,
            "before": {"rst_n": 1, **(before or {})},
            "cycles": cycles,
            "pokes": pokes or {},
            **changes,
        }
    )


def test_a_register_shows_its_value_a_cycle_later(replay, tmp_path):
    """What has no initial value is 0; a synchronous reset acts at the edge of its cycle."""
    seen = replay.run(stimulus({}, {}, {"clear": 1}, {"clear": 0}, {}), ["count"], tmp_path / "run")
    assert seen.values == {"count": (0, 1, 2, 0, 1)}


def test_an_asynchronous_reset_acts_in_its_cycle(replay, tmp_path):
    """It is seen before the edge; while it is held the edge does nothing."""
    seen = replay.run(
        stimulus({}, {}, {"rst_n": 0}, {}, {"rst_n": 1}, {}), ["async_count"], tmp_path / "run"
    )
    assert seen.values["async_count"] == (0, 1, 0, 0, 0, 1)


def test_more_than_64_bits(replay, tmp_path):
    """Wide inputs, registers and pokes keep every bit."""
    pokes = {1: [Poke("wide", None, WIDE ^ 1 << 98)]}
    seen = replay.run(
        stimulus({"x": WIDE}, {"x": 0}, {}, pokes=pokes), ["wide", "y", "x"], tmp_path / "run"
    )
    assert seen.values["wide"] == seen.values["y"] == (0, WIDE ^ 1 << 98, WIDE ^ 1 << 98)
    assert seen.values["x"] == (WIDE, 0, 0)


def test_pokes_reach_the_logic(replay, tmp_path):
    """Words of memories, registers of instances and generate blocks, structs, odd names."""
    pokes = {
        0: [
            Poke("mem", 4, 0x30),
            Poke("pair_q", None, 0xA05),
            Poke("gen[1].u_stage.r", None, 0x11),
            Poke("gen[0].u_stage.mask", None, 0),
            Poke("gen[1].r", None, 0x20),
            Poke("grid[0]", 2, 0xF),
            Poke("\\odd.name[3] ", None, 1),
            Poke("count", None, 0xFE),
        ]
    }
    seen = replay.run(
        stimulus({"lanes[2]": 0x80, "pair_in": 0xBCD, "x": 3}, {}, {}, pokes=pokes),
        ["word", "stages", "lane", "mem[4]", "mem[7]", "pair_q", "grid[0][2]", "count"],
        tmp_path / "run",
    ).values
    assert seen["word"] == (0x35, 0xFD, 0xFD) and seen["mem[4]"] == (0x30, 0x30, 0x30)
    assert seen["stages"] == (0x5100, 0x6100, 0x6200)
    assert seen["lane"] == (0x80 ^ 0xF ^ 1, 0x80 ^ 1, 0x80 ^ 1)
    assert seen["mem[7]"] == (0, 3, 3) and seen["grid[0][2]"] == (0xF, 0, 0)
    assert seen["pair_q"] == (0xA05, 0xBCD, 0xBCD) and seen["count"] == (0xFE, 0xFF, 0)


def test_a_poked_state_goes_on_as_one_that_was_reached(replay, tmp_path):
    """Poking all registers with the state of a run at any cycle gives the rest of that run."""
    dice = random.Random(1)
    registers = [
        *(("wide", None), ("pair_q", None), ("count", None), ("async_count", None)),
        *(("grid[0]", 2), ("\\odd.name[3] ", None), *(("mem", word) for word in range(4, 8))),
        *((f"gen[{i}].{name}", None) for i in (0, 1) for name in ("r", "u_stage.r")),
    ]
    names = [name if word is None else f"{name}[{word}]" for name, word in registers]
    names += ["y", "word", "stages", "lane"]
    cycles = [
        {
            "rst_n": int(n % 5 != 3),
            "clear": dice.getrandbits(1),
            "x": dice.getrandbits(100),
            "pair_in": dice.getrandbits(12),
            **{f"lanes[{i}]": dice.getrandbits(8) for i in range(3)},
        }
        for n in range(12)
    ]
    whole = replay.run(stimulus(*cycles), names, tmp_path / "whole").values
    for start in (1, 4, 9):
        state = [
            Poke(*register, whole[name][start])
            for register, name in zip(registers, names, strict=False)
        ]
        rest = replay.run(
            stimulus(*cycles[start:], pokes={0: state}), names, tmp_path / f"from-{start}"
        )
        assert rest.values == {name: whole[name][start:] for name in names}


def test_a_poke_and_a_reset_in_one_cycle(replay, tmp_path):
    """The asynchronous reset wins, and what it resets was no net that something drives."""
    pokes = {1: [Poke("async_count", None, 9), Poke("count", None, 9)]}
    seen = replay.run(
        stimulus({}, {"rst_n": 0}, pokes=pokes), ["async_count", "count"], tmp_path / "run"
    )
    assert seen.values == {"async_count": (0, 0), "count": (0, 9)}


def test_falling_edge(tmp_path, shared_cache):
    """The active edge can fall, and before cycle 0 no register sees an edge of any kind."""
    replayer = built(tmp_path, shared_cache, "falling")
    names = ["fall", "rise", "turned"]
    for rising in (False, True):
        seen = replayer.run(
            Stimulus("clk", rising, {}, [{}, {}, {}]), names, tmp_path / f"run-{rising}"
        )
        assert seen.values == dict.fromkeys(names, (0, 1, 2))


def test_parameters(tmp_path, shared_cache):
    """Parameters of the top reach the model: values must fit the new width."""
    replayer = built(tmp_path, shared_cache, "replay", parameters={"WIDTH": "9"})
    seen = replayer.run(stimulus({"x": 0x1FF}, {}), ["y"], tmp_path / "run")
    assert seen.values == {"y": (0, 0x1FF)}
    with pytest.raises(ToolError, match="0x200 does not fit 'x', of 9 bit"):
        replayer.run(stimulus({"x": 0x200}), ["y"], tmp_path / "refused")


def test_runs_are_independent(replay, tmp_path):
    """A run leaves nothing behind for the next one; equal stimuli give equal traces."""
    plain = stimulus({"x": 3}, {"x": 7}, {})
    names = ["wide", "count", "mem[7]", "gen[0].u_stage.mask"]
    first = replay.run(plain, names, tmp_path / "first")
    pokes = {0: [Poke("gen[0].u_stage.mask", None, 1), Poke("count", None, 7)]}
    other = replay.run(stimulus({}, pokes=pokes), names, tmp_path / "other")
    again = replay.run(plain, names, tmp_path / "again")
    assert first.values == again.values != other.values
    assert other.values["gen[0].u_stage.mask"] == (1,)


def test_the_waveform_shows_the_samples(replay, tmp_path):
    """Just before the active edge of a cycle the FST file has what was sampled."""
    needs("pywellen")
    names = ["count", "wide", "async_count", "gen[1].u_stage.r", "mem[7]"]
    pokes = {2: [Poke("count", None, 0x80)]}
    seen = replay.run(
        stimulus({"x": WIDE}, {}, {"rst_n": 0}, {"x": 0}, pokes=pokes), names, tmp_path / "run"
    )
    full = [[f"replay.{name.replace('mem[', 'mem.[')}"] for name in [*names, "clk"]]
    (signals,) = waves.read([seen.waveform], full, tmp_path)
    for name, changes in zip(names, signals[:-1], strict=True):
        shown = [[v for t, v in changes if t < 10 * n + 5][-1] for n in range(4)]
        assert tuple(shown) == seen.values[name], name
    edges = [time for time, value in signals[-1] if value]
    assert edges == [5, 15, 25, 35]


def test_no_cycles_and_no_names(replay, tmp_path):
    """Nothing to do is done, and gives a waveform of time 0."""
    seen = replay.run(stimulus(), ["y"], tmp_path / "run")
    assert seen.values == {"y": ()} and seen.waveform.stat().st_size > 0
    assert replay.run(stimulus({}), [], tmp_path / "nothing").values == {}


@pytest.mark.parametrize(
    ("changes", "observe", "message"),
    [
        ({}, ["cuont"], "has no signal 'cuont'; did you mean 'count'"),
        ({}, ["gen[1].u_stage.rr"], "did you mean 'gen\\[1\\].u_stage.r'"),
        ({}, ["nowhere.r"], "there is no scope 'replay.nowhere'"),
        ({}, ["gen[2].r"], "there is no scope 'replay.gen\\[2\\]'"),
        ({}, ["mem"], "'mem' is \\[4:7\\]; it needs an index"),
        ({}, ["mem[3]"], "'mem\\[3\\]' is \\[4:7\\]"),
        ({}, ["count[1]"], "is not an array"),
        ({}, ["loose"], "no bit vector"),
        ({}, ["WIDTH"], "has no signal 'WIDTH'"),
        ({}, ["count\nend"], "no hierarchical name"),
        ({}, ["$(true)"], "no hierarchical name"),
        ({"pokes": {0: [Poke("nothing", None, 0)]}}, [], "has no signal 'nothing'"),
        ({"pokes": {0: [Poke("mem", None, 0)]}}, [], "needs an index"),
        ({"pokes": {0: [Poke("mem", 8, 0)]}}, [], "got \\[8\\]"),
        ({"pokes": {0: [Poke("count", None, 256)]}}, [], "0x100 does not fit 'count', of 8 bit"),
        ({"pokes": {0: [Poke("count", None, -1)]}}, [], "does not fit"),
        ({"pokes": {0: [Poke("mem", 4, 1), Poke("mem[4]", None, 2)]}}, [], "set twice"),
        ({"pokes": {1: [Poke("count", None, 1)]}}, [], "pokes for cycle 1"),
        ({"pokes": {0: [Poke("word", None, 1)]}}, [], "'word' does not keep .* in cycle 0"),
        ({"pokes": {0: [Poke("x", None, 1)]}}, [], "'x' does not keep"),
        ({"pokes": {0: [Poke("gen[1].u_stage.d", None, 1)]}}, [], "something drives it"),
        ({"clock": "clock"}, [], "has no input 'clock'; did you mean 'clk'"),
        ({"clock": "x"}, [], "the clock 'x' has 100 bits"),
        ({"cycles": [{"clk": 1}]}, [], "'clk' is the clock"),
        ({"cycles": [{"y": 1}]}, [], "has no input 'y'"),
        ({"cycles": [{"lanes": 1}]}, [], "'lanes' is \\[2:0\\]; it needs an index"),
        ({"before": {"lanes[3]": 1}}, [], "got \\[3\\]"),
    ],
)
def test_what_the_model_does_not_have(replay, tmp_path, changes, observe, message):
    """A name, an index or a value that does not fit is refused, with the nearest right name."""
    wanted = stimulus({}, **{key: value for key, value in changes.items() if key != "cycles"})
    if "cycles" in changes:
        wanted = stimulus(*changes["cycles"])
    with pytest.raises(ToolError, match=message):
        replay.run(wanted, observe, tmp_path / "run")


def stray_run(stray, what, out, **changes):
    cycles = [{"what": 0}, {"what": what}, {"what": 0}]
    return stray.run(Stimulus("clk", True, {}, cycles), ["q", "soon"], out, **changes)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (1, "never settles"),
        (2, "ended the simulation itself .* in cycle 1"),
        (3, "ended the simulation itself .* in cycle 1"),
        (4, "later than half a cycle, in cycle 1"),
        (6, "did not find 'missing.hex'"),
    ],
)
def test_designs_that_cannot_be_replayed(stray, tmp_path, what, message):
    """A design that ends itself, does not settle or is late gives an error and no trace."""
    with pytest.raises(DesignError, match=message):
        stray_run(stray, what, tmp_path / "run")


@pytest.mark.parametrize(("what", "logged"), [(8, "Assertion failed"), (9, "Verilog $stop")])
def test_what_a_design_may_do(stray, tmp_path, what, logged):
    """Short delays are over before the sample, and $error and $stop change nothing."""
    seen = stray_run(stray, what, tmp_path / "run")
    assert seen.values == {"q": (0, 1, 2), "soon": (0, 0, 1)}
    assert logged in (tmp_path / "run.log").read_text()


def test_a_crash_and_a_time_limit(stray, tmp_path):
    """A program that is killed or does not end is a tool's failure."""
    with pytest.raises(ToolError, match="replay of 'stray' (was ended|ended with code)"):
        stray_run(stray, 7, tmp_path / "crash")
    limits = process.Limits(timeout_s=1)
    with pytest.raises(ToolTimeout, match="replay of 'stray' did not end within 1 s"):
        stray_run(stray, 5, tmp_path / "endless", limits=limits)


@pytest.mark.parametrize("samples", [None, "", "0 0\nend\n", "0 0\n1 0\n2 0\n", "a\nb\nc\nend\n"])
def test_samples_that_are_not_whole(stray, tmp_path, samples):
    """A program that ends well and leaves too little is not believed."""
    fake = tmp_path / "fake"
    write = "" if samples is None else f"printf '{samples!r}' > $2".replace("''", "'")
    fake.write_text(f"#!/bin/sh\n{write}\ntouch $3\n")
    fake.chmod(0o755)
    replayer = verilator_replay.Replayer(stray.symbols, fake, DESIGNS)
    with pytest.raises(ToolError, match="left"):
        stray_run(replayer, 0, tmp_path / "run")


def test_designs_that_cannot_be_built(tmp_path, shared_cache):
    """A rejected design is a DesignError; so is a top with the name of Verilator's own scope."""
    with pytest.raises(DesignError, match="cannot build 'nothing'"):
        built(tmp_path, shared_cache, "nothing", sources=(DESIGNS / "stray.sv",))
    with pytest.raises(DesignError, match="a top module named TOP"):
        built(tmp_path, shared_cache, "TOP")


def test_a_folder_without_symbols(tmp_path):
    """C++ without a symbol table is an error: nothing could be set or read."""
    with pytest.raises(ToolError, match="no symbol table of 'top'"):
        verilator_symbols.read(tmp_path, "top")
