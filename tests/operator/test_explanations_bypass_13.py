"""Class 13: a tenant's address, fetched with the controller's network or credentials.

Only what is allowed is reached, and nothing of the controller's goes along.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from signoff.operator.explanations import MAX_REDIRECTS, _may_reach
from signoff.record.values import RecordError
from tests.operator.fetching import REPORT, claimed, get, refusal
from tests.operator.site import DOCUMENT, Site, authority, plain, redirect, serving

METADATA = "169.254.169.254"

TRICKS = {
    "another host": "https://evil.example:{port}/models/report.html",
    "another port": "https://localhost:1/models/report.html",
    "no port": "https://localhost/models/report.html",
    "a longer port": "https://localhost:{port}1/models/report.html",
    "an IP address in place of the name": "https://127.0.0.1:{port}/models/report.html",
    "the prefix as user": "https://localhost:{port}@evil.example/models/report.html",
    "a user": "https://ana@localhost:{port}/models/report.html",
    "an empty user": "https://@localhost:{port}/models/report.html",
    "the prefix as user and password": "https://localhost:{port}%2Fmodels%2F@evil.example/",
    "the prefix as a subdomain": "https://localhost:{port}.evil.example/models/report.html",
    "a name that ends alike": "https://evil-localhost:{port}/models/report.html",
    "a trailing dot": "https://localhost.:{port}/models/report.html",
    "upper case": "https://LOCALHOST:{port}/models/report.html",
    "another path": "https://localhost:{port}/other/report.html",
    "a path that begins alike": "https://localhost:{port}/modelsx/report.html",
    "the prefix without its slash": "https://localhost:{port}/models",
    "two slashes": "https://localhost:{port}//models/report.html",
    "an upward step": "https://localhost:{port}/models/../secret",
    "an upward step at the end": "https://localhost:{port}/models/..",
    "a step in place": "https://localhost:{port}/models/./report.html",
    "an encoded upward step": "https://localhost:{port}/models/%2e%2e/secret",
    "a half-encoded upward step": "https://localhost:{port}/models/.%2E/secret",
    "an upward step encoded twice": "https://localhost:{port}/models/%252e%252e/secret",
    "an upward step with an encoded slash": "https://localhost:{port}/models/..%2fsecret",
    "an upward step between encoded slashes": "https://localhost:{port}/models/x%2f..%2f..%2fsecret",
    "an upward step with a parameter": "https://localhost:{port}/models/..;a=b/secret",
    "an upward step with a backslash": "https://localhost:{port}/models/..\\secret",
    "an upward step with an encoded backslash": "https://localhost:{port}/models/..%5csecret",
    "a backslash before another host": "https://localhost:{port}\\@evil.example/models/",
    "a fragment": "https://localhost:{port}/models/report.html#/../../",
    "an empty bracket": "https://[/models/report.html",
    "half a bracket": "https://localhost]:{port}/models/report.html",
    "a bracket that holds no address": "https://[localhost]:{port}/models/report.html",
    "a port of letters": "https://localhost:port/models/report.html",
    "a decimal address": "https://2130706433:{port}/models/report.html",
    "an octal address": "https://0177.0.0.1:{port}/models/report.html",
    "a hexadecimal address": "https://0x7f000001:{port}/models/report.html",
    "a short address": "https://127.1:{port}/models/report.html",
    "the metadata service": "https://169.254.169.254/latest/meta-data/",
    "the API server": "https://kubernetes.default.svc/models/report.html",
    "nothing but a scheme": "https://x",
    "angle brackets": "https://localhost:{port}/models/<script>",
}


@pytest.mark.parametrize("name", TRICKS)
def test_bypass_13_only_the_very_prefix_opens(site: Site, resolved: Callable[..., list[str]], name: str) -> None:
    lookups = resolved({})
    refused = refusal(site, TRICKS[name].format(port=site.port))
    assert not refused.again
    assert (lookups, site.connections) == ([], 0)


NO_HTTPS = (
    "http://localhost/models/a|file:///etc/passwd|https://a b/|https://localhost/ä|https://|//localhost/|HTTPS://localhost/|gopher://x/"
)


@pytest.mark.parametrize("url", NO_HTTPS.split("|"))
def test_bypass_13_a_request_names_https_addresses_alone(url: str) -> None:
    with pytest.raises(RecordError, match=r"spec\.explanation\.source"):
        claimed({"url": url})


def test_bypass_13_without_sources_nothing_is_fetched(site: Site) -> None:
    assert "allowed: none" in str(refusal(site, sources=[]))


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/models/report.html",
        "http://localhost:{port}/models/plain.html",
        "//evil.example/models/report.html",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.96.0.1/api/v1/secrets",
        "https://[::ffff:169.254.169.254]/",
        "https://[::1]:{port}/models/secret",
        "https://127.0.0.1:{port}/models/secret",
        "https://2852039166/latest/meta-data/",
        "https://localhost:{port}@evil.example/",
        "https://user:password@localhost:{port}/models/secret",
        "../secret",
        "/secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "/models/..\\secret",
        "file:///etc/passwd",
        "ftp://localhost/models/x",
        "data:text/html,hello",
        "https://[",
        "https://localhost:{port}/models/secret#x",
        "\x01https://localhost:{port}/models/secret",
        "\xe4\xf6",
    ],
)
def test_bypass_13_a_redirect_is_held_to_the_same_rules(site: Site, resolved: Callable[..., list[str]], location: str) -> None:
    lookups = resolved({"localhost": ["127.0.0.1"]})
    site.deeds |= dict.fromkeys(("/secret", "/models/secret", "/models/plain.html", "/models/..%2fsecret"), plain(b"secret"))
    site.deeds[REPORT] = lambda send: send(
        f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location.format(port=site.port)}\r\n\r\n".encode("latin-1")
    )
    refusal(site)
    assert site.paths == [REPORT]
    assert lookups == ["localhost"]


@pytest.mark.parametrize("status", ["301 Moved", "303 See Other", "307 Temporary", "308 Permanent"])
def test_bypass_13_a_redirect_of_whatever_kind_stays_within_the_prefix(site: Site, status: str) -> None:
    site.deeds[REPORT] = redirect(site.url("/models/next"), status)
    site.deeds["/models/next"] = plain()
    assert get(site) == DOCUMENT
    site.deeds[REPORT] = redirect(site.url("/secret"), status)
    site.deeds["/secret"] = plain(b"secret")
    refusal(site)
    assert "/secret" not in site.paths


def test_bypass_13_a_redirect_to_where_it_already_was_ends(site: Site) -> None:
    site.deeds[REPORT] = redirect(REPORT)
    site.deeds["/models/nowhere"] = plain(b"", "302 Found")
    site.deeds["/models/not-modified"] = plain(b"", "304 Not Modified")
    refusal(site)
    assert len(site.paths) == MAX_REDIRECTS + 1
    refusal(site, site.url("/models/nowhere"))
    refusal(site, site.url("/models/not-modified"))
    assert len(site.paths) <= 3 * (MAX_REDIRECTS + 1)


NEVER = {
    "link-local": METADATA,
    "link-local of IPv6": "fe80::1",
    "link-local, mapped": f"::ffff:{METADATA}",
    "link-local, by NAT64": f"64:ff9b::{METADATA}",
    "link-local, by 6to4": "2002:a9fe:a9fe::1",
    "link-local, IPv4-compatible": f"::{METADATA}",
    "unspecified": "0.0.0.0",  # noqa: S104
    "unspecified of IPv6": "::",
    "multicast": "224.0.0.1",
    "multicast of IPv6": "ff02::1",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "site-local": "fec0::1",
}
UNLESS_OPENED = {
    "loopback": "127.0.0.1",
    "loopback of IPv6": "::1",
    "loopback, mapped": "::ffff:127.0.0.1",
    "loopback, by 6to4": "2002:7f00:1::",
    "loopback, by NAT64": "64:ff9b::127.0.0.1",
    "private": "10.1.2.3",
    "private too": "192.168.0.1",
    "private of IPv6": "fd00:ec2::254",
    "shared": "100.64.0.1",
    "documentation": "203.0.113.7",
}
CLUSTER = {
    "a Service": "10.96.0.1",
    "a Service, mapped": "::ffff:10.96.0.1",
    "a Service, by NAT64": "64:ff9b::10.96.0.1",
    "a public one": "8.8.8.8",
}


@pytest.mark.parametrize("name", [*NEVER, *UNLESS_OPENED])
def test_bypass_13_an_allowed_name_does_not_lead_inside(site: Site, resolved: Callable[..., list[str]], name: str) -> None:
    resolved({"localhost": [(NEVER | UNLESS_OPENED)[name]]})
    assert "leads to an address that explanations are not fetched from" in str(refusal(site, addresses=()))
    assert site.connections == 0


@pytest.mark.parametrize("name", NEVER)
def test_bypass_13_some_addresses_no_configuration_opens(site: Site, resolved: Callable[..., list[str]], name: str) -> None:
    resolved({"localhost": [NEVER[name]]})
    assert "leads to an address" in str(refusal(site, addresses=("0.0.0.0/0", "::/0")))


@pytest.mark.parametrize("name", CLUSTER)
def test_bypass_13_the_clusters_own_networks_are_never_reached(site: Site, resolved: Callable[..., list[str]], name: str) -> None:
    resolved({"localhost": [CLUSTER[name]]})
    changed = {"addresses": ("0.0.0.0/0", "::/0"), "clusterAddresses": ["10.96.0.0/12", "8.8.0.0/16", "fd00::/8"]}
    assert "leads to an address" in str(refusal(site, **changed))


def test_bypass_13_of_several_addresses_only_those_that_may_be_reached_are(site: Site, resolved: Callable[..., list[str]]) -> None:
    resolved({"localhost": [f"{METADATA} 10.96.0.1 127.0.0.1"]})
    assert get(site) == DOCUMENT
    assert site.connections == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::"])
def test_an_address_that_carries_an_opened_one_is_opened_with_it(site: Site, address: str) -> None:
    # Not by fetching: where the tests run there may be no route to such an address.
    settings = site.settings()
    assert _may_reach(ip_address(address), settings.sources[0], settings)


def test_bypass_13_a_name_is_looked_up_once_and_the_connection_goes_there(site: Site, resolved: Callable[..., list[str]]) -> None:
    lookups = resolved({"reports.bank.example": ["127.0.0.1", METADATA]})
    assert get(site, site.url(host="reports.bank.example")) == DOCUMENT
    assert lookups == ["reports.bank.example"]


def test_bypass_13_a_name_rebound_between_redirects_is_checked_again(site: Site, resolved: Callable[..., list[str]]) -> None:
    lookups = resolved({"localhost": ["127.0.0.1", METADATA]})
    site.deeds[REPORT] = redirect("/models/next")
    assert "leads to an address" in str(refusal(site))
    assert lookups == ["localhost", "localhost"]
    assert site.paths == [REPORT]


def test_bypass_13_none_of_the_controllers_credentials_go_along(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login operator password hunter2\ndefault login operator password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.2)
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://operator:hunter2@127.0.0.1:{proxy.getsockname()[1]}")
        site.deeds[REPORT] = lambda send: send(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nSet-Cookie: session=1\r\nLocation: /models/next\r\n\r\n"
        )
        site.deeds["/models/next"] = plain()
        assert get(site) == DOCUMENT
        with pytest.raises(TimeoutError):
            proxy.accept()
    assert len(site.requests) == 2
    for request in site.requests:
        sent = {line.partition(":")[0].lower() for line in request.split("\r\n")[1:] if line}
        assert sent <= {"host", "accept", "accept-encoding", "user-agent", "connection"}
        assert "accept-encoding: identity" in request.lower()
        assert f"host: localhost:{site.port}\r\n" in request.lower()
        assert "hunter2" not in request


@pytest.mark.parametrize(
    "served", [["other.bank.example"], ["127.0.0.1"], ["*.localhost"]], ids=["another name", "the address", "a name below"]
)
def test_bypass_13_the_certificate_must_be_of_the_name(tmp_path: Path, served: list[str]) -> None:
    own = authority(tmp_path)
    with serving(own, own.serving("site", served)) as site:
        site.deeds[REPORT] = plain()
        assert "certificate" in str(refusal(site)).lower()
        assert site.requests == []


def test_bypass_13_the_certificate_must_be_of_the_configured_authority(tmp_path: Path) -> None:
    own, other = authority(tmp_path), authority(tmp_path, "other")
    with serving(own, other.serving("site", ["localhost"])) as site:
        site.deeds[REPORT] = plain()
        assert "certificate" in str(refusal(site)).lower()
        assert site.requests == []
    with serving(own, own.serving("site", ["localhost"])) as site:
        site.deeds[REPORT] = plain()
        assert "certificate" in str(refusal(site, ca=None)).lower()
