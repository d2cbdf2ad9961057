"""The store of traces: the same bytes however it is written, whole or not there at all."""

import zipfile

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

from openforge.errors import NotFound, OpenForgeError
from openforge.trace_store import Writer, open_store


def recording(n=150, n_samples=40, dtype="uint8", seed=1):
    """Random traces, labels and plaintexts."""
    rng = np.random.default_rng(seed)
    traces = rng.integers(0, 200, (n, n_samples)).astype(dtype)
    labels = rng.integers(0, 2, n).astype(np.uint8)
    return traces, labels, {"plaintext": rng.integers(0, 256, (n, 16)).astype(np.uint8)}


def written(path, arrays, step=None, **more):
    """The store at `path`, with `arrays` appended `step` rows at a time."""
    traces, labels, data = arrays
    step = step or len(traces)
    with Writer(path, **more) as writer:
        for at in range(0, len(traces), step):
            rows = slice(at, at + step)
            part = {name: array[rows] for name, array in data.items()}
            writer.append(traces[rows], None if labels is None else labels[rows], part)
    return open_store(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_what_was_stored_comes_back(tmp_path, dtype):
    """Every dtype, in chunks of any size, with labels, data and attributes."""
    traces, labels, data = recording(dtype=dtype)
    attributes = {"unit": "HD", "seed": 7}
    store = written(tmp_path / "t.zarr.zip", (traces, labels, data), attributes=attributes)
    assert (store.n_traces, store.n_samples, store.dtype) == (150, 40, np.dtype(dtype))
    assert (store.attributes, store.data) == (attributes, {"plaintext": 16})
    for n in (None, 7, 77, 150, 10_000):
        chunks = list(store.chunks(n))
        assert [c.first for c in chunks] == list(range(0, 150, n or store.chunk_rows))
        assert (np.concatenate([c.traces for c in chunks]) == traces).all()
        assert (np.concatenate([c.labels for c in chunks]) == labels).all()
        plaintext = np.concatenate([c.data["plaintext"] for c in chunks])
        assert (plaintext == data["plaintext"]).all()


def test_the_file_does_not_depend_on_how_it_was_appended(tmp_path, monkeypatch):
    """Byte for byte the same, for pieces smaller and larger than a chunk of the file."""
    monkeypatch.setattr("openforge.trace_store._CHUNK_BYTES", 40 * 64)
    arrays = recording()
    files = []
    for step in (7, 63, 64, 65, 150):
        store = written(tmp_path / f"{step}.zarr.zip", arrays, step)
        assert store.chunk_rows == 64
        files.append(store.path.read_bytes())
    assert len(set(files)) == 1


def test_zarr_alone_reads_it(tmp_path):
    """It is a plain Zarr v3 group, also where a chunk holds only zeros."""
    traces = np.zeros((10, 4), np.int16)
    store = written(tmp_path / "t.zarr.zip", (traces, None, {}))
    archive = ZipStore(store.path, mode="r")
    group = zarr.open_group(archive, mode="r", zarr_format=3)
    assert (group["traces"][:] == traces).all()
    assert "labels" not in group
    archive.close()
    assert next(iter(store.chunks())).labels is None


def test_big_endian_traces_are_stored_in_the_machines_order(tmp_path):
    """And pieces in either order fit together."""
    with Writer(tmp_path / "t.zarr.zip") as writer:
        writer.append(np.array([[1, 2]], ">u2"))
        writer.append(np.array([[3, 4]], "<u2"))
    assert next(iter(open_store(tmp_path / "t.zarr.zip").chunks())).traces.tolist() == [
        [1, 2],
        [3, 4],
    ]


def test_nothing_is_there_until_it_is_whole(tmp_path):
    """No file while it is written, none after an exception, none without traces."""
    path = tmp_path / "t.zarr.zip"
    with pytest.raises(ZeroDivisionError), Writer(path) as writer:
        writer.append(recording()[0])
        assert not path.exists()
        raise ZeroDivisionError
    with pytest.raises(OpenForgeError, match="no traces"), Writer(path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((np.zeros((3, 5), np.uint8), np.zeros(3, np.uint8)), "same arrays"),
        ((np.zeros((3, 4), np.uint16), np.zeros(3, np.uint8)), "same arrays"),
        ((np.zeros((3, 4), np.uint8),), "same arrays"),
        ((np.zeros((3, 4), np.uint8), np.full(3, 2, np.uint8)), "labels must be"),
        ((np.zeros((3, 4), np.uint8), np.zeros(2, np.uint8)), "3 traces, but 2 rows of labels"),
        ((np.zeros((3, 4), np.float64), np.zeros(3, np.uint8)), "traces must be"),
        ((np.zeros(3, np.uint8), np.zeros(3, np.uint8)), "traces must be"),
        (
            (np.zeros((3, 4), np.uint8), np.zeros(3, np.uint8), {"../x": np.zeros((3, 1), "u1")}),
            "name",
        ),
        ((np.zeros((3, 4), np.uint8), np.zeros(3, np.uint8), {"key": np.zeros(3, "u1")}), "uint8"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, second, message):
    """Other lengths, dtypes and arrays than those of the first piece."""
    with pytest.raises(OpenForgeError, match=message), Writer(tmp_path / "t.zarr.zip") as writer:
        writer.append(np.zeros((2, 4), np.uint8), np.zeros(2, np.uint8))
        writer.append(*second)


def test_attributes_are_json(tmp_path):
    """NaN and objects are no JSON."""
    for value in (float("nan"), object()):
        with pytest.raises(OpenForgeError, match="JSON"):
            Writer(tmp_path / "t.zarr.zip", attributes={"a": value})


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path):
    """Missing, of another kind, cut off, and with a chunk that was changed."""
    with pytest.raises(NotFound):
        open_store(tmp_path / "no.zarr.zip")
    (tmp_path / "text.zarr.zip").write_text("text")
    with pytest.raises(OpenForgeError, match="not a trace store"):
        open_store(tmp_path / "text.zarr.zip")
    with zipfile.ZipFile(tmp_path / "other.zarr.zip", "w") as archive:
        archive.writestr("zarr.json", '{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(OpenForgeError, match="not a trace store"):
        open_store(tmp_path / "other.zarr.zip")
    store = written(tmp_path / "t.zarr.zip", recording())
    content = bytearray(store.path.read_bytes())
    with zipfile.ZipFile(store.path) as archive:
        middle = archive.getinfo("traces/c/0/0").header_offset + 200
    content[middle] ^= 1
    (tmp_path / "changed.zarr.zip").write_bytes(content)
    with pytest.raises(OpenForgeError, match="damaged"):
        list(open_store(tmp_path / "changed.zarr.zip").chunks())
    (tmp_path / "cut.zarr.zip").write_bytes(content[:-30])
    with pytest.raises(OpenForgeError, match="damaged"):
        open_store(tmp_path / "cut.zarr.zip")


def test_memory_does_not_grow_with_the_number_of_traces(tmp_path, monkeypatch):
    """What is held between two pieces is one chunk and the descriptions."""
    monkeypatch.setattr("openforge.trace_store._CHUNK_BYTES", 1 << 10)
    traces, labels, data = recording(64)
    held = []
    with Writer(tmp_path / "t.zarr.zip") as writer:
        for _ in range(20):
            writer.append(traces, labels, data)
            held.append(sum(len(buffer) for buffer in writer._files.values()))
    assert max(held) < 10_000
