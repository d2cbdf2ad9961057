"""Which addresses a webhook may reach: public ones, unless the operator allows private ones too.

A user names a URL and the server connects to it from inside the operator's network, so the URL is
checked when it is registered, and every address its name resolves to before each connection, which
must go to exactly one that :func:`resolve` returned: a second look-up could differ (rebinding).
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

from openforge.errors import OpenForgeError

Lookup = Callable[[str, int], Awaitable[Iterable[str]]]

MAX_URL_CHARS = 2048
LOOKUP_TIMEOUT_S = 5.0
DEFAULT_PORTS = {"https": 443, "http": 80}

# IANA special-purpose registries (RFC 6890), read 2026-10. Written out because the table of
# `ipaddress` depends on the Python: 3.11.7 calls 192.0.0.8, 3fff::1 and 64:ff9b:1::1 global.
_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # "this network", RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # a public number, but inside Azure it is the host's own agent
        "169.254.0.0/16",  # link local and cloud metadata, RFC 3927
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and broadcast, RFC 1112
    )
)
_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")  # all that IANA gives out, RFC 4291
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(net)
    for net in (
        "2001::/23",  # IETF protocol assignments with Teredo (RFC 4380) and ORCHID, RFC 2928
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056: deprecated, and a relay would unwrap any IPv4 address
        "3fff::/20",  # documentation, RFC 9637
    )
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # IPv4-mapped, RFC 4291: the kernel speaks IPv4
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # IPv4-compatible, RFC 4291
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # what DNS64 answers on networks without IPv4
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214: these 32 bits, then an IPv4 address

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@]+))(?::([0-9]{1,5}))?")
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES = (".localhost", ".local", ".localdomain", ".internal", ".home.arpa")

# getaddrinfo cannot be interrupted: names that are never answered use up threads, but only these
_LOOKUPS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="openforge-dns")


class Blocked(OpenForgeError):
    """A webhook may not go there; the message says why, in words for the user who named it."""


class NoAddress(Blocked):
    """A name did not resolve. The others are final; this one may pass when tried again."""


@dataclass(frozen=True)
class Target:
    """A URL that passed :func:`check_url`.

    `host` is a lower-case ASCII name or a canonical address without brackets; `path` starts with
    ``/`` and includes the query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header: brackets for IPv6, the port only if not the usual."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_address(ip: str) -> None:
    """Raise `Blocked` unless `ip` is a globally routable unicast address.

    An IPv6 form that stands for an IPv4 address is refused if that one is. IPv4-mapped and NAT64
    (``64:ff9b::/96``) addresses of public hosts pass, since networks without IPv4 need the latter.
    IPv4-compatible, 6to4, Teredo and local-use NAT64 (``64:ff9b:1::/48``) are refused whatever
    they hold: no receiver is reached by them today.

    *Source*: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 4291, 6052, 5214.

    *Limits*: a NAT64 prefix that an operator took from their own public block cannot be told from
    other addresses; nor can public addresses that the operator uses inside.

    *Example*:

    >>> check_address("::ffff:127.0.0.1")
    Traceback (most recent call last):
    openforge.addresses.Blocked: address ::ffff:127.0.0.1 is not public (it stands for 127.0.0.1)
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        raise Blocked("a name resolved to something that is no IP address") from None
    if isinstance(address, ipaddress.IPv4Address):
        if _refused_v4(address):
            raise Blocked(f"address {address} is not public")
        return
    if address.scope_id is not None:
        raise Blocked(f"address {address.compressed.partition('%')[0]} is bound to one interface")
    inner = next((v4 for v4 in _embedded(address) if _refused_v4(v4)), None)
    if inner is not None:
        raise Blocked(f"address {ip} is not public (it stands for {inner})")
    routable = address in _UNICAST_V6 and not any(address in net for net in _REFUSED_V6)
    if not (routable or address in _MAPPED or address in _NAT64):
        raise Blocked(f"address {address} is not public")


def _refused_v4(address: ipaddress.IPv4Address) -> bool:
    return any(address in net for net in _REFUSED_V4)


def _embedded(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Every IPv4 address that a translator or tunnel may read out of `address`."""
    number = int(address)
    if address.teredo is not None:
        return address.teredo
    if address.sixtofour is not None:
        return (address.sixtofour,)
    # :: and ::1 are in the block of IPv4-compatible addresses and stand for themselves
    low = any(address in net for net in (_MAPPED, _COMPATIBLE, _NAT64, _NAT64_LOCAL))
    if (low and number > 1) or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return (ipaddress.IPv4Address(number & 0xFFFFFFFF),)
    return ()


