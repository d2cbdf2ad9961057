"""What the command line remembers of a service: the file, and which service is meant."""

import json
import os
import stat

import pytest

from openforge import client_config
from openforge.client_config import Access
from openforge.errors import OpenForgeError

TOKEN = "of_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """A place for the file that is not the user's."""
    place = tmp_path / "new" / "folder" / "config.json"
    monkeypatch.setenv("OPENFORGE_CONFIG", str(place))
    monkeypatch.delenv("OPENFORGE_SERVER", raising=False)
    monkeypatch.delenv("OPENFORGE_TOKEN", raising=False)
    return place


def test_what_is_put_is_read(file):
    """Values are kept beside each other, and what a newer version keeps there stays."""
    client_config.put("server", "https://a.example/openforge")
    client_config.put("token", TOKEN)
    file.write_text(json.dumps({**json.loads(file.read_text()), "newer": "x"}))
    client_config.put("server", "http://localhost:8080")
    assert client_config.read() == {
        "server": "http://localhost:8080",
        "token": TOKEN,
        "newer": "x",
    }
    client_config.remove("token")
    client_config.remove("token")
    assert "token" not in client_config.read()


def test_nobody_else_can_read_it(file):
    """The file is for the user only, whatever the umask and the file before; nothing is left."""
    before = os.umask(0)
    try:
        client_config.put("token", TOKEN)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o644)
        client_config.put("server", "https://a.example")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file(file, monkeypatch):
    """When the new file cannot be completed the old one stands, and nothing else is there."""
    client_config.put("token", TOKEN)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OpenForgeError, match="No space left"):
        client_config.put("server", "https://a.example")
    assert client_config.read() == {"token": TOKEN}
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_a_link(file, tmp_path):
    """A file that is kept elsewhere, with a link to it, is written there."""
    file.parent.mkdir(parents=True)
    file.symlink_to(tmp_path / "elsewhere.json")
    client_config.put("token", TOKEN)
    assert file.is_symlink()
    assert json.loads((tmp_path / "elsewhere.json").read_text()) == {"token": TOKEN}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"token": 1}', '{"token": "of_secret"', "\x00", "\ud800"]
)
def test_a_damaged_file_is_named_and_not_shown(file, text):
    """A file of another form is an error with its path, and nothing of what is in it."""
    file.parent.mkdir(parents=True)
    file.write_text(text, errors="surrogatepass")
    with pytest.raises(OpenForgeError) as caught:
        client_config.read()
    assert str(file) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tokn", TOKEN, "did you mean token"),
        ("severs", "x", "did you mean server"),
        ("zzz", "x", "server and token"),
        ("token", "", "one word"),
        ("token", "two words", "one word"),
        ("token", "of_abc\nX-Evil: 1", "one word"),
        ("token", "of_ä", "one word"),
        ("server", "", "http"),
        ("server", "localhost:8080", "http"),
        ("server", "ftp://a.example", "http"),
        ("server", "http://user:secret@a.example", "http"),
        ("server", "http://a.example/?x=1", "http"),
        ("server", "http://a.example\n", "http"),
    ],
)
def test_what_makes_no_sense_is_refused(file, name, value, message):
    """An unknown name gets the nearest right one; a bad value is not kept."""
    with pytest.raises(OpenForgeError, match=message):
        client_config.put(name, value)
    assert not file.exists()


def test_a_token_is_shown_by_its_beginning():
    """Of a token its first ten characters are shown, of a short one none."""
    assert client_config.shown("token", TOKEN) == "of_abcdefg..."
    assert client_config.shown("token", "of_short") == "..."
    assert client_config.shown("server", "https://a.example") == "https://a.example"


@pytest.mark.parametrize(
    ("option", "variable", "kept", "url"),
    [
        (None, None, None, None),
        (None, None, "http://file", "http://file"),
        (None, "http://env", "http://file", "http://env"),
        ("http://option", "http://env", "http://file", "http://option"),
        ("", "http://env", "http://file", None),
        (None, "", "http://file", None),
    ],
)
def test_which_service_is_meant(option, variable, kept, url, monkeypatch):
    """The option wins over the environment, that over the file; an empty address is none."""
    if variable is not None:
        monkeypatch.setenv("OPENFORGE_SERVER", variable)
    if kept:
        client_config.put("server", kept)
    client_config.put("token", TOKEN)
    assert client_config.access(option) == (Access(url, TOKEN) if url else None)


def test_the_token_of_the_environment_wins(monkeypatch):
    """OPENFORGE_TOKEN wins over the file; there need be none; a bad one is an error."""
    assert client_config.access("http://a") == Access("http://a", "")
    client_config.put("token", TOKEN)
    monkeypatch.setenv("OPENFORGE_TOKEN", "of_other")
    assert client_config.access("http://a") == Access("http://a", "of_other")
    monkeypatch.setenv("OPENFORGE_TOKEN", "of_a b")
    with pytest.raises(OpenForgeError, match="one word"):
        client_config.access("http://a")
    monkeypatch.setenv("OPENFORGE_TOKEN", "x")
    with pytest.raises(OpenForgeError, match="address of a service"):
        client_config.access("a.example")


def test_the_file_is_the_users_own(monkeypatch):
    """Without OPENFORGE_CONFIG it is config.json in the user's configuration folder."""
    monkeypatch.delenv("OPENFORGE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert str(client_config.path()) == "/somewhere/openforge/config.json"
