"""What the chart renders, without a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from signoff.running.coverage import coverage
from signoff.running.kinds import KINDS
from signoff.webhook.namespaces import BUDGET
from tests.chart.rendering import NAMESPACE, ROOT, helm, of_kind, outside, render, template, values_file

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.cluster import ControlPlane
    from signoff.gate.labels import Mode

CASES = ROOT / "tests/chart/cases"
SELECTIONS = yaml.safe_load((CASES / "gate-selection.yaml").read_text())
REFUSED = yaml.safe_load((CASES / "refused-values.yaml").read_text())
FILE_ARCHIVE = {"webhook": {"replicas": 1, "config": {"archive": {"url": "file:///var/lib/signoff/archive"}}}}
CORE_TABLE = {
    ("", "pods"), ("", "pods/ephemeralcontainers"), ("", "replicationcontrollers"), ("", "podtemplates"),
    ("apps", "replicasets"), ("apps", "deployments"), ("apps", "statefulsets"), ("apps", "daemonsets"),
    ("batch", "jobs"), ("batch", "cronjobs"),
}  # fmt: skip


@pytest.mark.parametrize("values", [{}, outside(), FILE_ARCHIVE], ids=["default", "outside", "file archive"])
def test_lint(tmp_path: Path, values: dict[str, Any]) -> None:
    answer = helm("lint", "--strict", "--values", str(values_file(tmp_path, values)))
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_refused_values(tmp_path: Path, case: dict[str, Any]) -> None:
    answer = template(tmp_path, case["values"])
    assert answer.returncode != 0
    assert case["says"] in answer.stderr


def test_a_file_archive_has_one_writer(tmp_path: Path) -> None:
    webhook = of_kind(render(tmp_path, FILE_ARCHIVE), "Deployment")["signoff-webhook"]
    assert webhook["spec"]["replicas"] == 1
    assert webhook["spec"]["strategy"] == {"type": "Recreate"}, "two writers during a rollout"


def test_outside_runs_nothing_in_the_cluster(tmp_path: Path) -> None:
    inside = {each["kind"] for each in render(tmp_path)}
    left = {each["kind"] for each in render(tmp_path, outside())}
    assert inside - left == {"Deployment", "Service", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"}


@pytest.mark.parametrize("mode", ["inside", "outside"])
def test_each_webhook_has_its_own_address(tmp_path: Path, mode: str) -> None:
    values = outside(gate="https://127.0.0.1:11", door="https://127.0.0.1:22") if mode == "outside" else {}
    seen = {}
    for webhook in webhooks(tmp_path, values):
        config = webhook["clientConfig"]
        service = config.get("service", {})
        seen[webhook["name"]] = config.get("url") or f"{service['port']}{service['path']}"
    gate, door = ("https://127.0.0.1:11", "https://127.0.0.1:22") if mode == "outside" else ("9443", "8443")
    doors = {
        f"{what}.{part}.signoff.dev": f"{door}/{part}/{what}"
        for what in ("promotions", "decisions", "policies", "delegations", "passkeys", "corrections")
        for part in ("seal", "check")
    }
    gates = {f"{each}.gate.signoff.dev": f"{gate}/gate/{each}" for each in ("enforce", "warn", "audit")}
    assert seen == {**doors, **gates, "namespaces.labels.signoff.dev": f"{door}/labels/audit"}


def test_how_each_webhook_is_called(tmp_path: Path) -> None:
    terms = {each["name"]: (each["sideEffects"], each["failurePolicy"], each["timeoutSeconds"]) for each in webhooks(tmp_path)}
    assert terms == {
        "promotions.seal.signoff.dev": ("NoneOnDryRun", "Fail", 5),
        "decisions.seal.signoff.dev": ("NoneOnDryRun", "Fail", 10),
        "corrections.seal.signoff.dev": ("NoneOnDryRun", "Fail", 10),
        "delegations.seal.signoff.dev": ("NoneOnDryRun", "Fail", 5),
        "passkeys.seal.signoff.dev": ("NoneOnDryRun", "Fail", 10),
        "policies.seal.signoff.dev": ("NoneOnDryRun", "Fail", 5),
        "promotions.check.signoff.dev": ("None", "Fail", 5),
        "decisions.check.signoff.dev": ("None", "Fail", 10),
        "corrections.check.signoff.dev": ("None", "Fail", 10),
        "delegations.check.signoff.dev": ("None", "Fail", 5),
        "passkeys.check.signoff.dev": ("None", "Fail", 10),
        "policies.check.signoff.dev": ("None", "Fail", 5),
        "enforce.gate.signoff.dev": ("None", "Fail", 5),
        "warn.gate.signoff.dev": ("None", "Ignore", 5),
        "audit.gate.signoff.dev": ("None", "Ignore", 5),
        "namespaces.labels.signoff.dev": ("None", "Ignore", 10),
    }


def test_no_webhook_can_be_slipped_past(tmp_path: Path) -> None:
    for webhook in webhooks(tmp_path):
        if webhook["name"] == "namespaces.labels.signoff.dev":
            continue  # it refuses nothing
        assert not {"objectSelector", "matchConditions"} & set(webhook), webhook["name"]
        assert webhook["matchPolicy"] == "Equivalent"
        assert webhook.get("reinvocationPolicy", "Never") == "Never"
        # Only the taking away of a policy is asked about: it can make a route laxer.
        operations = ["CREATE", "UPDATE", "DELETE"] if webhook["name"] == "policies.check.signoff.dev" else ["CREATE", "UPDATE"]
        assert all(rule["operations"] == operations for rule in webhook["rules"])
        if ".gate." not in webhook["name"]:
            assert "namespaceSelector" not in webhook, webhook["name"]


def test_workloads_are_never_mutated(tmp_path: Path) -> None:
    [seal] = of_kind(render(tmp_path), "MutatingWebhookConfiguration").values()
    groups = {group for each in seal["webhooks"] for rule in each["rules"] for group in rule["apiGroups"]}
    assert groups == {"signoff.dev"}


def test_every_gate_looks_at_the_whole_core_table(tmp_path: Path) -> None:
    for webhook in webhooks(tmp_path):
        if ".gate." in webhook["name"]:
            seen = {(group, each) for rule in webhook["rules"] for group in rule["apiGroups"] for each in rule["resources"]}
            assert seen == CORE_TABLE


@pytest.mark.parametrize("case", SELECTIONS, ids=lambda case: case["name"])
def test_gate_selection(tmp_path: Path, case: dict[str, Any]) -> None:
    labels = {"kubernetes.io/metadata.name": "credit", **case["labels"]}
    gates = [each for each in webhooks(tmp_path, {"gate": {"default": case["default"]}}) if ".gate." in each["name"]]
    meets = [each["name"].split(".")[0] for each in gates if selects(each["namespaceSelector"], labels)]
    assert meets == case["meets"]


@pytest.mark.parametrize("case", SELECTIONS, ids=lambda case: case["name"])
def test_an_audit_tells_the_gate_that_a_namespace_meets(tmp_path: Path, case: dict[str, Any]) -> None:
    """By the configuration as it is rendered; with an environment, so that somebody did say that models run there."""
    labels = {"kubernetes.io/metadata.name": "credit", "signoff.dev/environment": "production", **case["labels"]}
    gates = [each for each in webhooks(tmp_path, {"gate": {"default": case["default"]}}) if ".gate." in each["name"]]
    selectors: dict[Mode, Any] = {each["name"].split(".")[0]: each["namespaceSelector"] for each in gates}
    assert coverage(labels, selectors).word == (case["meets"] or ["none"])[0]


def test_what_warns_of_labels_refuses_nothing_and_looks_at_changes_of_ours_alone(tmp_path: Path) -> None:
    (webhook,) = of_kind(render(tmp_path), "ValidatingWebhookConfiguration")["signoff-labels"]["webhooks"]
    assert webhook["rules"] == [
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"], "operations": ["UPDATE"], "scope": "Cluster"}
    ]
    assert (webhook["failurePolicy"], webhook["sideEffects"]) == ("Ignore", "None")
    assert [one["name"] for one in webhook["matchConditions"]] == ["our-labels-change"]
    (excluded,) = webhook["namespaceSelector"]["matchExpressions"]
    assert (excluded["operator"], excluded["values"]) == ("NotIn", ["kube-system", NAMESPACE])
    assert webhook["timeoutSeconds"] > BUDGET + 1, "the API server waits for what was told by then"


BOUND = [
    ({}, {"webhook-labels"}),
    ({"gate": {"labelWarnings": False}}, set()),
    ({"operator": {"config": {"audit": {"everyMinutes": 5}}}}, {"webhook-labels", "operator-audit", "operator-reports"}),
    ({"operator": {"config": {"audit": {"reports": False}}}, "gate": {"labelWarnings": False}}, {"operator-audit"}),
]


@pytest.mark.parametrize(("values", "bound"), BOUND)
def test_the_right_to_look_at_what_runs_is_given_to_who_is_to_look(tmp_path: Path, values: dict[str, Any], bound: set[str]) -> None:
    objects = render(tmp_path, values)
    bindings = of_kind(objects, "ClusterRoleBinding")
    assert set(bindings) == {"signoff-operator", "signoff-webhook", *(f"signoff-{one}" for one in bound)}
    for name, one in bindings.items():
        assert [each["name"] for each in one["subjects"]] == ["-".join(name.split("-")[:2])]
    assert ("signoff-labels" in of_kind(objects, "ValidatingWebhookConfiguration")) == ("webhook-labels" in bound)


def test_every_kind_that_the_gate_reads_may_be_listed_and_nothing_else_of_it(tmp_path: Path) -> None:
    roles = of_kind(render(tmp_path), "ClusterRole")
    for name in ("signoff-operator-audit", "signoff-webhook-labels"):
        listed = {
            (group, each, *rule["verbs"]) for rule in roles[name]["rules"] for group in rule["apiGroups"] for each in rule["resources"]
        }
        assert {(kind.group, kind.plural, "list") for kind in KINDS} <= listed
        others = {one[:2] for one in listed} - {(kind.group, kind.plural) for kind in KINDS}
        own = {("", "namespaces"), ("admissionregistration.k8s.io", "validatingwebhookconfigurations")}
        assert others == (own if name == "signoff-operator-audit" else set())


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Kubernetes' reading of matchExpressions: NotIn holds where the label is absent."""
    assert set(selector) == {"matchExpressions"}
    operators = {"In": lambda value, values: value in values, "NotIn": lambda value, values: value not in values}
    return all(operators[each["operator"]](labels.get(each["key"]), each["values"]) for each in selector["matchExpressions"])


