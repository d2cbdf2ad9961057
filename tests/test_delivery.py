"""One attempt to deliver, against real servers on this machine, friendly and hostile."""

import asyncio
import contextlib
import socket
import ssl
import time

import httpcore
import pytest
import trustme

from openforge import delivery
from openforge.delivery import Answer, Sender

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
BODY = b'{"event": "job.finished", "name": "gr\xc3\xbcn"}\n'
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and takes no time to make


class Server:
    """A receiver on this machine that keeps the requests and answers with `reply`."""

    def __init__(self, reply=OK, *, ip="127.0.0.1", port=0, tls=None):
        self.reply = reply
        self.ip = ip
        self.port = port
        self.tls = tls
        self.requests = []
        self.n_connections = 0

    async def __aenter__(self):
        self._tasks = set()
        self._idle = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, self.ip, self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def ended(self):
        """Wait until all connections have ended; nothing here ends them before the client does."""
        await asyncio.wait_for(self._idle.wait(), 3)

    def url(self, host="hooks.test", scheme="http", path="/of"):
        return f"{scheme}://{host}:{self.port}{path}"

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self._idle.clear()
        self.n_connections += 1
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self.requests.append((head.decode(), await reader.readexactly(length)))
            if callable(self.reply):
                await self.reply(reader, writer)
            else:
                writer.write(self.reply)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
            await writer.wait_closed()
        self._tasks.discard(asyncio.current_task())
        if not self._tasks:
            self._idle.set()


def resolving(*answers):
    """A look-up that gives the first answer, then the next, and lists what it was asked."""
    asked = []

    async def lookup(host, port):
        asked.append((host, port))
        return answers[min(len(asked), len(answers)) - 1]

    lookup.asked = asked
    return lookup


def sender(lookup=None, **settings):
    settings = {"allow_private": True, "timeout_s": 5.0, "tls": NO_TLS} | settings
    return Sender(lookup=lookup or resolving(["127.0.0.1"]), **settings)


def post(reply=OK, headers=None, **settings):
    """Deliver to a server that answers `reply`; returns the answer and the server."""

    async def run():
        async with Server(reply) as server:
            answer = await sender(**settings).deliver(server.url(), headers or {}, BODY)
            if server.n_connections:
                await server.ended()
            return answer, server

    return asyncio.run(run())


def trickle(first, piece, pause_s=0.02):
    """A reply that starts with `first` and goes on until the client hangs up."""

    async def reply(reader, writer):
        writer.write(first)
        while not reader.at_eof():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return reply


# What is sent


def test_the_request_is_what_was_signed():
    """The body arrives byte for byte, once, with our headers and those of the caller."""
    answer, server = post(headers={"webhook-id": "evt_1", "X-OpenForge-Signature": "sha256=00"})
    assert (answer.status, answer.error, answer.body) == (200, "", "done")
    assert answer.ok
    assert 0 < answer.duration_s < 5
    [(head, body)] = server.requests
    assert body == BODY
    first, *lines = head.rstrip("\r\n").split("\r\n")
    assert first == "POST /of HTTP/1.1"
    assert lines == [
        f"Host: hooks.test:{server.port}",
        "User-Agent: OpenForge-Webhook/1",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
        "Connection: close",
        "webhook-id: evt_1",
        "X-OpenForge-Signature: sha256=00",
    ]


