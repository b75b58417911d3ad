"""What was signed once can be read, said again and verified by today's code: all bytes but the signatures are the same."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import GOLDEN, STATEMENTS, STORED, bundle, golden, golden_json, outcome, policies, sealed, statement, trust

from signoff.archive import layout
from signoff.decision.corrections import correction_bundle, counts
from signoff.decision.passkeys import Assertion, believe_registration, challenge_of, require_assertion
from signoff.decision.seals import (
    CouldNotTell,
    Filed,
    passkey_bundle,
    policy_bundle,
    read_passkey,
    read_published,
    read_seal,
    read_submission,
    seal_bundle,
    submission_bundle,
)
from signoff.errors import SignoffError
from signoff.record.bundle import pae, read_bundle, sign_bundle
from signoff.record.canonical import dumps
from signoff.record.freeze import Principal, freeze_bytes, read_freeze
from signoff.record.keys import PemSigner, generate_pem, key_id
from signoff.record.promotion import PROMOTION_TYPE, REJECTION_TYPE, SealedDecision, as_json, outcome_bytes
from signoff.record.request import platform_manifests, read_spec, request_id, request_value
from signoff.record.seal import PolicyStatement, Seal, SealStatement, SubmissionStatement
from signoff.record.trust import IdentityProvider
from signoff.record.values import parse, sha256
from signoff.verify.verifier import verify

IDS = golden_json("ids.json")
ANY_SIGNER = PemSigner(generate_pem())
TARGET = read_freeze(golden("freeze.json")).request.spec.target
# Of the golden passkey, in February 2026.
AUTHENTICATOR_DATA = "a720b2999e94f9090a715d816d39ac4aafe899e32ef4b5ee71bc76ea253e6f4c0500000000"
SIGNATURE = (
    "2c91d1c75b3371d0ec715386ac431620b0884964b18234fb686c5c0ac184237710e482c61fa5ded3650c71d9d56d2b03e2eb60ebbaccc9ce9854b2dd8f5e4807"
)
each_id = pytest.mark.parametrize("row", IDS, ids=[row["name"] for row in IDS])


def test_a_correction_counts_today_as_it_did_and_its_id_is_hashed_from_what_it_says() -> None:
    said = json.loads(statement("correction"))["predicate"]
    key = layout.correction(said["event"], said["id"])
    found = counts(Filed(bundle("correction"), STORED), trust(), TARGET, said["request"], key)
    assert found is not None
    assert found.revokes
    assert said_again(correction_bundle(found.correction, ANY_SIGNER)) == statement("correction")


def said_again(data: bytes) -> bytes:
    return read_bundle(data, "again").payload


@each_id
def test_the_id_of_a_request(row: dict[str, object]) -> None:
    assert request_id(request_value(row["namespace"], row["resource"], row["spec"])) == row["id"]


@each_id
def test_reading_a_spec_puts_nothing_in_and_leaves_nothing_out(row: dict[str, object]) -> None:
    assert as_json(read_spec(row["spec"])) == row["spec"]


def test_different_requests_have_different_ids() -> None:
    assert len({row["id"] for row in IDS}) == len(IDS) >= 12


def shuffled(value: object, order: object) -> object:
    if isinstance(value, dict):
        keys = order.draw(st.permutations(sorted(value)))
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(st.sampled_from(IDS), st.data())
def test_the_order_of_keys_does_not_change_an_id(row: dict[str, object], order: object) -> None:
    again = request_value(row["namespace"], row["resource"], shuffled(row["spec"], order))
    assert request_id(dict(reversed(again.items()))) == row["id"]


def test_the_order_of_a_list_does_change_an_id() -> None:
    row = next(row for row in IDS if row["name"] == "two clusters and three namespaces")
    target = {**row["spec"]["target"], "clusters": list(reversed(row["spec"]["target"]["clusters"]))}
    assert request_id(request_value(row["namespace"], row["resource"], {**row["spec"], "target": target})) != row["id"]


@pytest.mark.parametrize("name", sorted(golden_json("digests.json")))
def test_no_golden_file_has_changed(name: str) -> None:
    assert sha256(golden(name)) == golden_json("digests.json")[name]


def test_the_payload() -> None:
    data, digest = freeze_bytes(as_json(read_freeze(golden("freeze.json"))))
    assert data == golden("freeze.json")
    assert digest == golden_json("digests.json")["freeze.json"]
    request = read_freeze(data).request
    assert request_id(request_value(request.namespace, request.name, as_json(request.spec))) == read_freeze(data).id


@pytest.mark.parametrize("name", [name for name in STATEMENTS if name.startswith("seal.")])
def test_a_seals_statement(name: str) -> None:
    seal = parse(SealStatement, statement(name), name).predicate
    assert said_again(seal_bundle(seal, ANY_SIGNER)) == statement(name)


def test_a_submissions_statement() -> None:
    submission = parse(SubmissionStatement, statement("submission"), "submission").predicate
    assert said_again(submission_bundle(submission, ANY_SIGNER)) == statement("submission")


def test_a_published_policys_statement() -> None:
    policy = parse(PolicyStatement, statement("policy"), "policy").predicate
    assert said_again(policy_bundle(policy, golden("policy.spec.json"), ANY_SIGNER)) == statement("policy")


@pytest.mark.parametrize("seals", [("seal.carla", "seal.david"), ("seal.david", "seal.carla")], ids=" then ".join)
def test_a_promotions_statement_in_whatever_order_the_seals_came(seals: tuple[str, str]) -> None:
    payload = golden("freeze.json")
    assert outcome_bytes(PROMOTION_TYPE, payload, read_freeze(payload), [sealed(name) for name in seals]) == statement("promotion")


def test_a_rejections_statement() -> None:
    payload = golden("freeze.json")
    assert outcome_bytes(REJECTION_TYPE, payload, read_freeze(payload), [sealed("seal.rejecting")]) == statement("rejection")


def test_the_predicate_has_exactly_six_fields() -> None:
    names = ["approvalRequest", "approver", "challengerComparison", "datasetReference", "explanationArtefact", "modelVersion"]
    for name in ("promotion", "rejection"):
        assert sorted(json.loads(statement(name))["predicate"]) == names


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_bundle_holds_its_statement_and_is_written_in_the_same_way(name: str) -> None:
    read = read_bundle(bundle(name), name)
    use = "event" if name in {"promotion", "rejection"} else "seal"
    assert read.payload == statement(name)
    assert read.digest == golden_json("digests.json")[f"{name}.statement.json"]
    assert read.key_id == key_id(golden(f"{use}.pub").decode())
    again = json.loads(sign_bundle(read.payload, PemSigner(golden(f"{use}.TEST-KEY.pem"))))
    again["dsseEnvelope"]["signatures"] = json.loads(bundle(name))["dsseEnvelope"]["signatures"]
    assert dumps(again) == bundle(name)


def test_what_a_signature_covers() -> None:
    # The vector of the DSSE protocol v1.0.2.
    assert pae(b"hello world", "http://example.com/HelloWorld") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.parametrize(("name", "promotes", "people"), [("promotion", True, {"carla", "david"}), ("rejection", False, {"david"})])
def test_a_golden_event_is_believed(name: str, promotes: bool, people: set[str]) -> None:
    freeze = read_freeze(golden("freeze.json"))
    verified = verify(outcome(bundle(name), slot=freeze.id), trust(), policies())
    assert verified.promotes is promotes
    assert verified.digest == golden_json("digests.json")[f"{name}.statement.json"]
    assert verified.payload == golden("freeze.json")
    assert {one.principal.subject for one in verified.decisions} == {f"{who}@bank.example" for who in people}


def test_the_images_of_the_golden_event_are_the_index_and_its_platform_manifests() -> None:
    model = read_freeze(golden("freeze.json")).request.spec.model
    manifests = platform_manifests(model.imageIndex or "", model.digest)
    assert [platform for platform, _ in manifests] == ["linux/amd64", "linux/arm64/v8"]
    verified = verify(outcome(bundle("promotion"), stored_at=STORED), trust(), policies())
    assert verified.images == {model.digest, *(digest for _, digest in manifests)}
    assert verified.artifacts == {artifact.digest for artifact in model.artifacts or ()}
    assert verified.valid_until is not None


def test_the_golden_parts_are_believed_one_by_one() -> None:
    policy = next(iter(policies()))
    assert read_published(Filed(bundle("policy"), STORED), trust(), TARGET, policy).name == "credit-models"
    assert read_submission(Filed(bundle("submission"), STORED), trust(), TARGET).principal.subject == "ben@bank.example"
    assert read_seal(Filed(bundle("seal.carla"), STORED), trust(), TARGET).seal.decided.comment == "Seen, and für gut befunden."


def test_the_golden_passkey_is_believed_and_so_is_what_it_signed() -> None:
    provider = {"issuer": "https://login.bank.example", "clients": ["signoff"], "subjectClaim": "email"}
    trusting = trust().model_copy(update={"identityProviders": (parse(IdentityProvider, dumps(provider), "provider"),)})
    passkey = read_passkey(Filed(bundle("passkey"), STORED), trusting, TARGET)
    assert said_again(passkey_bundle(passkey, ANY_SIGNER)) == statement("passkey")
    assert believe_registration(passkey, trusting).identity.subject == "carla@bank.example"
    challenge = challenge_of(sha256(b"freeze"), sha256(b"rendition"), "Approve", passkey.principal)
    client_data = {"type": "webauthn.get", "challenge": challenge, "origin": "https://signoff.bank.example", "crossOrigin": False}
    said = json.dumps(client_data, separators=(",", ":")).encode()
    require_assertion(Assertion(said, bytes.fromhex(AUTHENTICATOR_DATA), bytes.fromhex(SIGNATURE)), passkey, challenge)


def test_beyond_the_keys_validity_the_golden_event_is_not_believed() -> None:
    with pytest.raises(SignoffError, match="was not valid when this was stored"):
        verify(outcome(bundle("promotion"), stored_at=STORED + timedelta(days=365)), trust(), policies())
    with pytest.raises(CouldNotTell):
        verify(outcome(bundle("promotion"), stored_at=None), trust(), policies())


def test_the_golden_vectors_are_not_overwritten() -> None:
    before = {path.name: path.read_bytes() for path in GOLDEN.iterdir()}
    script = Path(__file__).parent / "make_golden.py"
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 1
    assert "never overwritten" in ran.stderr
    assert {path.name: path.read_bytes() for path in GOLDEN.iterdir()} == before


def test_seals_are_sorted_by_principal_and_by_nothing_else() -> None:
    payload = golden("freeze.json")
    made = []
    for time in ("2026-03-02T09:00:00Z", "2026-03-02T23:00:00Z"):
        value = json.loads(statement("seal.carla"))["predicate"]
        value["decided"]["time"] = time
        carla = SealedDecision(parse(Seal, dumps(value), "seal"), b"a bundle")
        event = json.loads(outcome_bytes(PROMOTION_TYPE, payload, read_freeze(payload), [carla, sealed("seal.david")]))
        made.append([entry["decided"]["principal"]["subject"] for entry in event["predicate"]["approver"]])
    assert made[0] == made[1]
    keys = [parse(Principal, dumps({"issuer": "https://login.bank.example", "subject": one, "name": one}), "one").key for one in made[0]]
    assert keys == sorted(keys)
