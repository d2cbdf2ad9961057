"""Reading coverage.dat and adding runs up."""

import random
from pathlib import Path

import pytest

from openforge.engines.simulation import coverage
from openforge.errors import ToolError
from openforge.tools import verilator_coverage

LOG = Path(__file__).parent / "logs" / "verilator-5.48-coverage.dat"
HEADER = "# SystemC::Coverage-3\n"


def entry(hits, **keys):
    text = "".join(f"\x01{key}\x02{value}" for key, value in keys.items())
    return f"C '{text}' {hits}\n"


def test_captured_file():
    """A file of Verilator 5.48 gives points with place, name, lines and hits."""
    points = verilator_coverage.read(LOG)
    assert {p.kind for p in points} == {"line", "branch", "toggle", "user"}
    user = next(p for p in points if p.kind == "user")
    assert (user.file, user.line, user.name, user.hits) == ("/project/s.sv", 4, "c_three", 1)
    rising = next(p for p in points if p.name == "clk:0->1")
    assert (rising.line, rising.module, rising.hits) == (1, "s", 8)
    assert coverage.cycles(points, ["clk"], "s") == 8
    assert coverage.cycles(points, ["nix"], "s") is coverage.cycles(points, ["clk"], "t") is None


def test_lines_and_escapes():
    """Lists of lines are expanded; bytes that Verilator escapes, also signed, come back."""
    text = HEADER + entry(3, f="/p/pr%FFFFFFC3%FFFFFFB3%25%22'x.sv", l=7, t="line", S="7-9,12")
    (point,) = verilator_coverage.parse(text)
    assert point.file == "/p/pró%\"'x.sv" and point.lines == (7, 8, 9, 12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        HEADER + "C 'broken\n",
        HEADER + entry(1, t="line", f="a"),
        HEADER + entry(1, t="line", f="a", l="x"),
    ],
)
def test_damaged_files_are_refused(text):
    """A file that is not all there is an error: half a coverage would look like a whole one."""
    with pytest.raises(ToolError):
        verilator_coverage.parse(text)


def test_links_and_missing_files_are_refused(tmp_path):
    """A hostile simulation may leave anything under the name; only a regular file is read."""
    (tmp_path / "link").symlink_to(LOG)
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder", "missing"):
        with pytest.raises(ToolError):
            verilator_coverage.read(tmp_path / name)


def test_merge_is_the_sum_of_runs():
    """Merging agrees with looking every point up in every run."""
    dice = random.Random(1)
    runs = [
        [
            verilator_coverage.Point(
                dice.choice(["line", "toggle"]),
                dice.choice("ab"),
                dice.randrange(1, 4),
                0,
                dice.choice("xy"),
                dice.choice("mn"),
                (1,),
                dice.randrange(3),
            )
            for _ in range(20)
        ]
        for _ in range(5)
    ]
    merged = verilator_coverage.merge(runs)
    keys = {p.key for run in runs for p in run}
    assert len(merged) == len(keys)
    for point in merged:
        expected = 0
        for run in runs:
            for other in run:
                if other.key == point.key:
                    expected += other.hits
        assert point.hits == expected


def test_percent_is_never_rounded_up():
    """1999 of 2000 is not 100 %; a goal is compared exactly."""
    share = coverage.Share(1999, 2000)
    assert share.percent == 99.9 and not share.reaches(100) and share.reaches(99.95)


def test_blocks_become_lines():
    """Each line of any block or branch counts once; it is hit when one of them was executed."""
    text = (
        HEADER
        + entry(4, f="/p/a.sv", l=3, t="line", S="3-5", page="v_line/m")
        + entry(0, f="/p/a.sv", l=6, t="line", S="6-7", page="v_line/m")
        + entry(4, f="/p/a.sv", l=5, n=3, t="branch", o="if", S="5-6", page="v_branch/m")
        + entry(0, f="/p/a.sv", l=8, n=3, t="branch", o="if", S="9", page="v_branch/m")
    )
    lines = coverage.source_lines(verilator_coverage.parse(text))
    assert {p.line: p.hits for p in lines} == {3: 4, 4: 4, 5: 4, 6: 4, 7: 0, 8: 0, 9: 0}
    assert {p.kind for p in lines} == {"line"}


def test_user_points_count_in_each_instance():
    """A cover property is a point of each instance below the top; in any bench the same one."""

    def run(path, first, second):
        return HEADER + "".join(
            entry(hits, f="/p/a.sv", l=line, t=kind, o=name, page=f"v_{kind}/{module}", h=place)
            for hits, line, kind, name, module, place in (
                (9, 1, "line", "block", "dut", path),
                (first, 7, "user", "c_x", "s", f"{path}.u0.c_x"),
                (second, 7, "user", "c_x", "s", f"{path}.g[1].u.c_x"),
                (first, 8, "line", "block", "s", f"{path}.u0"),
                (second, 8, "line", "block", "s", f"{path}.g[1].u"),
            )
        )

    runs = [verilator_coverage.parse(text, "dut") for text in (run("dut", 1, 0), run("tb.d", 2, 0))]
    found = {(p.kind, p.line, p.name): p.hits for p in verilator_coverage.merge(runs)}
    assert found == {
        ("line", 1, "block"): 18,
        ("user", 7, "u0.c_x"): 3,
        ("user", 7, "g[1].u.c_x"): 0,
        ("line", 8, "block"): 3,
    }
