"""Signatures: Wycheproof's vectors (C2SP), and what the second spelling of a signature may change, which is nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from vectors import bundle, outcome, policies, trust

from signoff.record.bundle import read_bundle
from signoff.record.canonical import dumps
from signoff.record.keys import PemSigner, generate_pem, verifies
from signoff.verify.verifier import verify

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order n of P-256's group (SEC 2, section 2.4.2)."""
VECTORS = json.loads((Path(__file__).parent / "wycheproof/ecdsa_secp256r1_sha256_test.json").read_text(encoding="utf-8"))
CASES = [(group["publicKeyPem"], case) for group in VECTORS["testGroups"] for case in group["tests"]]


def test_every_vector_is_asked_and_none_leaves_the_answer_open() -> None:
    assert len(CASES) == VECTORS["numberOfTests"] == 474
    assert {case["result"] for _, case in CASES} == {"valid", "invalid"}


@pytest.mark.parametrize(("pem", "case"), CASES, ids=[f"{case['tcId']}: {case['comment']}" for _, case in CASES])
def test_wycheproof(pem: str, case: dict[str, Any]) -> None:
    signed = verifies(pem, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
    assert signed is (case["result"] == "valid"), case["flags"]


def mirrored(signature: bytes) -> bytes:
    """The other signature that anybody can make of a valid one: (r, n - s)."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, ORDER - s)


def test_a_signature_has_a_twin_and_no_further_spelling() -> None:
    signer = PemSigner(generate_pem())
    signature = signer.sign(b"what is said")
    twin = mirrored(signature)
    assert twin != signature
    assert verifies(signer.public_pem, twin, b"what is said")
    assert mirrored(twin) == signature
    r, s = decode_dss_signature(signature)
    for other in (signature + b"\0", b"\x30\x81" + signature[1:], encode_dss_signature(r, s + ORDER), encode_dss_signature(r + ORDER, s)):
        assert not verifies(signer.public_pem, other, b"what is said")


def test_an_event_under_the_twin_of_its_signature_is_the_same_event() -> None:
    value = json.loads(bundle("promotion"))
    read = read_bundle(bundle("promotion"), "event")
    value["dsseEnvelope"]["signatures"][0]["sig"] = b64encode(mirrored(read.signature)).decode()
    altered = dumps(value)
    assert altered != bundle("promotion")
    one, other = (verify(outcome(each), trust(), policies()) for each in (bundle("promotion"), altered))
    assert (one.digest, one.payload, one.decisions) == (other.digest, other.payload, other.decisions)
