"""`openforge traces`: what it prints and writes."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from openforge.cli_traces import app
from openforge.errors import NotFound, OpenForgeError
from openforge.trace_store import Writer


@pytest.fixture
def store(tmp_path):
    """A store of three traces."""
    path = tmp_path / "traces.zarr.zip"
    with Writer(path, attributes={"unit": "HD\x1b[31m", "seed": 3}) as writer:
        key = np.zeros((3, 16), np.uint8)
        writer.append(np.ones((3, 5), np.uint16), np.array([0, 1, 1], np.uint8), {"key": key})
    return path


def run(*words):
    """What a command prints; its exception, if it raises one."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_info_says_what_is_in_a_store(store):
    """For people, without control characters, and as JSON."""
    said = run("info", store)
    assert "traces    3 of 5 samples, uint16" in said
    assert "labels    1 fixed, 2 random" in said
    assert "key (16 bytes)" in said
    assert "\x1b" not in said
    answer = json.loads(run("info", store, "--json"))
    assert answer["labels"] == {"fixed": 1, "random": 2}
    assert (answer["n_traces"], answer["n_samples"], answer["dtype"]) == (3, 5, "uint16")
    assert answer["attributes"]["seed"] == 3


def test_export_prints_what_it_wrote(store, tmp_path):
    """By the suffix, or by --format."""
    assert run("export", store, tmp_path / "x.npz").split() == [str(tmp_path / "x.npz")]
    run("export", store, tmp_path / "y.cwp")
    assert (tmp_path / "y_data").is_dir()
    run("export", store, tmp_path / "z", "--format", "hdf5")
    assert (tmp_path / "z").read_bytes()[:4] == b"\x89HDF"


def test_what_cannot_be_done_is_said(store, tmp_path):
    """An unknown format, and a store that is not there."""
    with pytest.raises(OpenForgeError, match="npy, npz, hdf5, chipwhisperer"):
        run("export", store, tmp_path / "x.mat", "--format", "matlab")
    with pytest.raises(NotFound):
        run("info", tmp_path / "no.zarr.zip")
