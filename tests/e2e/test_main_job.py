"""The main job, end to end: a request is frozen, decided, promoted, and only then does Kubernetes admit the model."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from pathlib import Path

import httpx
import pytest
import yaml
from office import Office

from controlplane.bank import ANA, BEN, CARLA, DAVID, PAULA, PETRA, Bank

pytestmark = pytest.mark.cluster

KINDS = {
    "Pod": lambda spec: {"apiVersion": "v1", "kind": "Pod", "spec": spec},
    "PodTemplate": lambda spec: {"apiVersion": "v1", "kind": "PodTemplate", "template": _labelled(spec)},
    "ReplicationController": lambda spec: {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "spec": {"selector": {"app": "m"}, "template": _labelled(spec)},
    },
    "Deployment": lambda spec: _apps("Deployment", spec),
    "ReplicaSet": lambda spec: _apps("ReplicaSet", spec),
    "DaemonSet": lambda spec: _apps("DaemonSet", spec),
    "StatefulSet": lambda spec: _apps("StatefulSet", spec, serviceName="m"),
    "Job": lambda spec: {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {**spec, "restartPolicy": "Never"}}}},
    "CronJob": lambda spec: {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {
            "schedule": "0 3 * * *",
            "jobTemplate": {"spec": {"template": {"spec": {**spec, "restartPolicy": "Never"}}}},
        },
    },
}


def _labelled(spec: dict[str, object]) -> dict[str, object]:
    return {"metadata": {"labels": {"app": "m"}}, "spec": spec}


def _apps(kind: str, spec: dict[str, object], **more: object) -> dict[str, object]:
    return {"apiVersion": "apps/v1", "kind": kind, "spec": {"selector": {"matchLabels": {"app": "m"}}, "template": _labelled(spec), **more}}


def workload(kind: str, office: Office, spec: dict[str, object]) -> dict[str, object]:
    metadata = {"name": f"{office.model}-{kind.lower()}", "namespace": "credit"}
    return {**KINDS[kind](spec), "metadata": metadata}


def test_no_event_no_deploy_then_approved_then_admitted(office: Office) -> None:
    refused = office.apply(BEN, office.pod(), check=False)
    assert "spec.containers[0].image" in refused
    assert "no promotion event for this digest for production in demo/credit" in refused
    assert f"signoff draft {office.image}" in refused
    status = office.frozen()
    assert status["tier"] == "tier-2"
    assert status["policy"] == "credit-models"
    assert office.condition("Reconciling")["status"] == "True"
    assert office.condition("Ready")["status"] == "False"
    office.decide(CARLA)
    office.until(lambda: office.condition("Ready").get("status") == "True")
    assert office.condition("Promoted")["status"] == "True"
    office.until(lambda: "created" in office.apply(BEN, office.pod(), check=False), within=5)


def test_the_pods_of_an_admitted_deployment_run(office: Office) -> None:
    office.promoted(CARLA)
    office.apply(BEN, workload("Deployment", office, {"containers": [{"name": "model", "image": office.image}]}))
    done = office.bank.kubectl(BEN, "-n", "credit", "rollout", "status", f"deployment/{office.model}-deployment", "--timeout=60s")
    assert "successfully rolled out" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_gated(office: Office, kind: str) -> None:
    manifest = workload(kind, office, {"containers": [{"name": "model", "image": office.image}]})
    refused = office.apply(BEN, manifest, check=False)
    assert "no promotion event for this digest" in refused
    assert "is immutable" not in refused
    office.promoted(CARLA)
    office.until(lambda: "created" in office.apply(BEN, manifest, check=False), within=5)


@pytest.mark.parametrize("leaf", ["initContainers", "volumes"])
def test_bypass_01_fields_nobody_looked_at(office: Office, leaf: str) -> None:
    office.promoted(CARLA)
    stranger = "registry.bank.example/models/stranger@sha256:" + "5" * 64
    values: dict[str, object] = {
        "initContainers": [{"name": "first", "image": stranger}],
        "volumes": [{"name": "model", "image": {"reference": stranger}}],
    }
    refused = office.apply(BEN, office.pod(**{leaf: values[leaf]}), check=False)
    assert f"spec.{leaf}[0]" in refused


def test_bypass_01_ephemeral_containers(office: Office) -> None:
    office.promoted(CARLA)
    pod = office.pod()
    office.until(lambda: "created" in office.apply(BEN, pod, check=False), within=5)
    stranger = "registry.bank.example/models/stranger@sha256:" + "6" * 64
    name = pod["metadata"]["name"]
    body = json.dumps({"spec": {"ephemeralContainers": [{"name": "debug", "image": stranger}]}})
    arguments = ("-n", "credit", "patch", "pod", name, "--subresource=ephemeralcontainers", "--type=strategic", "-p", body)
    done = office.bank.kubectl(BEN, *arguments, check=False)
    assert "spec.ephemeralContainers[0].image" in done.stderr


def test_the_author_the_submitter_and_strangers_cannot_approve(office: Office) -> None:
    office.frozen()
    assert "is the author whom the request names" in office.decide(ANA, check=False)
    assert "Forbidden" in office.decide(BEN, check=False) or "forbidden" in office.decide(BEN, check=False)
    assert "forbidden" in office.decide(PAULA, check=False)
    assert not office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")
    assert not office.event_path().exists()


def test_who_submits_cannot_approve_though_they_are_an_approver(office: Office, bank: Bank) -> None:
    office.frozen(lambda spec: spec.update(author="somebody@else.example"), who=ANA)
    assert "submitted the request" in office.decide(ANA, check=False)
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("status") == "True")


def test_a_service_account_cannot_approve_for_people(office: Office, bank: Bank) -> None:
    office.frozen()
    plane = bank.control_plane
    for role in ("signoff-approver", "signoff-approve-tier-2"):
        plane.kubectl("-n", "credit", "create", "rolebinding", f"robot-{role}", f"--clusterrole={role}", "--serviceaccount=credit:default")
    try:
        kubeconfig = plane.kubeconfig_for_service_account("credit", "default")
        done = plane.kubectl("create", "-f", "-", kubeconfig=kubeconfig, input=json.dumps(office.decision()), check=False)
        assert "is a service" in done.stderr
    finally:
        for role in ("signoff-approver", "signoff-approve-tier-2"):
            plane.kubectl("-n", "credit", "delete", "rolebinding", f"robot-{role}")


def test_an_impersonated_user_is_nobody(office: Office, bank: Bank) -> None:
    office.frozen()
    arguments = ("create", "-f", "-", f"--as={CARLA}", "--as-group=model-approvers", "--as-group=system:authenticated")
    done = bank.control_plane.kubectl(*arguments, input=json.dumps(office.decision()), check=False)
    assert "no configured issuer vouches for" in done.stderr


def test_without_the_verb_approve_nobody_approves(office: Office, bank: Bank) -> None:
    office.frozen()
    plane = bank.control_plane
    binding = plane.kubectl("-n", "credit", "get", "rolebinding", "approve-tier-2", "-o", "json").stdout
    plane.kubectl("-n", "credit", "delete", "rolebinding", "approve-tier-2")
    try:
        office.until(lambda: "does not let" in office.decide(CARLA, check=False, flags=("--dry-run=server",)), within=10)
    finally:
        plane.kubectl("apply", "-f", "-", input=binding)


def test_a_rejection_is_final_and_admits_nothing(office: Office) -> None:
    office.frozen()
    office.decide(CARLA, verdict="Reject", meaning="I reject this promotion.")
    office.until(lambda: office.condition("Stalled").get("status") == "True")
    assert office.condition("Ready")["reason"] == "Rejected"
    assert "outcome already" in office.decide(DAVID, check=False)
    refused = office.apply(BEN, office.pod(), check=False)
    assert "no promotion event for this digest" in refused


def test_a_changed_spec_is_refused_with_403(office: Office) -> None:
    office.frozen()
    changed = office.promotion(lambda spec: spec.update(reason="another reason"))
    said = office.apply(BEN, changed, check=False)
    assert "does not change once it was submitted" in said
    assert "is immutable" not in said
    assert "immutable field" not in said
    assert "Forbidden" in said or "denied the request" in said


def test_the_same_manifest_again_is_the_same_request(office: Office) -> None:
    request = office.promoted(CARLA)
    event = office.event_path().read_bytes()
    assert "unchanged" in office.apply(BEN, office.promotion())
    office.bank.kubectl(BEN, "-n", "credit", "delete", "modelpromotion", office.name)
    office.apply(BEN, office.promotion())
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    assert office.status()["id"] == request
    assert office.event_path().read_bytes() == event


def test_a_decision_on_what_was_not_shown_is_refused(office: Office) -> None:
    office.frozen()
    other = "sha256:" + "7" * 64
    assert "has no such freeze in the archive" in office.decide(CARLA, check=False, freeze=other)
    assert "is no rendition of this freeze" in office.decide(CARLA, check=False, rendition=other)
    assert "spec.verdict" in office.decide(CARLA, check=False, verdict="Perhaps")
    assert "this field is unknown" in office.decide(CARLA, check=False, note="x")
    assert not office.event_path().exists()


def test_client_made_seals_and_submissions_are_refused(office: Office) -> None:
    promotion = {**office.promotion(), "submission": {"issuer": "x", "subject": "y", "name": "z", "time": "t", "bundle": "eA=="}}
    assert "only admission writes this field" in office.apply(BEN, promotion, check=False)
    office.frozen()
    forged = {**office.decision(), "seal": {"bundle": "eA=="}}
    assert "only admission makes seals" in office.apply(CARLA, forged, check=False, verb="create")


def test_a_dry_run_gets_no_seal(office: Office) -> None:
    freeze = office.frozen()["freeze"].removeprefix("sha256:")
    said = office.decide(CARLA, flags=("--dry-run=server",))
    assert "nothing was sealed" in said
    assert not office.archived(f"seals/{freeze}")


def test_pressing_twice_gives_the_stored_seal_and_another_verdict_is_refused(office: Office, bank: Bank) -> None:
    bank.end("operator")
    try:
        bank_status = None
        bank.start("operator")
        bank_status = office.frozen()
        bank.end("operator")
        office.decide(CARLA)
        first = office.archived(f"seals/{bank_status['freeze'].removeprefix('sha256:')}")
        decision = office.decision()
        office.apply(CARLA, decision, verb="create")
        again = office.get("promotiondecision", decision["metadata"]["name"])["seal"]["bundle"]
        assert office.archived(f"seals/{bank_status['freeze'].removeprefix('sha256:')}") == first
        assert "a decision is not taken back" in office.decide(CARLA, check=False, verdict="Reject")
        assert again
    finally:
        bank.start("operator")
    office.until(lambda: office.condition("Promoted").get("status") == "True")


def test_after_loss_of_the_cluster_the_approver_presses_again_and_gets_the_stored_seal(office: Office, bank: Bank) -> None:
    freeze = office.frozen()["freeze"]
    bank.end("operator")
    decision = office.decision()
    office.apply(CARLA, decision, verb="create")
    sealed = office.get("promotiondecision", decision["metadata"]["name"])["seal"]["bundle"]
    plane = bank.control_plane
    plane.kubectl("-n", "credit", "delete", "promotiondecision", decision["metadata"]["name"])
    plane.kubectl("-n", "credit", "delete", "modelpromotion", office.name)
    bank.start("operator")
    status = office.frozen()
    assert status["freeze"] == freeze
    assert office.condition("Decided")["status"] == "False"
    again = office.decision()
    office.apply(CARLA, again, verb="create")
    assert office.get("promotiondecision", again["metadata"]["name"])["seal"]["bundle"] == sealed
    office.until(lambda: office.condition("Promoted").get("status") == "True")


def test_an_explanation_that_is_not_what_its_hash_says(office: Office) -> None:
    office.apply(BEN, office.promotion(lambda spec: spec["explanation"].update(digest="sha256:" + "8" * 64)))
    office.until(lambda: office.condition("Stalled").get("status") == "True")
    assert "hashes to sha256:" in office.condition("Ready")["message"]
    assert office.condition("Frozen")["status"] == "False"


def test_an_explanation_from_an_allowed_address(office: Office, report_prefix: str) -> None:
    office.frozen(lambda spec: spec["explanation"].update(source={"url": f"{report_prefix}explanation.html"}))
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("status") == "True")


def test_an_explanation_from_elsewhere_is_not_fetched(office: Office) -> None:
    office.apply(BEN, office.promotion(lambda spec: spec["explanation"].update(source={"url": "https://169.254.169.254/latest/"})))
    office.until(lambda: office.condition("Stalled").get("status") == "True")
    assert "is under no allowed prefix" in office.condition("Ready")["message"]


def test_an_inline_explanation(office: Office) -> None:
    text = "# What changes\n\nNothing but the seed."
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    office.frozen(lambda spec: spec.update(explanation={"mediaType": "text/markdown", "digest": digest, "source": {"inline": text}}))
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("status") == "True")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda spec: spec.update(note="x"), "spec.note: this field is unknown"),
        (lambda spec: spec["model"].update(note="x"), "spec.model.note: this field is unknown"),
        (lambda spec: spec["model"].update(image="registry.bank.example/models/x:1.0"), "must be written registry/repository@sha256"),
        (lambda spec: spec["comparison"]["candidate"]["metrics"][0].update(value=0.81), "is a float"),
        (lambda spec: spec.update(attempt=0), "spec.attempt"),
        (lambda spec: spec.pop("author"), "spec.author: this field is missing"),
        (lambda spec: spec.update(reason="a\u202eb"), "U+202E"),
    ],
)
def test_a_spec_that_is_wrong_is_refused_with_its_path(office: Office, change: object, says: str) -> None:
    said = office.apply(BEN, office.promotion(change), check=False)  # type: ignore[arg-type]
    assert says in said
    assert "denied the request" in said


def test_only_a_policy_publisher_publishes(office: Office, bank: Bank) -> None:
    plane = bank.control_plane
    policy = plane.kubectl("get", "promotionpolicy", "credit-models", "-o", "json").stdout
    edited = json.loads(policy)
    edited["spec"]["tiers"]["tier-2"]["roles"][0]["groups"] = ["credit-team"]
    said = plane.kubectl("replace", "-f", "-", input=json.dumps(edited), check=False)
    assert "publisher" in said.stderr or "vouches" in said.stderr


def test_a_stale_incumbent_is_refused(office: Office) -> None:
    office.promoted(CARLA)
    first = office.digest
    later = Office(office.bank)
    later.model = office.model
    later.image = f"registry.bank.example/models/{office.model}@{later.digest}"
    later.apply(BEN, later.promotion())
    later.until(lambda: later.condition("Stalled").get("status") == "True")
    assert later.condition("Ready")["reason"] == "Stale"
    assert "make a new request that compares with the live version" in later.condition("Ready")["message"]
    assert first != later.digest


def test_kubernetes_events_tell_people(office: Office) -> None:
    office.promoted(CARLA)

    def told() -> set[str]:
        found = office.bank.control_plane.kubectl("-n", "credit", "get", "events", "-o", "json").stdout
        return {one["reason"] for one in json.loads(found)["items"] if one["involvedObject"]["name"] == office.name}

    office.until(lambda: {"AwaitingDecision", "Promoted"} <= told(), within=10)


def test_warn_admits_with_a_warning_and_audit_admits_in_silence(office: Office, bank: Bank) -> None:
    for mode in ("warn", "audit"):
        bank.kubectl(PETRA, "label", "namespace", "batch", f"signoff.dev/gate={mode}", "signoff.dev/environment=production", "--overwrite")
        pod = office.pod()
        pod["metadata"]["namespace"] = "batch"
        office.until(lambda: True)
        said = office.apply(BEN, pod)
        assert "created" in said
        assert ("signoff would refuse" in said) == (mode == "warn")


def test_on_update_only_new_images_are_asked_about(office: Office, bank: Bank) -> None:
    bank.kubectl(PETRA, "label", "namespace", "batch", "signoff.dev/gate=audit", "signoff.dev/environment=production", "--overwrite")
    pod = office.pod()
    pod["metadata"] |= {"namespace": "batch", "finalizers": ["bank.example/hold"]}
    office.apply(BEN, pod)
    bank.kubectl(PETRA, "label", "namespace", "batch", "signoff.dev/gate=enforce", "--overwrite")
    name = pod["metadata"]["name"]
    other_pod = {**pod, "metadata": {**pod["metadata"], "name": f"{name}-b"}}
    office.until(lambda: "no promotion event" in office.apply(BEN, other_pod, check=False))
    bank.kubectl(BEN, "-n", "batch", "patch", "pod", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    other = '{"spec":{"containers":[{"name":"model","image":"registry.bank.example/models/other@sha256:' + "9" * 64 + '"}]}}'
    done = bank.kubectl(BEN, "-n", "batch", "patch", "pod", name, "-p", other, check=False)
    assert "no promotion event" in done.stderr


def test_bypass_15_the_seals_door_serves_nobody_else(bank: Bank, tmp_path: Path) -> None:
    """Carla may approve, and her certificate is good at the API server; the door still does not talk to her."""
    user = yaml.safe_load(bank.kubeconfig(CARLA).read_text())["users"][0]["user"]
    files = {}
    for name in ("client-certificate", "client-key"):
        files[name] = tmp_path / name
        files[name].write_bytes(base64.b64decode(user[f"{name}-data"]))
    for certificate in (None, files):
        context = ssl.create_default_context(cafile=str(bank.control_plane.serving_ca_path))
        if certificate:
            context.load_cert_chain(certificate["client-certificate"], certificate["client-key"])
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{bank.door_url}/seal/decisions", content=b"{}", verify=context, trust_env=False)
        assert httpx.post(f"{bank.gate_url}/gate/enforce", content=b"{}", verify=context, trust_env=False).status_code == 400
        assert httpx.post(f"{bank.gate_url}/seal/decisions", content=b"{}", verify=context, trust_env=False).status_code == 404


def test_an_artefact_is_mounted_and_never_run(office: Office) -> None:
    artefact = "sha256:" + hashlib.sha256(f"artefact of {office.model}".encode()).hexdigest()
    office.frozen(lambda spec: spec["model"].update(artifacts=[{"name": "weights", "digest": artefact}]))
    office.decide(CARLA)
    office.until(lambda: office.condition("Promoted").get("status") == "True")
    reference = f"registry.bank.example/models/weights@{artefact}"
    said = office.apply(BEN, office.pod(reference), check=False)
    assert "promoted as an artefact" in said
    mounted = office.pod(volumes=[{"name": "model", "image": {"reference": reference}}])
    office.until(lambda: "created" in office.apply(BEN, mounted, "--dry-run=server", check=False), within=5)


def test_bypass_14_who_can_act_as_the_pipeline_cannot_approve_what_it_submits(office: Office, bank: Bank) -> None:
    """Ana may run Pods beside the pipeline's service account, and so could have submitted by its token."""
    plane = bank.control_plane
    binding = ("-n", "credit", "create", "rolebinding", "pipeline", "--clusterrole=signoff-submitter", "--serviceaccount=credit:default")
    plane.kubectl(*binding)
    try:
        pipeline = plane.kubeconfig_for_service_account("credit", "default")
        manifest = office.promotion(lambda spec: spec.update(author="somebody@else.example"))
        plane.kubectl("apply", "-f", "-", kubeconfig=pipeline, input=yaml.safe_dump(manifest))
        office.until(lambda: office.condition("Frozen").get("status") == "True")
        assert "service account credit/default" in office.decide(ANA, check=False)
        plane.kubectl("-n", "credit", "create", "role", "deployer", "--verb=create", "--resource=deployments.apps")
        plane.kubectl("-n", "credit", "create", "rolebinding", "deployer", "--role=deployer", f"--user={DAVID}")
        office.until(lambda: "may run Pods beside it" in office.decide(DAVID, flags=("--dry-run=server",), check=False))
        office.decide(CARLA)
        office.until(lambda: office.condition("Promoted").get("status") == "True")
    finally:
        plane.kubectl("-n", "credit", "delete", "rolebinding", "pipeline")
        plane.kubectl("-n", "credit", "delete", "role,rolebinding", "deployer", "--ignore-not-found")


