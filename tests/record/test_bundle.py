"""A bundle is of exactly our shape or it is refused, and an altered one is never believed."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import STATEMENTS, bundle, golden, outcome, policies, statement, trust
from world import SPEC, World

from signoff.record.bundle import (
    BUNDLE_TYPE,
    MAX_BUNDLE,
    PAYLOAD_TYPE,
    Bundle,
    Statement,
    Subject,
    open_bundle,
    read_bundle,
    read_statement,
    sign_bundle,
    statement_bytes,
)
from signoff.record.canonical import dumps
from signoff.record.freeze import read_freeze
from signoff.record.keys import PemSigner, generate_pem, verifies
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, PromotionStatement
from signoff.record.request import MAX_SPEC, read_spec
from signoff.record.seal import SealStatement
from signoff.record.values import MAX_VALUES, RecordError, sha256
from signoff.verify.verifier import Failed, verify

EVENT = bundle("promotion")
FREEZE = read_freeze(golden("freeze.json"))
Change = Callable[[dict[str, Any]], None]


def refused(data: bytes) -> RecordError:
    with pytest.raises(RecordError) as caught:
        read_bundle(data, "here")
    assert caught.value.where.startswith("here")
    return caught.value


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda one: one.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"), "here.mediaType"),
        (lambda one: one.pop("mediaType"), "here.mediaType"),
        (lambda one: one.update(extra=1), "here.extra"),
        (lambda one: one["verificationMaterial"].update(tlogEntries=[]), "here.verificationMaterial.tlogEntries"),
        (lambda one: one["verificationMaterial"].update(certificate={}), "here.verificationMaterial.certificate"),
        (lambda one: one["verificationMaterial"]["publicKey"].update(hint="x"), "here.verificationMaterial.publicKey.hint"),
        (lambda one: one["verificationMaterial"]["publicKey"].update(hint=None), "here.verificationMaterial.publicKey.hint"),
        (lambda one: one["dsseEnvelope"].update(payloadType="text/plain"), "here.dsseEnvelope.payloadType"),
        (lambda one: one["dsseEnvelope"].update(signatures=[]), "here.dsseEnvelope.signatures"),
        (lambda one: one["dsseEnvelope"]["signatures"].append(one["dsseEnvelope"]["signatures"][0]), "here.dsseEnvelope.signatures"),
        (lambda one: one["dsseEnvelope"]["signatures"][0].update(keyid="x"), "here.dsseEnvelope.signatures[0].keyid"),
        (lambda one: one["dsseEnvelope"].update(payload=""), "here.dsseEnvelope.payload"),
        (lambda one: one["dsseEnvelope"].update(payload="QR=="), "here.dsseEnvelope.payload"),
        (lambda one: one["dsseEnvelope"].update(payload=7), "here.dsseEnvelope.payload"),
        (lambda one: one["dsseEnvelope"].update(payload=b64encode(b"{").decode()), "here.statement"),
        (lambda one: one["dsseEnvelope"].update(payload=b64encode(b'{"a":1,"a":2}').decode()), "here.statement"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_a_bundle_of_another_shape_is_refused(change: Change, where: str) -> None:
    value = json.loads(EVENT)
    change(value)
    assert refused(dumps(value)).where == where


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_record_error(data: bytes) -> None:
    refused(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for step, child in steps for path in paths(child, (*at, step)))]


def put(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    if not path:
        return new
    parent = value
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = new
    return value


@given(st.data(), JSON)
def test_a_bundle_with_another_value_anywhere_raises_nothing_but_record_error(data: Any, new: object) -> None:
    whole = json.loads(EVENT)
    altered = put(whole, data.draw(st.sampled_from(paths(whole))), new)
    try:
        read = read_bundle(json.dumps(altered).encode(), "here")
    except RecordError:
        return
    assert altered["dsseEnvelope"]["payloadType"] == PAYLOAD_TYPE
    assert read.payload == b64decode(altered["dsseEnvelope"]["payload"])


def believed(data: bytes) -> bool:
    try:
        verified = verify(outcome(data, slot=FREEZE.id), trust(), policies())
    except (Failed, RecordError):
        return False
    assert verified.digest == sha256(statement("promotion"))  # what is believed is what was signed
    return True


def test_the_untouched_event_is_believed() -> None:
    assert believed(EVENT)


OUTSIDE_THE_PAYLOAD = [
    index for index in range(len(EVENT)) if not EVENT.index(b'"payload":"') + 30 < index < EVENT.index(b'","payloadType"') - 30
]


@settings(max_examples=400)
@given(st.sampled_from(OUTSIDE_THE_PAYLOAD) | st.integers(0, len(EVENT) - 1), st.integers(1, 255))
def test_an_event_with_any_one_byte_altered_is_not_believed(index: int, by: int) -> None:
    altered = bytearray(EVENT)
    altered[index] ^= by
    assert not believed(bytes(altered))


@settings(max_examples=150)
@given(st.integers(0, len(EVENT) - 1), st.integers(0, 40), st.binary(max_size=3))
def test_an_event_with_bytes_cut_out_or_put_in_is_not_believed(index: int, length: int, new: bytes) -> None:
    altered = EVENT[:index] + new + EVENT[index + length :]
    if altered != EVENT:
        stripped = b"".join(altered.split())
        assert stripped == EVENT or not believed(altered)


STATEMENT = json.loads(statement("promotion"))


@settings(max_examples=150)
@given(st.data(), JSON)
def test_an_event_that_was_signed_with_another_value_anywhere_is_not_believed(data: Any, new: object) -> None:
    """Even signed by the operator's own key: each field is fixed by the payload, the seals or the form."""
    whole = json.loads(json.dumps(STATEMENT))
    altered = put(whole, data.draw(st.sampled_from(paths(whole))), new)
    if altered == STATEMENT:
        return
    try:
        signed = sign_bundle(dumps(altered), PemSigner(golden("event.TEST-KEY.pem")))
    except RecordError:
        return
    assert not believed(signed)


