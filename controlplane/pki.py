"""The control plane's certificates: throw-away authorities, each trusted for one thing.

Rules:

1. `cluster` signs the API server's serving certificate and everybody's client certificates: CN is the user, each O a group.
2. `webhook-client` signs one certificate, with which the API server shows itself to webhooks. Who trusts this authority
   trusts the API server and nobody else: a client certificate of the cluster does not open that door.
3. `webhook-serving` signs the serving certificates of webhooks outside the cluster; its certificate is their `caBundle`.
4. `etcd` signs etcd's certificate and the API server's towards it, so that nobody reads or writes past the API server.
5. Keys are ECDSA P-256, valid for a week, readable by their owner alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

VALID_FOR = timedelta(days=7)
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority whose files lie in a folder of its own, with its certificate in `ca.crt`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"signoff demo {name} authority")
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.path = folder / "ca.crt"
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def client(self, name: str, groups: Sequence[str] = ()) -> Certificate:
        """A client certificate with CN `name` and one O per group.

        Its files are named after both, with a digest: two identities never share a file, nor does one take a server's.
        """
        digest = hashlib.sha256(json.dumps([name, *groups]).encode()).hexdigest()
        return self._issue(f"{name}-{digest[:8]}", _name(name, groups), [ExtendedKeyUsageOID.CLIENT_AUTH], ())

    def serving(self, name: str, hosts: Sequence[str], *, client_too: bool = False) -> Certificate:
        """A serving certificate for `hosts` (DNS names and IP addresses); `client_too` lets it act as a client as well."""
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] + ([ExtendedKeyUsageOID.CLIENT_AUTH] if client_too else [])
        return self._issue(name, _name(name), usages, hosts)

    def _issue(self, stem: str, subject: x509.Name, usages: list[x509.ObjectIdentifier], hosts: Sequence[str]) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._name, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        files = Certificate(self.folder / f"{_stem(stem)}.crt", self.folder / f"{_stem(stem)}.key")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(files.key, key)
        return files


def signing_key_pair(folder: Path) -> tuple[Path, Path]:
    """A key pair for ServiceAccount tokens: paths of the private and of the public key."""
    folder.mkdir(parents=True, exist_ok=True)
    private, public = folder / "service-accounts.key", folder / "service-accounts.pub"
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(private, key)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return private, public


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, groups: Sequence[str] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _stem(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-._@" else "-" for letter in name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(pem)