def test_pods_are_confined(tmp_path: Path) -> None:
    for name, deployment in of_kind(render(tmp_path), "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"livenessProbe", "readinessProbe", "resources"} <= set(container), name


def test_config_reaches_the_processes_as_it_was_written(tmp_path: Path) -> None:
    config = {"cluster": "demo", "list": [1, "two", {"three": None}], "text": "a\nb", "number": "0.8471"}
    maps = of_kind(render(tmp_path, {"operator": {"config": config}, "webhook": {"config": config}}), "ConfigMap")
    assert set(maps) == {"signoff-operator", "signoff-webhook"}
    for each in maps.values():
        assert yaml.safe_load(each["data"]["config.yaml"]) == config


def test_the_two_processes_hold_different_keys(tmp_path: Path) -> None:
    values = {"operator": {"keySecretName": "event-key"}, "webhook": {"keySecretName": "seal-key", "clientCASecretName": "client-ca"}}
    deployments = of_kind(render(tmp_path, values), "Deployment")
    secrets = {
        name: {volume["secret"]["secretName"] for volume in each["spec"]["template"]["spec"]["volumes"] if "secret" in volume}
        for name, each in deployments.items()
    }
    assert secrets == {"signoff-operator": {"event-key"}, "signoff-webhook": {"seal-key", "client-ca", "signoff-webhook-tls"}}


IN_SERVICE = {
    "operator": {"config": {"eventKey": "awskms:///alias/signoff-event"}, "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "e"}},
    "webhook": {"config": {"sealKey": "awskms:///alias/signoff-seal"}, "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "s"}},
}


def test_a_key_in_a_key_service_needs_no_secret(tmp_path: Path) -> None:
    objects = render(tmp_path, IN_SERVICE)
    for deployment in of_kind(objects, "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        assert "keys" not in {volume["name"] for volume in pod["volumes"]}
        assert "keys" not in {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    identities = {name: one["metadata"]["annotations"] for name, one in of_kind(objects, "ServiceAccount").items()}
    assert identities == {f"signoff-{name}": IN_SERVICE[name]["serviceAccountAnnotations"] for name in IN_SERVICE}
    assert all("annotations" not in one["metadata"] for one in of_kind(render(tmp_path), "ServiceAccount").values())


@pytest.mark.parametrize("process", ["operator", "webhook"])
def test_a_key_in_a_key_service_beside_a_secret_is_refused(tmp_path: Path, process: str) -> None:
    answer = template(tmp_path, {process: {**IN_SERVICE[process], "keySecretName": "k"}})
    assert answer.returncode != 0
    assert f"{process}.keySecretName: k, but {process}.config" in answer.stderr


def test_image_by_digest_goes_before_its_tag(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    for deployment in of_kind(
        render(tmp_path, {"image": {"repository": "r.example/signoff", "digest": digest, "tag": "x"}}), "Deployment"
    ).values():
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"r.example/signoff@{digest}"


def test_the_door_can_be_kept_by_the_network(tmp_path: Path) -> None:
    cidr = "192.0.2.0/28"
    policy = of_kind(render(tmp_path, {"networkPolicy": {"apiServerCidrs": [cidr]}}), "NetworkPolicy")["signoff-webhook"]
    [door] = [rule for rule in policy["spec"]["ingress"] if rule["ports"] == [{"port": "door"}]]
    assert door["from"] == [{"ipBlock": {"cidr": cidr}}]


METRICS = {"operator": {"config": {"metrics": {"port": 9464}}}, "webhook": {"config": {"metrics": {"port": 9465}}}}


def _ports(objects: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    containers = {name: each["spec"]["template"]["spec"]["containers"][0] for name, each in of_kind(objects, "Deployment").items()}
    return {name: {port["name"]: port["containerPort"] for port in container["ports"]} for name, container in containers.items()}


def test_metrics_have_a_port_where_the_configuration_names_one(tmp_path: Path) -> None:
    assert all("metrics" not in ports for ports in _ports(render(tmp_path)).values())
    ports = _ports(render(tmp_path, METRICS))
    assert (ports["signoff-operator"]["metrics"], ports["signoff-webhook"]["metrics"]) == (9464, 9465)


def test_who_scrapes_is_let_through_and_can_be_narrowed_to_namespaces(tmp_path: Path) -> None:
    def scrapers(values: dict[str, Any]) -> list[list[Any]]:
        policies = of_kind(render(tmp_path, values), "NetworkPolicy")
        return [[rule for rule in each["spec"]["ingress"] if rule["ports"] == [{"port": "metrics"}]] for each in policies.values()]

    assert scrapers({}) == [[], []]
    assert scrapers(METRICS) == [[{"ports": [{"port": "metrics"}]}]] * 2
    selector = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["monitoring"]}]}
    narrowed = {"ports": [{"port": "metrics"}], "from": [{"namespaceSelector": selector}]}
    assert scrapers({**METRICS, "networkPolicy": {"metricsNamespaces": ["monitoring"]}}) == [[narrowed]] * 2


def test_a_pod_monitor_selects_the_pods_of_its_process(tmp_path: Path) -> None:
    asked = {"metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    assert not of_kind(render(tmp_path, METRICS), "PodMonitor")
    assert not of_kind(render(tmp_path, asked), "PodMonitor"), "nothing listens"
    objects = render(tmp_path, {**METRICS, **asked})
    monitors, deployments = of_kind(objects, "PodMonitor"), of_kind(objects, "Deployment")
    assert set(monitors) == set(deployments)
    for name, monitor in monitors.items():
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        assert monitor["spec"]["selector"] == deployments[name]["spec"]["selector"]
        assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics", "path": "/metrics", "interval": "30s"}]


@pytest.mark.parametrize(("config", "least"), [({}, 5 + 20), ({"drainSeconds": 60}, 60 + 20)])
def test_the_webhook_is_given_time_to_drain_and_to_finish(tmp_path: Path, config: dict[str, Any], least: int) -> None:
    webhook = of_kind(render(tmp_path, {"webhook": {"config": config}}), "Deployment")["signoff-webhook"]
    assert webhook["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= least + 5


def test_own_namespace_is_excluded_wherever_it_is(tmp_path: Path) -> None:
    for webhook in webhooks(tmp_path, {"gate": {"excludedNamespaces": ["kube-system", NAMESPACE]}}):
        if ".gate." in webhook["name"]:
            assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system", NAMESPACE]


def test_guards_deny_with_forbidden_and_say_what_to_do(tmp_path: Path) -> None:
    objects = render(tmp_path)
    policies, bindings = of_kind(objects, "ValidatingAdmissionPolicy"), of_kind(objects, "ValidatingAdmissionPolicyBinding")
    assert set(policies) == set(bindings) == {"signoff-namespace-labels", "signoff-webhook-configurations"}
    for name, policy in policies.items():
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert "Deny" in bindings[name]["spec"]["validationActions"]
        for validation in policy["spec"]["validations"]:
            assert validation["reason"] == "Forbidden", "the default, Invalid, answers 422"
            assert "; " in validation["message"], "no mend"
            assert "immutable" not in validation["message"] + validation["messageExpression"]


def webhooks(folder: Path, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    objects = render(folder, values)
    configurations = [
        *of_kind(objects, "MutatingWebhookConfiguration").values(),
        *of_kind(objects, "ValidatingWebhookConfiguration").values(),
    ]
    return [webhook for each in configurations for webhook in each["webhooks"]]


@pytest.mark.cluster
def test_the_api_server_takes_every_object(control_plane: ControlPlane, tmp_path: Path) -> None:
    """With every optional part set, and strict about unknown fields."""
    optional = {
        "image": {"pullSecrets": ["registry"]},
        "operator": {
            "config": {"audit": {"everyMinutes": 60}},
            "keySecretName": "k",
            "archiveVolume": {"emptyDir": {}},
            "nodeSelector": {"a": "b"},
            "podAnnotations": {"a": "b"},
        },
        "webhook": {
            "replicas": 3,
            "keySecretName": "k",
            "clientCASecretName": "c",
            "archiveVolume": {"persistentVolumeClaim": {"claimName": "archive"}},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "webhookConfigurationAnnotations": {"cert-manager.io/inject-ca-from": "signoff-system/signoff-webhook"},
        },
        "rbac": {"explanationConfigMapNamespaces": ["default"]},
        "networkPolicy": {"apiServerCidrs": ["192.0.2.0/28"]},
    }
    control_plane.kubectl("create", "namespace", NAMESPACE, check=False)
    objects = yaml.safe_dump_all(render(tmp_path, optional))
    control_plane.kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", input=objects)


def test_the_gate_has_a_volume_of_its_own_to_keep_answers_in(tmp_path: Path) -> None:
    for given, expected in (
        ({}, {"emptyDir": {"sizeLimit": "128Mi"}}),
        ({"emptyDir": None, "hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x"}}),
    ):
        values = {"webhook": {"replicas": 1, "cacheVolume": given}} if given else {}
        pod = of_kind(render(tmp_path, values), "Deployment")["signoff-webhook"]["spec"]["template"]["spec"]
        assert {"name": "cache", "mountPath": "/var/cache/signoff"} in pod["containers"][0]["volumeMounts"]
        assert [
            {key: value for key, value in volume.items() if key != "name"} for volume in pod["volumes"] if volume["name"] == "cache"
        ] == [expected]
        operator = of_kind(render(tmp_path, values), "Deployment")["signoff-operator"]["spec"]["template"]["spec"]
        assert "cache" not in {volume["name"] for volume in operator["volumes"]}
