"""What runs is judged by the gate's own code, over a real archive: each answer, and what is looked at and what is not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from world import SPEC, STORED, World

from signoff.gate.verdict import Exemption
from signoff.operator.commit import commit
from signoff.record.canonical import dumps
from signoff.record.promotion import PROMOTION_TYPE
from signoff.record.values import parse
from signoff.running import judging
from signoff.running.judging import Look, Told, space, spaces
from signoff.running.report import Reported, result_of
from signoff.verify.reader import Reader
from tests.running.serving import GATE, Serving, deployment, gate_configuration, pod, replica_set
from tests.webhook.reviews import IMAGE, OTHER_IMAGE

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
PROXY = f"registry.bank.example/mesh/proxy@sha256:{'0c' * 32}"
EXEMPT = parse(Exemption, dumps({"repository": "registry.bank.example/mesh/*", "reason": "the mesh", "until": "2027-01-01"}), "exemption")
OF_DEPLOYMENT = ("apps/v1", "Deployment", "scoring")


@pytest.fixture
def promoted(world: World) -> World:
    frozen = world.freeze()
    sealed = world.seal(frozen.payload, frozen.freeze)
    world.archive_seal(sealed)
    commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], STORED)
    return world


def look(world: World) -> Look:
    return Look(world.reader, "demo", (EXEMPT,), NOW)


def told(serving: Serving, taken: Look, namespace: str = "credit") -> dict[str, Told]:
    listing = serving.listing()
    return {one.running.name: one for one in taken.at(listing, space(listing, namespace))}


def answers(found: dict[str, Told]) -> dict[str, str]:
    return {name: one.answer for name, one in found.items()}


def test_each_answer(promoted: World, serving: Serving) -> None:
    serving.add(pod("promoted", IMAGE, PROXY))
    serving.add(pod("other", PROXY, OTHER_IMAGE))
    serving.add(pod("mesh", PROXY))
    serving.add(deployment("unresolved", "auto"))
    serving.add(pod("unreadable"))
    serving.add(pod("tag", "registry.bank.example/models/credit-scoring:2.4.0"))
    found = told(serving, look(promoted))
    assert answers(found) == {
        "promoted": "admitted", "other": "refused", "mesh": "exempt", "unresolved": "admitted", "unreadable": "refused", "tag": "refused",
    }  # fmt: skip
    assert found["other"].image == OTHER_IMAGE, "the image that the reason is about, not the first"
    assert "no promotion event" in found["other"].reason
    assert found["tag"].mend == f"pin what was promoted as 2.4.0: {IMAGE}"
    assert found["unreadable"].reason == "spec.containers: there is no container"
    assert found["unresolved"].reason == "names no image yet; its Pods are asked about"


def test_pods_that_ended_are_passed_over_and_no_others(promoted: World, serving: Serving) -> None:
    for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown", ""):
        serving.add(pod(f"pod-{phase}", OTHER_IMAGE, status={"phase": phase}))
    assert set(told(serving, look(promoted))) == {"pod-Pending", "pod-Running", "pod-Unknown", "pod-"}


def test_what_a_known_kind_made_is_told_by_its_maker_and_its_pods(promoted: World, serving: Serving) -> None:
    serving.add(deployment("scoring", OTHER_IMAGE))
    serving.add(replica_set("scoring-5d9f", OTHER_IMAGE, owner=OF_DEPLOYMENT))
    serving.add(replica_set("of-a-rollout", OTHER_IMAGE, owner=("argoproj.io/v1alpha1", "Rollout", "scoring")))
    serving.add(pod("scoring-5d9f-x", OTHER_IMAGE, owner=("apps/v1", "ReplicaSet", "scoring-5d9f")))
    serving.add(pod("of-a-rollout-x", OTHER_IMAGE, owner=("apps/v1", "ReplicaSet", "of-a-rollout")))
    found = told(serving, look(promoted))
    assert set(found) == {"scoring", "of-a-rollout", "scoring-5d9f-x", "of-a-rollout-x"}
    assert str(found["scoring-5d9f-x"].running.top) == "deployments/scoring"
    assert str(found["of-a-rollout-x"].running.top) == "replicasets/of-a-rollout"


def test_bypass_04_an_owner_that_is_not_there_hides_nothing(promoted: World, serving: Serving) -> None:
    serving.add(deployment("scoring", IMAGE))
    serving.add(replica_set("of-nobody", OTHER_IMAGE, owner=("apps/v1", "Deployment", "no-such")))
    serving.add(replica_set("round", OTHER_IMAGE, owner=("apps/v1", "ReplicaSet", "round")))
    of_another = serving.add(replica_set("of-another", OTHER_IMAGE, owner=OF_DEPLOYMENT))
    of_another["metadata"]["ownerReferences"][0]["uid"] = "uid-of-a-deployment-of-the-same-name"
    for maker in ("of-nobody", "round", "of-another", "no-such"):
        serving.add(pod(f"{maker}-x", OTHER_IMAGE, owner=("apps/v1", "ReplicaSet", maker)))
    found = told(serving, look(promoted))
    assert {name for name, one in found.items() if one.answer == "refused"} == {
        "of-nobody", "round", "of-another", "of-nobody-x", "round-x", "of-another-x", "no-such-x",
    }  # fmt: skip
    assert str(found["no-such-x"].running.top) == "pods/no-such-x"


def test_an_archive_out_of_reach_is_could_not_tell_and_is_soon_asked_no_more(promoted: World, serving: Serving, tmp_path: Path) -> None:
    serving.add(pod("mesh", PROXY))
    serving.add(pod("tag", "registry.bank.example/m:1"))
    for number in range(9):
        serving.add(pod(f"p{number}", f"registry.bank.example/m@sha256:{number}{'a' * 63}"))
    (tmp_path / "archive").rename(tmp_path / "away")
    found = told(serving, look(promoted))
    assert answers(found) == {"mesh": "exempt", "tag": "refused", **{f"p{number}": "could not tell" for number in range(9)}}
    reasons = [one.reason for name, one in found.items() if name.startswith("p")]
    assert sum("there is no such folder" in reason for reason in reasons) == 3
    assert sum("asked no more" in reason for reason in reasons) == 6


def test_a_digest_is_looked_up_once_in_a_look(promoted: World, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = Reader.find

    def find(self: Reader, *arguments: Any) -> Any:
        asked.append(arguments[0])
        return real(self, *arguments)

    monkeypatch.setattr(Reader, "find", find)
    for number in range(20):
        serving.add(pod(f"p{number}", IMAGE))
    taken = look(promoted)
    assert set(answers(told(serving, taken)).values()) == {"admitted"}
    assert len(asked) == 1
    monkeypatch.setattr(judging, "MAX_KEPT", 1)
    serving.add(pod("other", OTHER_IMAGE))
    told(serving, taken)
    assert len(taken._found) == 1, "bounded"


LABELS = {"signoff.dev/gate": "audit", "signoff.dev/environment": "production"}
COVERED = [
    ({"signoff.dev/gate": "enforce", "signoff.dev/environment": "production"}, "enforce", "refused", "came past it"),
    (LABELS, "audit", "refused", "no promotion event"),
    ({"signoff.dev/environment": "production"}, "audit", "refused", "no promotion event"),
    ({"signoff.dev/gate": "enforce"}, "enforce", "could not tell", "bears no label signoff.dev/environment"),
    ({"signoff.dev/gate": "warn"}, "warn", "could not tell", "bears no label signoff.dev/environment"),
    ({"signoff.dev/environment": "elsewhere"}, "audit", "refused", "for elsewhere in demo/"),
    ({}, "none", "not gated", "bears no label signoff.dev/gate"),
    ({"team": "credit"}, "none", "not gated", "bears no label signoff.dev/gate"),
]


@pytest.mark.parametrize(("labels", "gate", "answer", "reason"), COVERED)
def test_the_namespaces_labels_say_what_is_asked(
    promoted: World, serving: Serving, labels: dict[str, str], gate: str, answer: str, reason: str
) -> None:
    serving.namespaces["there"] = labels
    serving.add(pod("one", OTHER_IMAGE, namespace="there"))
    one = told(serving, look(promoted), "there")["one"]
    assert (one.space.coverage.word, one.answer) == (gate, answer)
    assert reason in one.reason


def test_where_no_gate_looks_it_is_told_as_not_gated(promoted: World, serving: Serving) -> None:
    serving.namespaces |= {"kube-system": {"kubernetes.io/metadata.name": "kube-system", **LABELS}}
    serving.add(pod("one", OTHER_IMAGE, namespace="kube-system"))
    one = told(serving, look(promoted), "kube-system")["one"]
    assert (one.answer, one.image, one.reason) == ("not gated", OTHER_IMAGE, "no webhook of the gate covers this namespace")
    assert [each.name for each in spaces(serving.listing())] == ["credit", "kube-system"]
    serving.more[GATE] = gate_configuration("enforce")
    serving.namespaces["bare"] = {}
    assert space(serving.listing(), "bare").coverage.word == "enforce"
    del serving.more[GATE]
    assert "no webhook configuration signoff-gate" in space(serving.listing(), "credit").coverage.why


def test_a_report_says_the_worst_first_counts_all_and_fits_into_etcd(promoted: World, serving: Serving) -> None:
    serving.namespaces["credit"] = {**serving.namespaces["credit"], "signoff.dev/gate": "enforce"}
    for number in range(800):
        serving.add(pod(f"{number}-{'n' * 240}", f"registry.bank.example/{'m' * 3900}:{number}"))
    serving.add(pod("promoted", IMAGE))
    serving.add(pod("mesh", PROXY))
    reported = Reported(space(serving.listing(), "credit"), "demo", NOW)
    for one in told(serving, look(promoted)).values():
        reported.add(one)
    manifest = reported.manifest()
    assert manifest["summary"] == {"fail": 800, "error": 0, "warn": 0, "skip": 1, "pass": 1}
    results = manifest["results"]
    assert isinstance(results, list)
    assert [one["result"] for one in results] == ["fail"] * 500  # type: ignore[call-overload,index]
    assert len(dumps(manifest)) < 1024 * 1024


def test_what_is_refused_where_nothing_is_enforced_is_a_warning_in_a_report(promoted: World, serving: Serving) -> None:
    results = {}
    for gate in ("enforce", "warn", "audit"):
        serving.namespaces[gate] = {**LABELS, "signoff.dev/gate": gate}
        serving.add(pod("one", OTHER_IMAGE, namespace=gate))
        results[gate] = result_of(told(serving, look(promoted), gate)["one"])
    assert results == {"enforce": "fail", "warn": "warn", "audit": "warn"}


def expiring(world: World, **changes: Any) -> None:
    """Promote the example for a day, after which what ran goes on; decided on 2 March."""
    frozen = world.freeze({**SPEC, "validFor": "24h", "onExpiry": "deny-new-rollouts", **changes})
    sealed = world.seal(frozen.payload, frozen.freeze)
    world.archive_seal(sealed)
    commit(world.reader, world.event_key, frozen.freeze, PROMOTION_TYPE, [sealed], STORED)


def test_after_an_expiry_a_pod_that_its_owner_makes_again_is_admitted_and_a_rollout_is_not(world: World, serving: Serving) -> None:
    expiring(world)
    serving.add(deployment("scoring", IMAGE))
    for name, made in (("before", "2026-03-02T12:00:00Z"), ("after", "2026-03-03T20:00:00Z")):
        serving.add(replica_set(name, IMAGE, owner=OF_DEPLOYMENT))["metadata"]["creationTimestamp"] = made
        serving.add(pod(f"of-{name}", IMAGE, owner=("apps/v1", "ReplicaSet", name)))
    serving.add(pod("alone", IMAGE))
    stranger = serving.add(pod("stranger", IMAGE, owner=("apps/v1", "ReplicaSet", "before")))
    stranger["metadata"]["ownerReferences"][0]["uid"] = "uid-of-somebody-else"
    serving.add(pod("another-image", OTHER_IMAGE, owner=("apps/v1", "ReplicaSet", "before")))
    found = told(serving, look(world))
    assert answers(found) == {
        "scoring": "refused", "of-before": "admitted", "of-after": "refused", "alone": "refused", "stranger": "refused",
        "another-image": "refused",
    }  # fmt: skip
    assert "expired" in found["scoring"].reason
    assert "expired" in found["of-before"].reason, "what is warned of is told"


def test_what_was_revoked_is_refused(world: World, serving: Serving) -> None:
    expiring(world, validFor="8760h")
    serving.add(pod("one", IMAGE))
    assert told(serving, look(world))["one"].answer == "admitted"
    (request,) = world.reader.history("credit-scoring", "production")
    world.correct(world.reader.outcome(request))
    one = told(serving, look(world))["one"]
    assert one.answer == "refused"
    assert "revoked by carla@bank.example" in one.reason


def test_the_tier_that_a_namespace_asks_for_is_asked_for_here_too(promoted: World, serving: Serving) -> None:
    serving.add(pod("one", IMAGE))
    for tier, answer in (("tier-1", "refused"), ("tier-2", "admitted"), ("tier-9", "could not tell")):
        serving.namespaces["credit"]["signoff.dev/minimum-tier"] = tier
        assert told(serving, look(promoted))["one"].answer == answer
