"""The compiled part: all levels give the same, the switch picks one, another version is refused."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_compiled
from gate_reference import case, random_stimulus

from openforge import native
from openforge.analysis.bitsliced import Model, ProbingSet, simulation
from openforge.analysis.bitsliced_native import Engine
from openforge.analysis.gates import gates


def levels():
    """The libraries that were built and that this processor can run, by level."""
    folder = Path(native.__file__).parent
    first = native._load(1)
    best = int(first.of_level()) if first else 0
    paths = {level: folder / f"_native_v{level}.so" for level in (1, 3, 4)}
    return {n: ctypes.CDLL(str(p)) for n, p in paths.items() if p.exists() and n <= best}


def everything(engine, sim):
    """All that an engine can say of two batches, as one list of arrays."""
    cycles, nets = sim.n_cycles, sim.tape.n_nets
    vectors = np.arange(nets, dtype=np.uint32)
    sets = [
        ProbingSet(tuple(range(5)), (False,) * 5, 5),
        ProbingSet(tuple(n % nets for n in range(3, 20)), (True, False) * 8 + (True,), 9),
    ]
    counted, outside = engine.histogram(sim, 3, 2, np.full(cycles, 2, np.int64), 20)
    return [
        engine.power(sim, 3, 2),
        counted,
        np.array(outside),
        engine.toggles(sim, 3, 2, 0, cycles),
        engine.values(sim, 3, vectors),
        *engine.tables(sim, 3, 2, sets),
    ]


@pytest.mark.parametrize("model", list(Model))
def test_levels_agree(model):
    """Whatever the processor can do, the numbers are the same."""
    found = levels()
    if len(found) < 2:
        pytest.skip("there is one level at most")
    for seed in range(12):
        graph, draw = case(seed, n_gates=150)
        netlist = gates(graph, "clk")
        sim = simulation(netlist, random_stimulus(draw, netlist), model, seed)
        first, *others = [everything(Engine(library), sim) for library in found.values()]
        for other in others:
            assert all((a == b).all() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("switch", "expected"), [("0", "numpy"), ("1", "v1"), ("2", "v1"), ("3", "v3"), ("9", "best")]
)
def test_switch(switch, expected):
    """The environment switches the compiled part off or picks a level that the processor has."""
    found = levels()
    needs_compiled()
    level = {"best": max(found), "v3": max(n for n in found if n <= 3)}.get(expected, 1)
    code = "from openforge import native; print(native.describe())"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, native.SWITCH: switch},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == (expected if expected == "numpy" else f"v{level}")


def test_another_version_is_refused():
    """A library whose structures are of another size is not called."""

    class Other:
        def of_sizes(self, which):
            return 8 * which

    with pytest.raises(RuntimeError, match="another version"):
        Engine(Other())


def test_without_libraries(monkeypatch):
    """Where nothing was built, numpy computes."""
    monkeypatch.setattr(native, "_load", lambda _: None)
    monkeypatch.setattr(native, "library", native.library.__wrapped__)
    assert native.library() is None
    assert native.describe() == "numpy"
