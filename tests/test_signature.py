"""Signatures of webhooks: published vectors, the reference library, and what must not verify."""

import base64
import doctest
import hashlib
import hmac
import json
import time

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from openforge import signature
from openforge.signature import headers, standard_key, verify

# svix/svix-webhooks, go/webhook_test.go, TestWebhookSign; the libraries of standard-webhooks use it
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIME = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def check(secret=SECRET, body=BODY, *, now=TIME, drop=(), **changed):
    """`verify` for the published message, with parts of it changed."""
    sent = headers(SECRET, ID, TIME, BODY)
    sent |= {name.replace("_", "-"): value for name, value in changed.items()}
    sent = {name: value for name, value in sent.items() if name not in drop}
    return verify(secret, sent, body, now=lambda: now)


def test_examples_in_the_docstrings():
    """What the docstrings show is what happens."""
    assert doctest.testmod(signature).failed == 0


def test_the_vector_of_standard_webhooks():
    """Id, timestamp and signature are those that were published."""
    sent = headers(SECRET, ID, TIME, BODY)
    assert sent["webhook-id"] == ID
    assert sent["webhook-timestamp"] == "1614265330"
    assert sent["webhook-signature"] == SIGNATURE


def test_the_vector_of_github():
    """X-OpenForge-Signature is made as GitHub's X-Hub-Signature-256 ("Validating deliveries")."""
    sent = headers("It's a Secret to Everybody", "evt_1", 1, b"Hello, World!")
    assert sent["X-OpenForge-Signature"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_the_prefix_is_part_of_the_plain_key():
    """The contract's header takes the secret as it was given; only the standard one decodes."""
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert headers(SECRET, ID, TIME, BODY)["X-OpenForge-Signature"] == f"sha256={expected}"


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_a2V5", b"key"),
        ("whsec_a2V5cw==", b"keys"),
        ("whsec_a2V5cw", b"keys"),
        ("whsec_/+8=", b"\xff\xef"),
        ("a2V5", b"a2V5"),
        ("WHSEC_a2V5", b"WHSEC_a2V5"),
        ("whsec_", b"whsec_"),
        ("whsec_a", b"whsec_a"),
        ("whsec_a2 V5", b"whsec_a2 V5"),
        ("whsec_a2-_", b"whsec_a2-_"),
        ("whsec_pässword", "whsec_pässword".encode()),
        ("pässword", "pässword".encode()),
    ],
)
def test_the_key_of_the_standard_signature(secret, key):
    """Base64 after whsec_, and in every other case the bytes of the secret itself."""
    assert standard_key(secret) == key


@pytest.mark.parametrize(
    ("secret", "theirs"),
    [
        (SECRET, SECRET),
        (SECRET, SECRET.removeprefix("whsec_")),
        ("whsec_a2V5cw", "whsec_a2V5cw"),
        ("plain secret", base64.b64encode(b"plain secret").decode()),
        ("plain secret", "whsec_" + base64.b64encode(b"plain secret").decode()),
        ("whsec_not base64", base64.b64encode(b"whsec_not base64").decode()),
        ("plain secret", b"plain secret"),
    ],
)
def test_the_reference_library_accepts_our_headers(secret, theirs):
    """Given the secret or the base64 of it, standardwebhooks verifies, and only this body."""
    body = json.dumps({"grün": 1}, ensure_ascii=False).encode()
    sent = headers(secret, "evt_1", int(time.time()), body)
    webhook = standardwebhooks.Webhook(theirs)
    assert webhook.verify(body, sent) == {"grün": 1}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        webhook.verify(body + b" ", sent)


@given(st.binary(min_size=1), st.binary())
def test_what_was_signed_verifies(key, body):
    """For every key and body."""
    secret = "whsec_" + base64.b64encode(key).decode()
    assert verify(secret, headers(secret, "evt_1", TIME, body), body, now=lambda: TIME)


