"""Traces for other tools: the layouts they read, and back again by import."""

import configparser

import h5py
import numpy as np
import pytest

from openforge.errors import NameTaken, OpenForgeError
from openforge.tools import traces as importer
from openforge.trace_export import SUFFIXES, Format, export
from openforge.trace_store import Writer, open_store

N = 300


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A store of several chunks, and the arrays that are in it."""
    monkeypatch.setattr("openforge.trace_store._CHUNK_BYTES", 50 * 128)
    rng = np.random.default_rng(5)
    traces = rng.integers(-9, 9, (N, 25)).astype(np.int16)
    labels = rng.integers(0, 2, N).astype(np.uint8)
    names = ("plaintext", "ciphertext", "key")
    data = {name: rng.integers(0, 256, (N, 16)).astype(np.uint8) for name in names}
    path = tmp_path / "t.zarr.zip"
    with Writer(path, attributes={"unit": "HD", "seed": 3, "more": [1, None]}) as writer:
        writer.append(traces, labels, data)
    return open_store(path), traces, labels, data


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".ets", ".cwp"])
def test_what_is_exported_is_imported_again(tmp_path, stored, suffix):
    """Every format keeps the traces, labels and data."""
    store, traces, labels, data = stored
    export(store, tmp_path / f"x{suffix}")
    found = importer.read(tmp_path / f"x{suffix}", tmp_path / "in", tmp_path)
    assert found.traces.dtype == np.int16
    assert (found.traces == traces).all()
    assert (found.labels == labels).all()
    assert sorted(found.data) == sorted(data)
    assert all((found.data[name] == data[name]).all() for name in data)
    assert found.left_out == {}


def test_numpy_alone_reads_npy_and_npz(tmp_path, stored):
    """What SCALib's users load."""
    store, traces, labels, data = stored
    written = export(store, tmp_path / "x.npy")
    names = {"x.npy", "x_labels.npy", "x_plaintext.npy", "x_ciphertext.npy", "x_key.npy"}
    assert {path.name for path in written} == names
    assert (np.load(tmp_path / "x.npy", mmap_mode="r") == traces).all()
    assert (np.load(tmp_path / "x_labels.npy") == labels).all()
    export(store, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as archive:
        assert set(archive) == {"traces", "labels", *data}
        assert (archive["key"] == data["key"]).all()


def test_hdf5_has_the_layout_of_estraces(tmp_path, stored):
    """As estraces 1.10 reads it: traces, metadata for each trace, headers as its attributes."""
    store, traces, labels, data = stored
    export(store, tmp_path / "x.ets")
    with h5py.File(tmp_path / "x.ets", "r", libver="latest", swmr=True) as file:
        assert (file["traces"][:] == traces).all()
        assert set(file["metadata"]) == {"labels", *data}
        assert (file["metadata"]["labels"][:] == labels).all()
        assert dict(file["metadata"].attrs) == {"unit": "HD", "seed": 3, "more": "[1, null]"}


def test_a_chipwhisperer_project_has_the_files_that_it_names(tmp_path, stored):
    """As ChipWhisperer 6.0 opens it: a relative path to a configuration, and its prefix."""
    store, traces, _, data = stored
    export(store, tmp_path / "x.cwp")
    project, config = configparser.RawConfigParser(), configparser.RawConfigParser()
    project.read(tmp_path / "x.cwp")
    path = tmp_path / project["Trace Management"]["tracefile0"]
    config.read(path)
    section = config["Trace Config"]
    assert (section["numTraces"], section["numPoints"]) == (str(N), "25")
    assert (np.load(path.with_name(f"{section['prefix']}traces.npy")) == traces).all()
    textin = np.load(path.with_name(f"{section['prefix']}textin.npy"))
    assert (textin == data["plaintext"]).all()


def test_a_project_without_texts_still_has_their_files(tmp_path):
    """ChipWhisperer does not open a project that lacks them."""
    with Writer(tmp_path / "t.zarr.zip") as writer:
        writer.append(np.zeros((2, 3), np.uint8))
    written = export(open_store(tmp_path / "t.zarr.zip"), tmp_path / "x.cwp")
    assert [path.name for path in written] == ["x.cwp", "x_data"]
    assert np.load(tmp_path / "x_data/traces/0000_textin.npy").shape == (2, 0)


def test_the_format_is_that_of_the_suffix_or_what_is_said(tmp_path, stored):
    """All formats have a suffix; another name needs the format."""
    assert set(SUFFIXES.values()) == set(Format)
    with pytest.raises(OpenForgeError, match=r"must end in \.npy"):
        export(stored[0], tmp_path / "x.bin")
    assert export(stored[0], tmp_path / "x.bin", Format.NPZ) == (tmp_path / "x.bin",)


def test_nothing_is_overwritten(tmp_path, stored):
    """And what was begun is gone."""
    (tmp_path / "x_labels.npy").write_text("mine")
    with pytest.raises(NameTaken, match=r"x_labels\.npy"):
        export(stored[0], tmp_path / "x.npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.zarr.zip", "x_labels.npy"]
    with pytest.raises(OpenForgeError, match="there is no folder"):
        export(stored[0], tmp_path / "no folder" / "x.npy")
