from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_fixture import Site
from world import BEN, DAVID, POLICY, World, trusted_key

from signoff.archive import layout
from signoff.archive.write import create_or_same
from signoff.operator.commit import pointers
from signoff.record.canonical import b64encode, dumps
from signoff.record.freeze import Freeze
from signoff.record.promotion import PROMOTION_TYPE, as_json
from signoff.record.values import parse, sha256
from signoff.verify.verifier import RULES, Verified

CLEAN = "No findings: what is here verifies; whether something is missing cannot be told without a log."


def test_one_event_is_told_rule_by_rule(site: Site) -> None:
    verified = site.promoted()
    for name in (verified.id, verified.id[:8], verified.digest):
        ran = site.run("verify", name)
        assert (ran.code, ran.err) == (0, "")
        for rule in RULES:
            assert f"{rule.number:>2}  {rule.name:<13}ok\n" in ran.out
        assert " +  derivation   ok\n" in ran.out
        assert "credit-scoring 2.4.0  promoted" in ran.out
        assert verified.digest in ran.out
    value = site.run("verify", verified.id, "-o", "json").json
    assert [(one["number"], one["answer"]) for one in value["rules"]] == [(rule.number, "ok") for rule in RULES]
    assert (value["verified"], value["account"]["event"]) == (True, verified.digest)


ABSENT = {
    "id": ("0" * 64, "holds no request"),
    "beginning": ("0" * 8, "holds no request"),
    "too short": ("0" * 7, "neither an id"),
    "no id": ("x y", "neither an id"),
    "event": (f"sha256:{'0' * 64}", "no event of this digest"),
    "no digest": ("sha256:0", "is not a digest"),
}


@pytest.mark.parametrize("case", ABSENT)
def test_what_is_not_there_is_said(site: Site, case: str) -> None:
    name, told = ABSENT[case]
    site.promoted()
    ran = site.run("verify", name)
    assert (ran.code, told in ran.err) == (2, True)


def test_a_beginning_that_several_have_is_refused(site: Site) -> None:
    for tail in ("1", "2"):
        create_or_same(site.world.store, layout.event("ab" * 31 + "0" + tail), b"{}")
    ran = site.run("verify", "ab" * 8)
    assert (ran.code, "several requests begin so" in ran.err) == (2, True)


def test_an_undecided_request_has_no_event(site: Site) -> None:
    frozen = site.frozen()
    ran = site.run("verify", frozen.freeze.id)
    assert (ran.code, "has no event: nothing was promoted or rejected" in ran.err) == (2, True)


def test_the_first_rule_that_does_not_hold_ends_it(site: Site) -> None:
    frozen = site.frozen()
    by_who_asked = site.world.seal(frozen.payload, frozen.freeze, BEN)
    bundle = site.world.bundle(frozen.payload, [by_who_asked])
    site.world.store.create(layout.event(frozen.freeze.id), bundle)
    ran = site.run("verify", frozen.freeze.id)
    assert ran.code == 1
    assert "12  route        ok\n13  quorum       FAILED\n" in ran.out
    assert "promoted" not in ran.out
    value = site.run("verify", frozen.freeze.id, "-o", "json").json
    assert (value["verified"], value["rules"][-1]["answer"], "account" in value) == (False, "FAILED", False)


def test_later_rules_are_told_as_not_looked_at(site: Site) -> None:
    verified = site.promoted()
    site.overwrite(layout.event(verified.id), site.object_at(layout.event(verified.id)).read_bytes().replace(b'"sig":"M', b'"sig":"N'))
    ran = site.run("verify", verified.id)
    assert ran.code == 1
    assert " 2  signature    FAILED" in ran.out
    assert "not looked at: 3 key, 4 predicate" in ran.out


