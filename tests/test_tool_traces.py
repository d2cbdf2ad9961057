"""Import of measured traces: every format, and files that mean harm."""

import json
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec

from openforge.errors import NotFound, OpenForgeError, ToolError
from openforge.tools import traces as tool
from openforge.trace_store import Writer

N, S = 60, 7
rng = np.random.default_rng(3)
TRACES = rng.integers(0, 256, (N, S)).astype(np.uint8)
LABELS = rng.integers(0, 2, N).astype(np.uint8)
TEXTS = rng.integers(0, 256, (N, 16)).astype(np.uint8)


def read(path, **more):
    """What is imported of a file whose folder is the project."""
    return tool.read(path, path.parent / "imported", path.parent, **more)


def refused(path, message, kind=OpenForgeError):
    """Asserts that a file is refused with a message."""
    with pytest.raises(kind, match=message):
        read(path)


def npy(path, traces=TRACES, labels=LABELS):
    """An .npy file with the labels beside it."""
    np.save(path, traces)
    if labels is not None:
        np.save(path.with_name(f"{path.stem}_labels.npy"), labels)
    return path


def same(found, traces=TRACES, data=()):
    """Asserts what was imported."""
    assert (np.asarray(found.traces) == traces).all()
    assert (np.asarray(found.labels) == LABELS).all()
    assert isinstance(found.traces, np.memmap)
    assert found.labels.dtype == np.uint8
    assert set(found.data) == set(data)
    assert all((array == TEXTS).all() for array in found.data.values())


@pytest.mark.parametrize(
    ("given", "kept"),
    [("u1", "u1"), (">u2", "u2"), ("i1", "i2"), ("<i2", "i2"), ("f4", "f4"), ("f8", "f4")],
)
def test_traces_of_every_dtype_come_in_as_one_that_is_known(tmp_path, given, kept):
    """With the labels from the file beside them, whatever integers they are in."""
    traces = (TRACES % 100).astype(given)
    found = read(npy(tmp_path / "a.npy", traces, LABELS.astype(np.int64)))
    assert found.traces.dtype == np.dtype(kept)
    same(found, traces)


def test_arrays_by_columns_come_in_by_rows(tmp_path):
    """Fortran order is what a transposed array is saved in."""
    found = read(npy(tmp_path / "a.npy", np.asfortranarray(TRACES)))
    assert found.traces.flags.c_contiguous
    same(found)


def test_an_npz_gives_data_under_their_own_names(tmp_path):
    """Other names for texts and keys are known; one key for all traces is repeated."""
    key, time = np.arange(16, dtype=np.uint8), np.arange(N) * 0.5
    more = {"textin": TEXTS, "key": key, "time": time, "Nr": np.arange(N)}
    np.savez_compressed(tmp_path / "a.npz", traces=TRACES, labels=LABELS, **more)
    found = read(tmp_path / "a.npz")
    assert (found.labels == LABELS).all()
    assert (found.data["plaintext"] == TEXTS).all()
    assert (found.data["key"] == np.tile(key, (N, 1))).all()
    assert (found.data["nr"][:, 0] == np.arange(N)).all()
    assert found.left_out == {"time": "'time' holds float64, not bytes"}


def test_zarr_of_all_kinds(tmp_path):
    """Our own store, a folder, an older version, and a plain array."""
    with Writer(tmp_path / "own.zarr.zip") as writer:
        writer.append(TRACES, LABELS, {"plaintext": TEXTS})
    same(read(tmp_path / "own.zarr.zip"), data=["plaintext"])
    for version in (2, 3):
        group = zarr.open_group(tmp_path / f"v{version}.zarr", mode="w", zarr_format=version)
        for name, array in (("traces", TRACES), ("labels", LABELS), ("key", TEXTS)):
            group.create_array(name, data=array, chunks=(7, *array.shape[1:]))
        same(read(tmp_path / f"v{version}.zarr"), data=["key"])
    zarr.save_array(tmp_path / "plain.zarr", TRACES)
    np.save(tmp_path / "plain_labels.npy", LABELS)
    same(read(tmp_path / "plain.zarr"))


@pytest.mark.parametrize("place", ["", "metadata"])
def test_hdf5_with_labels_at_the_top_or_as_estraces_has_them(tmp_path, place):
    """Chunked and compressed."""
    with h5py.File(tmp_path / "a.ets", "w") as file:
        file.create_dataset("traces", data=TRACES, chunks=(7, S), compression="gzip")
        group = file.require_group(place) if place else file
        group["labels"], group["plaintext"] = LABELS, TEXTS
        group["comment"] = np.array([b"abc"] * N)
    found = read(tmp_path / "a.ets")
    same(found, data=["plaintext"])
    assert list(found.left_out) == ["comment"]


