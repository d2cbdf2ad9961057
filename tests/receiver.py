"""A webhook receiver for tests: keeps what it gets, answers as it is told."""

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """`got` has headers (lower case) and raw body of each message; `status` is what is answered."""

    url: str = ""
    status: int = 204
    delay_s: float = 0.0
    got: list = field(default_factory=list)

    def bodies(self):
        """The messages, parsed, in order of arrival."""
        return [json.loads(body) for _, body in self.got]

    def wait(self, number, timeout_s=20.0):
        """All messages, as soon as there are `number`; fails when they do not come."""
        end = time.monotonic() + timeout_s
        while len(self.got) < number:
            assert time.monotonic() < end, f"{len(self.got)} of {number}: {self.bodies()}"
            time.sleep(0.02)
        return self.bodies()


@contextlib.contextmanager
def receiving(**options):
    """A receiver on a free loopback port."""
    receiver = Receiver(**options)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(receiver.delay_s)
            receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            with contextlib.suppress(OSError):  # the sender did not wait
                self.send_response(receiver.status)
                self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/openforge-events"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
