"""Who may do what, on a real API server; and the proof that the table notices a role that gives more."""

from __future__ import annotations

import copy
import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes import client, config

from tests.chart.access import ALLOWED, IDENTITIES, UNIVERSE, Authorizer, Question, member, subject
from tests.chart.rendering import of_kind, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controlplane.cluster import ControlPlane

pytestmark = pytest.mark.cluster

VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "approve"]
RULES_OF_OTHERS = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
    {"apiGroups": ["signoff.dev"], "resources": ["promotiondecisions"], "verbs": ["update"]},
    {"apiGroups": ["signoff.dev"], "resources": ["materialitytiers"], "verbs": ["approve"]},
    {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate"]},
]
NOTICED_WITHIN = 10.0

Rule = dict[str, Any]


@pytest.fixture(scope="module")
def authorizer(installed: ControlPlane) -> Authorizer:
    for row in IDENTITIES.values():
        if "group" in row and "role" in row:
            name = row["group"].replace(":", "-")
            installed.kubectl("create", "clusterrolebinding", name, f"--clusterrole={row['role']}", f"--group={row['group']}", check=False)
    asked = Authorizer(installed.installer_kubeconfig())
    for identity, allowed in ALLOWED.items():
        wait(lambda identity=identity, allowed=allowed: all(asked.answers(subject(identity), allowed).values()))
    return asked


def wait(holds: Callable[[], object]) -> bool:
    """RBAC is read from a cache; what was just written holds a moment later."""
    deadline = time.monotonic() + NOTICED_WITHIN
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("identity", IDENTITIES)
def test_may_do_this_and_nothing_else(authorizer: Authorizer, identity: str) -> None:
    answers = authorizer.answers(subject(identity), UNIVERSE)
    differences = {question: answer for question, answer in answers.items() if answer != (question in ALLOWED[identity])}
    assert differences == {}


def test_every_yes_is_asked_for() -> None:
    asked = set(UNIVERSE)
    assert [allowed - asked for allowed in ALLOWED.values()] == [set()] * len(ALLOWED)


def test_every_role_of_the_chart_has_an_identity(tmp_path: Path) -> None:
    assert set(of_kind(render(tmp_path), "ClusterRole")) == {row["role"] for row in IDENTITIES.values() if "role" in row}


def test_no_role_is_aggregated_into_others(tmp_path: Path) -> None:
    for name, role in of_kind(render(tmp_path), "ClusterRole").items():
        labels = role["metadata"]["labels"]
        assert not [label for label in labels if label.startswith("rbac.authorization.k8s.io/")], name
        assert "aggregationRule" not in role


def test_a_role_bound_in_a_namespace_ends_there(installed: ControlPlane, authorizer: Authorizer) -> None:
    arguments = ("--clusterrole=signoff-approve-tier-2", "--group=of:nothing", "--namespace=credit")
    here, there = (Question("approve", "signoff.dev/materialitytiers:tier-2", each) for each in ("credit", "other"))
    installed.kubectl("create", "rolebinding", "tier-2", *arguments)
    try:
        assert wait(lambda: authorizer.says(member("of:nothing"), here))
        assert not authorizer.says(member("of:nothing"), there)
    finally:
        installed.kubectl("delete", "rolebinding", "tier-2", "--namespace=credit")
    assert wait(lambda: not authorizer.says(member("of:nothing"), here))


# The table notices

ROLES = {row["role"]: identity for identity, row in IDENTITIES.items() if "role" in row}


def widened(rules: list[Rule]) -> Iterator[tuple[str, list[Rule]]]:
    """Each way in which somebody might come to widen these rules, with a name."""
    for index, rule in enumerate(rules):
        for verb in ["*", *(each for each in VERBS if each not in rule["verbs"])]:
            yield f"rule {index}: verb {verb}", with_rule(rules, index, verbs=[*rule["verbs"], verb])
        yield f"rule {index}: all resources", with_rule(rules, index, resources=["*"])
        yield f"rule {index}: all groups and resources", with_rule(rules, index, apiGroups=["*"], resources=["*"])
        if "resourceNames" in rule:
            yield f"rule {index}: all names", with_rule(rules, index, resourceNames=[])
            names = [*rule["resourceNames"], "tier-1", "tier-2", "tier-3", "signoff-check"]
            yield f"rule {index}: one name more", with_rule(rules, index, resourceNames=names)
    for other in RULES_OF_OTHERS:
        if other not in rules:
            yield f"also {other['verbs'][0]} {other['resources'][0]}", [*rules, other]


