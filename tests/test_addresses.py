"""Where a webhook may go: public addresses only, however they are spelt or found."""

import asyncio
import doctest
import ipaddress
import socket
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openforge import addresses
from openforge.addresses import Blocked, NoAddress, Target, check_address, check_url, resolve

PUBLIC = (
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "172.32.0.1",
    "192.0.1.1",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700::5efe:8.8.8.8",
)
NOT_PUBLIC = (
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.9.9",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)
EMBEDDING = {
    "mapped": lambda v4: ipaddress.IPv6Address((0xFFFF << 32) | v4),
    "compatible": ipaddress.IPv6Address,
    "nat64": lambda v4: ipaddress.IPv6Address((0x64FF9B << 96) | v4),
    "nat64 for local use": lambda v4: ipaddress.IPv6Address((0x64FF9B0001 << 80) | v4),
    "6to4": lambda v4: ipaddress.IPv6Address((0x2002 << 112) | (v4 << 80) | 1),
    "teredo server": lambda v4: ipaddress.IPv6Address((0x20010000 << 96) | (v4 << 64) | 0xF7F7F7F7),
    "teredo client": lambda v4: ipaddress.IPv6Address(
        (0x20010000 << 96) | (0x08080808 << 64) | (v4 ^ 0xFFFFFFFF)
    ),
    "isatap": lambda v4: ipaddress.IPv6Address((0x26064700 << 96) | (0x5EFE << 32) | v4),
    "isatap, global": lambda v4: ipaddress.IPv6Address(
        (0x26064700 << 96) | (0x02005EFE << 32) | v4
    ),
}


def answering(*ips):
    """A look-up with a fixed answer, and the list of what it was asked."""
    asked = []

    async def lookup(host, port):
        asked.append((host, port))
        return ips

    return lookup, asked


def test_examples_in_the_docstrings():
    """What the docstrings show is what happens."""
    assert doctest.testmod(addresses).failed == 0


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_pass(ip):
    """A receiver on the internet can be reached, also through NAT64."""
    check_address(ip)


@pytest.mark.parametrize("ip", NOT_PUBLIC)
def test_other_addresses_are_refused(ip):
    """Every special block of IANA's registries is refused."""
    with pytest.raises(Blocked, match=f"^address {ip} is not public$"):
        check_address(ip)


@pytest.mark.parametrize("form", EMBEDDING)
@pytest.mark.parametrize("ip", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.7.7"])
def test_an_ipv4_address_does_not_hide_in_ipv6(form, ip):
    """Tunnels and translators would unwrap it, so it is judged by what is inside."""
    outer = EMBEDDING[form](int(ipaddress.IPv4Address(ip)))
    with pytest.raises(Blocked, match=f"it stands for {ip}"):
        check_address(str(outer))


@pytest.mark.parametrize("form", ["compatible", "6to4", "teredo server", "nat64 for local use"])
def test_forms_that_nobody_is_reached_by_are_refused_whatever_they_hold(form):
    """Even around a public address."""
    with pytest.raises(Blocked, match="is not public"):
        check_address(str(EMBEDDING[form](int(ipaddress.IPv4Address("8.8.8.8")))))


@pytest.mark.parametrize("ip", ["fe80::1%eth0", "2606:4700:4700::1111%1"])
def test_scope_ids_are_refused(ip):
    """An address that names an interface of ours is not one on the internet."""
    with pytest.raises(Blocked, match="bound to one interface"):
        check_address(ip)


@pytest.mark.parametrize("ip", ["", "localhost", "127.1", "0177.0.0.1", "8.8.8.8 ", "[::1]", "8"])
def test_what_is_no_address_is_refused(ip):
    """Only the canonical forms are addresses."""
    with pytest.raises(Blocked, match="no IP address"):
        check_address(ip)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@example(ipaddress.ip_address("2001:20::1"))
def test_never_more_liberal_than_the_standard_library(ip):
    """What `ipaddress` calls not global, multicast or reserved is refused."""
    try:
        check_address(str(ip))
    except Blocked:
        return
    nat64 = ip in ipaddress.IPv6Network("64:ff9b::/96") if ip.version == 6 else False
    mapped = getattr(ip, "ipv4_mapped", None)
    assert (mapped or ip).is_global
    assert not (mapped or ip).is_multicast
    assert nat64 or not (mapped or ip).is_reserved


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://h.example", Target("https", "h.example", 443, "/")),
        ("HTTPS://H.Example.:443/a/b?c=d&e", Target("https", "h.example", 443, "/a/b?c=d&e")),
        ("https://h.example:8443?x", Target("https", "h.example", 8443, "/?x")),
        ("https://my_hook.example/%20", Target("https", "my_hook.example", 443, "/%20")),
        ("https://8.8.8.8/", Target("https", "8.8.8.8", 443, "/")),
        ("https://134744072/", Target("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700:0:0::1111]:1/", Target("https", "2606:4700::1111", 1, "/")),
        ("https://Bücher.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
        ("https://xn--bcher-kva.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
        ("https://straße.example/", Target("https", "xn--strae-oqa.example", 443, "/")),
    ],
)
def test_good_urls_come_apart(url, target):
    """Scheme, host, port and path are what the connection will use."""
    assert check_url(url, allow_private=False) == target


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://h.example/", "must start with https"),
        ("ftp://h.example/", "must start with https"),
        ("//h.example/", "must start with https"),
        ("h.example", "must start with https"),
        ("", "must start with https"),
        ("https://u:p@h.example/", "user name"),
        ("https://@h.example/", "user name"),
        ("https://h.example@8.8.8.8/", "user name"),
        ("https:///x", "no valid host"),
        ("https:h.example/x", "no valid host"),
        ("https://:443/", "no valid host"),
        ("https://h.example:/", "no valid host"),
        ("https://h.example:x/", "no valid host"),
        ("https://h.example:-1/", "no valid host"),
        ("https://h.example:٤٤٣/", "no valid host"),
        ("https://h.example:0/", "port 0"),
        ("https://h.example:65536/", "port 65536"),
        ("https://[::1/", "not valid"),
        ("https://[v1.x]/", "valid"),
        ("https://[1::2::3]/", "valid"),
        ("https://[fe80::1%25eth0]/", "valid"),
        ("https://[2606:4700::1111]h.example/", "valid"),
        ("https://h.example[2606:4700::1111]/", "valid"),
        ("https://h.example/#", "fragment"),
        ("https://h.example/#x", "fragment"),
        ("https://h.example/a b", "white space"),
        (" https://h.example/", "white space"),
        ("https://h.example/\r\nX: y", "white space"),
        ("https://h.exam\tple/", "white space"),
        ("https://h.example/\x00", "control character"),
        ("https://h.example/\u202e", "control character"),
        ("https://h.example\\@8.8.8.8/", "backslash"),
        ("https://h.example/ü", "percent-encode"),
        ("https://h%2eexample/", "not a valid name"),
        ("https://h..example/", "not a valid name"),
        ("https://.example/", "not a valid name"),
        ("https://-h.example/", "not a valid name"),
        ("https://h.example../", "not a valid name"),
        ("https://h,x.example/", "not a valid name"),
        (f"https://{'a' * 64}.example/", "not a valid name"),
        (f"https://{'a.' * 127}example/", "not a valid name"),
        ("https://☃\u0300.\u0300/", "international"),
        ("https://h.example/" + "a" * 2031, "2049 characters"),
    ],
)
def test_bad_urls_are_refused_with_the_reason(url, reason):
    """Nothing is repaired: another reader of the URL might repair it otherwise."""
    with pytest.raises(Blocked, match=reason):
        check_url(url, allow_private=False)


def test_the_longest_url_passes():
    """2048 characters are fine."""
    assert check_url("https://h.example/" + "a" * 2030, allow_private=False).host == "h.example"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0X7F.0.0.0x1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "2130706433",
        "１２７.０.０.１",
        "127。0。0。1",
        "0",
        "0x",
        "10.1",
        "012.1.2.3",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[fe80::1]",
    ],
)
def test_literal_addresses_are_checked_at_once(host):
    """In every spelling that a C library would read."""
    with pytest.raises(Blocked, match="is not public"):
        check_url(f"https://{host}/", allow_private=False)