def project(tmp_path, segments, prefix="0_", extra=20):
    """A ChipWhisperer project; each segment has `extra` rows that were never recorded."""
    folder = tmp_path / "p_data" / "traces"
    folder.mkdir(parents=True)
    lines = ["[Trace Management]"]
    for i, rows in enumerate(segments):
        config = f"config_{i}.cfg"
        lines += [f"tracefile{i} = p_data\\traces\\{config}", f"enabled{i} = {i != 1}"]
        count = len(TRACES[rows])
        text = f"[Trace Config]\nprefix = {i}{prefix}\nnumTraces = {count}\n"
        (folder / config).write_text(text)
        buffer = np.concatenate([TRACES[rows] / 256 - 0.5, np.full((extra, S), np.nan)])
        np.save(folder / f"{i}{prefix}traces.npy", buffer)
        np.save(folder / f"{i}{prefix}textin.npy", TEXTS[rows])
        np.save(folder / f"{i}{prefix}keylist.npy", np.array([None] * count))
    lines += ["[ChipWhisperer]", "[[General Settings]]", "Project Name = p"]
    (tmp_path / "p.cwp").write_text("\n".join(lines))
    np.save(tmp_path / "p_labels.npy", LABELS)
    return tmp_path / "p.cwp"


def test_a_chipwhisperer_project_with_segments(tmp_path):
    """Those that are enabled, in their order, without the rows that were never recorded."""
    path = project(tmp_path, [slice(0, 25), slice(0, 9), slice(25, N)], extra=300_000)  # 17 MB
    found = read(path)
    same(found, TRACES / 256 - 0.5, data=["plaintext"])
    assert "pickles" in found.left_out["keylist"]


def test_a_chipwhisperer_project_may_not_lead_elsewhere(tmp_path):
    """Neither by the prefix of a segment nor by saying that it has more traces."""
    path = project(tmp_path, [slice(0, N)])
    config = tmp_path / "p_data/traces/config_0.cfg"
    config.write_text(f"[Trace Config]\nprefix = ../0_\nnumTraces = {N}\n")
    refused(path, "leads to another folder")
    config.write_text("[Trace Config]\nprefix = 00_\nnumTraces = 1000\n")
    refused(path, "there should be 1000 traces")
    config.write_text("[Trace Config]\nprefix = 00_\nnumTraces = -1\n")
    refused(path, "there should be -1 traces")


def test_what_is_wrong_with_the_arrays_is_said(tmp_path):
    """Shapes, lengths, labels, dtypes and values."""
    path = tmp_path / "a.npy"
    refused(npy(path, labels=None), r"no labels: add .* a_labels\.npy")
    assert read(path, need_labels=False).labels is None
    refused(npy(path, labels=LABELS[1:]), r"60 traces, but labels of the shape \(59,\)")
    refused(npy(path, labels=LABELS * 2), "labels must be 0")
    refused(npy(path, TRACES[0]), "a table")
    refused(npy(path, TRACES[:, :0]), "a table")
    refused(npy(path, TRACES.astype(np.int32)), "traces of int32 are not supported")
    refused(npy(path, TRACES.astype(complex)), "not numbers")
    for bad in (np.nan, np.inf, 1e300):
        traces = TRACES.astype(float)
        traces[-1, -1] = bad
        refused(npy(path, traces), "NaN or infinity")
    np.savez(tmp_path / "b.npz", power=TRACES)
    refused(tmp_path / "b.npz", "no array 'traces' in b.npz, but power")
    (tmp_path / "c.trs").write_bytes(b"")
    refused(tmp_path / "c.trs", "not of a known format")
    refused(tmp_path / "no.npy", "no traces at", NotFound)


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_pickles_are_never_loaded(tmp_path):
    """As an array of objects, as the whole file, in an archive, or as a codec of Zarr."""
    harm = tmp_path / "harm"
    objects = np.array([[Bomb(harm)]], object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    refused(tmp_path / "a.npy", "pickles")
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb(harm)))
    refused(tmp_path / "b.npy", "not a NumPy array")
    np.savez(tmp_path / "c.npz", allow_pickle=True, traces=objects)
    refused(tmp_path / "c.npz", "pickles")
    zarr.create_array(tmp_path / "d.zarr", data=TRACES, zarr_format=2, compressors=None)
    described = tmp_path / "d.zarr" / ".zarray"
    content = json.loads(described.read_text())
    for codec in ("pickle", "packbits"):  # the second is only not among those that are known
        described.write_text(json.dumps({**content, "filters": [{"id": codec}]}))
        refused(tmp_path / "d.zarr", codec)
    assert not harm.exists()


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.zarr.zip", "a.cwp"])
def test_damaged_files_are_errors(tmp_path, name):
    """Rubbish, nothing, and half of a file."""
    path = tmp_path / name
    for content in (b"", b"\x00\xff" * 500):
        path.write_bytes(content)
        refused(path, "cannot import")
    if name == "a.npy":
        content = npy(path).read_bytes()
        path.write_bytes(content[:-1])
        refused(path, "ends too early")