def check_url(url: str, *, allow_private: bool) -> Target:
    """The parts of a webhook's `url`, or `Blocked` with the reason why it cannot be one.

    ``https`` only (``http`` too with `allow_private`); no user name, fragment, white space,
    control character or backslash; at most 2048 characters; names outside ASCII are encoded by
    IDNA 2008 with the UTS 46 mapping. Addresses in any spelling that C libraries read
    (``2130706433``, ``0x7f.1``, ``127.1``, ``0177.0.0.1``) become canonical ones, and they and
    names for local use are checked at once unless `allow_private`.

    *Limits*: says nothing about what a name resolves to; :func:`resolve` does, at each delivery.

    *Example*:

    >>> check_url("https://Hooks.Example.com/of?x=1", allow_private=False)
    Target(scheme='https', host='hooks.example.com', port=443, path='/of?x=1')
    """
    if len(url) > MAX_URL_CHARS:
        raise Blocked(f"the URL has {len(url)} characters; at most {MAX_URL_CHARS} are taken")
    if any(not char.isprintable() or char in " \\" for char in url):
        raise Blocked("the URL has white space, a control character or a backslash")
    if "#" in url:
        raise Blocked("the URL has a fragment (#...), which is never sent; leave it out")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Blocked("the URL is not valid; expected https://host/path") from None
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes:
        raise Blocked(f"the URL must start with {' or '.join(f'{s}://' for s in schemes)}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise Blocked("the path has characters outside ASCII; percent-encode them")
    host, port = _authority(parts.netloc)
    if not allow_private:
        _check_host(host)
    return Target(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], path)


def _authority(netloc: str) -> tuple[str, int | None]:
    """Host and port. `urlsplit` is not asked: it drops text beside brackets (Python 3.11.7)."""
    if "@" in netloc:
        raise Blocked("the URL has a user name or password; the signature says who sent it")
    found = _AUTHORITY.fullmatch(netloc)
    if found is None:
        raise Blocked("the URL has no valid host and port; expected https://host:port/path")
    v6, name, digits = found.groups()
    port = int(digits) if digits else None
    if port is not None and not 1 <= port <= 65535:
        raise Blocked(f"port {port} does not exist")
    return (_ipv6(v6) if v6 else _hostname(name)), port


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise Blocked("the URL has no valid IPv6 address between its brackets") from None


def _hostname(name: str) -> str:
    """`name` in ASCII and lower case, without the dot of the root; numbers become an address."""
    try:
        ascii_name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except UnicodeError:
        raise Blocked("the host is not a valid international domain name") from None
    host = ascii_name.lower().removesuffix(".")
    if _NAME.fullmatch(host) is None or len(host) > 253:
        raise Blocked("the host is not a valid name")
    return _ipv4(host) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host


def _ipv4(text: str) -> str:
    """The dotted form of what inet_aton takes: 1 to 4 numbers, the last fills what is left.

    *Source*: inet_aton(3); WHATWG URL, "ends in a number checker" and "IPv4 parser".
    """
    try:
        *heads, tail = (_number(part) for part in text.split("."))
        if len(heads) > 3 or any(head > 255 for head in heads) or tail >= 256 ** (4 - len(heads)):
            raise ValueError
    except ValueError:
        raise Blocked("the host ends in a number and is not a valid IPv4 address") from None
    return str(ipaddress.IPv4Address(tail + sum(h << (24 - 8 * i) for i, h in enumerate(heads))))


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _check_host(host: str) -> None:
    """What can be refused before any look-up."""
    if _is_address(host):
        check_address(host)
    elif "." not in host or f".{host}".endswith(_LOCAL_NAMES):
        raise Blocked(f"{host} is a name for local use")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def system_lookup(host: str, port: int) -> tuple[str, ...]:
    """The addresses that the system's resolver has for `host`. Raises OSError."""
    ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, ask)
    return tuple(str(address[0]) for *_, address in found)


async def resolve(
    host: str, port: int, *, allow_private: bool, lookup: Lookup = system_lookup
) -> tuple[str, ...]:
    """The addresses of `host`, in the order of the resolver and without repeats, all checked.

    One bad address blocks the whole name: a mixed answer is what rebinding looks like. `lookup`
    is asked once, and not at all for an address.

    Raises `Blocked`, of which `NoAddress` when there is none or the look-up takes over 5 s.
    """
    if _is_address(host):
        found: tuple[str, ...] = (host,)
    else:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                found = tuple(dict.fromkeys(await lookup(host, port)))
        except TimeoutError:
            raise NoAddress(f"looking up {host} took more than {LOOKUP_TIMEOUT_S:g} s") from None
        except (OSError, UnicodeError):
            found = ()
    if not found:
        raise NoAddress(f"no address was found for {host}")
    for ip in found if not allow_private else ():
        _check_found(host, ip)
    return found


def _check_found(host: str, ip: str) -> None:
    """As `check_address`, without telling a user what a name of our network leads to."""
    try:
        check_address(ip)
    except Blocked:
        if ip == host:
            raise
        raise Blocked(f"{host} has an address that is not public") from None