def test_bypass_14_approvers_of_one_namespace_do_not_approve_for_another(office: Office, bank: Bank) -> None:
    """The request lies where Carla may approve, and asks for a namespace where she may not."""
    wide = json.loads(bank.control_plane.kubectl("get", "promotionpolicy", "credit-models", "-o", "json").stdout)
    policy = {**wide, "metadata": {"name": "credit-in-batch"}}
    policy["spec"]["models"] = [{"names": [office.model], "namespaces": ["batch"]}]
    policy.pop("publication")
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=json.dumps(policy))
    try:
        office.frozen(lambda spec: spec["target"].update(namespaces=["batch"]))
        assert "approve tier-2 in namespace batch" in office.decide(CARLA, check=False)
    finally:
        bank.kubectl(PAULA, "delete", "promotionpolicy", "credit-in-batch")


def test_only_a_policy_publisher_takes_a_policy_away(bank: Bank) -> None:
    done = bank.control_plane.kubectl("delete", "promotionpolicy", "credit-models", check=False)
    assert "vouches" in done.stderr or "publisher" in done.stderr
    assert bank.control_plane.kubectl("get", "promotionpolicy", "credit-models").returncode == 0


def test_a_name_that_is_taken_decides_nothing(office: Office) -> None:
    other = Office(office.bank)
    other.frozen()
    taken = other.decision()
    other.apply(CARLA, taken, verb="create")
    office.frozen()
    decision = office.decision(verdict="Reject", meaning="I reject this promotion.")
    decision["metadata"]["name"] = taken["metadata"]["name"]
    assert "nothing was decided" in office.apply(DAVID, decision, check=False, verb="create")
    assert not office.archived(f"seals/{office.status()['freeze'].removeprefix('sha256:')}")