@pytest.mark.parametrize(
    "host", ["1.2.3.4.5", "1.2.3.4.0", "h.1", "256.1.1.1", "1.2.3.256", "08.1.1.1", "h.0x7"]
)
def test_names_that_end_in_a_number_are_addresses_or_nothing(host):
    """A resolver might take them for either."""
    with pytest.raises(Blocked, match="not a valid IPv4"):
        check_url(f"https://{host}/", allow_private=True)


@given(
    st.from_regex(
        r"(0x[0-9a-f]{1,8}|[0-9]{1,10})(\.(0x[0-9a-f]{1,3}|[0-9]{1,4})){0,3}", fullmatch=True
    )
)
def test_odd_spellings_are_read_as_the_c_library_reads_them(text):
    """Compared with inet_aton, which getaddrinfo uses."""
    try:
        expected = socket.inet_ntoa(socket.inet_aton(text))
    except OSError:
        with pytest.raises(Blocked):
            check_url(f"http://{text}", allow_private=True)
    else:
        assert check_url(f"http://{text}", allow_private=True).host == expected


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "ⓛocalhost",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "localhost.localdomain",
        "nas.home.arpa",
        "home.arpa",
        "db",
    ],
)
def test_local_names_need_allow_private(host):
    """They mean a machine of the operator's whatever a look-up says."""
    with pytest.raises(Blocked, match="local use"):
        check_url(f"https://{host}/", allow_private=False)
    assert check_url(f"https://{host}/", allow_private=True).port == 443