@pytest.mark.parametrize("body", [b"", bytes(range(256)) * 1024])
def test_any_body_arrives_unchanged(body):
    """Empty, and 256 KiB of every byte."""

    async def run():
        async with Server() as server:
            assert (await sender().deliver(server.url(), {}, body)).ok
            return server.requests[0][1]

    assert asyncio.run(run()) == body


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-B: 2"),
        ("X-A", "1\nX-B: 2"),
        ("X-A", "1\r"),
        ("X-A", "1\n"),
        ("X-A", "\x00"),
        ("X-A", "é"),
        ("X-A", ""),
        ("X-A: 1\r\nX-B", "2"),
        ("X-A\n", "2"),
        ("", "2"),
        ("X A", "2"),
    ],
)
def test_a_header_cannot_hold_another(name, value):
    """Line breaks and what is not text stop the attempt before anything is sent."""
    answer, server = post(headers={name: value})
    assert answer.error == "blocked: a header has characters that are not allowed in one"
    assert answer.status is None
    assert server.n_connections == 0


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection"])
def test_our_headers_cannot_be_replaced(name):
    """Else the receiver could see another message than the one that was checked and signed."""
    answer, server = post(headers={name: "1"})
    assert answer.error == f"blocked: the header {name} is set by OpenForge"
    assert server.n_connections == 0


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    """A proxy would look the name up again."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post()[0].ok


def test_each_attempt_has_its_own_connection():
    """Kept open, one would carry the next message without a check of its address."""
    lookup = resolving(["127.0.0.1"])

    async def run():
        async with Server() as server:
            one = sender(lookup)
            assert (await one.deliver(server.url(), {}, BODY)).ok
            assert (await one.deliver(server.url(), {}, BODY)).ok
            return server.n_connections

    assert asyncio.run(run()) == 2
    assert len(lookup.asked) == 2


# Where it goes


@pytest.fixture(scope="module")
def authority():
    """A certificate authority of our own, and contexts for servers and clients that trust it."""
    ca = trustme.CA()

    def serve(*names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*names).configure_cert(context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.asked = []
        context.sni_callback = lambda _, name, context: context.asked.append(name)
        return context

    def trust():
        context = ssl.create_default_context()
        ca.configure_trust(context)
        return context

    ca.serve, ca.trust = serve, trust
    return ca


def spy_on_connections(monkeypatch, instead=None):
    """Lists the addresses connected to; `instead` of which another may be taken."""
    connected = []
    real = httpcore.AnyIOBackend.connect_tcp

    async def connect_tcp(self, host, port, *rest):
        connected.append(host)
        return await real(self, instead or host, port, *rest)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    return connected


def refuse_lookups(monkeypatch):
    """Any look-up of a name behind our back is an error."""

    def getaddrinfo(host, *_args, **_kwargs):
        raise AssertionError(f"{host} was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_the_connection_goes_to_the_checked_address(monkeypatch, authority):
    """DNS rebinding: public at the first look-up, private at the second, which never happens."""
    connected = spy_on_connections(monkeypatch, instead="127.0.0.1")
    lookup = resolving(["8.8.8.8"], ["127.0.0.1"])

    async def run():
        async with Server(tls=authority.serve("hooks.test.example")) as server:
            refuse_lookups(monkeypatch)
            one = sender(lookup, allow_private=False, tls=authority.trust())
            url = server.url("hooks.test.example", "https")
            return await one.deliver(url, {}, BODY), server.port

    answer, port = asyncio.run(run())
    assert answer.ok
    assert connected == ["8.8.8.8"]
    assert lookup.asked == [("hooks.test.example", port)]


def test_the_second_answer_of_a_rebinding_name_is_not_used():
    """The same with two real servers on one port: the checked one gets the message."""

    async def run():
        async with Server() as checked, Server(ip="127.0.0.2", port=checked.port) as other:
            lookup = resolving(["127.0.0.1"], ["127.0.0.2"])
            assert (await sender(lookup).deliver(checked.url(), {}, BODY)).ok
            return checked.n_connections, other.n_connections

    assert asyncio.run(run()) == (1, 0)


@pytest.mark.parametrize("ips", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]])
def test_a_private_address_is_never_connected_to(monkeypatch, ips):
    """Alone or mixed with public ones."""
    connected = spy_on_connections(monkeypatch)
    one = sender(resolving(ips), allow_private=False)
    answer = asyncio.run(one.deliver("https://hooks.example/", {}, BODY))
    assert answer.error == "blocked: hooks.example has an address that is not public"
    assert (answer.status, answer.ok, connected) == (None, False, [])


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://hooks.example/", "blocked: the URL must start with https://"),
        ("https://10.1.2.3/", "blocked: address 10.1.2.3 is not public"),
        ("https://localhost/", "blocked: localhost is a name for local use"),
        ("nonsense", "blocked: the URL must start with https://"),
    ],
)
def test_the_url_is_checked_again(url, error):
    """It may have been stored when other rules applied."""
    assert asyncio.run(sender(allow_private=False).deliver(url, {}, BODY)).error == error


def test_a_name_without_address():
    """Not `blocked`: it may have one tomorrow."""
    answer = asyncio.run(sender(resolving([])).deliver("http://hooks.test/", {}, BODY))
    assert answer.error == "no address was found for hooks.test"


def test_the_next_address_is_tried_when_one_refuses(monkeypatch):
    """In the order of the resolver, and none after the one that takes the connection."""
    connected = spy_on_connections(monkeypatch)
    lookup = resolving(["127.0.0.2", "127.0.0.1", "127.0.0.3"])

    async def run():
        async with Server() as server:
            return await sender(lookup).deliver(server.url(), {}, BODY)

    assert asyncio.run(run()).ok
    assert connected == ["127.0.0.2", "127.0.0.1"]


def test_the_next_address_is_tried_when_one_is_silent(monkeypatch):
    """An address that drops packets does not use up the whole attempt."""
    real = httpcore.AnyIOBackend.connect_tcp

    async def connect_tcp(self, host, port, timeout):
        if host == "127.0.0.2":
            await asyncio.sleep(timeout)
            raise httpcore.ConnectTimeout
        return await real(self, host, port, timeout)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)

    async def run():
        async with Server() as server:
            one = sender(resolving(["127.0.0.2", "127.0.0.1"]), timeout_s=0.9)
            return await one.deliver(server.url(), {}, BODY)

    assert asyncio.run(run()).ok


def test_an_address_that_is_silent(monkeypatch):
    """The only one there is: the attempt ends before its own limit, with the reason."""

    async def connect_tcp(self, host, port, timeout):
        await asyncio.sleep(timeout)
        raise httpcore.ConnectTimeout

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    answer = asyncio.run(sender(timeout_s=0.3).deliver("http://hooks.test/", {}, BODY))
    assert answer.error == "the connection timed out"


def test_a_name_with_many_addresses_is_not_a_port_scan(monkeypatch):
    """Four are tried."""
    connected = spy_on_connections(monkeypatch)
    lookup = resolving([f"127.0.0.{i}" for i in range(2, 30)])

    async def run():
        async with Server() as server:
            return await sender(lookup).deliver(server.url(), {}, BODY)

    assert asyncio.run(run()).error == "connection refused"
    assert len(connected) == 4


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirects_are_not_followed(monkeypatch, status):
    """A public receiver must not send us on to a private one."""
    connected = spy_on_connections(monkeypatch)

    async def run():
        async with Server() as private, Server() as server:
            server.reply = (
                f"HTTP/1.1 {status} Moved\r\nLocation: {private.url('127.0.0.1')}\r\n"
                "Content-Length: 0\r\n\r\n"
            ).encode()
            return await sender().deliver(server.url(), {}, BODY), private.n_connections

    answer, n_private = asyncio.run(run())
    assert answer.error == f"redirects are not followed ({status})"
    assert (answer.status, answer.ok) == (status, False)
    assert n_private == 0
    assert len(connected) == 1


def test_an_ipv6_receiver_gets_brackets_in_its_host_header():
    """As RFC 9110 writes it; the certificate and the connection need it without."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")

    async def run():
        async with Server(ip="::1") as server:
            answer = await sender().deliver(f"http://[::1]:{server.port}/", {}, BODY)
            return answer, server

    answer, server = asyncio.run(run())
    assert answer.ok
    assert f"\r\nHost: [::1]:{server.port}\r\n" in server.requests[0][0]


