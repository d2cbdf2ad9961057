"""What the command line remembers of a service: its address, and the token it is asked with.

One small JSON file in the user's configuration folder, which only the user can read.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from openforge.errors import OpenForgeError

NAMES = ("server", "token")
SHOWN = 10  # characters of a token by which people tell it from others
_MAX_BYTES = 64 << 10
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
_URL = re.compile(r"https?://[^\s/?#@\\]+(/[^\s?#@\\]*)?")


@dataclass(frozen=True)
class Access:
    """A service to talk to. `token` is empty where none is known."""

    url: str
    token: str


def path() -> Path:
    """The file: ``OPENFORGE_CONFIG``, else ``config.json`` in the user's configuration folder."""
    given = os.environ.get("OPENFORGE_CONFIG")
    folder = Path(platformdirs.user_config_dir("openforge"))
    return (Path(given) if given else folder / "config.json").expanduser().absolute()


def access(server: str | None) -> Access | None:
    """The service that is meant; None when it is the local workspace.

    `server` (of the command line) wins over ``OPENFORGE_SERVER``, that over the file; an empty one
    stands for no service. The token is ``OPENFORGE_TOKEN``, else the file's. Raises OpenForgeError
    when the file or the address is not valid.
    """
    chosen = server if server is not None else os.environ.get("OPENFORGE_SERVER")
    if chosen == "":
        return None
    kept = read()
    url = kept.get("server", "") if chosen is None else chosen
    if not url:
        return None
    token = os.environ.get("OPENFORGE_TOKEN") or kept.get("token", "")
    return Access(_checked("server", url), _checked("token", token) if token else "")


def read() -> dict[str, str]:
    """All that is set, also by a newer version. Raises OpenForgeError for an unfit file."""
    file = path()
    try:
        with file.open("rb") as stream:
            values = json.loads(stream.read(_MAX_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OpenForgeError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:  # without its cause, which could show the token
        values = None
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise OpenForgeError(
            f"{file} should be a JSON object of texts; mend or delete it, and set the values again"
        )
    return values


def put(name: str, value: str) -> None:
    """Keep `value` as `name`. Raises OpenForgeError for an unknown name or a bad value."""
    require_known(name)
    _write({**read(), name: _checked(name, value)})


def remove(name: str) -> None:
    """Forget `name`; no error when it was not set. Raises OpenForgeError for an unknown name."""
    require_known(name)
    kept = read()
    if kept.pop(name, None) is not None:
        _write(kept)


def shown(name: str, value: str) -> str:
    """`value` as it may be put on a screen: of a token, the first characters."""
    if name != "token":
        return value
    return f"{value[:SHOWN]}..." if len(value) > 2 * SHOWN else "..."


def require_known(name: str) -> None:
    """Raises OpenForgeError, with the nearest right name, for a name that cannot be set."""
    if name in NAMES:
        return
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {' and '.join(NAMES)}"
    raise OpenForgeError(f"there is no setting {name[:80]!a}; {hint}")


def _checked(name: str, value: str) -> str:
    if name == "token" and not _TOKEN.fullmatch(value):
        raise OpenForgeError("a token is one word of visible ASCII characters")
    if name == "server" and not _URL.fullmatch(value):
        raise OpenForgeError(
            f"the address of a service is http(s)://HOST[:PORT][/PATH], found {value[:80]!a}"
        )
    return value


def _write(values: dict[str, str]) -> None:
    """Replace the file; at no moment can others read it, or anybody see half of it."""
    target = Path(os.path.realpath(path()))  # a link to it stays one
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(values, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(target)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OpenForgeError(f"cannot write {target}: {error.strerror}") from None
