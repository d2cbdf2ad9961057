"""What side_channel shows: complete, escaped, cut, never better than its tables."""

import re

import pytest
import sample_job

from openforge import display, plots_power, report, view_fields, view_power, view_source
from openforge.model import Metric, Result, Stage, Verdict
from openforge.report import Format

PARTS = ("power", "traces", "leaking_nets", "source_heat", "pair", "cpa")
SHOWN = {
    "power": ("largest |t| 107.3 in cycle 6, above both thresholds", "Second order: variances"),
    "traces": ("Largest |t| over traces", "public inputs fixed, cycle 6 (order 1 and 2)"),
    "leaking_nets": ("−577", "33.2", "sees a0, ", "probing set", "rtl/alu.sv:2"),
    "source_heat": ("2 of 12", "0 of 4", "assign y", "width: 100%"),
    "pair": ("Copy a has the fixed secret", "Waveforms of both copies around cycle 6"),
    "cpa": ("2 of 4 key bytes recovered with 1,024 traces", "Signal-to-noise ratio"),
}


def body(shown):
    """The page without its style."""
    return shown.data.split("</style>")[1]


def record(tmp_path, tables, *, corrected=5.61, name="side_channel"):
    """A sealed side_channel check with these tables alone."""

    def seal(folder):
        for table, rows in tables.items():
            folder.table(table, rows)
        metrics = (Metric(name="corrected_threshold", value=corrected),) if corrected else ()
        result = Result(
            check=name,
            stage=Stage.CRYPTO,
            verdict=Verdict.PASSED,
            metrics=metrics,
            summary={"max_t_value": 1.0, "threshold": 4.5},
        )
        sample_job.finish(folder, result)

    return sample_job.make(tmp_path, checks=(name,), sealers={name: seal}).check(name)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_shows_its_tables_as_text(tmp_path, part):
    """What the tables say is there, and nothing of a design is taken for markup."""
    run = sample_job.make_leaking(tmp_path).check("side_channel")
    page = body(getattr(display, part)(run))
    pictured = re.sub(r'alt="[^"]*"', "", page)
    assert "<script" not in page and "<b>a</b>" not in page and "None" not in pictured
    text = page.replace("&lt;", "<")
    assert all(words in text for words in SHOWN[part])


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("check", ["lint", "formal"])
def test_a_check_without_power_shows_nothing(tmp_path, part, check):
    """Without tables there is no heading and no picture, whatever became of the check."""
    run = sample_job.make_full(tmp_path).check(check)
    assert not re.search(r"<h|<img|<p", body(getattr(display, part)(run)))


def test_the_report_has_the_same_parts(tmp_path):
    """The exported report shows what the notebook shows."""
    job = sample_job.make_leaking(tmp_path)
    page = report.report(job, Format.HTML).decode()
    for part in PARTS:
        for picture in re.findall(
            r"base64,[A-Za-z0-9+/=]+", getattr(display, part)(job.checks[0]).data
        ):
            assert picture in page
    assert "<script" not in page


def test_pictures_are_drawn_when_they_are_shown(tmp_path, monkeypatch):
    """Showing the findings does not draw power."""
    run = sample_job.make_leaking(tmp_path).check("side_channel")
    monkeypatch.setattr(plots_power, "t_over_cycles", None)
    assert "depends on the secret" in display.findings(run).data
    with pytest.raises(TypeError):
        display.power(run)


@pytest.mark.parametrize(
    ("t", "corrected", "words"),
    [
        (4.4, 5.61, "below both thresholds"),
        (-5.0, 5.61, "above the plain threshold only, which chance alone reaches in many tests"),
        (-5.7, 5.61, "above both thresholds"),
        (4.2, 3.9, "above the corrected threshold only"),
        (4.6, None, "above the threshold"),
        (4.4, None, "below the threshold"),
    ],
)
def test_a_value_is_told_beside_its_thresholds(tmp_path, t, corrected, words):
    """The largest |t| is compared with the thresholds that there are, and no others."""
    row = {"series": "s", "order": 1, "cycle": 3, "log10_p": 1.0}
    tables = {"t_values": [{**row, "t": t}, {**row, "cycle": 4, "t": 1.0}]}
    run = record(tmp_path, tables, corrected=corrected)
    (shown,) = view_power.Power(run).t_values
    assert shown["said"] == [f"s: largest |t| {abs(t):.4g} in cycle 3, {words}."]


def test_a_t_that_is_not_defined_is_not_small(tmp_path):
    """Without any t nothing is said to be below a threshold; an infinite one is above."""
    row = {"series": "measured", "order": 1, "cycle": 3}
    undefined = record(tmp_path, {"t_values": [{**row, "t": None}]})
    (shown,) = view_power.Power(undefined).t_values
    assert shown["said"] == ["measured: t is not defined in any sample."]
    rows = [{**row, "t": float("-inf")}, {**row, "cycle": 4, "t": 2.0}]
    infinite = record(tmp_path / "other", {"t_values": rows})
    (shown,) = view_power.Power(infinite).t_values
    assert shown["said"] == ["measured: largest |t| inf in sample 3, above both thresholds."]


