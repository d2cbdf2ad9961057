"""The slang worker as a tool: its answer, its limits, and what it is given."""

import json

import pytest

from openforge.errors import ToolError
from openforge.tools import process, slang


@pytest.fixture
def request_for(tmp_path):
    """A request for one source text, as `openforge.design` makes it."""

    def make(text, **changes):
        source = tmp_path / "a.sv"
        source.write_text(text)
        return {
            "project": str(tmp_path), "sources": [str(source)], "extra": [], "includes": [],
            "not_utf8": [], "defines": {}, "parameters": {}, "top": "top",
            "language": "1800-2017", **changes,
        }  # fmt: skip

    return make


def test_the_answer_is_plain_data_with_places_in_the_project(request_for, tmp_path):
    """Ports come with file, line and column, relative to the project."""
    answer = slang.elaborate(
        request_for("module top (input [3:0] a); endmodule"), readable=[tmp_path]
    )
    assert answer["elaborated"]
    (port,) = answer["ports"]
    assert (port["name"], port["width"]) == ("a", 4)
    assert port["location"] == {"file": "a.sv", "line": 1, "column": 25}


@pytest.mark.parametrize("value", ['"a b"', "8'hA5", "x \\ y", "$HOME", "`tick", ""])
def test_values_of_macros_arrive_as_they_are(request_for, tmp_path, value):
    """Quotes, blanks, backslashes and dollars are no syntax of slang's command line."""
    text = f'module top; localparam logic [799:0] X = "{json.dumps(value)[1:-1]}"; endmodule\n'
    answer = slang.elaborate(request_for(text, defines={"V": value}), readable=[tmp_path])
    assert answer["elaborated"]
    given = {"V": value.replace("`tick", "1").replace("\\", "+") or "1"}
    used = slang.elaborate(
        request_for('module top; string s = $sformatf(`"`V`"); endmodule', defines=given),
        readable=[tmp_path],
    )
    assert "problem" not in used


def test_many_errors_are_capped(request_for, tmp_path):
    """A hostile source cannot make the answer as long as it likes."""
    text = "module top;" + "".join(f"assign x{i} = y{i}[0];\n" for i in range(3000)) + "endmodule"
    answer = slang.elaborate(request_for("`default_nettype none\n" + text), readable=[tmp_path])
    assert len(answer["diagnostics"]) == 2001
    assert answer["diagnostics"][-1]["rule"] == "findings-cut"
    assert not answer["elaborated"]


def test_an_error_behind_many_warnings_is_told(request_for, tmp_path):
    """Errors come first, so that a cap cannot hide one."""
    many = "".join(f"wire [3:0] x{i} = 8'hff;\n" for i in range(2100))
    answer = slang.elaborate(
        request_for(f"module top;\n{many}assign y = nowhere;\nendmodule"), readable=[tmp_path]
    )
    assert answer["diagnostics"][0]["level"] == "error"
    assert "findings-cut" in {row["rule"] for row in answer["diagnostics"]}


def test_a_define_that_is_no_name_is_an_error(request_for, tmp_path):
    """What slang cannot take as a macro is a finding, and never lost."""
    answer = slang.elaborate(
        request_for("module top; endmodule", defines={"1bad": "2"}), readable=[tmp_path]
    )
    assert not answer["elaborated"]
    assert answer["diagnostics"]


def test_a_worker_that_runs_into_a_limit_is_an_error(request_for, tmp_path, monkeypatch):
    """Time that runs out is no answer."""
    endless = tmp_path / "endless.py"
    endless.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(slang, "WORKER", endless)
    monkeypatch.setattr(slang, "_LIMITS", process.Limits(timeout_s=0.3))
    with pytest.raises(ToolError, match="slang could not elaborate the design: timeout"):
        slang.elaborate(request_for("module top; endmodule"), readable=[tmp_path])


def test_a_name_of_odd_bytes_is_an_error_of_the_design(request_for, tmp_path):
    """An included file that is not UTF-8 where it matters is a finding, not a crash."""
    (tmp_path / "odd.xyz").write_bytes(b"output \\caf\xe9 \n")
    text = 'module top (\n`include "odd.xyz"\n); endmodule'
    answer = slang.elaborate(request_for(text), readable=[tmp_path])
    assert not answer["elaborated"]
    assert any("identifiers must be ASCII" in row["message"] for row in answer["diagnostics"])


def test_only_designs_that_elaborate_are_cached(request_for, tmp_path, shared_cache):
    """What a broken design lacks may turn up, so it is asked for again."""
    for text, kept in (
        ("module top; endmodule", True),
        ("module top; nothing n(); endmodule", False),
    ):
        digest = f"test-{tmp_path.name}-{kept}"
        slang.cached(request_for(text), digest, readable=[tmp_path], keep=lambda _: True)
        assert (shared_cache / "designs" / f"{digest}.json").exists() is kept
