"""Files that strangers send: what is taken, what is refused, and that nothing else ever happens."""

import bz2
import gzip
import io
import lzma
import os
import random
import stat
import struct
import tarfile
import tracemalloc
import unicodedata
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openforge import intake, intake_stream
from openforge.errors import OpenForgeError
from openforge.intake import Intake, Refused, safe_name

MIB = 1 << 20
TRAVERSALS = ("../x.v", "a/../../x.v", "/etc/passwd", "a\\..\\x.v", "a//x.v", "C:/x.v", "a/./x.v")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "new"


@pytest.fixture
def box(root):
    return Intake(root)


def stored(root):
    """All files beneath `root`, with their bytes."""
    files = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def zipped(files, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file


def tarred(files, mode="w", form=tarfile.PAX_FORMAT):
    """A tar file; a value that is a dict gives the fields of the member."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, dict):
                for field, value in data.items():
                    setattr(info, field, value)
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return file


def header(name, kind, size, data=b""):
    """One member of a tar file, as the bytes of its header and `data` with padding."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    block = info.tobuf(tarfile.GNU_FORMAT)
    return block[:512] + data + bytes(-len(data) % 512)


@contextmanager
def memory_below(n_bytes):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


def add_all(box, names):
    return [box.add(name, io.BytesIO(name.encode())) for name in names]


def test_ordinary_names_are_kept():
    """Letters of any script, spaces and the marks of file names are fine."""
    for name in (
        "a.v", "rtl/sub/top.sv", "x-1+2.v", "Prüfung é/中文 (1) [a], b=c@d.v", "_a..b", "a" * 128,
        "/".join("abcdefghijkl"), "console.v", "com10.v",
    ):  # fmt: skip
        assert safe_name(name) == name


def test_a_name_is_normalised():
    """The two ways to write one letter are one name."""
    assert safe_name("Mu\u0308ller.v") == "M\u00fcller.v"


@pytest.mark.parametrize("name", [
    *TRAVERSALS, "", ".", "..", "a/", "/", "//a", "a/..", "c:x", "\\\\host\\x",
    "a\x00.v", "a\n.v", "a\x7f.v", "a\u202ev.exe", "a\u200b.v", "a\u2028b", "\udcff.v", "\ue000.v",
    ".hidden", "a/.git/config", "-rf", "a/-x.v", "+define+X.v", "@args", "=1+1", " a",
    "a.", "a ", "a./b", "a /b", "...", "\u3164.v", "a\u0300\u0301.v",
    "a" * 129, "中" * 100, "a/" * 12 + "b", "/".join(["a" * 100] * 6),
    "con", "NUL.v", "rtl/Aux.tar.v", "com1", "lpt9.txt", "nul .v",
    *(f"a{c}b.v" for c in "<>&\"'`$;|*?:#%{}!~^\\"),
])  # fmt: skip
def test_other_names_are_refused(name):
    """Whatever a file system, shell, tool or page may misread is refused, and shown harmlessly."""
    with pytest.raises(Refused) as caught:
        safe_name(name)
    assert len(caught.value.name) <= 80
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert str(caught.value) == f"{caught.value.name}: {caught.value.reason}"
    assert isinstance(caught.value, OpenForgeError)


def test_a_hostile_name_is_cut():
    """A message does not grow with what was sent."""
    for name in ("../" + "x" * 10_000, "\U0001f600" * 80):
        with pytest.raises(Refused) as caught:
            safe_name(name)
        assert caught.value.name.endswith("...")
        assert len(str(caught.value)) < 300


def test_a_path_that_is_not_relative_is_said_to_be_so():
    """Of all that is wrong with it, this is what helps."""
    for name in ("/etc/passwd", "C:x", "C:\\x", "\\\\host\\x"):
        with pytest.raises(Refused, match="a relative path with '/' between its parts"):
            safe_name(name)


def test_a_huge_name_is_no_work():
    """It is not normalised, which takes time and memory, before it is found to be too long."""
    name = "e\u0301" * MIB
    with memory_below(MIB // 4), pytest.raises(Refused, match="found 2097152"):
        safe_name(name)


@given(st.text(max_size=40) | st.text("ab./-\\ :\u0301~é", max_size=12))
@example("A\u030a/\u212b")
def test_what_safe_name_returns_is_beneath_and_stays(name):
    """It joins beneath a root, in NFC, and is a fixed point."""
    try:
        safe = safe_name(name)
    except Refused:
        return
    assert os.path.normpath("/root/of/all/" + safe) == "/root/of/all/" + safe
    assert PurePosixPath(safe).as_posix() == safe == safe_name(safe)
    assert unicodedata.is_normalized("NFC", safe)


def test_files_are_stored(root, box):
    """Names come back in order; a file in a folder makes the folder."""
    assert box.add("rtl/a.v", io.BytesIO(b"module")) == ("rtl/a.v",)
    assert box.add("rtl/b.v", io.BytesIO(b"")) == ("rtl/b.v",)
    assert box.names == ("rtl/a.v", "rtl/b.v")
    assert stored(root) == {"rtl/a.v": b"module", "rtl/b.v": b""}


def test_modes_are_fixed(root):
    """Whatever the umask and the archive say, files are 0644 and folders 0755."""
    before = os.umask(0o077)
    try:
        box = Intake(root)
        box.add("x.tar", tarred({"a/b/c.sh": {"mode": 0o4777}}))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert modes == {"a": 0o755, "b": 0o755, "c.sh": 0o644}


def test_the_folder_must_be_empty(tmp_path):
    """Nothing is mixed with what is there, and the message tells no path."""
    (tmp_path / "old").write_text("x")
    with pytest.raises(OpenForgeError, match="an empty folder was expected") as caught:
        Intake(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("names", [
    ("a.v", "a.v"), ("a.v", "A.v"), ("é.v", "e\u0301.v"), ("ﬁ.v", "fi.v"), ("ａ.v", "a.v"),
    ("rtl/a.v", "RTL/b.v"), ("a", "a/b"), ("a/b", "a"), ("a/b", "A"), ("a/b/c", "a/B"),
    ("ß.v", "SS.v"),
])  # fmt: skip
def test_names_that_are_one_somewhere_are_refused(box, names):
    """The second of two names that differ by nothing, case or form, or as file and folder."""
    with pytest.raises(Refused, match="another name was expected"):
        add_all(box, names)


def test_names_that_differ_are_taken(box):
    """A common beginning is no clash."""
    add_all(box, names := ("a.v", "a/b.v", "a/b/c.v", "ab"))
    assert box.names == names


def test_names_clash_across_archives(box):
    """What one archive stored is there for the next."""
    box.add("x.zip", zipped({"rtl/a.v": b"1"}))
    with pytest.raises(Refused, match="another name"):
        box.add("y.tar", tarred({"rtl/A.v": b"2"}))


def test_no_link_is_followed(root, tmp_path):
    """A link that gets into the folder leads nowhere, as a folder or as a file."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for link, name in (("rtl", "rtl/x.v"), ("y.v", "y.v"), ("z", "z/a/b.v")):
        box = Intake(root)
        (root / link).symlink_to(outside / "new" if link == "y.v" else outside)
        with pytest.raises(Refused, match="something else there") as caught:
            box.add(name, io.BytesIO(b"x"))
        assert str(tmp_path) not in str(caught.value)
        (root / link).unlink()
    assert list(outside.iterdir()) == []


def test_nothing_is_written_over(root, tmp_path):
    """A file that gets into the folder, which may be another's by a hard link, stays as it is."""
    (tmp_path / "outside").write_text("old")
    box = Intake(root)
    (root / "a.v").hardlink_to(tmp_path / "outside")
    with pytest.raises(Refused, match="something else there"):
        box.add("a.v", io.BytesIO(b"new"))
    assert (tmp_path / "outside").read_text() == "old"


def test_the_root_is_not_a_link(root, tmp_path):
    """A root that is exchanged for a link is not followed."""
    box = Intake(root)
    root.rmdir()
    root.symlink_to(tmp_path)
    with pytest.raises(Refused, match="something else there"):
        box.add("x.v", io.BytesIO(b"x"))
    assert not (tmp_path / "x.v").exists()


def test_errors_of_the_machine_are_not_blamed_on_the_file(root):
    """A folder that is gone is an OSError, not a refusal."""
    box = Intake(root)
    root.rmdir()
    with pytest.raises(FileNotFoundError):
        box.add("x.v", io.BytesIO(b"x"))


def test_files_and_bytes_are_counted_over_all(root):
    """The limits hold for the request, exactly: the last that fits is taken."""
    box = Intake(root, max_files=4, max_bytes=10)
    add_all(box, ["abcd", "efg"])
    box.add("x.zip", zipped({"a": b"12", "b": b"1"}))
    with pytest.raises(Refused, match="at most 4 files"):
        box.add("c", io.BytesIO(b""))
    (root.parent / "b").mkdir()
    box = Intake(root.parent / "b", max_bytes=10)
    box.add("a", io.BytesIO(b"1234567"))
    with pytest.raises(Refused, match="at most 10 bytes"):
        box.add("x.zip", zipped({"b": b"1234"}))


def test_a_file_that_never_ends_is_stopped(root):
    """Bytes are counted as they come."""

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return b"x" * size

    with pytest.raises(Refused, match="bytes were expected"):
        Intake(root, max_bytes=MIB).add("a.v", Endless())
    assert (root / "a.v").stat().st_size <= MIB


def test_after_a_refusal_nothing_is_taken(box):
    """A folder with half of a file is never taken for a whole one."""
    with pytest.raises(Refused):
        box.add("../a", io.BytesIO(b""))
    with pytest.raises(Refused, match="an earlier file was refused"):
        box.add("a", io.BytesIO(b""))


@pytest.mark.parametrize("name, mode", [
    ("X.TAR", "w"), ("x.tar.gz", "w:gz"), ("x.tgz", "w:gz"), ("x.tar.bz2", "w:bz2"),
    ("x.tar.xz", "w:xz"),
])  # fmt: skip
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_files_are_unpacked(root, box, name, mode, form):
    """In all formats, with long and Unicode names; folders are made for files only."""
    long, data = "/".join(["d" * 60] * 3) + "/é b.v", os.urandom(70_000)
    files = {"./": {"type": tarfile.DIRTYPE}, "e": {"type": tarfile.DIRTYPE}}
    files |= {"./a.v": b"a" * 513, long: b"", "b.bin": data}
    assert box.add(name, tarred(files, mode, form)) == ("a.v", long, "b.bin")
    assert stored(root) == {"a.v": b"a" * 513, long: b"", "b.bin": data}
    assert not (root / "e").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_files_are_unpacked(root, box, method):
    """With Unicode names and a comment, as those of GitHub have."""
    files = {"a.v": b"a" * 100_000, "rtl/é 中.v": b"", "e/": b""}
    packed = zipped(files, method)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.comment = b"3f786850e387550fdab836ed7e6dc881de23001b"
    assert box.add("x.ZIP", packed) == ("a.v", "rtl/é 中.v")
    assert stored(root) == {"a.v": b"a" * 100_000, "rtl/é 中.v": b""}


def test_names_of_zip_files_without_a_flag(box):
    """UTF-8 that macOS does not declare is read as such; what is not UTF-8 is code page 437."""
    placeholder = zipped({"XXXX.v": b"", "YY.v": b""}).getvalue()
    packed = placeholder.replace(b"XXXX", "äö".encode()).replace(b"YY", b"\x84\x94")
    with pytest.raises(Refused, match="another name"):  # both say the same
        box.add("x.zip", io.BytesIO(packed))
    assert box.names == ("äö.v",)


def test_what_is_hidden_in_an_archive_is_left_out(root):
    """Folders, hidden files, links among them, and what macOS adds are skipped, but count."""
    left_out = (".git/config", ".gitignore", "a/.DS_Store", "__MACOSX/a.v", "a/.b/c:d~", "a/b/")
    assert Intake(root).add("x.zip", zipped(dict.fromkeys(left_out, b"") | {"a/b.v": b"x"})) == (
        "a/b.v",
    )
    box = Intake(root.parent / "b")
    files = dict.fromkeys(left_out[:-1], b"data") | {"a/b.v": b"x"}
    files |= {".venv/bin/python": {"type": tarfile.SYMTYPE, "linkname": "/usr/bin/python3"}}
    assert box.add("x.tar", tarred(files)) == ("a/b.v",)
    assert stored(root) == stored(root.parent / "b") == {"a/b.v": b"x"}
    for number, packed in enumerate((zipped(files | {".venv/bin/python": b""}), tarred(files))):
        with pytest.raises(Refused, match="at most 6 files"):
            Intake(root.parent / f"c{number}", max_files=6).add(("x.zip", "x.tar")[number], packed)


@pytest.mark.parametrize("name", [
    ".git/../../x", "__MACOSX/../x", "C:/.git/x", "/.git/x",
    ".git\\x", ".git//x", "a/.b/./c", ".a\nb", "..",
])  # fmt: skip
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_hidden_names_do_not_lead_out(box, pack, name):
    """What is left out must have a plain path all the same."""
    with pytest.raises(Refused):
        box.add("x.zip" if pack is zipped else "x.tar", pack({name: b"", "a.v": b""}))


@pytest.mark.parametrize("name", [*TRAVERSALS, "a/b.", "a|b", "-x"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_names_in_archives_are_checked(root, name, is_folder):
    """For files and for folders; nothing at all of the archive is stored."""
    member = {"type": tarfile.DIRTYPE} if is_folder else b"x"
    packed = {
        "x.zip": zipped({"ok.v": b"x", name + "/" * is_folder: b""}),
        "x.tar": tarred({"ok.v": b"x", name: member}),
    }
    for number, archive in enumerate(packed):
        with pytest.raises(Refused) as caught:
            Intake(root.parent / f"{number}").add(archive, packed[archive])
        assert caught.value.name.startswith(ascii(name)[:-1])
        assert stored(root.parent / f"{number}") == {}


def test_a_name_does_not_end_at_a_nul(root):
    """Libraries cut names there, so that one name is checked and another one is seen."""
    zip_file = zipped({"aXb.v": b"x"}).getvalue().replace(b"aXb", b"a\0b")
    record = b"14 path=a\0bcd\n"
    tar_file = header("x", tarfile.XHDTYPE, len(record), record)
    tar_file += header("y", tarfile.REGTYPE, 0) + bytes(1024)
    for number, (archive, packed) in enumerate((("x.zip", zip_file), ("x.tar", tar_file))):
        with pytest.raises(Refused, match="control or invisible"):
            Intake(root.parent / f"{number}").add(archive, io.BytesIO(packed))


@pytest.mark.parametrize("kind", [
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
    tarfile.GNUTYPE_SPARSE, b"V", b"M", b"X",
])  # fmt: skip
def test_only_files_and_folders_of_tar_files_are_taken(root, box, kind):
    """A link is refused wherever it leads, and so is all that is not a file."""
    member = {"type": kind, "linkname": "../../etc/passwd"}
    packed = tarred({"b.v": b"x", "a": member}, form=tarfile.GNU_FORMAT)
    with pytest.raises(Refused, match="found a link, a device or the like") as caught:
        box.add("x.tar", packed)
    assert caught.value.name == "'a'"
    assert stored(root) == {}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR])
def test_only_files_and_folders_of_zip_files_are_taken(box, kind):
    """Links and devices are in the attributes that Unix keeps."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Refused, match="found a link, a device or the like"):
        box.add("x.zip", file)


@pytest.mark.parametrize("records", [
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1000000"},
    {"size": "-512"}, {"size": "9" * 5000}, {"size": "x"}, {f"k{i}": "v" for i in range(101)},
    {"comment": "x" * 70_000},
])  # fmt: skip
def test_odd_pax_headers_are_refused(box, records):
    """Sparse files, sizes that are none, and headers that are too large."""
    packed = tarred({"a.v": {"pax_headers": records}})
    with pytest.raises(Refused, match="a whole archive was expected"):
        box.add("x.tar", packed)


@pytest.mark.parametrize("data", [
    b"0 a=b\n", b"-1 a=b\n", b"5 a=b\n", b"7 a=b\n", b"6 a_b\n", b"6 a=bc", b"x a=b\n", b"6", b"6 ",
    b"9" * 5000, b"+7 a=b\n", b"6 a=b\n\n",
])  # fmt: skip
def test_pax_records_are_read_strictly(root, data):
    """A length that does not fit ends the reading, soon."""
    for number, record in enumerate((b"6 a=b\n", data)):
        packed = header("x", tarfile.XHDTYPE, len(record), record)
        packed += header("a.v", tarfile.REGTYPE, 1, b"!") + bytes(1024)
        box = Intake(root.parent / f"{number}")
        if record is data:
            with pytest.raises(Refused, match="a whole archive was expected"):
                box.add("x.tar", io.BytesIO(packed))
        else:
            assert box.add("x.tar", io.BytesIO(packed)) == ("a.v",)


def test_as_many_pax_records_as_are_allowed(box):
    """One more is refused above."""
    packed = tarred({"a.v": {"pax_headers": {f"k{i}": "v" for i in range(100)}}})
    assert box.add("x.tar", packed) == ("a.v",)


def test_the_header_of_git_archive_is_read(box):
    """A global header is passed over; what it says of names is not believed."""
    record = b"52 comment=3f786850e387550fdab836ed7e6dc881de23001b\n12 path=../\n"
    start = header("pax_global_header", tarfile.XGLTYPE, len(record), record)
    assert box.add("x.tar", io.BytesIO(start + tarred({"a.v": b"x"}).getvalue())) == ("a.v",)


def test_a_chain_of_headers_ends(box):
    """Extended headers of extended headers are not followed far."""
    packed = header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 2, b"a\0") * 5000
    with pytest.raises(Refused, match="a whole archive was expected"):
        box.add("x.tar", io.BytesIO(packed + tarred({"a.v": b""}).getvalue()))


def test_a_folder_has_no_data(box):
    """Its size, which old programs give, says nothing of what follows."""
    packed = header("d", tarfile.DIRTYPE, 512) + tarred({"a.v": b"x"}).getvalue()
    assert box.add("x.tar", io.BytesIO(packed)) == ("a.v",)


@pytest.mark.parametrize("size", [-1, -512])
def test_a_negative_size_in_a_header_is_refused(box, size):
    """A size in base 256 may be below zero (CVE-2025-8194)."""
    packed = header("a.v", tarfile.REGTYPE, size) + os.urandom(2 * MIB)
    with memory_below(MIB), pytest.raises(Refused, match="a whole archive was expected"):
        box.add("x.tar", io.BytesIO(packed))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_the_one_folder_of_a_project_is_dropped(root, box, pack):
    """As in archives of GitHub; what is left out does not matter."""
    files = {"p-main/rtl/a.v": b"1", "p-main/openforge.yaml": b"2", ".DS_Store": b""}
    name = "x.zip" if pack is zipped else "x.tar"
    assert box.add(name, pack(files)) == ("rtl/a.v", "openforge.yaml")
    assert stored(root) == {"rtl/a.v": b"1", "openforge.yaml": b"2"}


@pytest.mark.parametrize("files", [
    ("p/rtl/a.v", "p/b.v"), ("p/openforge.yaml", "q.v"), ("p/a/openforge.yaml", "p/a.v"),
    ("openforge.yaml", "p/a.v"), ("p/openforge.yaml", "p2/openforge.yaml"),
])  # fmt: skip
def test_other_folders_are_kept(box, files):
    """One folder that is no project, or a project that is not alone, stays as it is."""
    assert box.add("x.zip", zipped(dict.fromkeys(files, b""))) == files


def test_a_dropped_folder_cannot_hide_a_clash(box):
    """It is the name that is left which must be free."""
    add_all(box, ["openforge.yaml"])
    with pytest.raises(Refused, match="another name"):
        box.add("x.zip", zipped({"p/openforge.yaml": b""}))


def test_archives_in_archives_are_files(root, box):
    """Unpacking does not go on, so that an archive of itself (a quine) is just a file."""
    inner = zipped({"a.v": b"x"}).getvalue()
    assert box.add("x.zip", zipped({"in.zip": inner, "in.tar.gz": b"no"})) == (
        "in.zip",
        "in.tar.gz",
    )
    assert stored(root)["in.zip"] == inner


def test_a_duplicate_in_an_archive_is_refused(root, box):
    """Nobody knows which of the two is meant."""
    packed = zipped({"a.v": b"good", "b.v": b"evil"}).getvalue().replace(b"b.v", b"a.v")
    with pytest.raises(Refused, match="another name"):
        box.add("x.zip", io.BytesIO(packed))
    with pytest.raises(Refused, match="another name"):
        Intake(root.parent / "b").add("x.tar", tarred({"a.v": b"", "./a.v": b""}))


def test_a_zip_bomb_is_stopped(root):
    """Long before its 150 MiB are out, whatever its header says."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
    data = b"".join(squeeze.compress(bytes(MIB)) for _ in range(150)) + squeeze.flush()
    placeholder = zipped({"a.v": data}, zipfile.ZIP_STORED).getvalue()
    for said in (100, 150 * MIB, 0xFFFFFFF0):
        packed = bytearray(placeholder)
        listing = packed.rfind(b"PK\1\2")
        struct.pack_into("<H", packed, listing + 10, zipfile.ZIP_DEFLATED)
        struct.pack_into("<I", packed, listing + 24, said)
        with memory_below(2 * MIB + 2 * len(data)), pytest.raises(Refused):
            Intake(root.parent / f"{said}").add("x.zip", io.BytesIO(packed))
        assert (root.parent / f"{said}" / "a.v").stat().st_size <= 200 * len(data)


def test_ratio_and_bytes_are_two_limits_of_a_zip(root):
    """Each is seen to stop what the other lets pass."""
    zeros, noise = zipped({"a": bytes(2 * MIB)}), zipped({"a": os.urandom(2 * MIB)})
    with pytest.raises(Refused, match="at most 200 times its size"):
        Intake(root).add("x.zip", zeros)
    with pytest.raises(Refused, match="bytes were expected in all"):
        Intake(root.parent / "b", max_bytes=MIB).add("x.zip", noise)
    assert Intake(root.parent / "c").add("x.zip", noise) == ("a",)
    assert Intake(root.parent / "d").add("x.zip", zipped({"a": bytes(MIB)})) == ("a",)


@pytest.mark.parametrize("name, packed", [
    ("x.tar.gz", gzip.compress(bytes(9 * MIB), 1)),
    ("x.tar.bz2", bz2.compress(bytes(900_000)) * 10),
    ("x.tar.xz", lzma.compress(bytes(9 * MIB), preset=0)),
])  # fmt: skip
@pytest.mark.parametrize("where", ["a.v", ".hidden", "padding"])
def test_a_tar_bomb_is_stopped(root, monkeypatch, name, packed, where):
    """In a file, in one that is left out, and after the end; in little memory."""
    monkeypatch.setattr(intake_stream, "RATIO_FLOOR", 100 * MIB)
    start = bytes(1024) if where == "padding" else header(where, tarfile.REGTYPE, 9 * MIB)
    squeeze = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[name.split(".")[2]]
    bomb = squeeze(start) + packed
    with memory_below(10 * MIB), pytest.raises(Refused, match="at most 1,048,576 bytes"):
        Intake(root, max_bytes=MIB).add(name, io.BytesIO(bomb))
    assert stored(root) == {}
    monkeypatch.setattr(intake_stream, "RATIO_FLOOR", MIB)
    with pytest.raises(Refused, match="at most 200 times"):
        Intake(root).add(name, io.BytesIO(bomb))


def test_a_bzip2_bomb_comes_out_in_chunks(root):
    """A few bytes that are a megabyte each are not unpacked at once."""
    bomb = bz2.compress(bytes(12 * MIB))
    with memory_below(MIB), pytest.raises(Refused):
        Intake(root, max_bytes=MIB).add("x.tar.bz2", io.BytesIO(bomb))


def test_an_xz_file_cannot_ask_for_memory(root, box, monkeypatch):
    """The dictionary that a header asks for is limited."""
    packed = tarred({"a.v": b"x"}, "w:xz")
    monkeypatch.setattr(intake_stream, "_XZ_MEMORY", MIB)
    with pytest.raises(Refused, match="a whole archive was expected"):
        box.add("x.tar.xz", packed)


def test_many_empty_streams_are_stopped(box):
    """Streams without a byte do not keep it busy."""
    with pytest.raises(Refused, match="at most 4,096 compressed streams"):
        box.add("x.tgz", io.BytesIO(gzip.compress(b"") * 5000))


def test_packed_bytes_are_limited(root):
    """So does no endless stream from which nothing comes out."""
    endless = gzip.compress(tarred({"a.v": b"x"}).getvalue()) + bytes(2 * MIB)
    with pytest.raises(Refused, match="at most 1,048,576 bytes"):
        Intake(root, max_bytes=MIB).add("x.tgz", io.BytesIO(endless))


@pytest.mark.parametrize("suffix, pack", [
    ("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress),
])  # fmt: skip
def test_streams_may_follow_each_other(box, suffix, pack):
    """As parallel compressors make them, with padding at the end."""
    data = tarred({"a.v": b"x"}).getvalue()
    file = io.BytesIO(pack(data[:700]) + pack(data[700:]) + bytes(8))
    assert box.add(f"x.tar.{suffix}", file) == ("a.v",)


def overlapping(n_entries, data):
    """A zip file whose entries all are the same data."""
    packed = zipped({"000000": data}).getvalue()
    start = packed.find(b"PK\1\2")
    local, entry = packed[:start], packed[start : packed.find(b"PK\5\6")]
    listing = entry * n_entries
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(listing), len(local), 0)
    return io.BytesIO(local + listing + end)


def test_entries_that_overlap_are_refused(box):
    """Many entries of the same bytes are more than the file holds."""
    with pytest.raises(Refused, match="found some that overlap"):
        box.add("x.zip", overlapping(100, os.urandom(10_000)))


@pytest.mark.parametrize("n_entries, message", [
    (5001, "at most 5,000 files"), (100_000, "at most 5,000 files"), (400_000, "16,777,216 bytes"),
])  # fmt: skip
def test_a_huge_list_of_contents_is_refused(box, n_entries, message):
    """Before there is an object for each entry, and whatever number it says (here: one)."""
    packed = overlapping(n_entries, b"")
    size = len(packed.getvalue())
    with memory_below(2 * size + MIB), pytest.raises(Refused, match=message):
        box.add("x.zip", packed)


def patched(packed, at, value):
    """`packed` with 16 bits of its list of contents exchanged."""
    data = bytearray(packed.getvalue())
    struct.pack_into("<H", data, data.rfind(b"PK\1\2") + at, value)
    return io.BytesIO(data)


@pytest.mark.parametrize("flags", [0x1, 0x41, 0x2000])
def test_encrypted_zip_files_are_refused(box, flags):
    """There is no one to ask for a password."""
    with pytest.raises(Refused, match="encrypted"):
        box.add("x.zip", patched(zipped({"a.v": b"x"}), 8, flags))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 93])
def test_other_compression_is_refused(box, method):
    """`zipfile` unpacks bzip2 and LZMA without a limit of memory."""
    with pytest.raises(Refused, match=f"deflate. was expected, found {method}"):
        box.add("x.zip", patched(zipped({"a.v": b"x"}), 10, method))


def test_a_wrong_checksum_is_refused(box):
    """A file that is not what was packed is not taken."""
    packed = zipped({"a.v": b"module a"}, zipfile.ZIP_STORED).getvalue()
    with pytest.raises(Refused, match="damaged"):
        box.add("x.zip", io.BytesIO(packed.replace(b"module a", b"module b")))


def test_a_size_that_is_wrong_is_refused(root):
    """An entry must hold what its list says, even if the checksum of what it holds is right."""
    packed = patched(zipped({"a.v": b"module a"}), 24, 9)
    with pytest.raises(Refused, match="damaged"):
        Intake(root).add("x.zip", packed)


ARCHIVES = {
    "x.zip": zipped({"a.v": b"module" * 99, "b/é.v": b"x"}),
    "x.tar": tarred({"a.v": b"module" * 99, "b/é.v": b"x"}),
    "x.tgz": tarred({"a.v": b"module" * 99, "b/é.v": b"x"}, "w:gz"),
    "x.tar.bz2": tarred({"a.v": b"module" * 99, "b/é.v": b"x"}, "w:bz2"),
    "x.tar.xz": tarred({"a.v": b"module" * 99, "b/é.v": b"x"}, "w:xz"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_are_cut_short_are_refused(tmp_path, name):
    """Wherever they are cut, but in the padding; nothing of them is stored."""
    whole = ARCHIVES[name].getvalue()
    last = whole.rstrip(b"\0") if name == "x.tar" else whole
    for number, size in enumerate(
        {0, *range(1, len(last), max(1, len(last) // 40)), len(last) - 1}
    ):
        with pytest.raises(Refused, match="a whole archive was expected"):
            Intake(tmp_path / f"{number}").add(name, io.BytesIO(whole[:size]))
        assert stored(tmp_path / f"{number}") == {}


@pytest.mark.parametrize("name", [name for name in ARCHIVES if name != "x.zip"])
def test_data_after_the_end_is_refused(box, name):
    """What would be lost without a word is not there."""
    with pytest.raises(Refused, match="a whole archive was expected"):
        box.add(name, io.BytesIO(ARCHIVES[name].getvalue() + b"more" * 128))


@pytest.mark.parametrize("name", ARCHIVES)
def test_whatever_is_damaged_there_is_no_other_exception(tmp_path, name):
    """Random damage ends in files beneath the root, or in Refused."""
    rng, whole = random.Random(7), ARCHIVES[name].getvalue()
    headers = [at for at in range(len(whole)) if name != "x.tar" or at % 512 < 160 or at < 2000]
    for number in range(120):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.choice(headers)] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
        box = Intake(tmp_path / f"{number}", max_bytes=MIB)
        try:
            box.add(name, io.BytesIO(data))
        except Refused as refused:
            assert str(tmp_path) not in str(refused)
        assert {*box.names} <= {*stored(tmp_path / f"{number}")}


def test_the_limits_are_as_documented():
    """What an upload is told beforehand."""
    assert (intake.MAX_FILES, intake.MAX_BYTES) == (5000, 100 * MIB)
    assert (intake.MAX_DEPTH, intake.MAX_RATIO) == (12, 200)
