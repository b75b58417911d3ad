"""The trust file: each field wrong in turn, and which key may be believed when."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from vectors import golden, golden_json

from signoff.record.canonical import dumps
from signoff.record.keys import PemSigner, generate_pem, key_id
from signoff.record.trust import Answer, Key, read_trust, speaks_for, valid_when_stored
from signoff.record.values import RecordError, parse, sha256

TRUST: dict[str, Any] = golden_json("trust.json")
CASES = yaml.safe_load((Path(__file__).parent / "cases" / "trust.yaml").read_text(encoding="utf-8"))


def named(case: dict[str, Any]) -> Any:
    return pytest.param(case, id=case.get("name") or f"{case['path']} {case['to']!s:.30}")


def put(value: Any, path: str, new: Any) -> None:
    *folders, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in folders:
        value = value[step]
    if new == "(absent)":
        del value[last]
    else:
        value[last] = new


def altered(path: str, new: Any) -> bytes:
    value = deepcopy(TRUST)
    put(value, path, new)
    return dumps(value)


@pytest.mark.parametrize("case", [named(case) for case in CASES["refused"]])
def test_a_trust_file_with_one_field_wrong_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(RecordError) as refused:
        read_trust(altered(case["path"], case["to"]))
    assert refused.value.where == case["where"]
    assert case["why"] in refused.value.what


@pytest.mark.parametrize("case", [named(case) for case in CASES["read"]])
def test_a_trust_file_with_one_field_otherwise_is_read(case: dict[str, Any]) -> None:
    assert read_trust(altered(case["path"], case["to"])).keys


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (golden("trust.json").replace(b'"version": 1', b'"version": 1, "version": 2'), "'version' stands twice"),
        (golden("trust.json").replace(b'"version": 1', b'"version": NaN'), "NaN is no JSON number"),
        (golden("trust.json")[:-10], "not strict JSON"),
        (b"\xef\xbb\xbf" + golden("trust.json"), "not strict JSON"),
        (b" " * (1024 * 1024 + 1), "are more than"),
        (b"[]", "should be an object"),
    ],
    ids=["a key twice", "NaN", "cut short", "byte order mark", "too large", "a list"],
)
def test_a_trust_file_that_is_no_strict_json_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(RecordError, match=why):
        read_trust(data)


def public(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[str, str]:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), sha256(der)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)], ids=["P-384", "RSA"])
def test_a_key_of_another_kind_is_refused(key: Any) -> None:
    value = deepcopy(TRUST)
    value["keys"][0]["publicKey"], value["keys"][0]["id"] = public(key)
    with pytest.raises(RecordError, match="not an ECDSA key on P-256"):
        read_trust(dumps(value))
    with pytest.raises(RecordError, match="not an ECDSA key on P-256"):
        PemSigner(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_a_key_has_one_use() -> None:
    value = deepcopy(TRUST)
    value["keys"].append({**value["keys"][0], "use": "event", "name": "the same again"})
    with pytest.raises(RecordError, match="a key stands twice"):
        read_trust(dumps(value))


def test_another_keys_id_is_refused() -> None:
    value = deepcopy(TRUST)
    value["keys"][0]["id"], value["keys"][1]["id"] = value["keys"][1]["id"], value["keys"][0]["id"]
    with pytest.raises(RecordError, match="id does not belong to publicKey, whose id is sha256:"):
        read_trust(dumps(value))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_record_error(data: bytes) -> None:
    with pytest.raises(RecordError):
        read_trust(data)


def test_publishers_are_compared_by_issuer_and_subject() -> None:
    trust = read_trust(golden("trust.json"))
    issuer, subject = "https://login.bank.example", "paula@bank.example"
    assert trust.publisher(issuer, subject, None) is Answer.YES
    for other in ((issuer, "Paula@bank.example"), (issuer + "/", subject), (subject, issuer), (issuer, ""), ("", subject)):
        assert trust.publisher(*other, None) is Answer.NO


def test_who_was_a_publisher_stays_the_publisher_of_what_they_published_then() -> None:
    value = deepcopy(TRUST)
    value["policies"]["publishers"][0] |= {"validFrom": "2026-01-01T00:00:00Z", "validUntil": "2026-06-01T00:00:00Z"}
    trust = read_trust(dumps(value))
    one = value["policies"]["publishers"][0]
    for month, answer in ((1, Answer.YES), (5, Answer.YES), (6, Answer.NO)):
        assert trust.publisher(one["issuer"], one["subject"], datetime(2026, month, 1, tzinfo=UTC)) is answer
    assert trust.publisher(one["issuer"], one["subject"], datetime(2025, 12, 31, tzinfo=UTC)) is Answer.NO
    assert trust.publisher(one["issuer"], one["subject"], None) is Answer.UNKNOWN


def key_with(**changes: Any) -> Key:
    signer = PemSigner(generate_pem())
    value = {**TRUST["keys"][0], "id": signer.key_id, "publicKey": signer.public_pem, **changes}
    return parse(Key, dumps({name: one for name, one in value.items() if one is not None}), "key")


@pytest.mark.parametrize("case", [named(case) for case in CASES["validity"]])
def test_a_key_is_judged_by_the_time_of_storage(case: dict[str, Any]) -> None:
    key = key_with(validUntil=case.get("until"), compromised={"at": case["compromised"]} if "compromised" in case else None)
    stored = datetime.strptime(case["stored"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if case["stored"] else None
    assert valid_when_stored(key, stored) is Answer[case["answer"]]


@pytest.mark.parametrize("case", [named(case) for case in CASES["targets"]])
def test_bypass_17_a_key_speaks_for_its_targets_alone(case: dict[str, Any]) -> None:
    key = key_with(targets={"environments": ["staging", "production"], "clusters": ["demo", "west"]})
    assert speaks_for(key, case["environment"], case["clusters"]) is case["speaks"]


def test_a_keys_id_is_the_digest_of_its_public_half() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem, digest = public(key)
    assert key_id(pem) == digest


def test_null_is_no_spelling_of_an_absent_field() -> None:
    value = deepcopy(TRUST)
    value["keys"][0]["validUntil"] = None
    with pytest.raises(RecordError, match="null says nothing"):
        read_trust(dumps(value))