# TLS


def over_tls(authority, *names, trusted=True, host="hooks.test"):
    """Deliver to `host` on a server whose certificate is for `names`."""
    context = authority.serve(*names)

    async def run():
        async with Server(tls=context) as server:
            one = sender(tls=authority.trust() if trusted else None)
            return await one.deliver(server.url(host, "https"), {}, BODY), server

    answer, server = asyncio.run(run())
    return answer, server, context.asked


def test_tls_asks_for_the_name(authority):
    """SNI and certificate go by the name of the URL, not by the address."""
    answer, server, asked = over_tls(authority, "hooks.test")
    assert answer.ok, answer.error
    assert asked == ["hooks.test"]
    assert server.requests[0][1] == BODY


def test_tls_offers_http_1_only(authority):
    """A server that would rather speak HTTP/2 is not led to."""
    chosen = []

    async def reply(reader, writer):
        chosen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.write(OK)

    async def run():
        async with Server(reply, tls=authority.serve("hooks.test")) as server:
            one = sender(tls=authority.trust())
            return await one.deliver(server.url(scheme="https"), {}, BODY)

    assert asyncio.run(run()).ok
    assert chosen == ["http/1.1"]


def test_tls_of_an_address(authority):
    """A certificate may be for an address; then there is no name to send."""
    answer, _, asked = over_tls(authority, "127.0.0.1", host="127.0.0.1")
    assert answer.ok, answer.error
    assert asked == [None]


@pytest.mark.parametrize("names", [["other.test"], ["127.0.0.1"]])
def test_tls_refuses_another_name(authority, names):
    """Also a certificate for the address that was connected to."""
    answer, server, _ = over_tls(authority, *names)
    assert answer.error == (
        "TLS: certificate verify failed: Hostname mismatch, certificate is not valid for "
        "'hooks.test'"
    )
    assert (answer.status, server.requests) == (None, [])


