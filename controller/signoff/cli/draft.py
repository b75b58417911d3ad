"""`signoff draft`: the manifest of a promotion, as far as it can be known.

1. What is not known is written ``{FILL-IN: …}``: an object where text belongs, which admission refuses until somebody has filled it in.
2. A tag is nobody's promise: the image must carry a digest.
3. What is filled in is checked here already, by the rules of admission.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from signoff.api import API_VERSION
from signoff.cli import options, reach
from signoff.cli.manifest import FILL_IN, Node, Note, as_yaml
from signoff.cli.promotion import (
    MAX_CONFIG_MAP,
    explanation,
    image_index,
    live,
    media_type,
    object_name,
    pinned,
    unknown_dataset,
    unknown_explanation,
    unknown_metric,
)
from signoff.errors import SignoffError
from signoff.gate.reference import parse_reference
from signoff.record.freeze import LiveIncumbent
from signoff.record.values import Digest

_EXAMPLES: Final = """
signoff draft registry.bank.example/models/credit-scoring:2.4.0@sha256:2ded94… \\
    -n credit --environment production --target-cluster demo --author ana@bank.example \\
    --explanation report.html --metric auc=0.8127 --reason 'Ranks better at a lower default rate.' \\
    --dataset evaluation applications-2025h2 2026-01-15 sha256:c73548… > promotion.yaml
