"""Fetching the documents that the approver will see: the explanation, and the reports of checks.

1. Three sources: inline in the request, a ConfigMap in the promotion's own namespace, and an ``https://`` address under an allowed prefix.
2. A tenant names the address, so it is never trusted: only an allowed prefix, at each redirect again; only the public internet, or networks
   that the prefix opens by configuration; never loopback unless opened, never link-local, multicast, reserved or unspecified addresses,
   never the cluster's own. An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4) is judged as that.
3. The name is resolved once and the connection goes to the address that was checked (no second resolution for DNS rebinding to win).
4. None of the controller's credentials go along: no cookies, no proxies, no netrc, no client certificate.
5. Size, time and number of redirects are bounded; compressed bodies are not asked for.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Protocol
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httpx

from signoff.config import ExplanationSettings, ExplanationSource
from signoff.errors import SignoffError
from signoff.record.request import ExplanationSource as Source

EXPLANATION: Final = "spec.explanation.source"
MAX_REDIRECTS: Final = 3
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1


class CannotFetch(SignoffError):
    """The explanation could not be fetched. ``again`` says whether it is worth trying again soon."""

    def __init__(self, what: str, where: str = EXPLANATION, mend: str = "", *, again: bool = False) -> None:
        super().__init__(what, where, mend)
        self.again = again


class ConfigMaps(Protocol):
    """Reads a key of a ConfigMap."""

    def config_map_key(self, namespace: str, name: str, key: str) -> bytes:
        """Return the bytes; raises `CannotFetch`."""


@dataclass(frozen=True)
class Fetched:
    """The document's bytes, and where they came from, in words."""

    content: bytes
    origin: str


def make_ready() -> None:
    """Load what a fetch takes: a fifth of a second, for which the first request would wait."""
    import httpcore  # noqa: F401, PLC0415 - where no address is allowed the process does without it


def fetch(source: Source, namespace: str, config_maps: ConfigMaps, settings: ExplanationSettings, where: str = EXPLANATION) -> Fetched:
    """Return a document's bytes; `CannotFetch` says why there are none. Whether they are the right ones whoever freezes asks."""
    try:
        return _fetched(source, namespace, config_maps, settings)
    except CannotFetch as error:
        if error.where != EXPLANATION:
            raise
        raise CannotFetch(error.what, where, error.mend, again=error.again) from None


def _fetched(source: Source, namespace: str, config_maps: ConfigMaps, settings: ExplanationSettings) -> Fetched:
    if source.inline is not None:
        return Fetched(source.inline.encode(), "inline in the request")
    if source.configMap is not None:
        name, key = source.configMap.name, source.configMap.key
        content = config_maps.config_map_key(namespace, name, key)
        return Fetched(content, f"ConfigMap {namespace}/{name}, key {key}"[:256])
    url = source.url or ""
    return Fetched(_get(url, settings), url[:256])


def _get(url: str, settings: ExplanationSettings) -> bytes:
    try:
        return asyncio.run(_within(url, settings))
    except TimeoutError:
        raise CannotFetch(f"took more than {settings.timeoutSeconds} s", again=True) from None


async def _within(url: str, settings: ExplanationSettings) -> bytes:
    # One deadline over all of it, names, connections, headers and bodies: a server that trickles bytes cannot stretch it.
    async with asyncio.timeout(settings.timeoutSeconds):
        verify = _context(settings)
        for _ in range(MAX_REDIRECTS + 1):
            address = await _address(url, _allowed(url, settings.sources), settings)
            answer = await _one(url, address, verify, settings)
            if isinstance(answer, bytes):
                return answer
            url = _redirected(url, answer)
    raise CannotFetch(f"more than {MAX_REDIRECTS} redirects", mend="name the address of the document itself")


