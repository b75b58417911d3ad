"""What `approve` and `reject` do before and after the one request to the API server; that request is tested against a real one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from archive_fixture import Site
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ReadTimeoutError
from world import CARLA, DAVID, NAME, POLICY, SPEC

from signoff.archive import layout
from signoff.archive.store import Missing
from signoff.cli import approve, deciding, kube
from signoff.desk.freezing import Frozen
from signoff.errors import SignoffError
from signoff.operator.commit import Collected
from signoff.record.promotion import as_json
from signoff.verify.verifier import Verified


def resource(frozen: Frozen, **status: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "credit", "name": NAME}, "spec": SPEC, "status": {"freeze": frozen.digest, **status}}


def shown(site: Site, frozen: Frozen) -> deciding.Desk:
    return deciding.desk(site.world.reader, resource(frozen), "credit", NAME)


def test_the_desk_is_the_text_that_the_freeze_names(site: Site) -> None:
    frozen = site.frozen()
    desk = shown(site, frozen)
    text = next(one for one in frozen.renditions if one.media_type == "text/plain")
    assert (desk.text, desk.digest, desk.id) == (text.content, frozen.digest, frozen.freeze.id)


def test_exactly_these_bytes_are_printed(site: Site) -> None:
    desk = shown(site, site.frozen())
    site.capfd.readouterr()
    approve._show(desk)
    assert site.capfd.readouterr().out.encode() == desk.text


@pytest.mark.parametrize("tier", ["tier-1", "tier-2"])
def test_in_tier_1_who_approves_says_that_they_have_read_it(site: Site, tier: str) -> None:
    text = {"rules": [{"name": "all", "tier": tier}], "tiers": {tier: POLICY["tiers"]["tier-2"]}}
    desk = shown(site, site.frozen(policies=(site.world.publish("credit-models", {**POLICY, **text}),)))
    given = {"name": NAME, "namespace": "credit", "verdict": "Approve", "comment": None, "delegation": None, "kubeconfig": None}
    given |= {"context": None, "archive": "", "trust": "", "timeout": 1.0, "yes": True}
    assert ("I have read this desk" in approve._meaning(approve.Press(meaning=None, **given), desk)) == (tier == "tier-1")
    assert approve._meaning(approve.Press(meaning="As agreed.", **given), desk) == "As agreed."


def test_without_a_freeze_nothing_is_decided(site: Site) -> None:
    frozen = site.frozen()
    with pytest.raises(deciding.Undecided, match="the desk is not frozen: waiting for a policy; try again once it is"):
        deciding.desk(site.world.reader, resource(frozen, freeze="", message="waiting for a policy"), "credit", NAME)


def test_a_freeze_that_the_archive_does_not_hold_is_refused(site: Site) -> None:
    frozen = site.frozen()
    with pytest.raises(deciding.Undecided, match="does not hold what the status names"):
        deciding.desk(site.world.reader, resource(frozen, freeze=f"sha256:{'0' * 64}"), "credit", NAME)


def test_a_freeze_of_another_request_is_refused(site: Site) -> None:
    frozen = site.frozen()
    other = site.frozen(lambda spec: spec.update(attempt=2))
    site.world.store.create(layout.freeze(frozen.freeze.id, other.digest), other.payload)
    with pytest.raises(deciding.Undecided, match="of another request"):
        deciding.desk(site.world.reader, resource(frozen, freeze=other.digest), "credit", NAME)


def test_a_second_press_has_the_name_of_the_first(site: Site) -> None:
    desk, other = shown(site, site.frozen()), site.frozen(lambda spec: spec.update(attempt=2))
    name = deciding.decision_name(desk, "carla")
    assert name == deciding.decision_name(desk, "carla")
    again = deciding.Desk(**{**vars(desk), "digest": other.digest})
    assert len({name, deciding.decision_name(desk, "david"), deciding.decision_name(again, "carla")}) == 3
    long = deciding.Desk(**{**vars(desk), "name": "x" * 253})
    assert len(deciding.decision_name(long, "carla")) <= 253


def test_the_outcome_is_waited_for(site: Site) -> None:
    frozen = site.frozen()
    verified = site.decided(frozen)
    assert deciding.wait(site.world.reader, shown(site, frozen), 0, lambda _: None) == verified


def test_a_sealed_quorum_without_its_event_is_no_approval(site: Site) -> None:
    frozen = site.frozen()
    site.world.archive_seal(site.world.seal(frozen.payload, frozen.freeze, CARLA))
    assert deciding.wait(site.world.reader, shown(site, frozen), 0, lambda _: None) is None


def test_others_that_are_awaited_are_named(site: Site) -> None:
    policy = json.loads(json.dumps(as_json(site.world.published.spec)))
    policy["tiers"]["tier-2"] |= {"quorum": 2}
    frozen = site.frozen(policies=(site.world.publish("two", policy),))
    site.world.archive_seal(site.world.seal(frozen.payload, frozen.freeze, CARLA))
    found = deciding.wait(site.world.reader, shown(site, frozen), 0, lambda _: None)
    assert isinstance(found, Collected)
    assert found.quorum.missing == ("1 more of 2",)


def sealed(site: Site, frozen: Frozen) -> deciding.Sealed:
    one = site.world.seal(frozen.payload, frozen.freeze, CARLA)
    return deciding.Sealed(one, again=False)


def receipt(site: Site, verified: Verified, verdict: Any, own: deciding.Sealed | None) -> tuple[int, str]:
    site.capfd.readouterr()
    code = approve._ended(verified, verdict, own)
    return code, site.capfd.readouterr().out


def test_the_receipt_says_where_to_look(site: Site) -> None:
    frozen = site.frozen()
    verified = site.decided(frozen)
    code, out = receipt(site, verified, "Approve", sealed(site, frozen))
    assert code == 0
    assert out.startswith("approved  credit-scoring 2.4.0\n")
    for told in (verified.id, verified.digest, "carla@bank.example at 2026-03-02T10:02:51Z", f"signoff verify {verified.id}"):
        assert told in out


ENDS = {
    "approved by me": ("Approve", "Approve", True, 0, "approved  "),
    "approved before": ("Approve", "Approve", False, 0, "approved already, before you decided  "),
    "rejected by another": ("Approve", "Reject", False, 1, "not approved: it was rejected already"),
    "rejected": ("Reject", "Reject", False, 0, "rejected already"),
    "approved by another": ("Reject", "Approve", False, 1, "not rejected: it was approved already"),
}


@pytest.mark.parametrize("case", ENDS)
def test_what_was_wanted_and_what_came(site: Site, case: str) -> None:
    wanted, came, own, code, told = ENDS[case]
    frozen = site.frozen()
    verified = site.decided(frozen, CARLA if came == "Approve" else DAVID, verdict=came)
    found, out = receipt(site, verified, wanted, sealed(site, frozen) if own else None)
    assert (found, out.startswith(told)) == (code, True)


def answered(status: int, reason: str, message: str) -> ApiException:
    error = ApiException(status=status, reason=reason)
    error.body = json.dumps({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status})  # type: ignore[assignment]
    return error


def test_a_denial_is_told_in_admissions_own_words() -> None:
    message = 'admission webhook "decisions.seal.signoff.dev" denied the request: ben asked, and whoever asks cannot approve; ask another'
    error = kube._failed(answered(403, "Forbidden", message), "promotiondecision", "")
    assert isinstance(error, kube.Denied)
    assert str(error) == "ben asked, and whoever asks cannot approve; ask another"


def test_what_the_api_server_answers_is_told_apart() -> None:
    assert isinstance(kube._failed(answered(409, "AlreadyExists", "x"), "x", ""), kube.Taken)
    assert "no such object" in str(kube._failed(answered(404, "NotFound", "x"), "x", ""))
    unsure = kube._failed(answered(500, "InternalError", "failed calling webhook"), "x", "safe to press again")
    assert "failed calling webhook; safe to press again" in str(unsure)
    assert not isinstance(unsure, kube.Denied)
    assert "does not answer" in str(kube._failed(ReadTimeoutError(None, "", ""), "x", ""))  # type: ignore[arg-type]


def test_an_archive_out_of_reach_is_safe_to_press_again() -> None:
    assert str(deciding.safe(Missing("gone", "a"))) == "a: gone; nothing was decided; it is safe to press again"
    assert issubclass(deciding.Undecided, SignoffError)
