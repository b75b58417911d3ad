"""What admission signed is read again under the trust file, and what was forged, moved or ended is not believed."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import BEN, CARLA, PAULA, POLICY, SPEC, STORED, World, trusted_key

from signoff.decision.seals import CouldNotTell, Filed, NotBelieved, read_published, read_seal, read_submission
from signoff.errors import SignoffError
from signoff.record.bundle import read_bundle, sign_bundle
from signoff.record.canonical import b64encode, dumps
from signoff.record.keys import PemSigner
from signoff.record.promotion import SealedDecision
from signoff.record.request import Target, read_spec
from signoff.record.seal import SEAL_TYPE, SUBMISSION_TYPE
from signoff.record.trust import Trust
from signoff.record.values import RecordError, sha256

TARGET = read_spec(SPEC).target
Change = Callable[[dict[str, Any]], object]


def decided(world: World, **changes: Any) -> SealedDecision:
    frozen = world.freeze()
    return world.seal(frozen.payload, frozen.freeze, **changes)


def submitted(world: World) -> bytes:
    return b64decode(world.submit().bundle)


def read(
    world: World, bundle: bytes, *, trust: Trust | None = None, target: Target = TARGET, stored: datetime | None = STORED
) -> SealedDecision:
    return read_seal(Filed(bundle, stored), trust or world.trust, target)


def signed_again(bundle: bytes, signer: PemSigner, change: Change = lambda _: None) -> bytes:
    statement = json.loads(read_bundle(bundle, "bundle").payload)
    change(statement)
    return sign_bundle(dumps(statement), signer)


def not_believed(world: World, bundle: bytes, why: str, **given: Any) -> None:
    with pytest.raises(SignoffError, match=why) as refused:
        read(world, bundle, **given)
    assert isinstance(refused.value, NotBelieved | RecordError)


def test_a_seal_is_read_as_it_was_made(world: World) -> None:
    sealed = decided(world)
    assert read(world, sealed.bundle) == sealed


def test_a_submission_is_read_as_it_was_made(world: World) -> None:
    found = read_submission(Filed(submitted(world), STORED), world.trust, TARGET)
    assert (found.principal, found.cluster) == (BEN, "demo")


def test_a_policy_is_read_as_it_was_published(world: World) -> None:
    digest = world.published.statement
    assert read_published(world.policies[digest], world.trust, TARGET, digest) == world.published


def test_bypass_18_a_seal_by_a_stranger(world: World) -> None:
    not_believed(world, decided(world, signer=world.stranger).bundle, "which the trust file does not name")


def test_bypass_18_a_seal_by_a_stranger_under_a_trusted_keys_name(world: World) -> None:
    bundle = json.loads(decided(world, signer=world.stranger).bundle)
    bundle["verificationMaterial"]["publicKey"]["hint"] = world.seal_key.key_id
    not_believed(world, dumps(bundle), "the signature does not verify under the key")


def test_a_seal_by_the_operators_key(world: World) -> None:
    not_believed(world, decided(world, signer=world.event_key).bundle, "is for event, not for seal")


def test_bypass_14_a_seal_with_another_person_put_in(world: World) -> None:
    bundle = json.loads(decided(world, by=BEN).bundle)
    statement = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    statement["predicate"]["decided"]["principal"] = json.loads(CARLA.model_dump_json())
    bundle["dsseEnvelope"]["payload"] = b64encode(dumps(statement))
    not_believed(world, dumps(bundle), "the signature does not verify")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: one["subject"].reverse(), "its subjects are not what it speaks of"),
        (lambda one: one["subject"].pop(), "its subjects are not what it speaks of"),
        (lambda one: one["subject"].append(one["subject"][0]), "its subjects are not what it speaks of"),
        (lambda one: one["subject"][0].update(name="frozen"), "its subjects are not what it speaks of"),
        (lambda one: one["subject"][0]["digest"].update(sha256="0" * 64), "its subjects are not what it speaks of"),
        (lambda one: one["predicate"].update(freeze=sha256(b"another")), "its subjects are not what it speaks of"),
        (lambda one: one["predicate"].update(rendition=sha256(b"another")), "its subjects are not what it speaks of"),
        (lambda one: one["predicate"].update(cluster="west"), "but the statement says west"),
        (lambda one: one["predicate"].update(note="x"), "this field is unknown"),
        (lambda one: one["predicate"]["decided"].update(verdict="Abstain"), "Input should be 'Approve' or 'Reject'"),
        (lambda one: one["predicate"]["decided"].update(roles=[]), "at least 1 item"),
        (lambda one: one["predicate"]["decided"]["principal"].update(subject=""), "at least 1 character"),
        (lambda one: one.update(predicateType=SUBMISSION_TYPE), "not a https://signoff.dev/seal/v1"),
        (lambda one: one.update(_type="https://in-toto.io/Statement/v0.1"), "Input should be"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_bypass_08_a_seal_that_speaks_of_something_else_is_not_believed_even_well_signed(world: World, change: Change, why: str) -> None:
    not_believed(world, signed_again(decided(world).bundle, world.seal_key, change), why)


def test_bypass_07_a_submission_or_a_policy_is_no_seal(world: World) -> None:
    for bundle in (submitted(world), world.policies[world.published.statement].bundle):
        not_believed(world, bundle, "this field is (missing|unknown)")
        not_believed(
            world, signed_again(bundle, world.seal_key, lambda one: one.update(predicateType=SEAL_TYPE)), "this field is (missing|unknown)"
        )


def test_bypass_17_a_seal_of_a_cluster_that_may_not_speak_for_the_target(world: World) -> None:
    elsewhere = [
        TARGET.model_copy(update={"environment": "staging"}),
        TARGET.model_copy(update={"clusters": ("demo", "west")}),
        TARGET.model_copy(update={"clusters": ("west",)}),
    ]
    for target in elsewhere:
        not_believed(world, decided(world).bundle, "may not speak for", target=target)


@pytest.mark.parametrize(
    ("changes", "stored", "answer"),
    [
        ({}, STORED, None),
        ({}, None, None),
        ({"validUntil": "2026-03-03T10:00:01Z"}, STORED, None),
        ({"validUntil": "2026-03-03T10:00:00Z"}, STORED, NotBelieved),
        ({"validFrom": "2026-03-03T10:00:01Z"}, STORED, NotBelieved),
        ({"compromised": {"at": "2026-03-01T00:00:00Z"}}, STORED, NotBelieved),
        ({"compromised": {"at": "2026-03-04T00:00:00Z"}}, STORED, None),
        ({"validUntil": "2030-01-01T00:00:00Z"}, None, CouldNotTell),
    ],
    ids=str,
)
def test_bypass_18_a_keys_validity_is_that_of_the_time_of_storage(
    world: World, changes: dict[str, Any], stored: datetime | None, answer: type[SignoffError] | None
) -> None:
    trust = world.trust_with(keys=[trusted_key(world.seal_key, "seal", **changes)])
    bundle = decided(world).bundle
    if answer is None:
        assert read(world, bundle, trust=trust, stored=stored).bundle == bundle
    else:
        with pytest.raises(answer):
            read(world, bundle, trust=trust, stored=stored)


def test_the_signers_own_clock_counts_for_nothing(world: World) -> None:
    trust = world.trust_with(keys=[trusted_key(world.seal_key, "seal", validUntil="2026-03-03T00:00:00Z")])
    early = decided(world, change=lambda seal: seal["decided"].update(time="2026-01-02T00:00:00Z")).bundle
    with pytest.raises(NotBelieved, match="was not valid when this was stored"):
        read(world, early, trust=trust, stored=datetime(2026, 3, 3, tzinfo=UTC) + timedelta(seconds=1))


def test_a_submission_moved_to_another_request(world: World) -> None:
    for change in (lambda one: one["predicate"].update(id="0" * 64), lambda one: one["subject"][0]["digest"].update(sha256="0" * 64)):
        with pytest.raises(NotBelieved, match="its subjects are not what it speaks of"):
            read_submission(Filed(signed_again(submitted(world), world.seal_key, change), STORED), world.trust, TARGET)


def publication(world: World, bundle: bytes, trust: Trust | None = None) -> None:
    read_published(Filed(bundle, STORED), trust or world.trust, TARGET, read_bundle(bundle, "policy").digest)


def test_bypass_14_a_policy_that_somebody_else_published(world: World) -> None:
    for who in (
        BEN,
        PAULA.model_copy(update={"issuer": "https://other.example"}),
        PAULA.model_copy(update={"subject": "Paula@bank.example"}),
    ):
        published = world.publish("mine", POLICY, by=who)
        with pytest.raises(NotBelieved, match="is no policy publisher in the trust file"):
            publication(world, world.policies[published.statement].bundle)


def test_a_policy_needs_two_where_the_trust_file_says_so(world: World) -> None:
    publishers = [{"issuer": PAULA.issuer, "subject": PAULA.subject}]
    trust = world.trust_with(policies={"publishers": publishers, "fourEyes": True})
    with pytest.raises(NotBelieved, match="asks for a second publisher's agreement"):
        publication(world, world.policies[world.published.statement].bundle, trust)


def test_a_policy_under_another_statements_digest(world: World) -> None:
    with pytest.raises(NotBelieved, match="this is not the statement"):
        read_published(world.policies[world.published.statement], world.trust, TARGET, sha256(b"another"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (dumps({**POLICY, "note": "x"}), "this field is unknown"),
        (json.dumps(POLICY, indent=1).encode(), "not in canonical form"),
        (b"not json", "not strict JSON"),
        (dumps({**POLICY, "models": []}), "at least 1 item"),
    ],
    ids=["an unknown field", "another spelling", "no JSON", "no models"],
)
def test_a_policy_whose_text_is_none_counts_for_nothing(world: World, content: bytes, why: str) -> None:
    def change(statement: dict[str, Any]) -> None:
        statement["predicate"]["content"] = b64encode(content)
        statement["subject"][0]["digest"]["sha256"] = sha256(content).removeprefix("sha256:")

    bundle = world.policies[world.published.statement].bundle
    with pytest.raises(RecordError, match=why):
        publication(world, signed_again(bundle, world.seal_key, change))


def test_a_policy_with_another_text_than_its_subject(world: World) -> None:
    bundle = world.policies[world.published.statement].bundle
    altered = signed_again(bundle, world.seal_key, lambda one: one["predicate"].update(content=b64encode(dumps({**POLICY, "note": "x"}))))
    with pytest.raises(NotBelieved, match="its subjects are not what it speaks of"):
        publication(world, altered)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, bytes]:
    world = World(tmp_path_factory.mktemp("shared") / "archive")
    return world, decided(world).bundle


@settings(max_examples=200)
@given(st.data())
def test_a_seal_with_any_one_byte_altered_is_not_believed(shared: tuple[World, bytes], data: Any) -> None:
    world, bundle = shared
    altered = bytearray(bundle)
    altered[data.draw(st.integers(0, len(bundle) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((NotBelieved, RecordError)):
        read(world, bytes(altered))


def test_a_seal_names_the_freeze_that_was_decided_on(world: World) -> None:
    frozen = world.freeze()
    assert read(world, world.seal(frozen.payload, frozen.freeze).bundle).seal.freeze == sha256(frozen.payload)