def test_a_bundle_alone_needs_the_policies(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    bundle, trust = tmp_path / "event.sigstore.json", tmp_path / "trust.json"
    bundle.write_bytes(site.object_at(layout.event(verified.id)).read_bytes())
    trust.write_bytes(site.object_at(layout.statement("trust", site.trust)).read_bytes())
    ran = site.run("verify", "--bundle", bundle)
    assert (ran.code, "credit-scoring 2.4.0  promoted" in ran.out) == (0, True)
    alone = site.run("verify", "--bundle", bundle, "--trust-file", trust, archive=False)
    assert (alone.code, "11  policies     could not tell" in alone.out) == (2, True)
    assert site.run("verify", "--bundle", bundle, archive=False).err.startswith("error: --trust-file: is missing")
    other = site.run("verify", "--bundle", bundle, "--trust-file", trust, "--trust", f"sha256:{'0' * 64}", archive=False)
    assert (other.code, "hashes to" in other.err) == (2, True)


def test_a_bundle_under_a_key_that_has_ended_cannot_be_told(site: Site, tmp_path: Path) -> None:
    verified = site.promoted()
    keys = [trusted_key(site.world.seal_key, "seal"), trusted_key(site.world.event_key, "event", validUntil="2999-01-01T00:00:00Z")]
    trust = tmp_path / "trust.json"
    trust.write_bytes(dumps(as_json(site.world.trust_with(keys=keys))))
    ran = site.run("verify", "--bundle", site.object_at(layout.event(verified.id)), "--trust-file", trust, archive=False)
    assert (ran.code, " 3  key          could not tell" in ran.out) == (2, True)


def test_a_whole_archive_is_clean_and_nothing_is_claimed_of_what_is_not_there(site: Site) -> None:
    site.promoted()
    site.decided(site.frozen(lambda spec: spec.update(attempt=2), name="again"), DAVID, verdict="Reject")
    site.frozen(lambda spec: spec.update(attempt=3), name="undecided")
    ran = site.run("verify")
    assert (ran.code, ran.err) == (0, "")
    assert "1 promotion, 1 rejection verify." in ran.out
    assert " ".join(ran.out.split()).endswith(CLEAN)
    value = site.run("verify", "-o", "json").json
    assert (value["clean"], value["findings"], value["complete"], value["counts"]["events"]) == (True, [], None, 2)


def test_an_empty_archive_is_clean(site: Site) -> None:
    assert site.run("verify").code == 0


Change = Callable[[Site, Verified], str]


def _event(site: Site, verified: Verified) -> str:
    return layout.event(verified.id)


def _explanation(site: Site, verified: Verified) -> str:
    return layout.blob(verified.freeze.explanation.digest)


def _page(site: Site, verified: Verified) -> str:
    return layout.blob(verified.freeze.renditions[0].digest)


def _payload(site: Site, verified: Verified) -> str:
    return layout.freeze(verified.id, sha256(verified.payload))


def _seal(site: Site, verified: Verified) -> str:
    principal = verified.decisions[0].principal
    return layout.seal(sha256(verified.payload), principal.issuer, principal.subject)


def _policy(site: Site, verified: Verified) -> str:
    return layout.statement("policy", verified.freeze.route.considered[0].statement)


def _trust(site: Site, verified: Verified) -> str:
    return layout.statement("trust", _old_trust(site.world))


def _model(site: Site, verified: Verified) -> str:
    return pointers(verified.freeze, PROMOTION_TYPE)[0]


def _subject(site: Site, verified: Verified) -> str:
    return pointers(verified.freeze, PROMOTION_TYPE)[-1]


def _old_trust(world: World) -> str:
    data = dumps(as_json(world.trust_with(version=7)))
    create_or_same(world.store, layout.statement("trust", sha256(data)), data)
    return sha256(data)


PLACES: dict[str, Change] = {
    "event": _event,
    "explanation": _explanation,
    "page": _page,
    "payload": _payload,
    "seal": _seal,
    "policy": _policy,
    "trust": _trust,
    "model pointer": _model,
    "subject pointer": _subject,
}


@pytest.mark.parametrize("place", PLACES)
def test_an_altered_object_is_a_finding_by_its_key(site: Site, place: str) -> None:
    key = PLACES[place](site, site.promoted())
    site.overwrite(key, site.object_at(key).read_bytes()[:-3] + b"x" + site.object_at(key).read_bytes()[-2:])
    ran = site.run("verify", "-o", "json")
    assert ran.code == 1
    found = [one for one in ran.json["findings"] if one["kind"] == "finding" and one["key"] == key]
    assert found
    assert all(one["what"] and one["mend"] for one in found)


@pytest.mark.parametrize("place", [name for name in PLACES if name not in {"event", "policy", "trust"}])
def test_a_missing_object_that_an_event_names_is_a_finding(site: Site, place: str) -> None:
    key = PLACES[place](site, site.promoted())
    site.object_at(key).unlink()
    ran = site.run("verify", "-o", "json")
    assert ran.code == 1
    assert [(one["kind"], one["key"]) for one in ran.json["findings"]] == [("finding", key)]
    assert "missing" in ran.json["findings"][0]["what"]


def test_without_its_policy_an_event_cannot_be_told(site: Site) -> None:
    verified = site.promoted()
    site.object_at(_policy(site, verified)).unlink()
    ran = site.run("verify")
    assert (ran.code, "COULD NOT TELL" in ran.out) == (2, True)


def _write(key: str, data: bytes) -> Callable[[Site, Verified], str]:
    def change(site: Site, verified: Verified) -> str:
        site.world.store.create(key, data)
        return key

    return change


def _foreign_pointer(site: Site, verified: Verified) -> str:
    key = layout.subject_pointer(sha256(b"another image"), "production", verified.id)
    site.world.store.create(key, dumps({"event": layout.event(verified.id)}) + b"\n")
    return key


def _under_another_id(site: Site, verified: Verified) -> str:
    key = layout.event("0" * 64)
    site.world.store.create(key, site.object_at(layout.event(verified.id)).read_bytes())
    return key


def _anothers_place(site: Site, verified: Verified) -> str:
    key = layout.seal(sha256(verified.payload), "https://login.bank.example", "mallory")
    site.world.store.create(key, site.object_at(_seal(site, verified)).read_bytes())
    return key


def _strangers_seal(site: Site, verified: Verified) -> str:
    frozen = site.frozen(lambda spec: spec.update(attempt=9), name="strangers")
    sealed = site.world.seal(frozen.payload, frozen.freeze, DAVID, signer=site.world.stranger)
    site.world.archive_seal(sealed)
    principal = sealed.seal.decided.principal
    return layout.seal(frozen.digest, principal.issuer, principal.subject)


def _anothers_freeze(site: Site, verified: Verified) -> str:
    key = layout.freeze("1" * 64, sha256(verified.payload))
    site.world.store.create(key, verified.payload)
    return key


def _another_of_the_same(site: Site, verified: Verified) -> str:
    site.overwrite(_seal(site, verified), site.world.seal(verified.payload, verified.freeze).bundle)
    return _seal(site, verified)


def _policy_elsewhere(site: Site, verified: Verified) -> str:
    key = f"statements/policy/{'7' * 64}"
    site.world.store.create(key, site.object_at(_policy(site, verified)).read_bytes())
    return key


def _trust_elsewhere(site: Site, verified: Verified) -> str:
    key = f"statements/trust/{'8' * 64}"
    site.world.store.create(key, dumps(as_json(site.world.trust)))
    return key


FOREIGN: dict[str, Change] = {
    "another seal of the same person": _another_of_the_same,
    "policy under another digest": _policy_elsewhere,
    "trust file under another digest": _trust_elsewhere,
    "unknown folder": _write("notes/readme", b"x"),
    "unknown statement": _write(f"statements/policy/{'2' * 64}", b"{}"),
    "event that is none": _write(layout.event("3" * 64), b"{}"),
    "event with another name": _write("events/notes.txt", b"{}"),
    "blob of another digest": _write(f"blobs/sha256/{'4' * 64}", b"x"),
    "pointer to elsewhere": _write(layout.model_pointer("m", "production", "5" * 64), b'{"event":"elsewhere"}\n'),
    "pointer that its event does not make": _foreign_pointer,
    "event under another id": _under_another_id,
    "seal in another's place": _anothers_place,
    "seal under a stranger's key": _strangers_seal,
    "freeze of another request": _anothers_freeze,
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_does_not_belong_is_a_finding(site: Site, case: str) -> None:
    key = FOREIGN[case](site, site.promoted())
    ran = site.run("verify", "-o", "json")
    assert ran.code == 1
    assert key in {one["key"] for one in ran.json["findings"] if one["kind"] == "finding"}


def test_a_pointer_without_an_event_is_a_note(site: Site) -> None:
    key = layout.model_pointer("credit-scoring", "production", "6" * 64)
    site.world.store.create(key, dumps({"event": layout.event("6" * 64)}) + b"\n")
    ran = site.run("verify")
    assert (ran.code, "points to a request without an event" in ran.out) == (0, True)
    assert CLEAN in " ".join(ran.out.split())


def test_a_pointer_of_a_promotion_begun_before_the_rejection_is_a_note(site: Site) -> None:
    frozen = site.frozen()
    begun = pointers(frozen.freeze, PROMOTION_TYPE)
    for key in begun:
        site.world.store.create(key, dumps({"event": layout.event(frozen.freeze.id)}) + b"\n")
    site.decided(frozen, DAVID, verdict="Reject")
    ran = site.run("verify")
    assert ran.code == 0, ran.out
    assert ran.out.count("a promotion that was begun before the request was rejected") == len(begun) - 1


def test_findings_are_told_with_key_and_mend(site: Site) -> None:
    key = _page(site, site.promoted())
    site.object_at(key).unlink()
    out = site.run("verify").out
    assert f"FINDING\n  {key}\n  is missing" in out
    assert "to do: restore it from a copy of the archive" in out
    assert "1 finding. Whether something is missing" in " ".join(out.split())


def test_a_bundle_that_is_none_fails_the_form(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"mediaType": b64encode(b"x")}), encoding="utf-8")
    ran = site.run("verify", "--bundle", path)
    assert (ran.code, " 1  form         FAILED" in ran.out) == (1, True)


