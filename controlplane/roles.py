"""Who holds which role at the bank: the chart brings the roles and binds none of them to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def bindings() -> str:
    """Return the roles and bindings, as YAML."""
    submit = binding("RoleBinding", "submitters", "signoff-submitter", "credit-team", "credit")
    decide = binding("RoleBinding", "approvers", "signoff-approver", "model-approvers", "credit")
    tier = binding("RoleBinding", "approve-tier-2", "signoff-approve-tier-2", "model-approvers", "credit")
    publish = binding("ClusterRoleBinding", "policy-publishers", "signoff-policy-publisher", "policy-publishers")
    correct = [
        binding("RoleBinding", "correctors", "signoff-corrector", "model-risk", "credit"),
        binding("RoleBinding", "correct-tier-2", "signoff-correct-tier-2", "model-risk", "credit"),
    ]
    work = [binding("RoleBinding", "credit-team-edit", "edit", "credit-team", namespace) for namespace in ("credit", "batch")]
    engineer = binding("RoleBinding", "credit-team-engineer", "bank-engineer", "credit-team", "credit")
    platform = binding("ClusterRoleBinding", "platform-namespaces", "bank-platform", "platform")
    roles = [
        _role("bank-platform", {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "create", "update", "patch"]}),
        # What the built-in role edit leaves out, so that the gate is asked about these too.
        _role(
            "bank-engineer",
            {"apiGroups": [""], "resources": ["podtemplates"], "verbs": ["get", "create", "update", "patch", "delete"]},
            {"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["get", "update", "patch"]},
        ),
    ]
    return yaml.safe_dump_all([submit, decide, tier, publish, *correct, *work, *roles, engineer, platform])


def _role(name: str, *rules: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}


def binding(kind: str, name: str, role: str, group: str, namespace: str | None = None) -> dict[str, Any]:
    """Return a binding of a cluster role to a group, in a namespace where one is named."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    }