def test_tls_refuses_an_unknown_authority(authority):
    """Whoever signed the certificate has to be known here."""
    answer, server, _ = over_tls(authority, "hooks.test", trusted=False)
    assert answer.error.startswith("TLS: certificate verify failed: ")
    assert "/" not in answer.error
    assert server.requests == []


def test_tls_with_a_server_that_has_none():
    """A plain HTTP port behind an https URL."""

    async def greet(reader, writer):
        writer.write(b"220 mail.test ESMTP\r\n")
        await reader.read()
        writer.close()

    assert _deliver_to(greet, "https").error.startswith("TLS: wrong version number")


def test_tls_with_a_server_that_hangs_up():
    """Closed during the handshake."""

    async def hang_up(reader, writer):
        await reader.read(1)
        writer.close()

    assert _deliver_to(hang_up, "https").error.startswith("TLS: ")


def test_a_handshake_that_never_ends_is_closed():
    """httpcore leaves the connection open when it is cancelled here; the server sees its end."""
    ended = []

    async def silent(reader, writer):
        while await reader.read(1000):
            pass
        ended.append(True)
        writer.close()

    answer = _deliver_to(silent, "https", timeout_s=0.1)
    assert answer.error == "timed out after 0.1 s"
    assert ended == [True]


def _deliver_to(serve, scheme="http", **settings):
    """Deliver to a server that is the function `serve` from the first byte on."""

    async def run():
        ended = asyncio.Event()

        async def handle(reader, writer):
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)
                await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            answer = await sender(**settings).deliver(f"{scheme}://hooks.test:{port}/", {}, BODY)
            await asyncio.wait_for(ended.wait(), 2)
        return answer

    return asyncio.run(run())


# What comes back


