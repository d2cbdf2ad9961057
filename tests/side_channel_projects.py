"""Projects for the tests of the check side_channel, and how it is run on them in this process."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from conftest import needs

from openforge import config, design
from openforge.engines import side_channel
from openforge.engines.side_channel import replaying
from openforge.run_folder import RunFolder

EXAMPLES = Path(__file__).parents[1] / "examples"
DESIGNS = Path(__file__).parent / "designs" / "side_channel"
CONTROL = {
    "clock": "clk",
    "reset": {"signal": "rst_n", "active": "low", "cycles": 2},
    "start": {"signal": "start"},
    "done": {"signal": "done"},
}
REFRESH = {**CONTROL, "shares": {"x": ["x0", "x1"]}, "randoms": ["r"]}
KEY_REGISTER = {**CONTROL, "shares": {"key": ["key0_q", "key1_q"]}}
PLAIN = {**CONTROL, "secrets": ["key"]}
HEAD = """module dut (input logic clk, rst_n, start, input logic [7:0] key, data,
            output logic done, output logic [7:0] q);
"""
BODY = """  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin q <= 0; done <= 0; end
    else begin done <= start; if (start) q <= key ^ data; end
endmodule
"""


class Ran:
    """What a run left: the result, its folder, and readers of it."""

    def __init__(self, result, folder):
        self.result, self.folder = result, folder
        self.verdict, self.reason = result.verdict, result.reason

    def rows(self, name):
        """The rows of a table."""
        return pq.read_table(self.folder.path / "tables" / f"{name}.parquet").to_pylist()

    def tables(self):
        """The names of the tables."""
        return {path.stem for path in (self.folder.path / "tables").iterdir()}

    def tvla(self):
        """What ``tvla_results.json`` says."""
        return json.loads((self.folder.artifacts / "tvla_results.json").read_text())

    def rules(self):
        """The rules of the findings."""
        return {found.rule for found in self.result.findings}

    def metric(self, name):
        """The value of a metric."""
        return next(m.value for m in self.result.metrics if m.name == name)

    def lines(self):
        """The lines at which there are findings."""
        return {f.location.line for f in self.result.findings if f.location}


def believe(monkeypatch):
    """Take replays for granted: a model for Verilator takes more time than all the rest."""
    monkeypatch.setattr(replaying, "build", lambda *_: None)
    monkeypatch.setattr(replaying, "replay", lambda *_, **__: 1)


def run(folder, project, **fields):
    """Run the check on `project`, with fields of its section set."""
    needs("pyosys", "verilator", "c++")
    prefix = "verification.crypto_verification.side_channel"
    settings = config.load(project, {f"{prefix}.{name}": value for name, value in fields.items()})
    made = RunFolder.create(folder / "side_channel.tmp")
    params = settings.verification.crypto_verification.side_channel
    return Ran(side_channel.run(params, design.load(project, settings), made), made)


def write(folder, rtl, interface, files=None, *, top="dut", section=None):
    """A project of one source; `files` are written beside it."""
    folder.mkdir()
    (folder / "dut.sv").write_text(rtl, encoding="utf-8")
    for name, content in (files or {}).items():
        if isinstance(content, np.ndarray):
            np.save(folder / name, content)
        elif isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            (folder / name).write_text(content, encoding="utf-8")
    crypto = {"interface": interface, "side_channel": section or {}}
    text = {
        "project": {"name": "p", "top_module": top},
        "design": {"sources": ["dut.sv"]},
        "verification": {"crypto_verification": crypto},
    }
    (folder / "openforge.yaml").write_text(json.dumps(text), encoding="utf-8")
    return folder
