"""How much may wait: requests without an outcome are bounded for each namespace, and presses by who may not decide leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from office import Office

from controlplane.bank import ANA, CARLA, Bank
from signoff.webhook.cluster import Cluster, api_client

pytestmark = pytest.mark.cluster

NAMESPACE = "crowded"
MOST = 100


def waiting(office: Office, number: int, **changes: Any) -> dict[str, Any]:
    """A request that no policy covers: it waits without anything being frozen."""

    def uncovered(spec: dict[str, Any]) -> None:
        spec["model"]["name"] = "uncovered"
        spec["target"] |= {"namespaces": [NAMESPACE], **changes}

    manifest = office.promotion(uncovered)
    manifest["metadata"] = {"name": f"waiting-{number}", "namespace": NAMESPACE}
    return manifest


@pytest.fixture
def crowded(bank: Bank, office: Office) -> Iterator[Office]:
    """A namespace in which as many requests wait as may."""
    plane = bank.control_plane
    plane.kubectl("create", "namespace", NAMESPACE)
    try:
        plane.kubectl("create", "-f", "-", input=yaml.safe_dump_all([waiting(office, number) for number in range(MOST)]))
        yield office
    finally:
        plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def create(bank: Bank, manifest: dict[str, Any], *flags: str) -> str:
    done = bank.control_plane.kubectl("create", "-f", "-", *flags, input=yaml.safe_dump(manifest), check=False)
    return done.stdout + done.stderr


def test_bypass_12_one_namespace_holds_a_bounded_number_of_pending_requests(bank: Bank, crowded: Office) -> None:
    for flags in ((), ("--dry-run=server",)):
        said = create(bank, waiting(crowded, MOST), *flags)
        assert "denied the request" in said
        assert f"{MOST} requests in namespace {NAMESPACE} wait for a decision already" in said
    assert "created" in create(bank, waiting(crowded, MOST + 1, clusters=["elsewhere"])), (
        "what is for another cluster is not witnessed here"
    )
    crowded.frozen()  # another namespace has room of its own
    bank.control_plane.kubectl("-n", NAMESPACE, "delete", "modelpromotion", "waiting-7")
    assert "created" in create(bank, waiting(crowded, MOST))
    assert "wait for a decision already" in create(bank, waiting(crowded, MOST + 2))


def test_what_was_promoted_waits_no_more(bank: Bank, office: Office) -> None:
    kubeconfig = bank.control_plane.kubeconfig_for_service_account("signoff-system", "signoff-webhook")
    cluster = Cluster(api_client(str(kubeconfig)))
    before = cluster.pending("credit", 10_000)
    office.frozen()
    assert cluster.pending("credit", 10_000) == before + 1
    assert cluster.pending("credit", 1) == 1, "no further than asked for"
    office.decide(CARLA)
    office.until(lambda: office.status().get("event"))
    assert cluster.pending("credit", 10_000) == before


def test_bypass_12_presses_by_who_may_not_decide_leave_nothing_in_the_archive(bank: Bank, office: Office) -> None:
    office.frozen()
    folders = ("seals", "freezes", "blobs", "statements", "events")
    before = {folder: office.archived(folder) for folder in folders}
    for number in range(10):  # the author, an approver otherwise
        assert "denied the request" in office.decide(ANA, check=False, verdict=("Approve", "Reject")[number % 2])
    for digit in "123":
        assert "no such freeze" in office.decide(CARLA, check=False, freeze="sha256:" + digit * 64)
    assert {folder: office.archived(folder) for folder in folders} == before
    assert office.name not in bank.control_plane.kubectl("-n", "credit", "get", "promotiondecisions", "-o", "name").stdout
