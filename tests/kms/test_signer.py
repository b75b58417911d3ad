"""Signing by a key in a key service: over HTTP, and with what goes wrong there."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from controlplane.ports import free_ports
from signoff.kms.signer import Patience, open_signer
from signoff.record.keys import CannotSign, KeyOutOfReach, PemSigner, generate_pem, key_id, verifies
from tests.archive.between import Answer, Between, Deed, Pass, lost, page_of_html, torn
from tests.kms.service import REGION, KeyService

QUICK = Patience(connect=0.5, silence=0.5, total=1.5, attempts=3, pause=0.01)
LONG = b"e" * 100_000


def said(code: str, status: int = 400) -> Deed:
    """The service's error in its own words."""
    body = json.dumps({"__type": code, "message": "said, with a secret"}).encode()
    return lambda _: Answer(status, (("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", "1")), body)


def slow(on: Pass) -> Answer:
    time.sleep(1)
    return on()


def changed(name: str, value: Any) -> Deed:
    """An answer with one field otherwise."""

    def deed(on: Pass) -> Answer:
        answer = on()
        return replace(answer, body=json.dumps({**json.loads(answer.body), name: value}).encode())

    return deed


def signed_by_another(data: bytes) -> Deed:
    return changed("Signature", base64.b64encode(PemSigner(generate_pem()).sign(data)).decode())


def test_what_it_signs_verifies_however_long_it_is(service: KeyService) -> None:
    signer = open_signer(service.address())
    assert verifies(signer.public_pem, signer.sign(LONG), LONG)
    assert signer.key_id == key_id(signer.public_pem)


@pytest.mark.parametrize("form", ["id", "arn", "alias"])
def test_a_key_is_named_by_id_arn_or_alias(service: KeyService, form: str) -> None:
    key = service.make()
    service.admin.create_alias(AliasName=f"alias/{key}", TargetKeyId=key)
    names = {"id": key, "arn": service.admin.describe_key(KeyId=key)["KeyMetadata"]["Arn"], "alias": f"alias/{key}"}
    signer = open_signer(service.address(names[form]))
    assert signer.key_id == open_signer(service.address(key)).key_id
    assert verifies(signer.public_pem, signer.sign(b"x"), b"x")


def test_many_threads_sign_at_once(service: KeyService) -> None:
    signer = open_signer(service.address())
    with ThreadPoolExecutor(16) as pool:
        signatures = list(pool.map(lambda number: (number, signer.sign(b"%d" % number)), range(64)))
    assert all(verifies(signer.public_pem, signature, b"%d" % number) for number, signature in signatures)