def test_a_statement_of_another_type_is_refused_and_not_interpreted() -> None:
    assert read_statement(PromotionStatement, statement("promotion"), PROMOTION_TYPE, "here").predicateType == PROMOTION_TYPE
    with pytest.raises(RecordError, match=r"this is a https://signoff.dev/promotion/v1, not a https://signoff.dev/rejection/v1"):
        read_statement(PromotionStatement, statement("promotion"), REJECTION_TYPE, "here")


@pytest.mark.parametrize("name", [name for name in STATEMENTS if not name.startswith("seal.")])
def test_bypass_07_another_statement_is_no_seal(name: str) -> None:
    with pytest.raises(RecordError):
        read_statement(SealStatement, statement(name), "https://signoff.dev/seal/v1", "here")


def test_a_signature_covers_the_payload_its_length_and_its_type() -> None:
    signer = PemSigner(generate_pem())
    signature = signer.sign(b"DSSEv1 1 x 1 a")
    assert verifies(signer.public_pem, signature, b"DSSEv1 1 x 1 a")
    for data in (b"DSSEv1 1 x 1 b", b"a", b""):
        assert not verifies(signer.public_pem, signature, data)
    assert not verifies(signer.public_pem, b"no DER", b"DSSEv1 1 x 1 a")
    assert not verifies(PemSigner(generate_pem()).public_pem, signature, b"DSSEv1 1 x 1 a")


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(golden("seal.pub"), id="a public key"),
        pytest.param(golden("seal.TEST-KEY.pem")[:100], id="cut short"),
    ],
)
def test_what_is_no_private_key_is_refused_with_how_to_make_one(pem: bytes) -> None:
    with pytest.raises(RecordError, match="make one with") as caught:
        PemSigner(pem, "seal key")
    assert caught.value.where == "seal key"


def test_every_request_that_is_taken_fits_into_the_subjects_of_an_event() -> None:
    host, path = "registry." + "a" * 60 + ".example", "/".join(["p" * 60] * 6)
    repository = f"{host}/{path}"[: 512 - len("@sha256:") - 64]
    digest = sha256(b"image")
    spec = json.loads(golden("ids.json"))[1]["spec"]
    spec["model"]["image"] = f"{repository}@{digest}"
    spec["comparison"]["candidate"]["digest"] = digest
    assert read_spec(spec).model.repository == repository
    longest = Subject.of(f"{repository} ({'/'.join(['x' * 32] * 3)})", digest)
    data = statement_bytes("https://example.com/x", [longest], {})
    read = read_statement(Statement[dict[str, str]], data, "https://example.com/x", "here")  # type: ignore[type-var]
    assert read.subject == (longest,)


EMPTY_LISTS = b"[" + b"[]," * MAX_VALUES + b"[]]"


@pytest.mark.parametrize("read", [read_bundle, open_bundle])
@pytest.mark.parametrize(
    "data", [EMPTY_LISTS, b'{"mediaType":"' + BUNDLE_TYPE.encode() + b'","more":' + EMPTY_LISTS + b"}"], ids=["alone", "in a field"]
)
def test_bypass_12_a_bundle_of_too_many_values_is_refused_before_it_is_parsed(read: Callable[[bytes, str], Bundle], data: bytes) -> None:
    with pytest.raises(RecordError, match=f"more than the {MAX_VALUES} values allowed"):
        read(data, "here")


def test_bypass_12_so_is_a_statement_within_a_bundle() -> None:
    signed = sign_bundle(EMPTY_LISTS, PemSigner(generate_pem()))
    with pytest.raises(RecordError, match=f"more than the {MAX_VALUES} values allowed"):
        read_bundle(signed, "here")
    with pytest.raises(RecordError, match=f"more than the {MAX_VALUES} values allowed"):
        read_statement(PromotionStatement, open_bundle(signed, "here").payload, PROMOTION_TYPE, "here")


def test_the_largest_event_has_less_than_half_of_the_values_allowed(tmp_path: Path) -> None:
    """A spec of 96 KiB made of short facts, and as many approvers as an event holds, each in groups with names as of a directory."""
    world = World(tmp_path)
    spec = json.loads(json.dumps(SPEC))
    spec["materiality"] |= {f"{one:04x}": "1" for one in range((MAX_SPEC - len(dumps(spec)) - 100) // len('"ffff":"1",'))}
    frozen = world.freeze(spec)
    groups = [f"{one:04d},{'OU=bank-unit,' * 19}"[:240] for one in range(64)]

    def in_groups(value: dict[str, Any]) -> None:
        value["decided"]["groups"] = groups

    event = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze, change=in_groups)] * 64)
    payload = read_bundle(event, "here").payload
    assert len(read_statement(PromotionStatement, payload, PROMOTION_TYPE, "here").predicate.approver) == 64
    assert MAX_BUNDLE / 2 < len(event) <= MAX_BUNDLE
    assert sum(map(payload.count, (b",", b"[", b"{"))) < MAX_VALUES / 2