def test_verify_accepts_the_published_message():
    """Also with header names in another case, and one signature among several."""
    assert check()
    shouted = {name.upper(): value for name, value in headers(SECRET, ID, TIME, BODY).items()}
    assert verify(SECRET, shouted, BODY, now=lambda: TIME)
    assert check(webhook_signature=f"v1a,xyz v1,AAAA {SIGNATURE}")


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"},
        {"secret": ""},
        {"body": BODY + b" "},
        {"body": b""},
        {"webhook_id": "msg_other"},
        {"webhook_id": ""},
        {"webhook_timestamp": str(TIME + 1)},
        {"webhook_timestamp": f" {TIME}"},
        {"webhook_timestamp": f"{TIME}.0"},
        {"webhook_timestamp": "NaN"},
        {"webhook_timestamp": "٣"},
        {"webhook_timestamp": "9" * 5000},
        {"webhook_signature": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": SIGNATURE.removeprefix("v1,")},
        {"webhook_signature": SIGNATURE.replace("v1", "v2")},
        {"webhook_signature": SIGNATURE[:-2]},
        {"webhook_signature": "v1,gÜ \udcff"},
        {"drop": ("webhook-id",)},
        {"drop": ("webhook-timestamp",)},
        {"drop": ("webhook-signature",)},
        {"drop": ("webhook-id", "webhook-timestamp", "webhook-signature")},
    ],
)
def test_verify_refuses(change):
    """Whatever differs from what was signed; also a message with X-OpenForge-Signature only."""
    assert not check(**change)


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp"),
    [
        ("", "evt_1", str(TIME)),
        ("s", "", str(TIME)),
        ("s", "evt_1.1", str(TIME)),
        ("s", "evt_1", f"{TIME}.0"),
        ("s", "evt_1", f"+{TIME}"),
        ("s", "evt_1", "".join(chr(0x660 + int(digit)) for digit in str(TIME))),
    ],
)
def test_verify_refuses_what_headers_would_not_make(secret, message_id, timestamp):
    """Though the signature is right: an empty secret, or a text with more than one reading."""
    text = f"{message_id}.{timestamp}.".encode() + BODY
    mac = base64.b64encode(hmac.digest(secret.encode(), text, "sha256")).decode()
    sent = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{mac}",
    }
    assert not verify(secret, sent, BODY, now=lambda: TIME)
    good = headers("s", "evt_1", TIME, BODY)
    assert verify("s", good, BODY, now=lambda: TIME)


@pytest.mark.parametrize(
    ("offset", "expected"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_verify_limits_the_age(offset, expected):
    """An old message, or one from the future, is not taken."""
    assert check(now=TIME + offset) is expected


def test_verify_reads_the_clock_by_default():
    """A message of 2021 is too old, one of now is not."""
    assert not verify(SECRET, headers(SECRET, ID, TIME, BODY), BODY)
    assert verify(SECRET, headers(SECRET, ID, int(time.time()), BODY), BODY)
    assert verify(SECRET, headers(SECRET, ID, TIME, BODY), BODY, tolerance_s=1e10)


def test_every_signature_is_compared_in_constant_time(monkeypatch):
    """Also those after a match."""
    compared = []
    real = hmac.compare_digest

    def spy(a, b):
        compared.append(b)
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert check(webhook_signature=f"{SIGNATURE} v1,AAAA")
    assert compared == [SIGNATURE.encode(), b"v1,AAAA"]


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp"),
    [
        ("", "evt_1", 1),
        ("s", "", 1),
        ("s", "evt.1", 1),
        ("s", "evt_1\r\nX: y", 1),
        ("s", "evt_1\n", 1),
        ("s", "é", 1),
        ("s", "e" * 257, 1),
        ("s", "evt_1", -1),
        ("s", "evt_1", 10**13),
    ],
)
def test_what_cannot_be_signed_safely_is_an_error(secret, message_id, timestamp):
    """An empty secret, an id that could end a header or shift what is signed, milliseconds."""
    with pytest.raises(ValueError, match="secret|message id|timestamp"):
        headers(secret, message_id, timestamp, b"{}")
