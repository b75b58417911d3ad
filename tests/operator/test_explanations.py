"""Explanations fetched from a real HTTPS server: what works, and what is told of servers that misbehave."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signoff.operator.explanations import MAX_REDIRECTS, fetch
from tests.operator.fetching import REPORT, ConfigMaps, NoConfigMaps, claimed, get, refusal
from tests.operator.site import DOCUMENT, Site, plain, redirect, trickle, verbatim


def test_a_document_under_an_allowed_prefix_is_fetched(site: Site) -> None:
    fetched = fetch(claimed({"url": site.url()}).source, "credit", NoConfigMaps(), site.settings())
    assert (fetched.content, fetched.origin) == (DOCUMENT, site.url())
    assert site.paths == [REPORT]


def test_inline_and_config_maps_need_no_network(site: Site) -> None:
    settings = site.settings()
    inline = fetch(claimed({"inline": "wörtlich"}).source, "credit", NoConfigMaps(), settings)
    assert (inline.content, inline.origin) == ("wörtlich".encode(), "inline in the request")
    mapped = fetch(claimed({"configMap": {"name": "notes", "key": "a.html"}}).source, "credit", ConfigMaps(), settings)
    assert (mapped.content, mapped.origin) == (b"credit notes a.html", "ConfigMap credit/notes, key a.html")
    assert site.connections == 0


def test_chunks_of_any_size_and_a_query_are_fetched_as_they_are(site: Site) -> None:
    site.deeds[f"{REPORT}?version=2&x=a/../b"] = verbatim(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"1\r\nd\r\n", b"0\r\n\r\n"
    )
    assert get(site, site.url(f"{REPORT}?version=2&x=a/../b")) == b"abcd"


def test_redirects_within_the_prefix_are_followed_to_a_limit(site: Site) -> None:
    for number in range(MAX_REDIRECTS + 1):
        site.deeds[f"/models/{number}"] = redirect(f"/models/{number + 1}" if number % 2 else site.url(f"/models/{number + 1}"))
    site.deeds[f"/models/{MAX_REDIRECTS + 1}"] = plain()
    assert get(site, site.url("/models/1")) == DOCUMENT
    assert f"more than {MAX_REDIRECTS} redirects" in str(refusal(site, site.url("/models/0")))
    assert len(site.paths) == 2 * (MAX_REDIRECTS + 1)


def test_a_document_of_exactly_the_largest_size_is_fetched(site: Site) -> None:
    assert get(site, maxBytes=len(DOCUMENT)) == DOCUMENT
    assert "has more than" in str(refusal(site, maxBytes=len(DOCUMENT) - 1))


def test_an_authority_that_cannot_be_read_is_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "no.crt").write_text("no certificate")
    for path in (tmp_path / "absent.crt", tmp_path / "no.crt"):
        refused = refusal(site, ca=str(path))
        assert str(path) in str(refused)
        assert refused.again


# --- servers that misbehave -------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
MISBEHAVING = {
    "hangs up at once": verbatim(),
    "hangs up within the headers": verbatim(HEAD + b"Content-Length"),
    "promises more than it sends": verbatim(HEAD + b"Content-Length: 1000\r\n\r\n" + DOCUMENT),
    "ends within a chunk": verbatim(HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + DOCUMENT),
    "never sends the last chunk": verbatim(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    "a chunk of no size": verbatim(HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n"),
    "two lengths": verbatim(HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "a length below zero": verbatim(HEAD + b"Content-Length: -1\r\n\r\nabc"),
    "no HTTP": verbatim(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "headers without end": verbatim(HEAD, *[b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(300)]),
    "a status of its own": verbatim(b"HTTP/1.1 999 \r\n\r\n"),
    "an error": plain(b"oops", "500 Internal Server Error"),
    "away": plain(b"", "503 Service Unavailable"),
    "not found": plain(b"", "404 Not Found"),
    "not allowed": plain(DOCUMENT, "401 Unauthorized", 'WWW-Authenticate: Basic realm="x"'),
    "no content": plain(b"", "204 No Content"),
    "a part": plain(DOCUMENT, "206 Partial Content", "Content-Range: bytes 0-1/2"),
    "another protocol": verbatim(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
    "compressed": plain(gzip.compress(DOCUMENT), "200 OK", "Content-Encoding: gzip"),
    "compressed by zlib": plain(zlib.compress(DOCUMENT), "200 OK", "Content-Encoding: deflate"),
    "compressed twice": plain(DOCUMENT, "200 OK", "Content-Encoding: gzip, gzip"),
    "compressed by what nobody knows": plain(DOCUMENT, "200 OK", "Content-Encoding: x-zip"),
    "a bomb": plain(gzip.compress(b"0" * 50_000_000), "200 OK", "Content-Encoding: gzip"),
    "large, and says so": plain(b"x" * 2_000_000),
    "large, in chunks": verbatim(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 40),
    "large, until it hangs up": verbatim(HEAD + b"\r\n", *[b"x" * 65536] * 40),
}


@pytest.mark.parametrize("name", MISBEHAVING)
def test_bypass_12_a_server_that_misbehaves_is_told_and_nothing_is_taken_from_it(site: Site, name: str) -> None:
    site.deeds[REPORT] = MISBEHAVING[name]
    began = time.monotonic()
    refusal(site, maxBytes=1_000_000)
    assert time.monotonic() - began < 4


def test_what_may_pass_by_itself_is_tried_again_and_what_will_not_is_not(site: Site) -> None:
    again = {"hangs up at once", "an error", "away", "promises more than it sends"}
    for name in (*again, "not found", "not allowed", "compressed", "large, and says so"):
        site.deeds[REPORT] = MISBEHAVING[name]
        assert (name, refusal(site, maxBytes=1_000_000).again) == (name, name in again)
    assert refusal(site, site.url(host="reports.bank.example")).again, "a name that does not resolve"


def test_a_longer_body_than_promised_is_cut_where_it_was_promised(site: Site) -> None:
    site.deeds[REPORT] = verbatim(HEAD + b"Content-Length: 3\r\n\r\nabcdefgh")
    assert get(site) == b"abc"


TRICKLING = {
    "the handshake": None,
    "the headers": trickle(HEAD, b"X-A: b\r\n"),
    "one header": trickle(HEAD + b"X-A: ", b"b"),
    "the body": trickle(HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "chunks": trickle(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "interim answers": trickle(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize("name", TRICKLING)
def test_bypass_12_a_trickle_does_not_stretch_the_deadline(site: Site, name: str) -> None:
    began = time.monotonic()
    deed = TRICKLING[name]
    if deed is None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            site.port = silent.getsockname()[1]
            refused = refusal(site, timeoutSeconds=1)
    else:
        site.deeds[REPORT] = deed
        refused = refusal(site, timeoutSeconds=1)
    assert time.monotonic() - began < 2.5
    assert refused.again


def test_bypass_12_redirects_share_one_deadline(site: Site) -> None:
    def slowly(location: str) -> Callable[[Any], None]:
        def deed(send: Any) -> None:
            time.sleep(0.7)
            redirect(location)(send)

        return deed

    for number in range(MAX_REDIRECTS):
        site.deeds[f"/models/{number}"] = slowly(f"/models/{number + 1}")
    began = time.monotonic()
    assert "took more than 1 s" in str(refusal(site, site.url("/models/0"), timeoutSeconds=1))
    assert time.monotonic() - began < 2


def test_bypass_12_a_resolver_that_does_not_answer_is_left_behind(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(4))
    began = time.monotonic()
    assert "took more than 1 s" in str(refusal(site, timeoutSeconds=1))
    assert time.monotonic() - began < 2.5


def test_nobody_listens(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        site.port = gone.getsockname()[1]
    assert refusal(site).again


def test_whose_document_is_fetched_first_waits_for_no_library_to_be_loaded(site: Site) -> None:
    """The first fetch of a process took a fifth of a second more."""
    told = f"""
import sys
from signoff.config import ExplanationSettings
from signoff.operator import explanations, serve
before = set(sys.modules)
explanations.make_ready()
ready = set(sys.modules)
settings = ExplanationSettings.model_validate_json({site.settings().model_dump_json()!r})
explanations._get({site.url()!r}, settings)
late = [name for name in sys.modules.keys() - ready if not name.startswith("anyio.")]
print(len(ready - before), late)
"""
    loaded, late = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60).stdout.split(" ", 1)
    assert int(loaded) > 20, "without an address to fetch from none of this is loaded"
    assert late.strip() == "[]"