def test_a_route_that_does_not_follow_from_its_policies_is_a_finding(site: Site) -> None:
    rules = [{"name": "in-staging", "tier": "tier-2", "when": 'target.environment == "staging"'}, {"name": "else", "tier": "tier-2"}]
    followed = site.world.publish("credit-models", {**POLICY, "rules": rules})
    frozen = site.frozen(policies=(followed,))
    assert frozen.freeze.route.rule == "else"
    value = json.loads(frozen.payload)
    for route in (value["route"], value["route"]["considered"][0]):
        route["rule"] = "in-staging"
    payload = dumps(value)
    event = site.world.bundle(payload, [site.world.seal(payload, parse(Freeze, payload, "freeze"))])
    site.world.store.create(layout.event(frozen.freeze.id), event)
    one = site.run("verify", frozen.freeze.id)
    assert one.code == 1
    assert "13  quorum       ok" in one.out, "the verifier, which evaluates nothing, knows only that the rule could lead there"
    assert "+  derivation   FAILED" in one.out
    assert site.run("verify", frozen.freeze.id, "-o", "json").json["derivation"] == "FAILED"
    ran = site.run("verify")
    assert ran.code == 1
    assert "the route does not follow from the policies that it names and what was frozen" in " ".join(ran.out.split())


def test_a_correction_that_counts_is_no_finding_and_one_that_lies_wrong_is(site: Site) -> None:
    verified = site.promoted()
    key = site.world.correct(verified, "Annotate")
    assert site.run("verify", "-o", "json").json["clean"]
    elsewhere = layout.correction(sha256(b"another event"), key.rpartition("/")[2])
    site.world.store.create(elsewhere, site.object_at(key).read_bytes())
    nowhere = site.world.correct(verified, request="9" * 64, key=layout.correction(verified.digest, "8" * 64))
    found = {one["key"]: one["what"] for one in site.run("verify", "-o", "json").json["findings"]}
    assert "lies under another event" in found[elsewhere]
    assert "corrects the outcome of 999" in found[nowhere]