def test_tables_without_leaks_say_so(tmp_path):
    """A design that passed: tested nets and lines, none of which leaks."""
    place = {"file": "rtl/alu.sv", "line": 2}
    tables = {
        "net_heat": [{"name": "n", "cycle": 0, "z": 1.0, **place}],
        "source_heat": [{**place, "log10_p": 2.0, "nets": 3, "leaking": 0}],
    }
    run = record(tmp_path, tables)
    assert "No net and no probing set is recorded" in body(display.leaking_nets(run))
    assert "No leak is recorded at any source line" in body(display.source_heat(run))


def test_long_names_are_cut(tmp_path):
    """A name keeps its head and its tail; a list of members is cut, too; the rest is counted."""
    row = {"kind": "net", "name": "top." + "x" * 500 + ".q", "members": "m" * 900, "cycle": 1}
    tables = {"leaking": [{**row, "position": n} for n in reversed(range(60))]}
    power = view_power.Power(record(tmp_path, tables))
    assert [found["position"] for found in power.leaking] == list(range(50))
    assert power.more_leaking == 10
    first = power.leaking[0]
    assert first["name"].startswith("top.x") and first["name"].endswith("x.q")
    assert len(first["name"]) <= 96 and len(first["members"]) <= 200


def test_the_source_around_leaking_lines(tmp_path):
    """Two lines around each, gaps marked, shares of the strongest; the host is not read."""
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "a.sv").write_text("secret\nsecret")
    (project / "a.sv").write_text("\n".join(f"line {n}" for n in range(1, 40)))
    cold, hot = {"nets": 5, "leaking": 0}, {"nets": 5, "leaking": 2}
    found = [
        {"file": "a.sv", "line": 3, "log10_p": 50.0, **hot},
        {"file": "a.sv", "line": 4, "log10_p": 1.0, **cold},
        {"file": "a.sv", "line": 20, "log10_p": float("inf"), **hot},
        {"file": "../a.sv", "line": 1, "log10_p": 60.0, **hot},
        {"file": "b.sv", "line": 1, "log10_p": 70.0, **cold},
        {"file": None, "line": None, "log10_p": 9.0, **hot},
    ]
    first, outside = view_source.heat(project, found)
    numbers = [line["number"] for line in first["lines"]]
    assert numbers == [1, 2, 3, 4, 5, None, 18, 19, 20, 21, 22]
    strongest = first["lines"][8]
    assert (strongest["text"], strongest["share"], strongest["leaking"]) == ("line 20", 100, 2)
    assert first["lines"][0]["nets"] is None
    assert [line["text"] for line in outside["lines"]] == [""]
    finite = [row for row in found if row["log10_p"] != float("inf")]
    shares = {x["number"]: x["share"] for x in view_source.heat(project, finite)[1]["lines"]}
    assert (shares[3], shares[4], shares[1]) == (71, 1, 0)


def fields(monkeypatch):
    """What is given to `plots_field.field`, call by call."""
    calls = []
    monkeypatch.setattr(
        view_fields.plots_field,
        "field",
        lambda shown, columns, **more: calls.append((shown, columns, more)) or "f",
    )
    return calls


def test_columns_of_many_cycles_keep_the_largest(monkeypatch):
    """Each column of a long field is as dark as its strongest cycle (slow reference)."""
    calls = fields(monkeypatch)
    sizes = [(n * 7919) % 1000 / 50 for n in range(1000)]
    rows = [{"name": "n", "cycle": c + 5, "z": -z} for c, z in enumerate(sizes)]
    view_fields.nets(rows, (4.5, 5.0))
    ((shown, columns, _),) = calls
    step = int(columns[1]) - int(columns[0])
    assert len(columns) <= 160 and columns[0] == "5"
    for at, cell in enumerate(shown[0].cells):
        largest = max(sizes[at * step : (at + 1) * step])
        assert cell.depth == sum(largest >= floor for floor in (4.5, 5.0, 15.0, 50.0))


def test_the_strongest_nets_come_first(monkeypatch):
    """At most 30 nets, those above the threshold; a few where none is, to show chance."""
    calls = fields(monkeypatch)
    rows = [{"name": f"n{n}", "cycle": 0, "z": (-1) ** n * n / 2} for n in range(100)]
    view_fields.nets(rows, (4.5,))
    view_fields.nets(rows[:9], (4.5,))
    assert [row.name for row in calls[0][0]] == [f"n{n}" for n in range(99, 69, -1)]
    assert calls[0][0][0].words == "49.5 in cycle 0"
    assert [row.name for row in calls[1][0]] == [f"n{n}" for n in range(8, 0, -1)]


def test_a_byte_counts_as_recovered_from_where_it_stays_so(monkeypatch):
    """A rank of 0 that is lost again is no recovery."""
    calls = fields(monkeypatch)
    row = {"target": "t", "guess": 1, "correlation": 0.1, "wrong": 0.05}
    ranks = {0: (9, 0, 3, 0, 0), 1: (0, 0, 0, 0, 1), 2: (200, 50, 49, 0, 0)}
    rows = [
        {**row, "position": byte, "traces": 10**step, "rank": rank}
        for byte, found in ranks.items()
        for step, rank in enumerate(found)
    ]
    told = view_fields.key(rows[::-1])
    assert told["said"] == "2 of 3 key bytes recovered with 10,000 traces."
    shown, columns, _ = calls[0]
    assert [r.words for r in shown] == ["from 1,000 on", "rank 1", "from 1,000 on"]
    assert columns == ["1", "10", "100", "1k", "10k"]
    assert [cell.depth for cell in shown[2].cells] == [0, 0, 1, 4, 4]
    assert view_fields.key([])["ranks"] == ""
