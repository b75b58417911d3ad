"""The envelope: an in-toto Statement in a DSSE envelope in a Sigstore bundle.

1. The signature covers the PAE, ``DSSEv1 len(type) type len(payload) payload`` (DSSE protocol, v1.0.2), and the payload stays opaque bytes.
2. A bundle holds exactly one signature (Sigstore bundle v0.3, ``dsse_envelope``) and names its key by ``publicKey.hint``.
3. A statement is named by the sha256 of its payload, everywhere: signatures differ from run to run, what is said does not.
4. What we read has exactly the shape that we write; anything else is refused, not interpreted.

Source: in-toto Attestation Framework, Statement v1; Sigstore protobuf-specs, bundle v0.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, Literal, Protocol, TypeVar

from pydantic import AfterValidator, Field, StringConstraints

from signoff.record.canonical import Json, b64decode, b64encode, dumps, loads, loads_unambiguous
from signoff.record.values import Base64, Closed, Digest, DigestField, RecordError, hex_of, parse, readable, sha256

BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
MAX_BUNDLE: Final = 4 * 1024 * 1024

# What stands before and behind the payload in the bytes of a bundle as we write it (JCS).
_HEAD: Final = b'{"dsseEnvelope":{"payload":"'
_TAIL: Final = re.compile(
    rb'","payloadType":"application/vnd[.]in-toto[+]json","signatures":\[[{]"sig":"([A-Za-z0-9+/]+={0,2})"[}]\][}],'
    rb'"mediaType":"application/vnd[.]dev[.]sigstore[.]bundle[.]v0[.]3[+]json",'
    rb'"verificationMaterial":[{]"publicKey":[{]"hint":"(sha256:[0-9a-f]{64})"[}][}][}]'
)


class Signer(Protocol):
    """Something that signs: a key in a file, or in a key service."""

    @property
    def key_id(self) -> Digest:
        """The digest of the public key (`keys.key_id`)."""

    @property
    def public_pem(self) -> str:
        """The public key as PEM (SubjectPublicKeyInfo)."""

    def sign(self, data: bytes) -> bytes:
        """Return the signature over ``data``: ECDSA on P-256 with SHA-256, DER (FIPS 186-5; RFC 3279, section 2.2.3).

        Raises `keys.CannotSign`, `keys.KeyOutOfReach` where there is none.
        """


class _Signature(Closed):
    sig: Base64


class _Envelope(Closed):
    payload: Base64
    payloadType: Literal["application/vnd.in-toto+json"]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]


class _PublicKey(Closed):
    hint: DigestField


class _Material(Closed):
    publicKey: _PublicKey


class _Bundle(Closed):
    mediaType: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verificationMaterial: _Material
    dsseEnvelope: _Envelope


# An image's repository and platform are longer than a line may be, and every request that is taken must fit into an event.
SubjectName = Annotated[str, StringConstraints(min_length=1, max_length=640, pattern=r"^[^\n\t]*$"), AfterValidator(readable)]


class SubjectDigest(Closed):
    """An in-toto digest set; ours name sha256 alone."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Subject(Closed):
    """What a statement speaks of, by name and digest."""

    name: SubjectName
    digest: SubjectDigest

    @classmethod
    def of(cls, name: str, digest: Digest) -> Subject:
        """Return the subject with this name and digest."""
        return cls(name=name, digest=SubjectDigest(sha256=hex_of(digest)))


Predicate = TypeVar("Predicate")


class Statement(Closed, Generic[Predicate]):
    """An in-toto Statement v1 with a predicate of ours. Its type is named ``_type`` on the wire."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=256)]
    predicateType: str
    predicate: Predicate


@dataclass(frozen=True)
class Bundle:
    """A bundle taken apart: the signed bytes, the one signature, and the key that it names."""

    payload: bytes
    signature: bytes
    key_id: Digest

    @property
    def digest(self) -> Digest:
        """The name of the statement (rule 3)."""
        return sha256(self.payload)


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the bytes that a DSSE signature covers (rule 1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def statement_bytes(predicate_type: str, subjects: Sequence[Subject], predicate: Json) -> bytes:
    """Return the bytes of a statement, ready to be signed."""
    return dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [subject.model_dump() for subject in subjects],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def sign_bundle(payload: bytes, signer: Signer) -> bytes:
    """Return the bundle over a statement's bytes, signed."""
    return dumps(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": signer.key_id}},
            "dsseEnvelope": {
                "payload": b64encode(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": b64encode(signer.sign(pae(payload)))}],
            },
        }
    )


def read_bundle(data: bytes, where: str) -> Bundle:
    """Return a bundle taken apart; `RecordError` where the bytes are not exactly of the shape that we write."""
    bundle = _as_written(data) or _held_to_form(data, where)
    loads_unambiguous(bundle.payload, f"{where}.statement", limit=MAX_BUNDLE)
    return bundle


def _held_to_form(data: bytes, where: str) -> Bundle:
    loads(data, where, limit=MAX_BUNDLE)
    return _taken_apart(parse(_Bundle, data, where), where)


def _as_written(data: bytes) -> Bundle | None:
    """Return a bundle whose bytes are those that `sign_bundle` writes, but for payload, signature and key: strict JSON of our shape.

    None says nothing: the schema decides then.
    """
    ends = data.find(b'"', len(_HEAD))
    if len(data) > MAX_BUNDLE or not data.startswith(_HEAD) or ends < 0:
        return None
    rest = _TAIL.fullmatch(data, ends)
    if rest is None or ends == len(_HEAD):
        return None
    try:
        payload = b64decode(data[len(_HEAD) : ends].decode("ascii"), "")
        return Bundle(payload, b64decode(rest[1].decode("ascii"), ""), Digest(rest[2].decode("ascii")))
    except (RecordError, UnicodeError):
        return None


def open_bundle(data: bytes, where: str) -> Bundle:
    """Return a bundle taken apart without holding it to its form; for the verifier, whose first rule does that."""
    if len(data) > MAX_BUNDLE:
        raise RecordError(f"{len(data)} bytes are more than the {MAX_BUNDLE} allowed", where=where, mend="send less")
    return _taken_apart(parse(_Bundle, data, where, unknown_fields="ignore"), where)


def _taken_apart(parsed: _Bundle, where: str) -> Bundle:
    envelope = parsed.dsseEnvelope
    return Bundle(
        payload=b64decode(envelope.payload, f"{where}.dsseEnvelope.payload"),
        signature=b64decode(envelope.signatures[0].sig, f"{where}.dsseEnvelope.signatures[0].sig"),
        key_id=parsed.verificationMaterial.publicKey.hint,
    )


Parsed = TypeVar("Parsed", bound=Closed)


def read_statement(model: type[Statement[Parsed]], payload: bytes, predicate_type: str, where: str) -> Statement[Parsed]:
    """Return a statement with a predicate of the type that is asked for; any other type is refused, not interpreted."""
    statement = parse(model, payload, where)
    if statement.predicateType != predicate_type:
        raise RecordError(f"this is a {statement.predicateType[:100]}, not a {predicate_type}", where=f"{where}.predicateType")
    return statement
