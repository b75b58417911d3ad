# ruff: noqa: ARG002 - the clusters take what the real ones take, and need less
"""The API server of a history, simulated: an object store that asks the real door before it stores anything.

1. Each object has a uid, a resourceVersion that counts up, and a generation that counts changes of what is not status.
2. A request goes as in Kubernetes: the mutating review, its JSON patch, the validating review of the final object, and only then whether
   the name is taken. The reviews are bytes of the real shape, read by the real reader and answered by the real handlers.
3. A door that dies, or an error of its own, is a failed call, which denies.
4. The status is written apart, by resourceVersion. Creating or replacing an object leaves the status alone.
5. `force` is a cluster administrator who goes past admission.

The two clusters at the end offer what the operator's and the webhook's own offer; `test_simulation` compares them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

from signoff.errors import SignoffError
from signoff.gate.owners import Owner
from signoff.operator.cluster import ClusterError, Object
from signoff.operator.explanations import CannotFetch
from signoff.record.canonical import Json
from signoff.record.values import Digest
from signoff.webhook import corrections, decisions, delegations, policies, promotions
from signoff.webhook.cluster import NotFound
from signoff.webhook.review import Reply, answer, denied, read_review
from signoff.webhook.witness import Witness
from tests.model.archive import Died
from tests.webhook.reviews import review

Value = dict[str, Any]
Key = tuple[str, str, str]

SEAL = {
    "modelpromotions": promotions.seal,
    "promotiondecisions": decisions.seal,
    "promotionpolicies": policies.seal,
    "promotiondelegations": delegations.seal,
    "promotioncorrections": corrections.seal,
}
CHECK = {
    "modelpromotions": promotions.check,
    "promotiondecisions": decisions.check,
    "promotionpolicies": policies.check,
    "promotiondelegations": delegations.check,
    "promotioncorrections": corrections.check,
}


class Refusal(Exception):
    """The API server refused, and stored nothing."""


class ApiServer:
    """Objects by plural, namespace ("" for none) and name."""

    def __init__(self, door: Callable[[], Witness], door_died: Callable[[], None]) -> None:
        self.objects: dict[Key, Value] = {}
        self.down = False
        self._door = door
        self._door_died = door_died
        self._count = 0

    def get(self, plural: str, namespace: str, name: str) -> Value | None:
        found = self.objects.get((plural, namespace, name))
        return deepcopy(found) if found is not None else None

    def all(self, plural: str, namespace: str | None = None) -> list[Value]:
        return [deepcopy(one) for key, one in sorted(self.objects.items()) if key[0] == plural and namespace in {None, key[1]}]

    def create(self, user: Value, plural: str, obj: Value, *, dry_run: bool = False, loses: bool = False) -> Value:
        """Create an object; with ``loses`` the API server itself fails after admission, and stores nothing."""
        sent = {name: value for name, value in obj.items() if name != "status"}
        final = self._admitted(user, plural, "CREATE", sent, None, dry_run)
        key = (plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if key in self.objects:
            raise Refusal(f"{key} exists already")
        if loses:
            raise Refusal("the API server failed")
        if not dry_run:
            self._count += 1
            final["metadata"] |= {"uid": f"uid-{self._count}", "resourceVersion": str(self._count), "generation": 1}
            self.objects[key] = final
        return deepcopy(final)

    def replace(self, user: Value, plural: str, obj: Value) -> Value:
        """Replace an object, its status excepted."""
        key = (plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        old = self.objects.get(key)
        if old is None:
            raise Refusal(f"{key} is not there")
        kept = {name: old[name] for name in ("status",) if name in old}
        sent = {**obj, "metadata": {**old["metadata"], **obj["metadata"]}, **kept}
        final = {**self._admitted(user, plural, "UPDATE", sent, old, dry_run=False), **kept}
        changed = any(final.get(name) != old.get(name) for name in {*final, *old} - {"metadata", "status"})
        self._store(key, final, generation=old["metadata"]["generation"] + changed)
        return deepcopy(final)

    def delete(self, user: Value, plural: str, namespace: str, name: str) -> None:
        """Delete an object; of policies the door is asked."""
        old = self.objects[(plural, namespace, name)]
        if plural == "promotionpolicies":
            self._ask(CHECK[plural], review({**old}, plural, operation="DELETE", old=old, userInfo=user))
        del self.objects[(plural, namespace, name)]

    def force(self, plural: str, obj: Value) -> None:
        """Store an object past admission (rule 5)."""
        key = (plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        old = self.objects.get(key, {"metadata": {"generation": 0, "uid": f"uid-forced-{self._count}"}})
        self._store(
            key, {**deepcopy(obj), "metadata": {**obj["metadata"], "uid": old["metadata"]["uid"]}}, old["metadata"]["generation"] + 1
        )

    def set_status(self, read: Object, status: Object) -> str:
        """Write a status onto the very version that was read; returns "ok", "conflict" or "gone"."""
        metadata: Any = read["metadata"]
        key = ("modelpromotions", metadata["namespace"], metadata["name"])
        found = self.objects.get(key)
        if found is None:
            return "gone"
        if found["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            return "conflict"
        self._store(key, {**found, "status": json.loads(json.dumps(status))}, found["metadata"]["generation"])
        return "ok"

    def _store(self, key: Key, obj: Value, generation: int) -> None:
        self._count += 1
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(self._count), "generation": generation}
        self.objects[key] = obj

    def _admitted(self, user: Value, plural: str, operation: str, obj: Value, old: Value | None, dry_run: bool) -> Value:
        sent: Value = deepcopy(obj)
        said = self._ask(SEAL[plural], review(sent, plural, operation=operation, old=old, userInfo=user, dryRun=dry_run))
        final = _patched(sent, json.loads(base64.b64decode(said["patch"]))) if "patch" in said else sent
        self._ask(CHECK[plural], review(final, plural, operation=operation, old=old, userInfo=user, dryRun=dry_run))
        return final

    def _ask(self, handler: Callable[[Witness, Any], Reply], asked: Value) -> Value:
        read = read_review(json.dumps(asked).encode())
        try:
            reply = handler(self._door(), read)
        except Died:
            self._door_died()
            raise Refusal("the door died") from None
        except SignoffError as error:
            reply = denied(error)
        response: Value = json.loads(answer(read.uid, reply))["response"]
        if not response["allowed"]:
            raise Refusal(response["status"]["message"])
        return response


def _patched(obj: Value, patch: Sequence[Value]) -> Value:
    """Apply a JSON patch (RFC 6902) of the operations that the door uses."""
    for step in patch:
        *way, last = step["path"].removeprefix("/").split("/")
        holder = obj
        for name in way:
            holder = holder[name]
        if step["op"] == "remove":
            del holder[last]
            continue
        assert step["op"] in {"add", "replace"}
        assert step["op"] == "add" or last in holder
        holder[last] = step["value"]
    return obj


class OperatorsCluster:
    """What `signoff.operator.cluster.Cluster` offers."""

    def __init__(self, api: ApiServer, reported: Callable[[Object, Object], None]) -> None:
        self._api = api
        self._reported = reported

    def promotion(self, namespace: str, name: str) -> Object | None:
        self._reach()
        return self._api.get("modelpromotions", namespace, name)

    def decisions(self, namespace: str) -> Sequence[Object]:
        self._reach()
        return self._api.all("promotiondecisions", namespace)

    def policies(self) -> Sequence[Object]:
        self._reach()
        return self._api.all("promotionpolicies")

    def set_status(self, promotion: Object, status: Object) -> None:
        self._reach()
        said = self._api.set_status(promotion, status)
        if said == "conflict":
            raise ClusterError("the API server answered 409 Conflict", mend="it is tried again")
        if said == "ok":
            self._reported(promotion, status)

    def running(self, namespaces: Iterable[str], digests: frozenset[Digest]) -> tuple[str, ...]:
        self._reach()
        return ()

    def config_map_key(self, namespace: str, name: str, key: str) -> bytes:
        raise CannotFetch("does not exist", where=f"ConfigMap {namespace}/{name}", mend="create it", again=True)

    def tell(self, promotion: Object, kind: Literal["Normal", "Warning"], reason: str, note: str) -> None:
        assert reason
        assert note

    def _reach(self) -> None:
        if self._api.down:
            raise ClusterError("the API server answered MaxRetryError", mend="it is tried again")


class WebhooksCluster:
    """What `signoff.webhook.cluster.Cluster` offers; ``may``, ``correct`` and ``way`` stand for the cluster's roles."""

    def __init__(
        self, api: ApiServer, labels: Mapping[str, Mapping[str, str]], may: set[str], correct: set[str], way: Mapping[str, str]
    ) -> None:
        self._api = api
        self._labels = labels
        self._may = may
        self._correct = correct
        self._way = way

    def known_labels(self, namespace: str) -> Mapping[str, str] | None:
        return self._labels.get(namespace)

    def labels(self, namespace: str) -> Mapping[str, str]:
        found = self._labels.get(namespace)
        if found is None:
            raise NotFound("the API server knows no such object", where=f"namespace {namespace}")
        return found

    def promotion(self, namespace: str, name: str) -> Mapping[str, Json]:
        found = self._api.get("modelpromotions", namespace, name)
        if found is None:
            raise NotFound("the API server knows no such object", where=f"modelpromotion {namespace}/{name}")
        return found

    def pending(self, namespace: str, most: int) -> int:
        """Count as the field selector does: those that admission saw, without an event in their status."""
        found = [one for one in self._api.all("modelpromotions", namespace) if one.get("submission", {}).get("time")]
        return len([one for one in found if not one.get("status", {}).get("event")][:most])

    def policies(self) -> Sequence[Mapping[str, Json]]:
        return self._api.all("promotionpolicies")

    def delegation(self, name: str) -> Mapping[str, Json]:
        return self._of_cluster("promotiondelegation", name)

    def passkey(self, name: str) -> Mapping[str, Json]:
        return self._of_cluster("promotionpasskey", name)

    def _of_cluster(self, kind: str, name: str) -> Mapping[str, Json]:
        found = self._api.get(f"{kind}s", "", name)
        if found is None:
            raise NotFound("the API server knows no such object", where=f"{kind} {name}")
        return found

    def decision_exists(self, namespace: str, name: str) -> bool:
        return self._api.get("promotiondecisions", namespace, name) is not None

    def may_approve(self, user: Mapping[str, Json], namespace: str, tier: str) -> bool:
        return str(user["username"]) in self._may

    def may_correct(self, user: Mapping[str, Json], namespace: str, tier: str, verb: str) -> bool:
        return str(user["username"]) in self._correct

    def owner(self, namespace: str, owner: Owner) -> Mapping[str, Json]:
        raise NotFound("the API server knows no such object", where=f"{owner.kind} {namespace}/{owner.name}")

    def way_to_act_as(self, user: Mapping[str, Json], namespace: str, name: str) -> str | None:
        return self._way.get(str(user["username"]))