def with_rule(rules: list[Rule], index: int, **changes: Any) -> list[Rule]:
    changed = copy.deepcopy(rules)
    changed[index] |= changes
    return changed


def of_role(rules: list[Rule], allowed: set[Question]) -> set[Question]:
    """What these rules give, of all that an identity may: a process may have several roles."""
    own = {
        (f"{group or 'core'}/{each}", verb)
        for rule in rules
        for group in rule["apiGroups"]
        for each in rule["resources"]
        for verb in rule["verbs"]
    }
    return {question for question in allowed if (question.resource.partition(":")[0], question.verb) in own}


@pytest.mark.parametrize("role", ROLES)
def test_the_table_notices_a_wider_role(authorizer: Authorizer, roles: RoleWriter, tmp_path: Path, role: str) -> None:
    """Each widening is a role of its own, with a group of its own: no answer can stem from the one before."""
    rules = of_kind(render(tmp_path), "ClusterRole")[role]["rules"]
    namespace = "credit" if role == "signoff-operator-explanations" else None
    allowed = of_role(rules, ALLOWED[ROLES[role]])
    near = {f"{group or 'core'}/{each}" for rule in rules for group in rule["apiGroups"] for each in rule["resources"]}
    asked = sorted(UNIVERSE, key=lambda question: question.resource.partition(":")[0] not in near)
    for name, wider in widened(rules):
        group = roles.grant(wider, namespace)
        found = wait(lambda group=group: authorizer.excess(member(group), allowed, asked))
        assert found, f"{role}, {name}: not noticed"


@pytest.mark.parametrize("role", ROLES)
def test_the_table_notices_a_narrower_role(authorizer: Authorizer, roles: RoleWriter, tmp_path: Path, role: str) -> None:
    rules = of_kind(render(tmp_path), "ClusterRole")[role]["rules"]
    namespace = "credit" if role == "signoff-operator-explanations" else None
    allowed = of_role(rules, ALLOWED[ROLES[role]])
    as_it_is = member(roles.grant(rules, namespace))
    assert wait(lambda: all(authorizer.answers(as_it_is, allowed).values()))
    for index, rule in enumerate(rules):
        for verb in rule["verbs"]:
            rest = [each for each in rule["verbs"] if each != verb]
            narrower = member(roles.grant(with_rule(rules, index, verbs=rest or ["none"]), namespace))
            kept = {question for question in allowed if question.verb != verb}
            assert wait(lambda who=narrower, kept=kept: all(authorizer.answers(who, kept).values()))
            assert not all(authorizer.answers(narrower, allowed).values()), f"{role}, rule {index} without {verb}: not noticed"


class RoleWriter:
    """Roles for one test each, and their bindings."""

    def __init__(self, kubeconfig: Path) -> None:
        self._api = client.RbacAuthorizationV1Api(config.new_client_from_config(str(kubeconfig)))
        self._names = itertools.count()

    def grant(self, rules: list[Rule], namespace: str | None) -> str:
        """A new group that has these rules, in one namespace or in all."""
        name = f"chart-test-{next(self._names)}"
        metadata = {"name": name, "labels": {"signoff.test/chart": "access"}}
        binding = {
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}],
        }
        self._api.create_cluster_role({"metadata": metadata, "rules": rules})
        if namespace:
            self._api.create_namespaced_role_binding(namespace, binding)
        else:
            self._api.create_cluster_role_binding(binding)
        return name

    def remove_all(self) -> None:
        """Take them all away again."""
        ours = {"label_selector": "signoff.test/chart=access"}
        self._api.delete_collection_cluster_role_binding(**ours)
        self._api.delete_collection_namespaced_role_binding("credit", **ours)
        self._api.delete_collection_cluster_role(**ours)


@pytest.fixture
def roles(installed: ControlPlane) -> Iterator[RoleWriter]:
    writer = RoleWriter(installed.installer_kubeconfig())
    yield writer
    writer.remove_all()
