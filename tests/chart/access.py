"""The table of who may do what, and the API server's own answer to each of its questions.

A question is put as a SubjectAccessReview, which is what `kubectl auth can-i` asks for somebody else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from kubernetes import client, config

from tests.chart.rendering import NAMESPACE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

TABLE = yaml.safe_load((ROOT / "tests/chart/cases/access.yaml").read_text())
IDENTITIES: dict[str, dict[str, str]] = TABLE["identities"]
ASKED_AT_ONCE = 4
ASKED_IN_A_ROW = 24

Subject = dict[str, Any]


@dataclass(frozen=True, order=True)
class Question:
    """May somebody use `verb` on `resource` (GROUP/RESOURCE[/SUBRESOURCE][:NAME]) in `namespace`?"""

    verb: str
    resource: str
    namespace: str

    def attributes(self) -> dict[str, str]:
        path, _, name = self.resource.partition(":")
        group, resource, *subresource = path.split("/")
        return {
            "group": "" if group == "core" else group,
            "resource": resource,
            "subresource": "".join(subresource),
            "name": name,
            "verb": self.verb,
            "namespace": self.namespace,
        }


def questions(rows: list[dict[str, list[str]]]) -> Iterator[Question]:
    """The questions of rows {verbs, of, in}; without `in`, in every namespace."""
    for row in rows:
        for resource in row["of"]:
            for verb in row["verbs"]:
                for namespace in row.get("in", TABLE["namespaces"]):
                    yield Question(verb, resource, namespace)


UNIVERSE = sorted(set(questions(TABLE["universe"])))
ALLOWED = {identity: set(questions(rows)) for identity, rows in TABLE["allowed"].items()}


class Authorizer:
    """The API server's answers about the identities of the table."""

    def __init__(self, kubeconfig: Path) -> None:
        self._pool = ThreadPoolExecutor(ASKED_AT_ONCE)
        self._api = client.AuthorizationV1Api(config.new_client_from_config(str(kubeconfig)))

    def says(self, who: Subject, question: Question) -> bool:
        """Whether this user with these groups may."""
        spec = {"resourceAttributes": question.attributes(), **who}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        status = self._api.create_subject_access_review(review).status
        assert not status.evaluation_error, status.evaluation_error
        return bool(status.allowed)

    def answers(self, who: Subject, asked: Iterable[Question]) -> dict[Question, bool]:
        """All the answers."""
        asked = list(asked)
        return dict(zip(asked, self._pool.map(lambda question: self.says(who, question), asked), strict=True))

    def excess(self, who: Subject, allowed: set[Question], asked: list[Question]) -> Question | None:
        """A question answered with yes where the table says no; the first found."""
        refused = [question for question in asked if question not in allowed]
        for start in range(0, len(refused), ASKED_IN_A_ROW):
            answers = self.answers(who, refused[start : start + ASKED_IN_A_ROW])
            for question, answer in answers.items():
                if answer:
                    return question
        return None


def subject(identity: str) -> Subject:
    """The user and groups of an identity, as authentication would name them."""
    row = IDENTITIES[identity]
    if "service_account" in row:
        user = f"system:serviceaccount:{NAMESPACE}:{row['service_account']}"
        return {"user": user, "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]}
    return member(row["group"])


def member(group: str) -> Subject:
    """Somebody in this group, and in no other."""
    return {"user": "someone", "groups": [group, "system:authenticated"]}