signoff draft registry.bank.example/models/fraud@sha256:4f0a11…
"""
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
Pairs = tuple[tuple[str, str], ...]


def _pairs(_: click.Context, option: click.Parameter, values: tuple[str, ...]) -> Pairs:
    """Take ``NAME=VALUE`` apart."""
    found = []
    for value in values:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise SignoffError(
                f"{value!r} is not NAME=VALUE", where=option.opts[0], mend="write it as in the example: signoff draft --help"
            )
        found.append((name, rest))
    return tuple(found)


@options.command("draft", examples=_EXAMPLES)
@click.argument("image")
@click.option("--name", metavar="NAME", help="Of the ModelPromotion; default: model and version.")
@options.namespace("Of the ModelPromotion.")
@click.option("--model", metavar="NAME", help="Default: the last part of the repository.")
@click.option("--model-version", metavar="VERSION", help="Default: the image's tag, if it has one beside its digest.")
@click.option("--environment", metavar="NAME", help="Where it shall run.")
@click.option("--target-cluster", "clusters", multiple=True, metavar="NAME", help="Default: --cluster.")
@click.option("--target-namespace", "namespaces", multiple=True, metavar="NAME", help="Default: the namespace of the ModelPromotion.")
@click.option("--author", metavar="WHO", help="Who made this model version. They cannot approve it.")
@click.option("--reason", metavar="TEXT", help="Why it shall be promoted.")
@click.option("--metric", "metrics", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="A figure of this version.")
@click.option(
    "--incumbent-metric", "incumbent_metrics", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="A figure of the live one."
)
@click.option("--dataset", "datasets", multiple=True, nargs=4, metavar="ROLE NAME VERSION DIGEST", help="Data that the figures rest on.")
@click.option(
    "--artifact", "artifacts", multiple=True, callback=_pairs, metavar="NAME=DIGEST", help="A part of the model beside its image."
)
@click.option("--explanation", type=click.Path(path_type=Path), metavar="FILE", help="The report: .html, .md or .txt.")
@click.option("--index", type=click.Path(path_type=Path), metavar="FILE", help="The bytes of the image index, if the digest is an index.")
@options.cluster(required=False)
@options.archive(required=False)
@options.trust(required=False)
def command(image: str, **given: object) -> int:
    """Write the manifest of a promotion for IMAGE, which must carry a digest, to stdout.

    What is not known stands as {FILL-IN: …}, and admission refuses the manifest until it is filled in. With an archive at hand the version
    that is live now is filled in as the incumbent.
    """
    draft = Draft(image, given)
    click.echo(draft.text(), nl=False)
    return 0


class Draft:
    """A promotion in the making, from the options of the command. ``pin`` says what to write in place of an image without a digest."""

    def __init__(self, image: str, given: dict[str, object], pin: str = "") -> None:
        self._given = given
        self._pin = pin
        self._reference = parse_reference(image) if pin else pinned(image)
        self._digest = Digest(str(self._reference.digest))
        path = self._reference.path.rpartition("/")[2]
        self._model = self._text("model") or path
        self._version = self._text("model_version") or self._tag()
        self._namespace = self._text("namespace")
        self._name = self._text("name") or object_name(f"{self._model}-{self._version}" if self._version else self._model)

    def text(self, notes: Sequence[str] = (), annotations: Mapping[str, str] | None = None) -> str:
        """Return the documents: the ModelPromotion, below comments, and the ConfigMap of a long explanation."""
        explanation, config_map = self._explanation()
        incumbent = self._incumbent()
        head = "\n# ".join(["Asks for a promotion. The spec does not change once it was submitted.", *notes])
        metadata: dict[str, Node] = {
            "name": self._name,
            "namespace": self._known("namespace", "the namespace that the promotion is asked for in"),
        }
        if annotations:
            metadata["annotations"] = dict(annotations)
        manifest: Node = {
            "apiVersion": API_VERSION,
            "kind": "ModelPromotion",
            "metadata": metadata,
            "spec": self._spec(explanation, incumbent),
        }
        documents = [as_yaml(manifest, head)]
        if config_map is not None:
            documents.append(as_yaml(config_map, "The explanation. Apply it together with the promotion."))
        return "---\n".join(documents)

    def _spec(self, explanation: Node, incumbent: LiveIncumbent | None) -> Node:
        version = self._version or FILL_IN("the model version")
        model: dict[str, Node] = {
            "name": self._model if self._text("model") else Note(self._model, "guessed from the repository"),
            "version": version if self._text("model_version") or not self._version else Note(self._version, "the image's tag"),
            "image": FILL_IN(self._pin) if self._pin else f"{self._reference.repository}@{self._digest}",
        }
        index = self._given.get("index")
        if isinstance(index, Path):
            model["imageIndex"] = image_index(index, self._digest)
        artifacts = self._many("artifacts")
        if artifacts:
            model["artifacts"] = [{"name": name, "digest": digest} for name, digest in artifacts]
        digest = FILL_IN("the digest that image names") if self._pin else self._digest
        candidate: dict[str, Node] = {"version": version, "digest": digest, "metrics": self._metrics("metrics", "of this version")}
        comparison: dict[str, Node] = {"candidate": candidate}
        if incumbent is not None:
            live: dict[str, Node] = {"version": incumbent.version, "digest": incumbent.digest}
            model["incumbent"] = live
            comparison["incumbent"] = {**live, "metrics": self._metrics("incumbent_metrics", "of the live version, on the same data")}
        return {
            "model": model,
            "author": self._known("author", "who made this model version"),
            "target": self._target(),
            "comparison": comparison,
            "explanation": explanation,
            "datasets": self._datasets(),
            "reason": self._known("reason", "why it shall be promoted"),
        }

    def _target(self) -> Node:
        clusters = self._clusters()
        namespaces: list[Node] = [*self._list("namespaces")] or [self._known("namespace", "the namespace that it shall run in")]
        known: list[Node] = [*clusters] or [FILL_IN("the cluster that it shall run in")]
        return {
            "environment": self._known("environment", "where it shall run, such as production"),
            "clusters": known,
            "namespaces": namespaces,
        }

    def _clusters(self) -> tuple[str, ...]:
        own = self._text("cluster")
        return self._list("clusters") or ((own,) if own else ())

    def _metrics(self, option: str, of: str) -> Node:
        known = self._many(option)
        if known:
            return [{"name": name, "value": value} for name, value in known]
        return [unknown_metric(of)]

    def _datasets(self) -> Node:
        known = self._given.get("datasets")
        if isinstance(known, tuple) and known:
            return [
                dict(zip(("name", "version", "digest", "role"), (name, version, digest, role), strict=True))
                for role, name, version, digest in known
            ]
        return [unknown_dataset()]

    def _explanation(self) -> tuple[Node, Node | None]:
        path = self._given.get("explanation")
        if not isinstance(path, Path):
            return unknown_explanation(), None
        media_type(path.name, str(path))
        data = reach.file_bytes(path, MAX_CONFIG_MAP)
        return explanation(data, path.name, str(path), self._name, self._known("namespace", "the promotion's namespace"))

    def _incumbent(self) -> LiveIncumbent | None:
        archive, trust, environment = self._text("archive"), self._text("trust"), self._text("environment")
        clusters = self._clusters()
        if not (archive and trust and environment and clusters):
            return None
        return live(archive, trust, self._model, environment, clusters)

    def _tag(self) -> str:
        tag = self._reference.tag or ""
        return tag if _VERSION.fullmatch(tag) else ""

    def _known(self, option: str, what: str) -> Node:
        return self._text(option) or FILL_IN(what)

    def _text(self, option: str) -> str:
        value = self._given.get(option)
        return value if isinstance(value, str) else ""

    def _list(self, option: str) -> tuple[str, ...]:
        value = self._given.get(option)
        return tuple(str(one) for one in value) if isinstance(value, tuple) else ()

    def _many(self, option: str) -> Pairs:
        value = self._given.get(option)
        return value if isinstance(value, tuple) else ()