@pytest.mark.parametrize(
    ("status", "error", "ok"),
    [(200, "", True), (299, "", True), (199, "", False), (300, "", False), (200, "late", False)],
)
def test_ok_is_2xx_without_error(status, error, ok):
    """And nothing else; no reply is none either."""
    assert Answer(status, error, 0.1, "").ok is ok
    assert not Answer(None, error, 0.1, "").ok


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(status):
    """The receiver took the message."""
    answer, _ = post(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
    assert (answer.status, answer.error, answer.ok) == (status, "", True)


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503, 600])
def test_other_statuses_are_failures_with_the_body_kept(status):
    """What the receiver said is the best help for its owner."""
    answer, _ = post(f"HTTP/1.1 {status} x\r\nContent-Length: 4\r\n\r\nwhy?".encode())
    assert (answer.status, answer.ok, answer.body) == (status, False, "why?")
    assert answer.error == f"the receiver answered {status}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"a" * 1023 + "ü".encode(), "a" * 1023),
        (b"a" * 5000, "a" * 1024),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"a\x00\x1b]0;x\x07\r\nb\tc", "a\\u0000\\u001b]0;x\\u0007\nb\tc"),
        ("\u202egpj".encode(), "\\u202egpj"),
    ],
)
def test_the_reply_is_kept_as_safe_text(body, text):
    """The first KiB; what hides, moves or breaks text is written out."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert post(reply)[0].body == text


def test_a_large_reply_is_cut_off():
    """Of 10 MB at most 64 KiB are taken off the wire, then the connection is closed."""
    n_bytes = 10_000_000
    sent = []

    async def reply(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n_bytes)
        for _ in range(n_bytes // 10_000):
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent.append(10_000)

    answer, _ = post(reply)
    assert (answer.status, answer.ok, answer.body) == (200, True, "x" * 1024)
    assert sum(sent) < n_bytes


def test_no_more_than_64_kib_are_read(monkeypatch):
    """Counted where the bytes come in."""
    n_read = []
    real = delivery._Metered.read

    async def read(self, *args, **kwargs):
        data = await real(self, *args, **kwargs)
        n_read.append(len(data))
        return data

    monkeypatch.setattr(delivery._Metered, "read", read)
    post(trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000, 0))
    assert sum(n_read) == delivery.MAX_REPLY_BYTES == 65536


@pytest.mark.parametrize(
    "piece",
    [b"HTTP/1.1 100 Continue\r\n\r\n" * 100, b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100],
    ids=["informational replies", "header lines"],
)
def test_a_header_without_end_is_cut_off(piece):
    """Of any kind; there is then no status."""
    first, rest = (b"", piece) if b"100" in piece else (piece, piece.partition(b"\n")[2])
    answer, _ = post(trickle(first, rest, 0))
    assert answer.error == "the header of the reply is longer than 64 KiB"
    assert answer.status is None


@pytest.mark.parametrize(
    ("first", "piece", "status"),
    [
        (b"", b"", None),
        (b"HTTP/1.", b"", None),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x", 200),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"", 200),
    ],
    ids=["silence", "status line", "header", "body", "no end"],
)
def test_a_slow_reply_is_cut_off_at_the_total_limit(first, piece, status):
    """Each piece comes in time, the whole does not; half a reply is no success."""
    answer, _ = post(trickle(first, piece), timeout_s=0.25)
    assert answer.error == "timed out after 0.25 s"
    assert (answer.status, answer.ok) == (status, False)
    assert 0.2 < answer.duration_s < 2


def test_a_receiver_that_does_not_read_is_cut_off():
    """The request itself is under the limit too."""

    async def deaf(reader, writer):
        reader._transport.pause_reading()
        await asyncio.sleep(0.3)
        writer.transport.abort()

    async def run():
        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        async with server:
            url = f"http://hooks.test:{server.sockets[0].getsockname()[1]}/"
            answer = await sender(timeout_s=0.2).deliver(url, {}, b"x" * 50_000_000)
            await asyncio.sleep(0.2)
            return answer

    answer = asyncio.run(run())
    assert answer.error == "timed out after 0.2 s"
    assert answer.duration_s < 1


def test_a_slow_look_up_counts_too():
    """The limit is for all that an attempt takes."""

    async def never(host, port):
        await asyncio.sleep(60)

    answer = asyncio.run(sender(never, timeout_s=0.1).deliver("http://hooks.test/", {}, BODY))
    assert answer.error == "timed out after 0.1 s"
    assert answer.duration_s < 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", "the connection was closed before the reply was complete"),
        (b"HTTP/1.1 200 OK\r\nX", "the connection was closed before the reply was complete"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
            "the connection was closed before the reply was complete",
        ),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "the reply is not valid HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "the reply is not valid HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "the reply is not valid HTTP/1.1"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "the reply is not valid HTTP/1.1"),
    ],
)
def test_a_broken_reply_is_a_failure(reply, error):
    """In words of ours: nothing the receiver wrote is in the error."""
    answer, _ = post(reply)
    assert answer.error == error
    assert not answer.ok


def test_a_reset_connection():
    """The system's word for it, without paths or addresses."""

    async def reset(reader, writer):
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
        writer.transport.abort()

    answer, _ = post(reset)
    assert answer.error == "connection reset by peer"


def test_the_number_of_a_tls_error_is_not_the_systems():
    """OpenSSL's 8 is an end of file, the system's is "exec format error"."""
    error = httpcore.ConnectError()
    error.__cause__ = ssl.SSLEOFError(8, "EOF occurred in violation of protocol (_ssl.c:1006)")
    assert delivery._cause(error) == "the connection was closed"


def test_a_refused_connection():
    """Nobody listens on the port."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://hooks.test:{held.getsockname()[1]}/"
        answer = asyncio.run(sender().deliver(url, {}, BODY))
    assert answer == Answer(None, "connection refused", answer.duration_s, "")


def test_a_defect_is_an_answer_and_in_the_log(caplog):
    """The queue of deliveries goes on; the details are for the operator only."""

    async def broken(host, port):
        raise RuntimeError("at /srv/secret/path")

    answer = asyncio.run(sender(broken).deliver("http://hooks.test/", {}, BODY))
    assert answer.error == "internal error; the log of the server has the details"
    assert "/srv/secret/path" in caplog.text


def test_cancelling_goes_through_and_closes():
    """The service can stop while a receiver is slow."""

    async def run():
        async with Server(trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"x")) as server:
            task = asyncio.create_task(sender().deliver(server.url(), {}, BODY))
            while not server.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.ended()

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 2


def test_many_attempts_at_once():
    """One sender serves them all, and a slow receiver holds up only itself."""

    async def run():
        async with Server() as quick, Server(trickle(b"", b"")) as slow:
            one = sender(timeout_s=0.5)
            urls = [slow.url(), *[quick.url()] * 20]
            return await asyncio.gather(*(one.deliver(url, {}, BODY) for url in urls))

    first, *others = asyncio.run(run())
    assert first.error == "timed out after 0.5 s"
    assert all(answer.ok and answer.duration_s < first.duration_s for answer in others)