def test_nothing_outside_the_project_is_read(tmp_path):
    """Neither the file, nor one that a link leads to, nor one inside a folder."""
    root, outside = tmp_path / "project", npy(tmp_path / "outside.npy")
    root.mkdir()
    with pytest.raises(OpenForgeError, match="outside"):
        tool.read(outside, tmp_path / "in", root)
    (root / "link.npy").symlink_to(outside)
    with pytest.raises(OpenForgeError, match="outside"):
        tool.read(root / "link.npy", tmp_path / "in", root)
    npy(root / "a.npy", labels=None)
    (root / "a_labels.npy").symlink_to(tmp_path / "outside_labels.npy")
    with pytest.raises(OpenForgeError, match="a_labels.npy is, or leads, outside"):
        tool.read(root / "a.npy", tmp_path / "in", root)
    zarr.save_array(root / "z.zarr", TRACES)
    (root / "z.zarr" / "c" / "0" / "0").unlink()
    (root / "z.zarr" / "c" / "0" / "0").symlink_to(outside)
    with pytest.raises(OpenForgeError, match="0 is, or leads, outside"):
        tool.read(root / "z.zarr", tmp_path / "in", root)


def test_hdf5_may_not_lead_to_other_files(tmp_path):
    """External and soft links, virtual datasets, external storage."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["traces"] = TRACES
    (tmp_path / "raw").write_bytes(TRACES.tobytes())
    layout = h5py.VirtualLayout((N, S), "u1")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "traces", (N, S))
    makers = {
        "is a link": lambda file: file.__setitem__(
            "traces", h5py.ExternalLink("other.h5", "traces")
        ),
        "'traces' is a link": lambda file: file.__setitem__("traces", h5py.SoftLink("/x")),
        "virtual": lambda file: file.create_virtual_dataset("traces", layout),
        "another file": lambda file: file.create_dataset(
            "traces", (N, S), "u1", external=[(str(tmp_path / "raw"), 0, N * S)]
        ),
    }
    for message, make in makers.items():
        with h5py.File(tmp_path / "a.h5", "w") as file:
            make(file)
        refused(tmp_path / "a.h5", message)


def test_a_small_file_that_becomes_a_large_one_is_refused(tmp_path, monkeypatch):
    """By the size that it says, before anything is written; and by the size of a chunk."""
    monkeypatch.setattr(tool, "MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", traces=np.zeros((1000, 1000), np.uint8))
    refused(tmp_path / "a.npz", "too large: 1000000 bytes")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("traces", (1 << 40, 1 << 20), "u1", chunks=(1, 1 << 20))
    refused(tmp_path / "b.h5", "too large")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("traces", (1, 1 << 30), "u1", chunks=(1, 1 << 30), compression=1)
    refused(tmp_path / "c.h5", "a chunk of traces is above 256 MB")
    zarr.create_array(
        tmp_path / "d.zarr", shape=(1, 1 << 30), dtype="u1", compressors=BloscCodec()
    ).resize((1, 1 << 30))
    described = tmp_path / "d.zarr" / "zarr.json"
    content = json.loads(described.read_text())
    content["chunk_grid"]["configuration"]["chunk_shape"] = [1, 1 << 30]
    described.write_text(json.dumps(content))
    refused(tmp_path / "d.zarr", "a chunk of traces is above 256 MB")
    with zipfile.ZipFile(tmp_path / "e.zarr.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c/0", bytes((1 << 28) + 1))
    refused(tmp_path / "e.zarr.zip", "a member of e.zarr.zip is above 256 MB")


def test_what_the_program_wrote_is_not_trusted(tmp_path, monkeypatch):
    """A program that was taken over cannot have another file read, or give other arrays."""
    folder = tmp_path / "imported"
    npy(tmp_path / "a.npy")
    read(tmp_path / "a.npy")

    def answer(**more):
        said = {"labelled": True, "data": [], "left_out": {}, **more}
        monkeypatch.setattr(tool, "_ask", lambda *_: said)

    answer()
    assert read(tmp_path / "a.npy").labels is not None
    answer(data=["../../a"])
    assert read(tmp_path / "a.npy").data == {}
    answer(data=3)
    refused(tmp_path / "a.npy", "could not be read", ToolError)
    answer()
    np.save(folder / "labels.npy", LABELS[1:])
    refused(tmp_path / "a.npy", "different lengths", ToolError)
    (folder / "labels.npy").unlink()
    (folder / "labels.npy").symlink_to(tmp_path / "a_labels.npy")
    refused(tmp_path / "a.npy", "not a plain file", ToolError)
    (folder / "traces.npy").write_bytes(b"PK\x03\x04")
    refused(tmp_path / "a.npy", "could not be read", ToolError)