def test_allow_private_takes_http_and_private_addresses():
    """What an operator's own network needs; the syntax stays as strict."""
    assert check_url("http://[::1]/", allow_private=True) == Target("http", "::1", 80, "/")
    assert check_url("http://127.1:81/", allow_private=True).host == "127.0.0.1"
    with pytest.raises(Blocked, match="https:// or http://"):
        check_url("file:///etc/passwd", allow_private=True)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://h.example:443/", "h.example"),
        ("https://h.example:80/", "h.example:80"),
        ("http://h.example/", "h.example"),
        ("https://[2606:4700::1]/", "[2606:4700::1]"),
        ("https://[2606:4700::1]:8443/", "[2606:4700::1]:8443"),
    ],
)
def test_authority_is_what_the_host_header_needs(url, authority):
    """Brackets for IPv6, and the port unless it is the usual one."""
    assert check_url(url, allow_private=True).authority == authority


def test_resolve_gives_all_addresses_once():
    """In the resolver's order, without repeats, from one look-up."""
    lookup, asked = answering("8.8.8.8", "2606:4700::1111", "8.8.8.8")
    found = asyncio.run(resolve("h.example", 443, allow_private=False, lookup=lookup))
    assert found == ("8.8.8.8", "2606:4700::1111")
    assert asked == [("h.example", 443)]


@pytest.mark.parametrize(
    "ips", [("10.1.2.3",), ("8.8.8.8", "10.1.2.3"), ("10.1.2.3", "8.8.8.8"), ("8.8.8.8", "x")]
)
def test_one_bad_address_blocks_the_name(ips):
    """Wherever it stands in the answer."""
    lookup, _ = answering(*ips)
    with pytest.raises(Blocked):
        asyncio.run(resolve("h.example", 443, allow_private=False, lookup=lookup))


def test_resolve_with_allow_private_checks_nothing():
    """The operator said so."""
    lookup, _ = answering("10.1.2.3", "8.8.8.8")
    found = asyncio.run(resolve("h.example", 443, allow_private=True, lookup=lookup))
    assert found == ("10.1.2.3", "8.8.8.8")


def test_an_address_is_not_looked_up_but_checked():
    """Also when it did not come through `check_url`."""
    lookup, asked = answering("8.8.4.4")
    assert asyncio.run(resolve("8.8.8.8", 1, allow_private=False, lookup=lookup)) == ("8.8.8.8",)
    with pytest.raises(Blocked, match="address 10.1.2.3 is not public"):
        asyncio.run(resolve("10.1.2.3", 1, allow_private=False, lookup=lookup))
    assert asked == []


def test_no_address_is_told_apart():
    """An empty answer, an error of the resolver and a name it cannot take may pass later."""

    async def fails(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    empty, _ = answering()
    for lookup in (fails, empty):
        with pytest.raises(NoAddress, match="no address was found for h.example"):
            asyncio.run(resolve("h.example", 443, allow_private=True, lookup=lookup))


def test_a_look_up_is_limited_in_time(monkeypatch):
    """A name server that never answers costs a fixed time."""
    monkeypatch.setattr(addresses, "LOOKUP_TIMEOUT_S", 0.05)

    async def never(host, port):
        await asyncio.sleep(60)
        return ()

    started = time.monotonic()
    with pytest.raises(NoAddress, match="more than 0.05 s"):
        asyncio.run(resolve("h.example", 443, allow_private=True, lookup=never))
    assert time.monotonic() - started < 2


def test_the_system_resolver_is_asked_by_default():
    """`localhost` is in every hosts file, and is refused as any other loopback address."""
    found = asyncio.run(resolve("localhost", 80, allow_private=True))
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found
    with pytest.raises(Blocked, match="is not public"):
        asyncio.run(resolve("localhost", 80, allow_private=False))
