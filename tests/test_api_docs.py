"""The pages of the API's documentation come from here, whole."""

import base64
import hashlib
import re
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.docs_pages import add_docs

REFERENCE = re.compile(
    r"""(?:src|href|spec-url|data-url)="([^"]*)"|url\(["']?([^"')]*)|@import\s*["']([^"']*)"""
)


@pytest.fixture(scope="module")
def app():
    app = FastAPI(title="A <title> & more", docs_url=None, redoc_url=None)

    @app.get("/jobs")
    def jobs():
        return []

    add_docs(app)
    return app


@pytest.fixture(params=["", "/behind/proxy"])
def client(app, request):
    """The service by itself, and behind a proxy that serves it below a path."""
    root = request.param
    return TestClient(app, base_url=f"http://testserver{root}", root_path=root)


def references(text):
    """All addresses that a page or a stylesheet loads, other than those it contains itself."""
    found = ("".join(groups) for groups in REFERENCE.findall(text))
    return {address for address in found if not address.startswith("data:")}


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_page_loads_only_what_is_served_here(client, path):
    """Each reference is a path on this host, below the proxy's prefix, and answers 200."""
    page = client.get(path)
    root = client.base_url.path.rstrip("/")
    assert page.status_code == 200
    found = references(page.text)
    assert f"{root}/openapi.json" in found
    assert len(found) >= 2
    for address in found:
        assert address.startswith(f"{root}/")
        assert not address.startswith("//")
        assert client.get(address.removeprefix(root)).status_code == 200


def test_the_stylesheet_loads_nothing_from_elsewhere(client):
    """Its references are inside it or on this host."""
    stylesheet = client.get("/docs/assets/swagger-ui.css")
    for address in references(stylesheet.text):
        assert urljoin(str(stylesheet.url), address).startswith(str(client.base_url))


@pytest.mark.parametrize(
    "host", ["fonts.googleapis", "fonts.gstatic", "cdn.redoc", "cdn.jsdelivr", "unpkg.com"]
)
def test_the_scripts_know_no_content_network(client, host):
    """Neither fonts nor ReDoc's logo come from another host."""
    for path in ("/docs/assets/swagger-ui-bundle.js", "/redoc/redoc.standalone.js"):
        assert host not in client.get(path).text


def test_the_logo_is_where_redoc_looks(client):
    """Its build asks for it below the page's own path."""
    assert (
        'src:window.location.pathname+"/logo-mini.svg"'
        in client.get("/redoc/redoc.standalone.js").text
    )
    assert client.get("/redoc/logo-mini.svg").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_policy_lets_these_scripts_run_and_no_others(client, path):
    """Inline scripts are allowed by their digest; everything is from here."""
    page = client.get(path)
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in page.headers["content-security-policy"].split(";")
    )
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digests = {
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in inline
    }
    assert set(policy["script-src"].split()) == {"'self'", *digests}
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == policy["font-src"] == "'self'"
    assert not re.search(r"https?:|\*|unsafe-eval", str(policy))


def test_the_pages_are_safe_and_not_in_the_schema(client):
    """A title is text, not HTML, and the pages do not document themselves."""
    assert "<title>A &lt;title&gt; &amp; more</title>" in client.get("/docs").text
    assert list(client.get("/openapi.json").json()["paths"]) == ["/jobs"]


def test_assets_are_kept_and_asked_for_by_their_tag(client):
    """A browser that has an asset gets 304."""
    first = client.get("/redoc/redoc.standalone.js")
    again = client.get(
        "/redoc/redoc.standalone.js", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (first.headers["cache-control"], again.status_code) == ("no-cache", 304)


@pytest.mark.parametrize("path", ["/redoc/scripts.py", "/redoc/%2e%2e/%2e%2e/scripts.py"])
def test_only_assets_are_served(client, path):
    """The rest of the wheel is not."""
    assert client.get(path).status_code == 404
