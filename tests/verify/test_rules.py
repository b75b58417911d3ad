"""Each rule of the verifier, by an outcome that breaks this rule and no other. Tests are named after their rule: ``make mutants`` switches
each rule off and expects the tests of its name to fail."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from authenticator import Authenticator, consenting, registered
from signing_in import CLIENT, ISSUER, Provider
from world import BEN, CARLA, DAVID, POLICY, SPEC, STORED, World, person, trusted_key

from signoff.decision.passkeys import challenge_of
from signoff.decision.seals import CouldNotTell, passkey_bundle
from signoff.record.canonical import dumps
from signoff.record.freeze import Freeze
from signoff.record.promotion import REJECTION_TYPE, SealedDecision
from signoff.record.request import read_spec
from signoff.record.trust import Trust
from signoff.record.values import Digest, RecordError, RequestId, parse, sha256
from signoff.verify import verifier
from signoff.verify.case import Outcome
from signoff.verify.verifier import Admission, Failed, Place, Question, admission, admits, verify

Change = Callable[[dict[str, Any]], None]


def rule_of(error: Failed) -> str:
    return error.rule.name


def refused(world: World, outcome: Outcome, trust: Trust | None = None) -> Failed:
    with pytest.raises(Failed) as caught:
        verify(outcome, trust or world.trust, world.policies)
    return caught.value


def good(world: World, **seal: Any) -> tuple[bytes, Freeze, list[SealedDecision]]:
    frozen = world.freeze()
    return frozen.payload, frozen.freeze, [world.seal(frozen.payload, frozen.freeze, **seal)]


def altered_payload(world: World, change: Change, *, by: Any = CARLA) -> tuple[bytes, list[SealedDecision]]:
    """Return a payload with a change, and a seal on it: what an operator that lies, and an approver who was shown the lie, would sign."""
    frozen = world.freeze()
    value = json.loads(frozen.payload)
    change(value)
    payload = dumps(value)
    return payload, [world.seal(payload, parse(Freeze, payload, "freeze", unknown_fields="ignore"), by)]


def test_an_event_that_keeps_all_rules_is_believed(world: World) -> None:
    payload, freeze, decisions = good(world)
    bundle = world.bundle(payload, decisions)
    verified = verify(world.outcome(bundle, freeze.id), world.trust, world.policies)
    assert verified.promotes
    assert verified.id == freeze.id
    assert verified.payload == payload
    assert [one.principal for one in verified.decisions] == [CARLA]
    assert verified.digest == sha256(b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))


# 1. form


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda text: text.replace('{"dsse', '{"dsseEnvelope":{},"dsse', 1), id="a key stands twice"),
        pytest.param(lambda text: text.replace('{"dsse', '{"tlogEntries":[],"dsse', 1), id="an unknown field"),
        pytest.param(lambda text: text[:-1] + ',"note":NaN}', id="NaN"),
    ],
)
def test_rule_01_form(world: World, alter: Callable[[str], str]) -> None:
    payload, freeze, decisions = good(world)
    bundle = alter(world.bundle(payload, decisions).decode()).encode()
    assert rule_of(refused(world, world.outcome(bundle, freeze.id))) == "form"


def test_rule_01_form_a_key_stands_twice_in_the_statement(world: World) -> None:
    payload, freeze, decisions = good(world)
    bundle = json.loads(world.bundle(payload, decisions))
    statement = b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'{"_type"', b'{"_type":"https://in-toto.io/Statement/v1","_type"', 1)
    from signoff.record.bundle import sign_bundle

    signed = sign_bundle(statement, world.event_key)
    assert rule_of(refused(world, world.outcome(signed, freeze.id))) == "form"


# 2. signature


def test_rule_02_signature_by_another_key_under_a_trusted_keys_name(world: World) -> None:
    payload, freeze, decisions = good(world)
    bundle = json.loads(world.bundle(payload, decisions, signer=world.stranger))
    bundle["verificationMaterial"]["publicKey"]["hint"] = world.event_key.key_id
    assert rule_of(refused(world, world.outcome(dumps(bundle), freeze.id))) == "signature"


def test_rule_02_signature_any_altered_byte_of_the_payload(world: World) -> None:
    payload, freeze, decisions = good(world)
    bundle = json.loads(world.bundle(payload, decisions))
    statement = bytearray(b64decode(bundle["dsseEnvelope"]["payload"]))
    at = statement.index(b"subject")
    statement[at] ^= 1
    bundle["dsseEnvelope"]["payload"] = b64encode(bytes(statement)).decode()
    assert rule_of(refused(world, world.outcome(dumps(bundle), freeze.id))) == "signature"


# 3. key


def keys_with(world: World, **changes: Any) -> Trust:
    return world.trust_with(keys=[trusted_key(world.seal_key, "seal"), trusted_key(world.event_key, "event", **changes)])


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"validUntil": "2026-03-03T10:00:00Z"}, id="ended when stored"),
        pytest.param({"validFrom": "2026-03-03T10:00:01Z"}, id="not yet valid when stored"),
        pytest.param({"compromised": {"at": "2026-03-03T09:59:59Z"}}, id="compromised before it was stored"),
        pytest.param({"cluster": "other"}, id="of another cluster"),
        pytest.param({"targets": {"environments": ["staging"], "clusters": ["demo"]}}, id="for another environment"),
        pytest.param({"targets": {"environments": ["production"], "clusters": ["other"]}}, id="for another target cluster"),
    ],
)
def test_rule_03_key(world: World, changes: dict[str, Any]) -> None:
    payload, freeze, decisions = good(world)
    outcome = world.outcome(world.bundle(payload, decisions), freeze.id)
    assert rule_of(refused(world, outcome, keys_with(world, **changes))) == "key"


def test_rule_03_key_of_another_use(world: World) -> None:
    payload, freeze, decisions = good(world)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions, signer=world.seal_key), freeze.id))) == "key"


def test_rule_03_key_what_a_key_signed_before_it_was_compromised_stays_valid(world: World) -> None:
    payload, freeze, decisions = good(world)
    outcome = world.outcome(world.bundle(payload, decisions), freeze.id)
    assert verify(outcome, keys_with(world, compromised={"at": "2026-03-03T10:00:01Z"}), world.policies).promotes


def test_rule_03_key_could_not_tell_without_the_time_of_storage(world: World) -> None:
    payload, freeze, decisions = good(world)
    outcome = world.outcome(world.bundle(payload, decisions), freeze.id, stored_at=None)
    assert verify(outcome, world.trust, world.policies).promotes
    with pytest.raises(CouldNotTell):
        verify(outcome, keys_with(world, validUntil="2030-01-01T00:00:00Z"), world.policies)


# 4. predicate


def test_rule_04_predicate(world: World) -> None:
    payload, freeze, _ = good(world)
    reject = [world.seal(payload, freeze, verdict="Reject")]
    bundle = world.bundle(payload, reject, kind="https://signoff.dev/other/v1")  # type: ignore[arg-type]
    assert rule_of(refused(world, world.outcome(bundle, freeze.id))) == "predicate"


# 5. schema


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda one: one["predicate"].update(note="a seventh field"), id="a seventh field"),
        pytest.param(lambda one: one["predicate"]["modelVersion"].update(note="x"), id="an unknown field in a field"),
        pytest.param(lambda one: one["predicate"]["approver"][0]["decided"].update(note="x"), id="an unknown field in an approver"),
        pytest.param(lambda one: one.update(note="x"), id="an unknown field of the statement"),
    ],
)
def test_rule_05_schema(world: World, change: Change) -> None:
    payload, freeze, decisions = good(world)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions, change=change), freeze.id))) == "schema"


def test_rule_05_schema_of_the_payload_too(world: World) -> None:
    payload, decisions = altered_payload(world, lambda value: value.update(note="x"))
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "schema"


# 6. payload


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda one: one["predicate"]["approvalRequest"].update(digest=sha256(b"other")), id="another digest beside it"),
        pytest.param(lambda one: one["subject"][0]["digest"].update(sha256="0" * 64), id="another image as subject"),
        pytest.param(lambda one: one["subject"].pop(), id="no approval request as subject"),
        pytest.param(lambda one: one["subject"].append(dict(one["subject"][0], name="another")), id="a further subject"),
    ],
)
def test_rule_06_payload(world: World, change: Change) -> None:
    payload, freeze, decisions = good(world)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions, change=change), freeze.id))) == "payload"


# 7. projections


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda one: one["modelVersion"].update(version="2.4.1"), id="model version"),
        pytest.param(lambda one: one["challengerComparison"]["candidate"]["metrics"][0].update(value="0.9999"), id="a better figure"),
        pytest.param(lambda one: one["explanationArtefact"].update(digest=sha256(b"another document")), id="another explanation"),
        pytest.param(lambda one: one["datasetReference"].pop(), id="a dataset left out"),
        pytest.param(lambda one: one["approver"][0]["decided"].update(comment="I looked very closely"), id="words put into a mouth"),
        pytest.param(lambda one: one["approver"][0]["decided"]["principal"].update(name="Somebody Else"), id="another printed name"),
    ],
)
def test_rule_07_projections(world: World, change: Change) -> None:
    payload, freeze, decisions = good(world)
    bundle = world.bundle(payload, decisions, change=lambda one: change(one["predicate"]))
    assert rule_of(refused(world, world.outcome(bundle, freeze.id))) == "projections"


def test_rule_07_projections_the_seals_lie_in_their_order(world: World) -> None:
    payload, freeze, _ = good(world)
    decisions = [world.seal(payload, freeze, by) for by in (CARLA, DAVID)]
    bundle = world.bundle(payload, decisions, change=lambda one: one["predicate"]["approver"].reverse())
    assert rule_of(refused(world, world.outcome(bundle, freeze.id))) == "projections"


# 8. identity


def test_rule_08_identity_under_another_key(world: World) -> None:
    payload, _, decisions = good(world)
    outcome = world.outcome(world.bundle(payload, decisions), RequestId("0" * 64))
    assert rule_of(refused(world, outcome)) == "identity"


def test_rule_08_identity_another_spec_under_the_same_id(world: World) -> None:
    payload, decisions = altered_payload(world, lambda value: value["request"]["spec"].update(reason="another reason"))
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "identity"


def test_rule_08_identity_another_id_beside_the_payload(world: World) -> None:
    payload, _, decisions = good(world)
    bundle = world.bundle(payload, decisions, change=lambda one: one["predicate"]["approvalRequest"].update(id="0" * 64))
    assert rule_of(refused(world, world.outcome(bundle))) == "identity"


# 9. submission


def test_rule_09_submission_by_somebody_else_than_admission_saw(world: World) -> None:
    def change(value: dict[str, Any]) -> None:
        value["submissions"][0]["principal"] = {"issuer": DAVID.issuer, "subject": DAVID.subject, "name": DAVID.name}

    payload, decisions = altered_payload(world, change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "submission"


def test_rule_09_submission_of_another_request(world: World) -> None:
    other = world.submit({**SPEC, "reason": "another request"})

    def change(value: dict[str, Any]) -> None:
        value["submissions"][0]["bundle"] = other.bundle

    payload, decisions = altered_payload(world, change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "submission"


def test_rule_09_submission_signed_by_the_operator(world: World) -> None:
    honest, world.seal_key = world.seal_key, world.event_key
    forged = world.submit(by=DAVID)
    world.seal_key = honest

    def change(value: dict[str, Any]) -> None:
        value["submissions"][0] = json.loads(forged.model_dump_json())

    payload, decisions = altered_payload(world, change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "submission"


# 10. seals


def test_rule_10_seals_signed_by_the_operator(world: World) -> None:
    payload, freeze, decisions = good(world, signer=world.event_key)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))) == "seals"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda seal: seal.update(freeze=sha256(b"another freeze")), id="on another freeze"),
        pytest.param(lambda seal: seal.update(id="0" * 64), id="on another request"),
        pytest.param(lambda seal: seal.update(rendition=sha256(b"another page")), id="on a rendition that is not of the freeze"),
        pytest.param(lambda seal: seal["decided"]["consent"].update(assurance="passkey"), id="another assurance than the route asks for"),
        pytest.param(
            lambda seal: seal["decided"]["consent"].update(proofs=[{"mediaType": "application/jwt", "content": "eA=="}]), id="a proof"
        ),
        pytest.param(
            lambda seal: seal["decided"].update(delegation=[{"digest": sha256(b"grant"), "bundle": "eA=="}]), id="a delegation that is none"
        ),
        pytest.param(lambda seal: seal["decided"].update(verdict="Reject"), id="a rejection in a promotion"),
    ],
)
def test_rule_10_seals(world: World, change: Change) -> None:
    payload, freeze, decisions = good(world, change=change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))) == "seals"


PROVIDER, KEY = Provider(), Authenticator()
SEALED_AT = datetime(2026, 3, 2, 10, 2, 51, tzinfo=UTC)


@pytest.mark.parametrize("of", [None, "verdict", "person", "verification", "registration"])
def test_rule_10_seals_by_a_passkey(world: World, of: str | None) -> None:
    """``of``: of what the passkey proves something else."""
    provider = {"issuer": ISSUER, "clients": [CLIENT], "subjectClaim": "email", "groupsClaim": "groups"}
    trust = world.trust_with(identityProviders=[provider])
    frozen = world.freeze()
    token = PROVIDER.token("carla", SEALED_AT - timedelta(days=1)) if of == "registration" else None
    owner = registered(KEY, PROVIDER, SEALED_AT - timedelta(days=1), token=token)
    decided = "Reject" if of == "verdict" else "Approve", DAVID if of == "person" else CARLA
    challenge = challenge_of(frozen.digest, frozen.freeze.renditions[0].digest, *decided)
    used = KEY.answer(KEY.client_data(challenge), KEY.data(flags=1 if of == "verification" else 5))
    consent = consenting(PROVIDER.token("carla", SEALED_AT), PROVIDER, passkey_bundle(owner, world.seal_key), used)
    sealed = world.seal(frozen.payload, frozen.freeze, change=lambda seal: seal["decided"].update(consent=consent))
    outcome = world.outcome(world.bundle(frozen.payload, [sealed]), frozen.freeze.id)
    if of is None:
        assert verify(outcome, trust, world.policies).promotes
    else:
        assert rule_of(refused(world, outcome, trust)) == "seals"


def test_rule_10_seals_of_a_cluster_that_may_not_speak_for_the_target(world: World) -> None:
    development = {"cluster": "dev", "targets": {"environments": ["development"], "clusters": ["dev"]}}
    trust = world.trust_with(
        keys=[
            trusted_key(world.seal_key, "seal"),
            trusted_key(world.event_key, "event"),
            trusted_key(world.stranger, "seal", **development),
        ]
    )
    payload, freeze, decisions = good(world, signer=world.stranger, change=lambda seal: seal.update(cluster="dev"))
    failure = refused(world, world.outcome(world.bundle(payload, decisions), freeze.id), trust)
    assert rule_of(failure) == "seals"
    assert "may not speak for production" in str(failure)


def in_the_name_of(grant: dict[str, str], **decided: Any) -> Change:
    return lambda seal: seal["decided"].update(delegation=[grant], **decided)


def test_rule_10_seals_in_somebodys_name_by_their_grant(world: World) -> None:
    payload, freeze, decisions = good(world, change=in_the_name_of(world.grant()))
    verified = verify(world.outcome(world.bundle(payload, decisions), freeze.id), world.trust, world.policies)
    assert [one.principal for one in verified.decisions] == [CARLA]


GRANTS: dict[str, tuple[dict[str, Any], str]] = {
    "to somebody else": ({"grantee": {"issuer": CARLA.issuer, "subject": "erik@bank.example"}}, "lets erik@bank.example decide"),
    "to somebody of another issuer": ({"grantee": {"issuer": "https://x", "subject": CARLA.subject}}, "lets carla@bank.example decide"),
    "for another model": ({"models": ["fraud-*", "credit"]}, "not for credit-scoring"),
    "for another tier": ({"tiers": ["tier-1"]}, "not for tier-2"),
    "that had not begun": ({"validFrom": "2026-03-02T10:02:52Z"}, "not at 2026-03-02T10:02:51Z"),
    "that was over": ({"validUntil": "2026-03-02T10:02:51Z"}, "not at 2026-03-02T10:02:51Z"),
    "of another cluster": ({"cluster": "west"}, "cluster"),
    "of somebody without the group": ({"groups": ["staff"]}, "was not in model-approvers"),
}


@pytest.mark.parametrize("name", GRANTS)
def test_rule_10_seals_by_a_grant(world: World, name: str) -> None:
    changes, why = GRANTS[name]
    payload, freeze, decisions = good(world, change=in_the_name_of(world.grant(**changes)))
    failed = refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))
    assert rule_of(failed) == "seals"
    assert why in str(failed)


@pytest.mark.parametrize("moment", ["2026-03-01T00:00:00Z", "2026-03-14T23:59:59Z"])
def test_rule_10_seals_by_a_grant_in_its_first_and_last_second(world: World, moment: str) -> None:
    payload, freeze, decisions = good(world, change=in_the_name_of(world.grant(), time=moment))
    assert verify(world.outcome(world.bundle(payload, decisions), freeze.id), world.trust, world.policies).promotes


def test_rule_10_seals_by_a_grant_under_a_foreign_key_another_digest_or_a_chain(world: World) -> None:
    foreign, by_operator = world.grant(signer=world.stranger), world.grant(signer=world.event_key)
    moved = {**world.grant(), "digest": world.grant(reason="another")["digest"]}
    for grant in (foreign, by_operator, moved):
        payload, freeze, decisions = good(world, change=in_the_name_of(grant))
        assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))) == "seals"
    chain = [world.grant(by=DAVID, to=person("erik")), world.grant(by=person("erik"), to=CARLA)]
    payload, freeze, decisions = good(world, change=lambda seal: seal["decided"].update(delegation=chain))
    failed = refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))
    assert "a grant is not passed on" in str(failed)


def test_rule_13_quorum_nobody_who_asked_lends_their_voice(world: World) -> None:
    for asker in (BEN, person("ana")):
        payload, freeze, decisions = good(world, change=in_the_name_of(world.grant(by=asker)))
        assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))) == "quorum"


def test_rule_13_quorum_nobodys_word_counts_twice(world: World) -> None:
    two = {**deepcopy(POLICY), "tiers": {"tier-2": {**POLICY["tiers"]["tier-2"], "quorum": 2}}}
    frozen = world.freeze(policies=(world.publish("credit-models", two),))
    erik = person("erik")
    own = world.seal(frozen.payload, frozen.freeze, DAVID)
    lent = world.seal(frozen.payload, frozen.freeze, CARLA, change=in_the_name_of(world.grant()))
    also = world.seal(frozen.payload, frozen.freeze, erik, change=in_the_name_of(world.grant(to=erik)))
    for pair in ([own, lent], [lent, also]):
        assert rule_of(refused(world, world.outcome(world.bundle(frozen.payload, pair), frozen.freeze.id))) == "quorum"
    other = world.seal(frozen.payload, frozen.freeze, erik)
    believed = verify(world.outcome(world.bundle(frozen.payload, [lent, other]), frozen.freeze.id), world.trust, world.policies)
    assert len(believed.decisions) == 2


# 11. policies


def test_rule_11_policies_published_by_nobody_the_trust_file_names(world: World) -> None:
    frozen = world.freeze(policies=(world.publish("credit-models", POLICY, by=BEN),))
    bundle = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)])
    assert rule_of(refused(world, world.outcome(bundle, frozen.freeze.id))) == "policies"


def test_rule_11_policies_that_the_operator_signed(world: World) -> None:
    frozen = world.freeze(policies=(world.publish("credit-models", POLICY, signer=world.event_key),))
    bundle = world.bundle(frozen.payload, [world.seal(frozen.payload, frozen.freeze)])
    assert rule_of(refused(world, world.outcome(bundle, frozen.freeze.id))) == "policies"


def test_rule_11_policies_under_another_name(world: World) -> None:
    def change(value: dict[str, Any]) -> None:
        value["route"]["considered"][0]["name"] = value["route"]["policy"] = "another"

    payload, decisions = altered_payload(world, change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "policies"


def test_rule_11_policies_could_not_tell_without_them(world: World) -> None:
    payload, freeze, decisions = good(world)
    with pytest.raises(CouldNotTell, match="is not at hand"):
        verify(world.outcome(world.bundle(payload, decisions), freeze.id), world.trust, {})


# 12. route


def weaker(value: dict[str, Any]) -> None:
    value["route"]["requirement"]["roles"][0]["groups"] = ["model-approvers", "everybody"]


def test_rule_12_route_asks_for_other_people_than_the_policy(world: World) -> None:
    payload, decisions = altered_payload(world, weaker)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "route"


def test_rule_12_route_by_a_rule_that_the_policy_does_not_have(world: World) -> None:
    def change(value: dict[str, Any]) -> None:
        value["route"]["considered"][0]["rule"] = value["route"]["rule"] = "another"

    payload, decisions = altered_payload(world, change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "route"


def test_rule_12_route_follows_the_weaker_of_two_policies(world: World) -> None:
    committee = deepcopy(POLICY)
    committee["rules"] = [{"name": "committee", "tier": "tier-1"}]
    committee["tiers"] = {
        "tier-1": {**POLICY["tiers"]["tier-2"], "quorum": 3, "roles": [{"name": "approver", "groups": ["model-approvers"], "count": 3}]}
    }
    strict = world.publish("committee", committee)

    def change(value: dict[str, Any]) -> None:
        value["route"]["considered"].append({"name": "committee", "statement": strict.statement, "rule": "committee", "tier": "tier-1"})

    payload, decisions = altered_payload(world, change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "route"


# 13. quorum


def test_rule_13_quorum_who_submitted_cannot_approve(world: World) -> None:
    payload, freeze, decisions = good(world, by=BEN)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))) == "quorum"


@pytest.mark.parametrize("name", ["ana", "ANA", "Ana"])
def test_rule_13_quorum_the_author_cannot_approve_in_whatever_case(world: World, name: str) -> None:
    payload, freeze, decisions = good(world, by=person(name))
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))) == "quorum"


def test_rule_13_quorum_one_person_twice(world: World) -> None:
    payload, freeze, _ = good(world)
    twice = [world.seal(payload, freeze), world.seal(payload, freeze, change=lambda seal: seal["decided"].update(comment="again"))]
    assert rule_of(refused(world, world.outcome(world.bundle(payload, twice), freeze.id))) == "quorum"


def test_rule_13_quorum_too_few(world: World) -> None:
    two = deepcopy(POLICY)
    two["tiers"]["tier-2"] |= {"quorum": 2}
    frozen = world.freeze(policies=(world.publish("credit-models", two),))
    one = [world.seal(frozen.payload, frozen.freeze)]
    assert rule_of(refused(world, world.outcome(world.bundle(frozen.payload, one), frozen.freeze.id))) == "quorum"
    both = [*one, world.seal(frozen.payload, frozen.freeze, DAVID)]
    assert verify(world.outcome(world.bundle(frozen.payload, both), frozen.freeze.id), world.trust, world.policies).promotes


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda decided: decided.update(roles=["another"]), id="a role that the route does not know"),
        pytest.param(lambda decided: decided.update(groups=["another"]), id="a role without its group"),
    ],
)
def test_rule_13_quorum_roles_that_are_not_held(world: World, change: Change) -> None:
    payload, freeze, decisions = good(world, change=lambda seal: change(seal["decided"]))
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions), freeze.id))) == "quorum"


# 14 to 19: a place

HERE = Place("production", "demo", "credit")
NOW = datetime(2026, 3, 4, tzinfo=UTC)


def promoted(world: World, spec: dict[str, Any] = SPEC, kind: Any = None) -> Admission:
    frozen = world.freeze(spec)
    verdict = "Approve" if kind is None else "Reject"
    decisions = [world.seal(frozen.payload, frozen.freeze, verdict=verdict)]
    bundle = world.bundle(frozen.payload, decisions, **({} if kind is None else {"kind": kind}))
    return admission(verify(world.outcome(bundle, frozen.freeze.id), world.trust, world.policies), ())


def question(event: Admission, place: Place = HERE, now: datetime = NOW) -> Question:
    return Question(Digest(SPEC["model"]["image"].partition("@")[2]), place, now)


def refused_here(event: Admission, asked: Question) -> str:
    with pytest.raises(Failed) as caught:
        admits(event, asked)
    return rule_of(caught.value)


def test_an_event_admits_its_image_and_its_artefacts_in_its_place(world: World) -> None:
    event = promoted(world)
    admits(event, question(event))
    admits(event, dataclasses.replace(question(event), digest=Digest(SPEC["model"]["artifacts"][0]["digest"])))


def test_rule_14_promotion_a_rejection_admits_nothing(world: World) -> None:
    event = promoted(world, kind=REJECTION_TYPE)
    assert refused_here(event, question(event)) == "promotion"


@pytest.mark.parametrize("of", ["another image", "the approval request"])
def test_rule_15_subject(world: World, of: str) -> None:
    event = promoted(world)
    digest = sha256(b"another") if of == "another image" else sha256(world.freeze().payload)
    assert refused_here(event, dataclasses.replace(question(event), digest=digest)) == "subject"


@pytest.mark.parametrize(
    "place",
    [
        Place("staging", "demo", "credit"),
        Place("production", "other", "credit"),
        Place("production", "demo", "other"),
        Place("", "demo", "credit"),
    ],
    ids=["environment", "cluster", "namespace", "no environment"],
)
def test_rule_16_target(world: World, place: Place) -> None:
    event = promoted(world)
    assert refused_here(event, question(event, place)) == "target"


def test_rule_17_expiry_from_the_latest_seal(world: World) -> None:
    event = promoted(world, {**SPEC, "validFor": "24h"})
    sealed = datetime(2026, 3, 2, 10, 2, 51, tzinfo=UTC)
    admits(event, question(event, now=sealed + timedelta(hours=24, seconds=-1)))
    assert refused_here(event, question(event, now=sealed + timedelta(hours=24))) == "expiry"


def test_rule_18_corrections(world: World) -> None:
    event = dataclasses.replace(promoted(world), revoked="revoked by carla at 2026-03-04T08:00:00Z: wrong data")
    assert refused_here(event, question(event)) == "corrections"


@pytest.mark.parametrize(("tier", "minimum", "admitted"), [
    ("tier-2", None, True), ("tier-2", "tier-3", True), ("tier-2", "tier-2", True), ("tier-2", "tier-1", False),
    ("tier-3", "tier-2", False), ("tier-1", "tier-1", True), ("tier-3", "tier-3", True),
])  # fmt: skip
def test_rule_19_tier(world: World, tier: Any, minimum: Any, admitted: bool) -> None:
    event = dataclasses.replace(promoted(world), tier=tier)
    asked = question(event, dataclasses.replace(HERE, minimum_tier=minimum))
    if admitted:
        admits(event, asked)
    else:
        assert refused_here(event, asked) == "tier"


@pytest.mark.parametrize(
    ("on_expiry", "since", "admitted"),
    [
        ("deny-new-rollouts", timedelta(hours=-1), True),
        ("deny-new-rollouts", timedelta(0), False),
        ("deny-new-rollouts", None, False),
        ("deny-all", timedelta(hours=-1), False),
        (None, timedelta(hours=-1), False),
    ],
)
def test_rule_17_expiry_lets_go_on_what_ran_before(world: World, on_expiry: Any, since: timedelta | None, admitted: bool) -> None:
    event = promoted(world, {**SPEC, "validFor": "24h", **({"onExpiry": on_expiry} if on_expiry else {})})
    assert event.valid_until is not None
    ran_since = event.valid_until + since if since is not None else None
    asked = dataclasses.replace(question(event, now=event.valid_until), since=ran_since)
    if admitted:
        admits(event, asked)
    else:
        assert refused_here(event, asked) == "expiry"


def test_what_happens_on_expiry_is_asked_only_of_what_expires(world: World) -> None:
    spec = {**SPEC, "onExpiry": "deny-all"}
    del spec["validFor"]
    with pytest.raises(RecordError, match="onExpiry says what happens when validFor is over"):
        read_spec(spec)


def test_every_rule_is_numbered_and_has_a_test_of_its_name() -> None:
    rules = (*verifier.RULES, *verifier.PLACE_RULES)
    assert [rule.number for rule in rules] == list(range(1, len(rules) + 1))
    for rule in rules:
        assert any(name.startswith(f"test_rule_{rule.number:02}_{rule.name}") for name in globals()), rule
        assert f"{rule.number:>2}. {rule.name}" in (verifier.__doc__ or "")
    assert STORED.tzinfo is not None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda value: value["comparison"]["candidate"]["metrics"][0].update(value="0.9999"), id="an unclaimed figure"),
        pytest.param(lambda value: value["datasets"].pop(), id="a dataset left out"),
        pytest.param(lambda value: value["explanation"].update(digest=sha256(b"a kinder document")), id="another explanation"),
    ],
)
def test_rule_06_payload_shows_other_than_its_request_asks(world: World, change: Change) -> None:
    payload, decisions = altered_payload(world, change)
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "payload"


def test_the_record_format_lists_the_rules_word_for_word() -> None:
    """Who writes another verifier reads docs/record-format.md; it must not drift from what this one does."""
    text = " ".join((Path(__file__).parent.parent.parent / "docs" / "record-format.md").read_text(encoding="utf-8").split())
    lines = [line.split(None, 2) for line in (verifier.__doc__ or "").splitlines() if line.strip()[:2].strip(" .").isdigit()]
    assert len(lines) == len(verifier.RULES) + len(verifier.PLACE_RULES)
    for number, name, words in lines:
        assert f"| {number.rstrip('.')} | {name} | {words.replace('``', '`')} |" in text, name


def test_rule_05_schema_null_is_no_spelling_of_an_absent_field(world: World) -> None:
    payload, decisions = altered_payload(world, lambda value: value.update(live=None))
    assert rule_of(refused(world, world.outcome(world.bundle(payload, decisions)))) == "schema"
