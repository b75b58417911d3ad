"""Deciding in somebody's name at the bank: by a grant, in its scope, while it is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from office import Office

from controlplane.bank import ANA, BEN, CARLA, PEOPLE_ISSUER, PETRA, Bank
from signoff.record.values import format_time

pytestmark = pytest.mark.cluster

ERIK = "erik@bank.example"
"""A deputy: he may look and press, and is no approver himself."""


def erik(bank: Bank, *arguments: str, stdin: str | None = None) -> str:
    kubeconfig = bank.control_plane.kubeconfig_for(ERIK, ("deputies",))
    done = bank.control_plane.kubectl(*arguments, kubeconfig=kubeconfig, input=stdin, check=False)
    return done.stdout + done.stderr


def grant(office: Office, **changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    spec = {
        "to": {"issuer": PEOPLE_ISSUER, "subject": ERIK},
        "models": [office.model],
        "tiers": ["tier-2"],
        "validFrom": format_time(now - timedelta(minutes=5)),
        "validUntil": format_time(now + timedelta(days=14)),
        "reason": "Two weeks in the mountains.",
        **changes,
    }
    metadata = {"name": f"carla-{office.number}"}
    return {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionDelegation", "metadata": metadata, "spec": spec}


@pytest.fixture
def deputies(bank: Bank) -> Iterator[Bank]:
    """Approvers may delegate, and deputies may press the button, but approve no tier."""
    plane = bank.control_plane
    plane.kubectl("create", "clusterrolebinding", "delegators", "--clusterrole=signoff-delegator", "--group=model-approvers")
    plane.kubectl("-n", "credit", "create", "rolebinding", "deputies", "--clusterrole=signoff-approver", "--group=deputies")
    yield bank
    plane.kubectl("delete", "clusterrolebinding", "delegators")
    plane.kubectl("-n", "credit", "delete", "rolebinding", "deputies")
    plane.kubectl("delete", "promotiondelegations", "--all")


def delegated(office: Office, name: str) -> str:
    return erik(office.bank, "create", "-f", "-", stdin=yaml.safe_dump(office.decision(delegation=name)))


def test_a_delegate_approves_in_somebodys_name_and_the_event_says_so(deputies: Bank, office: Office) -> None:
    office.frozen()
    own = erik(deputies, "create", "-f", "-", stdin=yaml.safe_dump(office.decision()))
    assert "holds none of the roles" in " ".join(own.split())
    made = grant(office)
    office.apply(CARLA, made, verb="create")
    assert "created" in delegated(office, made["metadata"]["name"])
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    told = deputies.signoff("why", office.image)
    assert told.returncode == 0
    out = " ".join(told.stdout.split())
    assert f"approved by {ERIK}" in out
    assert f"in the name of {CARLA}, who granted it at" in out
    assert "Two weeks in the mountains." in out
    statement = json.loads(deputies.control_plane.kubectl("get", "promotiondelegation", made["metadata"]["name"], "-o", "json").stdout)
    assert statement["grant"]["statement"] in out
    assert deputies.signoff("verify", office.status()["id"]).returncode == 0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another model": ({"models": ["fraud-*"]}, "is for models fraud-*"),
    "another tier": ({"tiers": ["tier-1"]}, "is for tier-1, not for tier-2"),
    "somebody else": ({"to": {"issuer": PEOPLE_ISSUER, "subject": BEN}}, f"lets {BEN} decide"),
    "later": ({"validFrom": "2099-01-01T00:00:00Z", "validUntil": "2099-02-01T00:00:00Z"}, "holds from 2099-01-01"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_grant_out_of_scope_decides_nothing(deputies: Bank, office: Office, name: str) -> None:
    changes, why = REFUSED[name]
    office.frozen()
    made = grant(office, **changes)
    office.apply(CARLA, made, verb="create")
    assert why in " ".join(delegated(office, made["metadata"]["name"]).split())
    assert office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}") == []


def test_a_grant_that_was_taken_back_decides_nothing(deputies: Bank, office: Office) -> None:
    office.frozen()
    made = grant(office)
    office.apply(CARLA, made, verb="create")
    deputies.kubectl(CARLA, "delete", "promotiondelegation", made["metadata"]["name"])
    assert "is not there, or was taken back" in " ".join(delegated(office, made["metadata"]["name"]).split())


def test_bypass_14_the_author_lends_their_voice_to_nobody(deputies: Bank, office: Office) -> None:
    office.frozen()
    made = grant(office)
    office.apply(ANA, made, verb="create")
    assert "is the author whom the request names" in " ".join(delegated(office, made["metadata"]["name"]).split())


def test_nobody_grants_more_than_they_may(deputies: Bank, office: Office) -> None:
    plane = deputies.control_plane
    plane.kubectl("create", "clusterrolebinding", "petra-delegates", "--clusterrole=signoff-delegator", f"--user={PETRA}")
    try:
        office.frozen()
        made = grant(office)
        office.apply(PETRA, made, verb="create")
        said = " ".join(delegated(office, made["metadata"]["name"]).split())
        assert f"{PETRA}, in whose name it would be, holds none of the roles" in said
    finally:
        plane.kubectl("delete", "clusterrolebinding", "petra-delegates")


def test_what_a_grantor_may_do_is_asked_at_the_press(deputies: Bank, office: Office) -> None:
    """By their groups Carla holds the role; what Kubernetes lets her approve is taken from her after she has granted it."""
    plane = deputies.control_plane
    office.frozen()
    made = grant(office)
    office.apply(CARLA, made, verb="create")
    found = json.loads(plane.kubectl("-n", "credit", "get", "rolebinding", "approve-tier-2", "-o", "json").stdout)
    plane.kubectl("-n", "credit", "delete", "rolebinding", "approve-tier-2")
    try:
        office.until(lambda: "does not let" in refused(office, made), within=10)
        said = refused(office, made)
        assert f"Kubernetes does not let {CARLA} approve tier-2" in said
    finally:
        binding = {key: found[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
        plane.kubectl("create", "-f", "-", input=json.dumps({**binding, "metadata": {"name": "approve-tier-2", "namespace": "credit"}}))
    office.until(lambda: "created" in delegated(office, made["metadata"]["name"]), within=10)


def refused(office: Office, made: dict[str, Any]) -> str:
    """What a press by the grant is told, on a dry run: nothing is sealed, whatever is said."""
    decision = yaml.safe_dump(office.decision(delegation=made["metadata"]["name"]))
    return " ".join(erik(office.bank, "create", "--dry-run=server", "-f", "-", stdin=decision).split())