def _context(settings: ExplanationSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except OSError as error:  # no such file, or nothing in it that is a certificate
        raise CannotFetch(f"the CA cannot be read: {error}", where=str(settings.ca), mend="correct explanations.ca", again=True) from None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise CannotFetch(f"{url[:200]!r} is no address", mend="correct it") from None


def _redirected(url: str, location: str) -> str:
    _split(location)
    return urljoin(url, location)


def _allowed(url: str, sources: Sequence[ExplanationSource]) -> ExplanationSource:
    parts = _split(url)
    if parts.scheme != "https" or parts.username is not None or parts.password is not None or parts.fragment:
        raise CannotFetch(f"{url[:200]!r} is not a plain https:// address", mend="leave out user, password and fragment")
    if any(character <= " " or character in '\\"<>^`{|}' or character > "~" for character in url):
        raise CannotFetch(f"{url[:200]!r} holds characters that an address does not", mend="percent-encode them")
    if _climbs(parts.path):
        raise CannotFetch(f"{url[:200]!r} climbs out of its path", mend="name the address of the document itself")
    for source in sources:
        if url.startswith(source.prefix):
            return source
    known = ", ".join(source.prefix for source in sources) or "none"
    raise CannotFetch(
        f"{url[:200]!r} is under no allowed prefix (allowed: {known})",
        mend="use a ConfigMap, or ask whoever runs signoff to allow the prefix",
    )


def _climbs(path: str) -> bool:
    """Whether some server could read the path as one that leads upwards: encoded once or twice, or with parameters (``..;x``)."""
    plain = unquote(unquote(path)).replace("\\", "/")
    return any(segment.partition(";")[0] in {".", ".."} for segment in plain.split("/"))


async def _address(url: str, source: ExplanationSource, settings: ExplanationSettings) -> str:
    parts = _split(url)
    host = parts.hostname or ""
    # A thread of its own, left behind at the deadline: a resolver that does not answer cannot be interrupted.
    resolver = ThreadPoolExecutor(1)
    try:
        found = await asyncio.get_running_loop().run_in_executor(
            resolver, lambda: socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
        )
    except (OSError, ValueError) as error:
        raise CannotFetch(f"the name {host} does not resolve: {error}", again=True) from None
    finally:
        resolver.shutdown(wait=False)
    for entry in found:
        text = str(entry[4][0])
        if _may_reach(ip_address(text.partition("%")[0]), source, settings):
            return text
    raise CannotFetch(
        f"{host} leads to an address that explanations are not fetched from",
        mend="use a public address, or ask whoever runs signoff to open its network for this prefix",
    )


def _may_reach(address: IPv4Address | IPv6Address, source: ExplanationSource, settings: ExplanationSettings) -> bool:
    address = _carried(address)
    if address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        return False
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    if any(address in ip_network(network) for network in settings.clusterAddresses):
        return False
    return address.is_global or any(address in ip_network(network) for network in source.addresses)


def _carried(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


async def _one(url: str, address: str, verify: ssl.SSLContext, settings: ExplanationSettings) -> bytes | str:
    """Return the body, or the address that it redirects to."""
    parts = _split(url)
    headers = {"Host": parts.netloc, "Accept-Encoding": "identity", "User-Agent": "signoff"}
    extensions = {"sni_hostname": parts.hostname or ""}
    try:
        pinned = httpx.URL(url).copy_with(host=address)
        async with (
            httpx.AsyncClient(verify=verify, trust_env=False, follow_redirects=False, timeout=settings.timeoutSeconds) as client,
            client.stream("GET", pinned, headers=headers, extensions=extensions) as response,
        ):
            if response.is_redirect:
                return str(response.headers.get("location", ""))
            if response.status_code != 200:
                raise CannotFetch(f"{parts.netloc} answered {response.status_code}", again=response.status_code >= 500)
            return await _body(response, settings)
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise CannotFetch(f"{parts.netloc}: {type(error).__name__}: {error}"[:300], again=True) from None


async def _body(response: httpx.Response, settings: ExplanationSettings) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise CannotFetch("the body is compressed, though that was not asked for", mend="serve the document as it is")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > settings.maxBytes:
            raise CannotFetch(f"has more than {settings.maxBytes} bytes", mend="make the document smaller")
    return bytes(body)
