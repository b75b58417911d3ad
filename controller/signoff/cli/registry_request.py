"""A promotion's manifest out of a registry: what was asked for, put together, and what there is to tell of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypedDict

from signoff.api import API_VERSION
from signoff.cli import output
from signoff.cli import registry_parts as parts
from signoff.cli.manifest import FILL_IN, Node, as_yaml
from signoff.cli.promotion import image_index, live, object_name, unknown_explanation
from signoff.cli.registry_columns import Column, Columns
from signoff.cli.unfilled import places, stood_in
from signoff.errors import SignoffError
from signoff.record.canonical import dumps
from signoff.record.freeze import LiveIncumbent
from signoff.record.request import Request, read_spec, request_value
from signoff.record.values import Digest, parse
from signoff.registry.client import Registry, Run, Version

_MODEL: Final = re.compile(r"[a-z0-9]([a-z0-9._/-]{0,198}[a-z0-9])?")
_MIB: Final = 1024 * 1024


class Given(TypedDict):
    """The options of the command; text is empty where it was not given."""

    tracking_uri: str
    registry_uri: str
    model: str
    name: str
    namespace: str
    image: str
    image_tag_key: str
    image_of: tuple[str, ...]
    index: Path | None
    incumbent: str
    incumbent_alias: str
    challengers: tuple[str, ...]
    metrics: tuple[str, ...]
    artifacts: tuple[str, ...]
    max_size: int
    datasets: tuple[str, ...]
    explanation_artifact: str
    explanation_url: str
    author: str
    reason: str
    environment: str
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    valid_for: str
    on_expiry: Literal["", "deny-new-rollouts", "deny-all"]
    cluster: str | None
    archive: str | None
    trust: str | None
    out: Path | None


class Drafted:
    """A promotion in the making, and what there is to tell of it."""

    def __init__(self, registered: str, number: str, given: Given) -> None:
        self._registry = Registry(given["tracking_uri"], given["registry_uri"])
        self._registered = registered
        self._number = number
        self._given = given
        self._said: list[tuple[str, str]] = []
        self._missing: list[tuple[str, str]] = []
        self._model = given["model"] or registered
        if not _MODEL.fullmatch(self._model):
            mend = "say how it is called here, in a-z, 0-9 and . _ / - within: --model"
            raise SignoffError(f"{self._model[:200]!r} cannot be a model's name in a promotion", where="MODEL", mend=mend)
        self._name = given["name"] or object_name(f"{self._model}-{number}")

    def text(self) -> str:
        """Return the documents: the ModelPromotion, and the ConfigMap of a long explanation."""
        version = self._registry.version(self._registered, self._number)
        run = self._registry.run(version)
        spec, config_map = self._spec(version, run)
        namespace = self._known("namespace", "the namespace that the promotion is asked for in")
        manifest: Node = {
            "apiVersion": API_VERSION,
            "kind": "ModelPromotion",
            "metadata": {"name": self._name, "namespace": namespace},
            "spec": spec,
        }
        read_spec(stood_in(spec))
        parse(Request, dumps(request_value(self._given["namespace"] or "x", self._name, stood_in(spec))), "ModelPromotion")
        self._missing = [*places(namespace, "metadata.namespace"), *places(spec, "spec")]
        told = output.plain(f"{self._registered} {self._number}, run {run.id}, of {self._registry.registry}")
        documents = [as_yaml(manifest, f"Asks for a promotion. The spec does not change once it was submitted. Made from {told}.")]
        if config_map is not None:
            documents.append(as_yaml(config_map, "The explanation. Apply it together with the promotion."))
        return "---\n".join(documents)

    def tell(self) -> None:
        """Tell on stderr what was resolved, from where, and what is still to be filled in (rule 1)."""
        where = self._registry.registry
        if self._registry.tracking != where:
            where += f", runs and artefacts of {self._registry.tracking}"
        _facts("resolved now, from a registry that can change afterwards:", [("registry", where), *self._said])
        if self._missing:
            _facts("to be filled in:", self._missing)

    def _spec(self, version: Version, run: Run) -> tuple[dict[str, Node], Node | None]:
        given, say = self._given, self._say
        columns = Columns(self._registry, self._registered, given["metrics"], self._images(), given["image_tag_key"], say)
        candidate, image = columns.candidate(version, run)
        model: dict[str, Node] = {"name": self._model, "version": self._number, "image": f"{image.repository}@{image.digest}"}
        if given["index"] is not None:
            model["imageIndex"] = image_index(given["index"], Digest(str(image.digest)))
        comparison: dict[str, Node] = {"candidate": candidate.node()}
        asked, known = self._live()
        incumbent = columns.incumbent(given["incumbent"], given["incumbent_alias"], known, asked=asked)
        challengers = [columns.challenger(number) for number in given["challengers"]]
        self._require_distinct([candidate, *([incumbent] if incumbent else []), *challengers])
        model["artifacts"] = parts.artifacts(self._registry, version, given["artifacts"], given["max_size"] * _MIB, say)
        if incumbent is not None:
            model["incumbent"] = incumbent.named()
            comparison["incumbent"] = incumbent.node()
        if challengers:
            comparison["challengers"] = [one.node() for one in challengers]
        explanation, config_map = self._explanation(run)
        spec: dict[str, Node] = {
            "model": model,
            "author": parts.author(given["author"], version, run, say),
            "target": self._target(),
            "comparison": comparison,
            "explanation": explanation,
            "datasets": parts.datasets(given["datasets"], run, say),
            "reason": self._known("reason", "why it shall be promoted"),
        }
        expiry = {"validFor": given["valid_for"], "onExpiry": given["on_expiry"]}
        spec.update({field: value for field, value in expiry.items() if value})
        return spec, config_map

    def _images(self) -> dict[str, str]:
        """Return the images that were given, by version."""
        found = {self._number: self._given["image"]} if self._given["image"] else {}
        for text in self._given["image_of"]:
            number, equals, image = text.partition("=")
            if not (number and equals and image) or number in found:
                raise SignoffError(
                    f"{text[:80]!r} is not VERSION=IMAGE, or there twice", where="--image-of", mend="give one for each version"
                )
            found[number] = image
        return found

    def _live(self) -> tuple[bool, LiveIncumbent | None]:
        """Return whether the archive could be asked, and what it says is live."""
        archive, trust, environment = self._given["archive"], self._given["trust"], self._given["environment"]
        clusters = self._clusters()
        if not (archive and trust and environment and clusters):
            return False, None
        return True, live(archive, trust, self._model, environment, clusters)

    def _require_distinct(self, columns: Sequence[Column]) -> None:
        known: set[str] = set()
        for one in columns:
            if one.number in known:
                what = f"version {one.number} is to be shown twice"
                raise SignoffError(what, where="candidate, incumbent and challengers", mend="name each version once")
            known.add(one.number)

    def _explanation(self, run: Run) -> tuple[Node, Node | None]:
        given = self._given
        if not given["explanation_artifact"]:
            return unknown_explanation(), None
        namespace = self._known("namespace", "the promotion's namespace")
        path, url = given["explanation_artifact"], given["explanation_url"]
        return parts.report(self._registry, run, path, url, self._name, namespace, self._say)

    def _target(self) -> Node:
        clusters: list[Node] = [*self._clusters()] or [FILL_IN("the cluster that it shall run in")]
        namespaces: list[Node] = [*self._given["namespaces"]] or [self._known("namespace", "the namespace that it shall run in")]
        environment = self._known("environment", "where it shall run, such as production")
        return {"environment": environment, "clusters": clusters, "namespaces": namespaces}

    def _clusters(self) -> tuple[str, ...]:
        own = self._given["cluster"]
        return self._given["clusters"] or ((own,) if own else ())

    def _known(self, option: Literal["namespace", "environment", "reason"], what: str) -> Node:
        return self._given[option] or FILL_IN(what)

    def _say(self, label: str, text: str) -> None:
        self._said.append((label, text))


def _facts(head: str, pairs: Sequence[tuple[str, str]]) -> None:
    output.tell(head, err=True)
    wide = max(len(label) for label, _ in pairs) + 2
    for label, text in pairs:
        for line in output.wrapped(output.plain(text), first=f"  {label:<{wide}}"):
            output.tell(line, err=True)
