"""A request at the bank, and what must be the case when it has come to its end."""

from __future__ import annotations

import hashlib
import json
import re
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from builders import example
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from stand import Stand, report

from controlplane.bank import BEN, CARLA, RITA
from signoff.archive import layout
from signoff.record.bundle import MAX_BUNDLE
from signoff.record.request import request_id, request_value
from signoff.record.values import Digest, sha256

GROUP, VERSION, NAMESPACE = "signoff.dev", "v1alpha1", "credit"
WAIT = 30.0
TRIES = 5

Object = dict[str, Any]


class Request:
    """A promotion of a model of its own, with a report of its own."""

    def __init__(self, stand: Stand) -> None:
        stand.made += 1
        self.stand = stand
        self.model = f"credit-{stand.made}"
        self.name = f"{self.model}-1.0.0"
        self.digest = Digest("sha256:" + hashlib.sha256(self.model.encode()).hexdigest())
        self.image = f"registry.bank.example/models/{self.model}@{self.digest}"
        self.manifest = self._manifest()
        self.id = request_id(request_value(NAMESPACE, self.name, self.manifest["spec"]))
        self.troubles: list[str] = []

    def _manifest(self) -> Object:
        manifest: Object = example("promotion.yaml")
        manifest["metadata"]["name"] = self.name
        spec = manifest["spec"]
        spec["model"] = {"name": self.model, "version": "1.0.0", "image": self.image}
        spec["comparison"]["candidate"] |= {"version": "1.0.0", "digest": self.digest}
        url = f"{self.stand.reports}/{self.model}.html"
        spec["explanation"] |= {"digest": sha256(report(f"/{self.model}.html")), "source": {"url": url}}
        return manifest

    # What people do

    def submit(self) -> None:
        """Apply the manifest, and again where the request failed for a process that died."""
        self._create(BEN, "modelpromotions", self.manifest)

    def refused_press(self, who: str = CARLA, verdict: str = "Approve") -> str | None:
        """Decide once, and return in whose words it was refused; None where it was not."""
        try:
            self.press(who, verdict, revive=False)
        except AssertionError as error:
            return str(error)
        return None

    def press(self, who: str = CARLA, verdict: str = "Approve", *, revive: bool = True) -> Object:
        """Decide, and press again where that failed; return the decision as the cluster has it."""
        status = self.status()
        spec = {
            "promotion": self.name,
            "freeze": status["freeze"],
            "rendition": status["desk"]["text"],
            "verdict": verdict,
            "meaning": "I decide this for the use described on this desk.",
        }
        name = f"{self.name}-{who.partition('@')[0]}"
        head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "PromotionDecision", "metadata": {"name": name, "namespace": NAMESPACE}}
        return self._create(who, "promotiondecisions", {**head, "spec": spec}, revive=revive)

    def revoke(self, who: str = RITA) -> Object:
        """Revoke the event, and again where that failed; return the correction as the cluster has it."""
        spec = {"request": self.id, "event": self.status()["event"], "verdict": "Revoke", "reason": "The evaluation data were wrong."}
        head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "PromotionCorrection"}
        metadata = {"name": f"{self.name}-revoke", "namespace": NAMESPACE}
        return self._create(who, "promotioncorrections", {**head, "metadata": metadata, "spec": spec})

    def _create(self, who: str, plural: str, manifest: Object, *, revive: bool = True) -> Object:
        api = client.CustomObjectsApi(self.stand.api(who))
        for left in reversed(range(TRIES)):
            try:
                return api.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, plural, manifest, _request_timeout=WAIT)
            except ApiException as error:
                if error.status == 409:
                    return self._get(plural, manifest["metadata"]["name"])
                self.troubles.append(f"{error.status} {json.loads(error.body or '{}').get('message')}")
                if error.status != 500 or left == 0 or not revive:
                    raise AssertionError(f"{plural} was refused: {self.troubles[-1]}") from None
                self.stand.revive()
        raise AssertionError

    def admitted(self) -> bool:
        """Whether the gate lets a Pod of the model in; asked again where the webhook died."""
        pod = {
            "metadata": {"generateName": f"{self.model}-"},
            "spec": {"containers": [{"name": "model", "image": self.image}]},
        }
        core = client.CoreV1Api(self.stand.api(BEN))
        for _ in range(TRIES):
            try:
                core.create_namespaced_pod(NAMESPACE, pod, dry_run="All", _request_timeout=WAIT)
            except ApiException as error:
                message = json.loads(error.body or "{}").get("message", "")
                if error.status == 403 and "denied the request" in message:
                    self.troubles.append(message)
                    return False
                self.troubles.append(f"{error.status} {message}")
                self.stand.revive()
            else:
                return True
        raise AssertionError(f"the gate did not answer: {self.troubles[-1]}")

    # What is the case

    def status(self) -> Object:
        status: Object = self._get("modelpromotions", self.name).get("status", {})
        return status

    def condition(self, name: str) -> Object:
        return next((one for one in self.status().get("conditions", ()) if one["type"] == name), {})

    def until(self, condition: str, within: float = WAIT) -> None:
        """Wait for a condition, and start again what dies meanwhile."""
        self.wait(lambda: self.condition(condition).get("status") == "True", condition, within)

    def wait(self, what: Callable[[], object], called: str, within: float = WAIT) -> None:
        deadline = time.monotonic() + within
        while not what():
            assert time.monotonic() < deadline, f"waited in vain for {called}; the status is {json.dumps(self.status())[:1500]}"
            time.sleep(0.02)
            self.stand.revive()

    def says(self, words: str, within: float = WAIT) -> None:
        """Wait until the status says this (a regular expression)."""
        self.wait(lambda: re.search(words, self.status().get("message", "")), words, within)

    def undecided(self) -> None:
        """Nothing is promoted before somebody decided."""
        assert self.stand.versions(layout.event(self.id)) == {}
        assert self.stand.versions(layout.subject_prefix(self.digest, "production")) == {}

    def ended(self, verdict: str, decision: Object) -> None:
        """One outcome, the right one, and nothing lost."""
        promoted = verdict == "Approve"
        versions = self.stand.versions(layout.event(self.id))
        assert versions == {layout.event(self.id): 1}, versions
        outcome = self.stand.reader.outcome(self.id)  # verifies, or raises
        assert (outcome.promotes, outcome.id) == (promoted, self.id)
        freezes = self.stand.versions(layout.freezes_prefix(self.id))
        freeze = sha256(outcome.payload)
        assert freezes == {layout.freeze(self.id, freeze): 1}, freezes
        self._sealed(freeze, verdict, decision)
        pointers = self.stand.versions(layout.subject_prefix(self.digest, "production"))
        assert set(pointers.values()) <= {1}
        assert (len(pointers) == 1) is promoted
        assert self.condition("Promoted")["status"] == str(promoted)
        assert self.status()["event"] == outcome.digest
        assert self.admitted() is promoted, self.troubles

    def _sealed(self, freeze: Digest, verdict: str, decision: Object) -> None:
        seals = self.stand.versions(layout.seals_prefix(freeze))
        assert list(seals.values()) == [1], seals
        stored = self.stand.store.read(next(iter(seals)), limit=MAX_BUNDLE)
        assert b64decode(decision["seal"]["bundle"]) == stored.data, "the decision bears another seal than the archive"
        assert decision["spec"]["verdict"] == verdict

    def revoked(self, correction: Object) -> None:
        """One correction, which bites, and an event that nobody touched."""
        outcome = self.stand.reader.outcome(self.id)
        versions = self.stand.versions(layout.corrections_prefix(outcome.digest))
        assert list(versions.values()) == [1], versions
        stored = self.stand.store.read(next(iter(versions)), limit=MAX_BUNDLE)
        assert b64decode(correction["seal"]["bundle"]) == stored.data, "the correction bears another seal than the archive"
        assert self.stand.versions(layout.event(self.id)) == {layout.event(self.id): 1}
        assert not self.admitted(), "what was revoked is admitted"
        assert "revoked by" in self.troubles[-1]
        self.wait(lambda: self.condition("Ready").get("reason") == "Revoked", "Revoked")

    def gone(self) -> None:
        """Take the resources away: what is left of them in the cluster would only slow down the next."""
        api = client.CustomObjectsApi(self.stand.api(None))
        for plural in ("promotiondecisions", "promotioncorrections", "modelpromotions"):
            for one in api.list_namespaced_custom_object(GROUP, VERSION, NAMESPACE, plural)["items"]:
                if one["metadata"]["name"].startswith(self.name):
                    api.delete_namespaced_custom_object(GROUP, VERSION, NAMESPACE, plural, one["metadata"]["name"])

    def _get(self, plural: str, name: str) -> Object:
        api = client.CustomObjectsApi(self.stand.api(None))
        found: Object = api.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, plural, name, _request_timeout=WAIT)
        return found