KINDS = {
    "RSA": ("RSA_2048", "SIGN_VERIFY", "RSA_2048 for SIGN_VERIFY, not ECC_NIST_P256"),
    "P-384": ("ECC_NIST_P384", "SIGN_VERIFY", "ECC_NIST_P384 for SIGN_VERIFY, not ECC_NIST_P256"),
    "secp256k1": ("ECC_SECG_P256K1", "SIGN_VERIFY", "ECC_SECG_P256K1 for SIGN_VERIFY, not"),
    "for agreement": ("ECC_NIST_P256", "KEY_AGREEMENT", "for KEY_AGREEMENT, not ECC_NIST_P256 for SIGN_VERIFY"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_another_kind_is_refused(service: KeyService, between: Between, kind: str) -> None:
    spec, usage, why = KINDS[kind]
    made = service.make(spec if usage == "SIGN_VERIFY" else "ECC_NIST_P256")
    if usage != "SIGN_VERIFY":
        between.always("POST", changed("KeyUsage", usage))
    with pytest.raises(CannotSign, match=why) as refused:
        open_signer(service.address(made, between.endpoint), QUICK)
    assert "make an asymmetric key" in refused.value.mend


def test_a_key_that_only_says_that_it_is_on_p256_is_refused(service: KeyService, between: Between) -> None:
    between.always("POST", changed("KeySpec", "ECC_NIST_P256"))
    with pytest.raises(CannotSign, match="the public key is not ECDSA on P-256"):
        open_signer(service.address(service.make("ECC_NIST_P384"), between.endpoint), QUICK)


STATES = {
    "disabled": ("disable_key", {}, "the key is disabled", "enable it"),
    "about to be deleted": ("schedule_key_deletion", {"PendingWindowInDays": 7}, "no state to sign", "cancel its deletion"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_key_that_is_not_in_service_signs_nothing(service: KeyService, state: str) -> None:
    call, more, why, mend = STATES[state]
    key = service.make()
    signer = open_signer(service.address(key), QUICK)
    getattr(service.admin, call)(KeyId=key, **more)
    for attempt in (lambda: signer.sign(b"x"), lambda: open_signer(service.address(key), QUICK)):
        with pytest.raises(CannotSign, match=why) as refused:
            attempt()
        assert not isinstance(refused.value, KeyOutOfReach)
        assert mend in refused.value.mend


def test_a_key_that_is_not_there_is_said_to_be_missing(service: KeyService) -> None:
    with pytest.raises(CannotSign, match="no such key") as refused:
        open_signer(service.address("00000000-0000-0000-0000-000000000000"), QUICK)
    assert refused.value.where == "awskms:///00000000-0000-0000-0000-000000000000"


REFUSED = {
    "AccessDeniedException": ("may not use the key", "kms:GetPublicKey and kms:Sign"),
    "UnrecognizedClientException": ("does not take this process's access keys", "its clock and the region"),
    "ExpiredTokenException": ("does not take this process's access keys", "its clock"),
    "InvalidKeyUsageException": ("not one for signatures", "SIGN_VERIFY"),
    "UnsupportedOperationException": ("no public half", "ECC_NIST_P256"),
    "SomethingNewException": ("refuses it", "kms:Sign"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_refusal_says_what_to_do_and_is_not_asked_again(service: KeyService, between: Between, code: str) -> None:
    what, mend = REFUSED[code]
    signer = open_signer(service.address(endpoint=between.endpoint), QUICK)
    between.forget()
    between.always("POST", said(code))
    with pytest.raises(CannotSign, match=what) as refused:
        signer.sign(b"x")
    assert not isinstance(refused.value, KeyOutOfReach)
    assert mend in refused.value.mend
    assert code in refused.value.what
    assert "secret" not in str(refused.value)
    assert len(between.asked) == 1


PASSING: dict[str, Deed] = {
    "slow": slow,
    "500": said("KMSInternalException", 500),
    "503 of somebody else": lambda _: Answer(503, (("Content-Type", "text/html"),), b"<html>busy</html>"),
    "404 of somebody else": lambda _: Answer(404, (("Content-Type", "text/html"),), b"<html>no</html>"),
    "throttled": said("ThrottlingException"),
    "lost": lost,
    "torn": torn,
    "a page of somebody else's": page_of_html,
    "an answer without its field": lambda on: replace(on(), body=b"{}"),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_failure_that_passes_is_asked_again(service: KeyService, between: Between, fault: str) -> None:
    signer = open_signer(service.address(endpoint=between.endpoint), QUICK)
    between.forget()
    between.once("POST", PASSING[fault])
    assert verifies(signer.public_pem, signer.sign(b"x"), b"x")
    assert len(between.asked) == 2


@pytest.mark.parametrize("fault", PASSING)
def test_a_failure_that_stays_is_out_of_reach_within_its_time(service: KeyService, between: Between, fault: str) -> None:
    signer = open_signer(service.address(endpoint=between.endpoint), QUICK)
    between.forget()
    between.always("POST", PASSING[fault])
    began = time.monotonic()
    with pytest.raises(KeyOutOfReach) as refused:
        signer.sign(b"x")
    assert time.monotonic() - began < QUICK.total + QUICK.connect + 1
    assert 1 < len(between.asked) <= QUICK.attempts
    assert "safe to try again" in refused.value.mend
    with pytest.raises(KeyOutOfReach):
        open_signer(service.address(endpoint=between.endpoint), QUICK)


def test_nobody_there_is_out_of_reach(service: KeyService) -> None:
    (port,) = free_ports(1)
    with pytest.raises(KeyOutOfReach, match=r"cannot be reached \(EndpointConnectionError\)"):
        open_signer(service.address("alias/x", f"http://127.0.0.1:{port}"), QUICK)


WRONG: dict[str, Deed] = {
    "of another key": signed_by_another(b"x"),
    "no signature": changed("Signature", base64.b64encode(b"\x30\x06\x02\x01\x01\x02\x01\x01").decode()),
    "not DER": changed("Signature", base64.b64encode(b"signed").decode()),
}


@pytest.mark.parametrize("answer", WRONG)
def test_a_signature_that_does_not_verify_is_never_used(service: KeyService, between: Between, answer: str) -> None:
    signer = open_signer(service.address(endpoint=between.endpoint), QUICK)
    between.once("POST", WRONG[answer])
    with pytest.raises(CannotSign, match="does not verify under its own key") as refused:
        signer.sign(b"x")
    assert not isinstance(refused.value, KeyOutOfReach)
    assert verifies(signer.public_pem, signer.sign(b"x"), b"x"), "the next answer is judged by itself"


def test_another_key_under_the_same_name_is_noticed(service: KeyService) -> None:
    first, second = service.make(), service.make()
    service.admin.create_alias(AliasName=f"alias/moved-{first}", TargetKeyId=first)
    signer = open_signer(service.address(f"alias/moved-{first}"), QUICK)
    service.admin.update_alias(AliasName=f"alias/moved-{first}", TargetKeyId=second)
    with pytest.raises(CannotSign, match="another key here than when this process started") as refused:
        signer.sign(b"x")
    assert open_signer(service.address(second)).key_id in refused.value.what
    assert "restart" in refused.value.mend
    service.admin.update_alias(AliasName=f"alias/moved-{first}", TargetKeyId=first)
    assert verifies(signer.public_pem, signer.sign(b"x"), b"x")


def test_without_access_keys_it_says_so(service: KeyService, monkeypatch: pytest.MonkeyPatch) -> None:
    address = service.address()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CannotSign, match="no access keys for the key service"):
        open_signer(address, QUICK)


def test_without_a_region_it_says_so(service: KeyService) -> None:
    with pytest.raises(CannotSign, match="no client can be made of this environment") as refused:
        open_signer("awskms:///alias/x", QUICK)
    assert "region" in refused.value.mend
    assert REGION not in str(refused.value)
