"""A committee that presses all at once, in two tabs each, over two webhooks and two operators, some of which die meanwhile.

1. There is one event, and it holds a true quorum: distinct people, each role filled by its own, nobody twice.
2. Whoever pressed is in the archive with one seal, and was told of no other; whoever came too late is told that it is decided.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from request import GROUP, NAMESPACE, VERSION, WAIT, Request
from stand import Stand

from controlplane.bank import PAULA
from signoff.archive import layout

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

MEMBERS = [f"member-{number}@bank.example" for number in range(20)]
RISK = {member for number, member in enumerate(MEMBERS) if number % 2}
QUORUM, APPROVERS, RISK_MEMBERS = 7, 3, 2


@pytest.fixture
def request_of_a_committee(stand: Stand) -> Iterator[Request]:
    with stand.doubled():
        request = Request(stand)
        role = {"name": "approver", "groups": ["model-approvers"], "count": APPROVERS}
        risk = {"name": "model-risk", "groups": ["model-risk"], "count": RISK_MEMBERS}
        spec = {
            "models": [{"names": [request.model], "namespaces": ["credit"]}],
            "rules": [{"name": "committee", "tier": "tier-2"}],
            "tiers": {"tier-2": {"quorum": QUORUM, "roles": [role, risk], "fourEyes": True, "assurance": "api-server"}},
        }
        policy = {"apiVersion": "signoff.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": {"name": request.model}, "spec": spec}
        stand.bank.kubectl(PAULA, "apply", "-f", "-", stdin=json.dumps(policy))
        yield request
        stand.bank.kubectl(PAULA, "delete", "promotionpolicy", request.model)


def api_of(stand: Stand, who: str) -> client.CustomObjectsApi:
    groups = ("model-approvers", "model-risk") if who in RISK else ("model-approvers",)
    settings = client.Configuration()
    config.load_kube_config(config_file=str(stand.plane.kubeconfig_for(who, groups)), client_configuration=settings)
    return client.CustomObjectsApi(client.ApiClient(settings))


def asked(api: client.CustomObjectsApi, manifest: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Create a decision, and return the status code and what was answered."""
    try:
        made = api.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, "promotiondecisions", manifest, _request_timeout=WAIT)
    except ApiException as error:
        return error.status, json.loads(error.body or "{}")
    return 201, made


def found(stand: Stand, name: str) -> dict[str, Any]:
    api = client.CustomObjectsApi(stand.api(None))
    decision: dict[str, Any] = api.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, "promotiondecisions", name)
    return decision


def test_bypass_14_twenty_press_at_once_and_one_event_holds_a_true_quorum(request_of_a_committee: Request) -> None:
    request = request_of_a_committee
    stand = request.stand
    apis = {who: api_of(stand, who) for who in MEMBERS}  # made one after another: the loader is not made for several
    request.submit()
    request.until("Frozen", 60)
    status = request.status()

    def pressed(who: str, tab: int) -> str | None:
        """Press until it is done, and return the seal; None where the request was decided before."""
        named = {"name": f"{request.name}-{who.partition('@')[0]}-{tab}", "namespace": NAMESPACE}
        told = {"promotion": request.name, "freeze": status["freeze"], "rendition": status["desk"]["text"], "verdict": "Approve"}
        spec = {**told, "meaning": f"I approve this, in tab {tab}."}
        manifest = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "PromotionDecision", "metadata": named, "spec": spec}
        deadline = time.monotonic() + WAIT
        while True:
            code, answer = asked(apis[who], manifest)
            if code == 201:
                return str(answer["seal"]["bundle"])
            if code == 409:  # an earlier try had come through, and its answer was lost
                return str(found(stand, named["name"])["seal"]["bundle"])
            message = str(answer.get("message"))
            if "outcome already" in message:
                return None
            assert code == 500 or "safe to press again" in message, message
            assert time.monotonic() < deadline, message
            time.sleep(0.1)

    presses = list(product(MEMBERS, (1, 2)))
    random.Random(request.stand.made).shuffle(presses)  # noqa: S311 - an order, not a secret
    with ThreadPoolExecutor(len(presses)) as pool:
        begun = [(who, pool.submit(pressed, who, tab)) for who, tab in presses]
        for name in ("webhook-2", "operator"):
            time.sleep(0.2)
            stand.kill(name)
        stand.revive()
        seals: dict[str, set[str]] = {}
        for who, one in begun:
            seals.setdefault(who, set()).update({one.result()} - {None})
    request.until("Promoted", 60)

    outcome = stand.reader.outcome(request.id)  # verifies, quorum and all, or raises
    assert outcome.promotes
    assert stand.versions(layout.event(request.id)) == {layout.event(request.id): 1}
    people = [decided.principal.subject for decided in outcome.decisions]
    assert len(people) == len(set(people)) >= QUORUM
    assert set(people) <= set(MEMBERS)
    assert len([one for one in outcome.decisions if "model-risk" in one.roles]) >= RISK_MEMBERS
    assert all(len(theirs) <= 1 for theirs in seals.values()), "two tabs, two seals"
    archived = stand.versions(layout.seals_prefix(status["freeze"]))
    assert set(archived.values()) == {1}
    assert len(archived) >= len([who for who, theirs in seals.items() if theirs])
    request.gone()