def test_pressing_again_is_safe_under_a_quorum(office: Office, bank: Bank) -> None:
    one = json.loads(bank.control_plane.kubectl("get", "promotionpolicy", "credit-models", "-o", "json").stdout)
    policy = {**one, "metadata": {"name": "two-of-them"}}
    policy["spec"]["models"] = [{"names": [office.model], "namespaces": ["credit"]}]
    policy["spec"]["tiers"]["tier-2"]["quorum"] = 2
    policy.pop("publication")
    bank.kubectl(PAULA, "apply", "-f", "-", stdin=json.dumps(policy))
    try:
        office.frozen()
        for _ in range(2):
            done = bank.signoff("approve", office.name, "-n", "credit", "--yes", who=CARLA)
            assert done.returncode == 0, done.stderr
            assert "1 more of 2" in " ".join(done.stdout.split())
        assert office.condition("Decided")["status"] == "False"
        office.decide(DAVID)
        office.until(lambda: office.condition("Promoted").get("status") == "True")
        assert len(office.status()["seals"]) == 2
    finally:
        bank.kubectl(PAULA, "delete", "promotionpolicy", "two-of-them")


def test_a_second_press_says_what_was_sealed(office: Office, bank: Bank) -> None:
    office.frozen()
    bank.end("operator")
    try:
        office.decide(CARLA, meaning="I approve this for the pilot only.")
        again = office.decision(meaning="I approve unconditionally.", comment="the committee agreed", explanationOpened=False)
        office.apply(CARLA, again, verb="create")
        spec = office.get("promotiondecision", again["metadata"]["name"])["spec"]
        assert spec["meaning"] == "I approve this for the pilot only."
        assert "comment" not in spec
        assert spec["explanationOpened"] is True
    finally:
        bank.start("operator")


def test_of_two_approved_against_one_incumbent_the_first_goes_live(office: Office, bank: Bank) -> None:
    first, second = office, Office(bank)
    second.model = first.model
    second.image = f"registry.bank.example/models/{first.model}@{second.digest}"
    first.frozen()
    second.frozen()
    bank.end("operator")
    first.decide(CARLA)
    second.decide(CARLA)
    bank.start("operator")
    first.until(lambda: {first.condition("Ready").get("reason"), second.condition("Ready").get("reason")} == {"Promoted", "Stale"})


def test_bypass_17_a_promotion_for_one_place_in_another(office: Office, bank: Bank) -> None:
    office.promoted(CARLA)
    bank.kubectl(PETRA, "label", "namespace", "batch", "signoff.dev/gate=enforce", "signoff.dev/environment=production", "--overwrite")
    pod = office.pod()
    pod["metadata"]["namespace"] = "batch"
    office.until(lambda: "promoted for namespace credit, not for batch" in office.apply(BEN, pod, "--dry-run=server", check=False))
